"""`stibium train`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import (
    cell_option,
    control_options,
    data_options,
    exclude_option,
    replicates_option,
    require_training_side,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ..assays.exclusion import Exclusion
    from ..crossval.cache import KeptFits
    from ..crossval.validation import Progress
    from ..ladder import Ladder
    from ..methods.fit import Epoch
    from ..samples import Joined
    from ..training import Trained

OF_DEFAULT = ("folds", "repeats", "group_by", "group_cell")
OF_PUBLISHED = ("recipe", "transform", "epochs", "patience", "batch_size", "learning_rate")
FAST_EPOCHS, FAST_PATIENCE = 60, 15


@contextmanager
def _going_on(out: str) -> Iterator[None]:
    """Say after Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say([f"what is done is kept in {out}: the same command goes on from there"])
        raise


@click.command(epilog="Example:  stibium train --spectra soils/ --assays assays.csv --element Sb --out runs/sb")
@data_options
@control_options
@click.option("--element", required=True, metavar="NAME", help="Column of the assays, such as Sb for Sb_ppm.")
@click.option("--out", required=True, type=click.Path(), metavar="RUN", help="Folder for the run.")
@click.option(
    "--method",
    type=click.Choice(["default", "published"]),
    default="default",
    show_default=True,
    help="default: support vectors and PLSR over several views, in one small network; published: the MobileNetV2 of "
    "Carvalho et al. 2024 by their protocol.",
)
@replicates_option
@exclude_option
@click.option(
    "--group-by", metavar="COLUMN", help="default: column of the assays, such as site, whose groups folds never part."
)
@cell_option
@click.option(
    "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="default: of the cross-validation."
)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=2, show_default=True, help="default: of the cross-validation."
)
@click.option("--no-baselines", is_flag=True, help="Do not hold PLSR, SVR and random forest against the same folds.")
@click.option("--fast", is_flag=True, help="A first look: fewer settings, one repeat, or at most 60 epochs.")
@click.option("--recipe", default="paper", show_default=True, metavar="NAME", help="published: preprocessing preset.")
@click.option(
    "--transform",
    type=click.Choice(["none", "sqrt", "log10"]),
    default="log10",
    show_default=True,
    help="published: space the target is learned in; back from sqrt or log10 an answer is a median, not a mean.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=1000, show_default=True, help="published: at most this many."
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="published: epochs without a lower validation loss before training stops.",
)
@click.option(
    "--bounds",
    type=click.Choice(["likelihood", "check"]),
    default="likelihood",
    show_default=True,
    help="published: what samples known only as a bound (<0.02, >4000) are for. likelihood: two thirds of them are "
    "trained on through the censored (Tobit) likelihood, the others checked; check: all are held against the finished "
    "model, as they always are by the default method. A bound is never taken for a value.",
)
@click.option("--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="published: rows a step.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=3e-3,
    show_default=True,
    help="published: of Adam.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of folds, weights and batches."
)
@click.option("--force", is_flag=True, help="Overwrite a run in RUN.")
@click.option("--no-report", is_flag=True, help="Leave out RUN/report.html, which takes some seconds.")
@click.pass_context
def train(
    ctx: click.Context,
    spectra: tuple[str, ...],
    assays: str,
    controls: tuple[str, ...],
    certified: str | None,
    element: str,
    out: str,
    method: str,
    replicates: str,
    exclude_above: Exclusion | None,
    group_by: str | None,
    group_cell: float | None,
    folds: int,
    repeats: int,
    no_baselines: bool,
    fast: bool,
    recipe: str,
    transform: str,
    epochs: int,
    patience: int,
    bounds: str,
    batch_size: int,
    learning_rate: float,
    seed: int,
    force: bool,
    no_report: bool,
) -> None:
    """Train one element's model on spectra and assays, joined by the sample's name.

    The default model is trained on all samples; a repeated cross-validation, every choice inside its folds, says how
    good it is, beside tuned PLSR, SVR and random forest, and gives its answers their intervals. Censored samples
    (<0.02, >4000) are never taken for values: the model is held against what they say, and the published one learns
    from it (--bounds). Interrupted, the same command goes on where it stopped. The same data and seed give the same
    model. RUN/report.html shows how it went: one file, to be opened in any browser. Exits with 1 if any spectrum was
    refused; the model is made of the others.
    """
    require_training_side()
    from ..assays.exclusion import names_above
    from ..assays.files import AssayFiles
    from ..assays.table import read_assay_table
    from ..bounds import check_bounds, divide_bounds
    from ..evaluate import metrics_table
    from ..methods.fit import Protocol
    from ..run import FITS, check_run_folder, save_run
    from ..samples import load
    from .validate import groups_of

    _refuse_the_others_options(ctx, method)
    protocol = Protocol(
        epochs=min(epochs, FAST_EPOCHS) if fast else epochs,
        patience=min(patience, FAST_PATIENCE) if fast else patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    range_nm = _range_of(recipe) if method == "published" else None
    check_run_folder(out, force)
    files = AssayFiles(assays, controls, certified)
    files.check()
    table = read_assay_table(assays)
    say(table.notes)
    excluded = names_above(table, exclude_above)
    joined = load(spectra, table.assays(element), range_nm, excluded)
    as_bounds: tuple[str, ...] = ()
    if method == "published":
        as_bounds = divide_bounds(joined, bounds, protocol, excluded.limit)  # type: ignore[arg-type]
    say(joined.notes(trained_on=as_bounds))
    kind = "SIMULATED spectra" if joined.simulated else "spectra"
    if len(joined.spectra) == 1:
        kind = kind.removesuffix("a") + "um"
    samples = f"{len(joined.target)} sample{'' if len(joined.target) == 1 else 's'}"
    say([f"{len(joined.spectra)} {kind} of {samples} with {joined.element}"])

    from ..crossval.cache import KeptFits

    kept = KeptFits(Path(out) / FITS)
    if method == "default":
        groups = groups_of(assays, group_by, group_cell)
        grouped = f"cell of {group_cell:g} m" if group_cell is not None else group_by or ""
        with _going_on(out):
            trained = _train_default(
                joined, kept, groups, grouped, replicates, excluded.limit, folds, repeats, not no_baselines, fast, seed
            )
    else:
        from ...edge.model.recipe import RECIPES
        from ..training import Settings

        settings = Settings(
            recipe=RECIPES[recipe],
            transform=transform,  # type: ignore[arg-type]
            replicates=replicates,  # type: ignore[arg-type]
            exclude_above=excluded.limit,
            bounds=bounds,  # type: ignore[arg-type]
            protocol=protocol,
        )
        with _going_on(out):
            trained = _train_published(joined, settings, kept, not no_baselines, fast, out)
    save_run(out, trained)

    say([f"refused {r.source}: {r.reason}" for r in trained.refused])
    if joined.simulated:
        click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
    click.echo(_summary(trained) + "\n")
    columns = [("" if name.endswith(")") else joined.unit, name, m) for name, m in trained.metrics.items()]
    click.echo(metrics_table([(name, unit, m) for unit, name, m in columns]))
    if trained.comparison is not None and len(trained.comparison.scores) > 1:
        from ..crossval.table import comparison_table

        click.echo("\n" + comparison_table(trained.comparison))
    for warning in trained.warnings():
        click.echo("\n" + warning)
    checked = check_bounds(trained)
    if checked is not None:
        click.echo("\n" + checked.line())
    if trained.interval is None:
        say(["too few samples for a 90 % prediction interval (9 are needed): answers will have none"])
    if not no_report:
        from ..report.write import write_training_report

        say([f"report: {write_training_report(out, trained, files, _ladder(out))}"])
    click.echo(f"\nNext: stibium export {out} --out {joined.element.lower()}.tflite")
    ctx.exit(1 if joined.refused or trained.refused else 0)


def _refuse_the_others_options(ctx: click.Context, method: str) -> None:
    others = OF_PUBLISHED if method == "default" else OF_DEFAULT
    for name in others:
        if ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            other = "published" if method == "default" else "default"
            raise click.UsageError(f"--{name.replace('_', '-')} is for --method {other}")
    asked = ctx.get_parameter_source("bounds") == click.core.ParameterSource.COMMANDLINE
    if method == "default" and asked and ctx.params["bounds"] == "likelihood":
        raise click.UsageError(
            "--bounds likelihood is for --method published: support vectors and PLSR have no censored likelihood"
        )


def _range_of(recipe: str) -> tuple[float, float]:
    from ...edge.model.recipe import RECIPES

    if recipe not in RECIPES:
        raise click.BadParameter(f"{recipe!r} is not one of {', '.join(RECIPES)}", param_hint="--recipe")
    return RECIPES[recipe].range_nm


def _train_default(
    joined: Joined,
    kept: KeptFits,
    groups: dict[str, Hashable] | None,
    grouped: str,
    replicates: str,
    exclude_above: float | None,
    folds: int,
    repeats: int,
    baselines: bool,
    fast: bool,
    seed: int,
) -> Trained:
    from ..default_training import DefaultSettings, compare, train_default

    settings = DefaultSettings(
        replicates=replicates,  # type: ignore[arg-type]
        folds=folds,
        repeats=1 if fast else repeats,
        group_by=grouped,
        baselines=baselines,
        fast=fast,
        seed=seed,
        exclude_above=exclude_above,
    )
    shown = FitProgress(joined.element)
    try:
        comparison = compare(joined, settings, groups, kept, shown)
        shown.say("the model itself, on all samples")
        return train_default(
            joined, settings, comparison, groups, lambda done, of: shown.say(f"learning curve, {done} of {of} fits")
        )
    finally:
        shown.close()


def _train_published(
    joined: Joined, settings: object, kept: KeptFits, baselines: bool, fast: bool, out: str
) -> Trained:
    from dataclasses import replace

    from ..run import CHECKPOINT
    from ..training import Settings, check_target, train_model

    assert isinstance(settings, Settings)
    check_target(joined, settings.transform)
    shown = EpochProgress(settings.protocol.epochs)
    try:
        trained = train_model(joined, settings, shown, Path(out) / CHECKPOINT)
    finally:
        shown.close()
    if not baselines:
        return trained
    if any(refusal.sample_id in joined.target for refusal in trained.refused):
        say(["baselines are not compared: some spectra could not be taken by the recipe"])
        return trained
    from ..report.published_comparison import compare_published

    fits = FitProgress(joined.element)
    try:
        return replace(trained, comparison=compare_published(trained, fast, kept, fits))
    finally:
        fits.close()


def _ladder(out: str) -> Ladder:
    from ..ladder import climb_apart

    say(["trying the formats of the network for the report ..."])
    return climb_apart(out)


def _summary(trained: Trained) -> str:
    record = trained.record
    if trained.validation:
        return (
            f"{trained.joined.element}: {len(trained.training)} samples for training{_as_bounds(trained)}, "
            f"{len(trained.validation)} for validation; best epoch {record['best_epoch']} of {len(record['history'])}"
        )
    folds = trained.comparison.folds if trained.comparison is not None else ""
    return (
        f"{trained.joined.element}: {len(trained.training)} samples, all of them trained on; {folds}\n"
        f"{record['chosen']}"
    )


def _as_bounds(trained: Trained) -> str:
    n = len(trained.bounds_trained_on)
    return f" and {n} known as a bound only" if n else ""


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


class FitProgress:
    """Shows on a terminal's last line how many fits are done and how long the others will take."""

    def __init__(self, element: str) -> None:
        self._element = element
        self._terminal = sys.stderr.isatty()

    def __call__(self, progress: Progress) -> None:
        """Show how far a comparison has come."""
        minutes, seconds = divmod(round(progress.remaining_s), 60)
        self.say(f"{progress.done} of {progress.total} fits, about {minutes}:{seconds:02d} left")

    def say(self, line: str) -> None:
        """Show a line in place of the last one."""
        if self._terminal:
            click.echo(f"\r\x1b[K{self._element}: {line}", nl=False, err=True)

    def close(self) -> None:
        """Clear the line."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)
