"""What an ASD FieldSpec's numbers mean: wavelengths, settings, flags, and counts without dark."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.detectors import join_detectors
from ...converters.spectra.spectrum import Floats
from ..errors import InstrumentError, MeasurementError
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings
from ..protocols.fieldspec_messages import CHANNELS, DETECTOR_CHANNELS, TYPE_DETECTORS, integration_ms
from ..protocols.fieldspec_replies import Acquired, AcquireHead, Optimised, SwirHead

FULL_SCALE_DN = 65535.0
"""Counts at which a detector's 16 bits end."""

_PREFIXES = {"VNIR": "V", "SWIR1": "S1", "SWIR2": "S2"}
_LONGEST_STEP = 15
_SHORTEST_NM, _LONGEST_NM = 200.0, 3000.0


@dataclass(frozen=True, eq=False)
class ChannelLayout:
    """Where an instrument's channels lie.

    Attributes:
        detectors: names, shortest wavelengths first.
        wavelengths_nm: (bands,) ascending.
        kept: (bands,) indices of these bands among the channels as delivered; detectors of an instrument without
            all three overlap.
        splices_nm: the last band of each detector but the last.
        channels: as delivered.
        dark_correction: VDarkCurrentCorrection, in counts.
    """

    detectors: tuple[str, ...]
    wavelengths_nm: Floats
    kept: NDArray[np.intp]
    splices_nm: tuple[float, ...]
    channels: int
    dark_correction: float

    def bands_of(self, detector: str) -> NDArray[np.bool_]:
        """(bands,) which of them are the detector's."""
        number = np.searchsorted(self.splices_nm, self.wavelengths_nm, side="left")
        return np.asarray(number == self.detectors.index(detector))


def layout_of(instrument_type: int, read_value: Callable[[str], float], name: str) -> ChannelLayout:
    """Ask an instrument where its channels lie.

    Args:
        instrument_type: one of `CHANNELS`.
        read_value: reads one setting by the maker's name.
        name: of the port, for errors.

    Raises:
        InstrumentError: the wavelengths it gives make no sense, or no sense with its type.
    """
    detectors = TYPE_DETECTORS[instrument_type]
    ranges = {}
    for detector in detectors:
        first, last = (read_value(f"{_PREFIXES[detector]}{end}Wavelength") for end in ("Starting", "Ending"))
        if not _SHORTEST_NM <= first < last <= _LONGEST_NM:
            raise InstrumentError(f"{name}: {detector} from {first:g} to {last:g} nm makes no sense")
        ranges[detector] = first, last
    channels = CHANNELS[instrument_type]
    correction = read_value("VDarkCurrentCorrection") if "VNIR" in detectors else 0.0
    if len(detectors) == len(_PREFIXES):
        first, last = ranges["VNIR"][0], ranges["SWIR2"][1]
        splices = ranges["VNIR"][1], ranges["SWIR1"][1]
        if last - first != channels - 1 or not first < splices[0] < splices[1] < last:
            raise InstrumentError(
                f"{name}: {channels} channels of 1 nm are no {first:g} to {last:g} nm with joins at {splices[0]:g} "
                f"and {splices[1]:g} nm"
            )
        nm = first + np.arange(channels, dtype=np.float64)
        return ChannelLayout(detectors, nm, np.arange(channels), splices, channels, correction)
    nm = np.concatenate([ranges[d][0] + np.arange(DETECTOR_CHANNELS[d], dtype=np.float64) for d in detectors])
    kept, joined = join_detectors(nm, name, [ranges[d][1] for d in detectors[:-1]])
    if len(detectors) == 2 and not joined:
        # A gap lies between them, or they touch: the first one's last channel is the join.
        joined = (float(nm[DETECTOR_CHANNELS[detectors[0]] - 1]),)
    wavelengths_nm, unique = np.unique(nm[kept], return_index=True)
    return ChannelLayout(detectors, wavelengths_nm, kept[unique], joined, channels, correction)


def header_ms(number: int) -> float:
    """Integration time in ms from a header: a step up to 15, else ms already."""
    return integration_ms(number) if -1 <= number <= _LONGEST_STEP else float(number)


def optimised_settings(found: Optimised, detectors: tuple[str, ...]) -> ScanSettings:
    """Give what optimising has set, as `scan_of` names it."""
    swirs = {"SWIR1": (found.swir1_gain, found.swir1_offset), "SWIR2": (found.swir2_gain, found.swir2_offset)}
    return _settings(found.integration_step, swirs, detectors)


def _settings(integration: int, swirs: dict[str, tuple[int, int]], detectors: tuple[str, ...]) -> ScanSettings:
    values: list[tuple[str, float]] = []
    for detector in detectors:
        if detector == "VNIR":
            values.append(("VNIR integration_ms", header_ms(integration)))
        else:
            gain, offset = swirs[detector]
            values += [(f"{detector} gain", float(gain)), (f"{detector} offset", float(offset))]
    return ScanSettings(tuple(values))


def scan_of(
    reply: Acquired, kind: ScanKind, scans: int, layout: ChannelLayout, identity: Identity, boot: int, number: int
) -> Scan:
    """Give a measurement in the form that every instrument's scans have; it is not judged yet."""
    head = reply.head
    swirs = {"SWIR1": head.swir1, "SWIR2": head.swir2}
    swirs = {name: swirs[name] for name in layout.detectors if name in swirs}
    vnir = "VNIR" in layout.detectors
    values = reply.values[layout.kept]
    return Scan(
        kind=kind,
        values=values,
        unit="raw_dn",
        key=(str(identity), boot, number, crc32(reply.values.astype(">f4").tobytes())),
        number=number,
        taken_s=time.monotonic(),
        measured_at=datetime.now(timezone.utc),
        scans=scans,
        settings=_settings(
            head.vnir.integration, {name: (swir.gain, swir.offset) for name, swir in swirs.items()}, layout.detectors
        ),
        boot=boot,
        saturated=_saturated(head, swirs, layout, values, kind),
        shutter_closed=bool(head.vnir.shutter) if vnir else None,
        cooler_alarms=tuple(name for name, swir in swirs.items() if swir.tec_status),
        dark_subtracted=(*(("VNIR",) if vnir and head.vnir.dark_subtracted else ()), *swirs),
        drift=float(head.vnir.drift) if vnir else None,
        simulated=identity.simulated,
        extra=_extra(head, swirs),
    )


def _saturated(
    head: AcquireHead, swirs: dict[str, SwirHead], layout: ChannelLayout, values: Floats, kind: ScanKind
) -> tuple[str, ...]:
    flags = {name: swir.saturation for name, swir in swirs.items()} | {"VNIR": head.vnir.saturation}
    # The shutter is the VNIR's: in a dark the others see light, and nothing is made of it.
    judged = [name for name in layout.detectors if kind != "dark" or name not in swirs]
    # The flag of a detector, or counts at their end even without it.
    return tuple(name for name in judged if flags[name] or (values[layout.bands_of(name)] >= FULL_SCALE_DN).any())


def _extra(head: AcquireHead, swirs: dict[str, SwirHead]) -> dict[str, Any]:
    """The header's other numbers, by its own names and in its own units."""
    own = asdict(head)
    parts = {"VNIR": own.pop("vnir"), "SWIR1": own.pop("swir1"), "SWIR2": own.pop("swir2")}
    present = {"VNIR", *swirs} if head.vnir.scans or head.vnir.integration else set(swirs)
    for name in parts:
        if name in present:
            own |= {f"{name} {key}": value for key, value in parts[name].items()}
    del own["header"], own["errbyte"]
    return own


def without_dark(scan: Scan, dark: Scan | None, layout: ChannelLayout, dark_drift: str, name: str) -> Floats:
    """Give (bands,) counts without dark.

    Args:
        scan: of a target or white.
        dark: with the shutter closed; its integration time has to be the scan's.
        layout: of the instrument.
        dark_drift: "added": target - dark + (correction + drift), as the maker's guide has it; or "subtracted".
        name: of the port, for errors.

    Raises:
        MeasurementError: the dark is missing or does not belong to the scan.
    """
    if "VNIR" not in layout.detectors or "VNIR" in scan.dark_subtracted:
        return scan.values
    if dark is None:
        raise MeasurementError(f"{name}: the dark reference is missing; take dark and white again")
    then, now = (dict(s.settings.values).get("VNIR integration_ms") for s in (dark, scan))
    if then != now:
        raise MeasurementError(
            f"{name}: the dark was taken with an integration time of {then:g} ms, this with {now:g} ms; take dark and "
            "white again"
        )
    correction = layout.dark_correction + (scan.drift or 0.0) - (dark.drift or 0.0)
    if dark_drift == "subtracted":
        correction = -correction
    vnir = layout.bands_of("VNIR")
    return np.where(vnir, scan.values - dark.values + correction, scan.values)
