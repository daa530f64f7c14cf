"""The C bridge, compiled on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from bridge_building import HERE, SANITIZE, SOURCES, STRICT, Compile


@pytest.fixture(scope="session")
def compiler() -> str:
    """The C compiler of this machine."""
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler (cc) on this machine")
    return found


@pytest.fixture(scope="session")
def sanitizers(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for the sanitizers; none where a program built with them does not run."""
    folder = tmp_path_factory.mktemp("sanitizers")
    (folder / "try.c").write_text("int main(void) { return 0; }\n")
    built = subprocess.run(
        [compiler, *SANITIZE, str(folder / "try.c"), "-o", str(folder / "try")], capture_output=True, check=False
    )
    runs = built.returncode == 0 and subprocess.run([folder / "try"], capture_output=True, check=False).returncode == 0
    return SANITIZE if runs else []


@pytest.fixture(scope="session")
def compile_c(compiler: str, sanitizers: list[str], tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile a program of this folder with sources of the bridge; warnings are errors."""
    folder = tmp_path_factory.mktemp("bridge")

    def build(main: str, sources: list[str], *options: str) -> Path:
        program = folder / f"{main}{''.join(options)}".replace("/", "_").replace("=", "_")
        files = [str(SOURCES / source) for source in sources]
        # Only the programs of the tests need more than C99.
        command = [
            compiler, *STRICT, *sanitizers, "-D_POSIX_C_SOURCE=200809L", *options, f"-I{SOURCES}", *files,
            str(HERE / f"{main}.c"), "-o", str(program),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return program

    return build


@pytest.fixture(scope="session")
def bridge_program(compile_c: Compile) -> Path:
    """The whole bridge with a made-up spectrometer."""
    return compile_c("bridge_main", ["stibium_frame.c", "stibium_bridge.c"])


@pytest.fixture(scope="session")
def smallest_bridge_program(compile_c: Compile) -> Path:
    """The same with the least memory that is possible."""
    return compile_c("bridge_main", ["stibium_frame.c", "stibium_bridge.c"], "-DSTIBIUM_MAX_PAYLOAD=64")
