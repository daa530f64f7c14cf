"""`stibium reprocess`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..record import FLAT_NAMES, as_json, as_rows, told
from ..units import shown_unit
from .log_options import reading_options
from .options import jobs_option, load_bundles, log_option, models_option, no_gates_option, stability_option, workers_of
from .output import Layout, Output, format_option
from .progress import Progress
from .readings import refused_reason, remarks

if TYPE_CHECKING:
    from ..log.read import Chosen
    from ..model.bundle import Bundle
    from ..reprocess import Redone

_BEFORE = (
    "shown",
    "interval_shown",
    "verdict",
    "trusted",
    "value",
    "bound",
    "model",
    "model_sha256",
    "estimated_at",
)
"""What stands of the earlier estimate in CSV, under `before_` and its name."""


@click.command(epilog="Example:  stibium reprocess --model sb_2.tflite --dry-run")
@reading_options
@click.option("--dry-run", is_flag=True, help="Show what would come out and store nothing.")
@no_gates_option
@stability_option
@models_option
@jobs_option
@log_option
@format_option
@click.pass_context
def reprocess(
    ctx: click.Context,
    chosen: Chosen,
    dry_run: bool,
    no_gates: bool,
    stability: bool,
    models: tuple[str, ...],
    jobs: int,
    log: str | None,
    out_format: str,
) -> None:
    """Estimate the readings of the log again with a model, and show old and new side by side.

    New estimates are stored beside the old ones; nothing is replaced. Readings that this model has answered or
    refused already are passed over, so a run that was stopped goes on where it was. So are those that broke a rule
    when they were measured. The rules are those of the session that measured, or the default ones.
    """
    from ..errors import LogError
    from ..log.read import open_for_reading
    from ..log.write import Log, default_log_path
    from ..model.estimate import Estimator
    from ..reprocess import left_out, redo

    bundles = load_bundles(models)
    path = log if log is not None else default_log_path()
    workers = workers_of(ctx, jobs)
    show = _Comparison(bundles, out_format, stored=not dry_run)
    with ExitStack() as stack:
        # First, for a log that is not there must not be made.
        db = stack.enter_context(open_for_reading(path))
        show.left_out = left_out(db, chosen)
        progress = stack.enter_context(Progress("readings", beside=True))
        try:
            for bundle in bundles:
                named = (bundle.name, bundle.sha256, bundle.calibrated_range)
                with nullcontext() if dry_run else Log(path, *named) as writing:
                    for redone in redo(db, Estimator(bundle), writing, chosen, not no_gates, stability, workers):
                        show.show(redone)
                        progress.at(show.estimated + show.refused)
        except LogError:
            click.echo(show.summary(), err=True)
            raise
    click.echo(show.summary(), err=True)
    ctx.exit(1 if show.refused else 0)


class _Comparison:
    """Writes old and new side by side and counts."""

    def __init__(self, bundles: Sequence[Bundle], out_format: str, stored: bool) -> None:
        bundle, *more = bundles
        self._names, self._stored = ", ".join(one.name for one in bundles), stored
        now = "now" if more else f"{bundle.element} {shown_unit(bundle.unit)} now"
        layout = Layout(
            self._as_json,
            (*FLAT_NAMES, *(f"before_{name}" for name in _BEFORE), "stored"),
            self._as_rows,
            ("reading", "sample", "before", "by", now, "interval", f"verdict of {self._names}"),
            partial(_cells, elements=bool(more)),
            right=(0, 2, 4),
            note=" ".join(one.heading for one in bundles),
        )
        self._output = Output(out_format, layout)
        self.estimated = self.refused = self.left_out = 0

    def show(self, redone: Sequence[Redone]) -> None:
        """Write some results."""
        refused = self._output.write(redone) - sum(bool(one.record.estimates) for one in redone)
        self.refused += refused
        self.estimated += len(redone) - refused

    def summary(self) -> str:
        """One line for the end."""
        has = "have" if "," in self._names else "has"
        line = f"{self.estimated} estimated again, {self.refused} refused"
        if not self.estimated and not self.refused:
            line = f"nothing to do: {self._names} {has} answered or refused every reading chosen"
        if self.left_out:
            line += f"; {self.left_out} left out, since they broke a rule when they were measured"
        return line if self._stored or line.startswith("nothing") else f"{line}; nothing stored (--dry-run)"

    def _as_json(self, one: Redone) -> dict[str, Any]:
        return as_json(one.record) | {"before": [one.before._asdict()] if one.before else [], "stored": self._stored}

    def _as_rows(self, one: Redone) -> list[dict[str, Any]]:
        before = {f"before_{name}": getattr(one.before, name) if one.before else None for name in _BEFORE}
        return [row | before | {"stored": self._stored} for row in as_rows(one.record)]


def _cells(one: Redone, elements: bool) -> list[tuple[str, ...]]:
    record, before = one.record, one.before
    head = (str(record.reading), record.sample_id, before.shown if before else "-", before.model if before else "-")
    if not record.estimates:
        return [(*head, "refused", "-", refused_reason(record))]
    return [
        (
            *head,
            told(now) if elements else now.shown,
            now.interval_shown or "-",
            "; ".join(remarks(record, now)),
        )
        for now in record.estimates
    ]
