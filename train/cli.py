"""`stibium train`, `stibium export`, `stibium evaluate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..converters.spectra.errors import StibiumError

if TYPE_CHECKING:
    from .fit import Epoch

F = TypeVar("F", bound=Callable[..., Any])

NEEDS_TRAIN = "needs the training side, which is not installed here: pip install 'stibium[train]'"


class MissingTrainingSideError(StibiumError, ImportError):
    """TensorFlow and its companions are not installed."""


def data_options(command: F) -> F:
    """`--spectra` and `--assays`."""
    for option in (
        click.option(
            "--assays", required=True, type=click.Path(), metavar="CSV", help="Laboratory values, one row a sample."
        ),
        click.option(
            "--spectra",
            required=True,
            multiple=True,
            type=click.Path(),
            metavar="PATH",
            help="File or folder of spectra; may be given several times.",
        ),
    ):
        command = option(command)
    return command


def replicates_option(command: F) -> F:
    """`--replicates`: what to do with several measurements of a sample."""
    return click.option(
        "--replicates",
        type=click.Choice(["average", "each"]),
        default="average",
        show_default=True,
        help="One mean spectrum a sample, or every measurement by itself.",
    )(command)


def exclude_option(command: F) -> F:
    """`--exclude-above`: the paper's rule for outliers."""
    return click.option(
        "--exclude-above",
        type=click.FloatRange(min=0, min_open=True),
        metavar="VALUE",
        help="Leave out samples above this, in the assays' unit (the paper: 1000 ppm Sb).",
    )(command)


@click.command(epilog="Example:  stibium train --spectra soils/ --assays assays.csv --element Sb --out runs/sb")
@data_options
@click.option("--element", required=True, metavar="NAME", help="Column of the assays, such as Sb for Sb_ppm.")
@click.option("--out", required=True, type=click.Path(), metavar="RUN", help="Folder for the run.")
@click.option("--recipe", default="paper", show_default=True, metavar="NAME", help="Preprocessing preset.")
@click.option(
    "--transform",
    type=click.Choice(["none", "sqrt", "log10"]),
    default="log10",
    show_default=True,
    help="Space the target is learned in; back from sqrt or log10 an answer is a median, not a mean.",
)
@replicates_option
@exclude_option
@click.option("--epochs", type=click.IntRange(min=1), default=1000, show_default=True, help="At most this many.")
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Epochs without a lower validation loss before training stops.",
)
@click.option("--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="Rows a step.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=3e-3,
    show_default=True,
    help="Of Adam.",
)
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of weights and batches.")
@click.option("--force", is_flag=True, help="Overwrite a run in RUN.")
@click.option("--no-report", is_flag=True, help="Leave out RUN/report.html, which takes some seconds.")
def train(
    spectra: tuple[str, ...],
    assays: str,
    element: str,
    out: str,
    recipe: str,
    transform: str,
    replicates: str,
    exclude_above: float | None,
    epochs: int,
    patience: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    force: bool,
    no_report: bool,
) -> None:
    """Train one element's model on spectra and assays, joined by the sample's name.

    The defaults are the published protocol: a third of the samples for validation, batches of 64, early stopping,
    at most 1000 epochs. Samples whose value is censored (<0.02, >4000) are left out. The same data and seed give
    the same model. RUN/report.html shows how it went: one file, to be opened in any browser.
    """
    require_training_side()
    from ..edge.preprocess import RECIPES
    from .assays import read_assays
    from .dataset import load
    from .evaluate import metrics_table
    from .fit import Protocol
    from .run import check_run_folder, save_run
    from .training import Settings, check_target, train_model

    if recipe not in RECIPES:
        raise click.BadParameter(f"{recipe!r} is not one of {', '.join(RECIPES)}", param_hint="--recipe")
    check_run_folder(out, force)
    joined = load(spectra, read_assays(assays, element), RECIPES[recipe].range_nm, exclude_above)
    say(joined.notes())
    settings = Settings(
        recipe=RECIPES[recipe],
        transform=transform,  # type: ignore[arg-type]
        replicates=replicates,  # type: ignore[arg-type]
        exclude_above=exclude_above,
        protocol=Protocol(
            epochs=epochs, patience=patience, batch_size=batch_size, learning_rate=learning_rate, seed=seed
        ),
    )
    check_target(joined, settings.transform)
    kind = "SIMULATED spectra" if joined.simulated else "spectra"
    say([f"{len(joined.spectra)} {kind} of {len(joined.target)} samples with {joined.element}"])

    shown = EpochProgress(epochs)
    try:
        trained = train_model(joined, settings, shown)
    finally:
        shown.close()
    save_run(out, trained)

    say([f"refused {r.source}: {r.reason}" for r in trained.refused])
    history = trained.fitted.history
    if joined.simulated:
        click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
    click.echo(
        f"{joined.element}: {len(trained.training)} samples for training, {len(trained.validation)} for validation; "
        f"best epoch {trained.fitted.best_epoch} of {len(history)}\n"
    )
    units = [joined.unit if name in ("training", "validation") else "" for name in trained.metrics]
    click.echo(metrics_table([(name, unit, m) for unit, (name, m) in zip(units, trained.metrics.items(), strict=True)]))
    if trained.interval is None:
        say(["too few validation samples for a 90 % prediction interval (9 are needed): answers will have none"])
    if not no_report:
        from .report.write import write_training_report

        say([f"report: {write_training_report(out, trained, assays)}"])
    click.echo(f"\nNext: stibium export {out} --quantise float16 --out {joined.element.lower()}.tflite")


@click.command(epilog="Example:  stibium export runs/sb --quantise float16 --out sb.tflite")
@click.argument("run", type=click.Path())
@click.option(
    "--quantise",
    type=click.Choice(["int8", "int16x8", "dynamic", "float16", "float32"]),
    default="float16",
    show_default=True,
    help="Format of the network: float16 answers alike in every runtime; the integer formats are for devices "
    "without floating point, and round.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Bundle to write.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How the parity report is written.",
)
def export(run: str, quantise: str, out: str, out_format: str) -> None:
    """Make a run's model into a bundle, and show that the device answers as the trained model did.

    The validation spectra go through Keras and through the exported file in this machine's TFLite runtime. An
    export that adds more than 10 % to the model's RMSE, or differs from it by more than half of that RMSE, is
    broken rather than rounded: it is reported and not written.
    """
    require_training_side()
    import json

    from ..converters.models.parity import check_parity
    from ..edge.bundle import write_bundle
    from .export import export_run
    from .run import load_run

    if not Path(out).absolute().parent.is_dir():
        raise click.BadParameter(f"{Path(out).absolute().parent} is no folder", param_hint="--out")
    loaded = load_run(run)
    exported = export_run(loaded, (quantise,))[quantise]  # type: ignore[arg-type,index]
    if out_format == "json":
        click.echo(json.dumps({"quantisation": quantise, "simulated": loaded.simulated, **exported.parity.to_dict()}))
    else:
        if loaded.simulated:
            click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
        click.echo(exported.parity.table())
    check_parity(exported.parity, quantise)
    write_bundle(out, exported.bundle)
    size = Path(out).stat().st_size
    say([f"{out}: {quantise}, {size / 1024:.0f} KB ({len(exported.bundle.model) / 1024:.0f} KB of it the network)"])


@click.command(epilog="Example:  stibium evaluate sb.tflite --spectra soils/ --assays assays.csv --held-out")
@click.argument("bundle", type=click.Path())
@data_options
@replicates_option
@exclude_option
@click.option("--held-out", is_flag=True, help="Only samples that the model was not trained on, by their names.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "json", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="How the figures are written.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write a page with figures, one .html file to be opened in any browser.",
)
@click.pass_context
def evaluate(
    ctx: click.Context,
    bundle: str,
    spectra: tuple[str, ...],
    assays: str,
    replicates: str,
    exclude_above: float | None,
    held_out: bool,
    out_format: str,
    report: str | None,
) -> None:
    """Hold a bundle's answers against laboratory values: R2, RMSE, bias, SEP, RPD, RPIQ, coverage.

    The answers come from the device's own estimator. Censored values are left out. Exits with 1 if any spectrum
    was refused.
    """
    from ..edge.bundle import read_bundle
    from .assays import read_assays
    from .dataset import load
    from .evaluate import evaluate as hold_against
    from .evaluate import held_out_only, write

    if report is not None and not Path(report).absolute().parent.is_dir():
        raise click.BadParameter(f"{Path(report).absolute().parent} is no folder", param_hint="--report")
    loaded = read_bundle(bundle)
    joined = load(spectra, read_assays(assays, loaded.element), loaded.recipe.range_nm, exclude_above)
    say(joined.notes())
    if held_out:
        joined = held_out_only(joined, loaded)
    evaluation = hold_against(loaded, joined, replicates)  # type: ignore[arg-type]
    write(evaluation, out_format, sys.stdout)  # type: ignore[arg-type]
    if report is not None:
        from .report.write import write_evaluation_report

        write_evaluation_report(report, loaded, joined, evaluation, replicates, assays)  # type: ignore[arg-type]
        say([f"report: {report}"])
    ctx.exit(1 if evaluation.refused else 0)


def say(lines: Sequence[str]) -> None:
    """Write remarks to standard error."""
    for line in lines:
        click.echo(line, err=True)


def require_training_side() -> None:
    """Stop in one line where only the device's part is installed.

    Raises:
        MissingTrainingSideError: TensorFlow or scikit-learn is absent.
    """
    from importlib.util import find_spec

    missing = [name for name in ("tensorflow", "sklearn") if find_spec(name) is None]
    if missing:
        raise MissingTrainingSideError(NEEDS_TRAIN)


class EpochProgress:
    """Shows the running epoch on a terminal's last line; says nothing elsewhere."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown_at = 0.0
        self._best = 0.0

    def __call__(self, epoch: Epoch) -> None:
        """Show an epoch, at most five times a second."""
        if epoch.best:
            self._best = epoch.validation_loss
        now = time.monotonic()
        if not self._terminal or (now - self._shown_at < 0.2 and epoch.number < self._epochs):
            return
        self._shown_at = now
        left = (now - self._started) / epoch.number * (self._epochs - epoch.number)
        minutes, seconds = divmod(round(left), 60)
        click.echo(
            f"\r\x1b[Kepoch {epoch.number} of at most {self._epochs}, validation loss {epoch.validation_loss:.3f} "
            f"(best {self._best:.3f}), at most {minutes}:{seconds:02d} left",
            nl=False,
            err=True,
        )

    def close(self) -> None:
        """Clear the line."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)
