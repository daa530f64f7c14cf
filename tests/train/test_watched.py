"""The laboratory's results are in: what the log's estimates were worth, and whether to calibrate again."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import stibium, succeed
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.read import iter_entries, open_for_reading
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.train.assays.table import read_assay_table
from stibium.train.errors import TrainingDataError
from stibium.train.watched import evaluate_log


def day(
    folder: Path, bundle: Bundle, soil: Spectrum, factor: float, spread: float, n: int = 20, interval: float = 0.3
) -> tuple[Path, Path]:
    """A log of n samples, and assays that lie so far from its estimates."""
    rng = np.random.default_rng(7)
    (answer,) = Estimator(bundle).estimate([soil])
    assert isinstance(answer, Estimate)
    rows = []
    with Log(folder / "day.db", bundle.name, bundle.sha256) as log:
        for i in range(n):
            value = float(10 ** rng.uniform(1, 2.5))
            estimate = answer._replace(
                sample_id=f"S{i}",
                value=value,
                low=value * 10**-interval,
                high=value * 10**interval,
                bound="",
                coverage=0.9,
            )
            log.add([Result(replace(soil, sample_id=f"S{i}"), estimate)])
            rows.append((f"S{i}", value * factor * 10 ** (spread * rng.normal())))
        # Measured again: the last reading counts. A check soil of the same name as a sample does not.
        log.add([Result(replace(soil, sample_id="S0"), estimate._replace(value=rows[0][1], sample_id="S0"))])
        about = ReadingFacts(sample_kind="reference")
        log.add([Result(replace(soil, sample_id="S1"), estimate._replace(value=1e4), about)])
    with (folder / "assays.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sample", "Sb_ppm"), *rows, ("elsewhere", 5.0)])
    return folder / "day.db", folder / "assays.csv"


def watched(log: Path, assays: Path):
    with open_for_reading(log) as db:
        (found,) = evaluate_log(iter_entries(db, every=True), read_assay_table(assays).assays("Sb"))
    return found


def test_a_calibration_that_holds_is_let_alone(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    found = watched(*day(tmp_path, shipped_bundle, soils[0], 1.0, 0.15))
    assert found.samples == 20
    assert found.recalibrate is False
    assert "the calibration holds as far as 20 samples tell" in found.advice
    assert found.stated_coverage == pytest.approx(0.9)


def test_a_bias_is_found_and_said(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    found = watched(*day(tmp_path, shipped_bundle, soils[0], 0.7, 0.1))
    assert found.recalibrate is True
    assert found.bias == pytest.approx(1 / 0.7 - 1, abs=0.12)
    assert "RECALIBRATE: bias +" in found.advice


def test_intervals_that_do_not_hold_are_found_without_a_bias(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    found = watched(*day(tmp_path, shipped_bundle, soils[0], 1.0, 0.3, interval=0.1))
    assert found.recalibrate is True
    assert "too few values inside their intervals" in found.advice


def test_few_samples_tell_nothing(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    found = watched(*day(tmp_path, shipped_bundle, soils[0], 0.5, 0.1, n=4))
    assert found.recalibrate is None
    assert "at least 5 are needed" in found.advice


def test_no_more_than_one_in_twenty_is_called_wrong_by_chance() -> None:
    """The bias test alone, at its half of the chance: 400 calibrations that hold."""
    from stibium.train.watched import SIGNIFICANT, _bias_p

    rng = np.random.default_rng(3)
    called = np.mean([_bias_p(rng.normal(0, 0.2, 12)) < SIGNIFICANT / 2 for _ in range(400)])
    assert called < 0.05


def test_the_command_says_it(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    log, assays = day(tmp_path, shipped_bundle, soils[0], 0.7, 0.1)
    done = succeed("evaluate", "--from-log", log, "--assays", assays)
    assert "20 samples" in done.stdout
    assert "1 of 21 assays: no reading of that name in the log: elsewhere" in done.stderr
    assert "RECALIBRATE" in done.stdout
    # As evaluate says it of a bundle's answers.
    assert done.stdout.startswith("SIMULATED: ")
    record = json.loads(succeed("evaluate", "--from-log", log, "--assays", assays, "--format", "jsonl").stdout)
    assert record["recalibrate"] is True
    assert record["n"] == 20
    assert record["simulated"] is True


@pytest.mark.parametrize("written", ["s{}", "S 0{}", "S{}A", "SB-S{}"])
def test_names_written_otherwise_than_in_the_log_are_asked_about(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum], written: str
) -> None:
    log, assays = day(tmp_path, shipped_bundle, soils[0], 1.0, 0.1, n=6)
    text = assays.read_text()
    for i in (1, 3, 4):
        text = text.replace(f"S{i},", f"{written.format(i)},")
    assays.write_text(text)
    with pytest.raises(TrainingDataError, match=f"3 samples .* did you mean '{written.format(1)}' for 'S1'"):
        watched(log, assays)


def test_assays_in_another_unit_are_converted(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    log, assays = day(tmp_path, shipped_bundle, soils[0], 2.5, 0.1)
    _, *rows = assays.read_text().splitlines()
    in_pct = [f"{name},{float(value) / 1e4!r}" for name, _, value in (row.partition(",") for row in rows)]
    (tmp_path / "pct.csv").write_text("\n".join(["sample,Sb_pct", *in_pct, ""]))
    found, same = watched(log, tmp_path / "pct.csv"), watched(log, assays)
    assert (found.unit, found.advice) == ("ppm", same.advice)
    assert found.bias == pytest.approx(same.bias)


def test_an_element_may_be_written_in_upper_or_lower_case(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    log, assays = day(tmp_path, shipped_bundle, soils[0], 2.5, 0.1)
    (tmp_path / "upper.csv").write_text(assays.read_text().replace("Sb_ppm", "SB_ppm"))
    assert watched(log, tmp_path / "upper.csv") == watched(log, assays)
    said = [stibium("evaluate", "--from-log", log, "--assays", tmp_path / name) for name in ("upper.csv", assays.name)]
    assert said[0].stdout == said[1].stdout != ""
    write_table(tmp_path / "soils.csv", soils)
    (tmp_path / "few.csv").write_text(
        "sample,SB_ppm\n" + "".join(f"{s.sample_id},{i + 5}\n" for i, s in enumerate(soils))
    )
    done = stibium(
        "evaluate", shipped_bundle.path, "--spectra", tmp_path / "soils.csv", "--assays", tmp_path / "few.csv"
    )
    assert (done.returncode, done.stdout.count("Sb by sb_simulated.tflite")) == (0, 1), done.stderr


def test_other_names_and_units_are_one_line(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    log, _ = day(tmp_path, shipped_bundle, soils[0], 1.0, 0.1, n=5)
    (tmp_path / "other.csv").write_text("sample,Sb_ppm\nX,1\nY,2\n")
    (tmp_path / "pct.csv").write_text("sample,Sb_pct\nS0,1\nS2,2\n")
    with open_for_reading(log) as db:
        entries = list(iter_entries(db, every=True))
    with pytest.raises(
        TrainingDataError, match=r"no sample with Sb has an estimate of it in the log, whose samples are S0"
    ):
        evaluate_log(entries, read_assay_table(tmp_path / "other.csv").assays("Sb"))
    unknown = replace(read_assay_table(tmp_path / "pct.csv").assays("Sb"), unit="counts")
    with pytest.raises(TrainingDataError, match=r"has Sb in counts, and the log's estimates are in ppm"):
        evaluate_log(entries, unknown)
    for wrong in (
        ("--from-log", log, "--assays", tmp_path / "other.csv", "--held-out"),
        ("--assays", tmp_path / "pct.csv"),
    ):
        assert stibium("evaluate", *wrong).returncode == 2


def test_an_interval_that_was_cut_off_holds_what_lies_beyond_as_in_evaluate(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    highest = shipped_bundle.calibrated_range[1]
    (answer,) = Estimator(shipped_bundle).estimate(soils[:1])
    assert isinstance(answer, Estimate)
    model = (shipped_bundle.name, shipped_bundle.sha256, shipped_bundle.calibrated_range)
    with Log(tmp_path / "log.db", *model) as log:
        for name, high in (("A", highest), ("B", highest / 2)):
            said = answer._replace(sample_id=name, value=highest / 3, low=highest / 4, high=high, bound="")
            log.add([Result(replace(soils[0], sample_id=name), said)])
    (tmp_path / "assays.csv").write_text(f"sample,Sb_ppm\nA,{2 * highest}\nB,{2 * highest}\n")
    assert watched(tmp_path / "log.db", tmp_path / "assays.csv").covered == 0.5
