"""One wrong byte or digit in a file of a spectrum: how often a number that is wrong comes out as one to trust.

Bounded and seeded. Also: how many of the good soils of all sets are refused when nothing is wrong with them.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import click
from soil_sets import SetUnavailableError
from stibium.converters.spectra.asd_write import pack_asd
from stibium.converters.spectra.library_write import write_ascii_table
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.files import read_file
from stibium.edge.model.estimate import Estimate
from tried_models import Tried, all_sets, real, shipped

OFF = 0.05
WRONG_BOUND, ALARM_BOUND = 0.003, 0.005
SEED, FILES = 11, 25
COUNTS = 20_000.0


def sed(spectrum: Spectrum) -> bytes:
    """A .sed as the instrument writes it: counts of white and target beside the reflectance."""
    pairs = zip(spectrum.wavelengths_nm.tolist(), spectrum.values.tolist(), strict=True)
    rows = [f"{nm:.1f}\t{COUNTS:.4E}\t{COUNTS * r:.4E}\t{100 * r:.4f}" for nm, r in pairs]
    head = ["Comment: ", "Version: 1.2", "Instrument: PSR-3500", "Measurement: REFLECTANCE", "Units: None"]
    head += [
        "Date: 05/16/2024,05/16/2024",
        "Time: 07:08:09,07:08:10",
        f"Channels: {len(rows)}",
        "Columns [4]:",
        "Data:",
    ]
    return "\n".join([*head, "Wvl\tRad. (Ref.)\tRad. (Target)\tReflect. %", *rows, ""]).encode()


def sig(spectrum: Spectrum) -> bytes:
    """A .sig as the instrument writes it."""
    pairs = zip(spectrum.wavelengths_nm.tolist(), spectrum.values.tolist(), strict=True)
    rows = [f"{nm:.1f}  {COUNTS:.2f}  {COUNTS * r:.2f}  {100 * r:.2f}" for nm, r in pairs]
    head = ["/*** Spectra Vista SIG Data ***/", "name= gr052024_003.sig", "instrument= HR: 1192022"]
    head += ["units= Counts, Counts", "time= 5/20/2024 3:04:05 PM, 5/20/2024 3:05:06 PM", "data= "]
    return "\n".join([*head, *rows, ""]).encode()


def _written(write: Callable[[str, Sequence[Spectrum]], object], name: str) -> Callable[[Spectrum], bytes]:
    def pack(spectrum: Spectrum) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            write(os.path.join(folder, name), [spectrum])
            return Path(folder, name).read_bytes()

    return pack


PACKED: dict[str, Callable[[Spectrum], bytes]] = {
    ".asd": pack_asd,
    ".sed": sed,
    ".sig": sig,
    ".txt": _written(write_ascii_table, "x.txt"),
    ".csv": _written(write_table, "x.csv"),
}


@dataclass
class Count:
    """What came of the damages of one format."""

    made: int = 0
    refused: int = 0
    not_trusted: int = 0
    wrong: int = 0


def damaged(content: bytes, is_text: bool, chance: random.Random) -> bytes:
    """Another digit in the place of one, or in a binary file another byte, half of the time of one bit."""
    changed = bytearray(content)
    if is_text:
        at = chance.choice([i for i, byte in enumerate(content) if 0x30 <= byte <= 0x39])
        changed[at] = chance.choice([d for d in b"0123456789" if d != content[at]])
        return bytes(changed)
    at = chance.randrange(len(content))
    changed[at] ^= 1 << chance.randrange(8) if chance.random() < 0.5 else chance.randrange(1, 256)
    return bytes(changed)


def tried(model: Tried, damages: int, folder: Path) -> dict[str, Count]:
    """Damage files of the model's soils and count what is answered."""
    chance = random.Random(SEED)
    soils = chance.sample(list(model.soils), min(FILES, len(model.soils)))
    counts = {name: Count() for name in PACKED}
    whole: dict[tuple[str, int], tuple[bytes, float] | None] = {}
    path = folder / "damaged"
    while sum(count.made for count in counts.values()) < damages:
        suffix, number = chance.choice(list(PACKED)), chance.randrange(len(soils))
        if (suffix, number) not in whole:
            content = PACKED[suffix](soils[number])
            path.with_suffix(suffix).write_bytes(content)
            (answer,) = model.answers(read_file(str(path.with_suffix(suffix))))
            good = isinstance(answer, Estimate) and answer.trusted
            whole[suffix, number] = (content, answer.value) if good and isinstance(answer, Estimate) else None
        known = whole[suffix, number]
        if known is None:
            if not any(whole.values()) and len(whole) == len(PACKED) * len(soils):
                raise SetUnavailableError(f"{model.name}: no soil is answered as trusted")
            continue
        path.with_suffix(suffix).write_bytes(damaged(known[0], suffix != ".asd", chance))
        count = counts[suffix]
        count.made += 1
        answers = model.answers(read_file(str(path.with_suffix(suffix))))
        estimates = [answer for answer in answers if isinstance(answer, Estimate)]
        count.refused += not estimates
        count.not_trusted += any(not answer.trusted for answer in estimates)
        count.wrong += any(abs(a.value / known[1] - 1) > OFF for a in estimates if a.trusted)
    return counts


def alarms(folder: Path) -> dict[str, tuple[int, int]]:
    """Soils of each set that cannot be read back from own tables and text, and how many there are."""
    found = {}
    for name, soils in all_sets().items():
        refused = 0
        for suffix in (".csv", ".txt"):
            path = folder / f"good{suffix}"
            (write_table if suffix == ".csv" else write_ascii_table)(path, soils)
            refused += sum(not isinstance(item, Spectrum) for item in read_file(str(path)))
            path.unlink()
        found[name] = (refused, 2 * len(soils))
    return found


@click.command(epilog="Example:  python benchmarks/damage.py --damages 400 --shipped-only")
@click.option("--damages", default=2000, show_default=True, type=click.IntRange(1, 100_000), help="For each model.")
@click.option("--shipped-only", is_flag=True, help="Train no model of real soils.")
@click.pass_context
def main(ctx: click.Context, damages: int, shipped_only: bool) -> None:
    """Print what comes of one damaged byte or digit; fails if more than 0.3 % are wrong and trusted."""
    within = True
    print(
        f"{damages} damages for each model: one byte in .asd, one digit in text; wrong is more than {100 * OFF:g} % off"
    )
    print(f"{'model':<10}{'file':<8}{'damages':>9}{'refused':>9}{'remarked':>10}{'wrong and trusted':>20}")
    with tempfile.TemporaryDirectory(prefix="stibium-bench-") as name:
        for make in (shipped,) if shipped_only else (shipped, real):
            try:
                model = make()
                counts = tried(model, damages, Path(name))
            except SetUnavailableError as error:
                print(f"left out: {error}")
                continue
            for suffix, count in counts.items():
                share = 100 * count.wrong / max(count.made, 1)
                print(
                    f"{model.name:<10}{suffix:<8}{count.made:>9}{count.refused:>9}{count.not_trusted:>10}"
                    f"{count.wrong:>11} ({share:.2f} %)"
                )
            wrong = sum(count.wrong for count in counts.values()) / damages
            within = within and wrong <= WRONG_BOUND
            print(
                f"{model.name:<10}all: {100 * wrong:.2f} % wrong and trusted, {100 * WRONG_BOUND:g} % is allowed",
                flush=True,
            )
        for set_name, (refused, of) in alarms(Path(name)).items():
            within = within and refused <= ALARM_BOUND * of
            print(f"good soils of {set_name}: {refused} of {of} refused")
    ctx.exit(0 if within else 1)


if __name__ == "__main__":
    sys.exit(main())
