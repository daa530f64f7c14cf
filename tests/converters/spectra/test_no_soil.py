"""Records that are no soils by their names, down, across and in a library: refused by name, never averaged in."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from stibium.converters.spectra.errors import UnusableSpectrumError
from stibium.converters.spectra.table.layout import looks_like_table
from stibium.converters.spectra.table.read import iter_rows
from stibium.converters.spectra.text import no_soil
from text_samples import parse_ascii_table, soil_reflectance

NM = np.arange(400.0, 900.0, 2.0)


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (("TP109", "TP091", "Mean"), {"Mean"}),
        (("TP109", "TP091", "average", "Max", "Min"), {"average", "Max", "Min"}),
        (("mean", "max", "min"), {"max", "min"}),
        (("Mean", "SD"), {"SD"}),
        (("Mean",), set()),
        (("Max",), set()),
        (("TP109", "TP091", "Maximo", "Mínimo", "Summe", "Count"), {"Maximo", "Mínimo", "Summe", "Count"}),
        (("TP109", "Stdabw."), {"Stdabw."}),
        (("TP109", "Standardabweichung"), {"Standardabweichung"}),
        (("TP109", "TP109 sigma"), {"TP109 sigma"}),
        (("TP109", "écart-type"), {"écart-type"}),
        (("TP109", "Desv. Est."), {"Desv. Est."}),
        (("TP109", "TP109_CV"), {"TP109_CV"}),
        (("TP109", "Mittelwert", "Standard Deviation"), {"Mittelwert", "Standard Deviation"}),
        (("TP109", "TP109 error", "Terror"), {"TP109 error"}),
        (("TP109", "Uncertainty"), {"Uncertainty"}),
        (
            ("TP109 mean", "TP109 mean+SD", "TP109 mean-SD", "TP109 + 2 sd"),
            {"TP109 mean+SD", "TP109 mean-SD", "TP109 + 2 sd"},
        ),
        (("TP109", "TP109 ± SD", "TP109 upper 95", "TP109_ci_low"), {"TP109 ± SD", "TP109 upper 95", "TP109_ci_low"}),
        (
            ("TP109", "TP109 UCL", "TP109 95% CI", "TP109 lower bound"),
            {"TP109 UCL", "TP109 95% CI", "TP109 lower bound"},
        ),
        (("TP109", "TP109 upper 20", "TP109-2", "TP109 hi", "1SD", "Upper 95"), set()),
        (("TP109 mean", "TP091 mean"), set()),
        (("North", "North SE", "Meaning"), set()),
        (("CV1", "CV2", "SD-4"), set()),
    ],
)
def test_what_is_made_of_the_others_is_no_soil(names: tuple[str, ...], refused: set[str]) -> None:
    assert {name for name in names if no_soil(name, {one.lower() for one in names})} == refused
    columns = [soil_reflectance(NM) * (1 + i / 50) for i in range(len(names))]
    down = "\n".join(
        ["wavelength\t" + "\t".join(names)]
        + [f"{nm:g}\t" + "\t".join(f"{values[i]:.5f}" for values in columns) for i, nm in enumerate(NM)]
    )
    across = "\n".join(
        ["sample\t" + "\t".join(f"{nm:g}" for nm in NM)]
        + [f"{name}\t" + "\t".join(f"{v:.5f}" for v in values) for name, values in zip(names, columns, strict=True)]
    )
    # A table whose names stand in `sample_id`, as other programs write them too, is read row by row.
    by_row = across.replace("sample\t", "sample_id\t", 1).replace("\t", ",")
    for text in (down, across, by_row):
        bad: list[UnusableSpectrumError] = []
        data = f"{text}\n".encode()
        if text is by_row:
            assert looks_like_table(data)
            read = list(iter_rows(BytesIO(data), "t.txt", bad.append))
        else:
            read = list(parse_ascii_table(data, "t.txt", bad.append))
        assert len(read) == len(names) - len(refused)
        assert {name for name in names for error in bad if f"({name})" in str(error)} == refused
