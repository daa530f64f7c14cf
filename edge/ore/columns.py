"""What the columns of a table of blocks are: a TOML file names the variables, their units and their classes' words.

The default file describes the variables of Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248: six assays, and ten
classes that a geologist logs by eye as Low, Medium or High.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from ..errors import ColumnFileError
from ..toml_file import Where, parse_toml, read_names, read_section, read_text

Kind = Literal["assay", "class"]
_Names = Annotated[tuple[str, ...], read_names]
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
    words: _Names = ()
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
    ore: _Names
    gangue: _Names


def _read_variables(entries: Any, where: Where) -> tuple[Variable, ...]:
    if not isinstance(entries, (list, tuple)) or not entries or not all(isinstance(e, Mapping) for e in entries):
        raise where.says("no variable; write a [[variable]] section for each")
    return tuple(_read_variable(entry, i, where) for i, entry in enumerate(entries, 1))


def _read_variable(entry: Mapping[str, Any], number: int, outer: Where) -> Variable:
    name = entry.get("name", "")
    where = Where(f"{outer.source}: variable {number}" + (f" ({name})" if name else ""), outer.error)
    read = read_section(Variable, {"column": name, **entry}, where)
    words = read.words
    if read.kind == "assay" and (words or not read.unit):
        raise where.says('an assay needs a unit, such as unit = "ppm", and has no words')
    if read.kind == "class" and (read.unit or len(words) < 2 or not all(words)):
        raise where.says("a class needs two words or more, lowest first, and has no unit")
    numbers = [word for word in words if word.lstrip("+-").replace(".", "", 1).isdigit()]
    if numbers:
        raise where.says(f"the word {numbers[0]!r} is a number; codes 1 to {len(words)} are known anyway")
    return read


def _read_label(entry: Any, where: Where) -> Label | None:
    if entry is None:
        return None
    label = read_section(Label, entry, where)
    if not all(label.ore) or not label.ore or not all(label.gangue) or not label.gangue:
        raise where.says("label: words for ore and words for gangue are needed, none of them empty")
    both = {w.casefold() for w in label.ore} & {w.casefold() for w in label.gangue}
    if both:
        raise where.says(f"label: {min(both)!r} would be both ore and gangue")
    return label


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

    variables: Annotated[tuple[Variable, ...], _read_variables]
    label: Annotated[Label | None, _read_label] = None
    group: str = ""
    id: str = ""
    missing: _Names = MISSING

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
    # A file that says no variable is told so, not which key is missing.
    columns = read_section(Columns, {"variables": [], **document}, Where(source, ColumnFileError))
    variables = columns.variables
    for what, names in (("variable", [v.name for v in variables]), ("column", _used(columns))):
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ColumnFileError(f"{source}: {what} {twice[0]!r} is named twice")
    return columns


def _used(columns: Columns) -> list[str]:
    others = [columns.group, columns.id, columns.label.column if columns.label else ""]
    return [*(v.column for v in columns.variables), *filter(None, others)]
