"""Room on the disk that holds the log: announced early, and a reserve so that what was measured can still be stored."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

LOW_BYTES = 200_000_000
LOW_SHARE = 0.05
LOW_AT_MOST_BYTES = 1_000_000_000
"""Low is less than 200 MB, or less than 5 % of the disk as long as that is below 1 GB."""
LEAST_BYTES = 20_000_000
"""With less nothing more is measured. A sample of five points takes less than 0.3 MB with its scans and the journal."""
RESERVE_BYTES = 2_000_000
"""Kept beside the log while an instrument is used; given up to store what was measured when the disk is full."""


class DiskRoom(NamedTuple):
    """Room on a disk.

    Attributes:
        folder: the folder that was asked about.
        free_bytes: what an ordinary program may still write.
        total_bytes: size of the file system.
    """

    folder: Path
    free_bytes: int
    total_bytes: int

    @property
    def enough(self) -> bool:
        """False if nothing more should be measured."""
        return self.free_bytes >= LEAST_BYTES

    @property
    def low(self) -> bool:
        """True if it is time to say so."""
        return self.free_bytes < max(LOW_BYTES, min(LOW_SHARE * self.total_bytes, LOW_AT_MOST_BYTES))

    @property
    def notice(self) -> str:
        """One line for the person measuring; "" while there is room."""
        if not self.low:
            return ""
        left = f"{self.folder}: {self.free_bytes / 1e6:.0f} MB left on the disk"
        if not self.enough:
            return f"{left}; nothing more is measured until there are {LEAST_BYTES / 1e6:.0f} MB: make room"
        return f"{left}; nothing more is measured below {LEAST_BYTES / 1e6:.0f} MB: make room soon"


def disk_room(path: str | os.PathLike[str]) -> DiskRoom:
    """Tell the room there is for a file, which need not be there yet.

    Raises:
        OSError: the file system does not answer.
    """
    folder = Path(path).absolute().parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return DiskRoom(folder, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


class Reserve:
    """A file of zeros beside the log. It holds nothing, so giving it up loses nothing."""

    def __init__(self, log: Path) -> None:
        self.path = log.with_name(log.name + "-reserve")

    def lay_by(self) -> bool:
        """Make the file if it is not there and there is room; True if it is there now."""
        try:
            if self.path.exists() and self.path.stat().st_size >= RESERVE_BYTES:
                return True
            if disk_room(self.path).free_bytes < LEAST_BYTES + RESERVE_BYTES:
                return False
            # Written out: a file system without fallocate, or one that packs zeros, would hold back nothing.
            with open(self.path, "wb") as file:
                file.write(os.urandom(RESERVE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT):
                # The log itself will say what is wrong with the disk, when it is written.
                return False
            raise
        return True

    def give_up(self) -> bool:
        """Free its room; True if there was any to free."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
