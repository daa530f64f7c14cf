"""`stibium export`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ...converters.models.quantise import QUANTISATIONS
from ...edge.cli.output import format_of
from ..errors import require_training_side
from ..methods.registry import DEVICE_METHODS
from .common import check_folder_of, say, simulated_note


@click.command(epilog="Example:  stibium export runs/sb --out sb.tflite")
@click.argument("run", type=click.Path())
@click.option(
    "--quantise",
    type=click.Choice(["auto", *QUANTISATIONS]),
    default="auto",
    show_default=True,
    help="Format of the network. auto: the smallest that adds at most 1 % to the RMSE on unseen samples, at all grades "
    "together and at low, middle and high grade. float16 and float32 answer alike in every runtime; the others round.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Bundle to write.")
@format_of("table", "json", about="How the parity report is written.")
def export(run: str, quantise: str, out: str, out_format: str) -> None:
    """Make a run's model into a bundle, and show that the device answers as the trained model did.

    The validation spectra (those of the calibration where all samples were trained on) go through the trained network
    and through the exported file in this machine's TFLite runtime. An export that adds more than 10 % to the model's
    RMSE, or differs from it by more than half of that RMSE, is broken rather than rounded: it is reported and not
    written.
    """
    require_training_side()
    from ...converters.models.parity import check_parity
    from ...edge.model.bundle import write_bundle
    from ..export import export_run
    from ..formats import export_smallest
    from ..run import load_run

    check_folder_of(out, "--out")
    loaded = load_run(run)
    formats = None
    if quantise == "auto":
        say(["trying the formats of the network ..."])
        formats, exported = export_smallest(loaded)
        quantise = formats.chosen
    else:
        exported = export_run(loaded, (quantise,))[quantise]
    if out_format == "json":
        record = {"quantisation": quantise, "simulated": loaded.bundle.simulated, **exported.parity.to_dict()}
        click.echo(json.dumps(record | ({"ladder": formats.to_dict()} if formats else {})))
    else:
        click.echo(simulated_note(loaded.bundle.simulated), nl=False)
        if formats is not None:
            click.echo(formats.table() + "\n")
        click.echo(exported.parity.table())
    check_parity(exported.parity, quantise, DEVICE_METHODS[loaded.method].formats)
    write_bundle(out, exported.bundle)
    size = Path(out).stat().st_size
    say([f"{out}: {quantise}, {size / 1024:.0f} KB ({len(exported.bundle.model) / 1024:.0f} KB of it the network)"])
