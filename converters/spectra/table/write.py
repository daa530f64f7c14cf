"""Writer of the project's own table of spectra (docs/table_format.md)."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import SpectrumFileError, UnusableSpectrumError
from ..files import GZIP_MAGIC, replacing
from ..spectrum import Spectrum
from .layout import CHECKSUM, CLOSED, COLUMNS, MAGIC, VERSION, WAVELENGTH, checksum_of, name_nm, other_grid

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def write_table(
    path: str | os.PathLike[str], spectra: Iterable[Spectrum], notes: Mapping[str, str] | None = None
) -> int:
    """Write spectra of one grid as a table; the file appears under its name when it is whole.

    Memory is that of one spectrum. Values are written with nine significant digits, so that every float32
    comes back as it was and a float64 within 5e-9 of its size; wavelengths come back exactly. Names in `extra`
    that are a wavelength or a column of the format get "extra " before them; of `extra`, texts and numbers
    are written.

    Args:
        path: the file; a name that ends in `.gz` is compressed. The same spectra give the same bytes.
        spectra: any number, on one grid.
        notes: key -> value, written as comments at the top.

    Returns:
        How many spectra were written.

    Raises:
        UnusableSpectrumError: a spectrum has another grid than the first.
        SpectrumFileError: there are no spectra; no file is written.
        OSError: the file cannot be written.
    """
    target = os.fspath(path)
    with replacing(target) as file:
        with _packing(file, target) as out:
            count, extra_names, widths = _write(out, spectra, notes or {}, target)
        if len(widths) > 1:
            with tempfile.TemporaryFile(dir=os.path.dirname(target) or ".") as before:
                file.seek(0)
                shutil.copyfileobj(file, before)
                before.seek(0)
                file.seek(0)
                file.truncate()
                with _unpacking(before) as rows, _packing(file, target) as out:
                    _widen(rows, out, extra_names, widths)
    return count


@contextmanager
def _packing(file: BinaryIO, target: str) -> Iterator[IO[bytes]]:
    if not target.lower().endswith(".gz"):
        yield file
        return
    import gzip

    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
        yield cast("IO[bytes]", packed)


@contextmanager
def _unpacking(file: IO[bytes]) -> Iterator[IO[bytes]]:
    packed = file.read(2) == GZIP_MAGIC
    file.seek(0)
    if not packed:
        yield file
        return
    import gzip

    with gzip.GzipFile(fileobj=file) as inner:
        yield cast("IO[bytes]", inner)


def _write(
    out: IO[bytes], spectra: Iterable[Spectrum], notes: Mapping[str, str], target: str
) -> tuple[int, list[str], list[tuple[int, int]]]:
    """Write a table whose rows have the extra columns known by then.

    Returns:
        The number of rows, the names of all extra columns, and (row, number of extra columns from there on).
    """
    extra_names: list[str] = []
    widths: list[tuple[int, int]] = []
    grid_nm = np.empty(0)
    numbers, header = "", b""
    count = 0
    for spectrum in spectra:
        extra = _extra(spectrum)
        extra_names += [name for name in extra if name not in extra_names]
        if not count:
            grid_nm = spectrum.wavelengths_nm
            numbers = ",".join(["%.9g"] * grid_nm.size)
            for line in (MAGIC + VERSION, CLOSED, *(f"# {_one_line(k)}: {_one_line(v)}" for k, v in notes.items())):
                out.write(_encoded(line))
            header = _encoded(_header(extra_names, grid_nm))
            out.write(header)
        elif not np.array_equal(spectrum.wavelengths_nm, grid_nm):
            raise UnusableSpectrumError(f"{spectrum.source or spectrum.sample_id}: {other_grid(spectrum, grid_nm)}")
        if not widths or widths[-1][1] != len(extra_names):
            widths.append((count, len(extra_names)))
        texts = [*_texts(spectrum), *(extra.get(name, "") for name in extra_names)]
        out.write(_with_checksum(f"{_csv_line(texts)},{numbers % tuple(spectrum.values.tolist())}", header))
        count += 1
    if not count:
        raise SpectrumFileError(f"{target}: not written, there are no spectra for it")
    out.write(_encoded(f"# end {count}"))
    return count, extra_names, widths


def _widen(before: IO[bytes], out: IO[bytes], extra_names: list[str], widths: list[tuple[int, int]]) -> None:
    """Write a table again with all extra columns, where they became known in the course of it."""
    steps = iter([*widths[1:], (-1, 0)])
    width, (next_row, next_width) = widths[0][1], next(steps)
    row, header = -1, b""
    for line in before:
        if line.startswith(b"# end ") or (row < 0 and line.startswith(b"#")):
            out.write(line)
            continue
        fields = next(csv.reader([line.decode("utf-8")]))
        if row < 0:
            added = extra_names[width:]
        else:
            if row == next_row:
                width, (next_row, next_width) = next_width, next(steps)
            added = [""] * (len(extra_names) - width)
        at = len(COLUMNS) + width
        widened = [*fields[:at], *added, *fields[at:]]
        if row < 0:
            header = _encoded(_csv_line(widened))
            out.write(header)
        else:
            out.write(_with_checksum(_csv_line(widened[:-1]), header))
        row += 1


def _header(extra_names: list[str], grid_nm: NDArray[np.float64]) -> str:
    return _csv_line([*COLUMNS, *extra_names, *map(name_nm, grid_nm), CHECKSUM])


def _texts(spectrum: Spectrum) -> list[str]:
    position = spectrum.position
    return [
        _one_line(spectrum.sample_id),
        _one_line(spectrum.measurement),
        spectrum.quantity,
        spectrum.measured_at.isoformat() if spectrum.measured_at else "",
        _one_line(spectrum.instrument),
        repr(float(position.latitude_deg)) if position else "",
        repr(float(position.longitude_deg)) if position else "",
        repr(float(position.altitude_m)) if position and position.altitude_m is not None else "",
        ";".join(name_nm(splice) for splice in spectrum.splices_nm),
        ";".join(_one_line(detector) for detector in spectrum.saturated),
        spectrum.condition,
        _one_line(spectrum.comment),
        "true" if spectrum.simulated else "false",
    ]


def _extra(spectrum: Spectrum) -> dict[str, str]:
    texts = {}
    for name, value in spectrum.extra.items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int | float):
            value = repr(value)
        if isinstance(value, str) and value.strip() and name.strip():
            name = _one_line(name)
            taken = name in (*COLUMNS, CHECKSUM) or WAVELENGTH.fullmatch(name)
            texts[f"extra {name}" if taken else name] = _one_line(value)
    return texts


def _one_line(text: str) -> str:
    # One spectrum is one line, so that a table can be cut, counted and compared by line.
    return _CONTROL.sub(" ", text).strip()


def _csv_line(texts: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def _with_checksum(row: str, header: bytes) -> bytes:
    encoded = _encoded(row)[:-1]
    return b"%s,%s\n" % (encoded, checksum_of(encoded, header[:-1]).encode())


def _encoded(line: str) -> bytes:
    # A path that is no UTF-8 may have become a sample's name; a question mark is better than no table.
    return line.encode("utf-8", "replace") + b"\n"
