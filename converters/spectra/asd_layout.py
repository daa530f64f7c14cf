"""Layout of an ASD binary file: the header, the codes in it, and the blocks that follow the spectra.

Everything is little-endian. After the maker's "ASD File Format, version 8, revision B" as its readers
describe it, each offset checked against files of revisions 1, 6, 7 and 8.
"""

import struct
from typing import NamedTuple

from .errors import TruncatedFileError

REVISION_OF = {b"ASD": 1, **{f"as{revision}".encode(): revision for revision in range(2, 9)}}
MAGIC_OF = {revision: magic for magic, revision in REVISION_OF.items()}

HEADER = struct.Struct("<3s157s9h4BIBI2f5BH128s5d16sIhhHH4fHB2B2s3HBI4H2f27s5s")
HEADER_BYTES = 484
REFERENCE = struct.Struct("<H2dH")
"""Before the white reference: flag, its time and the spectrum's as OLE dates, length of the description."""

SERIES = struct.Struct("<B20sIHH")
"""One calibration series: type, file name, integration time in ms, gains of SWIR1 and SWIR2."""

CONSTITUENT_BYTES = 92
"""One constituent of a classifier's report after its two texts: nine doubles, an int32, two doubles."""

SIGNATURE_BYTES = 128
TERMINATOR = b"\xff\xfe\xfd"
"""Ends the files of newer programs; older ones end with their last block."""

TRUE, FALSE = 0xFFFF, 0
TRUE_OF_THE_APP = 0x0101
"""As the FieldSpec app for tablets writes it."""
FLAGS = frozenset({FALSE, 1, TRUE_OF_THE_APP, TRUE})
"""Whether there is a white reference, as programs say it."""

RAW_DN, REFLECTANCE, RADIANCE = 0, 1, 2
IRRADIANCE, TRANSMITTANCE, ABSORBANCE = 4, 6, 8
DATA_TYPES = (
    "raw counts",
    "reflectance",
    "radiance",
    "no units",
    "irradiance",
    "a quality index",
    "transmittance",
    "an unknown type",
    "absorbance",
)
DATA_FORMATS = {0: "<f4", 1: "<i4", 2: "<f8"}

DETECTORS = ("VNIR", "SWIR1", "SWIR2")
"""In the order of the saturation bits 1, 2, 4; bits 8 and 16 are alarms of SWIR1's and SWIR2's coolers."""

INSTRUMENTS = {
    1: "PSII",
    2: "LSVNIR",
    3: "FieldSpec VNIR",
    4: "FieldSpec FR",
    5: "FieldSpec NIR",
    6: "CHEM",
    7: "FieldSpec FR unattended",
    10: "HandHeld",
}
"""Instrument types. FieldSpec 3 and 4 and TerraSpec call themselves FieldSpec FR (full range) here."""


class Header(NamedTuple):
    """The first 484 bytes of a file, field by field."""

    magic: bytes
    comment: bytes
    tm_sec: int
    tm_min: int
    tm_hour: int
    tm_mday: int
    tm_mon: int
    tm_year: int
    tm_wday: int
    tm_yday: int
    tm_isdst: int
    program_version: int
    file_version: int
    old_integration_time: int
    dark_corrected: int
    dark_time: int
    data_type: int
    reference_time: int
    first_nm: float
    step_nm: float
    data_format: int
    old_dark_count: int
    old_reference_count: int
    old_sample_count: int
    application: int
    channels: int
    application_data: bytes
    heading_deg: float
    speed: float
    latitude: float
    longitude: float
    altitude_m: float
    gps_rest: bytes
    integration_time_ms: int
    foreoptic_deg: int
    dark_current_correction: int
    calibration_series: int
    instrument_number: int
    y_min: float
    y_max: float
    x_min: float
    x_max: float
    dynamic_range_bits: int
    x_mode: int
    average_fixed: int
    saturation: int
    flags: bytes
    dark_count: int
    reference_count: int
    sample_count: int
    instrument_type: int
    lamp: int
    swir1_gain: int
    swir2_gain: int
    swir1_offset: int
    swir2_offset: int
    splice1_nm: float
    splice2_nm: float
    smart_detector: bytes
    spare: bytes


class Cursor:
    """A place in a file that moves forward and refuses to pass the end.

    Raises:
        TruncatedFileError: from each method, naming the block that the file ends in.
    """

    __slots__ = ("at", "block", "data", "source")

    def __init__(self, data: bytes, source: str, at: int, block: str) -> None:
        self.data, self.source, self.at, self.block = data, source, at, block

    def take(self, count: int) -> int:
        """Move past `count` bytes and return where they begin."""
        start = self.at
        self.at = start + count
        if self.at > len(self.data):
            raise TruncatedFileError(
                f"{self.source}: the file ends inside {self.block}: {len(self.data)} bytes, "
                f"at least {self.at} are needed; copy it again"
            )
        return start

    def uint16(self) -> int:
        """Read an unsigned 16-bit number."""
        return int.from_bytes(self.data[self.take(2) : self.at], "little")

    def text(self) -> None:
        """Move past a text with its length before it."""
        self.take(self.uint16())

    def array(self, count: int) -> bool:
        """Move past the descriptor of an array; False if it does not describe `count` elements."""
        dimensions = self.uint16()
        if dimensions > 1:
            return False
        if dimensions == 0:
            return count == 0
        start = self.take(8)
        return int.from_bytes(self.data[start : start + 4], "little") == count


def check_blocks(data: bytes, source: str, at: int, revision: int, spectrum_bytes: int, flag: int) -> int:
    """Walk through the blocks after the white reference, which nobody needs here, to see the file whole.

    Args:
        data: the file.
        source: its name, for the message.
        at: first byte after the white reference.
        revision: 2 to 8. Revisions 2 to 5 have nothing there; 6 a classifier and possibly dependent
            variables, or nothing; 7 both and calibration series; 8 also an audit log and a signature.
        spectrum_bytes: length of one spectrum.
        flag: of the white reference; it tells the app for tablets, whose empty blocks are shorter.

    Returns:
        The first byte after them.

    Raises:
        TruncatedFileError: the file ends inside one of them.

    Notes:
        A block whose numbers contradict each other ends the walk: bytes before a cut are as they were
        written, so it is of some layout unknown here, or damaged; neither takes from the spectra.
    """
    cursor = Cursor(data, source, at, "the classifier block")
    if data[at:].removesuffix(TERMINATOR) == (_OF_THE_APP if flag == TRUE_OF_THE_APP else _SHORTEST).get(revision):
        return len(data)
    if revision >= 6 and not _classifier(cursor):
        return cursor.at
    cursor.block = "the dependent variables"
    # Revision 6 files exist with nothing after the classifier.
    has_variables = revision >= 7 or (revision == 6 and data[cursor.at :] not in (b"", TERMINATOR))
    if has_variables and not _dependent_variables(cursor):
        return cursor.at
    cursor.block = "the calibration series"
    if revision >= 7 and not _calibrations(cursor, spectrum_bytes):
        return cursor.at
    cursor.block = "the audit log"
    if revision >= 8 and not _audit_log(cursor):
        return cursor.at
    cursor.block = "the signature"
    if revision >= 8:
        cursor.take(1 + 8)
        for _ in range(7):
            cursor.text()
        cursor.take(SIGNATURE_BYTES)
    cursor.block = "the end mark"
    if data[cursor.at :] in (TERMINATOR, TERMINATOR[:1], TERMINATOR[:2]):
        cursor.take(len(TERMINATOR))
    return cursor.at


_EMPTY_CLASSIFIER = bytes(46)
_SHORTEST = {6: b""}
_OF_THE_APP = {6: b"", 7: bytes(46 + 4 + 1)}
"""The least that programs write behind the white reference, by revision."""


def _classifier(cursor: Cursor) -> bool:
    if cursor.data.startswith(_EMPTY_CLASSIFIER, cursor.at):
        cursor.at += len(_EMPTY_CLASSIFIER)
        return True
    cursor.take(2)
    for _ in range(20):
        cursor.text()
    count = cursor.uint16()
    if not cursor.array(count):
        return False
    for _ in range(count):
        cursor.text()
        cursor.text()
        cursor.take(CONSTITUENT_BYTES)
    return True


def _dependent_variables(cursor: Cursor) -> bool:
    cursor.take(2)
    count = cursor.uint16()
    if not cursor.array(count):
        return False
    for _ in range(count):
        cursor.text()
    if not cursor.array(count):
        return False
    cursor.take(4 * count)
    return True


def _calibrations(cursor: Cursor, spectrum_bytes: int) -> bool:
    count = cursor.data[cursor.take(1) : cursor.at][0]
    for _ in range(count):
        kind = cursor.data[cursor.take(SERIES.size)]
        if kind > 3:  # absolute reflectance, base, lamp, fibre optic
            return False
    cursor.take(count * spectrum_bytes)
    return True


def _audit_log(cursor: Cursor) -> bool:
    start = cursor.take(4)
    count = int.from_bytes(cursor.data[start : start + 4], "little", signed=True)
    if count <= 0 or not cursor.array(count):
        return False
    for _ in range(count):
        cursor.text()
    return True
