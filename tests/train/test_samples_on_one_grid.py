from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from soil_like import NM, soil_like
from stibium.converters.spectra.spectrum import Spectrum
from stibium.train.assays.table import read_assay_table
from stibium.train.errors import TrainingDataError
from stibium.train.samples import Samples, join


def spectrum(sample: str, nm: np.ndarray, values: np.ndarray | None = None, **other: object) -> Spectrum:
    values = 0.3 + 1e-4 * nm if values is None else values
    return Spectrum(nm, values, "reflectance", sample, source=f"{sample}.asd", **other)  # type: ignore[arg-type]


def test_one_grid_stays_as_it_is() -> None:
    spectra = [spectrum("A", NM, splices_nm=(1000.0,)), spectrum("B", NM, splices_nm=(1000.0,))]
    data = Samples(tuple(spectra), {"A": 1.0, "B": 2.0}, "Sb", "ppm", groups={"A": "x", "B": "y"})
    np.testing.assert_array_equal(data.wavelengths_nm, NM)
    assert data.splices_nm == (1000.0,)
    assert (data.names, data.row_groups) == (("A", "B"), ("x", "y"))


def test_mixed_grids_are_resampled_to_what_they_share() -> None:
    # A straight line survives any interpolation; a step at the join of one of them does not survive its correction.
    steps = spectrum("C", np.arange(350.0, 2501.0))
    values = steps.values + np.where(steps.wavelengths_nm > 1000, 0.0, 0.05)
    spectra = [
        spectrum("A", np.arange(402.5, 2450.0, 2.5)),
        spectrum("B", np.arange(380.0, 2400.0, 7.0)),
        replace(steps, values=values, splices_nm=(1000.0,)),
    ]
    data = Samples(tuple(spectra), {"A": 1.0, "B": 2.0, "C": 3.0}, "Sb", "ppm")
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
    each, mean = joined.rows("each"), joined.rows("average")
    assert each.names == (*"AAABBBCCC",)
    assert mean.names == ("A", "B", "C")
    np.testing.assert_allclose(mean.reflectance[0], each.reflectance[:3].mean(axis=0))
    assert (mean.element, mean.unit) == ("Sb", "ppm")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: soil_like(1).check_target(),
            "1 sample has both a spectrum and a value for clay; at least 2 are needed",
        ),
        (lambda: soil_like(5, target=np.full(5, 3.0)).check_target(), "every sample has clay 3 %"),
        (lambda: with_value(-0.1), "S001: reflectance -0.1 at 420 nm is not above zero"),
        (lambda: with_value(35.0), "S001: reflectance 35 at 420 nm is above 1.5"),
        (lambda: Samples((), {}, "Sb", "ppm"), "no spectra to hold against Sb"),
        (lambda: Samples((spectrum("A", NM),), {}, "Sb", "ppm"), "A.asd: sample A has no value for Sb"),
        (
            lambda: Samples((spectrum("A", NM),), {"A": 1.0}, "Sb", "ppm", groups={}),
            "A.asd: sample A belongs to no group",
        ),
        (
            lambda: Samples((spectrum("A", NM[:20]), spectrum("B", NM[30:])), {"A": 1.0, "B": 2.0}, "Sb", "ppm"),
            "B.asd begins at 700 nm and A.asd ends at 590 nm",
        ),
        (
            lambda: Samples((spectrum("A", NM), spectrum("B", NM, NM)), {"A": 1.0, "B": 2.0}, "Sb", "ppm"),
            "B.asd: reflectance 2.45e+03 at 2450 nm is above 1.5",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(make: Callable[[], Samples | None], line: str) -> None:
    with pytest.raises(TrainingDataError) as caught:
        on_one_grid(make)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def on_one_grid(make: Callable[[], Samples | None]) -> None:
    """Spectra are brought onto one grid when somebody asks for that."""
    made = make()
    assert made is None or made.reflectance.size


def with_value(value: float) -> Samples:
    reflectance = soil_like(3).reflectance.copy()
    reflectance[1, 2] = value
    return soil_like(3, reflectance=reflectance)
