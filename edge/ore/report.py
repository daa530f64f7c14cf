"""Answers as people and programs read them: a table, JSON lines, or CSV."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from .answer import Answer, in_words
from .bundle import OreBundle
from .table import RefusedRow

Format = Literal["table", "jsonl", "csv"]
FIELDS = (
    "status",
    "id",
    "probability",
    "low",
    "high",
    "threshold",
    "decision",
    "reason",
    "leading",
    "contributions",
    "base",
    "flags",
    "simulated",
    "scenario",
    "model",
    "model_sha256",
)
"""What stands in JSON lines and CSV, in this order; `status` is "answer" or "refused"."""


class OreReport:
    """Writes answers as they come, and counts them."""

    def __init__(self, out_format: Format, out: TextIO, bundle: OreBundle, explain: bool) -> None:
        self._format = out_format
        self._out = out
        self._bundle = bundle
        self._explain = explain
        self._begun = False
        self._csv = csv.writer(out, lineterminator="\n") if out_format == "csv" else None
        self._of_model = _of_model(bundle)
        self._width = 0
        self.decisions: Counter[str] = Counter()
        self.refused = 0

    def show(self, answers: Sequence[Answer], refused: Sequence[RefusedRow] = ()) -> None:
        """Write some answers, and the rows that none could be given for."""
        self.decisions.update(a.decision for a in answers)
        self.refused += len(refused)
        if self._format == "table":
            self._table(answers, refused)
        else:
            records = [self._record(a) for a in answers] + [self._refusal(r) for r in refused]
            self._records(records)
        self._begun = True

    def summary(self) -> str:
        """One line on what was shown."""
        parts = [f"{self.decisions[d]} {d}" for d in ("ore", "gangue", "cannot tell")]
        return f"{', '.join(parts)}; {self.refused} refused"

    def _records(self, records: list[dict[str, Any]]) -> None:
        if self._csv is None:
            self._out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            return
        if not self._begun:
            self._csv.writerow(FIELDS)
        for record in records:
            record["flags"] = "; ".join(record["flags"])
            record["contributions"] = json.dumps(record["contributions"]) if record["contributions"] else ""
        self._csv.writerows([record[field] for field in FIELDS] for record in records)

    def _record(self, answer: Answer) -> dict[str, Any]:
        return ore_record(answer, self._bundle.threshold) | self._of_model

    def _refusal(self, row: RefusedRow) -> dict[str, Any]:
        plain: dict[str, Any] = dict.fromkeys(FIELDS)
        known = {"status": "refused", "id": row.id, "reason": row.reason, "flags": [], "contributions": {}}
        return plain | known | self._of_model

    def _table(self, answers: Sequence[Answer], refused: Sequence[RefusedRow]) -> None:
        if not self._begun:
            self._width = max(8, *(len(a.id) for a in answers), *(len(r.id) for r in refused), 0)
            if self._bundle.simulated or any(a.simulated for a in answers):
                self._out.write(f"{simulated_note(self._bundle)}\n\n")
            remarks = "why" if self._explain else "remarks"
            self._out.write(f"{'block':<{self._width}}  P(ore)  {'decision':<11}  {remarks}\n")
        lines = []
        for a in answers:
            why = [in_words(a.contributions), a.reason, *a.flags]
            words = "; ".join(filter(None, why))
            lines.append(f"{a.id:<{self._width}}  {a.probability:6.3f}  {a.decision:<11}  {words}".rstrip() + "\n")
        lines += [f"{r.id:<{self._width}}  {'':6}  {'refused':<11}  {r.reason}\n" for r in refused]
        self._out.writelines(lines)


def simulated_note(bundle: OreBundle) -> str:
    """Say that an answer says nothing about real ground."""
    what = f"Model {bundle.name} was trained on SIMULATED blocks" if bundle.simulated else "These blocks are SIMULATED"
    return f"{what}: it says nothing about real ground." if bundle.simulated else f"{what}."


def ore_record(answer: Answer, threshold: float) -> dict[str, Any]:
    """Give an answer as plain values under the names of `FIELDS`, but for the model's own."""
    return {
        "status": "answer",
        "id": answer.id,
        "probability": round(answer.probability, 6),
        "low": None if answer.low is None else round(answer.low, 6),
        "high": None if answer.high is None else round(answer.high, 6),
        "threshold": round(threshold, 6),
        "decision": answer.decision,
        "reason": answer.reason,
        "leading": in_words(answer.contributions),
        "contributions": {c.variable: float(f"{c.amount:.6g}") for c in answer.contributions},
        "base": None if answer.base is None else float(f"{answer.base:.6g}"),
        "flags": list(answer.flags),
        "simulated": answer.simulated,
    }


def _of_model(bundle: OreBundle) -> dict[str, Any]:
    return {"scenario": bundle.scenario.name, "model": bundle.name, "model_sha256": bundle.sha256}
