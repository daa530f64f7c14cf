from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stibium.converters.models.errors import ParityError
from stibium.converters.models.parity import Parity, check_parity, compare
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.target import forward


def answers(bundle: Bundle, soils: list[Spectrum]) -> np.ndarray:
    return np.array([a.value for a in Estimator(bundle).estimate(soils) if isinstance(a, Estimate)])


def test_figures_are_what_they_are_called(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    device = answers(shipped_bundle, soils)
    low, high = shipped_bundle.calibrated_range
    # A trained model that would answer 3 % more, against a laboratory that found 10 ppm more than the device says.
    trained = np.clip(1.03 * device, low, high)
    parity = compare(shipped_bundle, soils, device + 10.0, forward(1.03 * device, shipped_bundle.transform))
    assert parity.n == len(soils)
    assert parity.unit == shipped_bundle.unit
    assert parity.exported_rmse == pytest.approx(10.0)
    assert parity.float_rmse == pytest.approx(np.sqrt(np.mean((trained - device - 10) ** 2)))
    assert parity.rmse_of_difference == pytest.approx(np.sqrt(np.mean((trained - device) ** 2)))
    assert parity.largest_difference == pytest.approx(np.max(np.abs(trained - device)))
    assert parity.distinct_answers == len(set(device))
    assert parity.added == pytest.approx(10.0 / parity.float_rmse - 1)
    table = parity.table()
    for words in ("RMSE added", "% of the model's RMSE", "largest difference", f"of {parity.n}"):
        assert words in table
    assert " pct " not in replace(parity, unit="pct").table()


def test_answers_beyond_the_range_are_compared_as_the_device_gives_them(
    shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    parity = compare(shipped_bundle, soils, answers(shipped_bundle, soils), np.full(len(soils), 9.0))
    highest = shipped_bundle.calibrated_range[1]
    assert parity.largest_difference == pytest.approx(highest - answers(shipped_bundle, soils).min())


def test_a_refused_spectrum_is_an_error(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    bad = [soils[0], replace(soils[1], saturated=("VNIR",))]
    with pytest.raises(ParityError, match="refuses it: VNIR saturated"):
        compare(shipped_bundle, bad, np.ones(2), np.ones(2))


def parity(float_rmse: float = 100.0, exported_rmse: float = 100.0, difference: float = 1.0) -> Parity:
    return Parity(50, "ppm", float_rmse, exported_rmse, difference, 3 * difference, 40)


STUDENT = ("int8", "int16x8", "float16")


def test_rounding_passes_and_breakage_does_not() -> None:
    check_parity(parity(), "int8", STUDENT)
    check_parity(parity(exported_rmse=109.9, difference=49), "int8", STUDENT)
    check_parity(parity(exported_rmse=60), "int8", STUDENT)
    with pytest.raises(ParityError, match=r"int8 adds 12.0 % .*: export as int16x8 or float16, or train longer$"):
        check_parity(parity(exported_rmse=112), "int8", STUDENT)
    with pytest.raises(ParityError, match=r"differs from it by 60 % .* train longer"):
        check_parity(parity(difference=60), "float32", STUDENT)


@pytest.mark.parametrize(
    ("formats", "quantisation", "said"),
    [
        (("int8", "float16", "float32"), "int8", "export as float16 or float32, or train longer"),
        (STUDENT, "int16x8", "export as float16, or train longer"),
        (("int8",), "int8", "train longer (the"),
        (STUDENT, "float16", "train longer (the"),
    ],
)
def test_only_formats_that_the_network_has_are_advised(formats: tuple[str, ...], quantisation: str, said: str) -> None:
    with pytest.raises(ParityError) as caught:
        check_parity(parity(exported_rmse=112), quantisation, formats)
    assert f": {said}" in str(caught.value)


def test_a_model_without_error_still_shows_what_export_adds() -> None:
    check_parity(parity(0.0, 0.0, 0.0), "float32", STUDENT)
    with pytest.raises(ParityError):
        check_parity(parity(0.0, 1.0, 1.0), "int8", STUDENT)
