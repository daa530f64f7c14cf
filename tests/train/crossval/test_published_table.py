from __future__ import annotations

import numpy as np
import pytest
from soil_like import soil_like
from stibium.train.crossval.folds import paper_split
from stibium.train.crossval.published_table import TABLE_3, beside_table_3, records_beside_table_3
from stibium.train.crossval.rows import TrainingRows
from stibium.train.crossval.validation import Validation, cross_validate
from stibium.train.samples import Samples


class Remembers:
    """Knows what it was fitted to, and answers everything else with the mean."""

    name = "published network"

    def fit(self, rows: TrainingRows) -> Remembers:
        self.known = {row.tobytes(): value for row, value in zip(rows.reflectance, rows.target, strict=True)}
        self.mean = float(rows.target.mean())
        self.chosen = "epoch 9 of 19; target's transform none"
        return self

    def predict(self, reflectance: np.ndarray) -> np.ndarray:
        return np.array([self.known.get(row.tobytes(), self.mean) for row in reflectance])


def compared(element: str, of_training: bool = True) -> Validation:
    soils = soil_like(30, seed=1)
    data = Samples(soils.spectra, soils.target, element, "ppm")
    return cross_validate([Remembers()], data, paper_split(data.names), of_training=of_training)


def test_r2_that_the_printed_errors_imply() -> None:
    assert [round(TABLE_3[e].implied_r2, 2) for e in ("Sb", "As", "Pb", "Mn", "Zn")] == [0.12, 0.91, 0.72, 0.89, 0.39]


def test_a_network_that_remembers_is_shown_to() -> None:
    found = compared("Sb")
    said = beside_table_3([found], "published network", simulated=True)
    assert "SIMULATED" in said.splitlines()[0]
    paper, here = (line.split() for line in said.splitlines()[2:4])
    assert paper == ["Sb", "paper", "0.70", "0.12", "-", "0.0014", "173", "1000"]
    assert here[:4] == ["here", "-", f"{found.scores[0].metrics['r2'].mean:.2f}", "1.00"]
    assert here[-3:] == ["9", "of", "19"]
    assert "Both cannot be of the same samples. Here: " in said
    assert said.endswith("1.00 on what it was fitted to.")
    record = records_beside_table_3(found, "published network")
    assert record is not None
    assert record["printed"]["implied_r2"] == pytest.approx(0.116, abs=1e-3)
    assert record["here"]["training_r2"] == 1.0


def test_nothing_stands_beside_what_the_paper_has_not() -> None:
    assert beside_table_3([compared("clay")], "published network", False) == ""
    assert beside_table_3([compared("Sb", of_training=False)], "published network", False) == ""
    assert records_beside_table_3(compared("Sb"), "PLSR") is None
