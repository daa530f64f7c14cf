"""A recording in an instrument's place: what it sent comes again, as fast as it is read, and nothing can be asked."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import NothingLeftError, PortError
from ..gates.scans import Identity, Scan
from .framed import FramedInstrument
from .profile import Profile
from .recording import REPLAY_SCHEME, EndOfRecordingError, ReplayPort


class ReplayedInstrument(FramedInstrument):
    """A probe of the framed protocol, from a recording; what is only partly there at its end is a loss.

    Args:
        port: replay://FILE.
        profile: of protocol "framed".
        notify: called with one line for a person when something noteworthy happens.
    """

    def __init__(self, port: str, profile: Profile, notify: Callable[[str], None] | None = None) -> None:
        super().__init__(lambda: ReplayPort(port.removeprefix(REPLAY_SCHEME)), profile, notify)
        self._port_name = port
        self._rest: list[str] = []

    def connect(self, wait_for_port: bool = False) -> Identity:
        """Find out whose recording it is. Raises PortError if nobody identifies itself in it."""
        try:
            return super().connect()
        except EndOfRecordingError:
            raise PortError(f"{self._port_name}: no instrument identifies itself in this recording") from None

    def wait(self, timeout_s: float) -> Scan | None:
        """Give the next measurement. Raises NothingLeftError at the end."""
        try:
            return super().wait(timeout_s)
        except EndOfRecordingError as error:
            self._rest = [rest for rest in (self.unfinished(),) if rest]
            raise NothingLeftError(str(error)) from error

    def acknowledge(self, scan: Scan) -> None:
        """Nobody is there to be told."""

    def losses(self) -> list[str]:
        """Measurements of which the recording has only parts, each once."""
        rest, self._rest = self._rest, []
        return [*super().losses(), *rest]
