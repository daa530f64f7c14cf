"""The emulated Pi, with this project's wheel installed in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from emulated_pi import EmulatedPi, NotPossibleError, cache_folder, open_pi

ROOT = Path(__file__).parents[2]
BUILT_FROM = ("train", "edge", "converters", "firmware_configs", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's."""
    return _wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def emulated_pi(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> EmulatedPi:
    """Ready to run `stibium`; tests that want it are skipped where there can be none."""
    work = tmp_path_factory.mktemp("pi")
    try:
        pi = open_pi(work)
        pi.install(wheel, cache_folder() / "wheels")
    except NotPossibleError as error:
        pytest.skip(f"no emulated Raspberry Pi: {error}")
    return pi


def _wheel(folder: Path) -> Path:
    # From a copy: setuptools leaves a build folder beside what it builds.
    source = folder / "source"
    source.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    return wheel
