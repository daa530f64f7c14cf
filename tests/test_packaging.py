"""The wheel holds everything, the device's part imports nothing heavy, and runs under other Pythons."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from record_check import read_records
from stibium.edge.model.bundle import read_bundle, shipped_bundle_path

ROOT = Path(__file__).parents[1]
HEAVY = {
    "tensorflow",
    "keras",
    "scipy",
    "sklearn",
    "xgboost",
    "pandas",
    "matplotlib",
    "stibium.train",
    "stibium.converters.models",
}
FOLDERS = ("train", "edge", "converters", "firmware_configs")


def tracked_files() -> list[Path]:
    files = []
    for folder in FOLDERS:
        files += [p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return [p.relative_to(ROOT) for p in files]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # From a copy: setuptools leaves a build folder beside what it builds.
    source = tmp_path_factory.mktemp("source")
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = out.glob("*.whl")
    return path


def test_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("stibium/")}
    # Everything in the four folders is either code or data a command needs, except prose for people.
    expected = {f"stibium/{p.as_posix()}".replace("/edge/api/", "/") for p in tracked_files() if p.suffix != ".md"}
    assert inside == expected


def test_wheel_asks_only_for_what_a_device_needs(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (n for n in archive.namelist() if n.endswith("METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    required = {
        line.split(":")[1].split(";")[0].strip().split(">")[0].split("<")[0]
        for line in lines
        if line.startswith("Requires-Dist") and "extra ==" not in line
    }
    assert required == {"numpy", "tflite-runtime", "ai-edge-litert", "pyserial", "click", "tomli"}


def device_modules() -> list[str]:
    modules = []
    for folder in ("edge", "converters/spectra"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = ("stibium", *path.relative_to(ROOT).with_suffix("").parts)
            modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return modules


def needs_web(module: str) -> bool:
    """Of the page's modules those that only a device with the extra `web` can import."""
    names = ("answers", "app", "changes", "guard", "portal", "server", "serving")
    return module in {"stibium.edge.cli.serve_page", *(f"stibium.edge.page.{name}" for name in names)}


def test_no_device_module_imports_anything_heavy() -> None:
    modules = [m for m in device_modules() if importlib.util.find_spec("starlette") or not needs_web(m)]
    code = f"import importlib, json, sys\nfor m in {modules!r}: importlib.import_module(m)\nprint(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert "stibium.edge.model.recipe" in loaded
    assert [m for m in loaded if any(m == h or m.startswith(h + ".") for h in HEAVY)] == []


def test_help_of_the_device_loads_no_tensorflow() -> None:
    code = (
        "import sys\nfrom stibium.edge.cli import run\nsys.argv = ['stibium', '--help']\n"
        "try:\n    run()\nexcept SystemExit:\n    print(sorted({'tensorflow', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.rstrip().endswith("[]")
    assert "predict" in out
    assert "train" in out


def python_313() -> str | None:
    candidates = [
        shutil.which("python3.13"),
        *map(str, Path.home().glob(".pyenv/versions/3.13*/bin/python3")),
    ]
    for candidate in candidates:
        if candidate is None:
            continue
        # A pyenv shim exists on the path whether or not it can run.
        done = subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    return None


@pytest.mark.timeout(600)
def test_same_answers_under_python_313(wheel: Path, tmp_path: Path) -> None:
    """The device's part from the wheel, with ai-edge-litert and NumPy 2, answers as this interpreter does."""
    python = python_313()
    if python is None:
        pytest.skip("no working python3.13 on this machine")
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    pip = [str(tmp_path / "venv/bin/python"), "-m", "pip", "install", "--quiet", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the device's part cannot be installed for 3.13 here: {done.stderr.strip()[-300:]}")
    samples = ROOT / "edge" / "shipped" / "demo_samples.csv.gz"

    def answers(program: Path) -> list[dict[str, object]]:
        command = [
            str(program),
            "predict",
            str(samples),
            "--format",
            "jsonl",
            "--log",
            str(tmp_path / "log.db"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return read_records(done.stdout)

    here = answers(Path(sys.executable).parent / "stibium")
    there = answers(tmp_path / "venv" / "bin" / "stibium")
    assert len(here) == len(there) > 0
    # Two runtimes may round an answer in eight bits to neighbouring steps.
    one_step = read_bundle(shipped_bundle_path()).golden.tolerance  # type: ignore[union-attr]
    for a, b in zip(here, there, strict=True):
        assert (a["sample_id"], a["verdict"], a["bound"], a["flags"]) == (
            b["sample_id"],
            b["verdict"],
            b["bound"],
            b["flags"],
        )
        # Below the limit of detection there is no value, there as little as here.
        assert b["said"] == (None if a["said"] is None else pytest.approx(a["said"], rel=one_step))
    check = subprocess.run([str(tmp_path / "venv/bin/stibium"), "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    assert "ai-edge-litert" in check.stderr


def test_top_level_is_what_the_layout_says() -> None:
    allowed = {
        "pyproject.toml", "train", "edge", "converters", "tests", "firmware_configs", "README.md", "Makefile",
        "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".ci", "benchmarks", "docs", ".gitignore",
    }  # fmt: skip
    git = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if git.returncode != 0:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in git.stdout.splitlines()} <= allowed


def test_makefile_and_ci_call_what_they_say() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "test-pi", "lint", "bench", "bench-accuracy", "model"):
        assert f"\n{target}:" in makefile, target
    ci = (ROOT / ".ci" / "run").read_text()
    assert ci.index("make lint") < ci.index("make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
