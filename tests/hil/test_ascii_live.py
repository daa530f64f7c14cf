"""`stibium measure` with virtual ASCII instruments, as processes on real ports and lines that misbehave."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from line_processes import STIBIUM, playing
from stibium.firmware_configs import probes

pytestmark = pytest.mark.usefixtures("virtual_only")

# Answers come late on a busy test machine, and a line that misbehaves wants to be asked often.
PATIENCE = "\n[patience]\nreply_s = 0.5\nquiet_s = 0.05\nrequest_attempts = 60\nreplug_s = 60.0\n"


@pytest.fixture
def profile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A shipped profile with another patience."""
    path = tmp_path / f"{request.param}.toml"
    text = (Path(probes.__path__[0]) / path.name).read_text()
    path.write_text(re.sub(r"settle_s = [\d.]+", "settle_s = 0.01", text) + PATIENCE)
    return path


def measure(port: str, profile: Path, bundle: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        STIBIUM, "measure", port, "--profile", str(profile), "--yes", "--new", "--on-for", "60", "--points", "2",
        "--scans", "1", "--model", str(bundle), "--log", str(folder / "log.db"), "--format", "jsonl", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    return done


@pytest.mark.parametrize("profile", ["as7265x"], indirect=True)
def test_the_triad_is_read_stored_and_refused_by_the_model(profile: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    with playing(tmp_path, "--instrument", str(profile), "--speed", "full") as port:
        done = measure(port, profile, tiny_bundle, tmp_path, "--count", "1")
    assert done.returncode == 1
    (record,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert "covers 410-940 nm; the model needs 400-2450 nm" in json.dumps(record)
    assert "SIMULATED" in done.stderr


@pytest.mark.parametrize(
    "misbehaviour",
    [
        [],
        ["--misbehave", "drop=0.00005"],
        ["--misbehave", "garbage=0.00005"],
        ["--misbehave", "stall=0.001,stall-s=0.7"],
        ["--unplug-every", "3", "--unplug-s", "0.2", "--unplug-power"],
    ],
    ids=["well", "drop", "garbage", "stall", "power"],
)
@pytest.mark.parametrize("profile", ["ascii_spectrometer"], indirect=True)
def test_samples_are_estimated_over_a_line_that_misbehaves(
    profile: Path, misbehaviour: list[str], tiny_bundle: Path, tmp_path: Path
) -> None:
    options = ["--instrument", str(profile), "--speed", "full", "--link", str(tmp_path / "port"), *misbehaviour]
    with playing(tmp_path, *options) as port:
        done = measure(port, profile, tiny_bundle, tmp_path, "--sample", "A", "--sample", "B")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["sample_id"] for record in records] == ["A", "B"], done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
