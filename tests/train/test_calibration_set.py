from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from soil_like import NM, soil_like
from stibium.converters.spectra.spectrum import Spectrum
from stibium.train.assays.table import read_assay_table
from stibium.train.calibration_set import from_joined, from_spectra
from stibium.train.errors import TrainingDataError
from stibium.train.samples import join


def spectrum(sample: str, nm: np.ndarray, values: np.ndarray | None = None, **other: object) -> Spectrum:
    values = 0.3 + 1e-4 * nm if values is None else values
    return Spectrum(nm, values, "reflectance", sample, source=f"{sample}.asd", **other)  # type: ignore[arg-type]


def test_one_grid_stays_as_it_is() -> None:
    spectra = [spectrum("A", NM, splices_nm=(1000.0,)), spectrum("B", NM, splices_nm=(1000.0,))]
    data = from_spectra(spectra, {"A": 1.0, "B": 2.0}, "Sb", "ppm", {"A": "x", "B": "y"})
    np.testing.assert_array_equal(data.wavelengths_nm, NM)
    assert data.splices_nm == (1000.0,)
    assert (data.samples, data.groups) == (("A", "B"), ("x", "y"))


def test_mixed_grids_are_resampled_to_what_they_share() -> None:
    # A straight line survives any interpolation; a step at the join of one of them does not survive its correction.
    steps = spectrum("C", np.arange(350.0, 2501.0))
    values = steps.values + np.where(steps.wavelengths_nm > 1000, 0.0, 0.05)
    spectra = [
        spectrum("A", np.arange(402.5, 2450.0, 2.5)),
        spectrum("B", np.arange(380.0, 2400.0, 7.0)),
        replace(steps, values=values, splices_nm=(1000.0,)),
    ]
    data = from_spectra(spectra, {"A": 1.0, "B": 2.0, "C": 3.0}, "Sb", "ppm")
    assert data.wavelengths_nm[0] == 403
    assert data.wavelengths_nm[-1] == 2396
    np.testing.assert_allclose(data.reflectance, np.tile(0.3 + 1e-4 * data.wavelengths_nm, (3, 1)), rtol=2e-3)
    assert data.splices_nm == ()


def test_measurements_are_averaged_or_kept(tmp_path: Path) -> None:
    (tmp_path / "assays.csv").write_text("sample,Sb_ppm\nA,10\nB,20\nC,30\n")
    spectra = [
        replace(spectrum(name, NM, np.full(NM.size, 0.3) + 0.01 * i + 1e-4 * np.sin(NM)), measurement=str(i))
        for name in "ABC"
        for i in range(3)
    ]
    joined = join(spectra, read_assay_table(tmp_path / "assays.csv").assays("Sb"), (400.0, 2400.0))
    each, mean = from_joined(joined, "each"), from_joined(joined)
    assert each.samples == (*"AAABBBCCC",)
    assert mean.samples == ("A", "B", "C")
    np.testing.assert_allclose(mean.reflectance[0], each.reflectance[:3].mean(axis=0))
    assert (mean.name, mean.unit) == ("Sb", "ppm")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: soil_like(1), "1 sample with spectrum and value"),
        (lambda: soil_like(5, target=np.full(5, 3.0)), "all 5 values of clay are 3 %"),
        (lambda: soil_like(3, target=np.array([1.0, np.nan, 2.0])), "sample S001 has clay nan, no number"),
        (lambda: with_value(np.nan), "sample S001 has reflectance nan at 420 nm"),
        (lambda: with_value(-0.1), "sample S001 has reflectance -0.1 at 420 nm; a number above 0"),
        (lambda: with_value(35.0), "sample S001 has reflectance 35 at 420 nm"),
        (lambda: from_spectra([], {}, "Sb", "ppm"), "no spectra to hold against Sb"),
        (lambda: from_spectra([spectrum("A", NM)], {}, "Sb", "ppm"), "A.asd: sample A has no value for Sb"),
        (
            lambda: from_spectra([spectrum("A", NM)], {"A": 1.0}, "Sb", "ppm", {}),
            "A.asd: sample A belongs to no group",
        ),
        (
            lambda: from_spectra([spectrum("A", NM[:20]), spectrum("B", NM[30:])], {"A": 1.0, "B": 2.0}, "Sb", "ppm"),
            "B.asd begins at 700 nm and A.asd ends at 590 nm",
        ),
        (
            lambda: from_spectra([spectrum("A", NM), spectrum("B", NM, NM)], {"A": 1.0, "B": 2.0}, "Sb", "ppm"),
            "B.asd: reflectance 2.45e+03 at 2450 nm is above 1.5",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(make: Callable[[], object], line: str) -> None:
    with pytest.raises(TrainingDataError) as caught:
        make()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def with_value(value: float) -> object:
    reflectance = soil_like(3).reflectance.copy()
    reflectance[1, 2] = value
    return soil_like(3, reflectance=reflectance)


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="do not go with"):
        soil_like(3, samples=("A", "B"))
    with pytest.raises(ValueError, match="2 groups for 3 rows"):
        soil_like(3, groups=("x", "y"))
