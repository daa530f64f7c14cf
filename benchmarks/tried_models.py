"""Models and the soils that they are tried on: the shipped, simulated one, and one of real soils that is made here."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from samples import DEMO_SAMPLES
from soil_sets import GEEVES, LIMESODA, SetUnavailableError, load
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.engine import Engine
from stibium.edge.model.bundle import SHIPPED_BUNDLE, Bundle, read_bundle, shipped_bundle_path
from stibium.edge.model.estimate import Estimate, Estimator, Refusal

REAL, TARGET, UNIT = "CV.98", "SOC", "%"


@dataclass(frozen=True)
class Tried:
    """A model, what answers with it, and soils that it knows."""

    name: str
    engine: Engine
    soils: tuple[Spectrum, ...]

    @property
    def bundle(self) -> Bundle:
        """The model."""
        return self.engine.estimator.bundle

    def answers(self, spectra: Sequence[Spectrum | Refusal]) -> list[Estimate | Refusal]:
        """What the device says of spectra, with its gates."""
        return [result.outcome for result in self.engine.answer(spectra)]


def shipped(stability: bool = False) -> Tried:
    """The shipped model, on the recorded samples of the demonstration and on its golden spectra; see `Engine`."""
    bundle = read_bundle(shipped_bundle_path())
    assert bundle.golden is not None
    golden = [
        Spectrum(bundle.golden.wavelengths_nm, row, "reflectance", f"G{i}", splices_nm=bundle.golden.splices_nm)
        for i, row in enumerate(bundle.golden.reflectance)
    ]
    soils = [replace(one, simulated=False, comment="") for one in read_spectra(DEMO_SAMPLES)]
    return Tried("shipped", Engine(Estimator(bundle), None, stability=stability), (*soils, *golden))


def clay(stability: bool = False) -> Tried:
    """The shipped model of clay, on the soils that are shipped with it and, where it is there, on its survey."""
    bundle = read_bundle(SHIPPED_BUNDLE.parent / "clay_geeves.tflite")
    soils = read_spectra(SHIPPED_BUNDLE.parent / "real_soils.csv.gz")
    if GEEVES.is_file():
        soils = read_spectra(GEEVES)
    return Tried("clay", Engine(Estimator(bundle), None, stability=stability), tuple(soils))


def real(stability: bool = False) -> Tried:
    """A model of real soils, trained here; raises SetUnavailableError where they cannot be had."""
    samples = next(one for one in load(REAL) if one.element == TARGET)
    with tempfile.TemporaryDirectory(prefix="stibium-bench-") as name:
        folder = Path(name)
        write_table(folder / "spectra.csv", samples.spectra)
        with (folder / "assays.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["sample", f"{TARGET}_pct"])
            rows.writerows(samples.target.items())
        program = [sys.executable, "-m", "stibium.edge"]
        inputs = ["--spectra", folder / "spectra.csv", "--assays", folder / "assays.csv", "--element", TARGET]
        for command in (["train", *inputs, "--fast", "--out", folder / "run"], ["export", folder / "run"]):
            out = ["--out", folder / "m.tflite"] if command[0] == "export" else []
            done = subprocess.run([*program, *map(str, [*command, *out])], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SetUnavailableError(done.stderr.strip().splitlines()[-1])
        bundle = read_bundle(folder / "m.tflite")
    return Tried(REAL, Engine(Estimator(bundle), None, stability=stability), samples.spectra)


def all_sets() -> dict[str, tuple[Spectrum, ...]]:
    """The soils of every set that can be had here, by the set's name."""
    found = {"shipped": shipped().soils}
    for name in ("Geeves", *LIMESODA):
        try:
            found[name] = load(name)[0].spectra
        except SetUnavailableError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return found
