"""`stibium ore`: ore or gangue. `predict` runs on the device; what trains comes with the training side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .lazy import LazyGroup
from .options import log_option
from .output import format_option, say
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..ore.answer import Answer
    from ..ore.table import RefusedRow

DEVICE_ORE_COMMANDS = {"predict": "ore:ore_predict"}
"""Command -> module under this package and name of the click command in it."""


@click.group(
    cls=LazyGroup,
    device=DEVICE_ORE_COMMANDS,
    entry_points="stibium.ore_commands",
    epilog="Example:  stibium ore predict blocks.csv --explain",
)
def ore() -> None:
    """Ore or gangue, from assays, logged classes and the probe."""


@click.command("predict", epilog="Example:  stibium ore predict --at-face --sample F12 --class Sulfetac=High")
@click.argument("table", required=False, type=click.Path())
@click.option(
    "--model",
    type=click.Path(),
    metavar="BUNDLE",
    help="Ore model file.  [default: $STIBIUM_ORE_MODEL, or the shipped model, which is simulated]",
)
@click.option(
    "--columns", type=click.Path(), metavar="FILE", help="TOML file that names the table's columns and words."
)
@click.option("--explain", is_flag=True, help="Say which variables moved each answer (slower on long tables).")
@click.option("--at-face", is_flag=True, help="Ask for one block: classes by eye, As, Sb, Pb, Zn from the probe.")
@click.option("--sample", metavar="ID", help="At the face: the sample whose probe estimates are taken from the log.")
@click.option(
    "--class", "classes", multiple=True, metavar="NAME=WORD", help="At the face: a logged class, not asked for then."
)
@click.option(
    "--assay", "assays", multiple=True, metavar="NAME=VALUE", help="At the face: a value, also '<0.02' or '>900'."
)
@click.option("--no-ask", is_flag=True, help="At the face: what is not given is not known; nothing is asked.")
@click.option(
    "--export",
    "out",
    metavar="OUT",
    type=click.Path(),
    help="Write the answers to this file instead: .csv, .jsonl, or .gpkg for a GIS.",
)
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@log_option
@format_option
@click.pass_context
def ore_predict(
    ctx: click.Context,
    table: str | None,
    model: str | None,
    columns: str | None,
    explain: bool,
    at_face: bool,
    sample: str | None,
    classes: tuple[str, ...],
    assays: tuple[str, ...],
    no_ask: bool,
    out: str | None,
    force: bool,
    log: str | None,
    out_format: str,
) -> None:
    """Call blocks ore or gangue: those of TABLE, or one at the face.

    TABLE is a CSV of blocks. A row that cannot be used is refused with a reason and does not stop the rest. With
    --at-face, classes are asked for one by one (a word, its number, Enter if not known, ? for help), and As, Sb, Pb
    and Zn come from the probe's latest estimates of --sample in the log, as the ranges they are. "Cannot tell" is an
    answer: where the range holds both, where too much is missing, outside what the model was trained on, and for all
    of a hole most of whose blocks are outside.
    """
    from ..ore.bundle import default_ore_bundle_path, read_ore_bundle

    if at_face:
        if table is not None or columns is not None or out is not None:
            raise click.UsageError("--at-face takes no table, no --columns and no --export")
        if sample is None or not sample.strip():
            raise click.UsageError("--at-face needs --sample ID")
        from .ore_face import predict_at_face

        bundle = read_ore_bundle(model if model is not None else default_ore_bundle_path())
        predict_at_face(bundle, sample.strip(), classes, assays, not no_ask, log, out_format)
        return
    if table is None:
        raise click.UsageError("name a table of blocks, or use --at-face")
    if sample is not None or classes or assays or no_ask:
        raise click.UsageError("--sample, --class, --assay and --no-ask belong to --at-face")
    from ..ore.columns import read_columns
    from ..ore.ground import answer_table
    from ..ore.table import iter_blocks
    from .ore_calls import OreCalls
    from .spectra_out import check_out, format_of

    if force and out is None:
        raise click.UsageError("--force belongs to --export OUT")
    if out is not None:
        out_format = format_of(
            out, {".csv": "csv", ".jsonl": "jsonl", ".gpkg": "gpkg"}, "end it in .csv, .jsonl or .gpkg"
        )
        check_out(out, out_format, force)
    bundle = read_ore_bundle(model if model is not None else default_ore_bundle_path())
    named = (bundle.columns if columns is None else read_columns(columns)).meant_by(bundle.columns, bundle.name)
    calls = OreCalls(out_format, bundle, explain)

    def pieces(progress: Progress) -> Iterator[tuple[list[Answer], Sequence[RefusedRow]]]:
        done = 0
        for blocks, answers in answer_table(bundle, iter_blocks(table, named), explain):
            yield answers, blocks.refused
            done += len(blocks.ids) + len(blocks.refused)
            progress.at(done)

    with Progress("blocks", beside=out is None) as progress:
        if out is not None:
            written = calls.export(out, pieces(progress), named.epsg)
        else:
            for answers, refused in pieces(progress):
                calls.show(answers, refused)
    if out is not None:
        say(written, err=True)
    say(calls.summary(), err=True)
    ctx.exit(1 if calls.refused else 0)
