"""`stibium ore simulate`."""

from __future__ import annotations

import click

from ..cli.common import say, simulation_options
from ..terminal import ProgressLine


@click.command(epilog="Example:  stibium ore simulate --out deposit --seed 42")
@simulation_options
@click.option(
    "--blocks",
    type=click.IntRange(min=1),
    default=67_300,
    show_default=True,
    metavar="N",
    help="Blocks to simulate, each a metre of a drill hole.",
)
def simulate(folder: str, blocks: int, seed: int, force: bool) -> None:
    """Write a SIMULATED gold deposit: drill holes, assays, logged classes, ore or gangue.

    Variables and relations follow Costa, Carneiro & Ulsen 2025, whose data are not public. DIR gets blocks.csv, the
    columns.toml that describes it, and a README.
    """
    from .deposit import simulate_deposit
    from .deposit_files import write_deposit

    with ProgressLine() as line:
        line.show("simulating")
        deposit = simulate_deposit(blocks, seed)
        table = write_deposit(folder, deposit, force, lambda made: line.count("blocks", made, blocks))
    say(
        [
            f"{blocks} simulated blocks of {int(deposit.hole.max()) + 1} drill holes, "
            f"{100 * deposit.ore.mean():.0f} % of them ore, in {table}"
        ]
    )
