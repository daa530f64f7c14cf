"""The files that make a device of a Raspberry Pi, installed into a scratch folder and put before systemd's checkers."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from stibium.edge.cli import stibium as group
from stibium.edge.instruments.discovery import _USB
from stibium.firmware_configs.raspberrypi import pin

ROOT = Path(__file__).parents[2]
FILES = ROOT / "firmware_configs" / "raspberrypi"
INSTALL = FILES / "install.sh"
SERVICES = ["stibium-watch.service", "stibium-listen@.service", "stibium-serve.service"]
CMDLINE = "console=serial0,115200 console=tty1 root=PARTUUID=12345678-02 rootfstype=ext4 fsck.repair=yes rootwait\n"
CONFIG = "dtparam=audio=on\n[cm4]\notg_mode=1\n"


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on this machine")
    return path


def run(*command: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """What Raspberry Pi OS has before."""
    tool("systemctl")
    root = tmp_path / "scratch root"
    (root / "boot/firmware").mkdir(parents=True)
    (root / "boot/firmware/cmdline.txt").write_text(CMDLINE)
    (root / "boot/firmware/config.txt").write_text(CONFIG)
    return root


@pytest.fixture
def installed(scratch: Path) -> Path:
    run("sh", INSTALL, "--root", scratch, "--watch", "--listen", "--page", "--uart")
    return scratch


def contents(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (
            stat.S_IMODE(path.lstat().st_mode),
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes(),
        )
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_installing_twice_changes_nothing(scratch: Path) -> None:
    first = run("sh", INSTALL, "--root", scratch, "--watch", "--listen", "--page", "--uart")
    before = contents(scratch)
    assert "wrote /etc/systemd/system/stibium-watch.service" in first.stdout
    assert "etc/systemd/system/multi-user.target.wants/stibium-watch.service" in before
    assert "etc/stibium/listen" in before
    second = run("sh", INSTALL, "--root", scratch, "--watch", "--listen", "--page", "--uart")
    assert contents(scratch) == before
    assert second.stdout.startswith("0 changes")


def test_what_root_keeps_from_others_is_not_kept_from_the_services(scratch: Path) -> None:
    command = f"umask 077; sh '{INSTALL}' --root '{scratch}' --watch --listen --uart"
    run("sh", "-c", command)
    for path in scratch.rglob("*"):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o044 == 0o044, path
            assert path.is_file() or mode & 0o011 == 0o011, path


def test_all_that_a_device_needs_is_pinned_with_hashes() -> None:
    run(sys.executable, FILES / "pin.py", "--check")
    files = [(FILES / name).read_text() for name in ("requirements.txt", "requirements-web.txt")]
    blocks = [block for text in files for block in text.replace(" \\\n", " ").splitlines()[1:]]
    assert len({block.partition("==")[0] for block in blocks}) == len(blocks)
    for block in blocks:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+ ; python_version == '3\.\d+'( +--hash=sha256:[0-9a-f]{64})+", block)


def test_a_requirement_without_a_hash_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pin, "needed", lambda python, extra: ["numpy>=1.26", "something-new>=1"])
    assert pin.missing((FILES / "requirements.txt").read_text(), "") == ["something-new for Python 3.11"]


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_may_take_so_much_memory(unit: str) -> None:
    assert re.search(r"^MemoryMax=\d+M$", (FILES / unit).read_text(), re.MULTILINE)


def test_every_file_is_installed_somewhere(installed: Path) -> None:
    there = {data for _, data in contents(installed).values()}
    for path in FILES.iterdir():
        if path.is_file() and path.name not in (
            "install.sh",
            "pin.py",
            "requirements.txt",
            "requirements-web.txt",
            "__init__.py",
        ):
            if path.suffix == ".nmconnection":
                continue  # with a password of its own: see below
            assert path.read_bytes() in there, path.name
    assert not list(installed.rglob("*.new"))


def test_the_hotspot_has_a_password_of_its_own_that_only_root_reads_and_that_stays(scratch: Path) -> None:
    first = run("sh", INSTALL, "--root", scratch, "--page")
    profile = scratch / "etc/NetworkManager/system-connections/stibium-hotspot.nmconnection"
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    before = (FILES / profile.name).read_text().splitlines()
    changed = [line for line in profile.read_text().splitlines() if line not in before]
    (password,) = [line.removeprefix("psk=") for line in changed]
    assert re.fullmatch(r"[a-hjkmnp-z2-9]{12}", password)
    assert f"the password of the network stibium is {password}" in first.stdout
    assert "etc/systemd/system/multi-user.target.wants/stibium-serve.service" in contents(scratch)
    assert run("sh", INSTALL, "--root", scratch, "--page").stdout.startswith("0 changes")
    run("sh", INSTALL, "--root", scratch, "--uninstall")
    assert not profile.exists()


def test_nothing_is_started_or_taken_that_was_not_asked_for(scratch: Path) -> None:
    run("sh", INSTALL, "--root", scratch)
    found = contents(scratch)
    assert not [name for name in found if "multi-user" in name or name.startswith("etc/stibium/listen")]
    assert found["boot/firmware/cmdline.txt"][1].decode() == CMDLINE
    assert found["boot/firmware/config.txt"][1].decode() == CONFIG


def test_settings_of_a_person_are_kept(installed: Path) -> None:
    settings = installed / "etc/stibium/stibium.env"
    settings.write_text("STIBIUM_LOG=/mnt/log.db\n")
    unit = installed / "etc/systemd/system/stibium-watch.service"
    unit.write_text("old")
    done = run("sh", INSTALL, "--root", installed)
    assert settings.read_text() == "STIBIUM_LOG=/mnt/log.db\n"
    assert unit.read_text() == (FILES / "stibium-watch.service").read_text()
    assert done.stdout.startswith("wrote /etc/systemd/system/stibium-watch.service\n1 changes")


def test_uninstalling_leaves_what_was_there_before(scratch: Path) -> None:
    before = contents(scratch)
    run("sh", INSTALL, "--root", scratch, "--watch", "--listen", "--page", "--uart")
    settings = scratch / "etc/stibium/stibium.env"
    settings.write_text("STIBIUM_LOG=/mnt/log.db\n")
    done = run("sh", INSTALL, "--root", scratch, "--uninstall")
    after = contents(scratch)
    assert after.pop("etc/stibium/stibium.env")[1] == b"STIBIUM_LOG=/mnt/log.db\n"
    config = after.pop("boot/firmware/config.txt")[1].decode()
    assert config.split() == [*before.pop("boot/firmware/config.txt")[1].decode().split(), "[all]"]
    assert after == before
    assert "removed /etc/systemd/system/stibium-watch.service" in done.stdout
    assert "are yours and stay" in done.stdout
    assert run("sh", INSTALL, "--root", scratch, "--uninstall").stdout.startswith("0 changes")


def test_uninstalling_keeps_what_others_have_changed(installed: Path) -> None:
    boot = installed / "boot/firmware"
    (boot / "cmdline.txt").write_text((boot / "cmdline.txt").read_text().replace("rootwait", "rootwait quiet"))
    (boot / "config.txt").write_text((boot / "config.txt").read_text() + "dtparam=i2c_arm=on\n")
    done = run("sh", INSTALL, "--root", installed, "--uninstall")
    assert "cmdline.txt.before-stibium" in done.stdout
    assert (boot / "cmdline.txt").read_text().endswith("rootwait quiet\n")
    assert (boot / "cmdline.txt.before-stibium").read_text() == CMDLINE
    assert (boot / "config.txt").read_text() == CONFIG + "\n[all]\ndtparam=i2c_arm=on\n"


@pytest.mark.parametrize(
    "settings", ["STIBIUM_LOG=/mnt/a log.db\n#STIBIUM_MODEL=/x\n", "STIBIUM_MODEL=/m.tflite\n", None]
)
def test_people_get_the_log_and_the_model_of_the_services(tmp_path: Path, settings: str | None) -> None:
    script = (FILES / "profile.sh").read_text().replace("/etc/stibium/stibium.env", str(tmp_path / "stibium.env"))
    if settings is not None:
        (tmp_path / "stibium.env").write_text(settings)
    done = run("env", "-i", shutil.which("sh") or "sh", "-euc", f"{script}\nenv")
    found = [line for line in done.stdout.splitlines() if line.startswith("STIBIUM")]
    assert found == [line for line in (settings or "").splitlines() if not line.startswith("#")]


def test_the_uart_is_freed_and_the_originals_stay(installed: Path) -> None:
    boot = installed / "boot/firmware"
    assert (boot / "cmdline.txt").read_text() == CMDLINE.replace("console=serial0,115200 ", "")
    assert (boot / "config.txt").read_text() == CONFIG + "\n[all]\ninclude stibium.txt\n"
    assert (boot / "cmdline.txt.before-stibium").read_text() == CMDLINE
    assert (boot / "config.txt.before-stibium").read_text() == CONFIG
    assert os.readlink(installed / "etc/systemd/system/serial-getty@ttyAMA0.service") == "/dev/null"


def test_what_goes_wrong_is_one_line(tmp_path: Path) -> None:
    assert run("sh", INSTALL, "--nonsense", code=2).stderr == (
        "install.sh: unknown option --nonsense; --help shows what there is\n"
    )
    assert "no such folder" in run("sh", INSTALL, "--root", tmp_path / "no", code=1).stderr
    assert run("sh", INSTALL, "--root", code=2).stderr.count("\n") == 1
    assert run("sh", INSTALL, "--root", "/", code=2).stderr.count("\n") == 1
    tool("systemctl")
    assert "is this a Raspberry Pi?" in run("sh", INSTALL, "--root", tmp_path, "--uart", code=1).stderr
    if os.geteuid() == 0 and shutil.which("setpriv"):
        done = run("setpriv", "--reuid=65534", "--clear-groups", "cat", INSTALL, code=None)
        if done.returncode == 0:
            done = run("setpriv", "--reuid=65534", "--clear-groups", "sh", INSTALL, code=1)
            assert done.stderr.startswith("install.sh: only root can install; run: sudo sh ")


def test_shellcheck() -> None:
    run(tool("shellcheck"), "--severity=style", INSTALL)


@pytest.fixture
def checkable(installed: Path) -> Path:
    """With a program in the place that the services start it from: systemd looks whether it is there."""
    program = installed / "opt/stibium/bin/stibium"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (installed / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nstibium:x:901:901::/:/bin/false\n")
    (installed / "etc/group").write_text("root:x:0:\nstibium:x:901:\ndialout:x:20:\n")
    return installed


@pytest.mark.parametrize("unit", ["stibium-watch.service", "stibium-listen@stibium-probe.service", "tmp.mount"])
def test_systemd_finds_nothing_wrong_with_a_unit(checkable: Path, unit: str) -> None:
    analyse = tool("systemd-analyze")
    # The targets that units refer to are not in the scratch root; this machine's own are linked in.
    for name in ("usr/lib/systemd/system", "lib/systemd/system"):
        if Path("/", name).is_dir():
            shutil.copytree(Path("/", name), checkable / name, symlinks=True)
    where = checkable / "etc/systemd/system"
    if "@" in unit:
        shutil.copy(where / "stibium-listen@.service", where / unit)
    done = run(analyse, "verify", "--recursive-errors=no", "--man=no", f"--root={checkable}", where / unit)
    assert done.stderr == ""
    # That it would have noticed.
    broken = where / unit
    broken.write_text(broken.read_text().replace("[Unit]", "[Unit]\nNoSuchSetting=1", 1))
    done = run(analyse, "verify", "--recursive-errors=no", "--man=no", f"--root={checkable}", where / unit, code=None)
    assert "NoSuchSetting" in done.stderr


@pytest.mark.parametrize(("unit", "most"), [(SERVICES[0], 1.0), (SERVICES[1], 2.0)])
def test_a_service_is_exposed_little(unit: str, most: float) -> None:
    done = run(tool("systemd-analyze"), "security", "--offline=yes", "--no-pager", FILES / unit, code=None)
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze is older than 250 and knows no --offline")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= most


@pytest.mark.parametrize("unit", SERVICES)
def test_what_a_service_runs_exists(unit: str) -> None:
    import click

    text = (FILES / unit).read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    program, name, *arguments = settings["ExecStart"].split()
    assert program == "/opt/stibium/bin/stibium"
    command = group.get_command(click.Context(group), name)
    assert command is not None
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {argument for argument in arguments if argument.startswith("-")} <= known
    variables = set(re.findall(r"\$\{?(\w+)", settings["ExecStart"]))
    given = {line.split("=")[0] for line in (FILES / "stibium.env").read_text().splitlines() if line[:1].isalpha()}
    assert variables <= given
    assert settings["User"] == "stibium"
    assert settings["Restart"] == "always"
    assert settings["Type"] == "notify"
    assert int(settings["WatchdogSec"]) >= 60


def test_users_and_folders(checkable: Path) -> None:
    sysusers, tmpfiles = tool("systemd-sysusers"), tool("systemd-tmpfiles")
    (checkable / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (checkable / "etc/group").write_text("root:x:0:\ndialout:x:20:\n")
    if os.geteuid() != 0:
        pytest.skip("only root can make users, in a scratch folder too")
    run(sysusers, f"--root={checkable}", "stibium.conf")
    (user,) = (line for line in (checkable / "etc/passwd").read_text().splitlines() if line.startswith("stibium:"))
    assert user.endswith(":/var/lib/stibium:/usr/sbin/nologin")
    groups = dict(line.split(":x:") for line in (checkable / "etc/group").read_text().splitlines())
    assert groups["dialout"].endswith(":stibium")
    for _ in range(2):
        run(tmpfiles, f"--root={checkable}", "--create", "stibium.conf")
        state = checkable / "var/lib/stibium"
        assert stat.S_IMODE(state.stat().st_mode) == 0o2770
        log = state / "readings.db"
        assert stat.S_IMODE(log.stat().st_mode) == 0o660
        assert log.stat().st_uid == int(user.split(":")[2])
        if log.stat().st_size == 0:
            log.write_bytes(b"readings")
    assert log.read_bytes() == b"readings"


def rules() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for path in sorted(FILES.glob("*.rules")):
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                yield line, re.findall(r'([A-Z]+(?:\{[^}]+\})?)(==|!=|\+=|=)"([^"]*)"', line)


def test_rules_name_adapters_in_lower_case_hexadecimal() -> None:
    labels, targets = set(), set()
    for line, tokens in rules():
        assert ", ".join(f'{key}{operator}"{value}"' for key, operator, value in tokens) == line
        for key, operator, value in tokens:
            if "id" in key and key.startswith("ATTR"):
                assert operator == "=="
                for pattern in value.split("|"):
                    assert re.fullmatch(r"[0-9a-f\[\]-]{4,}", pattern), line
            if key == "LABEL":
                labels.add(value)
            if key == "GOTO":
                targets.add(value)
    assert labels == targets


def test_what_is_recognised_gets_a_name() -> None:
    """Each USB device that `stibium ports` knows."""
    for path in FILES.glob("*.rules"):
        lines = [tokens for line, tokens in rules() if line in path.read_text()]
        for vendor, product in _USB:
            matching = [
                {key: value.split("|") for key, _, value in tokens}
                for tokens in lines
                if any("idVendor" in key and f"{vendor:04x}" in value.split("|") for key, _, value in tokens)
            ]
            assert matching, f"{vendor:04x} in {path.name}"
            if product is not None:
                products = [patterns.get("ATTRS{idProduct}", ["*"]) for patterns in matching]
                assert any(fnmatch(f"{product:04x}", pattern) for patterns in products for pattern in patterns)


def test_udev_reads_the_rules(tmp_path: Path) -> None:
    udevadm = tool("udevadm")
    if run(udevadm, "verify", "--help", code=None).returncode == 0:
        run(udevadm, "verify", *sorted(FILES.glob("*.rules")))
        return
    if os.geteuid() != 0 or run("unshare", "--mount", "true", code=None).returncode != 0:
        pytest.skip("this udevadm cannot verify rules, and none but root can put them before `udevadm test`")
    rules_now = tmp_path / "rules"
    shutil.copytree(FILES, rules_now, ignore=lambda _, names: [n for n in names if not n.endswith(".rules")])
    # In a mount namespace of its own, and for a device without a node: nothing of this machine is changed.
    script = f"mount --bind {rules_now} /etc/udev/rules.d && {udevadm} test --action=add /sys/class/net/lo 2>&1"

    def complaints() -> list[str]:
        done = run("unshare", "--mount", "sh", "-c", script, code=None)
        if "70-stibium.rules" not in done.stdout:
            pytest.skip(f"udevadm test does not work here: {done.stdout.strip()[-200:]}")
        return [line for line in done.stdout.splitlines() if re.search(r"stibium\S*\.rules:\d+", line)]

    assert complaints() == []
    broken = rules_now / "70-stibium.rules"
    broken.write_text(broken.read_text().replace("SYMLINK+=", "SIMLINK+=", 1))
    assert "Invalid key 'SIMLINK'" in complaints()[0]


def test_boot_settings_are_what_config_txt_allows() -> None:
    section, seen = "all", {}
    for line in (FILES / "config.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert value, line
        assert len(line) <= 98  # longer lines are cut off by the firmware
        seen.setdefault(section, []).append(key)
    assert set(seen) == {"pi3", "pi4", "pi02", "pi0w", "pi5", "all"}
    # The file ends in force for every model, as whatever follows it in config.txt expects.
    assert section == "all"


def test_readme_lists_every_file() -> None:
    text = (FILES / "README.md").read_text()
    for path in FILES.iterdir():
        if path.is_file() and path.name not in ("README.md", "__init__.py"):
            assert f"`{path.name}`" in text, path.name


def test_the_settings_that_matter_most_are_set() -> None:
    """By name, for a score may be bought with many small things."""
    for unit in SERVICES:
        done = run(tool("systemd-analyze"), "security", "--offline=yes", "--json=short", FILES / unit, code=None)
        if "unrecognized option" in done.stderr:
            pytest.skip("systemd-analyze is older than 250 and knows no --offline")
        found = {entry["json_field"]: entry["set"] for entry in json.loads(done.stdout)}
        for name in ("NoNewPrivileges", "ProtectSystem", "ProtectHome", "MemoryDenyWriteExecute", "UserOrDynamicUser"):
            matching = [value for key, value in found.items() if key.startswith(name)]
            assert matching == [True], (unit, name)
