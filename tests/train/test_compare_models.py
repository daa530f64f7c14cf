"""Two models on the same soils: the better one is found, chance is called chance, and what does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stibium.edge as stibium_edge
from scipy import stats
from small_runs import stibium
from stibium.converters.spectra import read_spectra, write_table
from stibium.edge.model.bundle import Bundle, write_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.scaling import Scaling
from stibium.train.compare import compare, table
from stibium.train.errors import TrainingDataError
from stibium.train.evaluate import evaluate
from stibium.train.samples import Samples, replicate_rows

SAMPLES = Path(stibium_edge.__path__[0]) / "shipped" / "demo_samples.csv.gz"


def shifted(bundle: Bundle, by: float, name: str) -> Bundle:
    """The same network with other inputs, so that it answers otherwise."""
    scaling = Scaling(bundle.scaling.offset * (1 + by), bundle.scaling.scale)
    return replace(bundle, scaling=scaling, path=f"{name}.tflite", sha256=name)


@pytest.fixture(scope="module")
def samples(shipped_bundle: Bundle) -> Samples:
    """Soils whose laboratory values are what the shipped model says, give or take."""
    rng = np.random.default_rng(5)
    spectra = tuple(read_spectra(SAMPLES))
    rows = replicate_rows(spectra, "average")
    target = {
        row.sample_id: float(answer.value * np.exp(rng.normal(0, 0.05)))
        for row, answer in zip(rows, Estimator(shipped_bundle).estimate(rows), strict=True)
        if isinstance(answer, Estimate)
    }
    assert len(target) == 8
    return Samples(spectra, target, "Sb", "ppm")


def test_the_nearer_model_is_found_whichever_comes_first(shipped_bundle: Bundle, samples: Samples) -> None:
    good, bad = shifted(shipped_bundle, 0.0, "good"), shifted(shipped_bundle, 0.5, "bad")
    there, back = compare(good, bad, samples), compare(bad, good, samples)
    assert there.difference == pytest.approx(-back.difference)
    assert there.difference > 0
    assert there.low > 0
    assert there.p is not None
    assert there.p < 0.05
    assert there.says == back.says == "good.tflite is nearer to the laboratory's values on these soils."
    # The test is SciPy's, on the absolute errors in the models' own space.
    assert there.transform == "log10"
    errors = [np.abs(np.log10(side.answers / there.measured)) for side in (there.first, there.second)]
    assert there.p == pytest.approx(stats.wilcoxon(errors[1] - errors[0]).pvalue)


def test_a_model_is_no_better_than_itself(shipped_bundle: Bundle, samples: Samples) -> None:
    found = compare(shipped_bundle, shipped_bundle, samples)
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.says.startswith(f"No difference: both are one model (SHA-256 {shipped_bundle.sha256[:16]})")
    # Of two sides of one name nobody could say which is meant.
    assert (found.first.model, found.second.model) == (f"first {shipped_bundle.name}", f"second {shipped_bundle.name}")
    assert "SIMULATED" in table(found)


def test_few_soils_decide_nothing(shipped_bundle: Bundle, samples: Samples) -> None:
    kept = list(samples.target)[:4]
    few = replace(
        samples,
        spectra=tuple(s for s in samples.spectra if s.sample_id in kept),
        target={name: samples.target[name] for name in kept},
    )
    found = compare(shipped_bundle, shifted(shipped_bundle, 0.5, "bad"), few)
    assert found.p is None
    assert "too few" in found.says
    assert "one model" in compare(shipped_bundle, shipped_bundle, few).says


def test_chance_is_called_chance(shipped_bundle: Bundle, samples: Samples) -> None:
    found = compare(shipped_bundle, shifted(shipped_bundle, 1e-6, "b"), samples)
    assert found.says.startswith("No difference is shown")


def test_models_of_unlike_things_are_not_compared(shipped_bundle: Bundle, samples: Samples) -> None:
    with pytest.raises(TrainingDataError, match="answers As in ppm; the assays have Sb in ppm"):
        compare(shipped_bundle, replace(shipped_bundle, element="As"), samples)


def test_the_command_says_the_same_and_draws_it(shipped_bundle: Bundle, samples: Samples, tmp_path: Path) -> None:
    write_bundle(tmp_path / "a.tflite", shipped_bundle)
    write_bundle(tmp_path / "b.tflite", shifted(shipped_bundle, 0.5, "b"))
    write_table(tmp_path / "soils.csv", samples.spectra)
    rows = "".join(f"{name},{value!r}\n" for name, value in samples.target.items())
    (tmp_path / "assays.csv").write_text(f"sample,Sb_ppm\n{rows}")
    data = ["--spectra", tmp_path / "soils.csv", "--assays", tmp_path / "assays.csv"]
    page = tmp_path / "page.html"
    done = stibium("compare", tmp_path / "a.tflite", tmp_path / "b.tflite", *data, "--format", "json", "--report", page)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["says"] == "a.tflite is nearer to the laboratory's values on these soils."
    assert record["first_r2"] > record["second_r2"]
    assert page.read_text().count("<svg") == 3
    # The page stands by itself: figures and test are on it.
    assert "signed-rank test p = " in page.read_text()
    (tmp_path / "new").mkdir()
    write_bundle(tmp_path / "new" / "a.tflite", shipped_bundle)
    done = stibium("compare", tmp_path / "a.tflite", tmp_path / "new" / "a.tflite", *data)
    assert "RMSE of new/a.tflite minus a.tflite:" in done.stdout
    assert "both are one model" in done.stdout
    done = stibium("compare", tmp_path / "a.tflite", tmp_path / "none.tflite", *data)
    assert done.returncode == 1
    assert "none.tflite: there is no such file" in done.stderr


def test_estimates_without_a_plain_value_are_counted_as_evaluate_counts_them(
    shipped_bundle: Bundle, samples: Samples
) -> None:
    lowest, highest = shipped_bundle.calibrated_range
    narrow = replace(shipped_bundle, calibrated_range=(lowest, highest / 20), path="narrow.tflite", golden=None)
    counted = evaluate(narrow, samples).outside
    found = compare(narrow, shipped_bundle, samples)
    assert (found.first.outside, found.second.outside) == (counted, evaluate(shipped_bundle, samples).outside)
    assert counted > found.second.outside
    assert f"{counted} without a plain value" in table(found)
