"""install.sh as it runs on a device: it writes to /etc, /opt, /usr/local and /var/lib, which lie in memory here.

Everything is real but the running systemd and udev, whose two programs only write down how they were called.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / "firmware_configs" / "raspberrypi" / "install.sh"
UNIT = Path("/etc/systemd/system/stibium-watch.service")

SCRIPT = """
set -e
mount -t tmpfs tmpfs "$1"
for place in etc opt usr/local var/lib; do
    mkdir -p "$1/upper/$place" "$1/work/$place"
    mount -t overlay overlay -o "lowerdir=/$place,upperdir=$1/upper/$place,workdir=$1/work/$place" "/$place"
done
mkdir "$1/stubs"
for name in systemctl udevadm; do
    printf '#!/bin/sh\\necho "%s $*" >>"%s/called"\\n' "$name" "$1" >"$1/stubs/$name"
    chmod +x "$1/stubs/$name"
done
export PATH="$1/stubs:$PATH"
unset SUDO_USER
rm -rf /opt/stibium /var/lib/stibium /etc/stibium
"""

LOOK = """
echo "--- state"
getent passwd stibium
id -nG stibium
stat -c '%a %U %G %n' /var/lib/stibium /var/lib/stibium/readings.db
readlink /usr/local/bin/stibium
/usr/local/bin/stibium --version
cat "$1/called"
"""


def in_memory(tmp_path: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT + script, "sh", str(tmp_path)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def overlaid(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root installs")
    for name in ("unshare", "systemd-sysusers", "systemd-tmpfiles"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not on this machine")
    done = in_memory(tmp_path, "true")
    if done.returncode != 0:
        pytest.skip(f"no folders can be laid over /etc here: {done.stderr.strip()[-200:]}")
    return tmp_path


def test_installing_and_updating(overlaid: Path, wheel: Path) -> None:
    before = UNIT.exists()
    install = 'sh "$2" --from "$3" --watch --listen\n'
    again = 'echo "--- again"; echo "STIBIUM_LOG=/mine" >/etc/stibium/stibium.env\n' + install
    last = "cat /etc/stibium/stibium.env; ls /etc/stibium\n"
    done = in_memory(overlaid, install + again + LOOK + last, str(INSTALL), str(wheel))
    if "pip could not install" in done.stderr:
        pytest.skip(f"what stibium needs cannot be fetched here: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    first, rest = done.stdout.split("--- again\n")
    second, state = rest.split("--- state\n")
    assert "installed stibium, version" in first
    assert "wrote /etc/systemd/system/stibium-watch.service" in first
    assert second.splitlines()[0].startswith("installed stibium, version")
    assert second.splitlines()[1].startswith("0 changes")
    lines = state.splitlines()
    assert lines[0].startswith("stibium:x:")
    assert set(lines[1].split()) == {"stibium", "dialout"}
    assert lines[2] == "2770 stibium stibium /var/lib/stibium"
    assert lines[3] == "660 stibium stibium /var/lib/stibium/readings.db"
    assert lines[4] == "/opt/stibium/bin/stibium"
    assert lines[5].startswith("stibium, version")
    called = lines[6:-3]
    assert "systemctl --quiet enable stibium-watch.service" in called
    assert "systemctl daemon-reload" in called
    assert called.index("systemctl daemon-reload") < called.index("systemctl restart stibium-watch.service")
    assert (
        "systemctl try-restart stibium-watch.service stibium-serve.service stibium-listen@*.service"
        in called[called.index("systemctl daemon-reload") :]
    )
    assert "udevadm control --reload" in called
    # `ls` names two files: the settings, still the person's own, and the switch for udev.
    assert lines[-3:] == ["STIBIUM_LOG=/mine", "listen", "stibium.env"]
    # Nothing of it is left on this machine.
    assert UNIT.exists() == before
    assert not (overlaid / "upper").exists()


def test_what_cannot_be_installed_is_one_line(overlaid: Path) -> None:
    done = in_memory(overlaid, 'sh "$2" --from "$3"; ls -d /etc/stibium /opt/stibium', str(INSTALL), "/no/such/folder")
    line = done.stderr.splitlines()[0]
    assert line == "install.sh: /no/such/folder: no such file or folder; --from names a checkout or a wheel"
    assert done.stdout == "", "nothing was begun"
