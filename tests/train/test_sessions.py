"""What another session changes, learned from soils that the log has of several, and allowed for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import stibium
from soil_like import soil_like
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.write import Log, Result
from stibium.edge.model.applicability import assess
from stibium.edge.model.estimate import Refusal
from stibium.train.errors import TrainingDataError
from stibium.train.methods.stack import Stack
from stibium.train.prepared import prepare
from stibium.train.sessions import read_sessions
from stibium.train.training import TrainingOptions, train

NM = np.arange(400.0, 2451.0, 5.0)


def in_session(spectrum: Spectrum, number: int) -> Spectrum:
    """The soil under another lamp and white reference: a smooth curve of absorbance, another one in each session."""
    rng = np.random.default_rng(number)
    curve = 0.02 * sum(
        rng.normal() * np.exp(-0.5 * ((NM - at) / 120) ** 2) for at in (500, 900, 1400, 1900, 2150, 2350)
    )
    return replace(spectrum, values=spectrum.values * 10**-curve, measured_at=None)


def log_of(path: Path, scans: list[tuple[int, Spectrum]], kind: str = "sample", sessions: bool = True) -> str:
    """A log of scans, each with the number of its session."""
    with Log(path, "no model", "0" * 64) as log:
        ids: dict[int, int] = {}
        for number, spectrum in scans:
            if number not in ids:
                ids[number] = log.begin_session()
            about = ReadingFacts(session_id=ids[number] if sessions else None, sample_kind=kind)  # type: ignore[arg-type]
            refusal = Refusal(spectrum.source, "no model", spectrum.sample_id)
            log.add([Result(spectrum, refusal, about)])
    return str(path)


def test_differences_are_between_sessions_in_both_directions(tmp_path: Path) -> None:
    soils = soil_like(3, nm=NM).spectra
    scans = [(n, in_session(s, n)) for n in (1, 2, 3) for s in soils]
    found = read_sessions(log_of(tmp_path / "a.db", scans))
    assert found.differences.shape == (12, 2051)
    assert set(found.conditions) == {"another session"}
    assert found.source.startswith("3 soils of")
    np.testing.assert_array_equal(found.differences[:6], -found.differences[6:])
    wanted = np.log10(in_session(soils[0], 1).values / in_session(soils[0], 2).values)
    at = np.searchsorted(found.wavelengths_nm, NM)
    np.testing.assert_allclose(found.differences[0, at], wanted, atol=1e-5)


def test_what_is_no_repeated_soil_is_not_counted(tmp_path: Path) -> None:
    soils = soil_like(4, nm=NM).spectra
    scans = [(n, in_session(s, n)) for n in (1, 2) for s in soils]
    with pytest.raises(TrainingDataError, match="under the same name: 0 times; at least 3 are needed"):
        read_sessions(log_of(tmp_path / "files.db", scans, sessions=False))
    with pytest.raises(TrainingDataError, match="0 times"):
        read_sessions(log_of(tmp_path / "blanks.db", scans, kind="blank"))
    with pytest.raises(TrainingDataError, match="0 times"):
        read_sessions(log_of(tmp_path / "one.db", [(1, s) for _, s in scans]))
    with pytest.raises(TrainingDataError, match="0 times"):
        read_sessions(
            log_of(tmp_path / "ground.db", [(n, replace(s, condition="wet" if n == 2 else "dry")) for n, s in scans])
        )
    with pytest.raises(TrainingDataError, match="0 times"):
        read_sessions(log_of(tmp_path / "other.db", [(n, replace(s, instrument=f"probe {n}")) for n, s in scans]))


def test_names_that_are_given_again_to_other_soils_are_refused(tmp_path: Path) -> None:
    scans = [(n, s) for n in (1, 2, 3) for s in soil_like(5, seed=n, nm=NM).spectra]
    with pytest.raises(TrainingDataError, match="names do not stand for the same soils"):
        read_sessions(log_of(tmp_path / "a.db", scans))


def test_interval_and_domain_allow_for_another_session(tmp_path: Path) -> None:
    data = soil_like(45, seed=2, nm=NM)
    jars = soil_like(2, seed=8, nm=NM).spectra
    scans = [(n, in_session(replace(s, sample_id=f"jar {s.sample_id}"), n)) for n in range(1, 9) for s in jars]
    sessions = read_sessions(log_of(tmp_path / "a.db", scans, kind="reference"))
    others = [in_session(s, 100 + i % 5) for i, s in enumerate(soil_like(60, seed=3, nm=NM).spectra)]

    def inside(with_sessions: bool) -> tuple[float, float]:
        options = TrainingOptions(baselines=False, seed=3)
        known = sessions if with_sessions else None
        trained = train(data, Stack(fast=True, folds=3), options, curve=False, sessions=known)
        assert ("sessions" in trained.record) == with_sessions
        names = [score.condition for score in trained.by_condition]
        assert ("another session (made of dry soils)" in names) == with_sessions
        judged = assess(prepare(others, trained.recipe), trained.domain)
        assert trained.interval is not None
        width = trained.interval.high_offset - trained.interval.low_offset
        return float(np.mean([one.verdict != "outside" for one in judged])), width

    before, after = inside(False), inside(True)
    assert after[0] > before[0]
    assert after[1] > before[1]


def test_a_log_that_is_none_is_one_line(tmp_path: Path) -> None:
    data = soil_like(20, nm=NM)
    write_table(tmp_path / "soils.csv", data.spectra)
    (tmp_path / "assays.csv").write_text("sample_id,C_%\n" + "".join(f"{n},{v}\n" for n, v in data.target.items()))
    given = ["--spectra", tmp_path / "soils.csv", "--assays", tmp_path / "assays.csv", "--element", "C"]
    done = stibium("train", *given, "--out", tmp_path / "run", "--sessions", tmp_path / "none.db")
    assert done.returncode == 1
    assert "there is no log" in done.stderr
    assert "Traceback" not in done.stderr
