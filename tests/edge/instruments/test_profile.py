"""Probe profiles: what is in the file is taken, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from stibium.edge.errors import ProfileError
from stibium.edge.instruments.profile import Profile, parse_profile, profile_names, read_profile


def test_the_shipped_profile_says_the_defaults() -> None:
    assert {"framed_serial", "fieldspec", "as7265x", "ascii_spectrometer"} <= set(profile_names())
    assert read_profile() == read_profile("framed_serial") == Profile()


def test_every_setting_stands_in_the_shipped_profile() -> None:
    import stibium.firmware_configs.probes as probes

    text = (Path(probes.__path__[0]) / "framed_serial.toml").read_text()
    profile = Profile()
    for section in (profile.serial, profile.measuring, profile.timeouts):
        for key, value in vars(section).items():
            assert f"{key} = {value}" in text
    for section in (profile.rules, profile.reference_material):
        for key, value in vars(section).items():
            shown = {str: f'"{value}"', tuple: str(list(value)) if isinstance(value, tuple) else ""}.get(
                type(value), value
            )
            assert f"{key} = {shown}" in text


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[serial]\nbaudrate = 921600\n[patience]\nquiet_s = 1\n')
    profile = read_profile(path)
    assert (profile.name, profile.serial.baudrate, profile.timeouts.quiet_s) == ("mine", 921600, 1.0)
    assert profile.timeouts.reply_s == Profile().timeouts.reply_s


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "nmae = 'x'",
            "unknown key nmae; known are name, protocol, serial, measuring, patience, rules, reference_material",
        ),
        ("[serial]\nbaud = 1", "unknown key serial.baud; known are baudrate"),
        ("[wifi]\nx = 1", "unknown key wifi"),
        ("[serial]\nbaudrate = '115200'", "serial.baudrate = '115200'; a whole number above 0"),
        ("[serial]\nbaudrate = 0", "serial.baudrate = 0; a whole number above 0"),
        ("[serial]\nbaudrate = 1e5", "a whole number"),
        ("[measuring]\npoints = true", "measuring.points = True; a whole number"),
        ("[measuring]\nscans = 70000", "at most 65535"),
        ("[patience]\nquiet_s = -1", "patience.quiet_s = -1; a number above 0"),
        ("[patience]\nquiet_s = nan", "a number above 0"),
        ("[patience]\nreplug_s = inf", "a number above 0"),
        ("serial = 3", "serial is no section; write [serial]"),
        ("name = 3", "name = 3; a text is needed"),
        ("name = ' '", "a text is needed"),
        ("protocol = 'modbus'", "protocol = 'modbus'; one of 'framed', 'fieldspec', 'ascii' is needed"),
        ("name = ", "not TOML"),
        ("rules = 1", "rules is no section; write [rules]"),
        ("[rules]\nwarmup_min = 1", "unknown key rules.warmup_min; known are warm_up_min"),
        ("[rules]\nwarm_up_min = -1", "rules.warm_up_min = -1; a number from 0"),
        ("[rules]\nnoise_most = true", "rules.noise_most = True; a number"),
        ("[rules]\nrepeats_most = 1.5", "rules.repeats_most = 1.5; a whole number"),
        ("[rules]\npanel_reflectance_file = 1", "a text is needed"),
        ("[reference_material]\nbands_nm = []", "a list of wavelengths in nm"),
        ("[reference_material]\nbands_nm = [2131, 1661]", "do not ascend"),
        ("[reference_material]\nsearch_nm = 0", "search_nm = 0; a number above 0"),
        (f"[serial]\nbaudrate = {'9' * 400}", "a whole number above 0 and at most 1.2e+07 bit/s is needed"),
        (f"[rules]\nnoise_most = {'9' * 400}", "rules.noise_most = 999"),
        (f"[serial]\nbaudrate = {'9' * 5000}", "a number with too many digits"),
        (f"[rules]\nnoise_most = {'[' * 5000}{']' * 5000}", "inside each other"),
        (f"name = {'[' * 90}{']' * 90}", "a text is needed"),
        (f"[reference_material]\nbands_nm = [{'9' * 400}]", "a list of wavelengths in nm"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_are_taken_and_zero_is_one_of_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[rules]\nwarm_up_min = 0\npanel_reflectance_file = "panel.txt"\n[reference_material]\nbands_nm = [1000]\n'
    )
    profile = read_profile(path)
    assert profile.rules.warm_up_min == 0.0
    assert profile.rules.panel_reflectance_file == str(tmp_path / "panel.txt")
    assert profile.reference_material.bands_nm == (1000.0,)
    assert profile.rules.noise_most == Profile().rules.noise_most


def test_profiles_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="nobody: no profile of that name; there are .*framed_serial"):
        read_profile("nobody")
    with pytest.raises(ProfileError, match="nope.toml: No such file"):
        read_profile(tmp_path / "nope.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="not a text file"):
        read_profile(binary)
