"""Listings of the log for a person, and the same as JSON lines or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any, TextIO

from ..log.columns import Event, Session
from ..log.read import Outcome
from ..log.records import as_record, write_records
from ..model.estimate import Estimate
from ..report import BOUNDS

PAGE = 200
"""Rows that a table's widths are made for; later rows that are wider push their line to the right."""


def show_entries(entries: Iterable[Outcome], out_format: str, out: TextIO, models: bool = False) -> None:
    """List outcomes; `models` says by which model each is, where a reading may have several."""
    if out_format != "table":
        write_records(entries, out, out_format)  # type: ignore[arg-type]
        return
    heading = ("reading", "stored", "sample", "", "estimate", "interval", *(("model",) if models else ()), "verdict")
    write_table(heading, (_entry_row(entry, models) for entry in entries), out, right=(0, 4))


def _entry_row(entry: Outcome, models: bool) -> tuple[str, ...]:
    record = as_record(entry)
    by = (record["model"] or "",) if models else ()
    sample = " ".join(filter(None, (record["sample_id"], record["measurement"])))
    kind = record["sample_kind"]
    if kind and kind != "sample":
        sample += f" ({kind}{' of ' + record['duplicate_of'] if record['duplicate_of'] else ''})"
    reading = str(record["reading"] or "-")
    outcome = entry.outcome
    if not isinstance(outcome, Estimate):
        simulated = " (simulated spectrum)" if record["simulated"] else ""
        return reading, local(record["stored_at"]), sample, "", "refused", "", *by, outcome.reason + simulated
    remarks = [f"{outcome.verdict}: {outcome.reason}" if outcome.reason else outcome.verdict]
    if outcome.bound:
        remarks.append(BOUNDS[outcome.bound])
    remarks += outcome.flags
    if outcome.simulated and not any("simulated" in flag for flag in outcome.flags):
        remarks.append("simulated")
    what = f"{outcome.element} {outcome.unit}"
    return (
        reading,
        local(record["stored_at"]),
        sample,
        what,
        record["estimate"],
        record["interval"] or "-",
        *by,
        "; ".join(remarks),
    )


def show_sessions(sessions: Iterable[Session], out_format: str, out: TextIO) -> None:
    """List sessions; without `--format table` with profile and settings."""
    if out_format != "table":
        _write_plain((asdict(session) for session in sessions), out_format, out)
        return
    rows = (
        (
            str(session.id),
            local(session.started_at),
            local(session.ended_at) if session.ended_at else "not ended",
            session.instrument or session.port,
            session.profile_name,
            session.operator,
            f"{session.readings}",
            f"{session.refusals}",
            f"{session.scans}",
        )
        for session in sessions
    )
    heading = ("session", "began", "ended", "instrument", "profile", "operator", "readings", "refused", "scans")
    write_table(heading, rows, out, right=(0, 6, 7, 8))


def show_events(events: Iterable[Event], out_format: str, out: TextIO) -> None:
    """List what happened; without `--format table` with all details."""
    if out_format != "table":
        _write_plain((asdict(event) for event in events), out_format, out)
        return
    rows = ((local(event.at), str(event.session_id or "-"), event.kind, event.text) for event in events)
    write_table(("at", "session", "event", ""), rows, out, right=(1,))


def _write_plain(records: Iterator[dict[str, Any]], out_format: str, out: TextIO) -> None:
    table = None
    for record in records:
        if out_format == "jsonl":
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            continue
        if table is None:
            table = csv.DictWriter(out, list(record), lineterminator="\n")
            table.writeheader()
        table.writerow(
            {name: json.dumps(v, ensure_ascii=False) if isinstance(v, dict) else v for name, v in record.items()}
        )


def write_table(heading: Sequence[str], rows: Iterable[Sequence[str]], out: TextIO, right: Sequence[int] = ()) -> None:
    """Write rows under a heading, page by page as they come; the last column may be of any length.

    Args:
        heading: of the columns.
        rows: as texts.
        out: where to.
        right: columns that are aligned right.
    """
    rows = iter(rows)
    page = list(islice(rows, PAGE))
    if not page:
        return
    widths = [max(map(len, column)) for column in zip(heading, *page, strict=True)][:-1]
    out.write(one_line(heading, widths, right))
    while page:
        out.writelines(one_line(row, widths, right) for row in page)
        page = list(islice(rows, PAGE))


def one_line(row: Sequence[str], widths: Sequence[int], right: Sequence[int] = ()) -> str:
    """Put a row's texts, one more than there are widths, into a line of a table."""
    cells = [
        f"{_clean(text):>{width}}" if i in right else f"{_clean(text):<{width}}"
        for i, (text, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join([*cells, _clean(row[-1])]).rstrip() + "\n"


def _clean(text: str) -> str:
    # A sample's name or a file's text must not move the cursor of a terminal.
    return "".join(letter if letter.isprintable() else " " for letter in text)


def local(stored_at: str) -> str:
    """Write a time of the log in this device's time zone, to the minute."""
    return datetime.fromisoformat(stored_at).astimezone().strftime("%Y-%m-%d %H:%M")
