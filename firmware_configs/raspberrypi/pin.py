"""Write `requirements.txt` beside this file: what a device needs, with the hash of every wheel it may be; and
`requirements-web.txt`, what the page needs beside that.

`make pins` runs it; `make lint` runs it with --check, which says without a network whether the file still fits
pyproject.toml. What pip chooses is taken for each Python and machine that the devices have.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
PINNED = {"": HERE / "requirements.txt", "web": HERE / "requirements-web.txt"}
"""By the extra of the project that asks for it."""
PROJECT = HERE.parents[1] / "pyproject.toml"
PYTHONS = ("3.11",)
"""Of Raspberry Pi OS 12. On another Python install.sh takes what pip chooses, and says so."""
MACHINES = {
    "aarch64": ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "x86_64": ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9-]+)([^;]*)(?:;\s*python_version\s*([<>]=?)\s*'([\d.]+)')?\s*")


def needed(python: str, extra: str) -> list[str]:
    """Give the project's own requirements for a version of Python, or those of an extra."""
    chosen = []
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    for text in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        found = _REQUIREMENT.fullmatch(text)
        if found is None:
            raise SystemExit(f"{PROJECT}: {text!r} is written in a way that this program does not read")
        name, limits, compared, version = found.groups()
        ours, theirs = (tuple(map(int, v.split("."))) for v in (python, version or python))
        if compared is None or {"<": ours < theirs, ">=": ours >= theirs}[compared]:
            chosen.append(f"{name}{limits}")
    return chosen


def chosen_by_pip(python: str, machine: str, extra: str) -> Iterable[tuple[str, str, str]]:
    """Yield name, version and SHA-256 of each wheel that pip would install."""
    platforms = [option for name in MACHINES[machine] for option in ("--platform", name)]
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-", "--target", nowhere]
        command += ["--ignore-installed", "--only-binary", ":all:", "--python-version", python, *platforms]
        done = subprocess.run([*command, *needed(python, extra)], stdout=subprocess.PIPE, text=True, check=True)
    for item in json.loads(done.stdout)["install"]:
        about = item["metadata"]
        sha256 = item["download_info"]["archive_info"]["hashes"]["sha256"]
        yield about["name"].lower().replace("_", "-"), about["version"], sha256


def made(extra: str) -> str:
    """Give a file's text; what every device has already is not said twice."""
    always = re.findall(r"^([^\s=#]+)==", PINNED[""].read_text("utf-8"), re.MULTILINE) if extra else []
    hashes: dict[tuple[str, str, str], set[str]] = {}
    for python in PYTHONS:
        for machine in MACHINES:
            for name, version, sha256 in chosen_by_pip(python, machine, extra):
                if name not in always:
                    hashes.setdefault((name, version, python), set()).add(sha256)
    lines = ["# Made by `make pins`; install.sh takes nothing else on Python " + " and ".join(PYTHONS) + "."]
    for (name, version, python), found in sorted(hashes.items()):
        ends = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in sorted(found))
        lines.append(f"{name}=={version} ; python_version == '{python}'{ends}")
    return "\n".join(lines) + "\n"


def missing(text: str, extra: str) -> list[str]:
    """Name what pyproject.toml asks for and the file does not have, or has without a hash."""
    pinned = set(
        re.findall(r"^(\S+)==\S+ ; python_version == '([\d.]+)' \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    )
    wanted = [
        (re.split("[^A-Za-z0-9-]", one)[0].lower(), python) for python in PYTHONS for one in needed(python, extra)
    ]
    return [f"{name} for Python {python}" for name, python in wanted if (name, python) not in pinned]


def main() -> int:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only look; needs no network")
    only_look, code = parser.parse_args().check, 0
    for extra, path in PINNED.items():
        if not only_look:
            path.write_text(made(extra), "utf-8")
        lacking = missing(path.read_text("utf-8"), extra)
        if lacking:
            print(f"{path}: lacks {', '.join(lacking)}; run make pins", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
