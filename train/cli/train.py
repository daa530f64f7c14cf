"""`stibium train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ...edge.cli.finite import FiniteRange
from ...edge.cli.options import workers_of, workers_options
from ..errors import require_training_side
from ..methods.method import DeviceMethod
from ..methods.registry import DEVICE_METHODS, FORMER_NAMES
from ..methods.teachers import TEACHERS
from ..terminal import ProgressLine
from .common import (
    DataOptions,
    F,
    ReadBy,
    data_options,
    group_options,
    groups_of,
    leave_out_option,
    say,
    simulated_note,
)

if TYPE_CHECKING:
    from ..moisture import Differences
    from ..samples import Samples
    from ..training import Trained


@contextmanager
def _going_on(out: str) -> Iterator[None]:
    """Say after Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say([f"what is done is kept in {out}: the same command goes on from there"])
        raise


def _type_of(field: Any) -> click.ParamType | type:  # type: ignore[type-arg]
    limits = field.metadata
    if "reader" in limits:
        return ReadBy(limits["reader"])
    if "choices" in limits:
        return click.Choice(limits["choices"])
    if isinstance(field.default, int):
        return click.IntRange(min=limits.get("least"))
    if isinstance(field.default, float):
        return FiniteRange(min=limits.get("above"), min_open=True)
    return str


class _MethodName(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """The name of a method, or one that it had in earlier versions."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Take a former name for what it was, and say so; say of a method without a network how it is carried over."""
        spelt = str(value).lower().replace("-", " ").replace("_", " ")
        taught = next((name for name in TEACHERS if name.lower() == spelt), None)
        if taught is not None and spelt not in DEVICE_METHODS:
            self.fail(
                f"{taught} has no network of its own that a device could run; distil it: "
                f'--method {next(iter(DEVICE_METHODS))} --teacher "{taught}"',
                param,
                ctx,
            )
        if spelt in DEVICE_METHODS:
            value = spelt
        if value in FORMER_NAMES:
            say([f"--method {value} is called {FORMER_NAMES[value]} now; left out, it is {next(iter(DEVICE_METHODS))}"])
        return super().convert(FORMER_NAMES.get(value, value), param, ctx)


def method_options(command: F) -> F:
    """Give a command `--method`, `--fast` and every option of a method, and it the method as its argument `method`."""
    of: dict[str, list[str]] = {}
    known: dict[str, Any] = {}
    for key, method in DEVICE_METHODS.items():
        for field in fields(method):
            if field.metadata:
                of.setdefault(field.name, []).append(key)
                known[field.name] = field

    @wraps(command)
    def packed(ctx: click.Context, /, method: str, fast: bool, **given: Any) -> Any:
        chosen = {}
        for name, methods in of.items():
            value = given.pop(name)
            given_by_hand = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
            if method in methods:
                chosen[name] = value
            # What every method does anyway may be asked of each.
            elif given_by_hand and value != known[name].metadata.get("elsewhere"):
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{option} {value} is for --method {' or '.join(methods)}")
        return command(ctx, method=DEVICE_METHODS[method](fast=fast, **chosen), **given)

    for name, field in reversed(known.items()):
        packed = click.option(
            f"--{name.replace('_', '-')}",
            type=_type_of(field),
            default=field.default,
            show_default=True,
            metavar=field.metadata.get("metavar"),
            help=f"{', '.join(of[name])}: {field.metadata['about']}."
            if len(of[name]) < len(DEVICE_METHODS)
            else f"{field.metadata['about'][:1].upper()}{field.metadata['about'][1:]}.",
        )(packed)
    packed = click.option("--fast", is_flag=True, help="A first look: fewer settings, one repeat, fewer epochs.")(
        packed
    )
    return click.option(
        "--method",
        type=_MethodName(list(DEVICE_METHODS)),
        default=next(iter(DEVICE_METHODS)),
        show_default=True,
        help="; ".join(f"{key}: {method.about}" for key, method in DEVICE_METHODS.items()) + ".",
    )(packed)


@click.command(epilog="Example:  stibium train --spectra soils/ --assays assays.csv --element Sb --out runs/sb")
@click.pass_context
@data_options
@click.option("--element", required=True, metavar="NAME", help="Column of the assays, such as Sb for Sb_ppm.")
@click.option("--out", required=True, type=click.Path(), metavar="RUN", help="Folder for the run.")
@method_options
@group_options
@workers_options
@click.option(
    "--library",
    type=click.Path(),
    metavar="FILE",
    help="mobilenetv2: a table of other people's soils with spectra and values of the same element. How much of it "
    "helps is chosen on your own soils, nothing at all included; intervals and domain stay those of your own.",
)
@click.option(
    "--moisture-pairs",
    "moisture_pairs",
    type=click.Path(),
    metavar="TABLE",
    help="Soils scanned dry, and damp or wet (column condition, or folders); they need no assays and need not be the "
    "calibration's. Other people's soils, which come with the package, are taken too; 'shipped' takes these alone.",
)
@click.option(
    "--sessions",
    type=click.Path(dir_okay=False),
    metavar="LOG",
    help="A log in which soils were measured in several sessions under one name, such as a jar each morning: what a "
    "session changes goes into interval and applicability domain.",
)
@leave_out_option
@click.option("--no-baselines", is_flag=True, help="Hold no other methods against the same folds.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of folds, weights and batches."
)
@click.option("--force", is_flag=True, help="Overwrite a run in RUN.")
@click.option("--no-report", is_flag=True, help="Leave out RUN/report.html, which takes some seconds.")
def train(
    ctx: click.Context,
    data: DataOptions,
    element: str,
    out: str,
    method: DeviceMethod,
    group_by: str | None,
    group_cell: float | None,
    library: str | None,
    moisture_pairs: str | None,
    sessions: str | None,
    leave_out_refused: bool,
    no_baselines: bool,
    jobs: int,
    scheduler: str,
    seed: int,
    force: bool,
    no_report: bool,
) -> None:
    """Train one element's model on spectra and assays, joined by the sample's name.

    The MobileNetV2 is taught by the model that --teacher names, on all samples; a repeated cross-validation, every
    choice inside its folds, says how good it is as quantised for a device, beside other tuned methods (PLSR, SVR,
    random forest; without --fast ridge, a Gaussian process, local PLSR and, where it is installed, Cubist too), and
    gives its answers their intervals. Censored samples
    (<0.02, >4000) are never taken for values: the model is held against what they say, and the published one learns
    from it (--bounds). Interrupted, the same command goes on where it stopped. The same data and seed give the same
    model. RUN/report.html shows how it went: one file, to be opened in any browser. Exits with 1 if any spectrum was
    refused; the model is made of the others.
    """
    require_training_side()
    from ..crossval.cache import KeptFits
    from ..methods.mobilenetv2 import MobileNetV2
    from ..methods.teachers import find_teacher
    from ..run import CHECKPOINT, FITS, check_run_folder, remove_if_empty, save_run
    from ..samples import held_as_on_device
    from ..training import TrainingOptions
    from ..training import train as train_model

    if method.holds_out and (group_by is not None or group_cell is not None):
        others = " or ".join(key for key, other in DEVICE_METHODS.items() if not other.holds_out)
        raise click.UsageError(f"--group-by and --group-cell are for --method {others}")
    for option, given in (("--moisture-pairs", moisture_pairs), ("--sessions", sessions)):
        if method.holds_out and given is not None:
            others = " or ".join(key for key, other in DEVICE_METHODS.items() if not other.holds_out)
            raise click.UsageError(f"{option} is for --method {others}")
    if method.recipe is not None and moisture_pairs is not None:
        raise click.UsageError(
            "--recipe and --moisture-pairs exclude each other: the correction has its own place in it"
        )
    if library is not None and moisture_pairs is not None:
        raise click.UsageError("--library and --moisture-pairs exclude each other: a library's soils are not corrected")
    if isinstance(method, MobileNetV2):
        # Before tables and spectra are read: a name that is no teacher's costs nobody minutes.
        find_teacher(method.teacher, method.fast)
    check_run_folder(out, force)
    ctx.call_on_close(lambda: remove_if_empty(out))
    pairs = _pairs(moisture_pairs)
    repeated = _sessions(sessions)
    known = data.read()
    groups = groups_of(data.assays, group_by, group_cell)
    workers = workers_of(ctx, jobs, scheduler)
    samples = known.load(element, method.range_nm, groups, workers=workers)
    samples = held_as_on_device(samples, data.replicates, method.range_nm, leave_out_refused)
    if library is not None:
        method, samples = _with_library(method, samples, library)
    options = TrainingOptions(
        replicates=data.replicates,
        baselines=not no_baselines,
        seed=seed,
        exclude_above=known.excluded.limit,
        group_by=f"cell of {group_cell:g} m" if group_cell is not None else group_by or "",
    )
    say(samples.notes(trained_on=method.learn_from(samples, options.exclude_above)))
    kind = "SIMULATED spectr" if samples.simulated else "spectr"
    kind += "um" if len(samples.spectra) == 1 else "a"
    count = f"{len(samples.target)} sample{'' if len(samples.target) == 1 else 's'}"
    say([f"{len(samples.spectra)} {kind} of {count} with {samples.element}"])
    with _going_on(out), ProgressLine(samples.element) as line:
        kept, checkpoint = KeptFits(Path(out) / FITS), Path(out) / CHECKPOINT
        trained = train_model(
            samples, method, options, kept, line.show, checkpoint, pairs=pairs, workers=workers, sessions=repeated
        )
    save_run(out, trained)

    say([f"refused {r.source}: {r.reason}" for r in trained.refused])
    click.echo(simulated_note(samples.simulated) + _summary(trained))
    if trained.interval is None:
        say(["too few samples for a 90 % prediction interval (9 are needed): answers will have none"])
    if not no_report:
        from ..formats import compare_formats_apart
        from ..report.write import write_training_report

        say(["trying the formats of the network for the report ..."])
        say([f"report: {write_training_report(out, trained, known.files, compare_formats_apart(out))}"])
    click.echo(f"\nNext: stibium export {out} --out {samples.element.lower()}.tflite")
    ctx.exit(1 if samples.refused or trained.refused else 0)


def _with_library(method: DeviceMethod, samples: Samples, path: str) -> tuple[DeviceMethod, Samples]:
    """Give the method a library, and the samples a hash that says so: fits that are kept are of both."""
    import hashlib
    from dataclasses import replace

    from ..library import read_library
    from ..methods.mobilenetv2 import MobileNetV2

    if not isinstance(method, MobileNetV2):
        raise click.UsageError(f"--library is for --method {MobileNetV2.key}")
    library = read_library(path, samples)
    say([f"library {path}: {len(library.target)} soils with {library.element}", *library.notes()])
    both = hashlib.sha256(f"{samples.sha256} {library.sha256}".encode()).hexdigest()
    return replace(method, library=library), replace(samples, sha256=both)


def _pairs(path: str | None) -> Differences | None:
    if path is None:
        return None
    from ..moisture import read_pairs

    pairs = read_pairs(path)
    scanned = set(zip(pairs.soils, pairs.conditions, strict=True))
    counts = ", ".join(f"{sum(one == state for _, one in scanned)} {state}" for state in pairs.states)
    say([*pairs.notes, f"water by {pairs.source}: {counts}"])
    return pairs


def _sessions(path: str | None) -> Differences | None:
    if path is None:
        return None
    from ..sessions import read_sessions

    found = read_sessions(path)
    say([f"sessions by {found.source}: {len(found.soils) // 2} times measured again"])
    return found


def _summary(trained: Trained) -> str:
    from ..crossval.table import comparison_table
    from ..evaluate import conditions_table, metrics_table

    element, unit = trained.samples.element, trained.samples.unit
    if trained.validation:
        bounds = len(trained.censored_trained_on)
        head = (
            f"{element}: {len(trained.training)} samples for training"
            + (f" and {bounds} known as a bound only" if bounds else "")
            + f", {len(trained.validation)} for validation; {trained.model.chosen}"
        )
    else:
        head = (
            f"{element}: {len(trained.training)} samples, all of them trained on; {trained.comparison.folds}\n"
            f"{trained.model.chosen}"
        )
    parts = [
        head,
        metrics_table([(name, "" if name.endswith(")") else unit, m) for name, m in trained.metrics.items()]),
        *([conditions_table(trained.by_condition, unit)] if len(trained.by_condition) > 1 else []),
        *([comparison_table(trained.comparison)] if len(trained.comparison.scores) > 1 else []),
        "\n".join(trained.detection_lines()),
        trained.influence(),
        *trained.warnings(),
        *([trained.censored.line()] if trained.censored is not None else []),
    ]
    return "\n\n".join(part for part in parts if part)
