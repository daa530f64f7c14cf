"""`stibium train` and `stibium evaluate --report` in processes of their own, on simulated soils."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stibium.edge

BUNDLE = str(Path(stibium.edge.__path__[0]) / "shipped" / "sb_simulated.tflite")
SECTIONS = {
    "accuracy",
    "predictions",
    "residuals",
    "importance",
    "domain",
    "spectra",
    "statistics",
    "correlations",
    "quality",
}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, "-m", "stibium.edge", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def soils_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    done = run("simulate", "--out", "soils", "--samples", "30", "--points", "2", "--as", "table", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


DATA = ("--spectra", "soils/spectra.csv.gz", "--assays", "soils/assays.csv")


def sections(text: str) -> set[str]:
    return set(re.findall(r'<section id="(\w+)"', text))


def test_training_leaves_a_report(soils_folder: Path) -> None:
    train = (
        "train",
        *DATA,
        "--element",
        "Sb",
        "--method",
        "published",
        "--no-baselines",
        "--epochs",
        "1",
        "--out",
        "run",
    )
    bare = run(*train, "--no-report", cwd=soils_folder)
    assert bare.returncode == 0, bare.stderr
    assert not (soils_folder / "run" / "report.html").exists()
    done = run(*train, "--force", cwd=soils_folder)
    assert done.returncode == 0, done.stderr
    assert f"report: {Path('run', 'report.html')}" in done.stderr
    assert "\x1b" not in done.stderr
    text = (soils_folder / "run" / "report.html").read_text(encoding="utf-8")
    assert sections(text) == SECTIONS | {"learning", "quantisation"}
    assert "SIMULATED" in text
    assert "https:" not in text
    # What stands on the terminal stands in the report.
    r2 = re.search(r"^R2 +\S+ +\S+ +(\S+)", done.stdout, re.M)
    assert r2 is not None
    assert f"<td>{r2.group(1).replace('-', '−')}</td>" in text
    samples = re.search(r"(\d+) samples for training, (\d+) for validation", done.stdout)
    assert samples is not None
    drawn = len(re.findall(r"<title>[^<]*: measured [^<]*predicted", text))
    assert drawn == int(samples.group(1)) + int(samples.group(2))
    # A run with a report in it is a run of ours, to be overwritten only if told to.
    assert "holds a run already" in run(*train, cwd=soils_folder).stderr


def test_evaluation_writes_a_report_where_told(soils_folder: Path) -> None:
    done = run("evaluate", BUNDLE, *DATA, "--report", "held.html", "--format", "json", cwd=soils_folder)
    assert done.returncode == 0, done.stderr
    text = (soils_folder / "held.html").read_text(encoding="utf-8")
    assert sections(text) == SECTIONS
    assert "sb_simulated.tflite" in text
    assert "SIMULATED" in text


def test_reference_materials_of_another_file_are_reported_with_their_recovery(soils_folder: Path) -> None:
    (soils_folder / "qc.csv").write_text("kind,name,Sb_ppm\ncrm,MADE-UP 1,100\ncrm,made up 1,104\n")
    (soils_folder / "certified.toml").write_text('["Made-up 1"]\nSb_ppm = { value = 100, sd = 4 }\n')
    control = ("--quality-control", "qc.csv", "--certified", "certified.toml")
    done = run("evaluate", BUNDLE, *DATA, "--report", "controlled.html", *control, cwd=soils_folder)
    assert done.returncode == 0, done.stderr
    text = (soils_folder / "controlled.html").read_text(encoding="utf-8")
    table = next(part for part in re.findall("<table>.*?</table>", text, re.DOTALL) if "recovery" in part)
    assert "MADE-UP 1" in table
    assert "<td>102</td>" in table, "104 and 100 of 100 are 102 %"
    refused = run("evaluate", BUNDLE, *DATA, "--certified", "absent.toml", cwd=soils_folder)
    assert refused.returncode == 1
    assert refused.stderr == "stibium: absent.toml: there is no such file\n"


def test_a_report_that_has_no_place_is_refused_before_the_work(soils_folder: Path) -> None:
    done = run("evaluate", BUNDLE, *DATA, "--report", "absent/held.html", cwd=soils_folder)
    assert done.returncode == 2
    assert "is no folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_without_the_training_side_writes_a_report_too(soils_folder: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'sklearn', 'scipy', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from stibium.edge.cli import main\n"
        f"sys.argv = ['stibium', 'evaluate', {BUNDLE!r}, *{DATA!r}, '--report', 'device.html']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=soils_folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (soils_folder / "device.html").read_text(encoding="utf-8")
    assert sections(text) == SECTIONS - {"statistics", "correlations", "quality"}
    assert "not described: SciPy is not installed here" in text
    assert "Shapley values through the whole path" in text
    assert "Random forest." not in text


def test_a_report_without_its_templates_engine_is_refused_in_one_line(soils_folder: Path) -> None:
    program = (
        "import sys\nsys.modules['jinja2'] = None\nfrom stibium.edge.cli import main\n"
        f"sys.argv = ['stibium', 'evaluate', {BUNDLE!r}, *{DATA!r}, '--report', 'none.html']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=soils_folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "stibium: a report needs Jinja2, which is not installed here: pip install jinja2\n"
    assert not (soils_folder / "none.html").exists()


def test_one_sample_is_enough_for_a_page(soils_folder: Path) -> None:
    assays = (soils_folder / "soils" / "assays.csv").read_text(encoding="utf-8").splitlines()
    head = next(i for i, line in enumerate(assays) if line.startswith("sample"))
    one = next(line for line in assays[head + 1 :] if ">" not in line)
    (soils_folder / "one.csv").write_text("\n".join([*assays[: head + 1], one]) + "\n", encoding="utf-8")
    arguments = ("--spectra", "soils/spectra.csv.gz", "--assays", "one.csv", "--replicates", "each")
    done = run("evaluate", BUNDLE, *arguments, "--report", "one.html", cwd=soils_folder)
    assert done.returncode == 0, done.stderr
    text = (soils_folder / "one.html").read_text(encoding="utf-8")
    assert {"predictions", "importance", "spectra"} <= sections(text)
    assert "nan" not in text


def test_progress_shows_on_a_terminal_and_leaves_nothing_behind(soils_folder: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "stibium.edge", "evaluate", BUNDLE, *DATA, "--report", "seen.html"]
    process = subprocess.Popen(command, cwd=soils_folder, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        # Linux ends a terminal nobody holds any more with an error rather than an end of file.
        assert process.wait(60) == 0
    finally:
        os.close(ours)
    assert process.wait(60) == 0
    assert b"\rreport: Shapley values, spectrum, 16 of 16" in shown
    assert b"\r\x1b[Kreport: seen.html" in shown
