"""Calls of ore and gangue as people and programs read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..ore.answer import Answer, in_words
from ..ore.bundle import OreBundle
from ..ore.report import FIELDS, heading, ore_record, with_interval
from ..ore.table import RefusedRow
from .output import Layout, Output


class OreCalls:
    """Writes answers and refused rows as they come, and counts them.

    Args:
        out_format: see `Output`.
        bundle: whose answers.
        explain: say which variables moved each.
    """

    def __init__(self, out_format: str, bundle: OreBundle, explain: bool) -> None:
        self._format, self._bundle, self._explain = out_format, bundle, explain
        self._output: Output[Answer | RefusedRow] | None = None
        self.decisions: Counter[str] = Counter()
        self.refused = 0

    def show(self, answers: Sequence[Answer], refused: Sequence[RefusedRow] = ()) -> None:
        """Write some answers, and the rows that none could be given for."""
        self._count(answers, refused)
        simulated = self._bundle.simulated or any(answer.simulated for answer in answers)
        self._output = self._output or Output(self._format, self._layout(simulated))
        self._output.write([*answers, *refused])

    def export(
        self, out: str, pieces: Iterable[tuple[Sequence[Answer], Sequence[RefusedRow]]], epsg: int | None
    ) -> str:
        """Write all answers and refused rows to a file, .csv, .jsonl or .gpkg, and return a line on it.

        Raises:
            ExportError: nothing of it has a place on a map, or the file cannot be written.
        """

        def calls() -> Iterator[Answer | RefusedRow]:
            for answers, refused in pieces:
                self._count(answers, refused)
                yield from answers
                yield from refused

        if self._format == "gpkg":
            from ..ore.export import write_blocks

            placed, left_out = write_blocks(out, calls(), self._bundle, epsg)
            more = f"; {left_out} left out, since they have no x and y (a .csv has them all)" if left_out else ""
            return f"{placed} blocks: {out}{more}"
        import io

        from ...converters.spectra.files import replacing

        with replacing(out) as file:
            text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="\n")
            written = Output(self._format, self._layout(False), text).write(calls())
            text.detach()
        return f"{written} blocks: {out}"

    def _count(self, answers: Sequence[Answer], refused: Sequence[RefusedRow]) -> None:
        self.decisions.update(answer.decision for answer in answers)
        self.refused += len(refused)

    def summary(self) -> str:
        """One line on what was shown."""
        parts = [f"{self.decisions[d]} {d}" for d in ("ore", "gangue", "cannot tell")]
        return f"{', '.join(parts)}; {self.refused} refused"

    def _layout(self, simulated: bool) -> Layout[Answer | RefusedRow]:
        return Layout(
            self._record,
            FIELDS,
            self._rows,
            ("block", "P(ore)", "decision", "why" if self._explain else "remarks"),
            _cells,
            right=(1,),
            note=heading(self._bundle, simulated),
        )

    def _record(self, call: Answer | RefusedRow) -> dict[str, Any]:
        return ore_record(call, self._bundle)

    def _rows(self, call: Answer | RefusedRow) -> list[dict[str, Any]]:
        record = self._record(call)
        return [record | {"contributions": record["contributions"] or None}]


def _cells(call: Answer | RefusedRow) -> list[tuple[str, ...]]:
    if isinstance(call, RefusedRow):
        return [(call.id, "", "refused", call.reason)]
    why = filter(None, (in_words(call.contributions), call.reason, *call.flags))
    return [(call.id, with_interval(call), call.decision, "; ".join(why))]
