"""A correction is part of the bundle, and done on the device before recipe and domain; lineage and instruments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import BundleError
from stibium.edge.model.bundle import Bundle, pack_bundle, read_bundle, unpack_bundle, write_bundle
from stibium.edge.model.correction import Correction, SpectraCorrection, absorbance
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.lineage import Adaptation, Lineage, Tried, other_instrument, same_instrument
from stibium.edge.model.recipe import Recipe


def shifted_back(bands: int, by: float, seed: int = 0) -> SpectraCorrection:
    """Takes off what another instrument adds: `by` everywhere, and a term that cancels itself."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(bands, 2)).astype(np.float32).astype(float)
    weights = np.zeros((bands, 3))
    weights[:, 1] = 1.0
    return SpectraCorrection(np.full(bands, -by), weights, left, np.zeros((2, bands)), "by hand")


@pytest.fixture(scope="module")
def adapted(shipped_bundle: Bundle) -> Bundle:
    bands = shipped_bundle.recipe.grid_nm.size
    step = Adaptation("ab" * 32, "by hand", 20, "not at all", 0.5, 0.1, (Tried("nothing", 0.5), Tried("by hand", 0.1)))
    return replace(
        shipped_bundle,
        correction=Correction(1.5, -0.25, shifted_back(bands, 0.125)),
        lineage=Lineage(("ASD FieldSpec 18483",), (step,)),
    )


def test_it_comes_back_from_the_file_as_it_was(adapted: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "new.tflite"
    write_bundle(path, adapted)
    again = read_bundle(path)
    assert again.lineage == adapted.lineage
    assert (again.correction.slope, again.correction.intercept) == (1.5, -0.25)
    assert again.correction.spectra is not None
    assert adapted.correction.spectra is not None
    for name in ("offset", "weights", "left", "right"):
        np.testing.assert_array_equal(
            getattr(again.correction.spectra, name), getattr(adapted.correction.spectra, name)
        )


def test_spectra_are_corrected_before_recipe_and_domain(
    shipped_bundle: Bundle, adapted: Bundle, soils: list[Spectrum]
) -> None:
    other = [replace(s, values=10 ** -(-np.log10(s.values) + 0.125)) for s in soils]
    plain = Estimator(shipped_bundle).outputs(soils)
    np.testing.assert_allclose(Estimator(adapted).outputs(other), 1.5 * np.array(plain) - 0.25, atol=2e-3)
    at_home = Estimator(shipped_bundle).estimate(soils)
    abroad = Estimator(replace(adapted, correction=replace(adapted.correction, slope=1.0, intercept=0.0))).estimate(
        other
    )
    for before, after in zip(at_home, abroad, strict=True):
        assert isinstance(before, Estimate)
        assert isinstance(after, Estimate)
        # The other instrument's level would have been outside; its corrected spectra are where the calibration is.
        assert after.q_over_limit == pytest.approx(before.q_over_limit, rel=0.02)
        assert after.t2_over_limit == pytest.approx(before.t2_over_limit, rel=0.02)


def test_the_window_reaches_as_far_as_it_says() -> None:
    weights = np.array([[0.25, 0.5, 0.25]] * 5)
    correction = SpectraCorrection(np.zeros(5), weights, np.zeros((5, 0)), np.zeros((0, 5)), "")
    np.testing.assert_allclose(correction.apply([[0, 0, 1, 0, 4]])[0], [0, 0.25, 0.5, 1.25, 3])


def test_a_bundle_without_one_is_as_it_was(shipped_bundle: Bundle) -> None:
    assert b'"correction"' not in pack_bundle(shipped_bundle)
    assert shipped_bundle.correction.is_none


def test_a_correction_for_other_bands_is_refused(adapted: Bundle) -> None:
    wrong = replace(adapted, correction=Correction(spectra=shifted_back(100, 0.1)))
    with pytest.raises(BundleError, match=r"its correction of spectra is for other bands"):
        unpack_bundle(pack_bundle(wrong))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, slope=-1.0),
        lambda c: replace(c, slope=1e9),
        lambda c: replace(c, intercept=1e300),
        lambda c: replace(c, spectra=replace(c.spectra, offset=np.full_like(c.spectra.offset, np.nan))),
        lambda c: replace(c, spectra=replace(c.spectra, left=c.spectra.left[:, :1])),
        lambda c: replace(c, spectra=replace(c.spectra, weights=c.spectra.weights[:, :2])),
    ],
)
def test_one_that_cannot_be_is_refused(adapted: Bundle, change) -> None:
    with pytest.raises(BundleError):
        unpack_bundle(pack_bundle(replace(adapted, correction=change(adapted.correction))))


def test_absorbance_of_black_is_finite() -> None:
    assert absorbance([0.0, -1.0, 0.1]).tolist() == pytest.approx([4.0, 4.0, 1.0])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ASD FieldSpec Pro 18483", "FieldSpec 18483", True),
        ("ASD FieldSpec Pro 18483", "ASD FieldSpec Pro 18484", False),
        ("Spectral Evolution PSR-3500 SN1456045", "PSR-3500 1456045", True),
        ("Spectral Evolution PSR-3500 SN1456045", "Spectral Evolution PSR-3500 SN1456046", False),
        ("Spectra Vista HR-1024i SN2152012", "Spectral Evolution PSR-3500 SN1456045", False),
        ("FieldSpec", "ASD FieldSpec Pro 18483", True),
    ],
)
def test_instruments_are_told_apart_by_serial_number(one: str, other: str, same: bool) -> None:
    assert same_instrument(one, other) is same
    assert same_instrument(other, one) is same


def test_another_instrument_is_remarked(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    bundle = replace(shipped_bundle, lineage=Lineage(("ASD FieldSpec Pro 18483",)))
    mine, theirs = (replace(soils[0], instrument=name) for name in ("FieldSpec 18483", "PSR-3500 SN1456045"))
    unknown = soils[0]
    flags = [a.flags for a in Estimator(bundle).estimate([mine, theirs, unknown]) if isinstance(a, Estimate)]
    told = [[f for f in of_one if "the model was made for" in f] for of_one in flags]
    assert told[0] == told[2] == []
    assert told[1] == [
        "measured with PSR-3500 SN1456045; the model was made for ASD FieldSpec Pro 18483: see stibium adapt"
    ]
    assert other_instrument(Lineage(), "anything 1234") == ""


def test_a_grid_of_its_own_is_brought_to_the_models(adapted: Bundle, soils: list[Spectrum]) -> None:
    thinned = replace(soils[0], wavelengths_nm=soils[0].wavelengths_nm[::2], values=soils[0].values[::2])
    on_grid = Recipe(adapted.recipe.beginning).preprocess(thinned.values, thinned.wavelengths_nm, thinned.splices_nm)
    found = adapted.correction.preprocess(
        adapted.recipe, thinned.values[None], thinned.wavelengths_nm, thinned.splices_nm
    )
    assert found.reflectance.shape[1] == adapted.recipe.reflectance_nm.size
    np.testing.assert_allclose(
        found.reflectance[0], 10**0.125 * on_grid.features[: found.reflectance.shape[1]], rtol=1e-4
    )
