"""Names and commands: neither is taken for the other, and a name that the log has is asked about before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routine_bench import Bench
from scan_samples import GRID_NM
from stibium.converters.spectra.names import plain_name
from stibium.edge.log.corrections import correct
from stibium.edge.log.export import iter_records
from stibium.edge.log.read import Chosen, open_for_reading
from stibium.edge.measure.plan import Plan
from stibium.edge.measure.steps import LETTERS, WORDS, Command, parse_command
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator

Make = Callable[..., Bench]


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(shipped_bundle)


@pytest.fixture
def make(tmp_path: Path, estimator: Estimator, shipped_bundle: Bundle) -> Make:
    """Sessions over one log, one after the other."""
    golden = shipped_bundle.golden
    assert golden is not None
    soil = np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])

    def made(**options: Any) -> Bench:
        bench = Bench(tmp_path, estimator, **{"points": 1} | options)
        bench.instrument.in_front = soil
        return bench.begin()

    return made


def measured(bench: Bench) -> list[str]:
    return [name for (name,) in bench.rows("SELECT sample_id FROM readings ORDER BY id")]


def counted(bench: Bench, **chosen: Any) -> list[tuple[int | None, str, str]]:
    with open_for_reading(bench.log.path) as db:
        return [(one.reading, one.sample_id, one.soil) for one in iter_records(db, Chosen(**chosen))]


def texts(bench: Bench, *lines: str) -> str:
    return "\n".join(fact.text for fact in bench.type(*lines))


# --- commands and names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", [*"wdopviersnuq?", *"WDOPVIERSNUQ"])
def test_a_lone_letter_of_the_commands_is_one_in_any_case(letter: str) -> None:
    assert parse_command(letter) == Command(letter.lower())


@pytest.mark.parametrize("word", [*WORDS, *(word.upper() for word in WORDS), *(word.title() for word in WORDS)])
def test_a_word_of_the_commands_is_one_in_any_case(word: str) -> None:
    command = parse_command(f" {word} \n")
    assert command is not None
    assert (command.letter, command.argument) == (WORDS[word.lower()], "")


@pytest.mark.parametrize("letter", ["x", "A", "Z", "é", "!"])
def test_any_other_lone_letter_is_neither(letter: str) -> None:
    assert parse_command(letter) is None


@pytest.mark.parametrize("line", ["edit rename RS007", "Edit void 3", "NOTE wet 2", "n 12", "I X", "e 12 void"])
def test_what_comes_after_belongs_to_the_command(line: str) -> None:
    command = parse_command(line)
    assert command is not None
    assert command.argument == line.split(maxsplit=1)[1]
    assert command.letter in ("e", "n", "i")


@pytest.mark.parametrize("line", ["hilltop", "s 12", "quit 3", "Undo it", "ochre crust", "x" * 30 + "1" * 31])
def test_what_may_be_no_name_is_in_doubt(line: str) -> None:
    command = parse_command(line)
    assert command is not None
    assert (command.letter, command.argument) == ("i", line)
    assert command.doubt


@pytest.mark.parametrize("line", ["TP109", "RS 7", "7", "0012345", "KX-0107", "Adit 3 b", "i12", "q1"])
def test_a_name_is_a_name(line: str) -> None:
    assert parse_command(line) == Command("i", line)


@given(
    st.sampled_from([*WORDS, *filter(None, LETTERS)]), st.lists(st.booleans(), min_size=12), st.text("ab 1", max_size=9)
)
def test_a_command_is_never_a_name_that_needs_no_question(word: str, upper: list[bool], rest: str) -> None:
    typed = "".join(letter.upper() if up else letter for letter, up in zip(word, upper, strict=False))
    command = parse_command(f"{typed} {rest}")
    assert command is not None
    assert command.letter == (word if word in LETTERS else WORDS[word]) or command.doubt


def test_a_doubtful_name_is_asked_about(make: Make) -> None:
    bench = make()
    bench.type("")
    assert "no command, and no number in it" in texts(bench, "hilltop")
    assert (bench.step, bench.prompt().text) == ("name", "hilltop? Enter twice")
    bench.type("")
    assert bench.prompt().text == "Once more Enter: hilltop"
    bench.type("")
    assert (bench.step, bench.state.planned.sample_id) == ("point", "hilltop")
    bench.type("stopp", "RS7")  # another name instead
    assert bench.state.planned.sample_id == "RS7"
    assert "not named lamp" in texts(bench, "lamp", "s")
    assert bench.state.planned.sample_id == "RS7"
    bench.type("i beacon")
    bench.type("")
    assert measured(bench) == ["beacon"]


# --- names that the log has -------------------------------------------------------------------------------


def test_a_known_name_is_said_before_it_is_used(make: Make) -> None:
    bench = make()
    bench.type("", "RS001", "")
    said = texts(bench, "RS001")
    assert said.startswith("RS001 was measured at ")
    assert said.endswith("; r repeats it; Enter twice: a second one")
    assert bench.prompt().text == "RS001? Enter twice, or r"
    bench.type("")
    assert bench.prompt().text == "Once more Enter: a second RS001"
    bench.type("", "")
    assert measured(bench) == ["RS001", "RS001"]
    assert counted(bench) == [(1, "RS001", "1/RS001"), (2, "RS001", "1/RS001")]


def test_r_repeats_it_and_the_new_one_counts(make: Make) -> None:
    bench = make(operator="Ana")
    bench.type("", "RS001", "", "RS009", "", "RS001", "r", "")
    assert measured(bench) == ["RS001", "RS009", "RS001"]
    assert [number for number, _, _ in counted(bench)] == [2, 3]
    assert bench.rows("SELECT reading_id, kind, value, who FROM corrections") == [(1, "again", '{"counts": 3}', "Ana")]
    # It took nobody's turn.
    assert bench.state.planned.sample_id == "RS010"


def test_r_alone_repeats_the_last_sample_and_the_new_one_counts(make: Make) -> None:
    bench = make()
    bench.type("", "", "r")
    assert "counts in place of reading 1" in texts(bench, "")
    assert [number for number, _, _ in counted(bench)] == [2]
    bench.type("r")
    bench.type("")
    assert [number for number, _, _ in counted(bench)] == [3]


def test_one_that_is_refused_makes_none_void(make: Make) -> None:
    bench = make(points=2)
    bench.type("", "", "", "r", "")
    assert "reading 1 counts still" in texts(bench, "s")  # left after one of two points
    assert bench.rows("SELECT count(*) FROM readings") == [(2,)]
    assert {number for number, _, _ in counted(bench)} == {1, 2}
    assert bench.rows("SELECT count(*) FROM corrections") == [(0,)]


def test_names_of_earlier_sessions_are_known_and_kept_apart(make: Make) -> None:
    first = make(plan=Plan(prefix="RS"))
    first.type("", "", "", "")
    assert measured(first) == ["RS001", "RS002", "RS003"]
    first.session.close()
    second = make(plan=Plan(prefix="RS"))
    assert second.state.planned.sample_id == "RS004"
    second.type("")
    assert "was measured" in texts(second, "RS002")
    second.type("", "", "")
    assert counted(second)[-1] == (4, "RS002", "2/RS002")
    # What counts up from there passes over what the log has.
    assert second.state.planned.sample_id == "RS004"
    second.type("RS001", "r", "")
    assert counted(second) == [
        (2, "RS002", "1/RS002"),
        (3, "RS003", "1/RS003"),
        (4, "RS002", "2/RS002"),
        (5, "RS001", "1/RS001"),  # told that it is the same soil
    ]


@pytest.mark.parametrize("name", ["rs001", "RS 001", "Rs  001"])
def test_a_name_that_differs_in_case_or_spaces_only_is_asked_about(make: Make, name: str) -> None:
    bench = make()
    bench.type("", "RS001", "")
    assert f"Enter twice: {name} is another one" in texts(bench, name)
    bench.type("r", "")
    assert measured(bench) == ["RS001", "RS001"]
    bench.type(name, "", "", "")
    assert measured(bench)[-1] == name


def test_a_listed_name_is_asked_about_when_its_turn_comes(make: Make) -> None:
    make(plan=Plan(names=("A1",))).type("", "")
    bench = make(plan=Plan(names=("A1", "A2")))
    bench.type("")
    assert bench.step == "name"
    bench.type("r", "")
    assert bench.state.planned.sample_id == "A2"
    assert bench.step == "point"
    bench.type("")
    assert [name for _, name, _ in counted(bench)] == ["A1", "A2"]


def test_after_a_crash_the_counting_goes_on_as_before(make: Make) -> None:
    make(plan=Plan(prefix="RS")).type("", "", "")
    bench = make(plan=Plan(prefix="RS"))
    bench.type("", "")
    bench.resume()
    assert bench.state.planned.sample_id == "RS004"
    assert bench.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(2,)]


def test_a_name_that_was_given_up_is_free(make: Make) -> None:
    bench = make()
    bench.type("", "RS001", "", "e rename RS005")
    assert "RS001" not in texts(bench, "RS001")
    bench.type("", "e void", "RS001")
    assert bench.step == "point"


def test_nobody_is_asked_where_nobody_attends(make: Make) -> None:
    unattended = {"unattended": True, "by_label": False, "on_for_min": None, "plan": Plan(names=("X1",))}
    make(**unattended).type("", "")
    bench = make(**unattended)
    bench.instrument.number = 100
    bench.type("", "")
    assert measured(bench) == ["X1", "X1"]
    assert any("X1 was measured at" in fact.text for fact in bench.facts)


# --- corrections while measuring --------------------------------------------------------------------------


def test_what_was_measured_is_corrected_and_that_is_taken_back(make: Make) -> None:
    bench = make(operator="Ana")
    bench.type("", "RS001", "", "RS005", "")
    assert texts(bench, "e rename RS006") == "RS005 (reading 2): rename RS006"
    assert texts(bench, "edit RS001 void wrong pit") == "RS001 (reading 1): void wrong pit"
    assert counted(bench) == [(2, "RS006", "1/RS006")]
    assert "no longer" in texts(bench, "undo")
    assert counted(bench) == [(1, "RS001", "1/RS001"), (2, "RS006", "1/RS006")]
    bench.type("U")
    assert counted(bench)[1] == (2, "RS005", "1/RS005")
    assert "nothing was edited" in texts(bench, "u")
    assert {who for (who,) in bench.rows("SELECT who FROM corrections")} == {"Ana"}
    assert measured(bench) == ["RS001", "RS005"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("e", "write for example: e void wrong pit; e rename RS007"),
        ("e rename", "rename of what?"),
        ("e RS009 void", "the log has no reading 'RS009'"),
        ("e place 200,3", "latitude is -90 to 90"),
        ("edit paint it", "write for example"),
    ],
)
def test_a_correction_that_cannot_be_is_said_and_changes_nothing(make: Make, line: str, why: str) -> None:
    bench = make()
    assert "nothing was measured yet" in texts(bench, "e void")
    bench.type("", "")
    assert why in texts(bench, line)
    assert bench.rows("SELECT count(*) FROM corrections") == [(0,)]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_sample_that_was_renamed_is_meant_by_notes_and_by_r(make: Make, resumed: bool) -> None:
    bench = make()
    bench.type("", "RS001", "", "e rename TP7")
    bench = bench.resume() if resumed else bench
    assert "note for TP7: roots" in texts(bench, "n roots")
    assert bench.rows("SELECT reading_id FROM corrections WHERE kind = 'note'") == [(1,)]
    bench.type("r")
    assert bench.state.planned.sample_id == "TP7"
    bench.type("")
    assert [(number, name) for number, name, _ in counted(bench)] == [(2, "TP7")]


@pytest.mark.parametrize("edit", ["e RS001 rename RS009", "e RS001 note roots", "e RS001 void wrong pit"])
def test_what_is_said_of_an_earlier_sample_makes_it_not_the_last(make: Make, edit: str) -> None:
    bench = make()
    bench.type("", "RS001", "", "RS002", "", edit)
    assert "note for RS002: stones" in texts(bench, "n stones")
    assert bench.rows("SELECT reading_id FROM corrections ORDER BY id")[-1] == (2,)
    bench.type("r")
    assert (bench.state.planned.sample_id, bench.state.planned.replaces) == ("RS002", 2)


def test_a_name_that_was_taken_back_is_free_again(make: Make) -> None:
    bench = make(plan=Plan(prefix="RS"))
    bench.type("", "", "", "e rename RS3")
    assert bench.state.planned.sample_id == "RS004"
    bench.type("u")
    assert bench.state.planned.sample_id == "RS003"
    assert "note for RS002" in texts(bench, "n roots")


def test_a_name_that_it_has_is_no_new_one(make: Make) -> None:
    bench = make()
    bench.type("", "RS001", "")
    assert "it is RS001" in texts(bench, "e rename RS001")
    assert bench.rows("SELECT count(*) FROM corrections") == [(0,)]
    bench.type("e rename RS002", "e rename RS001")
    assert [name for _, name, _ in counted(bench)] == ["RS001"]


@pytest.mark.parametrize("line", ["Rename RS009", "void 12", "place 41.1,-8.3", "VOID RS001 wrong pit", "together 12"])
def test_an_edit_without_its_letter_is_asked_about(make: Make, line: str) -> None:
    bench = make()
    bench.type("", "RS001", "")
    assert "edits begin with e" in texts(bench, line)
    bench.type("s")
    assert bench.state.planned.sample_id != line


# --- the sample at hand -----------------------------------------------------------------------------------


def test_a_half_measured_sample_is_renamed_and_named_back(make: Make) -> None:
    bench = make(points=3)
    bench.type("TP10", "", "")
    assert "e rename TP11" in texts(bench, "TP11")
    assert "TP10 is TP11" in texts(bench, "e rename TP11")
    assert bench.prompt().text.startswith("TP11 2/3")
    assert "TP11 is TP12" in texts(bench, "e rename to TP12")
    assert "TP12 is TP11 again" in texts(bench, "u")
    resumed = bench.resume()
    assert resumed.prompt().text.startswith("TP11 2/3")
    resumed.sample()
    assert measured(resumed) == ["TP11"]


def test_edit_means_the_sample_at_hand_and_not_the_one_before(make: Make) -> None:
    bench = make(points=2)
    bench.type("TP1")
    bench.sample()
    bench.type("TP2", "")
    bench.type("e rename TP3")
    bench.sample()
    assert measured(bench) == ["TP1", "TP3"]
    bench.type("TP4", "")
    # Another one is named before what is said of it.
    bench.type("e TP1 rename TP7")
    assert bench.prompt().text.startswith("TP4 2/2")
    assert [name for _, name, _ in counted(bench)] == ["TP7", "TP3"]


def test_a_half_measured_sample_is_left_out_without_a_row(make: Make) -> None:
    bench = make(points=3)
    bench.type("TP1", "", "")
    assert "TP1 left out: wrong pit; its 1 point stays" in texts(bench, "e void wrong pit")
    bench.type("TP2")
    bench.sample()
    assert measured(bench) == ["TP2"]
    assert not bench.rows("SELECT * FROM refusals")
    assert bench.rows("SELECT count(*) FROM scans WHERE sample_id = 'TP1'") == [(1,)]
    assert list(bench.resume().state.done) == ["TP2"]


@pytest.mark.parametrize("half", [False, True])
def test_renaming_to_a_name_that_is_there_is_said(make: Make, half: bool) -> None:
    bench = make(points=2)
    bench.type("TP1")
    bench.sample()
    bench.type("TP2", "")
    if not half:
        bench.sample()
    assert "TP1 was measured at" in texts(bench, "e rename TP1")


@pytest.mark.parametrize("seconds", [[0] * 40, range(59, 0, -1)], ids=["stands", "is set back"])
def test_undo_takes_back_what_was_edited_last_whatever_the_clock_says(
    make: Make, monkeypatch: pytest.MonkeyPatch, seconds: Iterable[int]
) -> None:
    # The Pi's clock may stand still between two lines typed at once, and GPS or a time server may set it back.
    bench = make(points=2)
    bench.type("TP1")
    bench.sample()
    bench.type("TP2", "")
    turned = iter(seconds)
    for module in ("write", "corrections"):
        monkeypatch.setattr(f"stibium.edge.log.{module}.now", lambda: f"2026-05-04T10:00:{next(turned):02}.000Z")
    bench.type("e rename TP3", "e TP1 void wrong pit")
    assert "TP1 (reading 1): no longer void" in texts(bench, "u")
    assert bench.prompt().text.startswith("TP3 2/2")
    assert "TP3 is TP2 again" in texts(bench, "u")


def test_a_reading_that_was_left_out_is_still_known_by_its_name(make: Make) -> None:
    bench = make()
    bench.type("", "RS001", "", "e void wrong pit")
    assert "no longer void" in texts(bench, "e RS001 undo")
    assert counted(bench) == [(1, "RS001", "1/RS001")]


def test_what_is_renamed_elsewhere_keeps_its_name_for_itself(make: Make) -> None:
    bench = make(plan=Plan(prefix="RS"))
    bench.type("", "", "")
    # On the page, or by `log edit` in another terminal.
    correct(bench.log, 1, "rename", {"sample_id": "RS003"})
    bench.type("", "")
    assert [name for _, name, _ in counted(bench)] == ["RS003", "RS002", "RS004", "RS005"]
    correct(bench.log, 4, "rename", {"sample_id": "RS009"})
    bench.type("r", "", "")
    assert counted(bench)[-2:] == [(5, "RS009", "1/RS009"), (6, "RS006", "1/RS006")]


def test_names_that_are_done_are_not_made_plain_again_at_each_question(make: Make) -> None:
    bench = make(plan=Plan(prefix="RS"))
    bench.type("", "", "", "")
    bench.prompt()
    before = plain_name.cache_info().misses
    bench.prompt()
    assert plain_name.cache_info().misses == before
