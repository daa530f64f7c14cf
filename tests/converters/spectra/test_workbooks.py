"""Spreadsheets in place of text: named for what they are, with what to do."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from stibium.converters.spectra import UnknownFormatError, read_spectra


def packed(**members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an old workbook (.xls)"),
        (
            packed(mimetype="application/vnd.oasis.opendocument.spreadsheet", content="<x/>"),
            "is an OpenDocument spreadsheet (.ods)",
        ),
        (packed(**{"[Content_Types].xml": "<Types/>", "xl__workbook.xml": "<workbook/>"}), "is a workbook (.xlsx)"),
        (packed(**{"_rels__.rels": "<r/>", "xl__workbook.xml": "<workbook/>"}), "is a workbook (.xlsx)"),
        (b"<html><body><table><tr><td>350</td></tr></table></body></html>", "is a web page or XML"),
        (
            b'<?xml version="1.0"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>',
            "is a web page or XML that a spreadsheet program saved as .xls",
        ),
    ],
)
def test_a_spreadsheet_is_named_with_what_to_do(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "soils.xls"
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError) as raised:
        read_spectra(path)
    assert said in str(raised.value)
    assert "save its sheet of spectra as CSV" in str(raised.value)
    assert len(str(raised.value)) < 200


def test_an_archive_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / "soils.zip"
    path.write_bytes(packed(**{"a.asd": "x"}))
    with pytest.raises(UnknownFormatError, match="a ZIP archive; unpack it"):
        read_spectra(path)
