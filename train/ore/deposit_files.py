"""A simulated deposit on disk: the table of blocks as a laboratory and a logger would hand it over, and a note."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from ...converters.spectra.files import replacing
from ...edge import ore as edge_ore
from ...edge.ore.columns import parse_columns
from ..simulate.files import README, make_room, write_text
from .deposit import ASSAYS, CLASSES, LOGGED, Deposit

TABLE, COLUMNS = "blocks.csv", "columns.toml"
_FIRST_LINE = "These blocks are simulated. No drill has met them."

# Limits of the method and the decimals it reports, as a commercial four-acid ICP package and a fire assay have them.
_LIMITS = {
    "Au": (0.01, 100.0, 2),
    "As": (5.0, 10_000.0, 0),
    "S": (0.01, 10.0, 2),
    "Pb": (2.0, 10_000.0, 0),
    "Zn": (2.0, 10_000.0, 0),
    "Cu": (1.0, 10_000.0, 0),
}
_ABSENT = ("", "NA")


def write_deposit(
    folder: str | os.PathLike[str],
    deposit: Deposit,
    replace: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write `blocks.csv`, `columns.toml` and `README.txt` into a folder, which is made if need be.

    The same deposit gives the same bytes. The table's first line says that it is simulated, so that it does wherever
    it is copied to.

    Args:
        folder: where to.
        deposit: what `simulate_deposit` returned.
        replace: overwrite an earlier deposit in the folder; whatever else is in it stays.
        progress: called with the number of rows written so far.

    Returns:
        The table's path.

    Raises:
        OccupiedFolderError: the folder holds files, and `replace` is not set or they are no simulated deposit.
        OSError: the folder or a file cannot be written.
    """
    out = Path(folder)
    make_room(out, _FIRST_LINE, replace)
    write_text(out / README, _readme(deposit))
    write_text(out / COLUMNS, _columns())
    with replacing(os.fspath(out / TABLE)) as file:
        for made, line in enumerate(_lines(deposit)):
            file.write(line)
            if progress is not None and made % 5000 == 0:
                progress(made)
    return out / TABLE


def _lines(deposit: Deposit) -> Iterator[bytes]:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")

    def taken() -> bytes:
        line = text.getvalue().encode()
        text.seek(0)
        text.truncate()
        return line

    columns = parse_columns(_columns(), COLUMNS)
    headers = {v.name: v.column for v in columns.variables}
    text.write(f"# SIMULATED deposit, seed {deposit.seed}: stibium ore simulate\n")
    table.writerow(
        ["block", "hole", "east_m", "north_m", "depth_m", *(headers[n] for n in (*ASSAYS, *LOGGED)), "label"]
    )
    yield taken()
    number, last = 0, -1
    for i, hole in enumerate(deposit.hole.tolist()):
        number = number + 1 if hole == last else 1
        last = hole
        name = f"SIM{hole + 1:04d}"
        # Adding nothing makes -0.0 a plain 0.
        east, north, depth = (deposit.places_m[i].round(1) + 0.0).tolist()
        absent = deposit.missing[i].tolist()
        assays = [
            _ABSENT[(i + j) % 2] if absent[j] else report(element, float(deposit.assays[i, j]))
            for j, element in enumerate(ASSAYS)
        ]
        words = ["" if absent[len(ASSAYS) + j] else CLASSES[code] for j, code in enumerate(deposit.classes[i].tolist())]
        label = "ore" if deposit.ore[i] else "gangue"
        table.writerow(
            [f"{name}-{number:03d}", name, f"{east:.1f}", f"{north:.1f}", f"{depth:.1f}", *assays, *words, label]
        )
        yield taken()


def report(element: str, value: float) -> str:
    """Write a concentration as a laboratory does: rounded, `<` its lower limit or `>` its upper one."""
    low, high, decimals = _LIMITS[element]
    if value < low:
        return f"<{low:g}"
    if value > high:
        return f">{high:g}"
    return f"{value:.{decimals}f}"


def _columns() -> str:
    text = resources.files(edge_ore).joinpath("default_columns.toml").read_text("utf-8")
    places = 'x = "east_m"\ny = "north_m"\nz = "depth_m"\n'
    return f"# Columns of the simulated table {TABLE}.\n{places}{text}"


def _readme(deposit: Deposit) -> str:
    return f"""{_FIRST_LINE}

Made by: stibium ore simulate, seed {deposit.seed}
{len(deposit.ore)} blocks in {int(deposit.hole.max()) + 1} drill holes

{TABLE}: assays (Au As Pb Zn Cu in ppm, S in percent) with detection limits (<5, >10000) and missing values,
ten classes logged by eye as Low, Medium, High, and the label: ore where the true grade is above
{deposit.cutoff_g_t:g} g/t. The true grade itself is not in the table; the assay of Au is an uncertain view of it.
{COLUMNS}: what the columns are, for stibium ore train --columns.

The variables and the relations between them follow Costa, Carneiro & Ulsen 2025, Geosciences 15(7):248. How well a
model does on these blocks says something about the software and nothing about the ground.
"""
