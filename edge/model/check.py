"""Does this device compute what training computed? Golden spectra through the whole path."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BundleError
from .bundle import Bundle
from .estimate import Estimate, Estimator


@dataclass(frozen=True)
class GoldenResult:
    """One golden spectrum's answer here beside the expected one, in the bundle's unit."""

    name: str
    expected: float
    answer: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Relative difference."""
        return abs(self.answer - self.expected) / max(abs(self.expected), 1e-12)

    @property
    def same(self) -> bool:
        """True if the answer is within the bundle's tolerance."""
        return self.difference <= self.tolerance


def recompute_golden(bundle: Bundle) -> list[GoldenResult]:
    """Estimate the bundle's golden spectra on this device.

    Raises:
        BundleError: the bundle has none, or one of them is refused here.
    """
    golden = bundle.golden
    if golden is None or not len(golden.expected):
        raise BundleError(f"{bundle.path or bundle.name}: has no golden spectra to check with; export it again")
    spectra = golden.spectra()
    answers = Estimator(bundle).estimate(spectra)
    results = []
    for spectrum, expected, answer in zip(spectra, golden.expected, answers, strict=True):
        name = spectrum.source
        if not isinstance(answer, Estimate):
            raise BundleError(f"{bundle.path or bundle.name}: {name} is refused on this device: {answer.reason}")
        results.append(GoldenResult(name, float(expected), answer.value, golden.tolerance))
    return results
