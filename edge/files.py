"""Spectra from files and folders named on a command line or found by the watcher.

One bad file never stops the rest: what cannot be used comes out as a Refusal, in its place in the order.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from ..converters.spectra import read
from ..converters.spectra.errors import StibiumError
from ..converters.spectra.files import ENVI_DATA, GZIP_MAGIC, HEAD_BYTES
from ..converters.spectra.names import as_utf8
from ..converters.spectra.spectrum import CONDITIONS, Condition, Spectrum
from .errors import why_refused
from .file_bounds import RefusedRows, reading_time
from .model.estimate import Refusal
from .seen import Seen

Item = TypeVar("Item", Spectrum, Spectrum | Refusal)
SINGLE_BYTES = 16 << 20
TEXT_BYTES = 64 << 20
MANY_BYTES = 256 << 20
"""The largest file that is read into memory: of one spectrum, a foreign text table, a table or library.

The first is far more than any such file has; the last is some 15,000 spectra of 2151 bands.
"""

DEFLATE_AT_MOST = 1032
"""Bytes that one byte of gzip can stand for (https://zlib.net/zlib_tech.html)."""

TEMPORARY_SUFFIXES = (
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
    ".filepart",
    ".swp",
    ".lock",
    "~",
)
"""Names that copying programs and editors give to what is not finished."""

LITTER = frozenset({"thumbs.db", "desktop.ini", "system volume information", "$recycle.bin", "lost+found"})
"""What operating systems leave on a stick, in lower case."""

NOTES = frozenset({"readme", "readme.txt", "readme.md"})
"""What is written beside spectra for people, by `stibium simulate` too, in lower case."""


def iter_spectra(paths: Iterable[str | os.PathLike[str]], seen: Seen | None = None) -> Iterator[Spectrum | Refusal]:
    """Read files, and folders recursively in the order of their names, one file at a time.

    Args:
        paths: files and folders. A folder's hidden and temporary files, the litter of operating systems and
            a README are passed over; a file that is named is always read.
        seen: what was read before; None if nothing was.

    Yields:
        The spectra of each file in the file's own order, and a Refusal for each that cannot be used. Nothing
        is raised for a bad file. A spectrum that an earlier sample has to the last digit, or whose sample's name
        an earlier one has in another spelling, says so in a remark. Memory is that of one file, of one row of a table,
        and of what `Seen` remembers.
    """
    seen = seen or Seen()
    for found in iter_paths(paths):
        if isinstance(found, Refusal):
            yield found
            continue
        for item in iter_file(found):
            yield item if isinstance(item, Refusal) else seen.told(item)


def iter_paths(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str | Refusal]:
    """Name the files that `iter_spectra` reads, in its order; a Refusal for a folder that cannot be listed."""
    named = [os.fspath(path) for path in paths]
    headers = {os.path.abspath(path) for path in named}
    for path in named:
        if os.path.isdir(path):
            for found in iter_files(path):
                if isinstance(found, Refusal) or envi_header_of(found) is None:
                    yield found
        else:
            # `predict lib.*` names both halves of an ENVI library: it is read once, through its header.
            header = envi_header_of(path)
            if header is None or os.path.abspath(header) not in headers:
                yield path


def iter_files(root: str) -> Iterator[str | Refusal]:
    """Yield the paths of the files below a folder, by name; a Refusal for what cannot be listed.

    Each folder is listed once, at its own place. A link to a folder inside is passed over, so links in circles end; one
    that leads outside is refused: whoever may write into a shared folder may not for that reason read all of this
    device.
    """
    within = os.path.join(os.path.realpath(root), "")
    listed: set[tuple[int, int]] = set()  # the same place may be mounted twice
    open_folders = [iter([(root, True)])]
    while open_folders:
        path, is_folder = next(open_folders[-1], ("", False))
        if not path:
            open_folders.pop()
        elif not is_folder:
            yield path
        else:
            try:
                status = os.stat(path)
                if (status.st_dev, status.st_ino) in listed:
                    continue
                listed.add((status.st_dev, status.st_ino))
                entries, outside = _entries(path, within)
            except OSError as error:
                yield _refusal(path, f"cannot be listed: {error.strerror or error}")
                continue
            for link in outside:
                yield _refusal(link, "is a link that leads out of the folder; copy what it leads to, or name it itself")
            open_folders.append(iter(entries))


def _entries(folder: str, within: str) -> tuple[list[tuple[str, bool]], list[str]]:
    """List a folder: (path, is a folder) of what is in it, and the links out of `within`, both by name."""
    entries, outside = [], []
    with os.scandir(folder) as listing:
        for entry in listing:
            if is_passed_over(entry.name):
                continue
            if not entry.is_symlink():
                entries.append((entry.path, entry.is_dir()))
            elif not os.path.join(os.path.realpath(entry.path), "").startswith(within):
                outside.append(entry.path)
            elif not entry.is_dir():
                entries.append((entry.path, False))
    return sorted(entries), sorted(outside)


def is_passed_over(name: str) -> bool:
    """Say whether a name in a folder is hidden, temporary, an operating system's litter, or a note to people."""
    lower = name.lower()
    return lower.startswith((".", "~")) or lower.endswith(TEMPORARY_SUFFIXES) or lower in LITTER | NOTES


def envi_header_of(path: str) -> str | None:
    """Return the ENVI header that a data file belongs to, or None if it stands for itself.

    An ENVI library is two files, `x.hdr` (or `x.sli.hdr`) beside `x.sli`; it is read through its header.
    """
    stem, suffix = os.path.splitext(path)
    if suffix.lower() == ".hdr":
        return None
    # Most files have no such neighbour and need not pay for the import.
    bases = (stem, path) if suffix.lower() in ENVI_DATA else (path,)
    if not any(os.path.isfile(base + end) for base in bases for end in (".hdr", ".HDR")):
        return None
    from ..converters.spectra.envi import header_beside

    try:
        return header_beside(path)
    except StibiumError:
        return None  # a header that cannot be opened is no reason to pass over the data


def parts_of(path: str, there: Callable[[str], bool] = os.path.isfile) -> list[str]:
    """Return a file and, if it has the name of an ENVI header, the files beside it that may be its data.

    Args:
        path: the file.
        there: says whether a file exists.
    """
    base, suffix = os.path.splitext(path)
    if suffix.lower() != ".hdr":
        return [path]
    ends = dict.fromkeys([*ENVI_DATA, *(end.upper() for end in ENVI_DATA)])
    return [path, *(base + end for end in ends if there(base + end))]


def read_file(path: str) -> list[Spectrum | Refusal]:
    """Read one file whole; raises nothing for a bad file.

    Returns:
        Its spectra, and a Refusal for each row of a table that is none; or one Refusal for a file that is no
        ordinary file, is larger than this keeps in memory, or cannot be read. Of a table that is cut off, the
        rows that are there, then a Refusal.
    """
    try:
        reason = oversize(path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    return list(iter_file(path)) if reason is None else [_refusal(path, reason)]


def iter_file(path: str) -> Iterator[Spectrum | Refusal]:
    """Read one file, a table of any size row by row; yields what `read_file` returns."""
    try:
        status = os.stat(path)
        reason = no_ordinary_file(status.st_mode)
        if reason is None:
            head, packed = _head(path, 512)
            reason = None if _is_table(path, head, packed) else oversize(path, packed)
        if reason is None:
            yield from _iter_good_and_bad(path, status.st_size)
            return
    except Exception as error:  # noqa: BLE001 - a device in the field must go on with the next file
        reason = why_refused(error)
    yield _refusal(path, reason)


def _iter_good_and_bad(path: str, size: int) -> Iterator[Spectrum | Refusal]:
    bad = RefusedRows()
    condition = condition_of_folder(path)
    spectra = read.iter_spectra(path, on_bad=bad.add)
    with reading_time(size) as bounded:
        while True:
            try:
                spectrum = bounded(lambda: next(spectra, None))
            except StibiumError:
                yield from (_refusal(path, reason) for reason in (*bad.take(), *bad.others()))
                raise
            yield from (_refusal(path, reason) for reason in bad.take())
            if spectrum is None:
                yield from (_refusal(path, reason) for reason in bad.others())
                return
            yield _printable(spectrum if condition is None else in_condition(spectrum, condition))


def in_condition(item: Item, condition: Condition) -> Item:
    """Give a spectrum that does not say its condition of the ground this one; a refusal stays as it is."""
    if isinstance(item, Refusal) or item.condition:
        return item
    return replace(item, condition=condition)


def condition_of_folder(path: str) -> Condition | None:
    """Give the condition of the ground that a file's folder, or the one above it, is named after; None if neither is.

    So `soils/wet/RS001.asd` is of wet ground, and `soils/wet/RS001/00000.asd` too.
    """
    inner, folder = os.path.split(os.path.dirname(path))
    for name in (folder, os.path.basename(inner)):
        if (lower := name.lower()) in CONDITIONS:
            return lower
    return None


def _is_table(path: str, head: bytes, packed: bool) -> bool:
    """Say whether a file, unpacked if it is gzip, begins like this project's own table."""
    if b"\0" in head and not packed:
        return False  # binary: most files are, and need not pay for the import
    from ..converters.spectra.table.layout import looks_like_table

    return looks_like_table(_head(path, HEAD_BYTES)[0])


def _head(path: str, size: int) -> tuple[bytes, bool]:
    """Return the first bytes of a file, unpacked if it is gzip, and whether it is."""
    with open(path, "rb", buffering=0) as file:
        head = file.read(size)
    if not head.startswith(GZIP_MAGIC):
        return head, False
    try:
        return zlib.decompressobj(wbits=31).decompress(head, size), True
    except zlib.error:
        return b"", True  # damaged: the reader says how


def no_ordinary_file(mode: int) -> str | None:
    """Say why something of this `st_mode` is nothing to read, or None if it may be."""
    if stat.S_ISDIR(mode):
        return "is a folder"
    # Opening a pipe would wait for ever for somebody to write into it.
    return None if stat.S_ISREG(mode) else "is no ordinary file (a pipe, a socket or a device); copy it into one"


def oversize(path: str, packed: bool | None = None) -> str | None:
    """Say why a file must not be read into memory, or None if it may be.

    Ordinary files are only looked at from outside; how large one may be depends on what it begins like.

    Args:
        path: the file.
        packed: it is gzip; None if that has not been looked at.

    Raises:
        OSError: it is not there or may not be read.
    """
    size = sum(os.stat(part).st_size for part in parts_of(path))
    if size <= SINGLE_BYTES // DEFLATE_AT_MOST:
        return None
    packed = _head(path, len(GZIP_MAGIC))[1] if packed is None else packed
    if size <= min(SINGLE_BYTES, TEXT_BYTES, MANY_BYTES) and not packed:
        return None  # small enough whatever it is: no need to find out, or to import what would
    limit = _limit_of(path)
    if packed and size <= limit:
        size = _unpacked_bytes(path, limit)
    if size <= limit:
        return None
    many = f"{'unpacked more than ' if packed else ''}{size / 1e6:.0f} MB"
    if limit == SINGLE_BYTES:
        return f"{many}, and it does not begin like a table or library of spectra"
    return f"{many}, and no more than {limit / 1e6:.0f} MB are read at once; split it into smaller files"


def _limit_of(path: str) -> int:
    from ..converters.spectra.ascii_table import looks_like_ascii_table

    head, packed = _head(path, HEAD_BYTES)
    if _is_table(path, head, packed) or envi_header_of(path) is not None or len(parts_of(path)) > 1:
        return MANY_BYTES
    return TEXT_BYTES if looks_like_ascii_table(head) else SINGLE_BYTES


def _unpacked_bytes(path: str, limit: int) -> int:
    """Count what a gzip file unpacks to, but not much beyond a limit."""
    import gzip

    total = 0
    try:
        with gzip.open(path) as unpacked:
            while total <= limit and (piece := unpacked.read(1 << 20)):
                total += len(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return total  # damaged: the reader says how
    return total


def _refusal(path: str, reason: str) -> Refusal:
    # Errors name their file; a Refusal has it in a field of its own.
    reason = " ".join(reason.removeprefix(f"{path}: ").split())
    return Refusal(source=as_utf8(path), reason=as_utf8(reason))


def _printable(item: Spectrum) -> Spectrum:
    # A stick from another system may have names that are not UTF-8; no terminal or SQLite takes them.
    if item.source.isascii() and item.sample_id.isascii():
        return item
    return replace(item, source=as_utf8(item.source), sample_id=as_utf8(item.sample_id))
