"""Recipes as TOML: what is written is read back, what cannot be is one line, and every order that is allowed works."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.errors import PreprocessError, RecipeError, RecipeFileError
from stibium.edge.model.presets import PRESETS, Preprocessing
from stibium.edge.model.recipe import Recipe
from stibium.edge.model.steps import STEPS, Cut, Resample, Step
from stibium.edge.recipe_file import from_toml, parameters_of, read_preprocessing, to_toml

RESAMPLE = '[[steps]]\nstep = "resample"\nfirst_nm = 400\nlast_nm = 900\nstep_nm = 2\n'
GRID = Resample(400, 900, 2)


def stibium(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stibium.edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda one: one.name)
def test_what_is_written_is_read_back(preset: Preprocessing, tmp_path: Path) -> None:
    assert from_toml(to_toml(preset), "mine.toml") == preset
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(preset))
    assert read_preprocessing(path) == preset
    assert read_preprocessing(preset.name) == preset


def test_parameters_that_are_left_out_are_the_usual_ones_and_the_file_names_the_recipe() -> None:
    read = from_toml(RESAMPLE + '[[steps]]\nstep = "savitzky_golay"\n', "folder/smooth.toml")
    assert read == Preprocessing("smooth", (Recipe((GRID, STEPS["savitzky_golay"]()), "smooth"),), (False,))


def one_of(name: str) -> Step:
    return {"cut": Cut(420, 880)}.get(name) or STEPS[name]()  # type: ignore[call-arg]


CHOSEN = {name for name, kind in STEPS.items() if any(one.default is MISSING for one in fields(kind))}
"""Steps with parameters that have no usual value."""
USED = [name for name in STEPS if name not in CHOSEN - {"cut"} and name != "resample"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(USED), unique=True), st.integers(0, 9999))
def test_every_step_in_every_order_that_is_allowed_goes_through_a_file_and_works(names: list[str], seed: int) -> None:
    steps: list[Step] = [one_of(name) for name in names]
    at = 1 if names[:1] == ["splice_correction"] else 0
    steps.insert(at, Resample(400, 900, 1))
    try:
        recipe = Recipe(tuple(steps), "own")
    except RecipeError:
        return
    read = from_toml(to_toml(Preprocessing("own", (recipe,), (False,))), "own.toml")
    assert read.recipes == (recipe,)
    nm = np.arange(350.0, 951.0)
    soils = 0.3 + 0.1 * np.sin(nm / 90 + random.Random(seed).random()) + np.linspace(0, 0.2, nm.size)
    try:
        done = recipe.preprocess(np.stack([soils, soils**2]), nm)
    except PreprocessError:
        # Such as absorbance after smoothing that went below zero: refused, never a number that is none.
        return
    assert np.isfinite(done.features).all()
    assert done.features.shape[1:] == recipe.feature_shape


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no step; write [[steps]]"),
        ("[[steps]", "not TOML"),
        ('[[steps]]\nstep = "absorbance"\n', "there is no resample step"),
        (RESAMPLE + '[[steps]]\nstep = "absorbence"\n', "steps[2].step = 'absorbence'; one of splice_correction"),
        (RESAMPLE + "[[steps]]\nwindow_nm = 3\n", "steps[2].step is missing"),
        (RESAMPLE + '[[steps]]\nstep = "savitzky_golay"\nwindow = 3\n', "unknown key steps[2].window"),
        (
            RESAMPLE + '[[steps]]\nstep = "savitzky_golay"\nwindow_nm = -3\n',
            "steps[2]: savitzky_golay: window_nm is -3",
        ),
        (RESAMPLE + '[[steps]]\nstep = "savitzky_golay"\ndegree = 2.5\n', "steps[2].degree = 2.5; a whole number"),
        (RESAMPLE + '[[steps]]\nstep = "continuum_removal"\nhull = "over"\n', "steps[2].hull = 'over'; one of 'upper'"),
        (RESAMPLE + '[[steps]]\nstep = "cut"\n', "steps[2].first_nm is missing"),
        (RESAMPLE + '[[steps]]\nstep = "savitzky_golay"\nwindow_nm = 1\n', "no recipe: a window of 1 nm"),
        (RESAMPLE * 2, "resample comes 2 times"),
        (RESAMPLE + '[[steps]]\nstep = "derivative"\n[[steps]]\nstep = "absorbance"\n', "must come before derivative"),
        (RESAMPLE + '[[steps]]\nstep = "spectrogram"\n[[steps]]\nstep = "derivative"\n', "spectrogram must come last"),
        ("steps = 3", "steps = 3; a list is needed"),
        ("steps = [3]", "steps[1] = 3; a table is needed"),
        (RESAMPLE + "[[blocks]]\nsteps = []\n", "has steps and blocks"),
        ("[[blocks]]\nsteps = []\n", "block 1: there is no resample step"),
        ("name = 3\n" + RESAMPLE, "name = 3; a text is needed"),
        ('autoscale = "yes"\n' + RESAMPLE, "autoscale = 'yes'; true or false"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_file_and_the_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeFileError) as refused:
        read_preprocessing(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_blocks_stand_on_one_grid() -> None:
    other = RESAMPLE.replace("900", "800")
    blocks = "".join(f"[[blocks]]\n{part.replace('[[steps', '[[blocks.steps')}" for part in (RESAMPLE, other))
    with pytest.raises(RecipeFileError, match=r"^two\.toml: preprocessing blocks must share"):
        from_toml(blocks, "two.toml")


def test_the_command_lists_every_recipe_and_step_with_its_parameters() -> None:
    listed = stibium("recipes")
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in (*PRESETS, *STEPS))
    assert all(p.name in listed.stdout for kind in STEPS.values() for p in parameters_of(kind))
    as_csv = stibium("recipes", "--format", "csv").stdout.splitlines()
    assert len(as_csv) == 1 + len(PRESETS) + len(STEPS)


def test_what_the_command_prints_is_a_file_to_start_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(stibium("recipes", "blocks").stdout)
    assert read_preprocessing(path) == PRESETS["blocks"]
    assert stibium("recipes", path).stdout == path.read_text()
    refused = stibium("recipes", "blokcs")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "no recipe of that name; there are blocks, derivative, paper" in refused.stderr
