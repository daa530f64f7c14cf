"""A drop folder: which of its files are complete, and what is new in them.

There are no change events on an SMB share, so the folder is listed again and again, and only a file whose
size or times are new is opened. Nothing tells when a copying program is done, so a file is taken when all of
this holds:

- its size and times have not changed for the settling time, and for twice the longest pause in its writing;
- it can be read to the end, whatever its format asks for;
- it looks filled: no block of zeros, as a file has that got its full size first; a text ends with its line.
  A file that looks otherwise, or cannot be read, gets `GIVE_UP` settling times before that is believed.

What was believed too early is put right: a file that changes is read again, and of a file that was read
before only what is new in it is taken.
"""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ..converters.spectra.names import as_utf8
from ..converters.spectra.spectrum import Spectrum
from .files import MANY_BYTES, envi_header_of, iter_files, parts_of, read_file
from .log.taken import Piece, Signature, Taken, fingerprints_of
from .model.estimate import Refusal
from .seen import Seen

GIVE_UP = 5
"""A file that cannot be read is refused when it has been quiet for this many settling times."""

RETRY_S = 30.0
"""A file that could not be opened (locked, no permission) is tried again this often."""

BATCH_ITEMS = 64
BATCH_S = 0.5
"""What is committed and shown at once, at most: a commit to an SD card costs as much as many estimates."""

_BLOCK = 512

FileId = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True)
class Listing:
    """What a folder holds at one moment.

    Attributes:
        files: path -> state, in the order of names.
        gone: why the folder itself could not be listed; "" if it could.
        troubles: folders below it that could not be listed, and links out of it.
    """

    files: dict[str, Signature]
    gone: str = ""
    troubles: tuple[Refusal, ...] = ()


@dataclass
class _Pending:
    """A file that is waited for: seen first, unchanged since, to be tried at."""

    signature: Signature
    first_s: float
    since_s: float
    due_s: float
    pause_s: float = 0.0
    refused: bool = False


@dataclass
class DropFolder:
    """The state of watching one folder.

    Attributes:
        root: the folder, as an absolute path; it need not be there yet.
        taken: the memory of what was taken.
        settle_s: how long a file must be quiet, in seconds.
        own_files: names the files that this program itself writes (log, output), which are not to be read.
        notice: told, once each, of folders below `root` that cannot be listed.
        clock: seconds; must not jump.
        gone: why the folder could not be listed the last time; "" if it could.
        listed_in_s: how long the last listing took, in seconds.
    """

    root: str
    taken: Taken
    settle_s: float
    own_files: Callable[[], frozenset[FileId]] = frozenset
    notice: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic
    gone: str = field(default="", init=False)
    listed_in_s: float = field(default=0.0, init=False)
    _pending: dict[str, _Pending] = field(default_factory=dict, init=False)
    _known: dict[str, Signature] = field(default_factory=dict, init=False)
    _noticed: set[str] = field(default_factory=set, init=False)
    _seen: Seen = field(default_factory=Seen, init=False)

    def __post_init__(self) -> None:
        self.reload()

    def reload(self) -> None:
        """Read again from the database which files are known; what is waited for starts anew."""
        self._known = self.taken.signatures(self.root)
        self._pending.clear()

    def poll(self) -> Iterator[list[Piece]]:
        """List the folder, and read the files that are due.

        Yields:
            Batches of pieces. The caller stores each batch (`Engine.take` with `Taken.mark`), then calls
            `remember`; a file whose batch is not remembered comes again.
        """
        started_s = self.clock()
        listing = list_folder(self.root, self.own_files())
        self.gone = listing.gone
        self._tell(listing.troubles)
        self._update_pending(listing)
        now_s = self.clock()
        self.listed_in_s = now_s - started_s
        batch: list[Piece] = []
        size = 0
        started_s = now_s
        for path in sorted(path for path, pending in self._pending.items() if now_s >= pending.due_s):
            for piece in self._attempt(path):
                batch.append(piece)
                # A file with nothing new in it has no items, but remembering it is work too.
                size += max(len(piece.items), 1)
                if size >= BATCH_ITEMS or self.clock() - started_s > BATCH_S:
                    yield batch
                    batch, size, started_s = [], 0, self.clock()
        if batch:
            yield batch

    def remember(self, batch: list[Piece]) -> None:
        """Take note that a batch has been stored."""
        for piece in batch:
            if piece.signature is not None:
                self._known[piece.path] = piece.signature
                self._pending.pop(piece.path, None)

    def hold(self, batch: list[Piece]) -> None:
        """Leave files that were read alone until they change, or are remembered."""
        for piece in batch:
            if piece.signature is not None and piece.path in self._pending:
                self._pending[piece.path].due_s = math.inf

    def waiting(self) -> dict[str, float]:
        """Name the files that may yet be taken or refused, with the seconds since each was first seen."""
        now_s = self.clock()
        return {path: now_s - p.first_s for path, p in self._pending.items() if not p.refused}

    def changing(self) -> set[str]:
        """Name the files among them that are not quiet; each of the others is taken or refused when its turn comes."""
        now_s = self.clock()
        return {path for path, p in self._pending.items() if now_s - p.since_s < self.settle_s * GIVE_UP}

    def _tell(self, troubles: tuple[Refusal, ...]) -> None:
        lines = {f"{trouble.source} {trouble.reason}" for trouble in troubles}
        for line in sorted(lines - self._noticed):
            self.notice(line)
        self._noticed = lines

    def _update_pending(self, listing: Listing) -> None:
        now_s = self.clock()
        for path in [path for path in self._pending if path not in listing.files]:
            del self._pending[path]
        for path, signature in listing.files.items():
            if self._known.get(path) == signature:
                self._pending.pop(path, None)
                continue
            pending = self._pending.get(path)
            if pending is None:
                self._pending[path] = _Pending(signature, now_s, now_s, now_s + self.settle_s)
            elif pending.signature != signature:
                self._changed(pending, signature)

    def _changed(self, pending: _Pending, signature: Signature) -> None:
        now_s = self.clock()
        pending.pause_s = max(pending.pause_s, now_s - pending.since_s)
        pending.signature = signature
        pending.since_s = now_s
        longest_s = self.settle_s * GIVE_UP
        pending.due_s = now_s + min(max(self.settle_s, 2 * pending.pause_s), longest_s)
        pending.refused = False

    def _attempt(self, path: str) -> Iterator[Piece]:
        pending = self._pending[path]
        if envi_header_of(path) is not None:
            # Half of a library, read through its header, whose state holds this file's too.
            self._known[path] = pending.signature
            del self._pending[path]
            return
        try:
            before = signature_of(path)
            unfinished = any(looks_unfinished(part) for part in parts_of(path))
        except FileNotFoundError:
            return  # the next listing knows
        except OSError as error:
            yield from self._cannot_open(path, pending, f"cannot be read: {error.strerror or error}")
            return
        items = read_file(path)
        try:
            after = signature_of(path)
        except OSError:
            return
        if not before == after == pending.signature:
            self._changed(pending, after)
            return
        failed = any(isinstance(item, Refusal) for item in items)
        # A file that was quiet long before it was first seen need not be waited for.
        if (failed or unfinished) and self._wait_longer(pending, age_s(after)):
            return
        yield from self._new_pieces(path, items, after)

    def _cannot_open(self, path: str, pending: _Pending, reason: str) -> Iterator[Piece]:
        # How old it is says nothing here: a file may be locked for a moment at any age.
        if pending.refused or not self._wait_longer(pending, 0.0):
            pending.refused = True
            pending.due_s = self.clock() + max(RETRY_S, self.settle_s * GIVE_UP)
            yield from self._new_pieces(path, [Refusal(source=as_utf8(path), reason=reason)], None)

    def _wait_longer(self, pending: _Pending, age: float) -> bool:
        now_s = self.clock()
        quiet_s = now_s - pending.since_s
        if max(quiet_s, age) >= self.settle_s * GIVE_UP:
            return False
        # Each wait is as long as all before it: a file that will never be readable is read a few times only.
        end_s = pending.since_s + self.settle_s * GIVE_UP
        pending.due_s = min(now_s + max(quiet_s, self.settle_s), end_s)
        return True

    def _new_pieces(self, path: str, items: list[Spectrum | Refusal], signature: Signature | None) -> Iterator[Piece]:
        old = self.taken.fingerprints(path)
        marked = zip(items, fingerprints_of(items), strict=True)
        new = [
            (item if isinstance(item, Refusal) else self._seen.told(item), fingerprint)
            for item, fingerprint in marked
            if fingerprint not in old
        ]
        if not new and signature is None:
            return
        for start in range(0, max(len(new), 1), BATCH_ITEMS):
            part = new[start : start + BATCH_ITEMS]
            last = start + BATCH_ITEMS >= len(new)
            yield Piece(path, tuple(i for i, _ in part), tuple(f for _, f in part), signature if last else None)


def list_folder(root: str, without: frozenset[FileId] = frozenset()) -> Listing:
    """Look at all files below a folder without opening any: one listing a folder, one stat a file."""
    files: dict[str, Signature] = {}
    troubles = []
    try:
        os.scandir(root).close()
    except OSError as error:
        return Listing({}, gone=f"cannot be listed: {error.strerror or error}")
    for found in iter_files(root):
        if isinstance(found, Refusal):
            troubles.append(found)
            continue
        try:
            status = os.stat(found)
        except OSError:
            continue  # renamed or removed since the folder was listed, or a link to nowhere
        if stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) not in without:
            files[found] = _state(status)
    for header in [path for path in files if path.lower().endswith(".hdr")]:
        for data in parts_of(header, files.__contains__)[1:]:
            files[header] += files[data]
    return Listing(files, troubles=tuple(troubles))


def signature_of(path: str) -> Signature:
    """Look at the state of a file, and of the data beside it if its name is that of an ENVI header.

    Raises:
        OSError: it is not there.
    """
    signature: Signature = ()
    for part in parts_of(path):
        signature += _state(os.stat(part))
    return signature


def _state(status: os.stat_result) -> Signature:
    # No copying program can set the change time: it tells of new content behind an old modification time.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def age_s(signature: Signature) -> float:
    """Say how many seconds ago a file was modified or changed, by this device's clock; may be below 0."""
    times_ns = [t for i, t in enumerate(signature) if i % 3]
    return time.time() - max(times_ns) / 1e9


def looks_unfinished(path: str) -> bool:
    """Say whether a file looks as if a copying program had not filled it yet.

    A file that was given its full size first reads as zeros where nothing was written; a text that is cut
    mostly does not end with a line. Sound files may look so too: it is a reason to wait, not to refuse.

    Raises:
        OSError: it cannot be opened or read.
    """
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > MANY_BYTES:
            return False  # refused for its size
        is_text = True
        end = b""
        while piece := file.read(1 << 20):
            whole = len(piece) - len(piece) % _BLOCK
            blocks = np.frombuffer(piece[:whole], np.uint8).reshape(-1, _BLOCK)
            if not blocks.any(axis=1).all():
                return True
            is_text = is_text and b"\0" not in piece
            end = (end + piece)[-_BLOCK:]
    return not end.strip(b"\0") or (is_text and end[-1:] not in b"\r\n")
