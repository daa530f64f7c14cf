"""`stibium reprocess`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from .log_options import reading_options
from .options import format_option, load_bundle, log_option, model_option

if TYPE_CHECKING:
    from ..model.bundle import Bundle
    from ..reprocess import Redone


@click.command(epilog="Example:  stibium reprocess --model sb_2.tflite --dry-run")
@reading_options
@click.option("--dry-run", is_flag=True, help="Show what would come out and store nothing.")
@model_option
@log_option
@format_option
@click.pass_context
def reprocess(
    ctx: click.Context,
    sample: str,
    since: datetime | None,
    until: datetime | None,
    session: int | None,
    simulated: bool | None,
    dry_run: bool,
    model: str | None,
    log: str | None,
    out_format: str,
) -> None:
    """Estimate the readings of the log again with a model, and show old and new side by side.

    New estimates are stored beside the old ones; nothing is replaced. Readings that this model has answered or
    refused already are passed over, so a run that was stopped goes on where it was. A reading that broke a rule when
    it was measured is refused again, with that reason.
    """
    from ..errors import LogError
    from ..log.read import Chosen, open_for_reading
    from ..log.write import Log, default_log_path
    from ..model.estimate import Estimator
    from ..reprocess import redo

    bundle = load_bundle(model)
    path = log if log is not None else default_log_path()
    chosen = Chosen(sample, since, until, session=session, simulated=simulated)
    show = _Comparison(bundle, out_format, stored=not dry_run)
    progress = sys.stderr.isatty() and not sys.stdout.isatty()
    with ExitStack() as stack:
        # First, for a log that is not there must not be made.
        db = stack.enter_context(open_for_reading(path))
        writing = None
        if not dry_run:
            writing = stack.enter_context(Log(path, bundle.name, bundle.sha256, bundle.calibrated_range))
        try:
            for redone in redo(db, Estimator(bundle), writing, chosen):
                show.show(redone)
                if progress:
                    click.echo(f"\r{show.estimated + show.refused} readings", nl=False, err=True)
        except LogError:
            click.echo(show.summary(), err=True)
            raise
    if progress:
        click.echo(err=True)
    click.echo(show.summary(), err=True)
    ctx.exit(1 if show.refused else 0)


class _Comparison:
    """Writes old and new side by side and counts."""

    def __init__(self, bundle: Bundle, out_format: str, stored: bool) -> None:
        self._bundle, self._format, self._stored = bundle, out_format, stored
        self._widths: list[int] = []
        self._csv: csv.DictWriter[str] | None = None
        self.estimated = self.refused = 0

    def show(self, redone: Sequence[Redone]) -> None:
        """Write some results."""
        from ..model.estimate import Refusal

        refused = sum(isinstance(one.outcome, Refusal) for one in redone)
        self.refused += refused
        self.estimated += len(redone) - refused
        records = [self._record(one) for one in redone]
        if self._format == "table":
            self._show_table(records)
        else:
            for record in records:
                self._show_record(record)
        sys.stdout.flush()

    def summary(self) -> str:
        """One line for the end."""
        if not self.estimated and not self.refused:
            return f"nothing to do: {self._bundle.name} has answered or refused every reading chosen"
        line = f"{self.estimated} estimated again, {self.refused} refused"
        return line if self._stored else f"{line}; nothing stored (--dry-run)"

    def _record(self, one: Redone) -> dict[str, Any]:
        from .. import __version__
        from ..log.columns import Model
        from ..log.read import Outcome
        from ..log.records import as_record

        bundle = self._bundle
        model = Model(0, bundle.sha256, bundle.name, *bundle.calibrated_range)
        software = f"stibium {__version__}"
        entry = Outcome(one.reading, one.outcome, model, one.reading.stored_at, software, one.reading.session_id)
        before = as_record(one.before) if one.before else dict.fromkeys(as_record(entry))
        names = (
            "estimate",
            "interval",
            "verdict",
            "trusted",
            "value",
            "bound",
            "model",
            "model_sha256",
            "estimated_at",
        )
        record = as_record(entry) | {f"before_{name}": before[name] for name in names}
        return record | {"element": record["element"] or bundle.element, "estimated_at": None, "stored": self._stored}

    def _show_record(self, record: dict[str, Any]) -> None:
        if self._format == "jsonl":
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
            return
        if self._csv is None:
            self._csv = csv.DictWriter(sys.stdout, list(record), lineterminator="\n")
            self._csv.writeheader()
        self._csv.writerow({k: " ".join(v.splitlines()) if isinstance(v, str) else v for k, v in record.items()})

    def _show_table(self, records: Sequence[dict[str, Any]]) -> None:
        from .log_show import one_line

        rows = []
        for record in records:
            remarks = [record["verdict"], record["reason"], record["flags"]]
            rows.append(
                (
                    str(record["reading"]),
                    record["sample_id"],
                    record["before_estimate"] or "-",
                    record["before_model"] or "-",
                    record["estimate"],
                    record["interval"] or "-",
                    "; ".join(filter(None, remarks)),
                )
            )
        if rows and not self._widths:
            now = f"{self._bundle.element} {self._bundle.unit} now"
            heading = ("reading", "sample", "before", "by", now, "interval", f"verdict of {self._bundle.name}")
            self._widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)][:-1]
            sys.stdout.write(one_line(heading, self._widths, right=(0, 2, 4)))
        sys.stdout.writelines(one_line(row, self._widths, right=(0, 2, 4)) for row in rows)
