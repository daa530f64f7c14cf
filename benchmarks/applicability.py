"""What docs/applicability.md states: whose spectra are refused, how often intervals hold, how long a verdict takes."""

from __future__ import annotations

import os
import sys
from time import perf_counter

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
from applicability_sets import Survey, foreign, measured_worse, read_other_range, surveys, two_soils
from intervals import Split, report
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.model.applicability import ApplicabilityDomain, assess
from stibium.edge.model.recipe import Preprocessed
from stibium.edge.model.suitability import require_reflectance
from stibium.train.applicability import fit_domain

SPLITS = (42, 43, 44, 45, 46)
REFUSED_BOUND, CAUGHT_BOUND = 0.05, 0.95
FEW = (20, 30, 60)
SHIFTS_NM = (3, 5)
SOILS = "left-out soils"


def outside(survey: Survey, reflectance: Floats, domain: ApplicabilityDomain) -> Floats:
    """Say of spectra on the survey's grid which are outside: (n,) of 0 and 1."""
    preprocessed = Preprocessed(reflectance, survey.recipe.grid_nm, reflectance, reflectance, survey.recipe.grid_nm)
    return np.array([j.verdict == "outside" for j in assess(preprocessed, domain)], dtype=float)


def split(n: int, seed: int) -> Split:
    """Two thirds to calibrate, one third left out."""
    order = np.random.default_rng(seed).permutation(n)
    return order[n // 3 :], order[: n // 3]


def shares_outside(survey: Survey, soils: Floats, others: dict[str, Floats]) -> dict[str, float]:
    """Share called outside, over the splits, of left-out soils and of what does not belong to them."""
    shares: dict[str, list[Floats]] = {}
    for seed in SPLITS:
        rng = np.random.default_rng(seed)
        training, left_out = split(len(soils), seed)
        domain = fit_domain(soils[training], survey.recipe.grid_nm, training.tolist()).stats
        theirs = {SOILS: soils[left_out], f"{SOILS}, measured worse": measured_worse(soils[left_out], rng)}
        nm = survey.recipe.grid_nm
        for by_nm in SHIFTS_NM:
            moved = [np.interp(nm - by_nm, nm, soil) for soil in soils[left_out]]
            theirs[f"{SOILS}, shifted by {by_nm} nm"] = np.stack(moved)
        for name, values in (theirs | foreign(survey.recipe, soils[training], rng)).items():
            shares.setdefault(name, []).append(outside(survey, values, domain))
        other = [outside(survey, values, domain) for values in others.values()]
        shares.setdefault("soils of the other surveys", []).append(np.concatenate(other))
        for few in FEW:
            fewer = fit_domain(soils[training[:few]], survey.recipe.grid_nm, training[:few].tolist()).stats
            shares.setdefault(f"{SOILS}, {few} calibrate", []).append(outside(survey, soils[left_out], fewer))
    shares["range of another instrument"] = [other_range(survey)]
    return {name: float(np.concatenate(found).mean()) for name, found in shares.items()}


def other_range(survey: Survey) -> Floats:
    """Say which spectra of another instrument's range are refused."""
    refused = []
    for spectrum in read_other_range(survey):
        try:
            require_reflectance(spectrum, survey.recipe.range_nm)
            refused.append(0.0)
        except UnsuitableSpectrumError:
            refused.append(1.0)
    return np.array(refused)


def on_grid(survey: Survey, of: Survey) -> Floats:
    """Give another survey's soils on this one's grid, as far as they reach; what they lack is kept constant."""
    return np.stack([np.interp(survey.recipe.grid_nm, of.wavelengths_nm, row) for row in of.reflectance])


def print_domain(found: list[Survey], soils: dict[str, Floats]) -> bool:
    """Print shares called outside; True if they are within bounds."""
    tables = {
        survey.name: shares_outside(
            survey, soils[survey.name], {other.name: on_grid(survey, other) for other in found if other is not survey}
        )
        for survey in found
    }
    print(f"share called outside, per cent; two thirds of a survey calibrate, {len(SPLITS)} splits")
    print(f"{'':<40}" + "".join(f"{name:>15}" for name in tables))
    within = True
    for name in dict.fromkeys(name for shares in tables.values() for name in shares):
        cells = "".join(f"{100 * shares[name]:>15.1f}" for shares in tables.values())
        print(f"{name:<40}{cells}")
        if name == SOILS:
            within &= max(shares[name] for shares in tables.values()) <= REFUSED_BOUND
        elif not name.startswith(SOILS) and not name.startswith("soils of"):
            within &= min(shares[name] for shares in tables.values()) >= CAUGHT_BOUND
    return within


def print_two_instruments(survey: Survey, soils: Floats) -> None:
    """Print what a calibration makes of the same two soils on two makers' instruments."""
    domain = fit_domain(soils, survey.recipe.grid_nm, range(len(soils))).stats
    for name, values in two_soils(survey.recipe).items():
        for i, judged in enumerate(
            assess(Preprocessed(values, survey.recipe.grid_nm, values, values, survey.recipe.grid_nm), domain)
        ):
            print(
                f"soil {i + 1} on {name} against {survey.name}: {judged.verdict}, "
                f"T2 {judged.t2_over_limit:.2f}, Q {judged.q_over_limit:.2f}; {judged.reason}"
            )


def print_speed(survey: Survey, soils: Floats) -> None:
    """Print time and size of a verdict."""
    domain = fit_domain(soils, survey.recipe.grid_nm, range(len(soils))).stats
    values = np.resize(soils, (64, soils.shape[1]))
    batch = Preprocessed(values, survey.recipe.grid_nm, values, values, survey.recipe.grid_nm)
    times = []
    for _ in range(50):
        begin = perf_counter()
        assess(batch, domain)
        times.append((perf_counter() - begin) / len(values))
    size = 4 * sum(a.size for a in vars(domain).values() if isinstance(a, np.ndarray))
    print(f"verdict: {1000 * np.median(times):.3f} ms a spectrum in batches of {len(values)}; {size / 1000:.1f} kB")


def main() -> bool:
    """Print the tables; True if verdict and coverage are within bounds."""
    found = list(surveys())
    soils = {s.name: s.recipe.preprocess(s.reflectance, s.wavelengths_nm, s.splices_nm).reflectance for s in found}
    within = print_domain(found, soils)
    print()
    print_two_instruments(found[0], soils[found[0].name])
    print_speed(found[0], soils[found[0].name])
    real = [survey for survey in found if survey.targets]
    if real:
        print()
        splits = {s.name: {seed: split(len(s.reflectance), seed) for seed in SPLITS} for s in real}
        within &= report(real, soils, splits)
    return within


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
