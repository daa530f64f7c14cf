"""Any file of spectra: the content decides which format it is."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator

from .errors import OnBad, SpectrumFileError, TruncatedFileError, UnknownFormatError
from .files import GZIP_MAGIC, HEAD_BYTES, opened, unpacked, workbook_of
from .spectrum import Spectrum

FORMATS = ".asd, .sed, .sig, ENVI .hdr/.sli, tables in text or CSV"
"""What is read, as a person would be told."""

_NO_TABLE = re.compile(rb"\s*(?:##TITLE|[{\[]\s*[\"\d{\[-])")
"""JCAMP-DX, and JSON; a line such as [Data] is of neither."""
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|\?xml|svg|gpx|kml)\b", re.IGNORECASE)
_DOCUMENTS = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff")
_PACKED = (GZIP_MAGIC, b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x1f\x9d")


def read_spectra(path: str | os.PathLike[str], on_bad: OnBad | None = None) -> list[Spectrum]:
    """Read a file of spectra in any known format; see `iter_spectra`."""
    return list(iter_spectra(path, on_bad))


def iter_spectra(path: str | os.PathLike[str], on_bad: OnBad | None = None) -> Iterator[Spectrum]:
    """Read a file of spectra in any known format, spectrum by spectrum.

    Memory is that of the file, for stibium's own tables that of one spectrum. A format's module is imported
    when a file needs it.

    Args:
        path: the file; its content decides what it is, never its name.
        on_bad: for files of many spectra, called with the reason for each that is unusable, which then is
            passed over. Without it the first such spectrum raises.

    Yields:
        The file's spectra in its own order, at least one unless `on_bad` took them all.

    Raises:
        UnknownFormatError: the content is of no known format.
        TruncatedFileError: the file is cut off. Rows of a table before the cut have been yielded.
        SpectrumFileError: it is not there, cannot be read, is empty, or unusable for the reason given.
            Nothing else is raised for any content, and the message is one line that begins with the path.
    """
    source = os.fspath(path)
    with opened(source) as file:
        head = file.read(HEAD_BYTES)
        if not head:
            raise SpectrumFileError(f"{source}: is empty")
        packed = head.startswith(GZIP_MAGIC)
        if not packed:
            from .asd import looks_like_asd

            if looks_like_asd(head):
                from .asd import parse_asd

                yield from parse_asd(head + file.read(), source)
                return
    if packed:
        head = _unpacked_head(head, source)
    found = False
    for spectrum in _iter_others(source, head, packed, on_bad):
        found = True
        yield spectrum
    if not found and on_bad is None:
        raise SpectrumFileError(f"{source}: holds no spectra")


def _iter_others(source: str, head: bytes, packed: bool, on_bad: OnBad | None) -> Iterator[Spectrum]:
    from .table.layout import looks_like_table

    if looks_like_table(head):
        from .table.read import iter_table

        return iter_table(source, on_bad)
    return iter(_read_others(source, head, packed, on_bad))


def _read_others(source: str, head: bytes, packed: bool, on_bad: OnBad | None) -> list[Spectrum]:
    from .spectral_evolution import looks_like_spectral_evolution
    from .svc import looks_like_svc

    if looks_like_spectral_evolution(head):
        from .spectral_evolution import read_spectral_evolution

        return read_spectral_evolution(source)
    if looks_like_svc(head):
        from .svc import read_svc

        return read_svc(source)
    if not packed:
        from .envi import header_beside, looks_like_envi, read_envi

        # Values of an ENVI library are bare numbers: only the header beside them says what they are.
        if looks_like_envi(head) or header_beside(source) is not None:
            return read_envi(source, on_bad)
    if workbook := workbook_of(head):
        raise UnknownFormatError(f"{source}: is {workbook}; open it and save its sheet of spectra as CSV")
    from .text import is_text

    if _NO_TABLE.match(head):
        raise UnknownFormatError(f"{source}: is JCAMP-DX or JSON; save it as a table of wavelength and reflectance")
    if _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise UnknownFormatError(f"{source}: is a web page or XML, perhaps a login's; fetch the file itself")
    if is_text(head) and not head.startswith(_DOCUMENTS):
        from .ascii_table import read_ascii_table

        try:
            return read_ascii_table(source, on_bad)
        except UnknownFormatError as error:
            raise UnknownFormatError(f"{error}; known are {FORMATS}") from None
    raise UnknownFormatError(f"{source}: {_described(source, head)}; known are {FORMATS}")


def _described(source: str, head: bytes) -> str:
    if os.path.splitext(source)[1].lower() in (".sli", ".esl"):
        return "values of an ENVI library without their header; put the .hdr beside it"
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive; unpack it"
    if head.startswith(_PACKED) or head[257:262] == b"ustar":
        return "an archive or compressed otherwise than by gzip once; unpack it"
    if head.startswith((b"\x89HDF\r\n", b"CDF\x01", b"CDF\x02", b"MATLAB 5.0", b"PAR1")):
        return "an array file (HDF5, NetCDF, MATLAB, Parquet); save its spectra as CSV"
    if head.startswith(_DOCUMENTS):
        return "a document or picture"
    if not head.strip(b"\0"):
        return "only zero bytes, a copy that failed; copy it again"
    return "binary content of no known format"


def _unpacked_head(head: bytes, source: str) -> bytes:
    try:
        unpacked_head = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise SpectrumFileError(f"{source}: the compressed file is damaged ({error}); copy it again") from None
    if not unpacked_head:
        with unpacked(source) as file:  # raises if it is cut off
            if not file.read(1):
                raise SpectrumFileError(f"{source}: is empty inside its compression")
        raise TruncatedFileError(f"{source}: the compressed file is cut off; copy it again")
    return unpacked_head
