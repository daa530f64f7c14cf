"""What the columns of a table of blocks are: a TOML file names the variables, their units and their classes' words.

The default file describes the variables of Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248: six assays, and ten
classes that a geologist logs by eye as Low, Medium or High.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from ..assay_values import MISSING
from ..errors import ColumnFileError
from ..limits import Within
from ..toml_file import Key, Where, parse_toml, read_names, read_section, read_text
from ..units import find_unit, same_unit, shown_unit, split_column

Kind = Literal["assay", "class", "category"]
_Names = Annotated[tuple[str, ...], read_names]
COLUMNS_ENVIRONMENT_VARIABLE = "STIBIUM_ORE_COLUMNS"


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: what scenarios, models and people call it.
        column: the table's column.
        kind: "assay" for a concentration, "class" for what is logged in ordered words, "category" for words without
            an order, such as a lithology.
        unit: of an assay, such as ppm; "" for a class.
        words: of a class, lowest first; the k-th word has the code k, from 1. Of a category in any order.
        about: what is meant, in a few words, for who logs it.
    """

    name: str
    column: str
    kind: Kind
    unit: str = ""
    words: _Names = ()
    about: str = ""

    @property
    def shown_unit(self) -> str:
        """The unit, as people write it."""
        return shown_unit(self.unit)

    @property
    def title(self) -> str:
        """Name with the unit, for people."""
        return f"{self.name} {self.shown_unit}" if self.unit else self.name

    @property
    def coded(self) -> bool:
        """Whether the codes of the words are taken as well; a mine's own rock codes, such as 210, are words."""
        return not any(word.lstrip("+-").replace(".", "", 1).isdigit() for word in self.words)

    @property
    def choices(self) -> str:
        """What may be written for a word."""
        return ", ".join(self.words) + (f" and the codes 1 to {len(self.words)}" if self.coded else "")

    def word(self, code: float) -> str:
        """Give a class's word for its code; the nearest one, for an imputed code lies between."""
        return self.words[min(max(round(code), 1), len(self.words)) - 1]


@dataclass(frozen=True)
class Label:
    """What a block turned out to be: words of a column, or the side of a cut-off on which an assay lies.

    Attributes:
        column: of the table.
        ore, gangue: words for either; none with a cut-off.
        unlabelled: words for blocks of which it is not known; training passes over them, and answers for them.
        cut_off: the value, and `sign` how an ore block's assay stands to it; "" without one.
        variable: whether the column may be a variable as well, although the label is made of it.
    """

    column: str = ""
    ore: _Names = ()
    gangue: _Names = ()
    unlabelled: _Names = ()
    cut_off: float | None = None
    sign: Literal["", ">=", ">", "<=", "<"] = ""
    variable: bool = False

    @property
    def words(self) -> str:
        """Say it in one line."""
        return f"{self.column} {self.sign} {self.cut_off:g}" if self.cut_off is not None else self.column


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
    if read.kind != "assay" and (read.unit or len(words) < 2 or not all(words)):
        order = ", lowest first," if read.kind == "class" else ""
        raise where.says(f"a {read.kind} needs two words or more{order} and has no unit")
    if read.kind == "class" and not read.coded:
        raise where.says(
            f"among the words {', '.join(words)} are numbers; say what they mean, codes 1 to {len(words)} are known "
            'anyway; or, if they have no order, kind = "category"'
        )
    return read


_CUT_OFF = re.compile(r"(.+?)\s*(>=|>|<=|<)\s*([0-9.eE+-]+)").fullmatch


def _read_label(entry: Any, where: Where) -> Label | None:
    if entry is None:
        return None
    if isinstance(entry, str):
        entry = {"column": entry}
    label = read_section(Label, entry, where)
    found = _CUT_OFF(label.column)
    if found is not None and found[1][-1] in "=<>!":
        raise where.says(f"label: {label.column!r} is no cut-off; it is written with >=, >, <= or <")
    if found is not None and label.cut_off is None:
        try:
            label = replace(label, column=found[1], sign=found[2], cut_off=float(found[3]))  # type: ignore[arg-type]
        except ValueError:
            raise where.says(f"label: {found[3]!r} in {label.column!r} is no number") from None
    if not label.column:
        raise where.says("label.column is missing")
    if label.cut_off is not None:
        if label.ore or label.gangue:
            raise where.says(f"label: {label.words} needs no words for ore and gangue; leave them out")
        return label
    if not all(label.ore) or not label.ore or not all(label.gangue) or not label.gangue:
        raise where.says(
            "label: words for ore and words for gangue are needed, none of them empty; or a cut-off, as in label = "
            '"Au_ppm >= 0.5"'
        )
    folded = [{w.casefold() for w in words} for words in (label.ore, label.gangue, label.unlabelled)]
    for i, first in enumerate(folded):
        for second in folded[i + 1 :]:
            if first & second:
                raise where.says(f"label: {min(first & second)!r} would be two of ore, gangue and unlabelled")
    return label


@dataclass(frozen=True)
class Columns:
    """The columns of a table of blocks; "" for one that there is not.

    Attributes:
        variables: in the order in which models take them.
        label: None if no table has one.
        group: of the drill hole or face a block belongs to.
        id: that names a block; rows without one are numbered.
        missing: fields that say "not known".
        area, section: of the part of the mine, which folds may keep whole in place of holes.
        start, end: of the interval's depths, `from` and `to` in the file.
        x, y, z: of the block's place; `epsg` names their reference system.
        wedges: True if a wedge belongs to its parent hole, X195W1 to X195.
    """

    variables: Annotated[tuple[Variable, ...], _read_variables]
    label: Annotated[Label | None, _read_label] = None
    group: str = ""
    id: str = ""
    missing: _Names = MISSING
    area: str = ""
    section: str = ""
    start: Annotated[str, Key("from")] = ""
    end: Annotated[str, Key("to")] = ""
    x: str = ""
    y: str = ""
    z: str = ""
    epsg: Annotated[int | None, Within(1, 999_999)] = None
    wedges: bool = True

    @property
    def roles(self) -> dict[str, str]:
        """Columns that are no variables, by what they are for."""
        roles = {"id": self.id, "group": self.group, "area": self.area, "section": self.section}
        return {role: column for role, column in (roles | self.places).items() if column}

    @property
    def places(self) -> dict[str, str]:
        """Columns that say where a block is, under the names that its answer has for them."""
        return {"from": self.start, "to": self.end, "x": self.x, "y": self.y, "z": self.z}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(v.name for v in self.variables)

    def pick(self, names: Sequence[str], of: str = "") -> Columns:
        """Give these columns with only the named variables, in that order; `of` is what errors say asks for them.

        Raises:
            ColumnFileError: a name is no variable's, or the variable's column is what the label is cut from.
        """
        known = {v.name: v for v in self.variables}
        for name in names:
            if name not in known:
                raise ColumnFileError(
                    f"{of}{': ' if of else ''}no variable {name}{did_you_mean(name, known)}; there are "
                    f"{', '.join(known)}"
                )
            if self.label is not None and known[name].column == self.label.column and not self.label.variable:
                raise ColumnFileError(
                    f"{name} is what the label is made of ({self.label.words}): a model with it would answer by "
                    "looking it up. Leave it out, or say variable = true in [label]"
                )
        return replace(self, variables=tuple(known[n] for n in names))

    def meant_by(self, model: Columns, of: str) -> Columns:
        """Give these columns with a model's variables; they may be called otherwise but not mean something else.

        Raises:
            ColumnFileError: as `pick`, or a variable has another kind, unit or number or order of words.
        """
        picked = self.pick(model.names, of)
        for theirs, ours in zip(picked.variables, model.variables, strict=True):
            alike = theirs.kind == ours.kind and len(theirs.words) == len(ours.words)
            if not (alike and same_unit(theirs.unit, ours.unit)):
                meant = ours.shown_unit if ours.kind == "assay" else f"one of {', '.join(ours.words)}"
                raise ColumnFileError(
                    f"{ours.name}: the model takes it as {ours.kind}, {meant}; the columns file differs"
                )
            codes = {word.casefold(): code for code, word in enumerate(ours.words)}
            for code, word in enumerate(theirs.words):
                if codes.get(word.casefold(), code) != code:
                    raise ColumnFileError(
                        f"{ours.name}: the model has its words in the order {', '.join(ours.words)}; the columns file "
                        f"has {word!r} at another place"
                    )
        return picked

    def to_dict(self) -> dict[str, Any]:
        """Give JSON values that `columns_from_dict` takes."""
        values = asdict(self)
        values |= {"from": values.pop("start"), "to": values.pop("end")}
        if self.label is not None:
            values["label"] = {key: value for key, value in values["label"].items() if value is not None}
        return {key: value for key, value in values.items() if value is not None}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean ...?" for a name much like one of those that are known, else ""."""
    folded = {k.casefold(): k for k in known}
    found = get_close_matches(name.casefold(), folded, 1)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""


def columns_file(path: str | os.PathLike[str] | None = None) -> str | os.PathLike[str] | None:
    """Return the columns file that is named, here or by `STIBIUM_ORE_COLUMNS`; None if none is."""
    return path if path is not None else os.environ.get(COLUMNS_ENVIRONMENT_VARIABLE) or None


def read_columns(path: str | os.PathLike[str] | None = None) -> Columns:
    """Read a columns file: the named one, `STIBIUM_ORE_COLUMNS`, or the one that comes with the package.

    Raises:
        ColumnFileError: no such file, not TOML, an unknown key, a variable without what it needs, a name twice.
    """
    path = columns_file(path)
    if path is None:
        name = "default_columns.toml"
        return parse_columns(Path(__file__).with_name(name).read_text("utf-8"), name)
    return parse_columns(read_text(path, ColumnFileError), os.fspath(path))


def parse_columns(text: str, source: str) -> Columns:
    """Read a columns file's TOML text; `source` is what errors name. Raises ColumnFileError."""
    document = parse_toml(text, source, ColumnFileError)
    if "variable" in document:
        document["variables"] = document.pop("variable")
    columns = columns_from_dict(document, source)
    for variable in columns.variables:
        told = split_column(variable.column) if variable.kind == "assay" else None
        if told and find_unit(variable.unit) and not same_unit(told[1], variable.unit):
            raise ColumnFileError(
                f"{source}: {variable.name} is said to be in {variable.shown_unit}, but its column is "
                f'{variable.column!r}; say unit = "{shown_unit(told[1])}", or rename the column'
            )
    return columns


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
    # What the label is cut from may be described as a variable; `Columns.pick` sees to it that it is none unasked.
    label = columns.label.column if columns.label and columns.label.cut_off is None else ""
    return [*(v.column for v in columns.variables), *columns.roles.values(), *filter(None, [label])]
