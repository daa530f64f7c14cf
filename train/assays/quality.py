"""Quality control of assays: what blanks, reference materials, duplicates and detection limits say of each element.

Nothing here changes an assay. Each finding carries its verdict, pass, warn, fail or "not judged", and says in words
what it rests on; every limit can be set (`findings.QualityLimits`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...converters.spectra.spectrum import Floats
from .certified import Certificate, CertifiedValue, material_key
from .columns import Column
from .duplicates import PairedRows, compare, judge_precision, pair_rows
from .findings import (
    BlankResult,
    Detection,
    DuplicatePair,
    InsertionRate,
    Precision,
    QualityControl,
    QualityLimits,
    Recovery,
    Verdict,
    worst,
)
from .table import AssayRow, AssayTable

MOST_TIMES = 1e9
"""More times the detection limit than this are not told apart."""


def check_quality(
    table: AssayTable, certificates: Mapping[str, Certificate] | None = None, limits: QualityLimits | None = None
) -> QualityControl:
    """Judge a table of assays by its blanks, reference materials, duplicates and detection limits.

    Args:
        table: samples and quality control together; a table of the one or the other alone is judged as far as it goes.
        certificates: `certified.material_key` -> certified values.
        limits: other than the default ones.

    Returns:
        The findings; a kind of row that the table does not have gives none.
    """
    limits = limits or QualityLimits()
    certificates = certificates or {}
    notes = list(table.notes)
    paired, pair_notes = pair_rows(table)
    notes += pair_notes
    known = {material_key(row.name) for row in table.of_kind("crm")}
    unused = [c.material for key, c in certificates.items() if key not in known]
    if unused:
        notes.append(f"certified values of {', '.join(unused)}: the table has no such material")
    if known and not certificates:
        notes.append(
            "reference materials: no certified values given, so repeatability only; nothing is said of accuracy"
        )
    pairs: list[DuplicatePair] = []
    precision: list[Precision] = []
    recoveries: list[Recovery] = []
    blanks: list[BlankResult] = []
    detection: list[Detection] = []
    for at, column in enumerate(table.columns):
        limit = detection_limit(table, at)
        of_element = [p for rows in paired if (p := compare(*rows, at, column, limit, limits)) is not None]
        pairs += of_element
        precision += judge_precision(of_element, column, limits)
        recoveries += _recoveries(table, at, column, limit, certificates, limits)
        blanks += _blanks(table, at, column, limit, limits)
        detection += _detection(table, at, column, limit, limits)
    uncovered = _uncovered(recoveries)
    if uncovered:
        notes.append(
            f"{', '.join(uncovered)}: no reference material lies within the samples' grades; accuracy there is unknown"
        )
    rates = _rates(table, paired, limits)
    return QualityControl(
        tuple(pairs), tuple(precision), tuple(recoveries), tuple(blanks), tuple(detection), rates, tuple(notes), limits
    )


def detection_limit(table: AssayTable, at: int) -> float | None:
    """Detection limit of a column, in its unit: the highest of the `mdl` rows, else the lowest `<` of any row."""
    given = [a.value for row in table.of_kind("mdl") if (a := row.values[at]) is not None and a.value > 0]
    if given:
        return max(given)
    below = [a.value for row in table.rows if (a := row.values[at]) is not None and a.censored == "<" and a.value > 0]
    return min(below, default=None)


def _recoveries(
    table: AssayTable,
    at: int,
    column: Column,
    limit: float | None,
    certificates: Mapping[str, Certificate],
    limits: QualityLimits,
) -> list[Recovery]:
    samples = [a.value for row in table.of_kind("sample") if (a := row.values[at]) is not None and not a.censored]
    materials: dict[str, list[AssayRow]] = {}
    for row in table.of_kind("crm"):
        materials.setdefault(material_key(row.name), []).append(row)
    found = []
    for key, rows in materials.items():
        assays = [a for row in rows if (a := row.values[at]) is not None]
        if not assays:
            continue
        values = np.array([a.value for a in assays if not a.censored])
        mean = float(values.mean()) if values.size else None
        sd = float(values.std(ddof=1)) if values.size > 1 else None
        certificate = certificates.get(key)
        certified = certificate.values.get(column.element) if certificate is not None else None
        if certified is not None:
            certified = certified.converted(column.unit)
        verdict, said = _judge_material(values, certified, limit, limits)
        if values.size < len(assays):
            said.append(f"{len(assays) - values.size} of {len(assays)} only a bound")
        if certificate is not None and certified is not None and certificate.method:
            said.append(certificate.method)
        scores = (values - certified.value) / certified.sd if certified is not None and certified.sd else np.empty(0)
        level = mean if certified is None else certified.value
        within = min(samples) <= level <= max(samples) if samples and level is not None else None
        if within is False and level is not None:
            said.append("below every sample" if level < min(samples) else "above every sample")
            # How well a level repeats that no sample has is no reason to reject the samples; a wrong value is.
            if certified is None and verdict == "fail":
                verdict = "warn"
        found.append(
            Recovery(
                material=rows[0].name,
                element=column.element,
                unit=column.unit,
                n=int(values.size),
                n_bounds=len(assays) - int(values.size),
                mean=mean,
                sd=sd,
                rsd_pct=100 * sd / mean if sd is not None and mean else None,
                certified=None if certified is None else certified.value,
                certified_sd=None if certified is None else certified.sd,
                recovery_pct=None if certified is None or mean is None else 100 * mean / certified.value,
                worst_sd=float(scores[np.abs(scores).argmax()]) if scores.size else None,
                within_samples=within,
                verdict=verdict,
                note="; ".join(said),
            )
        )
    return found


def _uncovered(recoveries: Sequence[Recovery]) -> list[str]:
    """Elements whose samples have grades that no reference material reaches."""
    covered: dict[str, bool] = {}
    for r in recoveries:
        if r.within_samples is not None:
            covered[r.element] = covered.get(r.element, False) or r.within_samples
    return [element for element, yes in covered.items() if not yes]


def _judge_material(
    values: Floats, certified: CertifiedValue | None, limit: float | None, limits: QualityLimits
) -> tuple[Verdict, list[str]]:
    if not values.size:
        return "not judged", []
    mean = float(values.mean())
    level = mean if certified is None else certified.value
    if limit is not None and level < limits.quantification * limit:
        return "not judged", [f"below {limits.quantification:g} times the detection limit"]
    if certified is None:
        if values.size < 2 or mean == 0:
            return "not judged", ["no certified value, and nothing to repeat"]
        rsd = 100 * float(values.std(ddof=1)) / mean
        return _graded(rsd, limits.pulp_cv_pass_pct, limits.pulp_cv_fail_pct), [
            "no certified value: repeatability only"
        ]
    if certified.sd is None:
        bias = abs(100 * mean / certified.value - 100)
        verdict = _graded(bias, limits.bias_warn_pct, limits.bias_fail_pct)
        return verdict, ["certified without standard deviation: judged by bias"]
    scores = (values - certified.value) / certified.sd
    far = np.abs(scores) > limits.crm_fail_sd
    if far.any():
        return "fail", [f"{int(far.sum())} of {scores.size} beyond {limits.crm_fail_sd:g} SD"]
    side = np.where(np.abs(scores) > limits.crm_warn_sd, np.sign(scores), 0)
    if ((side[1:] == side[:-1]) & (side[1:] != 0)).any():
        return "fail", [f"two in a row beyond {limits.crm_warn_sd:g} SD on one side"]
    beyond = int(np.count_nonzero(side))
    if beyond:
        return "warn", [f"{beyond} of {scores.size} beyond {limits.crm_warn_sd:g} SD"]
    return "pass", []


def _graded(figure: float, passes: float, fails: float) -> Verdict:
    return "pass" if figure <= passes else "warn" if figure <= fails else "fail"


def _blanks(
    table: AssayTable, at: int, column: Column, limit: float | None, limits: QualityLimits
) -> list[BlankResult]:
    found = []
    for row in table.of_kind("blank"):
        value = row.values[at]
        if value is None:
            continue
        verdict: Verdict = "not judged"
        times, note = None, "no detection limit known"
        if value.censored == "<" and (limit is None or value.value <= limits.blank_warn * limit):
            verdict, note = "pass", "below detection"
        elif limit is not None and value.censored == "<":
            note = f"its bound lies above {limits.blank_warn:g} times the detection limit"
        elif limit is not None:
            # A detection limit next to nothing would make a number that JSON cannot hold.
            times = min(value.value / limit, MOST_TIMES)
            verdict, note = _graded(times, limits.blank_warn, limits.blank_fail), ""
            if value.censored or verdict == "fail":
                verdict, note = "fail", "contamination"
            elif verdict == "warn":
                note = "possible contamination"
        found.append(BlankResult(row.name, column.element, column.unit, value, limit, times, verdict, note))
    return found


def _detection(
    table: AssayTable, at: int, column: Column, limit: float | None, limits: QualityLimits
) -> list[Detection]:
    rows = table.of_kind("sample")
    if not rows:
        return []
    assays = [a for row in rows if (a := row.values[at]) is not None]
    below, above = (sum(a.censored == side for a in assays) for side in ("<", ">"))
    plain = [a.value for a in assays if not a.censored]
    said = []
    if above:
        said.append(f"{above} above the upper limit: only a bound; have them analysed again by an ore-grade method")
    under = sum(value < limit for value in plain) if limit is not None else 0
    if under:
        said.append(f"{under} reported below the detection limit")
    share = (below + above) / len(assays) if assays else 0.0
    verdict = _graded(share, limits.censored_warn_share, limits.censored_fail_share) if assays else "not judged"
    return [
        Detection(
            element=column.element,
            unit=column.unit,
            n=len(assays),
            n_missing=len(rows) - len(assays),
            n_below=below,
            n_above=above,
            n_unquantified=None if limit is None else sum(v < limits.quantification * limit for v in plain),
            detection_limit=limit,
            verdict=worst((verdict, "warn")) if under or above else verdict,
            note="; ".join(said),
        )
    ]


def _rates(table: AssayTable, paired: Sequence[PairedRows], limits: QualityLimits) -> tuple[InsertionRate, ...]:
    samples = len(table.of_kind("sample"))
    counts: tuple[tuple[str, int, float | None], ...] = (
        ("pulp duplicates", sum(stage == "pulp" for stage, _, _ in paired), limits.pulp_rate),
        ("field duplicates", sum(stage == "field" for stage, _, _ in paired), limits.field_rate),
        ("reference materials", len(table.of_kind("crm")), limits.crm_rate),
        ("blanks", len(table.of_kind("blank")), None),
    )
    found = []
    for item, n, wanted in counts:
        share = n / samples if samples else None
        verdict: Verdict = "not judged"
        note = "" if samples else "no samples to count them against"
        if share is not None:
            enough = n > 0 if wanted is None else share >= wanted
            verdict = "pass" if enough else "warn"
            if not enough:
                note = f"{wanted:.0%} wanted" if wanted is not None else "none"
        found.append(InsertionRate(item, n, share, wanted, verdict, note))
    return tuple(found)
