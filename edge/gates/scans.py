"""Who measured and what was measured, whatever the instrument speaks: what the gates judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ...converters.spectra.spectrum import Floats

ScanKind = Literal["target", "dark", "white"]
ScanUnit = Literal["raw_dn", "reflectance"]


@dataclass(frozen=True)
class Identity:
    """Who is behind a port.

    Attributes:
        name, serial_number: as the instrument says; two instruments never share both.
        detectors: names, shortest wavelengths first, such as ("VNIR", "SWIR1", "SWIR2").
        splices_nm: where they join, one fewer than detectors.
        delivers: what a target scan holds. With "reflectance" no dark or white is asked for.
        needs_dark: dark is to be measured apart, for some detector at least.
        shutter: closes it by itself for a dark scan.
        optimises: can set its own integration time and gains on the white panel.
        simulated: plays spectra that no instrument ever saw.
        virtual: a program, no instrument.
        firmware: version in words, "" if unknown.
    """

    name: str
    serial_number: str
    detectors: tuple[str, ...]
    splices_nm: tuple[float, ...]
    delivers: ScanUnit
    needs_dark: bool
    shutter: bool
    optimises: bool
    simulated: bool = False
    virtual: bool = False
    firmware: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.serial_number)))


@dataclass(frozen=True)
class ScanSettings:
    """What has to be equal between a target and its dark and white: integration time and gains, by detector.

    `values` are pairs of a name with its unit and a number, such as ("VNIR integration_ms", 68.0).
    """

    values: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self.values)


@dataclass(frozen=True, eq=False)
class Scan:
    """One measurement as the instrument delivered it, before anything was made of it.

    Attributes:
        kind: what was in front of the probe, as asked for.
        values: (bands,) counts or reflectance; may hold anything, it is not judged yet.
        unit: of `values`.
        key: unlike every other scan's: instrument, power-up, number, checksum.
        number: as the instrument, or the driver, counts.
        taken_s: `time.monotonic()` at which it was measured.
        measured_at: this device's clock (UTC, with time zone) at which it was measured.
        scans: averaged.
        settings: integration time and gains.
        boot: number of the instrument's power-up, 0 if it cannot tell.
        saturated: names of the detectors that the instrument calls saturated, or whose counts are at their end.
        shutter_closed: None if the instrument has none or does not tell.
        cooler_alarms: names of the detectors whose cooler gives an alarm.
        dark_subtracted: names of the detectors whose dark is taken off already.
        drift: dark drift of the VNIR in counts, as the instrument gives it; None if it does not.
        temperature_c: of the instrument.
        label: sample name that the instrument gave.
        simulated: no instrument ever saw it.
        extra: further fields by name (lamp voltage and current, instrument hours, ...), for the log.
    """

    kind: ScanKind
    values: Floats
    unit: ScanUnit
    key: tuple[str, int, int, int]
    number: int
    taken_s: float
    measured_at: datetime
    scans: int
    settings: ScanSettings = ScanSettings()
    boot: int = 0
    saturated: tuple[str, ...] = ()
    shutter_closed: bool | None = None
    cooler_alarms: tuple[str, ...] = ()
    dark_subtracted: tuple[str, ...] = ()
    drift: float | None = None
    temperature_c: float | None = None
    label: str = ""
    simulated: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
