"""Pairs of dry and wet scans: how they are matched, what is learned from them, and that it helps on wet ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import stibium
from soil_like import soil_like
from stibium.converters.spectra.spectrum import Condition, Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.model.recipe import Blocks, Recipe
from stibium.edge.model.steps import Absorbance, FeatureOrthogonalisation, Resample
from stibium.train.corrected import Corrected, CorrectedModel
from stibium.train.correction import NOTHING, Setting, best_setting, orthogonalisation, settings_for
from stibium.train.crossval.metrics import Metrics, measure
from stibium.train.crossval.rows import TrainingRows
from stibium.train.errors import TrainingDataError
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.mobilenetv2 import MobileNetV2
from stibium.train.methods.radial_network import GatedNetwork, RadialNetwork
from stibium.train.methods.stack import Stack
from stibium.train.methods.synthetic import with_water
from stibium.train.moisture import Differences, joined, pairs_of, read_pairs, shipped_pairs, write_differences
from stibium.train.prepared import prepare
from stibium.train.samples import Samples
from stibium.train.training import TrainingOptions, _changed, train

NM = np.arange(400.0, 2451.0, 5.0)


def watered(data: Samples, condition: Condition, seed: int = 5) -> list[Spectrum]:
    """The soils with water: darker, with bands at 1450 and 1930 nm that lie over that of the target, unlike in each."""
    random = np.random.default_rng(seed)
    share = {"dry": 0.0, "damp": 0.35, "wet": 1.0}[condition]
    found = []
    for spectrum in data.spectra:
        nm, strength = spectrum.wavelengths_nm, share * random.uniform(0.7, 1.3)
        slope = random.uniform(0.05, 0.25)
        water = 0.15 + slope * (nm - 400) / 2000
        for centre, width, depth in ((1450, 60, 0.35), (1930, 80, 0.6), (2240, 90, 0.3)):
            water = water + depth * np.exp(-0.5 * ((nm - centre) / width) ** 2)
        found.append(replace(spectrum, values=spectrum.values * 10 ** -(strength * water), condition=condition))
    return found


def named(spectra: Sequence[Spectrum], prefix: str) -> list[Spectrum]:
    return [replace(s, sample_id=f"{prefix}{s.sample_id}", source=f"{prefix}{s.sample_id}") for s in spectra]


@pytest.fixture(scope="module")
def pairs() -> Differences:
    others = soil_like(6, seed=9, nm=NM)
    return pairs_of(named([s for c in ("dry", "damp", "wet") for s in watered(others, c)], "P"), "pairs.csv")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dry() -> Samples:
    data = soil_like(45, seed=2, nm=NM)
    return replace(data, spectra=tuple(watered(data, "dry")))


def test_pairs_are_matched_by_name_and_condition(pairs: Differences) -> None:
    assert pairs.states == ("damp", "wet")
    assert len(set(pairs.soils)) == 6
    assert pairs.differences.shape == (12, 2051)
    wet = pairs.differences[[c == "wet" for c in pairs.conditions]]
    assert wet[:, np.argmin(np.abs(pairs.wavelengths_nm - 1930))].min() > 0.3


def test_what_is_no_pair_is_said_and_two_soils_are_too_few() -> None:
    soils = soil_like(4, nm=NM)
    scans = [*watered(soils, "dry"), *watered(soils, "wet")[:3]]
    assert pairs_of(scans, "p.csv").notes == ("1 of 4 soils has no dry scan beside a damp or wet one: S003",)
    with pytest.raises(TrainingDataError, match=r"^p.csv: 2 soils scanned dry and again damp or wet .* no pair: S002"):
        pairs_of(scans[:6], "p.csv")
    with pytest.raises(TrainingDataError, match="nobody says whether S000 was dry, damp or wet"):
        pairs_of([replace(s, condition="") for s in scans], "p.csv")


def test_what_was_refused_comes_before_what_is_no_pair_then(tmp_path: Path) -> None:
    soils = soil_like(4, nm=NM)
    write_table(tmp_path / "p.csv", [*watered(soils, "dry"), *watered(soils, "wet")])
    table = (tmp_path / "p.csv").read_text()
    (tmp_path / "p.csv").write_text(table.replace(",wet,", ",soggy,"))
    with pytest.raises(TrainingDataError, match="0 soils .*condition 'soggy' is no state of the ground"):
        read_pairs(str(tmp_path / "p.csv"))


def test_pairs_of_another_range_are_refused_before_any_fit(dry: Samples, pairs: Differences) -> None:
    used = (pairs.wavelengths_nm >= 500) & (pairs.wavelengths_nm <= 1000)
    few = replace(
        pairs,
        differences=pairs.differences[:, used],
        dry=pairs.dry[:, used],
        wavelengths_nm=pairs.wavelengths_nm[used],
    )
    with pytest.raises(
        TrainingDataError, match="^6 soils of pairs.csv cover 500-1000 nm, and the model stands on 400-"
    ):
        train(dry, Stack(fast=True), TrainingOptions(baselines=False), curve=False, pairs=few)


def test_pairs_of_another_range_are_refused(pairs: Differences) -> None:
    with pytest.raises(TrainingDataError, match="cover 400-2450 nm, and the model stands on 350-2500 nm"):
        pairs.on(np.arange(350.0, 2501.0))


def test_shipped_pairs_say_what_they_are_and_are_written_as_they_were(tmp_path: Path) -> None:
    found = shipped_pairs()
    assert "other people's soils" in found.source
    assert found.states == ("damp", "wet")
    assert read_pairs("shipped").sha256 == found.sha256
    write_differences(str(tmp_path / "d.npz"), found, ["source"])
    with np.load(tmp_path / "d.npz") as again:
        np.testing.assert_allclose(again["differences"], found.differences, atol=1e-3)


def test_scans_that_do_not_show_water_are_no_pairs() -> None:
    soils = soil_like(6, seed=9, nm=NM)
    dry, wet = watered(soils, "dry"), watered(soils, "wet")
    exchanged = [replace(s, condition="wet" if s.condition == "dry" else "dry") for s in (*dry[:2], *wet[:2])]
    found = pairs_of([*exchanged, *dry[2:], *wet[2:]], "p.csv")
    assert set(found.soils) == {"S002", "S003", "S004", "S005"}
    assert [note.partition(": ")[2][:44] for note in found.notes] == [
        "S000 called wet shows less water at 1930 nm ",
        "S001 called wet shows less water at 1930 nm ",
    ]
    with pytest.raises(TrainingDataError, match="0 soils .*: S000 called wet has the scan of the same soil called dry"):
        pairs_of([*dry, *(replace(s, condition="wet") for s in dry)], "p.csv")
    absorbance = [replace(s, values=-np.log10(s.values)) for s in (*dry, *wet)]
    with pytest.raises(TrainingDataError, match="stand up, as in absorbance: write `absorbance` into its header"):
        pairs_of(absorbance, "p.csv")
    two = [replace(s, instrument=f"FieldSpec {s.condition}") for s in (*dry, *wet)]
    with pytest.raises(TrainingDataError, match="S000 was measured dry with FieldSpec dry, and wet with FieldSpec wet"):
        pairs_of(two, "p.csv")


def test_names_that_differ_in_case_and_one_state_are_said() -> None:
    soils = soil_like(4, nm=NM)
    small = [replace(s, sample_id=s.sample_id.lower()) for s in watered(soils, "wet")]
    with pytest.raises(TrainingDataError, match="of 4 dry, 0 damp, 4 wet.*S000 and s000 may be one soil"):
        pairs_of([*watered(soils, "dry"), *small], "p.csv")
    with pytest.raises(TrainingDataError, match=r"\(of 0 dry, 0 damp, 4 wet\)"):
        pairs_of(watered(soils, "wet"), "p.csv")


def test_doing_nothing_is_judged_as_a_model_of_dry_soils_is() -> None:
    # Squared errors with one and two components; few components read no ground well, and wet ground no worse.
    both = Setting(8, 3)
    squares = {
        NOTHING: {"dry": [np.array([[0.5, 0.2]])], "wet": [np.array([[0.6, 9.0]])]},
        both: {"dry": [np.array([[0.6, 0.3]])], "wet": [np.array([[1.2, 0.9]])]},
    }
    choice = best_setting([NOTHING, both], squares)
    assert choice.setting == both
    assert choice.errors[str(both)] == pytest.approx(0.6 / 4.6)


def test_soils_are_wetted_from_little_more_than_dry_to_a_little_more_than_the_pairs() -> None:
    # Each difference has a band of its own, so that their shares can be read.
    taken = with_water(np.full((45, 6), 3.0), np.eye(6), 20, np.random.default_rng(4)) - 3.0
    assert taken.shape == (20 * 45, 6)
    assert (np.count_nonzero(taken, axis=1) == 1).all(), "of one difference each"
    assert set(taken.argmax(axis=1)) == set(range(6))
    total = taken.sum(axis=1)
    assert 1.0 < total.max() < 1.3
    assert 0 < total.min() < 0.1
    assert len(np.unique(total.round(9))) == len(total), "a share of its own for each copy"
    assert with_water(np.ones((45, 6)), np.eye(6), 0, np.random.default_rng(4)).shape == (0, 6)


def test_ones_own_pairs_come_with_those_of_the_package_and_a_few_count_for_several(
    tmp_path: Path, pairs: Differences
) -> None:
    soils = soil_like(8, seed=4, nm=NM)
    scans = named([s for c in ("dry", "damp", "wet") for s in watered(soils, c)], "P")  # type: ignore[arg-type]
    write_table(tmp_path / "p.csv", scans)
    found, shipped = read_pairs(str(tmp_path / "p.csv")), shipped_pairs()
    assert found.source == f"8 soils of {tmp_path / 'p.csv'}, with 60 other people's soils (shipped)"
    assert found.states == ("damp", "wet")
    np.testing.assert_array_equal(found.wavelengths_nm, pairs.wavelengths_nm)
    own = [soil in {s.sample_id for s in scans} for soil in found.soils]
    assert sum(own) == 2 * 16, "twice, as 16 are fewer than a quarter of 120"
    assert len(own) - sum(own) == len(shipped.soils)
    np.testing.assert_allclose(found.differences[32:], shipped.on(found.wavelengths_nm).differences)
    # Enough of one's own stand once.
    many = joined(shipped, pairs)
    assert len(many.soils) == len(shipped.soils) + len(pairs.soils)


def test_a_network_is_taught_water_and_nothing_is_added_to_what_a_device_computes(
    dry: Samples, pairs: Differences
) -> None:
    training, test = slice(0, 30), slice(30, None)
    rows = TrainingRows(
        dry.reflectance[training], dry.wavelengths_nm, dry.measured[training], groups=dry.names[training], seed=1
    )
    method = MobileNetV2(fast=True)
    plain, corrected = method.fit(rows), Corrected(method, pairs).fit(rows)
    assert corrected.choice.setting.directions
    assert corrected.model.recipe.to_dict() == plain.recipe.to_dict(), "nothing is added to what a device computes"  # type: ignore[attr-defined]
    known = dry.measured[test]
    on: dict[str, tuple[Metrics, Metrics]] = {}
    for condition in ("dry", "damp", "wet"):
        scans = np.stack([s.values for s in watered(dry, condition)])[test]  # type: ignore[arg-type]
        on[condition] = measure(plain.predict(scans), known), measure(corrected.predict(scans), known)
    # How far off a model is that knows no water differs from machine to machine.
    assert all(found.rmse < 0.8 * without.rmse for without, found in (on["damp"], on["wet"]))
    assert all((found.r2 or 0.0) > 0.75 for _, found in on.values())
    without, found = on["dry"]
    assert found.rmse < 1.5 * without.rmse


def test_what_a_change_costs_is_found_with_less_and_with_more_of_it_in_each_soil(
    dry: Samples, pairs: Differences
) -> None:
    recipe = Recipe((Resample(400.0, 2450.0, 1.0), Absorbance()))
    model = SimpleNamespace(recipe=recipe, answer=lambda features: features.mean(axis=1))
    soils = prepare([*dry.spectra, *watered(dry, "wet")[:5]], recipe)
    same = pairs.only(np.array([condition == "wet" for condition in pairs.conditions]))
    same = replace(same, differences=np.full_like(same.differences, 0.1))
    changed = _changed(model, soils, same, 3)  # type: ignore[arg-type]
    assert changed.rows == list(range(45)), "every dry soil, and no wet one"
    times = changed.moved / 0.1
    assert 0.5 < times.min() < 0.8
    assert 1.2 < times.max() < 2.0
    assert len(np.unique(times.round(6))) == 45, "each its own"
    both = _changed(model, soils, pairs, 3)  # type: ignore[arg-type]
    assert both.conditions == ["damp"] * 45 + ["wet"] * 45
    assert set(both.soils) == set(pairs.soils)


def test_a_corrected_method_reads_wet_soils(dry: Samples, pairs: Differences) -> None:
    training, test = slice(0, 30), slice(30, None)
    wet = np.stack([s.values for s in watered(dry, "wet")])[test]
    given = {"groups": dry.names[training], "seed": 1}
    rows = dry.reflectance[training], dry.wavelengths_nm, dry.measured[training]
    method = PartialLeastSquares(fast=True)
    plain, corrected = (
        method.fit(TrainingRows(*rows, **given)),
        Corrected(method, pairs).fit(TrainingRows(*rows, **given)),
    )
    assert corrected.choice.setting != NOTHING
    known = dry.measured[test]
    without, found = measure(plain.predict(wet), known), measure(corrected.predict(wet), known)
    assert found.rmse < 0.5 * without.rmse
    assert abs(found.bias) < abs(without.bias)


def test_a_model_of_dry_soils_and_pairs_is_for_wet_ground(dry: Samples, pairs: Differences) -> None:
    options = TrainingOptions(baselines=False, seed=3)
    trained = train(dry, Stack(fast=True, folds=3), options, curve=False, pairs=pairs)
    assert isinstance(trained.model, CorrectedModel)
    assert trained.conditions.corrected == ("damp", "wet")
    assert trained.record["moisture"]["pairs"] == "6 soils of pairs.csv"
    assert [score.condition for score in trained.by_condition] == [
        "dry",
        "damp (made of dry soils)",
        "wet (made of dry soils)",
    ]
    assert not any("scan 20" in line for line in trained.warnings())
    # What a device computes is what training computed.
    features = trained.recipe.preprocess(dry.reflectance, dry.wavelengths_nm).features
    fit = trained.model.fit
    answers = trained.model.answer(features)
    assert isinstance(trained.recipe, Blocks)
    for recipe in trained.recipe.recipes:
        assert isinstance(recipe.steps[-1], FeatureOrthogonalisation) == bool(fit.choice.setting.directions)
    np.testing.assert_allclose(fit.predict(dry.reflectance), trained.model.model.network.predict(features), rtol=1e-6)  # type: ignore[attr-defined]
    assert np.isfinite(answers).all()


def test_soils_that_were_assayed_dry_and_wet_have_a_model_of_the_dry_ones_too(dry: Samples) -> None:
    wet = np.stack([s.values for s in watered(dry, "wet")])
    rows = TrainingRows(
        np.concatenate([dry.reflectance, wet]),
        dry.wavelengths_nm,
        np.tile(dry.measured, 2),
        groups=dry.names * 2,
        conditions=["dry"] * 45 + ["wet"] * 45,
    )
    model, whole = Stack(fast=True).fit(rows), Stack(fast=True).fit_whole(rows)
    alone = Stack(fast=True).fit(rows.take(np.arange(45), seed=0))
    network = model.network
    assert isinstance(network, GatedNetwork)
    np.testing.assert_allclose(model.predict(dry.reflectance), alone.predict(dry.reflectance), rtol=1e-6)
    np.testing.assert_allclose(model.predict(wet), whole.predict(wet), rtol=1e-6)
    assert model.out_of_fold.shape == (1, 90)
    # As it is kept in a run.
    again = RadialNetwork.from_arrays(network.to_arrays())
    np.testing.assert_array_equal(again.predict(model.features(wet)), model.predict(wet))
    assert again.parameters == network.parameters > whole.parameters
    # Where nobody says which are wet, or too few are dry, there is one model.
    for conditions in ([], ["dry"] * 19 + ["wet"] * 71):
        assert not isinstance(Stack(fast=True).fit(replace(rows, conditions=conditions)).network, GatedNetwork)


def test_nothing_is_left_of_what_the_pairs_move_much_and_most_of_what_they_hardly_move() -> None:
    random = np.random.default_rng(3)
    features, moved = random.normal(size=(30, 40)) * np.linspace(0.1, 5, 40), 100 * random.normal(size=(6, 40))
    step = orthogonalisation(features, np.vstack([moved, moved[:2]]), 8)
    bands = np.arange(40.0)
    left = step.apply(features[:6] + moved, bands) - step.apply(features[:6], bands)
    np.testing.assert_allclose(left, 0, atol=1e-3 * np.abs(moved).max())
    assert len(step.directions) == 6
    hardly = orthogonalisation(features, 1e-5 * moved, 8)
    assert np.square(hardly.directions).sum(axis=1).max() < 0.1
    # As many as were asked for, and never all that so few pairs show.
    assert [len(orthogonalisation(features, moved, count).directions) for count in (1, 4, 8)] == [1, 4, 4]


def test_of_what_is_nearly_as_good_orthogonalisation_without_copies_is_taken() -> None:
    settings = settings_for(40)
    assert settings[0] == NOTHING
    squares = {one: {"dry": [np.array([[0.2]])], "wet": [np.array([[0.4]])]} for one in settings}
    squares[NOTHING]["wet"] = [np.array([[4.0]])]
    squares[settings[-1]]["wet"] = [np.array([[0.6]])]
    assert best_setting(settings, squares).setting == Setting(8, 0)
    squares[settings[-1]]["wet"] = [np.array([[3.0]])]
    assert best_setting(settings, squares).setting == Setting(4, 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--moisture-pairs", "none.csv"], "no moisture pairs: none.csv: cannot be read: No such file"),
        (["--moisture-pairs", "shipped", "--method", "published"], "--moisture-pairs is for --method"),
    ],
)
def test_bad_pairs_are_one_line(tmp_path: Path, dry: Samples, more: list[str], said: str) -> None:
    write_table(tmp_path / "soils.csv", dry.spectra)
    (tmp_path / "assays.csv").write_text("sample_id,C_%\n" + "".join(f"{n},{v}\n" for n, v in dry.target.items()))
    data = ["--spectra", tmp_path / "soils.csv", "--assays", tmp_path / "assays.csv", "--element", "C"]
    done = stibium("train", *data, "--out", tmp_path / "run", *more)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
