"""One table of units: a unit that is added there is known wherever a unit is read, compared, converted or shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from stibium.edge import units
from stibium.edge.units import ContentUnit, conversion, find_unit, plain, same_unit, shown_unit, split_column
from stibium.train.assays.certified import read_certificates
from stibium.train.assays.table import as_unit, read_assay_table


def test_a_unit_added_in_one_place_is_known_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(units, "UNITS", [*units.UNITS, ContentUnit("oz_t", 28.35, "oz/t")])
    (tmp_path / "a.csv").write_text("sample,Sb_ppm\nS1,5\n")
    (tmp_path / "b.csv").write_text("sample,Sb_oz_t\nS2,2\n")
    table = read_assay_table(tmp_path / "a.csv", tmp_path / "b.csv")
    assert table.assays("Sb").plain == {"S1": 5.0, "S2": pytest.approx(56.7)}
    (tmp_path / "c.toml").write_text('["STD 7"]\nSb_oz_t = 2\n')
    (certificate,) = read_certificates(tmp_path / "c.toml").values()
    assert certificate.values["Sb"].converted("ppm").value == pytest.approx(56.7)
    assert shown_unit("oz_t") == "oz/t"
    assert split_column("Sb_oz/t") == ("Sb", "oz_t")


def test_units_of_one_size_are_the_same() -> None:
    assert same_unit("mg_kg", "ppm")
    assert same_unit("PPM", "g/t")
    assert not same_unit("pct", "ppm")
    assert not same_unit("counts", "ppm")
    assert same_unit("counts", "counts")


def test_values_go_from_one_unit_to_another() -> None:
    assert conversion("pct", "ppm") == pytest.approx(1e4)
    assert conversion("ppb", "g_t") == pytest.approx(1e-3)
    assert conversion("counts", "counts") == 1.0
    with pytest.raises(ValueError, match="there is no unit counts; there are ppm"):
        conversion("counts", "ppm")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Sb_ppm", ("Sb", "ppm")),
        ("total_carbon_PCT", ("total_carbon", "pct")),
        ("As_mg_kg", ("As", "mg_kg")),
        ("As_mg/kg", ("As", "mg_kg")),
        ("clay_%", ("clay", "pct")),
        ("depth_cm", None),
        ("_ppm", None),
        ("ppm", None),
    ],
)
def test_a_columns_name_ends_in_its_unit(name: str, parts: tuple[str, str] | None) -> None:
    assert split_column(name) == parts


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0409, 4, "0.0409"),
        (12345.6, 4, "12350"),
        (1162.0, 3, "1160"),
        (999.96, 4, "1000"),
        (-35_004.0, 3, "-35000"),
        (0.00004, 4, "0.00004"),
        (0.0, 4, "0"),
        (float("inf"), 4, "inf"),
    ],
)
def test_a_figure_has_no_exponent(value: float, digits: int, text: str) -> None:
    # A soil's iron or manganese goes over 10,000 ppm.
    assert plain(value, digits) == text


def test_every_name_is_there_once() -> None:
    spellings = [spelling for unit in units.UNITS for spelling in {unit.name, unit.shown}]
    assert len(spellings) == len(set(spellings))
    assert all(find_unit(spelling) for spelling in spellings)


def test_the_readers_message_lists_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sample,As_mg_kg\nS1,5\n")
    assays = read_assay_table(tmp_path / "a.csv").assays("As")
    assert as_unit(assays, "ppm").unit == "ppm"
    assert as_unit(assays, "pct").values["S1"].value == pytest.approx(5e-4)
    assert as_unit(assays, "").unit == "mg_kg"
