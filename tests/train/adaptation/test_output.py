"""Nothing, bias, or slope and bias: chosen by samples left out, with errors that do not flatter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.train.adaptation.follow import t_quantile
from stibium.train.adaptation.output import fit_output, rms


def drawn(n: int, slope: float, bias: float, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    outputs = rng.uniform(1.0, 5.0, n)
    return outputs, bias + slope * outputs + noise * rng.normal(size=n)


@pytest.mark.parametrize(
    ("slope", "bias", "kind"), [(1.0, 0.0, "nothing"), (1.0, 3.0, "bias"), (1.8, -1.0, "slope and bias")]
)
def test_what_the_samples_need_is_chosen(slope: float, bias: float, kind: str) -> None:
    fitted = fit_output(*drawn(20, slope, bias, 0.1, 1))
    assert fitted.kind == kind
    assert fitted.slope == pytest.approx(slope, abs=0.05)
    assert fitted.intercept == pytest.approx(bias, abs=0.2)
    assert [t.what for t in fitted.tried] == ["nothing", "bias", "slope and bias"]


def test_three_samples_never_give_a_slope() -> None:
    fitted = fit_output(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert fitted.kind == "bias"


def test_a_model_that_runs_backwards_is_not_turned_round() -> None:
    outputs, measured = drawn(12, -1.0, 10.0, 0.05, 2)
    assert fit_output(outputs, measured).slope == 1.0


def test_left_out_errors_are_of_the_choice_too() -> None:
    """The same choice, written out again."""
    outputs, measured = drawn(6, 1.3, 0.4, 0.5, 3)
    fitted = fit_output(outputs, measured)
    for i in range(6):
        kept = [j for j in range(6) if j != i]
        without = fit_output(outputs[kept], measured[kept])
        assert fitted.errors[i] == pytest.approx(measured[i] - without.intercept - without.slope * outputs[i])


def test_intervals_of_five_samples_hold() -> None:
    """Coverage over many draws of five; a normal quantile of the same errors holds for 7 % less."""
    inside = 0
    for seed in range(300):
        outputs, measured = drawn(6, 1.0, 2.0, 0.3, seed)
        fitted = fit_output(outputs[:5], measured[:5])
        half = t_quantile(0.95, 5 - fitted.fitted) * fitted.rmse
        inside += abs(measured[5] - fitted.intercept - fitted.slope * outputs[5]) <= half
    assert 0.86 <= inside / 300 <= 0.96


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=8), st.floats(-50, 50))
def test_a_pure_bias_is_taken_off(values: list[float], bias: float) -> None:
    outputs = np.array(values)
    fitted = fit_output(outputs, outputs + bias)
    corrected = fitted.intercept + fitted.slope * outputs
    assert rms(corrected - outputs - bias) <= 0.01 * abs(bias) + 1e-6 * (1 + np.abs(outputs).max())
