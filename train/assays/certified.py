"""Certified values of reference materials, as the user takes them from the certificates.

TOML:

    ["MY CRM 1"]
    method = "aqua regia, ICP-MS"          # optional, shown in the report
    Sb_ppm = { value = 5.1, sd = 0.3 }     # sd: one standard deviation between laboratories, as the certificate has it
    As_ppm = 48                            # without one

or CSV:

    name,Sb_ppm,Sb_ppm_sd,As_ppm
    MY CRM 1,5.1,0.3,48

A certificate gives several values for an element, one for each digestion: take the one of the laboratory's method.
None ship with the project, and none are made up: without a file only repeatability is reported.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...converters.spectra.files import HEAD_BYTES, workbook_of
from ...edge.units import conversion, split_column, unit_names
from ..errors import AssayFileError
from .columns import Column, ElementColumn, read_columns
from .sheet import decoded, parse_sheet, read_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class CertifiedValue:
    """One element of one material.

    Attributes:
        value: certified, above 0.
        sd: one standard deviation; None if the file gives none.
        unit: of both.
    """

    value: float
    sd: float | None
    unit: str

    def converted(self, unit: str) -> CertifiedValue:
        """Give the value in another unit."""
        factor = conversion(self.unit, unit)
        return CertifiedValue(self.value * factor, None if self.sd is None else self.sd * factor, unit)


@dataclass(frozen=True)
class Certificate:
    """One material.

    Attributes:
        material: name as the file has it.
        values: element -> certified value.
        method: what the file says of digestion and instrument.
    """

    material: str
    values: Mapping[str, CertifiedValue]
    method: str = ""


def material_key(name: str) -> str:
    """What two spellings of a material have in common: OREAS 45h, Oreas-45H and OREAS45h are one."""
    return re.sub(r"[\W_]+", "", name).casefold()


def read_certificates(path: str | os.PathLike[str]) -> dict[str, Certificate]:
    """Read a file of certified values, TOML or CSV as its content shows.

    Returns:
        `material_key` -> certificate.

    Raises:
        AssayFileError: no such file, neither form, a value that is none, or a material twice.
    """
    return parse_certificates(read_file(path)[0], os.fspath(path))


def parse_certificates(data: bytes, source: str) -> dict[str, Certificate]:
    """Take the bytes of a file of certified values; see `read_certificates`."""
    text = "" if workbook_of(data[:HEAD_BYTES]) else decoded(data, source)
    first = next((line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    is_toml = first.startswith("[") or ("=" in first and not first.lower().startswith("sep="))
    found = _from_toml(text, source) if is_toml else _from_sheet(data, source)
    certificates: dict[str, Certificate] = {}
    for certificate in found:
        key = material_key(certificate.material)
        if key in certificates:
            raise AssayFileError(
                f"{source}: {certificate.material} stands twice (also as {certificates[key].material}); keep one"
            )
        certificates[key] = certificate
    if not certificates:
        raise AssayFileError(
            f'{source}: names no material; give ["NAME"] and under it Sb_ppm = {{ value = .., sd = .. }}'
        )
    return certificates


def _from_toml(text: str, source: str) -> list[Certificate]:
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AssayFileError(f"{source}: is no TOML ({error})") from None
    certificates = []
    for material, table in tables.items():
        if not isinstance(table, dict):
            raise AssayFileError(f'{source}: {material} stands outside of a material; put it under ["NAME"]')
        values: dict[str, CertifiedValue] = {}
        method = table.pop("method", "")
        if not isinstance(method, str):
            raise AssayFileError(f"{source}: {material}: method is no text")
        for key, entry in table.items():
            where = f"{source}: {material}: {key}"
            split = split_column(key)
            if split is None:
                raise AssayFileError(f"{where} is no <Element>_<unit>, such as Sb_ppm (units: {unit_names()})")
            fields = dict(entry) if isinstance(entry, dict) else {"value": entry}
            value, sd = fields.pop("value", None), fields.pop("sd", None)
            if fields or value is None:
                raise AssayFileError(f"{where}: write {{ value = 5.1, sd = 0.3 }} or one number")
            _put(values, split, value, sd, where)
        certificates.append(Certificate(material, values, method))
    return certificates


def _from_sheet(data: bytes, source: str) -> list[Certificate]:
    sheet = parse_sheet(data, source)
    header = sheet.header
    splits = [(at, split) for at, field in enumerate(header) if (split := split_column(field))]
    if not splits:
        raise AssayFileError(f"{source}: is neither TOML nor a table with columns such as name,Sb_ppm,Sb_ppm_sd")
    sd_at = {at: header.index(f"{header[at]}_sd") for at, _ in splits if f"{header[at]}_sd" in header}
    name_at = header.index("name") if "name" in header else 0
    wheres = [f"{source}: row {row} ({fields[name_at]})" for row, fields in sheet.rows]
    wanted = [ElementColumn(Column(*split), at) for at, split in splits]
    wanted += [ElementColumn(Column(*split), sd_at[at]) for at, split in splits if at in sd_at]
    rows, _ = read_columns(sheet, wanted, wheres, [False] * len(wheres))
    certificates = []
    for (_, fields), where, values in zip(sheet.rows, wheres, rows, strict=True):
        read = {each.at: value for each, value in zip(wanted, values, strict=True)}
        known: dict[str, CertifiedValue] = {}
        for at, split in splits:
            here, value, sd = f"{where}, column {header[at]}", read[at], read.get(sd_at.get(at, -1))
            if value is None:
                continue
            if value.censored or (sd is not None and sd.censored):
                raise AssayFileError(f"{here}: a certified value is no bound")
            _put(known, split, value.value, None if sd is None else sd.value, here)
        certificates.append(Certificate(fields[name_at].strip(), known))
    return certificates


def _put(values: dict[str, CertifiedValue], split: tuple[str, str], value: object, sd: object, where: str) -> None:
    element, unit = split
    if element in values:
        raise AssayFileError(f"{where}: {element} stands twice for one material; keep the one of the method used")
    values[element] = CertifiedValue(_positive(value, where), None if sd is None else _positive(sd, where), unit)


def _positive(number: object, where: str) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
        raise AssayFileError(f"{where}: {number!r} is no number above 0")
    return float(number)
