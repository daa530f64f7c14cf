"""`stibium simulate`."""

from __future__ import annotations

import click

from .common import simulation_options


@click.command(epilog="Example:  stibium simulate --out soils --seed 42")
@simulation_options
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Soils to simulate: the published 107 by default. Fewer takes the first of them; more draws further "
    "soils like them, named SIM0001 onwards.",
)
@click.option(
    "--points",
    type=click.IntRange(1, 99),
    default=5,
    show_default=True,
    metavar="N",
    help="Measuring points per soil.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["asd", "table"]),
    default="asd",
    show_default=True,
    help="A binary .asd file per point, or one spectra.csv.gz.",
)
def simulate(folder: str, samples: int | None, points: int, seed: int, form: str, force: bool) -> None:
    """Write simulated contact-probe spectra of soils, and their assays.

    The soils are the 107 published analyses (Sb, As, Pb, Mn, Zn); their spectra are simulated, since no public
    file pairs soil spectra with antimony. Each spectrum says so. The same seed gives the same files.
    """
    from ..simulate.files import ASSAYS, write_simulation
    from ..simulate.simulate import simulate as set_up
    from ..terminal import ProgressLine

    simulated = set_up(samples, points, seed)
    soils = len(simulated.soils)
    total = soils * points

    def show(made: int) -> None:
        if made % 50 == 0 or made == total:
            line.show(f"{made} of {total} spectra")

    with ProgressLine() as line:
        count = write_simulation(folder, simulated, form, force, show)  # type: ignore[arg-type]
    click.echo(f"{count} simulated spectra of {soils} soils and {ASSAYS} in {folder}", err=True)
