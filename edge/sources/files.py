"""Spectra from files and folders named on a command line or found by the watcher.

One bad file never stops the rest: what cannot be used comes out as a Refusal, in its place in the order.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ...converters.spectra.errors import StibiumError
from ...converters.spectra.files import GZIP_MAGIC, HEAD_BYTES
from ...converters.spectra.read import read_spectra
from ...converters.spectra.spectrum import Spectrum
from ..estimate import Refusal

SINGLE_BYTES = 16 << 20
"""More than any file of one spectrum has (an .asd of 2151 channels with its reference: 55 KB)."""

MANY_BYTES = 256 << 20
"""A table or library of some 15,000 spectra of 2151 bands; twice this in memory still fits a 1 GB device."""

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

ENVI_DATA_SUFFIXES = frozenset({"", ".sli", ".esl", ".img", ".dat", ".bin", ".raw", ".lib"})


def iter_spectra(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Spectrum | Refusal]:
    """Read files, and folders recursively in the order of their names, one file at a time.

    Args:
        paths: files and folders. A folder's hidden and temporary files and the litter of operating systems
            are passed over; a file that is named is always read.

    Yields:
        The spectra of each file in the file's own order, and a Refusal for each that cannot be used. Nothing
        is raised for a bad file. Memory is that of one file, and of one row of a table.
    """
    named = [os.fspath(path) for path in paths]
    headers = {os.path.abspath(path) for path in named}
    for path in named:
        if os.path.isdir(path):
            for found in iter_files(path):
                if isinstance(found, Refusal):
                    yield found
                elif envi_header_of(found) is None:
                    yield from iter_file(found)
        else:
            # `predict lib.*` names both halves of an ENVI library: it is read once, through its header.
            header = envi_header_of(path)
            if header is None or os.path.abspath(header) not in headers:
                yield from iter_file(path)


def iter_files(folder: str) -> Iterator[str | Refusal]:
    """Yield the paths of the files below a folder, by name; a Refusal for a folder that cannot be listed.

    Links to folders are followed, but never into a folder that is being listed already.
    """
    return _walk(folder, frozenset())


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str | Refusal]:
    try:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        with os.scandir(folder) as listing:
            names = sorted((entry.name, entry.is_dir()) for entry in listing if not is_passed_over(entry.name))
    except OSError as error:
        yield Refusal(source=shown(folder), sample_id="", reason=f"cannot be listed: {error.strerror or error}")
        return
    for name, is_folder in names:
        path = os.path.join(folder, name)
        if is_folder:
            yield from _walk(path, above | {here})
        else:
            yield path


def is_passed_over(name: str) -> bool:
    """Say whether a name in a folder is hidden, temporary, or an operating system's litter."""
    lower = name.lower()
    return lower.startswith((".", "~")) or lower.endswith(TEMPORARY_SUFFIXES) or lower in LITTER


def envi_header_of(path: str) -> str | None:
    """Return the ENVI header that a data file belongs to, or None if it stands for itself.

    An ENVI library is two files, `x.hdr` (or `x.sli.hdr`) beside `x.sli`; it is read through its header.
    """
    stem, suffix = os.path.splitext(path)
    if suffix.lower() == ".hdr":
        return None
    bases = [path, stem] if suffix.lower() in ENVI_DATA_SUFFIXES else [path]
    for header in [base + extension for base in bases for extension in (".hdr", ".HDR")]:
        if os.path.isfile(header) and _begins_with_envi(header):
            return header
    return None


def _begins_with_envi(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(16).lstrip(b"\xef\xbb\xbf \t").startswith(b"ENVI")
    except OSError:
        return False  # then it is no reason to pass over the data


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
        reason = no_ordinary_file(path)
        if reason is None and is_table(path):
            yield from map(_printable, _iter_table(path))
            return
        reason = reason or oversize(path)
        if reason is None:
            yield from map(_printable, read_spectra(path))
            return
    except StibiumError as error:
        reason = str(error)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except MemoryError:
        reason = "does not fit into this device's memory; split it into smaller files"
    except Exception as error:
        # A defect in a reader: reported as such, but a device in the field must go on with the next file.
        if os.environ.get("STIBIUM_TRACEBACK"):
            raise
        reason = f"unexpected {type(error).__name__}: {error} (a defect: please report it)"
    yield _refusal(path, reason)


def _iter_table(path: str) -> Iterator[Spectrum | Refusal]:
    from ...converters.spectra.table import iter_table

    bad: list[Refusal] = []
    try:
        for spectrum in iter_table(path, on_bad=lambda error: bad.append(_refusal(path, str(error)))):
            yield from bad
            bad.clear()
            yield spectrum
    except StibiumError:
        yield from bad
        raise
    yield from bad


def is_table(path: str) -> bool:
    """Say whether a file, unpacked if it is gzip, begins like this project's own table.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(512)
        packed = head.startswith(GZIP_MAGIC)
        if b"\0" in head and not packed:
            return False  # binary: most files are, and need not pay for the rest
        head += file.read(HEAD_BYTES)
    if packed:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
        except zlib.error:
            return False
    from ...converters.spectra.table import looks_like_table

    return looks_like_table(head)


def no_ordinary_file(path: str) -> str | None:
    """Say why something that has a path is nothing to read, or None if it may be.

    Raises:
        OSError: it is not there or may not be looked at.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return "is a folder"
    # Opening a pipe would wait for ever for somebody to write into it.
    return None if stat.S_ISREG(mode) else "is no ordinary file (a pipe, a socket or a device); copy it into one"


def oversize(path: str) -> str | None:
    """Say why a file must not be read into memory, or None if it may be.

    Ordinary files are only looked at from outside; a larger one must begin like a format of many spectra.

    Raises:
        OSError: it is not there or may not be read.
    """
    size = os.stat(path).st_size
    if size > MANY_BYTES:
        return (
            f"{size / 1e6:.0f} MB are more than is read at once ({MANY_BYTES / 1e6:.0f} MB); "
            "split it into smaller files"
        )
    if size > SINGLE_BYTES and not _begins_like_many(path):
        return f"{size / 1e6:.0f} MB, and it does not begin like a table or library of spectra"
    # Deflate packs at most 1032 to 1: a shorter file cannot unpack to more.
    if size > MANY_BYTES // 1032 and _unpacks_beyond(path, MANY_BYTES):
        return f"unpacks to more than {MANY_BYTES / 1e6:.0f} MB, more than is read at once; split it"
    return None


def _begins_like_many(path: str) -> bool:
    from ...converters.spectra.ascii_table import looks_like_ascii_table

    if envi_header_of(path) is not None or is_table(path):
        return True
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    return looks_like_ascii_table(head)


def _unpacks_beyond(path: str, limit: int) -> bool:
    import gzip

    with open(path, "rb") as file:
        if file.read(2) != GZIP_MAGIC:
            return False
        file.seek(0)
        total = 0
        try:
            with gzip.open(file) as unpacked:
                while total <= limit:
                    piece = unpacked.read(1 << 20)
                    if not piece:
                        return False
                    total += len(piece)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return False  # damaged: the reader says how
        return True


def _refusal(path: str, reason: str) -> Refusal:
    # Errors name their file; a Refusal has it in a field of its own.
    reason = " ".join(reason.removeprefix(f"{path}: ").split())
    return Refusal(source=shown(path), reason=shown(reason))


def shown(text: str) -> str:
    """Return a path as it can be printed and stored: bytes that are no UTF-8 become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _printable(item: Spectrum | Refusal) -> Spectrum | Refusal:
    # A stick from another system may have names that are not UTF-8; no terminal or SQLite takes them.
    if item.source.isascii() and item.sample_id.isascii():
        return item
    return replace(item, source=shown(item.source), sample_id=shown(item.sample_id))
