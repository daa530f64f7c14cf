"""Fixtures shared by all tests."""

from __future__ import annotations

import re
import signal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import stibium.edge
from hypothesis import settings
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import Bundle, read_bundle
from stibium.edge.model.runtime import _interpreter_class

# Whatever starts the tests may ignore these (nohup, a shell's background job); children would inherit that, and
# rightly not stop when a test asks them to.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run side by side on machines that do other things too: a slow example is no fault of the code.
# What `make test` says of a tree is the same each time; `make soak` looks for new examples (--hypothesis-profile=search).
settings.register_profile("stibium", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("stibium")

SHIPPED = Path(stibium.edge.__path__[0]) / "shipped"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


SHARED = (("trained", ("small_run", "small_bundle")), ("pi", ("emulated_pi",)), ("ore", ("ore_run",)))
"""Name of a group, and the fixtures that its tests share and that take long to make."""
ROOT = Path(__file__).parents[1]


@cache
def _group_of(file: str) -> str:
    """Name the tests that share something expensive and so belong into one process; "" for each on its own.

    By the text of their file: pytest 9 takes no other node ids from xdist, which is how it would tell groups by marks.
    """
    text = (ROOT / file).read_text("utf-8")
    for name, fixtures in SHARED:
        # As a word: `small_runs` is a module that tests import which train for themselves.
        if any(re.search(rf"\b{fixture}\b", text) for fixture in fixtures):
            return name
    return file if file.startswith("tests/train/") else ""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what shares a training or a machine."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        """One process for each group."""

        def _split_scope(self, nodeid: str) -> str:
            return _group_of(nodeid.split("::")[0]) or nodeid

    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    first = {"trained": 0, "pi": 1}
    groups = {item: _group_of(item.nodeid.split("::")[0]) for item in items}
    items.sort(key=lambda item: first.get(groups[item], 2 if groups[item] else 3))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real spectra beside the project; tests that want it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is not there: real spectra are not part of the project")
    return SHARED_DATA


# Once TensorFlow is imported, tflite-runtime 2.14 builds no interpreter any more; the other way round both work. Some
# tests import TensorFlow when they are collected, so the runtime must be there before.
_interpreter_class()


@pytest.fixture(scope="session")
def shipped_bundle() -> Bundle:
    """The bundle that comes with the package."""
    return read_bundle(SHIPPED / "sb_simulated.tflite")


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    """A bundle file to hand to a process, one that a test may also damage."""
    path = tmp_path / "bundle" / "sb_simulated.tflite"
    path.parent.mkdir()
    path.write_bytes((SHIPPED / "sb_simulated.tflite").read_bytes())
    return path


@pytest.fixture(scope="session")
def soils() -> list[Spectrum]:
    """Five of the demonstration's soils (simulated) that the shipped model knows, one point each; it detects three."""
    names = ("TP159", "TP079", "TP177", "RS045", "TP091")
    first = {spectrum.sample_id: spectrum for spectrum in reversed(read_spectra(SHIPPED / "demo_samples.csv.gz"))}
    return [
        Spectrum(
            first[name].wavelengths_nm,
            first[name].values,
            "reflectance",
            f"G{i}",
            source=f"G{i}.asd",
            splices_nm=first[name].splices_nm,
            comment="simulated",
            simulated=True,
        )
        for i, name in enumerate(names)
    ]
