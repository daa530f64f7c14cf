"""Damaged ASD files: each is a spectrum or one line that says why not, never anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from asd_samples import audit_log, calibrations, classifier, dependent_variables, panel, signature, soil
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stibium.converters.spectra import asd_layout as layout
from stibium.converters.spectra.asd import looks_like_asd, parse_asd
from stibium.converters.spectra.asd_write import pack_asd
from stibium.converters.spectra.errors import SpectrumFileError

BANDS = 12


def _files() -> list[bytes]:
    raw = soil(BANDS, quantity="raw_dn", values=soil(BANDS).values * panel(BANDS))
    made = [pack_asd(soil(BANDS), revision=revision) for revision in range(1, 9)]
    spectra = pack_asd(raw, reference=panel(BANDS), revision=5)[3:]
    blocks = classifier() + dependent_variables() + calibrations(BANDS * 8) + audit_log() + signature()
    return [
        *made,
        pack_asd(soil(BANDS), revision=1, number_format="float32"),
        pack_asd(raw, reference=panel(BANDS), revision=2, number_format="int32"),
        b"as8" + spectra + blocks + layout.TERMINATOR,
    ]


FILES = _files()


def check(data: bytes) -> None:
    """Read it: a spectrum whose every part holds what it promises, or a refusal in one line."""
    looks_like_asd(data)
    try:
        spectra = parse_asd(data, "fuzzed.asd")
    except SpectrumFileError as error:
        text = str(error)
        assert text.startswith("fuzzed.asd: ")
        assert "\n" not in text
        assert len(text) < 300
        return
    (spectrum,) = spectra
    assert np.isfinite(spectrum.values).all()
    assert np.abs(spectrum.values).max() <= 100
    assert (np.diff(spectrum.wavelengths_nm) > 0).all()
    assert spectrum.quantity in ("reflectance", "transmittance", "absorbance")
    if spectrum.position is not None:
        assert abs(spectrum.position.latitude_deg) <= 90
        assert abs(spectrum.position.longitude_deg) <= 180


patches = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12)


@given(st.sampled_from(FILES), patches, st.none() | st.integers(0, 2000))
@settings(max_examples=600, deadline=None)
def test_bytes_changed_and_cut(data: bytes, changes: list[tuple[int, int]], end: int | None) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    check(bytes(damaged[:end]))


@given(st.sampled_from(FILES), st.integers(0, 483), st.binary(min_size=1, max_size=8))
@settings(max_examples=400, deadline=None)
def test_a_field_of_the_header_changed(data: bytes, place: int, value: bytes) -> None:
    check((data[:place] + value + data[place + len(value) :])[: len(data)])


@given(st.sampled_from(sorted(layout.REVISION_OF)), st.binary(max_size=1200))
@settings(max_examples=200, deadline=None)
@example(b"as8", bytes(481) + b"\xff" * 500)
def test_anything_behind_the_first_three_bytes(magic: bytes, rest: bytes) -> None:
    check(magic + rest)


@given(st.integers(6, 8), st.binary(max_size=600))
@settings(max_examples=300, deadline=None)
def test_anything_behind_the_spectra(revision: int, blocks: bytes) -> None:
    check(layout.MAGIC_OF[revision] + FILES[4][3:] + blocks)


@given(st.binary(max_size=600))
@settings(max_examples=100, deadline=None)
def test_anything(data: bytes) -> None:
    check(data)


@pytest.mark.parametrize("name", ["v8sample00001.asd", "44231B009-1-FW300000.asd", "revision1_float32.000"])
def test_real_files_damaged(shared_data: Path, name: str) -> None:
    data = (shared_data / "instruments" / "asd" / name).read_bytes()
    random = np.random.default_rng(7)
    for _ in range(300):
        damaged = bytearray(data)
        # Most of a file is spectra; half of the damage goes where the structure is.
        places = np.r_[
            random.integers(0, len(data), 3), random.integers(0, 484, 2), len(data) - random.integers(1, 1400)
        ]
        for place in places:
            damaged[place] = random.integers(0, 256)
        check(bytes(damaged[: len(data) - random.integers(0, 2) * random.integers(0, len(data))]))
