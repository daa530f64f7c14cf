"""The sample that is being measured: its points, what is wrong with them, and the spectrum they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from ...converters.spectra.errors import SpectrumFileError
from ...converters.spectra.spectrum import Condition, Floats, Position, Spectrum
from ..errors import MeasurementError
from ..gates.finding import Finding, refusing
from ..gates.reflectance import low_signal
from ..gates.rules import Rules
from ..gates.scan import flags, numbers
from ..gates.scans import Identity, Scan
from ..gates.spectrum import farthest, replicate_scatter, spectrum_gates
from ..instruments.driver import Instrument
from ..model.replicates import MeanSpectrum, mean_spectrum
from ..model.suitability import HIGHEST_REFLECTANCE
from .plan import Planned
from .references import References

BY_REPEATING = {
    "saturated",
    "shutter",
    "cooler",
    "values",
    "low_signal",
    "lamp",
    "noise",
    "splice_step",
    "lone_band",
    "order",
}
"""Findings about one point, which another try may cure; the others are about the session."""


@dataclass(frozen=True, eq=False)
class Point:
    """One measurement of a sample.

    Attributes:
        scan: as delivered.
        scan_id: its row in the log.
        spectrum: reflectance, or counts where none could be made.
        findings: what is wrong with it.
        dark_id, white_id: rows of the references it was made with; 0 for none.
    """

    scan: Scan
    scan_id: int
    spectrum: Spectrum | None
    findings: tuple[Finding, ...] = ()
    dark_id: int = 0
    white_id: int = 0

    @property
    def refused(self) -> bool:
        """True if no estimate may be made of it."""
        return bool(refusing(self.findings))

    @property
    def bad(self) -> bool:
        """True if another try may cure what is wrong."""
        return any(finding.code in BY_REPEATING for finding in refusing(self.findings))


@dataclass(frozen=True)
class Place:
    """Where a sample was measured, when that was valid, and who said so."""

    position: Position
    at: datetime
    source: str

    def as_details(self) -> dict[str, Any]:
        """Give it as plain values, for the log."""
        return {**asdict(self.position), "at": self.at.isoformat(), "source": self.source}

    @classmethod
    def from_details(cls, details: dict[str, Any]) -> Place:
        """Make it of what `as_details` gave."""
        position = Position(details["latitude_deg"], details["longitude_deg"], details["altitude_m"])
        return cls(position, datetime.fromisoformat(details["at"]), details["source"])


@dataclass
class Sample:
    """The points of one sample so far.

    Attributes:
        planned: what it is.
        points: those that count.
        notes: typed by the person who measures.
        repeated: points that were measured again.
        spoiled: bad points, newest last; kept for when no good one comes.
        place: where it is; None if nobody knows.
        condition: of the ground; "" if nobody knows.
        names_before: that it was renamed from, newest last.
    """

    planned: Planned
    points: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    repeated: int = 0
    spoiled: list[Point] = field(default_factory=list)
    place: Place | None = None
    condition: Condition | Literal[""] = ""
    names_before: list[str] = field(default_factory=list)


def judge(
    scan: Scan,
    scan_id: int,
    instrument: Instrument,
    references: References,
    rules: Rules,
    range_nm: tuple[float, float],
    valid_min: float,
) -> Point:
    """Make a point of a target scan, with all that its gates find.

    Args:
        scan, scan_id: the scan, and its row in the log.
        instrument: that delivered it.
        references: in force.
        rules: the profile's.
        range_nm: first and last wavelength that the model needs.
        valid_min: minutes that dark and white may be used now.
    """
    identity, nm = instrument.identity, instrument.wavelengths_nm
    found = [*flags(scan, identity), *numbers(scan, nm.size)]
    if any(finding.code == "values" for finding in found):
        return Point(scan, scan_id, None, tuple(found))
    found += references.wrong_with(scan, valid_min)
    dark_id = references.dark.scan_id if references.dark is not None else 0
    white_id = references.white.scan_id if references.white is not None else 0
    spectrum = None
    if {"dark_missing", "white_missing"} & {finding.code for finding in found}:
        dark_id = white_id = 0
    else:
        try:
            reflectance = references.reflectance(scan)
        except MeasurementError as error:
            # The driver knows more of its dark than the settings say, as that it belongs to another integration time.
            text = str(error).removeprefix(f"{instrument.name}: ")
            code = "reference_settings" if references.needed else "values"
            found += [] if refusing(found) else [Finding(code, text)]
        else:
            found += low_signal(nm, reflectance, identity, range_nm, rules)
            spectrum = _as_spectrum(scan, reflectance, instrument, "reflectance")
            if spectrum is None:
                found.append(Finding("low_signal", "no reflectance: the white shows no light in between; white again"))
    if spectrum is None:
        counts = _as_spectrum(scan, scan.values, instrument, "raw_dn")
        return Point(scan, scan_id, counts, tuple(found), dark_id, white_id)
    # What the scan's own flags have said need not be said twice, noise in the dark is no news, and of what is no
    # reflectance, as it is in percent, the model says so better than noise and steps do.
    known = {finding.code for finding in found}
    if not known & {"saturated", "lamp"} and spectrum.values.max() <= HIGHEST_REFLECTANCE:
        found += [f for f in spectrum_gates(spectrum, rules, range_nm) if f.code not in known]
    return Point(scan, scan_id, spectrum, tuple(found), dark_id, white_id)


def scattering(points: Sequence[Point], rules: Rules) -> tuple[int, list[Finding]]:
    """Give the index of the point that is farthest from the others, and what is wrong with their scatter."""
    spectra = on_common_bands([point.spectrum for point in points if point.spectrum is not None])
    if len(spectra) < 2 or len(spectra) < len(points):
        return 0, []
    values = [spectrum.values for spectrum in spectra]
    found = replicate_scatter(values, rules)
    return farthest(values) if found else 0, found


def sample_spectrum(points: Sequence[Point], sample_id: str) -> Spectrum | None:
    """Give the mean spectrum of points, which keeps them; of the quantity that most of them have; None of none."""
    spectra = [replace(point.spectrum, sample_id=sample_id) for point in points if point.spectrum is not None]
    quantities = [spectrum.quantity for spectrum in spectra]
    spectra = [s for s in spectra if s.quantity == max(set(quantities), key=quantities.count)]
    spectra = on_common_bands(spectra)
    if len(spectra) < 2:
        return spectra[0] if spectra else None
    return mean_spectrum(spectra)


def with_condition(spectrum: Spectrum, condition: Condition) -> Spectrum:
    """Put down the condition of the ground in a spectrum, and in the points of a mean."""
    if isinstance(spectrum, MeanSpectrum):
        points = tuple(replace(point, condition=condition) for point in spectrum.points)
        return replace(spectrum, condition=condition, points=points)
    return replace(spectrum, condition=condition)


def on_common_bands(spectra: Sequence[Spectrum]) -> list[Spectrum]:
    """Cut spectra of one instrument to the bands that all have; another white may have lit others at the ends."""
    if not spectra:
        return []
    first_nm = max(spectrum.range_nm[0] for spectrum in spectra)
    last_nm = min(spectrum.range_nm[1] for spectrum in spectra)
    cut = []
    for spectrum in spectra:
        inside = (spectrum.wavelengths_nm >= first_nm) & (spectrum.wavelengths_nm <= last_nm)
        if inside.sum() < 2:
            return list(spectra[:1])
        cut.append(replace(spectrum, wavelengths_nm=spectrum.wavelengths_nm[inside], values=spectrum.values[inside]))
    return cut


def _as_spectrum(scan: Scan, values: Floats, instrument: Instrument, quantity: str) -> Spectrum | None:
    identity: Identity = instrument.identity
    finite = np.flatnonzero(np.isfinite(values))
    if finite.size < 2:
        return None
    used = slice(int(finite[0]), int(finite[-1]) + 1)
    try:
        return Spectrum(
            wavelengths_nm=instrument.wavelengths_nm[used],
            values=values[used],
            quantity=quantity,  # type: ignore[arg-type]
            sample_id=scan.label,
            source=f"{instrument.name} measurement {scan.number}",
            measurement=str(scan.number),
            measured_at=scan.measured_at,
            instrument=who(identity),
            splices_nm=identity.splices_nm,
            saturated=scan.saturated,
            simulated=scan.simulated,
            extra={"scans": scan.scans, "temperature_c": scan.temperature_c},
        )
    except SpectrumFileError:
        # Not finite somewhere in the middle; the caller says so.
        return None


def who(identity: Identity) -> str:
    """Name an instrument as it stands beside a reading."""
    played = "(played by a virtual probe)" if identity.virtual and "virtual" not in identity.name else ""
    return " ".join(filter(None, (str(identity), played)))
