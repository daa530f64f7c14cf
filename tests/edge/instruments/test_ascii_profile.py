"""The [ascii] part of a profile: what is in it is taken, what cannot be is refused in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from stibium.edge.errors import ProfileError
from stibium.edge.instruments.profile import parse_profile, read_profile
from stibium.edge.instruments.profile_ascii import Commands, CommandStep, Integration, Lamp, Wavelengths
from stibium.edge.protocols.ascii_lines import LineMarks, ValuesFormat

GOOD = """
protocol = "ascii"
[ascii]
ok = "OK"
[ascii.commands]
acquire = "SCAN {scans}"
[ascii.wavelengths]
nm = [400, 500]
"""


def test_the_example_shows_every_key() -> None:
    import importlib.resources

    from stibium.firmware_configs import probes

    text = importlib.resources.files(probes).joinpath("ascii_spectrometer.toml").read_text()
    for section in (LineMarks, Commands, Integration, Lamp, ValuesFormat, Wavelengths):
        for key in section.__dataclass_fields__:
            assert f"{key} = " in text, key


def test_the_document_names_every_key_and_the_defaults() -> None:
    text = (Path(__file__).parents[3] / "docs" / "ascii_spectrometers.md").read_text()
    for section in (LineMarks, Commands, Integration, Lamp, ValuesFormat, Wavelengths):
        for key in section.__dataclass_fields__:
            assert re.search(rf"[`.]{key}`", text), key
    for key, default in [*vars(LineMarks()).items(), *vars(ValuesFormat()).items()]:
        row = next(line for line in text.splitlines() if line.startswith("| `") and f"`{key}`" in line.split("|")[1])
        said = json.dumps(default) if isinstance(default, str) else f"{default:g}" if default != () else "[]"
        assert said in row.split("|")[2], row


def test_the_example_is_read() -> None:
    profile = read_profile("ascii_spectrometer")
    settings = profile.ascii
    assert settings is not None
    assert (profile.serial.baudrate, settings.line.line_end) == (9600, "\r\n")
    assert settings.commands.identify == CommandStep("ID?", "EX-2048")
    assert settings.commands.init == (CommandStep("TRIG SOFT"), CommandStep("MODE?", "SINGLE"))
    assert settings.lamp.on == ("LAMP 1",)
    assert len(settings.wavelengths_nm) == 2048
    assert settings.wavelengths_nm[0] == 352.0
    assert settings.wavelengths_nm[1000] == pytest.approx(352 + 1050 - 1.5 + 0.3)


def test_least_that_makes_an_instrument() -> None:
    settings = parse_profile(GOOD, "x").ascii
    assert settings is not None
    assert settings.wavelengths_nm == (400.0, 500.0)
    assert settings.line.framing == "8N1"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("ok =", "okay ="), "unknown key ascii.okay; known are framing"),
        (("[ascii.commands]", "[ascii.comands]"), "unknown key ascii.comands"),
        (("acquire =", "aquire ="), "unknown key ascii.commands.aquire"),
        (('acquire = "SCAN {scans}"', ""), "acquire is missing"),
        (("{scans}", "{n}"), "acquire may hold {scans} and no other braces"),
        (("nm = [400, 500]", ""), "wavelengths come from exactly one of"),
        (("nm = [400, 500]", "nm = [400, 500]\npolynomial = [1, 2]\npixels = 5"), "exactly one of"),
        (("nm = [400, 500]", "nm = [400, 400]"), "a wavelength comes twice"),
        (("nm = [400, 500]", "nm = [400]"), "1 bands"),
        (("nm = [400, 500]", "nm = [-400, 500]"), "-400 nm is no wavelength"),
        (("nm = [400, 500]", "nm = ['x', 500]"), "ascii.wavelengths.nm[1] = 'x'; a number"),
        (("nm = [400, 500]", "polynomial = [400, 1, -0.01]\npixels = 200"), "turns back"),
        (("nm = [400, 500]", "polynomial = [400, 1]"), "needs pixels"),
        (("nm = [400, 500]", "nm = [400, 500]\nfirst_pixel = 1"), "first_pixel needs polynomial"),
        (('ok = "OK"', 'framing = "9N1"'), "ascii.framing = '9N1'; one of"),
        (('ok = "OK"', 'line_end = ";"'), "ascii.line_end = ';'; one of"),
        (('ok = "OK"', "longest_line = 0"), "from 16 to"),
        (('ok = "OK"', 'ok = "OK\\n"'), "without line ends"),
        (('ok = "OK"', 'ok = "Ω"'), "ASCII characters"),
        (('ok = "OK"', 'ok = "E"\nerror = "E"'), "ok and ascii.error are the same"),
        (('ok = "OK"', 'ok = ""\n[ascii.lamp]\non="1"\noff="0"'), "need ascii.ok"),
        (("[ascii.wavelengths]", '[ascii.lamp]\non = "L"\n[ascii.wavelengths]'), "both on and off"),
        (("[ascii.wavelengths]", '[ascii.values]\ndark = "lamp_off"\n[ascii.wavelengths]'), "needs ascii.lamp"),
        (
            ("[ascii.wavelengths]", '[ascii.values]\ndelivers = "percent"\ndark = "cover"\n[ascii.wavelengths]'),
            "dark is for counts",
        ),
        (
            ("[ascii.wavelengths]", '[ascii.values]\ndelivers = "percent"\nsaturation = 5\n[ascii.wavelengths]'),
            "saturation is for counts",
        ),
        (("[ascii.wavelengths]", '[ascii.values]\nseparator = ""\n[ascii.wavelengths]'), "separator is empty"),
        (("[ascii.wavelengths]", "[ascii.values]\nvalue_column = 2\n[ascii.wavelengths]"), "needs lines"),
        (("[ascii.wavelengths]", '[ascii.values]\nlines = "per_band"\nskip = 2\n[ascii.wavelengths]'), "use value_column"),
        (("[ascii.wavelengths]", "[ascii.values]\nskip = 1.5\n[ascii.wavelengths]"), "a whole number"),
        (("[ascii.wavelengths]", "[ascii.values]\nskip = true\n[ascii.wavelengths]"), "a whole number"),
        (("[ascii.wavelengths]", '[ascii.integration]\ncommand = "I"\nms = 5\n[ascii.wavelengths]'), "{value}"),
        (("[ascii.wavelengths]", "[ascii.integration]\nms = 5\n[ascii.wavelengths]"), "both command and ms"),
        (
            ("[ascii.wavelengths]", '[ascii.integration]\ncommand = "I{value}"\nms = 1\nunit_ms = 9\n[ascii.wavelengths]'),
            "less than one unit_ms",
        ),
        (("[ascii.wavelengths]", 'init = [""]\n[ascii.wavelengths]'), "an empty command"),
        (("[ascii.wavelengths]", "init = [5]\n[ascii.wavelengths]"), "init[1]: write"),
        (("[ascii.wavelengths]", 'init = [{ sent = "x" }]\n[ascii.wavelengths]'), "init[1]: write"),
        (("[ascii.wavelengths]", 'init = "AT"\n[ascii.wavelengths]'), "a list is needed"),
        (('protocol = "ascii"', ""), '[ascii] needs protocol = "ascii"'),
        (('[ascii.commands]\nacquire = "SCAN {scans}"', "commands = 3"), "ascii.commands is no section"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change: tuple[str, str], says: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_protocol_without_its_section() -> None:
    with pytest.raises(ProfileError, match="acquire is missing"):
        parse_profile('protocol = "ascii"', "my.toml")
