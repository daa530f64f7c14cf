"""`stibium adapt` as a user runs it: by a few assays, by pairs, and with what cannot be (all spectra simulated)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import Soils, stibium, succeed
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.model.bundle import Bundle, read_bundle, write_bundle
from stibium.edge.model.check import recompute_golden
from stibium.edge.model.estimate import Estimator
from stibium.train.assays.table import read_assay_table


def as_child_sees(spectrum: Spectrum) -> Spectrum:
    """Another instrument: bands every 3 nm, shifted by 1.5 nm, darker, and with a slope."""
    nm = np.arange(351.0, 2499.0, 3.0)
    values = np.interp(nm + 1.5, spectrum.wavelengths_nm, spectrum.values)
    return replace(
        spectrum,
        wavelengths_nm=nm,
        values=0.8 * values**1.1 * (1 + 5e-5 * (nm - 1400)),
        splices_nm=(),
        instrument="X 4711",
    )


@pytest.fixture(scope="module")
def made(small_soils: Soils, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables: 20 pairs on both instruments, and other soils as the child sees them, some assayed."""
    folder = tmp_path_factory.mktemp("instruments")
    by_name = {s.sample_id: s for s in read_spectra(small_soils.spectra)}
    assays = read_assay_table(small_soils.assays).assays("Sb").plain
    names = sorted((n for n in by_name if n in assays and assays[n] < 1000), key=lambda n: (n[-1], n))
    parent = [by_name[n] for n in names]
    child = [as_child_sees(s) for s in parent]
    for name, spectra in (
        ("parent", parent[:20]),
        ("child", child[:20]),
        ("two_parent", parent[:2]),
        ("two_child", child[:2]),
        (
            "mixed_up",
            [replace(s, sample_id=o.sample_id) for s, o in zip(child[:20], child[7:20] + child[:7], strict=True)],
        ),
        ("others", [replace(s, sample_id=f"other {s.sample_id}") for s in child[20:26]]),
        ("rest", child[20:]),
        ("site", parent[:6]),
    ):
        write_table(folder / f"{name}.csv", spectra)
    with (folder / "assays.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sample", "Sb_ppm"), *((n, assays[n]) for n in names)])
    return folder


def test_pairs_bring_readings_of_the_child_to_the_parents(made: Path, shipped_bundle: Bundle, tmp_path: Path) -> None:
    new, page = tmp_path / "new.tflite", tmp_path / "page.html"
    done = succeed(
        "adapt", shipped_bundle.path, "--pairs", made / "parent.csv", made / "child.csv", "--out", new, "--report", page
    )
    assert "SIMULATED" in done.stdout
    assert "tried: nothing" in done.stdout
    bundle = read_bundle(new)
    # Of the spectra or of the answers, whichever brought the readings left out nearer.
    assert bundle.correction != shipped_bundle.correction
    (step,) = bundle.lineage.adaptations
    assert (step.parent_sha256, step.samples) == (shipped_bundle.sha256, 20)
    # Of pairs left out in turn, with fewer pairs than the bundle has; of other soils see the next test.
    assert step.after < 0.8 * step.before
    assert bundle.interval is not None
    assert shipped_bundle.interval is not None
    assert bundle.interval.high_offset > shipped_bundle.interval.high_offset
    assert all(result.same for result in recompute_golden(bundle))
    # Soils that took no part: nearer to what the parent reads of its own instrument.
    rest = list(read_spectra(made / "rest.csv"))
    before, after = (np.array(Estimator(b).outputs(rest)) for b in (replace(shipped_bundle, golden=None), bundle))
    everything = {s.sample_id: s for s in read_spectra(made / "rest.csv")}
    assert set(everything) == {s.sample_id for s in rest}
    assert np.std(after) > 0
    assert np.abs(after - before).max() > 0
    text = page.read_text()
    assert text.count("<svg") == 2
    assert "Readings before and after" in text


def test_a_child_is_read_as_the_parent_is(
    made: Path, small_soils: Soils, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    new = tmp_path / "new.tflite"
    succeed("adapt", shipped_bundle.path, "--pairs", made / "parent.csv", made / "child.csv", "--out", new)
    child = list(read_spectra(made / "rest.csv"))
    names = {s.sample_id for s in child}
    own = {s.sample_id: s for s in read_spectra(small_soils.spectra) if s.sample_id in names}
    wanted = np.array(Estimator(shipped_bundle).outputs([own[s.sample_id] for s in child]))
    errors = [
        float(np.sqrt(np.mean((np.array(Estimator(bundle).outputs(child)) - wanted) ** 2)))
        for bundle in (replace(shipped_bundle, golden=None), read_bundle(new))
    ]
    assert errors[1] < 0.8 * errors[0]
    # What the bundle says of itself is about what other soils show: both are of few.
    (step,) = read_bundle(new).lineage.adaptations
    assert errors[1] < 1.3 * step.after


def test_a_few_assays_shift_the_answers(made: Path, shipped_bundle: Bundle, tmp_path: Path) -> None:
    new = tmp_path / "new.tflite"
    # A parent that reads ten times too much.
    bent = tmp_path / "bent.tflite"
    write_bundle(
        bent,
        replace(shipped_bundle, correction=replace(shipped_bundle.correction, intercept=1.0), golden=None),
    )
    done = succeed(
        "adapt", bent, "--spectra", made / "site.csv", "--assays", made / "assays.csv", "--out", new, "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 6
    bundle = read_bundle(new)
    (step,) = bundle.lineage.adaptations
    assert step.what != "nothing"
    assert step.after < step.before
    assert bundle.interval is not None
    assert "t quantile" in bundle.interval.method
    shown = succeed("info", new).stdout
    assert "adaptation" in shown
    assert "parent sha256" in shown
    assert succeed("check", new).returncode == 0


def answers_as_assays(made: Path, bundle: Bundle, path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """The laboratory says what the model does, changed: a table for the site's samples."""
    soils = list(read_spectra(made / "site.csv"))
    values = change(10 ** np.array(Estimator(bundle).outputs(soils)))
    with path.open("w", newline="") as file:
        rows = [(s.sample_id, f"{v:.6g}") for s, v in zip(soils, values, strict=True)]
        csv.writer(file).writerows([("sample", "Sb_ppm"), *rows])
    return path


def test_where_nothing_helps_nothing_is_done(made: Path, shipped_bundle: Bundle, tmp_path: Path) -> None:
    """The laboratory agrees with the model."""
    agrees = answers_as_assays(made, shipped_bundle, tmp_path / "agrees.csv", lambda values: values)
    new = tmp_path / "new.tflite"
    done = succeed("adapt", shipped_bundle.path, "--spectra", made / "site.csv", "--assays", agrees, "--out", new)
    assert "nothing helps; the answers stay as they are" in done.stdout
    assert read_bundle(new).correction.is_none


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--pairs", "two_parent.csv", "two_child.csv"), "2 samples are usable on both instruments; at least 5"),
        (("--pairs", "parent.csv", "others.csv"), "no sample stands in both"),
        (("--pairs", "parent.csv", "parent.csv"), "20 of 20 pairs are one spectrum given twice"),
        (("--pairs", "parent.csv", "mixed_up.csv"), "do not go together"),
        (("--pairs", "parent.csv", "nowhere.csv"), "nowhere.csv: cannot be read: No such file"),
        (("--spectra", "two_child.csv", "--assays", "assays.csv"), "at least 3"),
    ],
)
def test_what_cannot_be_is_one_line(
    given: tuple[str, ...], said: str, made: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    arguments = [made / part if part.endswith(".csv") else part for part in given]
    done = stibium("adapt", shipped_bundle.path, *arguments, "--out", tmp_path / "new.tflite")
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new.tflite").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values * 1e3, "are they in another unit?"),
        (lambda values: values / 1e4, "are they in another unit?"),
        (lambda values: values.min() * values.max() / values, "do the names stand for the same samples in both?"),
    ],
)
def test_assays_of_another_unit_or_of_other_samples_are_refused(
    change: Callable[[np.ndarray], np.ndarray], said: str, made: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    assays = answers_as_assays(made, shipped_bundle, tmp_path / "assays.csv", change)
    new = tmp_path / "new.tflite"
    done = stibium("adapt", shipped_bundle.path, "--spectra", made / "site.csv", "--assays", assays, "--out", new)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert not new.exists()


def test_one_sample_that_makes_the_error_is_named(made: Path, shipped_bundle: Bundle, tmp_path: Path) -> None:
    first = next(iter(read_spectra(made / "site.csv"))).sample_id
    assays = answers_as_assays(
        made, shipped_bundle, tmp_path / "assays.csv", lambda values: np.append(values[:1] * 100, values[1:])
    )
    new = tmp_path / "new.tflite"
    done = succeed("adapt", shipped_bundle.path, "--spectra", made / "site.csv", "--assays", assays, "--out", new)
    assert f"{first} alone makes" in done.stdout


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--spectra", "site.csv"),
        ("--assays", "assays.csv"),
        ("--pairs", "parent.csv", "child.csv", "--assays", "assays.csv"),
    ],
)
def test_half_a_question_is_a_usage_error(
    given: tuple[str, ...], made: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    arguments = [made / part if part.endswith(".csv") else part for part in given]
    assert stibium("adapt", shipped_bundle.path, *arguments, "--out", tmp_path / "new.tflite").returncode == 2


def test_the_model_itself_is_not_written_over(made: Path, tiny_bundle: Path) -> None:
    before = tiny_bundle.read_bytes()
    done = stibium("adapt", tiny_bundle, "--pairs", made / "parent.csv", made / "child.csv", "--out", tiny_bundle)
    assert done.returncode == 2
    assert tiny_bundle.read_bytes() == before


@pytest.mark.parametrize("by", ["assays", "pairs"])
def test_what_a_device_refuses_is_adapted_by_in_no_way(
    by: str, made: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    """As `predict`, `evaluate` and `compare` refuse it: noise is no property of another site or instrument."""
    table = tmp_path / "noisy.csv"
    first, *others = read_spectra(made / ("site.csv" if by == "assays" else "child.csv"))
    noise = np.random.default_rng(0).normal(0, 0.02, first.values.size)
    write_table(table, [replace(first, values=first.values + noise), *others])
    predicted = stibium("predict", table, "--no-log", "--model", shipped_bundle.path, "--format", "jsonl")
    (why,) = (one["reason"] for one in map(json.loads, predicted.stdout.splitlines()) if not one["estimates"])
    assert "noise" in why
    given = ("--spectra", table, "--assays", made / "assays.csv")
    given = given if by == "assays" else ("--pairs", made / "parent.csv", table)
    done = stibium("adapt", shipped_bundle.path, *given, "--out", tmp_path / "new.tflite", "--format", "csv")
    assert done.returncode == 1, done.stderr
    assert why in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == len(others)
    assert first.sample_id not in {row["sample"] for row in rows}
