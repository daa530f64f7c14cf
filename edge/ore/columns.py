"""What the columns of a table of blocks are: a TOML file names the variables, their units and their classes' words.

The default file describes the variables of Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248: six assays, and ten
classes that a geologist logs by eye as Low, Medium or High.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ColumnFileError
from ..toml_file import parse_toml, read_text, refuse_unknown, text_of, texts_of

Kind = Literal["assay", "class"]
COLUMNS_ENVIRONMENT_VARIABLE = "STIBIUM_ORE_COLUMNS"
MISSING = ("", "NA", "N/A", "n.a.", "NaN", "null", "none", "-", "--")
"""Fields that say "not known", whatever their case; a columns file may name others."""


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: what scenarios, models and people call it.
        column: the table's column.
        kind: "assay" for a concentration, "class" for what is logged in ordered words.
        unit: of an assay, such as ppm; "" for a class.
        words: of a class, lowest first; the k-th word has the code k, from 1.
        about: what is meant, in a few words, for who logs it.
    """

    name: str
    column: str
    kind: Kind
    unit: str = ""
    words: tuple[str, ...] = ()
    about: str = ""

    @property
    def title(self) -> str:
        """Name with the unit, for people."""
        return f"{self.name} {self.unit}" if self.unit else self.name

    def word(self, code: float) -> str:
        """Give a class's word for its code; the nearest one, for an imputed code lies between."""
        return self.words[min(max(round(code), 1), len(self.words)) - 1]


@dataclass(frozen=True)
class Label:
    """The column that says what a block turned out to be, and the words for either."""

    column: str
    ore: tuple[str, ...]
    gangue: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """The columns of a table of blocks.

    Attributes:
        variables: in the order in which models take them.
        label: None if no table has one.
        group: column of the drill hole or face a block belongs to; "" if there is none.
        id: column that names a block; "" if there is none, and rows are then numbered.
        missing: fields that say "not known".
    """

    variables: tuple[Variable, ...]
    label: Label | None = None
    group: str = ""
    id: str = ""
    missing: tuple[str, ...] = MISSING

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(v.name for v in self.variables)

    def pick(self, names: Sequence[str]) -> Columns:
        """Give these columns with only the named variables, in that order.

        Raises:
            ColumnFileError: a name is no variable's.
        """
        known = {v.name: v for v in self.variables}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ColumnFileError(f"no variable {unknown[0]}; there are {', '.join(known)}")
        return Columns(tuple(known[n] for n in names), self.label, self.group, self.id, self.missing)

    def to_dict(self) -> dict[str, Any]:
        """Give JSON values that `columns_from_dict` takes."""
        return asdict(self)


def read_columns(path: str | os.PathLike[str] | None = None) -> Columns:
    """Read a columns file: the named one, `STIBIUM_ORE_COLUMNS`, or the one that comes with the package.

    Raises:
        ColumnFileError: no such file, not TOML, an unknown key, a variable without what it needs, a name twice.
    """
    path = path if path is not None else os.environ.get(COLUMNS_ENVIRONMENT_VARIABLE) or None
    if path is None:
        name = "default_columns.toml"
        return parse_columns(Path(__file__).with_name(name).read_text("utf-8"), name)
    return parse_columns(read_text(path, ColumnFileError), os.fspath(path))


def parse_columns(text: str, source: str) -> Columns:
    """Read a columns file's TOML text; `source` is what errors name. Raises ColumnFileError."""
    document = parse_toml(text, source, ColumnFileError)
    if "variable" in document:
        document["variables"] = document.pop("variable")
    return columns_from_dict(document, source)


def columns_from_dict(document: Mapping[str, Any], source: str) -> Columns:
    """Read what `Columns.to_dict` gave, or a parsed TOML file. Raises ColumnFileError, naming `source`."""
    refuse_unknown(document, ("id", "group", "missing", "label", "variables"), source, ColumnFileError)
    entries = document.get("variables", [])
    if not isinstance(entries, (list, tuple)) or not entries or not all(isinstance(e, dict) for e in entries):
        raise ColumnFileError(f"{source}: no variable; write a [[variable]] section for each")
    variables = tuple(_variable(entry, f"{source}: variable {i}") for i, entry in enumerate(entries, 1))
    columns = Columns(
        variables=variables,
        label=_label(document["label"], source) if document.get("label") is not None else None,
        group=text_of(document, "group", source, ColumnFileError),
        id=text_of(document, "id", source, ColumnFileError),
        missing=texts_of(document, "missing", source, ColumnFileError, MISSING),
    )
    for what, names in (("variable", [v.name for v in variables]), ("column", _used(columns))):
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ColumnFileError(f"{source}: {what} {twice[0]!r} is named twice")
    return columns


def _used(columns: Columns) -> list[str]:
    others = [columns.group, columns.id, columns.label.column if columns.label else ""]
    return [*(v.column for v in columns.variables), *filter(None, others)]


def _variable(entry: Mapping[str, Any], where: str) -> Variable:
    refuse_unknown(entry, ("name", "column", "kind", "unit", "words", "about"), where, ColumnFileError)
    name = text_of(entry, "name", where, ColumnFileError, None)
    where = f"{where} ({name})"
    kind = text_of(entry, "kind", where, ColumnFileError, None)
    if kind not in get_args(Kind):
        raise ColumnFileError(f"{where}: kind = {kind!r}; assay or class is needed")
    unit = text_of(entry, "unit", where, ColumnFileError)
    words = texts_of(entry, "words", where, ColumnFileError)
    if kind == "assay" and (words or not unit):
        raise ColumnFileError(f'{where}: an assay needs a unit, such as unit = "ppm", and has no words')
    if kind == "class" and (unit or len(words) < 2 or not all(words)):
        raise ColumnFileError(f"{where}: a class needs two words or more, lowest first, and has no unit")
    numbers = [word for word in words if word.lstrip("+-").replace(".", "", 1).isdigit()]
    if numbers:
        raise ColumnFileError(f"{where}: the word {numbers[0]!r} is a number; codes 1 to {len(words)} are known anyway")
    return Variable(
        name=name,
        column=text_of(entry, "column", where, ColumnFileError) or name,
        kind="assay" if kind == "assay" else "class",
        unit=unit,
        words=words,
        about=text_of(entry, "about", where, ColumnFileError),
    )


def _label(entry: Any, source: str) -> Label:
    where = f"{source}: label"
    if not isinstance(entry, Mapping):
        raise ColumnFileError(f"{where} is no section; write [label]")
    refuse_unknown(entry, ("column", "ore", "gangue"), where, ColumnFileError)
    label = Label(
        column=text_of(entry, "column", where, ColumnFileError, None),
        ore=texts_of(entry, "ore", where, ColumnFileError, None),
        gangue=texts_of(entry, "gangue", where, ColumnFileError, None),
    )
    if not all(label.ore) or not label.ore or not all(label.gangue) or not label.gangue:
        raise ColumnFileError(f"{where}: words for ore and words for gangue are needed, none of them empty")
    both = {w.casefold() for w in label.ore} & {w.casefold() for w in label.gangue}
    if both:
        raise ColumnFileError(f"{where}: {min(both)!r} would be both ore and gangue")
    return label
