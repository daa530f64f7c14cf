"""The multivariate law of the published analyses, and soils drawn from it.

Sb above the laboratory's limit is right-censored. The fit treats it as such, and where a soil has to be mixed its Sb
is drawn from what the other elements leave possible; the drawn value is never reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ...converters.spectra.spectrum import Floats
from ..assays.published import ELEMENTS, Analysis

SB_LIMIT_PPM = 4000.0
"""The laboratory's upper limit for Sb in table A1: above it, only that much is reported."""
SB_CEILING_PPM = 50_000.0
"""No drawn Sb value exceeds this: 5 %, ore rather than soil."""

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Geochemistry:
    """The multivariate log-normal law of the table, one vein system over both sites.

    Attributes:
        mean: (5,) of log10 ppm.
        covariance: (5, 5) of log10 ppm.
    """

    mean: Floats
    covariance: Floats

    @property
    def correlations(self) -> Floats:
        """(5, 5) of log10 ppm."""
        deviation = np.sqrt(np.diag(self.covariance))
        return np.asarray(self.covariance / np.outer(deviation, deviation))

    def factors(self, true_ppm: Floats) -> Floats:
        """Independent factors of unit variance: each element less what the elements before it tell.

        Args:
            true_ppm: (n, 5) in the order of `ELEMENTS`.

        Returns:
            (n, 5); outliers are drawn in towards 3 standard deviations, as no soil is more than all ore.
        """
        centred = (np.log10(true_ppm) - self.mean).T
        independent = np.linalg.solve(np.linalg.cholesky(self.covariance), centred).T
        bounded: Floats = 3.0 * np.tanh(independent / 3.0)
        return bounded


def fit_geochemistry(analyses: tuple[Analysis, ...], iterations: int = 60) -> Geochemistry:
    """Fit a log-normal law to analyses of which Sb may be right-censored, by expectation-maximisation.

    Args:
        analyses: rows; an element other than Sb must not be censored.
        iterations: of the EM algorithm; the estimate moves by less than 1e-6 after about 30.

    Raises:
        ValueError: an element other than Sb is censored, or there are fewer than 10 rows.
    """
    if len(analyses) < 10:
        raise ValueError(f"{len(analyses)} analyses are too few for a covariance of 5 elements; 10 are needed")
    censored = [row.sample for row in analyses if any(row.above[1:])]
    if censored:
        raise ValueError(f"{censored[0]}: only Sb may be right-censored")
    logs = np.log10(np.array([row.bound_ppm for row in analyses]))
    above = np.array([row.above[0] for row in analyses])
    bounds = logs[:, 0].copy()
    mean, covariance = logs.mean(axis=0), np.cov(logs.T, bias=True)
    for _ in range(iterations):
        centre, spread = _conditional_sb(logs, mean, covariance)
        missing = 0.0
        for row in np.flatnonzero(above):
            a = (bounds[row] - centre[row]) / spread
            hazard = _NORMAL.pdf(a) / max(1.0 - _NORMAL.cdf(a), 1e-12)
            logs[row, 0] = centre[row] + spread * hazard
            missing += spread**2 * (1.0 + a * hazard - hazard**2)
        mean, covariance = logs.mean(axis=0), np.cov(logs.T, bias=True)
        covariance[0, 0] += missing / len(analyses)
    return Geochemistry(mean, covariance)


def _conditional_sb(logs: Floats, mean: Floats, covariance: Floats) -> tuple[Floats, float]:
    """Mean (n,) and standard deviation of log10 Sb, given the other elements."""
    slope = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
    centre = mean[0] + (logs[:, 1:] - mean[1:]) @ slope
    return centre, float(np.sqrt(covariance[0, 0] - slope @ covariance[1:, 0]))


def draw_censored_Sb_ppm(analysis: Analysis, law: Geochemistry, rng: np.random.Generator) -> float:
    """Draw what a right-censored soil might truly hold, given its other elements: for the mixing only.

    Args:
        analysis: a row whose Sb is censored.
        law: the fitted geochemistry.
        rng: source of chance.

    Returns:
        Sb in ppm between the row's bound and `SB_CEILING_PPM`.
    """
    logs = np.log10(np.array([analysis.bound_ppm]))
    centre, spread = _conditional_sb(logs, law.mean, law.covariance)
    low = _NORMAL.cdf((logs[0, 0] - centre[0]) / spread)
    high = _NORMAL.cdf((np.log10(SB_CEILING_PPM) - centre[0]) / spread)
    level = min(max(low + (high - low) * rng.random(), 1e-12), 1.0 - 1e-12)
    drawn_log10 = float(centre[0]) + spread * _NORMAL.inv_cdf(level)
    return float(np.clip(10.0**drawn_log10, analysis.bound_ppm[0] * 1.001, SB_CEILING_PPM))


BANDWIDTH = 0.35
"""Width of the resampling kernel in standard deviations of a site's log10 ppm."""


class Resampling:
    """Draws soils like given ones by smoothed resampling in log10 ppm, within each site.

    A row is picked, moved by a Gaussian step with the site's covariance, and drawn in towards the site's mean so that
    variances stay as they are (Silverman & Young 1987, Biometrika 74:469).

    Args:
        sites: one per row.
        true_ppm: (n, 5) in the order of `ELEMENTS`, uncensored.
    """

    def __init__(self, sites: Sequence[str], true_ppm: Floats) -> None:
        self._logs = np.log10(true_ppm)
        self._sites = tuple(sites)
        self._laws = {}
        for site in sorted(set(sites)):
            here = self._logs[[row for row, name in enumerate(sites) if name == site]]
            self._laws[site] = (here.mean(axis=0), np.linalg.cholesky(np.cov(here.T)))

    def draw(self, rng: np.random.Generator) -> tuple[str, Floats]:
        """Return the site and (5,) ppm of one soil."""
        row = int(rng.integers(len(self._logs)))
        site = self._sites[row]
        mean, root = self._laws[site]
        step = BANDWIDTH * (root @ rng.standard_normal(len(ELEMENTS)))
        logs = mean + (self._logs[row] - mean + step) / np.sqrt(1.0 + BANDWIDTH**2)
        ppm = 10.0**logs
        ppm[0] = min(ppm[0], SB_CEILING_PPM)
        return site, ppm


def report(ppm: Floats) -> tuple[str, ...]:
    """Report as the laboratory did: its decimals, and a bound above its upper limit."""
    decimals = (2, 1, 2, 0, 1)
    texts = [f"{value:.{places}f}" for value, places in zip(ppm, decimals, strict=True)]
    if ppm[0] > SB_LIMIT_PPM:
        texts[0] = f">{SB_LIMIT_PPM:.0f}"
    return tuple(texts)
