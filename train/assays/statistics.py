"""Descriptive statistics and correlations of the elements of an assay table, its samples only.

Values of which only a bound is known are never slipped in. Four readings of a column stand side by side:

- "bounds as values": every `<0.02` taken as 0.02 and every `>4000` as 4000. What most tables in papers are; too
  narrow, too low at the top, and said so. Without bounds it is simply the column;
- "known values only": the bounds left out, which bends the other way;
- "product limit": no law assumed (Kaplan-Meier, Turnbull); quantiles that lie among the bounds are bounds themselves;
- "log-normal": the law of a normal logarithm fitted by maximum censored likelihood. It says most, and says it only if
  the element is log-normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from .censored import Observations, fit_normal, observe
from .product_limit import product_limit
from .table import AssayTable
from .values import Assay, as_reported

Reading = Literal["bounds as values", "known values only"]
Method = Literal["pearson", "log-pearson", "spearman"]
METHODS: tuple[Method, ...] = ("pearson", "log-pearson", "spearman")


@dataclass(frozen=True)
class Moments:
    """Plain statistics of n numbers, in the element's unit unless said otherwise.

    Attributes:
        sd: over n - 1; None for one number.
        q1, median, q3: by linear interpolation, as spreadsheets and NumPy do.
        skewness: adjusted for n, as spreadsheets do (G1); None for fewer than 3 numbers, or no spread.
        log10_mean, log10_sd: of the decimal logarithms; None where one is not above 0.
    """

    n: int
    mean: float
    sd: float | None
    minimum: float
    q1: float
    median: float
    q3: float
    maximum: float
    skewness: float | None
    log10_mean: float | None
    log10_sd: float | None


@dataclass(frozen=True)
class ProductLimit:
    """What holds whatever the law: quartiles, bounds where they lie among the bounds, and the range of the mean."""

    q1: Assay
    median: Assay
    q3: Assay
    mean_low: float
    mean_high: float | None


@dataclass(frozen=True)
class LogNormal:
    """A fitted log-normal law; mean, sd and quartiles in the element's unit are those of the law."""

    log10_mean: float
    log10_sd: float
    mean: float
    sd: float
    q1: float
    median: float
    q3: float


@dataclass(frozen=True)
class ElementDescription:
    """One element of the samples.

    Attributes:
        n, n_missing: samples with a value or bound, and with neither.
        n_below, n_above: of the n, only known to lie below or above a bound.
        as_values: every bound taken as a value; None without values.
        known: bounds left out; None without bounds, or where nothing else is left.
        product_limit: None without bounds.
        log_normal: None where fewer than two different values above 0 are known.
        note: what a reader of `as_values` has to know.
    """

    element: str
    unit: str
    n: int
    n_missing: int
    n_below: int
    n_above: int
    as_values: Moments | None
    known: Moments | None
    product_limit: ProductLimit | None
    log_normal: LogNormal | None
    note: str

    def to_records(self) -> list[dict[str, Any]]:
        """Give each reading as JSON values; `section` is "statistics"."""
        head = {"section": "statistics", "element": self.element, "unit": self.unit}
        counts = {"n_missing": self.n_missing, "n_below": self.n_below, "n_above": self.n_above}
        records: list[dict[str, Any]] = []
        if self.as_values is not None:
            reading = "bounds as values" if self.n_below or self.n_above else "values"
            records.append({**head, "reading": reading, **asdict(self.as_values), **counts, "note": self.note})
        if self.known is not None:
            records.append({**head, "reading": "known values only", **asdict(self.known)})
        if self.product_limit is not None:
            p = self.product_limit
            quartiles = {name: as_reported(getattr(p, name)) for name in ("q1", "median", "q3")}
            means = {"mean_low": p.mean_low, "mean_high": p.mean_high}
            records.append({**head, "reading": "product limit", "n": self.n, **quartiles, **means})
        if self.log_normal is not None:
            records.append({**head, "reading": "log-normal", "n": self.n, **asdict(self.log_normal)})
        return records


def moments(values: Sequence[float] | Floats) -> Moments:
    """Describe n numbers, n at least 1.

    Raises:
        ValueError: none, or one that is not finite.
    """
    y = np.asarray(values, dtype=np.float64)
    if not y.size or not np.isfinite(y).all():
        raise ValueError("no numbers to describe, or one that is not finite")
    n = int(y.size)
    if y.min() == y.max():
        # The deviation of equal numbers is rounding noise, not zero.
        same = float(y[0])
        log10 = math.log10(same) if same > 0 else None
        spread = 0.0 if n > 1 else None
        return Moments(n, same, spread, same, same, same, same, same, None, log10, None if log10 is None else spread)
    q1, median, q3 = (float(q) for q in np.quantile(y, [0.25, 0.5, 0.75]))
    from scipy.stats import skew

    skewness = float(skew((y - y.mean()) / y.std(), bias=False)) if n > 2 else None
    logs = np.log10(y) if y.min() > 0 else None
    return Moments(
        n=n,
        mean=float(y.mean()),
        sd=float(y.std(ddof=1)),
        minimum=float(y.min()),
        q1=q1,
        median=median,
        q3=q3,
        maximum=float(y.max()),
        skewness=skewness,
        log10_mean=None if logs is None else float(logs.mean()),
        log10_sd=None if logs is None else float(logs.std(ddof=1)),
    )


def describe(table: AssayTable) -> tuple[ElementDescription, ...]:
    """Describe each element of a table's samples, in the table's order."""
    rows = table.of_kind("sample")
    found = []
    for at, column in enumerate(table.columns):
        assays = [a for row in rows if (a := row.values[at]) is not None]
        found.append(describe_element(column.element, column.unit, assays, len(rows) - len(assays)))
    return tuple(found)


def describe_element(element: str, unit: str, assays: Sequence[Assay], n_missing: int = 0) -> ElementDescription:
    """Describe the values and bounds of one element."""
    observed = observe(assays)
    known = observed.value[~observed.censored]
    below, above = (sum(a.censored == side for a in assays) for side in ("<", ">"))
    said = []
    for count, side in ((below, "<"), (above, ">")):
        bounds = sorted({a.value for a in assays if a.censored == side})
        if count:
            listed = ", ".join(f"{side}{bound:g}" for bound in bounds[:3]) + (", ..." if len(bounds) > 3 else "")
            said.append(
                f"{count} of {len(assays)} are {listed}, taken as {'that value' if len(bounds) == 1 else 'those'}"
            )
    censored = bool(below or above)
    return ElementDescription(
        element=element,
        unit=unit,
        n=len(assays),
        n_missing=n_missing,
        n_below=below,
        n_above=above,
        as_values=moments(observed.value) if assays else None,
        known=moments(known) if censored and known.size else None,
        product_limit=_product_limit(observed) if censored else None,
        log_normal=_log_normal(assays),
        note="; ".join(said),
    )


def _product_limit(observed: Observations) -> ProductLimit:
    found = product_limit(observed, floor=0.0)
    low, high = found.mean()
    q1, median, q3 = (found.quantile(p) for p in (0.25, 0.5, 0.75))
    return ProductLimit(q1, median, q3, low, high if math.isfinite(high) else None)


def _log_normal(assays: Sequence[Assay]) -> LogNormal | None:
    known = {a.value for a in assays if not a.censored}
    # A value of 0 has no logarithm, and to leave it out would lift the law.
    if len(known) < 2 or min(known) <= 0 or any(a.value <= 0 for a in assays):
        return None
    mean, sd = fit_normal(observe(assays, "log10"))
    quarter = 0.6744897501960817 * sd
    natural = sd * math.log(10.0)
    of_law = 10.0 ** (mean + natural * sd / 2.0)
    return LogNormal(
        log10_mean=mean,
        log10_sd=sd,
        mean=of_law,
        sd=of_law * math.sqrt(math.expm1(natural**2)),
        q1=10.0 ** (mean - quarter),
        median=10.0**mean,
        q3=10.0 ** (mean + quarter),
    )


@dataclass(frozen=True, eq=False)
class Correlations:
    """Correlation matrix of the elements.

    Attributes:
        elements: k names.
        method: Pearson's r of the values, of their decimal logarithms, or Spearman's rank correlation.
        reading: what was done with bounds.
        r: (k, k); nan where fewer than 3 samples have both elements, or one of them does not vary.
        n: (k, k) samples that each was taken over.
        n_bounds: (k, k) of them, those of which a bound was taken as the value.
    """

    elements: tuple[str, ...]
    method: Method
    reading: Reading
    r: Floats
    n: NDArray[np.int64]
    n_bounds: NDArray[np.int64]

    def to_records(self) -> list[dict[str, Any]]:
        """Give each pair of elements as JSON values; `section` is "correlation", an r that there is not is None."""
        records = []
        for i, first in enumerate(self.elements):
            for j in range(i + 1, len(self.elements)):
                r = float(self.r[i, j])
                records.append(
                    {
                        "section": "correlation",
                        "element": first,
                        "other": self.elements[j],
                        "method": self.method,
                        "reading": self.reading,
                        "n": int(self.n[i, j]),
                        "n_bounds": int(self.n_bounds[i, j]),
                        "r": None if math.isnan(r) else r,
                    }
                )
        return records


def correlate(table: AssayTable, method: Method = "pearson", reading: Reading = "bounds as values") -> Correlations:
    """Correlate the elements of a table's samples, each pair over the samples that have both.

    Args:
        table: its rows of kind sample are taken.
        method: "log-pearson" leaves values of 0 out.
        reading: with bounds as values Spearman's ranks are right as long as no known value lies beyond a bound;
            Pearson's r of either kind is drawn towards 0, or away from it.
    """
    values = sample_matrix(table, reading)
    bounds = np.isfinite(values) & ~np.isfinite(sample_matrix(table, "known values only"))
    if method == "log-pearson":
        values = np.where(values > 0, values, np.nan)
    k = len(table.columns)
    r, n, n_bounds = np.full((k, k), np.nan), np.zeros((k, k), dtype=np.int64), np.zeros((k, k), dtype=np.int64)
    for i in range(k):
        for j in range(i, k):
            both = np.isfinite(values[:, i]) & np.isfinite(values[:, j])
            n[i, j] = n[j, i] = both.sum()
            n_bounds[i, j] = n_bounds[j, i] = (both & (bounds[:, i] | bounds[:, j])).sum()
            r[i, j] = r[j, i] = correlation(values[both, i], values[both, j], method)
    return Correlations(tuple(column.element for column in table.columns), method, reading, r, n, n_bounds)


def sample_matrix(table: AssayTable, reading: Reading) -> Floats:
    """Give (samples, elements), nan where there is nothing or, with "known values only", only a bound."""
    rows = table.of_kind("sample")
    values = np.full((len(rows), len(table.columns)), np.nan)
    for i, row in enumerate(rows):
        for j, assay in enumerate(row.values):
            if assay is not None and (not assay.censored or reading == "bounds as values"):
                values[i, j] = assay.value
    return values


def correlation(x: Floats, y: Floats, method: Method = "pearson") -> float:
    """Correlate two sets of numbers.

    Args:
        x, y: (n,); above 0 for log-pearson.

    Returns:
        r, or nan where n is below 3 or one of them does not vary.
    """
    if x.size < 3 or x.min() == x.max() or y.min() == y.max():
        return math.nan
    if method == "log-pearson":
        x, y = np.log10(x), np.log10(y)
    elif method == "spearman":
        from scipy.stats import rankdata

        x, y = rankdata(x), rankdata(y)
    # Scaled first: squares of very small or large numbers leave the range of a double.
    dx, dy = (v - v.mean() for v in (x / np.abs(x).max(), y / np.abs(y).max()))
    square = math.sqrt(float(dx @ dx) * float(dy @ dy))
    return float(np.clip(dx @ dy / square, -1.0, 1.0)) if square > 0 else math.nan
