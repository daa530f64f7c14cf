"""The command table: every command has help with an example and stands in the README."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from stibium.edge.cli import DEVICE_COMMANDS, stibium

ROOT = Path(__file__).parents[1]
COMMANDS = stibium.list_commands(click.Context(stibium))


def test_device_commands_come_first() -> None:
    assert COMMANDS[: len(DEVICE_COMMANDS)] == list(DEVICE_COMMANDS)
    assert {"simulate", "train", "export", "evaluate"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_with_an_example(name: str) -> None:
    command = stibium.get_command(click.Context(stibium), name)
    assert command is not None
    with click.Context(command, info_name=f"stibium {name}") as ctx:
        text = command.get_help(ctx)
    assert command.help
    assert "Example" in text
    assert f"stibium {name}" in text.split("Example")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_stands_in_the_readme(name: str) -> None:
    assert f"stibium {name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    command = stibium.get_command(click.Context(stibium), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_no_option_takes_what_is_no_finite_number(name: str, text: str) -> None:
    command = stibium.get_command(click.Context(stibium), name)
    assert command is not None
    for option in command.params:
        if isinstance(option.type, click.types.FloatParamType):
            with pytest.raises(click.BadParameter):
                option.type.convert(text, option, None)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "stibium"
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_an_output_that_the_caller_has_closed_takes_what_it_is_given(closed: tuple[int, ...]) -> None:
    program = f'"{Path(sys.executable).parent / "stibium"}" recipes'
    closing = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(["sh", "-c", f"{program} {closing}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (1 not in closed)


def test_unknown_command_is_a_usage_error() -> None:
    done = run("assay")
    assert done.returncode == 2
    assert "No such command 'assay'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_option_is_a_usage_error(name: str) -> None:
    done = run(name, "--no-such-option")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["measure", "serve"])
def test_a_stated_value_of_a_soil_that_is_never_asked_for_is_a_usage_error(name: str) -> None:
    done = run(name, "/dev/nowhere", "--reference-value", "80")
    assert done.returncode == 2
    assert "add --reference-every N" in done.stderr


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("stibium, version ")


def as_program(before: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run some code, and then be the program in the same process."""
    code = f"import sys\n{before}\nsys.argv = ['stibium', *{arguments!r}]\nfrom stibium.edge.cli import main\nmain()\n"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | environment
    )


TELLTALE = """
class Telltale:
    def __del__(self):
        print('taken apart', flush=True)
telltale = Telltale()
"""


def test_it_ends_at_once_with_all_that_was_shown_and_its_exit_code() -> None:
    done = as_program(TELLTALE, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("stibium, version ")
    assert "taken apart" not in done.stdout
    assert as_program(TELLTALE, "info", "nowhere.tflite").returncode == 1
    assert as_program(TELLTALE, "assay").returncode == 2


@pytest.mark.parametrize(
    ("before", "last"),
    [
        ("import atexit; atexit.register(lambda: print('at exit'))", "at exit"),
        (
            "import threading, time\nthreading.Thread(target=lambda: (time.sleep(1), print('of a thread'))).start()",
            "of a thread",
        ),
    ],
    ids=["exit handler", "thread"],
)
def test_what_is_left_to_do_is_done_before_it_ends(before: str, last: str) -> None:
    done = as_program(before, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("stibium, version ")
    assert done.stdout.splitlines()[-1] == last


def test_who_looks_for_a_defect_gets_the_interpreters_own_end() -> None:
    assert "taken apart" in as_program(TELLTALE, "--version", STIBIUM_TRACEBACK="1").stdout
