"""Bytes of a file in, and files out that are whole or not there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from typing import IO, BinaryIO, cast

from .errors import SpectrumFileError, TruncatedFileError

GZIP_MAGIC = b"\x1f\x8b"
ENVI_DATA = (".sli", ".esl", ".lib", ".dat", ".img", ".bin", ".raw", "")
"""Endings of the files of values beside an ENVI header."""

HEAD_BYTES = 1 << 16
"""Enough of a file to know its format by; a whole .asd of 2151 channels with its reference fits in."""


def workbook_of(head: bytes) -> str:
    """Name the kind of spreadsheet that the first bytes of a file are those of; "" if of none."""
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "an old workbook (.xls)"
    if head.startswith(b"PK\x03\x04"):
        # The first member's name, and of OpenDocument its content, stand as they are.
        if b"opendocument.spreadsheet" in head[:200]:
            return "an OpenDocument spreadsheet (.ods)"
        if any(part in head for part in (b"xl/", b"[Content_Types].xml")):
            return "a workbook (.xlsx)"
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!DOCTYPE|html|table|meta)", head, re.IGNORECASE) and re.search(
        rb"urn:schemas-microsoft-com:office:spreadsheet|office:excel|<table", head, re.IGNORECASE
    ):
        return "a web page or XML that a spreadsheet program saved as .xls"
    return ""


def _without_waiting(path: str, flags: int) -> int:
    # Opening a pipe waits for a writer otherwise, for ever if there is none.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading; every refusal of the operating system becomes one line.

    Raises:
        SpectrumFileError: the file is not there, is a folder, a pipe or a device, or may not be read.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SpectrumFileError(f"{path}: is no ordinary file; copy its content into one")
            yield file
    except IsADirectoryError:
        raise SpectrumFileError(f"{path}: is a folder; name the files in it") from None
    except FileNotFoundError:
        raise SpectrumFileError(f"{path}: there is no such file") from None
    except OSError as error:
        raise SpectrumFileError(f"{path}: cannot be read: {error.strerror or error}") from None


@contextmanager
def unpacked(path: str) -> Iterator[IO[bytes]]:
    """Open a file for reading, through gzip if its content is gzip.

    Raises:
        TruncatedFileError: the compressed file ends early.
        SpectrumFileError: it is damaged, or as for `opened`.
    """
    with opened(path) as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield file
            return
        import gzip
        import zlib

        try:
            with gzip.open(file) as inner:
                yield cast("IO[bytes]", inner)
        except EOFError as error:
            if isinstance(error, SpectrumFileError):
                raise
            raise TruncatedFileError(f"{path}: the compressed file is cut off; copy it again") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise SpectrumFileError(f"{path}: the compressed file is damaged ({error}); copy it again") from None


def read_bytes(path: str) -> bytes:
    """Return the content of a file, unpacked if it is gzip; raises like `unpacked`."""
    with unpacked(path) as file:
        return file.read()


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Write a file that appears under its name only when it is complete and on the disk.

    Raises:
        OSError: the folder is not there or cannot be written, naming `path`; nothing is left behind.
    """
    with appearing(path) as temporary:
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            # Whoever reads the message asked for `path`, and never heard of the other name.
            raise OSError(error.errno, error.strerror, path) from None
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file, whole or not at all; raises like `replacing`."""
    with replacing(os.fspath(path)) as file:
        file.write(content)


@contextmanager
def appearing(path: str) -> Iterator[str]:
    """Give a name beside `path` to write a file under, which gets its own name when all went well.

    Whoever writes it has it on the disk before; the folder's new entry is put there too, where the system can do that.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_unfinished(folder: str, names: Container[str]) -> None:
    """Remove what is left of writing files of these names in a folder, where a power cut or `kill -9` ended it."""
    for entry in os.listdir(folder):
        found = re.fullmatch(r"\.(.+?)(?:\.[0-9a-f]{8})?\.part", entry)
        if found is not None and found[1] in names:
            os.unlink(os.path.join(folder, entry))
