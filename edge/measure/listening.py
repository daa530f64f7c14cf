"""The measuring routine: which measurements make a sample, and what becomes of those that fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ...converters.spectra.errors import SpectrumFileError
from ...converters.spectra.spectrum import Spectrum
from ..engine import average_samples
from ..errors import InstrumentError, LogError, MeasurementError, NothingLeftError
from ..instruments.framed_probe import FramedProbe
from ..model.estimate import Refusal
from ..protocols.framed_messages import Kind
from ..protocols.framed_transfer import Measurement
from .referencing import References, to_spectrum

Key = tuple[str, int, int, int]
"""Instrument, its power-up, number and checksum of a measurement: no two measurements share all four."""

MOST_FAILURES = 5
"""Failures in a row after which measuring on makes no sense."""


class Samples:
    """Puts points together into samples.

    Args:
        points: measurements that make a sample.
        sample_id: the one sample's name; "" if there are several.
        prefix: names are this and a number that counts up; "" to take the instrument's labels, where it gives any.
    """

    def __init__(self, points: int, sample_id: str = "", prefix: str = "") -> None:
        self.points = points
        self._sample_id, self._prefix = sample_id, prefix
        self._taken: list[Spectrum] = []
        self._keys: list[Key] = []
        self.begun = 0
        self.complete = 0

    @property
    def pending(self) -> int:
        """Points of the sample that is not complete."""
        return len(self._taken)

    @property
    def newest(self) -> Spectrum | None:
        """The last point of the sample that is not complete; None if there is none."""
        return self._taken[-1] if self._taken else None

    @property
    def current_id(self) -> str:
        """Name of the sample that is being measured, as far as it is known before its first point."""
        if self._taken:
            return self._taken[0].sample_id
        return self._sample_id or (self._counted(self.begun + 1) if self._prefix else "")

    @property
    def given_id(self) -> str:
        """What a measurement is to be named whatever the instrument calls it; "" if its label counts."""
        return self.current_id if self._sample_id or self._prefix else ""

    def add(self, spectrum: Spectrum, key: Key) -> Iterator[tuple[Spectrum, list[Key]]]:
        """Take a point; give each sample that is complete with it, as its mean, and what it was made of."""
        by_label = not self._sample_id and not self._prefix and spectrum.sample_id
        if by_label and self._taken and self._taken[0].sample_id != spectrum.sample_id:
            yield from self.finish()
        if not self._taken:
            self.begun += 1
        name = self._taken[0].sample_id if self._taken else (spectrum.sample_id if by_label else self._name())
        self._taken.append(replace(spectrum, sample_id=name))
        self._keys.append(key)
        if len(self._taken) >= self.points:
            yield from self.finish()

    def finish(self) -> Iterator[tuple[Spectrum, list[Key]]]:
        """Give the sample that is being measured with the points it has; nothing if it has none."""
        taken, keys = self._taken, self._keys
        self._taken, self._keys = [], []
        self.complete += bool(taken)
        for number, item in enumerate(average_samples(taken)):
            if isinstance(item, Spectrum):
                yield item, keys if number == 0 else []

    def _name(self) -> str:
        return self._sample_id or self._counted(self.begun)

    def _counted(self, number: int) -> str:
        return f"{self._prefix or 'sample-'}{number:03d}"


class TakenMeasurements:
    """Which measurements are in the log: one that an instrument offers again after a restart is not taken twice.

    Args:
        database: the log's connection.

    Raises:
        LogError: the database cannot be used.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._run(
            "CREATE TABLE IF NOT EXISTS taken_measurements (instrument TEXT NOT NULL, boot INTEGER NOT NULL,"
            " measurement INTEGER NOT NULL, values_crc INTEGER NOT NULL,"
            " PRIMARY KEY (instrument, boot, measurement, values_crc)) WITHOUT ROWID"
        )

    def holds(self, key: Key) -> bool:
        """Whether a measurement has been stored."""
        found = self._run(
            "SELECT 1 FROM taken_measurements WHERE instrument=? AND boot=? AND measurement=? AND values_crc=?", key
        )
        return bool(found)

    @staticmethod
    def marker(keys: Iterable[Key]) -> Callable[[sqlite3.Connection], None]:
        """Return what writes measurements down, inside the transaction that stores their sample."""
        rows = list(keys)

        def mark(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR IGNORE INTO taken_measurements VALUES (?,?,?,?)", rows)

        return mark

    def _run(self, statement: str, values: Key | tuple[()] = ()) -> list[object]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LogError(f"the log cannot be used to remember measurements: {error}") from error


class Measuring:
    """One instrument, and the dark and white in force for it.

    Args:
        probe: connected.
        white_valid_min: minutes that dark and white may be used.
        ask: shows a line and waits until the person is ready.
        notice: shows a line.
    """

    def __init__(
        self,
        probe: FramedProbe,
        white_valid_min: float,
        ask: Callable[[str], None],
        notice: Callable[[str], None],
    ) -> None:
        self.probe = probe
        self.references = References(white_valid_min)
        self._ask, self._notice = ask, notice

    @property
    def instrument(self) -> str:
        """Name and serial number, as in the key of a measurement."""
        return f"{self.probe.identification.name} {self.probe.identification.serial_number}"

    def key(self, measurement: Measurement) -> Key:
        """Name a measurement so that no other has the same name."""
        head = measurement.head
        return self.instrument, head.boot, head.measurement, head.values_crc

    def wants_references(self) -> bool:
        """Whether dark and white have to be measured before the next target."""
        return bool(self.references.wanting(self.probe.identification))

    def why_references(self) -> str:
        """Say what is wrong with the dark and white there are."""
        return f"{self.probe.name}: {self.references.complaint(self.probe.identification)}"

    def take_references(self, scans: int, unattended: bool) -> None:
        """Measure dark and white if they are wanting.

        Args:
            scans: averaged for each.
            unattended: do not ask first, and stop at the first failure.

        Raises:
            MeasurementError: unattended, and dark or white is no use.
            InstrumentError, PortError: see `FramedProbe.acquire`.
        """
        identification = self.probe.identification
        failures = 0
        for kind in self.references.wanting(identification):
            while True:
                if not unattended:
                    self._prepare(kind)
                measurement = self.probe.acquire(kind, scans)
                try:
                    self.references.take(measurement, identification, self.probe.wavelengths_nm)
                except MeasurementError as error:
                    failures += 1
                    if unattended or failures == MOST_FAILURES:
                        raise
                    self._notice(f"{error}; again")
                else:
                    self._notice(f"{kind.name.lower()} taken")
                    break
                finally:
                    self.probe.acknowledge(measurement)

    def _prepare(self, kind: Kind) -> None:
        from ..protocols.framed_messages import Feature

        if kind == Kind.WHITE:
            self._ask("Put the probe on the white panel")
        elif not self.probe.identification.features & Feature.SHUTTER:
            self._ask("Cover the probe so that no light gets in, for the dark measurement")

    def spectrum(self, measurement: Measurement, sample_id: str) -> Spectrum | Refusal:
        """Make a spectrum of a target measurement, or say why that cannot be."""
        try:
            return to_spectrum(
                measurement,
                self.probe.identification,
                self.probe.wavelengths_nm,
                self.references,
                self.probe.name,
                sample_id,
            )
        except (MeasurementError, SpectrumFileError) as error:
            return self.refusal(error, sample_id or measurement.head.label, measurement.head.measurement)

    def acquire(self, scans: int, sample_id: str) -> tuple[Measurement | None, Spectrum | Refusal]:
        """Measure one point of a target. The caller acknowledges the measurement when its outcome is safe.

        Raises:
            NothingLeftError, PortError: see `FramedProbe.acquire`.
        """
        try:
            measurement = self.probe.acquire(Kind.TARGET, scans)
        except NothingLeftError:
            raise
        except (MeasurementError, InstrumentError) as error:
            return None, self.refusal(error, sample_id)
        return measurement, self.spectrum(measurement, sample_id)

    def wait(self, timeout_s: float, sample_id: str) -> tuple[Measurement | None, Spectrum | Refusal | None]:
        """Wait for what the instrument sends unasked; dark and white are kept and not given out.

        Raises:
            NothingLeftError, PortError: see `FramedProbe.wait`.
        """
        try:
            measurement = self.probe.wait(timeout_s)
        except NothingLeftError:
            raise
        except (MeasurementError, InstrumentError) as error:
            return None, self.refusal(error, sample_id)
        if measurement is None:
            return None, None
        if measurement.head.kind == Kind.TARGET:
            return measurement, self.spectrum(measurement, sample_id)
        if measurement.head.kind == Kind.WAVELENGTHS:
            return measurement, None
        try:
            self.references.take(measurement, self.probe.identification, self.probe.wavelengths_nm)
        except MeasurementError as error:
            return measurement, self.refusal(error, sample_id, measurement.head.measurement)
        self._notice(f"{measurement.head.kind.name.lower()} taken")
        return measurement, None

    def unfinished(self) -> list[Refusal]:
        """Give the measurement that is only partly here, as at the end of a recording; it is given up."""
        rest = self.probe.unfinished()
        return [*self.losses(), *([Refusal(self.probe.name, rest)] if rest else [])]

    def losses(self) -> list[Refusal]:
        """Give the measurements that were made and never arrived, each once."""
        losses, self.probe.losses[:] = list(self.probe.losses), []
        return [Refusal(self.probe.name, loss) for loss in losses]

    def refusal(self, error: Exception, sample_id: str, number: int = 0) -> Refusal:
        """Turn an error into a refusal; its text may begin with the port's name already."""
        name = self.probe.name
        source = f"{name} measurement {number}" if number else name
        reason = " ".join(str(error).removeprefix(f"{source}: ").removeprefix(f"{name}: ").split())
        return Refusal(source, reason, sample_id)
