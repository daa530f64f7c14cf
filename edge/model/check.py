"""Does this device compute what training computed? Golden spectra through the whole path."""

from __future__ import annotations

from dataclasses import dataclass

from ...converters.spectra.spectrum import Spectrum
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
    names = [f"golden {i + 1}" for i in range(len(golden.expected))]
    answers = Estimator(bundle).estimate(
        [
            Spectrum(golden.wavelengths_nm, values, "reflectance", name, source=name, splices_nm=golden.splices_nm)
            for name, values in zip(names, golden.reflectance, strict=True)
        ]
    )
    results = []
    for name, expected, answer in zip(names, golden.expected, answers, strict=True):
        if not isinstance(answer, Estimate):
            raise BundleError(f"{bundle.path or bundle.name}: {name} is refused on this device: {answer.reason}")
        results.append(GoldenResult(name, float(expected), answer.value, golden.tolerance))
    return results
