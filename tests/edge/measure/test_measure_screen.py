"""What is shown fits the screen, and what answers for nobody takes no white of soil."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.cli.measure_screen import Screen, Script, Yes, result_lines, wrapped
from stibium.edge.log.write import Result
from stibium.edge.measure.steps import HANDS, Fact, Prompt, Step
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal


@given(st.text(min_size=1, max_size=300), st.integers(20, 100))
def test_lines_fit_and_nothing_is_left_out(text: str, columns: int) -> None:
    lines = wrapped(text, columns)
    assert lines
    assert all(len(line) <= columns for line in lines)
    # What would move a terminal's cursor is left out, and nothing else.
    assert "".join("".join(lines).split()) == "".join(
        letter for letter in text if letter.isprintable() and not letter.isspace()
    )
    assert "".join(lines).isprintable()


@given(st.text(min_size=1, max_size=120).filter(str.strip), st.text(min_size=1, max_size=60).filter(str.strip))
def test_a_refusal_fits_forty_columns(shipped_bundle: Bundle, reason: str, name: str) -> None:
    lines = list(result_lines(Result(None, Refusal("port", reason, name)), shipped_bundle, 40))
    assert all(len(line) <= 40 for line in lines)
    assert "REFUSED" in "".join(lines).replace(" ", "")


def test_an_estimate_never_stands_without_what_it_needs(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    (outcome,) = Estimator(shipped_bundle).estimate(soils[:1])
    assert isinstance(outcome, Estimate)
    for shown in (outcome, outcome._replace(verdict="outside", reason="water", bound=">", value=99.0)):
        lines = list(result_lines(Result(soils[0], shown), shipped_bundle, 40))
        text = " ".join(" ".join(lines).split())
        assert max(map(len, lines)) <= 40
        assert "90 %:" in text
        assert "calibration" in text
        assert "simulated model simulated spectrum" in text
    assert "(> 99.0)" in text
    assert "outside calibration: water" in text


def test_nobody_takes_a_white_once_samples_are_measured(shipped_bundle: Bundle) -> None:
    begun = False
    yes = Yes(lambda: begun, Screen(None, shipped_bundle))
    assert {yes.read(Prompt(step, "x")) for step in HANDS} == {""}
    begun = True
    assert {yes.read(Prompt(step, "x")) for step in HANDS} == {"s"}
    assert yes.read(Prompt(Step.POINT, "x")) == ""
    assert yes.read(Prompt(Step.DISK, "x")) is None


@pytest.fixture
def script(shipped_bundle: Bundle) -> Callable[..., Script]:
    return lambda *lines: Script([f"{line}\n" for line in lines], Screen(None, shipped_bundle))


def test_a_script_is_read_line_by_line(script: Callable[..., Script]) -> None:
    lines = script("# a day", "", "pause 0", "RS1", "pause 0.01", "n wet ")
    point = Prompt(Step.POINT, "x")
    said = []
    for _ in range(4):
        lines.pause()
        said.append(lines.read(point))
    assert said == ["", "RS1", "n wet ", None]


def test_a_script_waits_for_the_warm_up_or_cuts_it_short(script: Callable[..., Script]) -> None:
    warming = Prompt(Step.WARM_UP, "x", 0.01)
    lines = script("RS1", "s")
    assert lines.read(warming) == ""
    assert lines.read(Prompt(Step.POINT, "x")) == "RS1"
    assert lines.read(warming) == "s"
    assert lines.read(warming) == ""


def test_a_pause_that_is_none_is_said(script: Callable[..., Script]) -> None:
    for line in ("pause soon", "pause -1", "pause 1e9"):
        with pytest.raises(click.UsageError, match="write pause SECONDS"):
            script(line).pause()


def test_the_bell_rings_once_for_what_is_measured_and_twice_for_what_is_to_be_read(
    shipped_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    def rings(screen: Screen, *facts: Fact, measured: bool = True) -> int:
        if measured:
            with screen.busy("RS001 1/2"):
                pass
        for fact in facts:
            screen.tell(fact)
        screen.ring()
        return capsys.readouterr().err.count("\a")

    screen = Screen(None, shipped_bundle, bell=True)
    assert rings(screen, Fact("note", "RS001 1/2 taken")) == 1
    assert rings(screen, Fact("warning", "RS001 1/2: noise")) == 2
    assert rings(screen, Fact("failed control", "blank-1 FAILED")) == 2
    assert rings(screen, Fact("warning", "no note"), measured=False) == 0
    # What was wrong before is not rung for again.
    assert rings(screen, Fact("note", "RS001 2/2 taken")) == 1
    assert rings(Screen(None, shipped_bundle), Fact("warning", "RS001 1/2: noise")) == 0
