"""Values that do not belong together: what the device answers, and what it says of bundles that cannot tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ore_tables import table_of
from stibium.edge.cli import stibium
from stibium.edge.ore import ground
from stibium.edge.ore.answer import answer_blocks
from stibium.edge.ore.bundle import OreBundle, pack_ore_bundle, read_ore_bundle, write_ore_bundle
from stibium.edge.ore.face import Known, answer_at_face, from_probe, unknown
from stibium.edge.ore.ground import answer_table
from stibium.edge.ore.probe_estimates import ProbeEstimate
from stibium.edge.ore.table import iter_blocks
from stibium.train.ore.domain import fit_ore_domain, shuffle_columns


def blocks_with_levels(bundle: OreBundle, rows: int, seed: int) -> np.ndarray:
    """Blocks of the bundle's variables, all of which follow one hidden level closely."""
    r = np.random.default_rng(seed)
    level = r.normal(size=rows)
    columns = [
        np.exp(3 + level + 0.4 * r.normal(size=rows))
        if v.kind == "assay"
        else np.clip(np.round(2 + 0.8 * level + 0.3 * r.normal(size=rows)), 1, 3)
        for v in bundle.columns.variables
    ]
    return np.stack(columns, axis=1)


@pytest.fixture(scope="module")
def together(forest_c4: OreBundle, tmp_path_factory: pytest.TempPathFactory) -> OreBundle:
    values = blocks_with_levels(forest_c4, 900, 1)
    domain = fit_ore_domain(forest_c4.columns.variables, values, np.repeat(np.arange(30), 30), 0, fast=True)
    path = tmp_path_factory.mktemp("ore") / "together.ore"
    training = replace(forest_c4.training, lowest=np.nanmin(values, axis=0), highest=np.nanmax(values, axis=0))
    write_ore_bundle(path, replace(forest_c4, domain=domain, training=training))
    return read_ore_bundle(path)


def answers_to(bundle: OreBundle, values: np.ndarray, folder: Path) -> list:
    table = table_of(bundle, values, folder)
    return [a for blocks in iter_blocks(table, bundle.columns) for a in answer_blocks(bundle, blocks)]


def test_rock_that_does_not_exist_cannot_be_told_and_a_pair_is_named(together: OreBundle, tmp_path: Path) -> None:
    values = blocks_with_levels(together, 500, 2)
    own = answers_to(together, values, tmp_path)
    shuffled = answers_to(together, shuffle_columns(values, np.random.default_rng(0)), tmp_path)
    assert np.mean([a.decision == "cannot tell" for a in own]) <= 0.06
    unlike = [a for a in shuffled if a.decision == "cannot tell"]
    assert len(unlike) >= 0.8 * len(shuffled)
    paired = [a.reason for a in unlike if "do not belong together" in a.reason]
    assert len(paired) > 0.8 * len(unlike)
    names = together.columns.names
    for reason in paired:
        first, second = reason.split("most of all ")[1].split(" and ")
        assert {first.split()[0], second.split()[0]} <= set(names)
        assert first != second


def test_a_bundle_without_a_domain_answers_and_says_so(
    forest_c4: OreBundle, together: OreBundle, tmp_path: Path
) -> None:
    bundle = replace(together, domain=None)
    (tmp_path / "old.ore").write_bytes(pack_ore_bundle(bundle))
    values = shuffle_columns(blocks_with_levels(together, 100, 3), np.random.default_rng(1))
    values = np.clip(values, together.training.lowest, together.training.highest)
    assert {a.decision for a in answers_to(bundle, values, tmp_path)} == {"ore", "gangue"}
    for path, said in ((tmp_path / "old.ore", True), (Path(together.path), False)):
        shown = CliRunner().invoke(
            stibium, ["ore", "predict", str(tmp_path / "blocks.csv"), "--model", str(path)], catch_exceptions=False
        )
        assert ("no joint domain" in shown.stdout) is said
        info = CliRunner().invoke(stibium, ["info", str(path)], catch_exceptions=False)
        assert ("values that do not belong together go unnoticed" in info.stdout) is said


def test_the_face_refuses_what_no_value_of_a_range_would_make_belong(together: OreBundle) -> None:
    variables = together.columns.variables
    high = np.array([np.exp(5.0) if v.kind == "assay" else 3.0 for v in variables])
    known = [Known(v, x, x, x) for v, x in zip(variables, high.tolist(), strict=True)]
    assert answer_at_face(together, "F", known).decision != "cannot tell"
    low = float(np.exp(1.2))
    odd = [replace(k, value=low, low=low, high=low) if k.variable.name == "Pb" else k for k in known]
    answer = answer_at_face(together, "F", odd)
    assert answer.decision == "cannot tell"
    assert "do not belong together" in answer.reason
    assert "Pb 3.32 ppm" in answer.reason
    # What a probe does not detect is written so, and its limit in no more figures than it has.
    probe = ProbeEstimate(1, "Pb", "ppm", 1.123456, "< LOD", 0.0, 2.246912, 0.9, "m", True, True, False)
    pb = next(k.variable for k in odd if k.variable.name == "Pb")
    undetected = [from_probe(pb, probe, 1e3) if k.variable.name == "Pb" else k for k in odd]
    assert "Pb not detected (0 - 2.25 ppm)" in answer_at_face(together, "F", undetected).reason
    # The same number in the middle of a range whose upper end belongs: only the range of P(ore) decides.
    wide = [
        replace(k, value=low, low=low, high=float(high[i])) if k.variable.name == "Pb" else k for i, k in enumerate(odd)
    ]
    assert "do not belong" not in answer_at_face(together, "F", wide).reason
    missing = [unknown(k.variable) if k.variable.name == "Pb" else k for k in odd]
    assert "do not belong" not in answer_at_face(together, "F", missing).reason


def test_a_table_is_answered_as_one_block_is(together: OreBundle, tmp_path: Path) -> None:
    values = shuffle_columns(blocks_with_levels(together, 40, 4), np.random.default_rng(2))
    at_once = answers_to(together, values, tmp_path)
    assert [answers_to(together, row[None], tmp_path)[0].reason for row in values] == [a.reason for a in at_once]


def test_the_interval_of_the_probability_is_in_every_format(tmp_path: Path) -> None:
    from stibium.edge.ore.bundle import default_ore_bundle_path
    from stibium.edge.ore.model import Band, Calibration

    shipped = read_ore_bundle(default_ore_bundle_path())
    at = np.linspace(0, 1, 5)
    curve = Calibration("isotonic", "probability", at, at, Band(at, at * 0.9, np.minimum(at * 1.1, 1.0)))
    bundle = replace(shipped, model=replace(shipped.model, calibration=curve))
    path = tmp_path / "banded.ore"
    path.write_bytes(pack_ore_bundle(bundle))
    table = table_of(bundle, bundle.golden.values[:3], tmp_path)
    command = ["ore", "predict", str(table), "--model", str(path), "--format"]
    lines = CliRunner().invoke(stibium, [*command, "jsonl"], catch_exceptions=False).stdout.splitlines()
    first = json.loads(lines[0])
    assert first["interval_low"] == pytest.approx(0.9 * first["probability"], abs=1e-5)
    assert first["interval_high"] == pytest.approx(min(1.1 * first["probability"], 1), abs=1e-5)
    shown = CliRunner().invoke(stibium, [*command, "table"], catch_exceptions=False).stdout
    assert f"{first['probability']:.3f} ({first['interval_low']:.3f} - {first['interval_high']:.3f})" in shown
    header = CliRunner().invoke(stibium, [*command, "csv"], catch_exceptions=False).stdout.splitlines()[0].split(",")
    assert {"interval_low", "interval_high"} <= set(header)


def test_a_hole_most_of_whose_blocks_do_not_belong_is_other_ground(together: OreBundle, tmp_path: Path) -> None:
    """Of another deposit's hole single blocks look like the model's own; they are not told either."""
    own = blocks_with_levels(together, 40, 2)
    shuffled = shuffle_columns(blocks_with_levels(together, 500, 3), np.random.default_rng(0))
    # Two blocks in three of hole B do not exist; the others, by themselves, do.
    mixed = np.concatenate([own[:14], shuffled[:26]])
    table = tmp_path / "holes.csv"
    rows = table_of(together, np.concatenate([own, mixed]), tmp_path).read_text().splitlines()
    holes = ["hole", *["A"] * 40, *(["B", "b"] * 20)]
    table.write_text("".join(f"{row},{hole}\n" for row, hole in zip(rows, holes, strict=True)))
    named = CliRunner().invoke(stibium, ["ore", "predict", str(table), "--model", together.path, "--format", "jsonl"])
    answers = [json.loads(line) for line in named.stdout.splitlines()]
    of_a, of_b = answers[:40], answers[40:]
    assert sum(a["decision"] == "cannot tell" for a in of_a) <= 4
    assert {a["decision"] for a in of_b} == {"cannot tell"}
    whole = [a["reason"] for a in of_b if "other ground" in a["reason"]]
    assert whole
    assert all("of 40 blocks of hole" in reason for reason in whole)


def test_a_table_without_holes_is_judged_as_one_and_few_blocks_not_at_all(together: OreBundle, tmp_path: Path) -> None:
    own = blocks_with_levels(together, 8, 2)
    shuffled = shuffle_columns(blocks_with_levels(together, 500, 3), np.random.default_rng(0))

    def found(values: np.ndarray) -> set[str]:
        return {a.reason for a in table_answers(together, values, tmp_path) if "other ground" in a.reason}

    (reason,) = found(np.concatenate([own, shuffled[:30]]))
    assert "of 38 blocks of the table" in reason
    assert not found(blocks_with_levels(together, 300, 4))
    assert not found(shuffled[:9])
    bare = table_answers(replace(together, domain=None), shuffled, tmp_path)
    assert not any("together" in a.reason for a in bare)


def table_answers(bundle: OreBundle, values: np.ndarray, folder: Path, holes: int = 0) -> list:
    """The answers to a table; with `holes` its blocks are those of so many, one after the other in turn."""
    columns = replace(bundle.columns, group="hole") if holes else bundle.columns
    table = table_of(bundle, values, folder)
    if holes:
        rows = table.read_text().splitlines()
        named = ["hole", *(f"H{i % holes}" for i in range(len(values)))]
        table.write_text("".join(f"{row},{hole}\n" for row, hole in zip(rows, named, strict=True)))
    return [a for _, answers in answer_table(bundle, iter_blocks(table, columns, chunk=64)) for a in answers]


def test_holes_whose_blocks_are_all_richer_are_other_ground(together: OreBundle, tmp_path: Path) -> None:
    """Every block by itself could be one of the model's own rich ones."""
    values = blocks_with_levels(together, 300, 8)
    assay = np.array([v.kind == "assay" for v in together.columns.variables])
    rich = np.argsort(-np.log(values[:, assay]).sum(axis=1))[:60]
    few = table_answers(together, values[rich[:9]], tmp_path)
    assert sum(a.decision == "cannot tell" for a in few) <= 2
    answers = table_answers(together, values[rich], tmp_path, holes=3)
    assert {a.decision for a in answers} == {"cannot tell"}
    unlike = [a.reason for a in answers if "other ground" in a.reason]
    assert len(unlike) > 40
    assert "the 20 blocks of hole H0 are on average unlike those of the training's holes, most in " in " ".join(unlike)


def test_holes_that_are_no_strangers_alone_are_other_ground_together(together: OreBundle, tmp_path: Path) -> None:
    assert together.domain is not None
    assert together.domain.ground is not None
    lenient = replace(together.domain, ground=replace(together.domain.ground, limit=np.inf))
    bundle = replace(together, domain=lenient)
    values = blocks_with_levels(together, 300, 8)
    assay = np.array([v.kind == "assay" for v in together.columns.variables])
    rich = values[np.argsort(-np.log(values[:, assay]).sum(axis=1))[:60]]
    few = table_answers(bundle, rich, tmp_path, holes=4)
    assert not any("other ground" in a.reason for a in few), "of four holes nothing is said together"
    answers = table_answers(bundle, rich, tmp_path, holes=6)
    assert {a.decision for a in answers} == {"cannot tell"}
    assert any("the table's 6 holes are together unlike those of the training's holes" in a.reason for a in answers)
    assert not any("other ground" in a.reason for a in table_answers(bundle, values, tmp_path, holes=6))


def test_a_table_is_read_once_and_need_not_fit_into_memory(
    together: OreBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe cannot be read twice; what was read lies in a file until the last block is known."""
    values = blocks_with_levels(together, 300, 4)
    expected = table_answers(together, values, tmp_path, holes=6)
    monkeypatch.setattr(ground, "IN_MEMORY", 100)
    assert table_answers(together, values, tmp_path, holes=6) == expected
    times = []
    pieces = iter_blocks(table_of(together, values, tmp_path), together.columns, chunk=64)
    once = (times.append(piece) or piece for piece in pieces)
    assert sum(len(answers) for _, answers in answer_table(together, once)) == 300
    assert len(times) == 5
