"""Findings of an assay table's quality control, the limits they are judged by, and how they travel as records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from .values import Assay, as_reported

Verdict = Literal["pass", "warn", "fail", "not judged"]
Stage = Literal["pulp", "field"]

VERDICTS: tuple[Verdict, ...] = ("not judged", "pass", "warn", "fail")
"""From the least to the most serious."""


@dataclass(frozen=True)
class QualityLimits:
    """Where a finding passes, warns or fails.

    Attributes:
        pulp_cv_pass_pct, pulp_cv_fail_pct: of pulps' RMS CV. After Abzalov 2008 (Exploration and Mining Geology
            17:131): for base metals 10 % is acceptable practice in pulps, 15 % in coarse rejects.
        field_cv_pass_pct, field_cv_fail_pct: of field duplicates' RMS CV. Same place: 15 % for base metals in coarse
            rejects, 30 % for coarse gold, the worst that is accepted there.
        pulp_hard_pct, field_hard_pct, hard_share: 90 % of pulps within HARD 10 %, of field duplicates within 20 %,
            as is customary since Shaw 1997 (The Resource Database Towards 2000, AusIMM, 41).
        quantification: times the detection limit; pairs and reference materials below it are shown, not judged,
            since precision there is that of the detection limit (Thompson & Howarth 1978, Journal of Geochemical
            Exploration 9:23).
        blank_warn, blank_fail: times the detection limit; 3 for fine and 5 for coarse blanks (Simon Mendez 2011, A
            discussion on current quality-control practices in mineral exploration, InTech).
        crm_warn_sd, crm_fail_sd: standard deviations from the certified value; two in a row beyond the first on one
            side fail as well (Westgard et al. 1981, Clinical Chemistry 27:493).
        bias_warn_pct, bias_fail_pct: relative bias where the certificate gives no standard deviation (Simon Mendez).
        censored_warn_share, censored_fail_share: share of samples of which only a bound is known; up to 15 % does
            little harm, above half only percentiles are left (EPA 2000, QA/G-9, section 4.7).
        pulp_rate, field_rate, crm_rate: lowest share of pulps, field duplicates and reference materials, each of the
            number of samples (Abzalov 2008: 3 to 5 %, 5 to 10 %, 3 to 5 %).
    """

    pulp_cv_pass_pct: float = 10.0
    pulp_cv_fail_pct: float = 15.0
    field_cv_pass_pct: float = 15.0
    field_cv_fail_pct: float = 30.0
    pulp_hard_pct: float = 10.0
    field_hard_pct: float = 20.0
    hard_share: float = 0.9
    quantification: float = 10.0
    blank_warn: float = 3.0
    blank_fail: float = 5.0
    crm_warn_sd: float = 2.0
    crm_fail_sd: float = 3.0
    bias_warn_pct: float = 5.0
    bias_fail_pct: float = 10.0
    censored_warn_share: float = 0.15
    censored_fail_share: float = 0.5
    pulp_rate: float = 0.03
    field_rate: float = 0.05
    crm_rate: float = 0.03


@dataclass(frozen=True)
class DuplicatePair:
    """Two determinations of one element.

    Attributes:
        stage: "pulp" for the same pulp analysed again, "field" for a second sample of the same place.
        item: name of what was analysed twice.
        first, second: values or bounds, in `unit`.
        rpd_pct, hard_pct: None where only a bound is known of one of them, or both are 0.
        used: whether it counts for the element's precision: both known, their mean above the quantification limit.
        contradictory: whether a bound rules the other value out.
        note: why it does not count.
    """

    stage: Stage
    item: str
    element: str
    unit: str
    first: Assay
    second: Assay
    rpd_pct: float | None
    hard_pct: float | None
    used: bool
    contradictory: bool
    note: str


@dataclass(frozen=True)
class Precision:
    """Precision of one element at one stage; figures as in `duplicates.PairStatistics`, None without a usable pair."""

    stage: Stage
    element: str
    unit: str
    n_pairs: int
    n_used: int
    verdict: Verdict
    note: str
    cv_pct: float | None = None
    cv_upper_pct: float | None = None
    rpd_mean_pct: float | None = None
    rpd_median_pct: float | None = None
    rpd_max_pct: float | None = None
    hard_share: float | None = None
    bias_pct: float | None = None


@dataclass(frozen=True)
class Recovery:
    """One element of one reference material.

    Attributes:
        material: its name.
        n: determinations with a known value; `n_bounds` more gave only a bound.
        mean, sd, rsd_pct: of them, in `unit`; sd and rsd (n - 1) None for a single one.
        certified, certified_sd: from the certificate; None without one, and then nothing is said of accuracy.
        recovery_pct: 100 mean / certified.
        worst_sd: furthest determination from the certified value, in certified standard deviations, signed.
        within_samples: whether the material's level lies within the samples' known values; one that does not says
            little of how well they are known. None without samples.
    """

    material: str
    element: str
    unit: str
    n: int
    n_bounds: int
    mean: float | None
    sd: float | None
    rsd_pct: float | None
    certified: float | None
    certified_sd: float | None
    recovery_pct: float | None
    worst_sd: float | None
    within_samples: bool | None
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class BlankResult:
    """One element of one blank; `times_limit` is its value over the detection limit, None where either is not known."""

    item: str
    element: str
    unit: str
    value: Assay
    detection_limit: float | None
    times_limit: float | None
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class Detection:
    """What of one element's samples lies beyond what the method can tell.

    Attributes:
        n: samples with a value or bound; `n_missing` have neither.
        n_below, n_above: only known to lie below, or above, a bound.
        n_unquantified: plain values below the quantification limit; None without a detection limit.
        detection_limit: from the table's `mdl` row, else the smallest `<` of the table; None without either.
    """

    element: str
    unit: str
    n: int
    n_missing: int
    n_below: int
    n_above: int
    n_unquantified: int | None
    detection_limit: float | None
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class InsertionRate:
    """How many rows of a kind there are for the samples; `share` is None without samples."""

    item: str
    n: int
    share: float | None
    wanted: float | None
    verdict: Verdict
    note: str


Finding = DuplicatePair | Precision | Recovery | BlankResult | Detection | InsertionRate


@dataclass(frozen=True)
class QualityControl:
    """All findings, elements in the table's order."""

    pairs: tuple[DuplicatePair, ...]
    precision: tuple[Precision, ...]
    recoveries: tuple[Recovery, ...]
    blanks: tuple[BlankResult, ...]
    detection: tuple[Detection, ...]
    rates: tuple[InsertionRate, ...]
    notes: tuple[str, ...]
    limits: QualityLimits

    @property
    def judged(self) -> tuple[Precision | Recovery | BlankResult | Detection | InsertionRate, ...]:
        """Every finding that carries a verdict."""
        return (*self.precision, *self.recoveries, *self.blanks, *self.detection, *self.rates)

    @property
    def verdict(self) -> Verdict:
        """The most serious verdict."""
        return worst(finding.verdict for finding in self.judged)

    def select(self, elements: Iterable[str]) -> QualityControl:
        """Keep the findings on some elements, and those on none."""
        kept = set(elements)
        return replace(
            self,
            pairs=tuple(f for f in self.pairs if f.element in kept),
            precision=tuple(f for f in self.precision if f.element in kept),
            recoveries=tuple(f for f in self.recoveries if f.element in kept),
            blanks=tuple(f for f in self.blanks if f.element in kept),
            detection=tuple(f for f in self.detection if f.element in kept),
        )

    def to_records(self) -> list[dict[str, Any]]:
        """Give each finding as JSON values, `section` saying what it is; values and bounds as the laboratory writes."""
        findings: list[tuple[str, Finding]] = [
            *(("pair", f) for f in self.pairs),
            *(("precision", f) for f in self.precision),
            *(("reference material", f) for f in self.recoveries),
            *(("blank", f) for f in self.blanks),
            *(("detection", f) for f in self.detection),
            *(("insertion rate", f) for f in self.rates),
        ]
        records: list[dict[str, Any]] = []
        for section, finding in findings:
            record = {"section": section, **asdict(finding)}
            for key in ("first", "second", "value"):
                if key in record:
                    record[key] = as_reported(getattr(finding, key))
            records.append(record)
        records += [{"section": "note", "note": note} for note in self.notes]
        return records


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Most serious of some verdicts; "not judged" of none."""
    return max(verdicts, key=VERDICTS.index, default="not judged")
