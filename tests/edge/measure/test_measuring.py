"""Points become samples; nothing is taken twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framed_samples import some_spectra
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import LogError
from stibium.edge.measure.listening import Key, Samples, TakenMeasurements


def key(number: int) -> Key:
    return ("probe 1", 5, number, 77)


def names(samples: Samples, labels: list[str]) -> list[tuple[str, str, int]]:
    """(sample, measurement, keys) of all that comes out for points with these labels."""
    out = []
    for number, (label, spectrum) in enumerate(zip(labels, some_spectra(len(labels)), strict=True)):
        point = replace(spectrum, sample_id=label, measurement=str(number))
        out.extend((s.sample_id, s.measurement, len(keys)) for s, keys in samples.add(point, key(number)))
    out.extend((s.sample_id, s.measurement, len(keys)) for s, keys in samples.finish())
    return out


def test_points_are_averaged() -> None:
    samples = Samples(points=3)
    spectra = [replace(s, sample_id="RS1") for s in some_spectra(3)]
    assert list(samples.add(spectra[0], key(1))) == []
    assert list(samples.add(spectra[1], key(2))) == []
    assert (samples.pending, samples.complete) == (2, 0)
    ((mean, keys),) = list(samples.add(spectra[2], key(3)))
    np.testing.assert_allclose(mean.values, np.mean([s.values for s in spectra], axis=0))
    assert keys == [key(1), key(2), key(3)]
    assert (samples.pending, samples.complete) == (0, 1)


def test_a_single_point_stays_as_it_is() -> None:
    (spectrum,) = some_spectra(1, measurement="12")
    ((same, _),) = list(Samples(points=1).add(spectrum, key(1)))
    assert isinstance(same, Spectrum)
    assert same.measurement == "12"
    np.testing.assert_array_equal(same.values, spectrum.values)


@pytest.mark.parametrize(
    ("samples", "labels", "expected"),
    [
        (Samples(2), ["A", "A", "B", "B"], [("A", "mean of 2", 2), ("B", "mean of 2", 2)]),
        (Samples(3), ["A", "A", "B", "C"], [("A", "mean of 2", 2), ("B", "2", 1), ("C", "3", 1)]),
        (Samples(2), ["", "", ""], [("sample-001", "mean of 2", 2), ("sample-002", "2", 1)]),
        (Samples(2, prefix="RS"), ["A", "B", "C"], [("RS001", "mean of 2", 2), ("RS002", "2", 1)]),
        (Samples(2, sample_id="X"), ["A", "B"], [("X", "mean of 2", 2)]),
        (Samples(2), [], []),
    ],
)
def test_samples_are_told_apart_by_count_and_label(
    samples: Samples, labels: list[str], expected: list[tuple[str, str, int]]
) -> None:
    assert names(samples, labels) == expected


def test_the_name_of_the_next_sample_is_known_before_it_is_measured() -> None:
    assert Samples(2).current_id == ""
    assert Samples(2, sample_id="X").current_id == "X"
    samples = Samples(1, prefix="RS")
    assert samples.current_id == "RS001"
    list(samples.add(some_spectra(1)[0], key(1)))
    assert samples.current_id == "RS002"


def test_what_is_in_the_log_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        taken = TakenMeasurements(database)
        assert not taken.holds(key(1))
        taken.marker([key(1), key(2)])(database)
        taken.marker([key(2)])(database)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        taken = TakenMeasurements(database)
        assert taken.holds(key(1))
        assert taken.holds(key(2))
        assert not taken.holds(key(3))
        for other in (("probe 2", 5, 1, 77), ("probe 1", 6, 1, 77), ("probe 1", 5, 1, 78)):
            assert not taken.holds(other)


def test_a_log_that_cannot_be_used_is_said_to_be(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "log.db")) as database:
        taken = TakenMeasurements(database)
        database.close()
        with pytest.raises(LogError, match="cannot be used to remember measurements"):
            taken.holds(key(1))
