"""The one form in which a spectrum travels through the package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableSpectrumError

Floats = NDArray[np.float64]
Quantity = Literal["reflectance", "absorbance", "transmittance", "raw_dn", "radiance", "irradiance"]
QUANTITIES: tuple[str, ...] = get_args(Quantity)
Condition = Literal["dry", "damp", "wet"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""Of the ground, as a person sees it: air-dried, moist, or soaked."""

SIMULATED = "simulated"
"""The word that marks a made-up spectrum, wherever a format has room for it."""
REMARKS = "remarks"
"""Name in `Spectrum.extra`."""


MAX_BANDS = 100_000
"""More than any laboratory instrument has; each costs time in every step of a model."""


@dataclass(frozen=True)
class Position:
    """Where a spectrum was taken: WGS 84 degrees, height in metres if known."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float | None = None


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One spectrum and what its file says of it.

    Attributes:
        wavelengths_nm: (bands,) strictly ascending, in nm.
        values: (bands,) finite; reflectance as a fraction (1.0 = white), absorbance as log10(1/R).
        quantity: what `values` are.
        sample_id: the soil; several spectra may share it.
        source: file, port or recording it came from, as a person would name it.
        measurement: which of the sample's measurements, as the instrument counts them; "" if it does not.
        measured_at: the instrument's own clock; naive where the file gives no time zone.
        instrument: maker, model and serial number, as far as the file tells.
        position: if the file has one.
        splices_nm: where detectors join, in nm; () if unknown or a single detector.
        saturated: names of the detectors that were saturated.
        condition: of the ground when it was measured: dry, damp or wet; "" if nobody said. Spectra of one sample in two
            conditions are never averaged.
        comment: free text from the file.
        simulated: True if no instrument ever saw it.
        extra: further fields of the file, by the file's own names.

    Raises:
        UnusableSpectrumError: shapes differ, fewer than two bands, wavelengths not ascending, any value not
            finite, or a condition that is none. The message names `source`.
    """

    wavelengths_nm: Floats
    values: Floats
    quantity: Quantity
    sample_id: str
    source: str = ""
    measurement: str = ""
    measured_at: datetime | None = None
    instrument: str = ""
    position: Position | None = None
    splices_nm: tuple[float, ...] = ()
    saturated: tuple[str, ...] = ()
    condition: Condition | Literal[""] = ""
    comment: str = ""
    simulated: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wavelengths_nm = np.asarray(self.wavelengths_nm, dtype=np.float64)
        values = np.asarray(self.values, dtype=np.float64)
        name = self.source or self.sample_id
        if self.quantity not in QUANTITIES:
            raise UnusableSpectrumError(f"{name}: unknown quantity {self.quantity!r}")
        if self.condition and self.condition not in CONDITIONS:
            raise UnusableSpectrumError(f"{name}: {no_condition(self.condition)}")
        if wavelengths_nm.ndim != 1 or values.shape != wavelengths_nm.shape:
            raise UnusableSpectrumError(
                f"{name}: {values.shape} values for {wavelengths_nm.shape} wavelengths; one each is needed"
            )
        if wavelengths_nm.size < 2:
            raise UnusableSpectrumError(f"{name}: {wavelengths_nm.size} bands are no spectrum")
        if wavelengths_nm.size > MAX_BANDS:
            raise UnusableSpectrumError(f"{name}: {wavelengths_nm.size} bands; no more than {MAX_BANDS} are read")
        if not np.isfinite(wavelengths_nm).all() or (wavelengths_nm[1:] <= wavelengths_nm[:-1]).any():
            raise UnusableSpectrumError(f"{name}: wavelengths do not ascend")
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            first_nm = float(wavelengths_nm[np.flatnonzero(~np.isfinite(values))[0]])
            raise UnusableSpectrumError(
                f"{name}: {bad} of {values.size} values are not numbers (first at {first_nm:g} nm); measure again"
            )
        object.__setattr__(self, "wavelengths_nm", wavelengths_nm)
        object.__setattr__(self, "values", values)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the file leaves in doubt, in words that go with every answer; they are kept in `extra`."""
        return tuple(filter(None, str(self.extra.get(REMARKS, "")).split("; ")))

    @property
    def range_nm(self) -> tuple[float, float]:
        """First and last wavelength, in nm."""
        return float(self.wavelengths_nm[0]), float(self.wavelengths_nm[-1])


def as_doubles(values: NDArray[Any]) -> Floats:
    """Convert numbers of a file to double precision; a signalling not-a-number becomes one without a warning."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def no_condition(text: str) -> str:
    """Say that a text names no condition of the ground."""
    return f"condition {text[:40]!r} is no state of the ground: write dry, damp or wet, or leave it empty"


AnySpectrum = TypeVar("AnySpectrum", bound=Spectrum)


def with_remarks(spectrum: AnySpectrum, remarks: Iterable[str]) -> AnySpectrum:
    """Add to what goes with every answer to a spectrum; what it says already is not said twice."""
    text = "; ".join(dict.fromkeys([*spectrum.remarks, *remarks]))
    return replace(spectrum, extra={**spectrum.extra, REMARKS: text}) if text else spectrum
