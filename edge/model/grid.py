"""The bands that spectra stand on, and the checks that every step relies on.

Spectra are one (bands,) or many (n, bands), in float64, on wavelengths in nm that ascend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError, WavelengthRangeError

Operator = Callable[[Floats], Floats]
"""From spectra to what a step makes of them. Its input is not checked, and not changed; the result may share memory
with it where nothing had to be done."""

SAME_NM = 1e-6
"""Wavelengths closer than this are the same."""
UNIFORM = 1e-3
"""Steps of a uniform grid differ by less than this fraction: room for wavelengths stored as float32 micrometres."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The bands of spectra.

    Attributes:
        wavelengths_nm: (bands,), two at least, ascending.
        splices_nm: where detectors join; () if unknown or a single detector.

    Raises:
        PreprocessError: wavelengths that do not ascend, or joins that are no wavelengths.
    """

    wavelengths_nm: Floats
    splices_nm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "wavelengths_nm", _ascending(self.wavelengths_nm))
        object.__setattr__(self, "splices_nm", tuple(self.splices_nm))
        if not np.isfinite(np.asarray(self.splices_nm, dtype=np.float64)).all():
            raise PreprocessError(f"detector joins {self.splices_nm!r} are no wavelengths in nm")

    @property
    def size(self) -> int:
        """Number of bands."""
        return self.wavelengths_nm.size

    def uniform_step_nm(self) -> float:
        """Return the step of a uniform grid, in nm.

        Raises:
            PreprocessError: the grid is not uniform.
        """
        steps = np.diff(self.wavelengths_nm)
        step_nm = float((self.wavelengths_nm[-1] - self.wavelengths_nm[0]) / steps.size)
        if np.abs(steps - step_nm).max() > UNIFORM * step_nm:
            raise PreprocessError(
                f"wavelengths step by {steps.min():.3g} to {steps.max():.3g} nm: resample to a uniform grid first"
            )
        return step_nm

    def require(self, first_nm: float, last_nm: float) -> None:
        """Refuse to do without a part of a range, in nm.

        Raises:
            WavelengthRangeError: the grid does not cover all of it.
        """
        nm = self.wavelengths_nm
        if first_nm < nm[0] - SAME_NM or last_nm > nm[-1] + SAME_NM:
            raise WavelengthRangeError(f"covers {nm[0]:g}-{nm[-1]:g} nm; {first_nm:g}-{last_nm:g} nm is needed")


def _ascending(wavelengths_nm: ArrayLike) -> Floats:
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    if nm.ndim != 1 or nm.size < 2:
        raise PreprocessError(f"wavelengths have shape {nm.shape}: a list of two or more is needed")
    if not (nm[1:] > nm[:-1]).all() or not np.isfinite(nm[[0, -1]]).all():
        raise PreprocessError("wavelengths do not ascend")
    return nm


def as_spectra(values: ArrayLike, bands: int) -> Floats:
    """Check spectra: (bands,) or (n, bands), finite.

    Raises:
        PreprocessError: another shape, not `bands` bands, or a value that is not a number.
    """
    spectra = np.asarray(values, dtype=np.float64)
    if spectra.ndim not in (1, 2) or spectra.shape[-1] < 1:
        raise PreprocessError(f"spectra have shape {spectra.shape}: (bands,) or (n, bands) is needed")
    if spectra.shape[-1] != bands:
        raise PreprocessError(f"{spectra.shape[-1]} values for {bands} wavelengths: one each is needed")
    if not np.isfinite(spectra).all():
        raise PreprocessError(f"value {which(spectra, ~np.isfinite(spectra))} is not a finite number: measure again")
    return spectra


def which(spectra: Floats, bad: NDArray[np.bool_], wavelengths_nm: Floats | None = None) -> str:
    """Name the first bad value in words, and the spectra of a batch that have one."""
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    band = f"band {where[-1]}" if wavelengths_nm is None else f"{wavelengths_nm[where[-1]]:g} nm"
    text = f"{spectra[where]:.3g} at {band}"
    if spectra.ndim == 1 or spectra.shape[0] == 1:
        return text
    others = np.flatnonzero(bad.any(axis=1))[1:]
    if others.size == 0:
        return f"{text} of spectrum {where[0]}"
    named = ", ".join(str(row) for row in others[:5]) + (", ..." if others.size > 5 else "")
    return f"{text} of spectrum {where[0]} (of {spectra.shape[0]}; also in {named})"


def interpolation(source: Grid, target: Grid) -> Operator:
    """Prepare linear interpolation from one grid onto another.

    Linear and not a spline: a spline rings on both sides of a detector step and can leave the range of what was
    measured, and there is no detail for it to restore, since an instrument's resolution is wider than its sampling.
    Where the target's bands are a run of the source's, the values themselves are given, not a copy.

    Raises:
        WavelengthRangeError: the target reaches beyond the source.
    """
    nm, wanted = source.wavelengths_nm, target.wavelengths_nm
    source.require(float(wanted[0]), float(wanted[-1]))
    start = int(np.searchsorted(nm, wanted[0] - SAME_NM))
    stop = start + wanted.size
    if stop <= nm.size and np.abs(nm[start:stop] - wanted).max() <= SAME_NM:
        return (lambda values: values) if wanted.size == nm.size else (lambda values: values[..., start:stop])
    right = np.clip(np.searchsorted(nm, wanted), 1, nm.size - 1)
    left = right - 1
    weight = np.clip((wanted - nm[left]) / (nm[right] - nm[left]), 0.0, 1.0)

    def interpolate(values: Floats) -> Floats:
        low = values.take(left, axis=-1)
        step = values.take(right, axis=-1)
        step -= low
        step *= weight
        step += low
        return step

    return interpolate
