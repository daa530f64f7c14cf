"""Every block of the documentation does what it says: it is run here, or carries a remark why not.

`<!-- not run: reason -->` above a block keeps it from being run; its commands and options must exist all the same.
Blocks of a page are run in their order in one folder, which holds what a reader of the page has: soils, assays, a model.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import stibium.edge
from stibium.edge.cli import stibium as program

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<why>[^>]+) -->\n)?^(?P<indent>[ ]*)```(?P<kind>console|python)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SHIPPED = Path(stibium.edge.__path__[0]) / "shipped"


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    kind: str
    why_not: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What is typed, without the prompt; the rest of a console is what it answered."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = []
    for match in BLOCK.finditer(text):
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        line = text[: match.start()].count("\n") + 1
        found.append(Block(page.name, line, match["kind"], (match["why"] or "").strip(), body))
    return [block for block in found if block.kind == "python" or block.commands]


BLOCKS = {page.name: blocks_of(page) for page in PAGES}


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages speak of: soils with assays, single files, models."""
    folder = tmp_path_factory.mktemp("ground")
    subprocess.run([*PROGRAM, "simulate", "--out", "soils", "--samples", "12", "--points", "2"], check=True, cwd=folder)
    (folder / "edge").mkdir()
    shutil.copytree(SHIPPED, folder / "edge" / "shipped")
    shutil.copytree(folder / "soils" / "spectra", folder / "spectra")
    shutil.copy(folder / "soils" / "assays.csv", folder)
    shutil.copy(folder / "spectra" / "RS001_00001.asd", folder / "soil00001.asd")
    for name in ("sb.tflite", "sb_2.tflite"):
        shutil.copy(SHIPPED / "sb_simulated.tflite", folder / name)
    subprocess.run([*PROGRAM, "convert", "spectra", "soils.csv.gz"], check=True, cwd=folder, capture_output=True)
    return folder


PROGRAM = [sys.executable, "-m", "stibium.edge"]


@pytest.mark.parametrize("page", [name for name, blocks in BLOCKS.items() if any(not b.why_not for b in blocks)])
def test_blocks_do_what_they_say(page: str, ground: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(ground, folder)
    home = tmp_path / "home"
    home.mkdir()
    programs = os.fspath(Path(sys.executable).parent)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STIBIUM_")}
    environment |= {"HOME": os.fspath(home), "XDG_STATE_HOME": os.fspath(home / "state")}
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    # A log with something in it, as after a day.
    first = [*PROGRAM, "predict", "edge/shipped/demo_samples.csv.gz", "--average"]
    subprocess.run(first, check=True, cwd=folder, env=environment, capture_output=True)
    for block in BLOCKS[page]:
        if block.why_not:
            continue
        runs = (
            [[sys.executable, "-c", block.text]]
            if block.kind == "python"
            else [["bash", "-o", "pipefail", "-c", command] for command in block.commands]
        )
        for run in runs:
            done = subprocess.run(
                run, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
            )
            assert done.returncode == 0, f"{block}: {run[-1]}\n{done.stdout[-500:]}\n{done.stderr[-1500:]}"


def not_run() -> list[Block]:
    return [block for blocks in BLOCKS.values() for block in blocks if block.why_not]


@pytest.mark.parametrize("block", not_run(), ids=str)
def test_what_is_not_run_could_be_typed(block: Block) -> None:
    assert len(block.why_not) > 10
    if block.kind == "python":
        compile(block.text, str(block), "exec")
    for command in block.commands:
        for part in re.split(r"\s[|&;]+\s", command):
            words = shlex.split(part, comments=True)
            if words[:1] == ["sudo"]:
                words = words[1:]
            if words[:1] == ["stibium"]:
                _require_known(words[1:], f"{block}: {command}")
            if words[:1] == ["make"]:
                targets = [w for w in words[1:] if "=" not in w]
                text = (ROOT / "Makefile").read_text("utf-8")
                assert all(re.search(rf"^{re.escape(t)}:", text, re.MULTILINE) for t in targets), f"{block}: {command}"


def _require_known(words: list[str], said: str) -> None:
    """Every sub-command and every option is one that `--help` shows."""
    command: click.Command = program
    context = click.Context(program)
    known = {option for parameter in program.get_params(context) for option in parameter.opts}
    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
            known |= {
                option
                for parameter in command.get_params(click.Context(command))
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            assert word.split("=")[0] in known, f"{said}: {word} is no option of {command.name}"
        elif isinstance(command, click.Group) and (found := command.get_command(context, word)) is not None:
            command = found
        elif command is program:
            raise AssertionError(f"{said}: there is no command {word}")
