"""The FieldSpec's part of a probe profile."""

from __future__ import annotations

from pathlib import Path

import pytest
from stibium.edge.errors import ProfileError
from stibium.edge.instruments.profile import Profile, parse_profile, read_profile
from stibium.edge.instruments.profile_fieldspec import FieldSpecProfile


def test_the_shipped_profile_says_the_defaults_and_the_method_s_minutes() -> None:
    profile = read_profile("fieldspec")
    assert profile.protocol == "fieldspec"
    assert profile.fieldspec == FieldSpecProfile()
    assert profile.default_port == "socket://169.254.1.11:8080"
    assert (profile.measuring.scans, profile.measuring.points, profile.measuring.white_valid_min) == (40, 5, 30.0)
    assert profile.rules.warm_up_min == 15.0
    assert profile.rules.full_scale_dn == 65535.0


def test_every_setting_stands_in_the_shipped_profile() -> None:
    import stibium.firmware_configs.probes as probes

    text = (Path(probes.__path__[0]) / "fieldspec.toml").read_text()
    for key, value in vars(FieldSpecProfile()).items():
        assert f"{key} = " + (f'"{value}"' if isinstance(value, str) else f"{value}") in text


def test_other_profiles_have_no_such_part() -> None:
    assert Profile().fieldspec is None
    assert Profile().default_port is None
    with pytest.raises(ProfileError, match=r'\[fieldspec\] needs protocol = "fieldspec"'):
        parse_profile("[fieldspec]\nscan_s = 1", "my.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scan = 1", "unknown key fieldspec.scan; known are address, restore_s"),
        ("scan_s = 0", "a number above 0 and at most 3600 seconds is needed"),
        ("scan_s = true", "a number above 0 and at most 3600 seconds is needed"),
        ("scan_s = nan", "a number above 0 and at most 3600 seconds is needed"),
        ("scan_s = '1'", "a number above 0 and at most 3600 seconds is needed"),
        ("optimise_s = 1e9", "at most 3600"),
        ("address = '169.254.1.11'", "a port such as socket://169.254.1.11:8080 is needed"),
        ("address = 8080", "a port such as"),
        ("dark_drift = 'none'", "one of 'added', 'subtracted' is needed"),
        ("dark_drift = ['added']", "one of 'added', 'subtracted' is needed"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(f'protocol = "fieldspec"\n[fieldspec]\n{text}', "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_section_that_is_none_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"write \[fieldspec\]"):
        parse_profile('protocol = "fieldspec"\nfieldspec = 3', "my.toml")
