"""Duplicates of an assay table: which rows are a pair, and what precision the pairs show.

A `pulp` row is paired with the sample it repeats; a `replicate` row with the sample too, unless there is a pulp row
of that name: laboratories list an original once more among their "pulp duplicates", with its repeat beside it, and
the pair then is one of pulps. An original listed again is no second determination: a pulp row that equals its sample
in every element is set aside, or precision would look better than it is.

For a pair a, b with mean m = (a + b) / 2:

    RPD  = 100 |a - b| / m            relative percent difference
    HARD = 100 |a - b| / (a + b)      half absolute relative difference (Shaw 1997), half of RPD
    CV   = 100 |a - b| / (sqrt(2) m)  standard deviation of the two over their mean

and over n pairs the root mean square of the CVs, `100 sqrt(2/n sum((a - b)^2 / (a + b)^2))`, which estimates the
relative standard deviation of one determination without the bias of averaging |a - b| (Stanley & Lawie 2007,
Exploration and Mining Geology 16(3-4):265; Abzalov 2008, same journal 17(3-4):131, there CV_AVR).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from .columns import Column
from .findings import DuplicatePair, Precision, QualityLimits, Stage, Verdict, worst
from .table import AssayRow, AssayTable
from .values import Assay

PairedRows = tuple[Stage, AssayRow, AssayRow]


@dataclass(frozen=True)
class PairStatistics:
    """What n pairs say of the precision of one determination.

    Attributes:
        n: pairs.
        cv_pct: root mean square coefficient of variation.
        cv_upper_pct: one-sided 95 % upper bound of it. A pair has one degree of freedom, so few pairs leave much
            open: of normal errors, n (cv / true cv)^2 follows chi-square with n degrees of freedom.
        rpd_mean_pct, rpd_median_pct, rpd_max_pct: of the pairs' RPD.
        hard_share: share of pairs within the limit of HARD that was asked for.
        bias_pct: mean of 100 (second - first) / m: whether repeats run high or low.
    """

    n: int
    cv_pct: float
    cv_upper_pct: float
    rpd_mean_pct: float
    rpd_median_pct: float
    rpd_max_pct: float
    hard_share: float
    bias_pct: float


def relative_difference_pct(first: ArrayLike, second: ArrayLike) -> Floats:
    """Give 100 (second - first) / mean, signed; its size is the RPD, half of that HARD.

    Args:
        first, second: any one shape, not below 0, not both 0.

    Raises:
        ValueError: a pair has no mean to compare with.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or (a < 0).any() or (b < 0).any() or (a + b == 0).any():
        raise ValueError("pairs must be finite, not below 0 and not both 0")
    # Halved before they are added: the sum of two large values may not fit.
    return np.asarray(100.0 * (b - a) / (0.5 * a + 0.5 * b))


def pair_statistics(first: ArrayLike, second: ArrayLike, hard_limit_pct: float) -> PairStatistics:
    """Describe n pairs of determinations of the same things.

    Args:
        first, second: (n,) in one unit, n at least 1, as `relative_difference_pct` takes them.
        hard_limit_pct: limit that `hard_share` counts against.

    Raises:
        ValueError: no pairs, shapes differ, or a pair has no mean to compare with.
    """
    from scipy.stats import chi2

    signed = relative_difference_pct(first, second)
    if signed.ndim != 1 or not signed.size:
        raise ValueError(f"pairs of shape {signed.shape}; (n,) with n at least 1 is needed")
    rpd = np.abs(signed)
    cv = float(np.sqrt(np.mean(rpd**2 / 2.0)))
    n = int(rpd.size)
    return PairStatistics(
        n=n,
        cv_pct=cv,
        cv_upper_pct=cv * math.sqrt(n / float(chi2.ppf(0.05, n))),
        rpd_mean_pct=float(rpd.mean()),
        rpd_median_pct=float(np.median(rpd)),
        rpd_max_pct=float(rpd.max()),
        hard_share=float(np.mean(rpd / 2.0 <= hard_limit_pct)),
        bias_pct=float(signed.mean()),
    )


def pair_rows(table: AssayTable) -> tuple[list[PairedRows], list[str]]:
    """Find the pairs of a table.

    Returns:
        Pairs of rows, and lines on what had to be decided on the way.
    """
    originals: dict[str, AssayRow] = {}
    pulps: dict[str, list[AssayRow]] = {}
    replicates: dict[str, list[AssayRow]] = {}
    pairs: list[PairedRows] = []
    again, listed, alone = [], [], []
    for row in table.rows:
        if row.kind == "sample":
            if row.name in originals:
                again.append(row.name)
                pulps.setdefault(row.name, []).append(row)
            else:
                originals[row.name] = row
        elif row.kind in ("pulp", "replicate"):
            (pulps if row.kind == "pulp" else replicates).setdefault(row.of, []).append(row)
    for name in dict.fromkeys([*pulps, *replicates]):
        original, mine, field = originals.get(name), pulps.get(name, []), replicates.get(name, [])
        if original is not None and mine and _listed_again(original, mine[0], beside=bool(field)):
            listed.append(name)
            first, repeats = original, mine[1:]
        elif original is not None:
            first, repeats = original, mine
        elif mine:
            first, repeats = mine[0], mine[1:]
        else:
            first, repeats = None, []
        if first is None or not (repeats or field):
            alone.append(name)
            continue
        pairs += [("pulp", first, row) for row in repeats]
        pairs += [("pulp" if mine else "field", first, row) for row in field]
    notes = []
    if again:
        notes.append(f"named twice, taken as the same pulp analysed again: {', '.join(dict.fromkeys(again))}")
    if listed:
        notes.append(
            f"pulp rows that equal their sample in every element are the same analysis listed again, not a second one: "
            f"{', '.join(listed)}"
        )
    if alone:
        notes.append(f"duplicates with nothing to compare them with: {', '.join(alone)}")
    return pairs, notes


def _listed_again(original: AssayRow, pulp: AssayRow, beside: bool) -> bool:
    common = [(a, b) for a, b in zip(original.values, pulp.values, strict=True) if a is not None and b is not None]
    # One element alone may come out the same by chance, unless the repeat proper stands beside it.
    return all(a == b for a, b in common) and (len(common) > 1 or (beside and bool(common)))


def compare(
    stage: Stage, first: AssayRow, second: AssayRow, at: int, column: Column, limit: float | None, limits: QualityLimits
) -> DuplicatePair | None:
    """Compare one element of two rows.

    Args:
        stage, first, second: the pair.
        at, column: the element.
        limit: its detection limit, in the column's unit.
        limits: for the quantification limit.

    Returns:
        The pair, or None where one of the rows has nothing for the element.
    """
    a, b = first.values[at], second.values[at]
    if a is None or b is None:
        return None
    rpd, note = None, ""
    contradictory = _contradict(a, b) or _contradict(b, a)
    if contradictory:
        note = "the bound contradicts the other value"
    elif a.censored or b.censored:
        note = "only a bound is known"
    elif a.value + b.value == 0:
        note = "both 0"
    else:
        rpd = abs(float(relative_difference_pct(a.value, b.value)))
        if limit is not None and (a.value + b.value) / 2 < limits.quantification * limit:
            note = f"mean below {limits.quantification:g} times the detection limit"
    return DuplicatePair(
        stage=stage,
        item=first.of,
        element=column.element,
        unit=column.unit,
        first=a,
        second=b,
        rpd_pct=rpd,
        hard_pct=None if rpd is None else rpd / 2,
        used=rpd is not None and not note,
        contradictory=contradictory,
        note=note,
    )


def _contradict(bound: Assay, other: Assay) -> bool:
    if bound.censored == "<":
        return other.censored != "<" and other.value > bound.value
    return bound.censored == ">" and other.censored != ">" and other.value < bound.value


def judge_precision(pairs: list[DuplicatePair], column: Column, limits: QualityLimits) -> list[Precision]:
    """Judge one element's pairs, each stage by itself; a stage without pairs gives nothing."""
    found = []
    cv_limits: dict[Stage, tuple[float, float, float]] = {
        "pulp": (limits.pulp_cv_pass_pct, limits.pulp_cv_fail_pct, limits.pulp_hard_pct),
        "field": (limits.field_cv_pass_pct, limits.field_cv_fail_pct, limits.field_hard_pct),
    }
    for stage, (passes, fails, hard) in cv_limits.items():
        mine = [pair for pair in pairs if pair.stage == stage]
        used = [pair for pair in mine if pair.used]
        if not mine:
            continue
        if not used:
            reasons = ", ".join(dict.fromkeys(pair.note for pair in mine))
            wrong: Verdict = "warn" if any(pair.contradictory for pair in mine) else "not judged"
            found.append(Precision(stage, column.element, column.unit, len(mine), 0, wrong, reasons))
            continue
        s = pair_statistics([p.first.value for p in used], [p.second.value for p in used], hard)
        verdict: Verdict = "pass" if s.cv_pct <= passes else "warn" if s.cv_pct <= fails else "fail"
        said = []
        if s.hard_share < limits.hard_share and len(used) > 1:
            verdict = worst((verdict, "warn"))
            said.append(f"{s.hard_share:.0%} within HARD {hard:g} %, {limits.hard_share:.0%} wanted")
        if verdict == "pass" and s.cv_upper_pct > fails:
            said.append(
                f"{len(used)} {'pairs are' if len(used) > 1 else 'pair is'} few: CV may be {s.cv_upper_pct:.0f} %"
            )
        if any(pair.contradictory for pair in mine):
            verdict = worst((verdict, "warn"))
            said.append("a bound contradicts the other value of its pair")
        found.append(
            Precision(
                stage=stage,
                element=column.element,
                unit=column.unit,
                n_pairs=len(mine),
                n_used=s.n,
                verdict=verdict,
                note="; ".join(said),
                cv_pct=s.cv_pct,
                cv_upper_pct=s.cv_upper_pct,
                rpd_mean_pct=s.rpd_mean_pct,
                rpd_median_pct=s.rpd_median_pct,
                rpd_max_pct=s.rpd_max_pct,
                hard_share=s.hard_share,
                bias_pct=s.bias_pct,
            )
        )
    return found
