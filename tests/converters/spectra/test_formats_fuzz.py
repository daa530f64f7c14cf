"""Damaged files of every text format and of ENVI: valid spectra or one line that says why not, never anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stibium.converters.spectra import (
    Spectrum,
    SpectrumFileError,
    read_spectra,
    write_ascii_table,
    write_envi,
    write_table,
)
from stibium.converters.spectra.ascii_table import looks_like_ascii_table
from stibium.converters.spectra.envi import iter_envi, looks_like_envi, parse_header
from stibium.converters.spectra.spectral_evolution import looks_like_spectral_evolution, parse_spectral_evolution
from stibium.converters.spectra.svc import looks_like_svc, parse_svc
from stibium.converters.spectra.table.layout import looks_like_table
from stibium.converters.spectra.text import MAX_NM, MIN_NM
from text_samples import parse_ascii_table, parse_table, sed, soil_reflectance, svc, svc_detectors

# A warning would go to a user's terminal.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

NM = np.arange(350.0, 2501.0, 150.0)
SOILS = [
    Spectrum(NM, soil_reflectance(NM) * f, "reflectance", f"S{i}", extra={"clay": i}) for i, f in enumerate((1.0, 0.5))
]
PARSERS = {
    "sed": parse_spectral_evolution,
    "svc": parse_svc,
    "ascii": parse_ascii_table,
    "table": parse_table,
    "envi": lambda data, source: parse_envi_pair(data, source),
}


def parse_envi_pair(data: bytes, source: str) -> list[Spectrum]:
    """Header and values in one piece of bytes, split at the first NUL after the header's end."""
    header, _, values = data.partition(b"\0\0\0\0")
    return list(iter_envi(parse_header(header, source), values, source, source))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    folder = tmp_path_factory.mktemp("samples")
    write_ascii_table(folder / "down.txt", SOILS)
    write_table(folder / "table.csv", SOILS)
    write_envi(folder / "lib.hdr", SOILS)
    across = "id;clay;" + ";".join(f"X{w:g}" for w in NM) + "\n"
    across += "".join(
        f"{s.sample_id};{s.extra['clay']};" + ";".join(f"{v:.4f}".replace(".", ",") for v in s.values) + "\n"
        for s in SOILS
    )
    counts = {"Norm. DN (Ref.)": 2000 + NM, "Norm. DN (Target)": (2000 + NM) * SOILS[0].values}
    envi = (folder / "lib.hdr").read_bytes() + b"\0\0\0\0" + (folder / "lib.sli").read_bytes()
    return {
        "sed": [sed(NM, {"Reflect. %": 100 * SOILS[0].values}), sed(NM, counts)],
        "svc": [svc(*svc_detectors()), svc(*svc_detectors(), columns=3, end="\n")],
        "ascii": [(folder / "down.txt").read_bytes(), across.encode(), across.encode("utf-16")],
        "table": [(folder / "table.csv").read_bytes()],
        "envi": [envi],
    }


def read_relative(path: Path, source: str) -> list[Spectrum]:
    """Read a file through the one way in, as if it lay under another name."""
    try:
        return read_spectra(path)
    except SpectrumFileError as error:
        raise type(error)(str(error).replace(f"{path}: ", f"{source}: ", 1)) from None


def check(parse, data: bytes) -> int:
    """Parse: every spectrum holds what it promises, or the refusal is one line that names the file."""
    for looks in (
        looks_like_spectral_evolution,
        looks_like_svc,
        looks_like_ascii_table,
        looks_like_table,
        looks_like_envi,
    ):
        assert looks(data) in (True, False)
    try:
        spectra = parse(data, "fuzzed.txt")
    except SpectrumFileError as error:
        text = str(error)
        assert text.startswith("fuzzed.txt: "), text
        assert "\n" not in text, text
        assert len(text) < 400, text
        return 0
    for spectrum in spectra:
        assert np.isfinite(spectrum.values).all()
        assert (np.diff(spectrum.wavelengths_nm) > 0).all()
        assert spectrum.wavelengths_nm[0] >= MIN_NM
        assert spectrum.wavelengths_nm[-1] <= MAX_NM
        assert spectrum.sample_id
        assert spectrum.source == "fuzzed.txt"
        if spectrum.position is not None:
            assert abs(spectrum.position.latitude_deg) <= 90
    return len(spectra)


quiet = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
tokens = st.sampled_from(
    [
        b"",
        b"\0",
        b"\n",
        b"\t",
        b",",
        b";",
        b'"',
        b"=",
        b"{",
        b"}",
        b"nan",
        b"-1e999",
        b"1e308",
        b"_",
        b"#",
        b"%",
        b"\r",
        b"\xff",
        b"9" * 30,
        b"Data:",
        b"data=",
        b"\xb5m",
    ]
)


@pytest.mark.parametrize("name", PARSERS)
@quiet
@given(data=st.data())
def test_patched_files(samples: dict[str, list[bytes]], name: str, data: st.DataObject):
    content = bytearray(data.draw(st.sampled_from(samples[name])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        span = data.draw(st.sampled_from([0, 1, 1, 1, 4, 40]))
        content[at : at + span] = data.draw(tokens | st.binary(max_size=3))
    check(PARSERS[name], bytes(content))


@pytest.mark.parametrize("name", PARSERS)
def test_cut_files(samples: dict[str, list[bytes]], name: str):
    for content in samples[name]:
        assert check(PARSERS[name], content) > 0
        for length in range(0, len(content), 1 + len(content) // 400):
            check(PARSERS[name], content[:length])
            check(PARSERS[name], content[length:])


@pytest.mark.parametrize("name", PARSERS)
@quiet
@given(junk=st.binary(max_size=300) | st.text('0123456789.,;\t\n -eE"#%=nm/', max_size=400).map(str.encode))
@example(junk=b"")
@example(junk=b"\xff\xfe\x00")
@example(junk=b"/*** Spectra Vista SIG Data ***/\ndata=\n1 2 3 4\n5 6 7 8\n")
@example(junk=b"ENVI\nfile type = ENVI Spectral Library\n" + b"lines = 9\n" * 9)
@example(junk=b"Comment: \nVersion: 2.0\nInstrument: \nMeasurement: \nData:\nWvl\tReflect. %\n")
@example(junk=b"\xef")  # the beginning of a mark of UTF-8, and no more
@example(junk=b"\xef\xbb")
def test_junk(name: str, junk: bytes):
    check(PARSERS[name], junk)


@quiet
@given(data=st.data())
def test_whole_files_through_the_one_way_in(samples: dict[str, list[bytes]], tmp_path: Path, data: st.DataObject):
    content = bytearray(data.draw(st.sampled_from([file for files in samples.values() for file in files])))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(tokens)
    path = tmp_path / "fuzzed.dat"
    path.write_bytes(content[: data.draw(st.none() | st.integers(0, len(content)))])
    check(lambda data, source: [replace(s, source=source) for s in read_relative(path, source)], b"")
