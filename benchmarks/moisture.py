"""What water in a soil does to a model, and what corrections make of it: total carbon of 60 soils, dry, damp and wet.

    python benchmarks/moisture.py SOILS --water [--draws 20] [--first 0]
    python benchmarks/moisture.py SOILS [--draws 20] [--first 0] [--ways dry,alone,pairs,assayed,basis] [--method stack]
        [--full] [--others N] [--keep FILE] [--picture FILE]

SOILS is a table of spectra whose column condition (or comment: air-dried, wet, wet then one day of drying) says how each was
scanned, with total_carbon_pct. In each draw five soils are pairs, forty the calibration and the others the test: never the
same. `dry` is calibrated on dry scans only; `alone` also has the pairs, without laboratory values; `assayed` has
the calibration in all three conditions. With `pairs` or `basis`, or with --others N, 15 or N of the forty stand for the soils whose differences come with the
package: they are neither calibrated with nor tested, as these are nobody's soils. `pairs` has them beside the five, as
`stibium train --moisture-pairs TABLE` does, and `basis` has them alone, as it does with `shipped`. The answers of all draws are
pooled.
Figures are those of the trained network before its export. With --water nothing is trained: how many soils are called
wetter than the dry soils of a calibration, which no model has a part in.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from stibium.converters.spectra.spectrum import Condition, Spectrum
from stibium.edge.files import iter_spectra
from stibium.edge.model.applicability import assess
from stibium.edge.model.conditions import depths, why_not
from stibium.edge.model.interval import interval
from stibium.edge.model.target import within_range
from stibium.train.conditions import fit_conditions
from stibium.train.crossval.metrics import measure
from stibium.train.methods.mobilenetv2 import MobileNetV2
from stibium.train.methods.stack import Stack
from stibium.train.moisture import Differences, joined, pairs_of
from stibium.train.prepared import prepare
from stibium.train.samples import Samples
from stibium.train.training import Trained, TrainingOptions, train

STATES: tuple[Condition, ...] = ("dry", "damp", "wet")
IN_COMMENT: dict[str, Condition] = {"air-dried": "dry", "wet": "wet", "wet then one day of drying": "damp"}
PAIRS, CALIBRATION = 5, 40
OTHERS = 15
"""Of the forty, that stand for those whose differences come with the package."""
WAYS = ("dry", "alone", "pairs", "basis", "assayed")


class Pool:
    """Answers of all draws for one way and condition."""

    def __init__(self) -> None:
        self.predicted: list[float] = []
        self.measured: list[float] = []
        self.covered: list[bool] = []
        self.outside: list[bool] = []
        self.wetter: list[bool] = []

    def add(self, kept: dict[str, list]) -> None:
        """Add what one draw said."""
        for name, values in kept.items():
            getattr(self, name).extend(values)

    def line(self) -> str:
        """Figures, as the table has them."""
        p, y = np.array(self.predicted), np.array(self.measured)
        unit, logs = measure(p, y), measure(np.log10(p), np.log10(y))
        shares = (100 * float(np.mean(part)) for part in (self.covered, self.outside, self.wetter))
        texts = "".join(f"{share:10.0f} %" for share in shares)
        return f"{unit.r2:9.3f}{logs.r2:11.3f}{logs.bias:+12.3f}{texts}"

    def figures(self) -> tuple[float, float, float, float]:
        """R2, |bias| of log10, coverage and share outside."""
        p, y = np.array(self.predicted), np.array(self.measured)
        logs = measure(np.log10(p), np.log10(y))
        return logs.r2 or 0.0, abs(logs.bias), float(np.mean(self.covered)), float(np.mean(self.outside))


def read(path: str) -> tuple[dict[tuple[str, Condition], Spectrum], dict[str, float]]:
    """Read the soils, by name and condition, and their carbon."""
    soils: dict[tuple[str, Condition], Spectrum] = {}
    carbon = {}
    for item in iter_spectra([path]):
        if not isinstance(item, Spectrum):
            raise SystemExit(f"{item.source}: {item.reason}")
        condition = item.condition or IN_COMMENT.get(item.comment)
        if condition is None or "total_carbon_pct" not in item.extra:
            raise SystemExit(f"{item.source}: {item.sample_id} has no condition or no total_carbon_pct")
        soils[item.sample_id, condition] = replace(item, condition=condition)
        carbon[item.sample_id] = float(item.extra["total_carbon_pct"])
    return soils, carbon


def samples_of(spectra: list[Spectrum], carbon: dict[str, float]) -> Samples:
    """Put soils and values together."""
    return Samples(tuple(spectra), {s.sample_id: carbon[s.sample_id] for s in spectra}, "C", "%", sha256="benchmark")


def answer(trained: Trained, spectra: list[Spectrum], carbon: dict[str, float]) -> dict[str, list]:
    """Answer as a device would, the ground not said: the lists of a pool."""
    prepared = prepare(spectra, trained.recipe)
    outputs = trained.answer(prepared.features)
    water, clay = depths(prepared.reflectance, prepared.reflectance_nm)
    unfit, _ = why_not([""] * len(spectra), water, clay, trained.conditions)
    judged = assess(prepared, trained.domain, unfit)
    assert trained.interval is not None
    t2, q = (np.array([getattr(one, name) for one in judged]) for name in ("t2_over_limit", "q_over_limit"))
    low, high = (
        within_range(end, trained.transform, trained.calibrated_range)
        for end in interval(outputs, trained.interval, t2, q)
    )
    measured = [carbon[s.sample_id] for s in prepared.rows]
    return {
        "predicted": np.asarray(within_range(outputs, trained.transform, trained.calibrated_range)).tolist(),
        "measured": measured,
        "covered": [bool(a <= value <= b) for value, a, b in zip(measured, low, high, strict=True)],
        "outside": [one.verdict == "outside" for one in judged],
        "wetter": [bool(why) for why in unfit],
    }


def drawn(seed: int, carbon: dict[str, float]) -> list[str]:
    """Draw the order of the soils."""
    names = sorted(carbon)
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def named_wetter(seed: int, soils: dict[tuple[str, Condition], Spectrum], carbon: dict[str, float]) -> list[float]:
    """Give the shares of dry, damp and wet test soils that are called wetter than the dry calibration."""
    order = drawn(seed, carbon)
    calibration = [soils[name, "dry"] for name in order[PAIRS : PAIRS + CALIBRATION]]
    nm = calibration[0].wavelengths_nm
    stats = fit_conditions(calibration, np.stack([s.values for s in calibration]), nm)
    shares = []
    for state in STATES:
        test = np.stack([soils[name, state].values for name in order[PAIRS + CALIBRATION :]])
        why, _ = why_not([""] * len(test), *depths(test, nm), stats)
        shares.append(float(np.mean([bool(one) for one in why])))
    return shares


def one_draw(
    seed: int,
    way: str,
    method: Stack | MobileNetV2,
    soils: dict[tuple[str, Condition], Spectrum],
    carbon: dict[str, float],
    others: int,
) -> dict[str, dict[str, list]]:
    """Train in one way on one division of the soils, and answer: a pool's lists for each condition."""
    order = drawn(seed, carbon)
    divided = np.split(np.array(order), [PAIRS, PAIRS + CALIBRATION - others, PAIRS + CALIBRATION])
    paired, calibration, of_others, test = (part.tolist() for part in divided)

    def differences(names: list[str]) -> Differences:
        return pairs_of([soils[n, s] for n in names for s in STATES], "soils")

    learned = None
    if way in ("alone", "pairs"):
        learned = differences(paired)
    if way in ("pairs", "basis"):
        learned = joined(learned, differences(of_others)) if learned is not None else differences(of_others)
    states = STATES if way == "assayed" else ("dry",)
    spectra = [soils[name, state] for name in calibration for state in states]
    trained = train(
        samples_of(spectra, carbon), method, TrainingOptions(baselines=False, seed=seed), curve=False, pairs=learned
    )
    print(
        f"draw {seed}, {way}: {trained.model.chosen.rpartition('against water ')[2].partition(' (')[0]}",
        file=sys.stderr,
    )
    return {state: answer(trained, [soils[name, state] for name in test], carbon) for state in STATES}


def show(ways: list[str], pools: dict[tuple[str, str], Pool], draws: int, name: str, others: int) -> None:
    """Print the table, and each target with what came of it."""
    print(f"Total carbon, {draws} draws pooled, {name}: {CALIBRATION - others} calibration soils, {PAIRS} pairs")
    print(f"({others} other soils' differences in pairs and basis)\n" if others else "")
    print(
        f"{'way':9}{'ground':8}{'R2':>7}{'R2 log10':>11}{'bias log10':>12}{'covered':>12}{'outside':>12}{'wetter':>12}"
    )
    for way in ways:
        for state in STATES:
            print(f"{way:9}{state:6}{pools[way, state].line()}")
    print()
    for text, value, bound, below in targets(ways, pools):
        met = value <= bound if below else value >= bound
        print(f"{'met   ' if met else 'MISSED'}  {text}: {value:.3f} ({'at most' if below else 'at least'} {bound:g})")


def targets(ways: list[str], pools: dict[tuple[str, str], Pool]) -> list[tuple[str, float, float, bool]]:
    """Give each target: words, value, bound, and whether it is an upper one. R2 and bias are of log10."""
    found: list[tuple[str, float, float, bool]] = []
    alone = {state: pools["dry", state].figures() for state in STATES} if "dry" in ways else None
    for way in (way for way in ("alone", "pairs", "assayed") if way in ways):
        of = {state: pools[way, state].figures() for state in STATES}
        found += [(f"{way}: R2 of dry less that of {s}", of["dry"][0] - of[s][0], 0.05, True) for s in ("damp", "wet")]
        found.append((f"{way}: |bias| of damp less that of dry", of["damp"][1] - of["dry"][1], 0.05, True))
        if alone is not None:
            found.append((f"{way}: R2 of dry below that of the dry model", alone["dry"][0] - of["dry"][0], 0.01, True))
        for s in STATES:
            found.append((f"{way}: coverage of {s}", of[s][2], 0.83, False))
            found.append((f"{way}: coverage of {s}", of[s][2], 0.96, True))
        found.append((f"{way}: wet soils outside", of["wet"][3], 0.15, True))
    if "basis" in ways:
        found.append(("basis: R2 of wet", pools["basis", "wet"].figures()[0], 0.2, False))
        found.append(("basis: coverage of damp", pools["basis", "damp"].figures()[2], 0.83, False))
    if alone is not None:
        found.append(("dry model: wet soils named", float(np.mean(pools["dry", "wet"].wetter)), 0.85, False))
        found.append(("dry model: dry soils named wet", float(np.mean(pools["dry", "dry"].wetter)), 0.03, True))
    return found


TITLES = {
    "dry": "model of dry soils",
    "alone": "dry soils and five pairs",
    "pairs": "dry soils, pairs and others'",
    "assayed": "all three grounds assayed",
    "basis": "dry soils, others' differences",
}
COLOURS = {"dry": "#b5651d", "damp": "#4f8f5f", "wet": "#1f5fa8"}


def mark(state: str, x: float, y: float) -> str:
    """Draw a circle for dry, a cross for damp, a square for wet: colour alone would not tell."""
    colour = COLOURS[state]
    if state == "dry":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{colour}" fill-opacity="0.5"/>'
    if state == "damp":
        lines = f"M{x - 2.5:.1f} {y - 2.5:.1f}l5 5m0-5l-5 5"
        return f'<path d="{lines}" stroke="{colour}" stroke-opacity="0.7" fill="none"/>'
    return f'<rect x="{x - 2:.1f}" y="{y - 2:.1f}" width="4" height="4" fill="none" stroke="{colour}"/>'


def picture(path: Path, ways: list[str], pools: dict[tuple[str, str], Pool]) -> None:
    """Draw estimated over measured carbon, a panel a way, a mark a condition."""
    size, left, top = 240, 56, 30
    low, high = -1.2, 1.3

    def at(value: float) -> float:
        return (float(np.clip(np.log10(value), low, high)) - low) / (high - low) * size

    parts = []
    for number, way in enumerate(ways):
        x0 = left + number * (size + 30)
        parts.append(f'<text x="{x0}" y="{top - 10}">{TITLES[way]}</text>')
        parts.append(f'<rect x="{x0}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#999"/>')
        parts.append(f'<line x1="{x0}" y1="{top + size}" x2="{x0 + size}" y2="{top}" stroke="#999"/>')
        for tick in (0.1, 1, 10):
            parts.append(f'<text x="{x0 + at(tick):.0f}" y="{top + size + 16}" text-anchor="middle">{tick:g}</text>')
            if not number:
                y = top + size - at(tick) + 4
                parts.append(f'<text x="{x0 - 6}" y="{y:.0f}" text-anchor="end">{tick:g}</text>')
        for state in COLOURS:
            pool = pools[way, state]
            for p, y in zip(pool.predicted, pool.measured, strict=True):
                parts.append(mark(state, x0 + at(y), top + size - at(p)))
    foot = top + size + 38
    parts.append(f'<text x="{left}" y="{foot}">measured carbon, % (estimated: upwards);</text>')
    for number, (state, colour) in enumerate(COLOURS.items()):
        x = left + 300 + 70 * number
        parts.append(f'{mark(state, x - 9, foot - 4)}<text x="{x}" y="{foot}" fill="{colour}">{state}</text>')
    width = left + len(ways) * (size + 30)
    title = "Estimated over measured carbon of dry, damp and wet soils"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {foot + 12}" font-family="sans-serif" '
        f'font-size="13" role="img"><title>{title}</title><rect width="{width}" height="{foot + 12}" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> None:
    """Run the draws and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("soils")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="of the draws; settings were tuned on 0 to 19")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--method", choices=("stack", "mobilenetv2"), default="stack")
    parser.add_argument("--full", action="store_true", help="not with its fast settings")
    parser.add_argument("--others", type=int, help=f"soils; {OTHERS} with pairs or basis, else none")
    parser.add_argument("--keep", type=Path, help="file where draws are kept, and from which they are taken")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--water", action="store_true", help="only what is called wetter than a dry calibration")
    options = parser.parse_args()
    ways = options.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        parser.error(f"no such way: {unknown.pop()}; there are {', '.join(WAYS)}")
    needed = bool({"pairs", "basis"} & set(ways))
    others = OTHERS * needed if options.others is None else options.others
    if not needed <= others < CALIBRATION:
        parser.error(f"--others {others}: fewer than {CALIBRATION}, and pairs and basis need some")
    method = (Stack if options.method == "stack" else MobileNetV2)(fast=not options.full)
    soils, carbon = read(options.soils)
    if options.water:
        seeds = range(options.first, options.first + options.draws)
        shares = np.mean([named_wetter(seed, soils, carbon) for seed in seeds], axis=0)
        said = ", ".join(f"{100 * share:.1f} % of the {state}" for share, state in zip(shares, STATES, strict=True))
        print(f"called wetter than {CALIBRATION} dry soils, {options.draws} draws: {said}")
        return
    pools: dict[tuple[str, str], Pool] = defaultdict(Pool)
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    for seed in range(options.first, options.first + options.draws):
        for way in ways:
            key = f"{options.method}/{options.full}/{others}/{way}/{seed}"
            if key not in kept:
                kept[key] = one_draw(seed, way, method, soils, carbon, others)
                if options.keep:
                    options.keep.write_text(json.dumps(kept))
            for state in STATES:
                pools[way, state].add(kept[key][state])
    show(ways, pools, options.draws, f"{method.name}, {'full' if options.full else 'fast'}", others)
    if options.picture:
        picture(options.picture, ways, pools)


if __name__ == "__main__":
    main()
