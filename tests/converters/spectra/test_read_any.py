"""One way in for every format: the content decides, and whatever is refused is refused in one line."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stibium.converters import spectra as package
from stibium.converters.spectra import (
    Spectrum,
    SpectrumFileError,
    TruncatedFileError,
    UnknownFormatError,
    iter_spectra,
    read_spectra,
    write_ascii_table,
    write_asd,
    write_envi,
    write_table,
)
from stibium.converters.spectra.files import remove_unfinished, replacing
from text_samples import sed, soil_reflectance, svc, svc_detectors

NM = np.arange(350.0, 2501.0, 10.0)
SOIL = Spectrum(NM, soil_reflectance(NM), "reflectance", "RS052", measurement="00003")


def one_of_each(folder: Path) -> dict[str, Path]:
    """A file in every format, each under a name that says nothing or lies."""
    folder.mkdir(exist_ok=True)
    paths = {
        name: folder / f"{name}_00003.{end}"
        for name, end in [("asd", "csv"), ("sed", "asd"), ("svc", "sed"), ("ascii", "sig"), ("table", "sli")]
    }
    write_asd(paths["asd"], SOIL)
    paths["sed"].write_bytes(sed(NM, {"Reflect. %": 100 * SOIL.values}))
    paths["svc"].write_bytes(svc(*svc_detectors()))
    write_ascii_table(paths["ascii"], [SOIL])
    write_table(paths["table"], [SOIL])
    write_envi(folder / "library.hdr", [SOIL])
    return paths | {"envi header": folder / "library.hdr", "envi values": folder / "library.sli"}


def refusal(path: Path) -> str:
    """Read a file that must be refused, and return the line after its name."""
    with pytest.raises(SpectrumFileError) as caught:
        read_spectra(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_the_content_decides(tmp_path: Path):
    for name, path in one_of_each(tmp_path).items():
        (spectrum,) = read_spectra(path)
        np.testing.assert_allclose(spectrum.values, soil_reflectance(spectrum.wavelengths_nm), atol=1e-4, err_msg=name)
        assert spectrum.measurement in ("00003", ""), name
        assert spectrum.source == str(path)
        assert next(iter_spectra(str(path))).sample_id == spectrum.sample_id


def test_text_may_be_compressed(tmp_path: Path):
    paths = one_of_each(tmp_path)
    for name in ("sed", "svc", "ascii", "table"):
        data = gzip.compress(paths[name].read_bytes())
        path = tmp_path / f"{name}.packed"
        path.write_bytes(data)
        assert read_spectra(path)[0].values.size == read_spectra(paths[name])[0].values.size
        for length in (1, 5, 12, 30, len(data) // 2, len(data) - 8, len(data) - 1):
            path.write_bytes(data[:length])
            refusal(path)
        path.write_bytes(data[:-6] + b"\0\0\0\0\0\0")
        assert "damaged" in refusal(path)


def test_what_is_no_file_of_spectra_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "file"
    for data, reason in [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"\0" * 500, "only zero bytes"),
        (bytes(range(256)) * 9, "binary content of no known format; known are .asd"),
        (b"PK\x03\x04" + b"\0" * 99, "ZIP archive; unpack it"),
        (b"##TITLE=soil\n##XUNITS=1/CM\n400 0.1\n##END=\n", "is JCAMP-DX or JSON; save it as a table"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page or XML, perhaps a login's; fetch"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><gpx/>', "is a web page or XML"),
        (b"%PDF-1.4\nplain\n", "a document or picture"),
        (b"\xff\xd8\xff\xe0JFIF", "a document or picture"),
        (b'{"wavelengths": [350, 351]}', "is JCAMP-DX or JSON; save it as a table"),
        (b"BZh91AY" + b"\0" * 99, "compressed otherwise than by gzip once; unpack it"),
        (b"soil.txt".ljust(257, b"\0") + b"ustar" + b"\0" * 99, "an archive or compressed"),
        (gzip.compress(gzip.compress(b"350 0.1\n")), "compressed otherwise than by gzip once; unpack it"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "an array file"),
        (b"PAR1\x15\x04" + b"\0" * 99 + b"PAR1", "an array file .*Parquet.*; save its spectra as CSV"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "document or picture"),
        (b"Dear diary,\n", "text without a table of spectra.*known are"),
        (b"a line without its end", "no line end"),
        (b"ENVI\n", "without its values"),
        (b"\x1f\x8b\x08\x00", "compressed file is cut off"),
        (b"\x1f\x8bjunk junk junk", "compressed file is damaged"),
    ]:
        path.write_bytes(data)
        said = refusal(path)
        assert re.search(reason, said), data[:20]
        # A folder of other things is a list of these: each fits two lines of a terminal.
        assert len(said.removeprefix(f"{path}: ")) <= 160, said
    assert "is a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "nothing")
    assert "no such file" in refusal(path / "below a file") or "cannot be read" in refusal(path / "below a file")
    lonely = tmp_path / "lonely.sli"
    lonely.write_bytes(NM.astype("<f4").tobytes())
    assert "put the .hdr beside it" in refusal(lonely)


def test_pipes_are_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert "no ordinary file" in refusal(tmp_path / "pipe")
    assert "no ordinary file" in refusal(Path("/dev/null"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path: Path):
    path = tmp_path / "secret.asd"
    write_asd(path, SOIL)
    path.chmod(0)
    assert "cannot be read: Permission denied" in refusal(path)


def test_one_bad_spectrum_of_many(tmp_path: Path):
    path = tmp_path / "table.csv"
    write_table(path, [SOIL, SOIL])
    lines = path.read_text().splitlines()
    # The last column is the checksum; emptied, it lets an edit by hand through.
    values = lines[3].rsplit(",", 2)[0]
    path.write_text("\n".join([*lines[:3], f"{values},x,", *lines[4:]]) + "\n")
    assert "row 1 (RS052): 'x' is not a number" in refusal(path)
    bad: list[SpectrumFileError] = []
    assert len(read_spectra(path, bad.append)) == 1
    assert len(bad) == 1


def test_kinds_of_refusal_are_builtin_errors_too(tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(b"\x01\x02")
    with pytest.raises(UnknownFormatError):
        read_spectra(path)
    path.write_bytes(sed(NM, {"Reflect. %": 100 * SOIL.values})[:-40])
    with pytest.raises(TruncatedFileError):
        read_spectra(path)
    assert issubclass(TruncatedFileError, EOFError)
    assert issubclass(UnknownFormatError, ValueError)


def test_every_exported_name_is_there():
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'read_pdf'"):
        package.read_pdf  # noqa: B018


@pytest.mark.parametrize(
    ("name", "needed"), [("asd", {"asd"}), ("table", {"asd", "table.read"}), ("sed", {"asd", "spectral_evolution"})]
)
def test_only_the_format_at_hand_is_imported(tmp_path: Path, name: str, needed: set[str]):
    path = one_of_each(tmp_path)[name]
    code = (
        "import sys; from stibium.converters.spectra import read_spectra; read_spectra(sys.argv[1]);"
        "print(*(m.removeprefix('stibium.converters.spectra.') for m in sys.modules if m.startswith('stibium.converters.spectra.')))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    formats = {
        "asd",
        "table.read",
        "spectral_evolution",
        "svc",
        "ascii_table",
        "envi",
        "library_write",
        "table.write",
        "asd_write",
    }
    assert set(run.stdout.split()) & formats <= needed | {"svc" if name == "sed" else ""}


def test_real_files_of_every_format(shared_data: Path):
    counts = {
        "instruments/asd/v6sample00000.asd": 1,
        "instruments/asd/revision1_float32.000": 1,
        "instruments/sed/1456045_00115.sed": 1,
        "instruments/two_soils_asd.csv": 2,
        "instruments/panels/R50.txt": 1,
        "minerals/usgs_splib07_1nm.csv": 12,
        "minerals/usgs_splib07_224band.sli": 2457,
        "soil/geeves_contact_probe.csv.gz": 261,
    }
    assert {name: len(read_spectra(shared_data / name)) for name in counts} == counts
    for name in ("icpms_qaqc.csv", "SOURCES.md"):
        assert "known are" in refusal(shared_data / name)


def test_a_file_appears_when_it_is_whole_and_what_a_kill_left_goes(tmp_path: Path):
    path = tmp_path / "run.json"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), replacing(str(path)) as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert path.read_bytes() == b"before"
    with replacing(str(path)) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
        (left,) = (p.name for p in tmp_path.iterdir() if p.name != "run.json")
    assert path.read_bytes() == b"after"
    for name in (left, ".run.json.part", ".other.txt.0123abcd.part", "mine.part"):
        (tmp_path / name).write_bytes(b"")
    remove_unfinished(str(tmp_path), {"run.json"})
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.txt.0123abcd.part", "mine.part", "run.json"]


@pytest.mark.parametrize("title", ["[Header]", "[ Data ]", "{soil of the east slope}"])
def test_a_title_in_brackets_makes_no_json_of_a_table(tmp_path: Path, title: str):
    rows = "".join(f"{nm}\t{0.2 + 0.0001 * (nm % 7):.4f}\n" for nm in range(400, 500))
    path = tmp_path / "soil.txt"
    path.write_text(f"{title}\nInstrument: X\nWavelength\tReflectance\n{rows}")
    (spectrum,) = read_spectra(path)
    assert spectrum.wavelengths_nm[[0, -1]].tolist() == [400, 499]
    path.write_text('[\n  {"wavelength": 400, "reflectance": 0.2}\n]\n')
    with pytest.raises(UnknownFormatError, match="is JCAMP-DX or JSON"):
        read_spectra(path)
