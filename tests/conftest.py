"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real spectra beside the project; tests that want it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is not there: real spectra are not part of the project")
    return SHARED_DATA
