"""The face that every instrument has for a measuring session, whatever it speaks."""

from __future__ import annotations

from typing import Protocol

from ...converters.spectra.spectrum import Floats
from ..gates.scans import Identity, Scan, ScanKind, ScanSettings


class Instrument(Protocol):
    """A driver. It mends its own line: a port that hung up is opened again, and no scan is lost or comes twice.

    Its methods raise `PortError` (the port is gone for good, or another instrument answers), `InstrumentError` (the
    instrument refused; the message gives its error code in words), `MeasurementError` (this scan failed, the next one
    may not) and `NothingLeftError` (a virtual instrument has played all it has).
    """

    @property
    def name(self) -> str:
        """The port, as a person would name it."""

    @property
    def identity(self) -> Identity:
        """Who is there; `connect` first."""

    @property
    def wavelengths_nm(self) -> Floats:
        """(bands,) ascending."""

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Open the port, find out who is there and make it ready to measure."""

    def optimise(self) -> ScanSettings:
        """Let the instrument set integration time and gains on what is in front of it, the white panel.

        Raises InstrumentError where `identity.optimises` is False. Dark and white from before are void afterwards.
        """

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        """Measure once; with "dark" the shutter is closed for it and opened again whatever happens."""

    def wait(self, timeout_s: float) -> Scan | None:
        """Give a scan that was triggered at the instrument; None if none came in time, or it has no button."""

    def acknowledge(self, scan: Scan) -> None:
        """Tell the instrument that a scan is on disk here."""

    def correct_dark(self, scan: Scan, dark: Scan | None) -> Floats:
        """Give (bands,) counts without dark, from a target or white scan and the dark in force, drift allowed for.

        `dark` is None where `identity.needs_dark` is False.
        """

    def remarks(self) -> list[str]:
        """What happened on the line, for the end of a run: ["2 damaged frames", "1 time unplugged"]."""

    def losses(self) -> list[str]:
        """Scans that the instrument made and that never arrived; each is given once."""

    def close(self) -> None:
        """Close the port; may be called again."""


def detector_names(splices: int) -> tuple[str, ...]:
    """Names of the detectors between so many splices, shortest wavelengths first."""
    if splices == 2:
        return ("VNIR", "SWIR1", "SWIR2")
    if splices == 1:
        return ("VNIR", "SWIR")
    return tuple(f"detector {number}" for number in range(1, splices + 2)) if splices else ("detector",)
