from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Refusal
from stibium.edge.model.presets import RECIPES
from stibium.edge.model.stability import StabilityLimits
from stibium.train.assays.table import Assays, parse_assay_tables
from stibium.train.errors import TrainingDataError
from stibium.train.evaluate import answer_all
from stibium.train.prepared import prepare
from stibium.train.samples import Samples, held_as_on_device, join, load, replicate_rows

RECIPE = RECIPES["paper"]


def soil(sample: str, point: int = 1, seed: int = 0, step_nm: float = 1.0, **kwargs: object) -> Spectrum:
    rng = np.random.default_rng([seed, point, *sample.encode()])
    nm = np.arange(350.0, 2500.0 + step_nm / 2, step_nm)
    values = 0.3 + 0.1 * np.sin(nm / 300 + rng.random()) + 0.05 * rng.random()
    return replace(
        Spectrum(nm, values, "reflectance", sample, source=f"{sample}_{point}", measurement=f"{point:05d}"), **kwargs
    )


def assays(text: str) -> Assays:
    return parse_assay_tables((text.encode(), "assays.csv")).assays("Sb")


def joined(items: list[Spectrum | Refusal], text: str, exclude_above: float | None = None) -> Samples:
    return join(items, assays("sample,Sb_ppm\n" + text), RECIPE.range_nm, exclude_above)


def test_join_says_what_became_of_everything() -> None:
    items: list[Spectrum | Refusal] = [
        soil("B", 2),
        Refusal("x.asd", "damaged"),
        soil("A", 1),
        soil("C", 1),
        soil("STRAY"),
        soil("D"),
        soil("E"),
        soil("B", 1),
        soil("A", 2, saturated=("VNIR",)),
    ]
    result = joined(items, "A,1\nB,20\nC,<0.02\nD,5000\nE,\nF,7\n", exclude_above=1000)
    assert [(s.sample_id, s.measurement) for s in result.spectra] == [("A", "00001"), ("B", "00002"), ("B", "00001")]
    assert result.target == {"A": 1.0, "B": 20.0}
    assert [r.source for r in result.refused] == ["x.asd", "A_2"]
    assert result.without_assay == ("STRAY", "E")
    assert result.without_spectra == ("F",)
    assert result.censored == ("C",)
    assert result.excluded == ("D",)
    notes = "\n".join(result.notes())
    for said in ("x.asd: damaged", "VNIR saturated", "STRAY, E", "F", "censored", "left out: Sb above 1000 ppm"):
        assert said in notes


def noisy(spectrum: Spectrum, size: float = 0.02) -> Spectrum:
    return replace(spectrum, values=spectrum.values + size * (-1.0) ** np.arange(spectrum.values.size))


def test_what_a_device_would_refuse_is_said_or_left_out() -> None:
    items = [soil("A"), noisy(soil("A", 2), 0.003), noisy(soil("B")), soil("C"), noisy(soil("D")), noisy(soil("E"))]
    result = joined(list(items), "A,1\nB,20\nC,30\nD,<2\nE,<2\n")
    said = held_as_on_device(result, "average", RECIPE.range_nm, leave_out=False)
    assert (said.spectra, said.sha256) == (result.spectra, result.sha256)
    (line,) = [line for line in said.notes() if "a device would refuse" in line]
    assert line.startswith("3 spectra that a device would refuse are used: B, D, E (the first: noise 0.0")
    assert "--leave-out-refused" in line
    # A mean of two has less noise than the worse of them, on a device too.
    left = held_as_on_device(result, "average", RECIPE.range_nm, leave_out=True)
    assert [one.sample_id for one in left.spectra] == ["A", "A", "C"]
    assert [one.sample_id for one in held_as_on_device(result, "each", RECIPE.range_nm, True).spectra] == ["A", "C"]
    assert [one.source for one in left.refused] == ["B_1", "D_1", "E_1"]
    assert left.target == {"A": 1.0, "C": 30.0}
    assert (left.bounded, left.bounds, left.censored, left.without_spectra) == ((), {}, (), ("B", "D", "E"))
    assert left.sha256 == joined([soil("A"), items[1], soil("C")], "A,1\nC,30\n").sha256
    assert not [line for line in left.notes() if "a device would refuse" in line]
    with pytest.raises(TrainingDataError, match="a device would refuse all 1 spectra, the first: B_1: noise"):
        held_as_on_device(joined([noisy(soil("B"))], "B,1\n"), "average", None, leave_out=True)


def test_what_is_left_out_narrows_nothing() -> None:
    table = assays("sample,Sb_ppm\nA,1\nB,2\nC,3\n")
    result = join([soil("A"), soil("B"), noisy(cut(soil("C"), 1049))], table, None)
    assert "only 400-1049 nm are used" in result.narrowing
    assert held_as_on_device(result, "average", None, leave_out=False).narrowing == result.narrowing
    assert held_as_on_device(result, "average", None, leave_out=True).narrowing == ""


def test_what_training_leaves_out_is_what_evaluate_refuses(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    sizes = np.linspace(0.0, 0.012, 8)
    items = [noisy(replace(soils[n % 5], sample_id=f"S{n}", source=f"S{n}"), size) for n, size in enumerate(sizes)]
    text = "".join(f"{one.sample_id},{5 + number}\n" for number, one in enumerate(items))
    samples = replace(joined(list(items), text), unit=shipped_bundle.unit)
    left = held_as_on_device(samples, "average", shipped_bundle.recipe.range_nm, leave_out=True)
    answered = answer_all(replace(shipped_bundle, stability=StabilityLimits()), samples)
    assert [one for _, one in answered if isinstance(one, Refusal)] == list(left.refused)
    assert 0 < len(left.refused) < len(items)


def test_notes_name_only_the_first_few() -> None:
    result = joined([soil("A"), *(soil(f"S{i:03d}") for i in range(30))], "A,1\n")
    assert result.notes() == ["30 samples with spectra have no assay: S000, S001, S002, S003, S004, ..."]
    (line,) = result.notes(None)
    assert line.endswith(", S028, S029"), "a report has room for all of them"
    assert joined([soil("A"), soil("B")], "A,1\n").notes() == ["1 sample with spectra has no assay: B"]


def test_a_band_that_no_model_uses_need_not_be_sound() -> None:
    dark = soil("A")
    dark.values[10:20] = 0.0  # 360-369 nm, where a contact probe's lamp gives next to nothing
    dead = soil("B")
    dead.values[650] = 0.0  # 1000 nm
    table = assays("sample,Sb_ppm\nA,1\nB,2\n")
    result = join([dark, dead], table, None)
    assert list(result.target) == ["A"]
    assert "at 1000 nm is not above zero" in result.refused[0].reason
    short = replace(soil("C"), wavelengths_nm=np.arange(200.0, 300.0), values=np.linspace(0.0, 0.3, 100))
    assert (
        "at 200 nm is not above zero"
        in join([soil("A"), short], replace(table, values=table.values | {"C": table.values["A"]}), None)
        .refused[0]
        .reason
    )


def cut(spectrum: Spectrum, last_nm: float) -> Spectrum:
    used = spectrum.wavelengths_nm <= last_nm
    return replace(spectrum, wavelengths_nm=spectrum.wavelengths_nm[used], values=spectrum.values[used])


def test_a_short_spectrum_that_narrows_all_others_is_said() -> None:
    table = assays("sample,Sb_ppm\n" + "".join(f"{name},1\n" for name in "ABCD"))
    whole = [soil(name) for name in "ABC"]
    (line,) = join([*whole, cut(soil("D"), 1049)], table, None).notes()
    assert line == (
        "1 spectrum covers less than 400-2450 nm, the first: D_1 (350-1049 nm); only 400-1049 nm are used of all: "
        "leave out what is shorter to use the rest"
    )
    assert join([*whole, cut(soil("D"), 2460)], table, None).notes() == [], "nothing that a model uses is lost"
    assert join([*whole, cut(soil("D"), 2460)], table, RECIPE.range_nm).notes() == []


def test_a_row_that_the_recipe_does_not_reach_is_refused_alone() -> None:
    prepared = prepare([soil("A"), cut(soil("B"), 1049), soil("C")], RECIPE)
    assert prepared.samples == ["A", "C"]
    assert [r.reason for r in prepared.refused] == ["covers 350-1049 nm; the model needs 400-2400 nm"]
    with pytest.raises(TrainingDataError, match="can take none of the spectra, the first: B_1: covers 350-1049 nm"):
        prepare([cut(soil("B"), 1049)], RECIPE)


@pytest.mark.parametrize(
    ("items", "text", "says"),
    [
        ([], "A,1\n", "no files of spectra in what --spectra names"),
        ([soil("X")], "A,1\nB,2\n", r"none of its samples \(A, B\) is among those with spectra \(X\)"),
        ([soil("A")], "A,>4000\n", "every value of Sb is censored"),
        ([soil("A")], "A,>4000\nB,1\n", "every sample with spectra is censored"),
        ([soil("A")], "A,\n", "no sample has a value for Sb"),
        ([soil("A")], "A,5000\n", "above 1000 ppm"),
        ([Refusal("x.asd", "damaged")], "A,1\n", "1 refused, the first: x.asd: damaged"),
        ([soil("A", quantity="raw_dn")], "A,1\n", "1 refused, the first: A_1: holds raw dn"),
    ],
)
def test_nothing_left_is_one_line_that_says_why(items: list[Spectrum], text: str, says: str) -> None:
    with pytest.raises(TrainingDataError, match=says):
        joined(list(items), text, exclude_above=1000)


def test_hash_is_of_spectra_and_values() -> None:
    one = joined([soil("A"), soil("B")], "A,1\nB,2\n")
    assert joined([soil("B"), soil("A")], "A,1\nB,2\nC,3\n").sha256 == one.sha256
    assert joined([soil("A"), soil("B")], "A,1\nB,3\n").sha256 != one.sha256
    assert joined([soil("A"), soil("B", seed=1)], "A,1\nB,2\n").sha256 != one.sha256


def test_replicates_are_averaged_wherever_they_lie() -> None:
    items = [soil("A", 1), soil("B", 1), soil("A", 2), soil("A", 3)]
    result = joined(list(items), "B,1\nA,2\n")
    rows = replicate_rows(result.spectra, "average")
    assert [r.sample_id for r in rows] == ["B", "A"]
    assert rows[1].values == pytest.approx(np.mean([items[i].values for i in (0, 2, 3)], axis=0))
    assert len(replicate_rows(result.spectra, "each")) == 4


def test_grids_are_never_averaged_together_and_all_are_preprocessed() -> None:
    items = [soil("A", 1), soil("A", 2, step_nm=2.0), soil("A", 3), soil("A", 4, splices_nm=(1000.0, 1800.0))]
    rows = replicate_rows(joined(list(items), "A,2\n").spectra, "average")
    assert len(rows) == 3
    prepared = prepare(rows, RECIPE)
    assert prepared.features.shape == (3, 14, 129, 1)
    for row, features, spectra in zip(rows, prepared.features, prepared.spectra, strict=True):
        alone = RECIPE.preprocess(row.values, row.wavelengths_nm, row.splices_nm)
        assert np.array_equal(features, alone.features)
        assert np.array_equal(spectra, alone.spectra)


def test_a_spectrum_the_recipe_cannot_take_does_not_stop_the_rest() -> None:
    good = [soil(name, splices_nm=(1000.0,)) for name in "AC"]
    # Above zero as measured; shifted down to meet SWIR1 at the join, its blue end is not.
    nm = good[0].wavelengths_nm
    wild = replace(soil("B", splices_nm=(1000.0,)), values=np.where(nm <= 1000, 0.4 + nm / 1000, 0.02))
    prepared = prepare([good[0], wild, good[1]], RECIPE)
    assert [row.sample_id for row in prepared.rows] == ["A", "C"]
    assert len(prepared.features) == len(prepared.spectra) == 2
    assert [r.sample_id for r in prepared.refused] == ["B"]
    with pytest.raises(TrainingDataError, match="can take none of the spectra"):
        prepare([wild], RECIPE)


def test_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "soils"
    folder.mkdir()
    for sample in "AB":
        for point in (1, 2):
            write_asd(folder / f"{sample}_{point:05d}.asd", soil(sample, point))
    write_table(folder / "more.csv.gz", [soil("C", 1), soil("C", 2)])
    (folder / "broken.asd").write_bytes(b"as7" + bytes(100))
    table = folder / "assays.csv"
    table.write_text("sample,Sb_ppm\nC,3\nA,1\nB,2\n")
    from stibium.train.assays.table import read_assay_table

    result = load([str(folder)], read_assay_table(table).assays("Sb"), RECIPE.range_nm)
    assert [s.sample_id for s in result.spectra] == ["C", "C", "A", "A", "B", "B"]
    assert list(result.target) == ["C", "A", "B"]
    # The assays' own file lies in the folder and is no spectrum to complain about.
    assert [Path(r.source).name for r in result.refused] == ["broken.asd"]


@pytest.mark.parametrize(
    ("spectrum", "assay"), [("rs052", "RS052"), ("RS 52", "RS52"), ("RS-052", "RS52"), ("7", "007")]
)
def test_names_that_people_write_differently_are_asked_about(spectrum: str, assay: str) -> None:
    with pytest.raises(TrainingDataError, match=f"did you mean '{assay}' for '{spectrum}'"):
        joined([soil("RS001"), soil(spectrum)], f"RS001,3\n{assay},5\n")
    # Others that have no counterpart are only counted, and 10 is not 1.
    assert joined([soil("RS001"), soil("RS010")], "RS001,3\nRS1,5\n").without_assay == ("RS010",)


@pytest.mark.parametrize(
    ("spectrum", "assay"), [("RS{}", "RS{}A"), ("RS{}", "SB-RS{}"), ("RS{}_lab", "RS{}"), ("RS{}", "RS{} <63 um")]
)
def test_names_with_the_same_addition_are_asked_about(spectrum: str, assay: str) -> None:
    others = [spectrum.format(i) for i in (2, 5, 9)]
    rows = "RS001,3\n" + "".join(f"{assay.format(i)},{i}\n" for i in (2, 5, 9))
    with pytest.raises(TrainingDataError, match=f"did you mean '{assay.format(2)}' for '{others[0]}'"):
        joined([soil("RS001"), *map(soil, others)], rows)
    # Two of them may be chance, and one more digit makes another number.
    assert joined([soil("RS001"), *map(soil, others[:2])], rows).without_assay == tuple(others[:2])
    tens = "RS001,3\n" + "".join(f"{name}0,5\n" for name in ("RS2", "RS5", "RS9"))
    assert len(joined([soil(name) for name in ("RS001", "RS2", "RS5", "RS9")], tens).without_assay) == 3


def test_a_spectrum_under_two_names_is_said(tmp_path: Path) -> None:
    write_table(tmp_path / "soils.csv", [soil("A"), soil("B"), replace(soil("A"), sample_id="C")])
    result = load([str(tmp_path)], assays("sample,Sb_ppm\nA,1\nB,2\nC,3\n"), RECIPE.range_nm)
    (said,) = [note for note in result.notes() if "same spectrum" in note]
    assert "soils.csv (C): the same spectrum as sample A, so one of the two names is wrong" in said


def test_two_spellings_of_one_sample_are_not_halved() -> None:
    with pytest.raises(TrainingDataError, match="a sample is written otherwise .* 'RS001' for 'rs1'"):
        joined([soil("RS001"), soil("RS002"), soil("rs1")], "RS001,1\nRS002,2\n")
