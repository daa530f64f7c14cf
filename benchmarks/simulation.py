"""Prints what docs/simulation.md states about the simulated soils: `python benchmarks/simulation.py [SOILS]`.

All of it is about simulated spectra. PLSR with inner settings fixed, five-fold cross-validation over soils, log10 ppm.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.signal import savgol_filter
from scipy.stats import spearmanr
from sklearn.cross_decomposition import PLSRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.model.steps import Absorbance, SpliceCorrection
from stibium.train.assays.published import ELEMENTS
from stibium.train.simulate.simulate import Simulated, simulate

NM = np.arange(350.0, 2501.0)
BANDS = {
    "visible shoulder 485 nm": (440, 570, 485),
    "Fe3+ 920 nm": (750, 1200, 920),
    "OH and water 1414 nm": (1360, 1540, 1414),
    "water 1912 nm": (1850, 2120, 1912),
    "Al-OH 2205 nm": (2125, 2250, 2205),
}


def band_depth(values: Floats, left_nm: int, right_nm: int, centre_nm: int) -> Floats:
    """1 - R / line between the shoulders, deepest within 20 nm of the centre."""
    left, right = values[:, left_nm - 350, None], values[:, right_nm - 350, None]
    inside = np.abs(NM - centre_nm) <= 20
    line = left + (right - left) * (NM[inside] - left_nm) / (right_nm - left_nm)
    depth: Floats = (1.0 - values[:, inside] / line).max(axis=1)
    return depth


def main() -> int:
    soils = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    for count in dict.fromkeys((107, soils)):
        start = time.perf_counter()
        simulated = simulate(count)
        points = simulated.reflectance()
        print(f"simulated: {count} soils x {simulated.points} points in {time.perf_counter() - start:.1f} s, seed 42")
        describe(simulated, points)
        print()
    return 0


def describe(simulated: Simulated, points: Floats) -> None:
    means = points.mean(axis=1)
    ppm = np.array([[float(text.lstrip(">")) for text in soil.reported_ppm] for soil in simulated.soils])
    print("reflectance, quantiles 5 25 50 75 95 %")
    for nm in (450, 700, 1000, 1650, 2120, 2450):
        print(
            f"  {nm:4d} nm  "
            + " ".join(f"{q:.3f}" for q in np.quantile(means[:, nm - 350], [0.05, 0.25, 0.5, 0.75, 0.95]))
        )
    print("depth of bands: lowest and highest quarter of Sb, Spearman's rho with Sb")
    low, high = np.quantile(ppm[:, 0], [0.25, 0.75])
    for name, band in BANDS.items():
        depth = band_depth(means, *band)
        quarters = depth[ppm[:, 0] <= low].mean(), depth[ppm[:, 0] >= high].mean()
        print(f"  {name:24s} {quarters[0]:.3f} {quarters[1]:.3f} {spearmanr(depth, ppm[:, 0])[0]:+.2f}")
    print(
        f"  {'mean level 400-2400 nm':24s}             {spearmanr(means[:, 50:2051].mean(axis=1), ppm[:, 0])[0]:+.2f}"
    )
    for join in (1000, 1800):
        step = points[:, :, join - 349] - points[:, :, join - 350]
        print(
            f"step at {join} nm, quantiles 5 50 95 %: "
            + " ".join(f"{q:+.4f}" for q in np.quantile(step, [0.05, 0.5, 0.95]))
        )
    # The fourth difference sees noise and nothing else; it has 70 times the variance of white noise.
    rough = np.diff(points[:, 0], 4, axis=1).std(axis=0) / np.sqrt(70.0)
    print(
        "noise between neighbouring channels: "
        + ", ".join(
            f"{a}-{b} nm {np.median(rough[a - 350 : b - 354]):.1e}"
            for a, b in ((350, 370), (500, 900), (1450, 1750), (2450, 2500))
        )
    )
    corrected = Absorbance().apply(SpliceCorrection().apply(means, NM, (1000.0, 1800.0)), NM)[:, 50:2051]
    derivative = savgol_filter(corrected, 31, 2, deriv=1, axis=1)
    print("PLSR on the derivative of absorbance, cross-validated R2 of log10 ppm: all soils, Sb up to 1000 ppm")
    components = 8 if len(ppm) < 300 else 20
    for column, element in enumerate(ELEMENTS):
        scores = []
        for rows in (ppm[:, 0] > 0, ppm[:, 0] <= 1000):
            folds = KFold(5, shuffle=True, random_state=42)
            target = np.log10(ppm[rows, column])
            model = PLSRegression(components, scale=False)
            found = cross_val_predict(model, derivative[rows] / derivative.std(), target, cv=folds)
            scores.append(r2_score(target, found.ravel()))
        print(f"  {element}  {scores[0]:+.2f}  {scores[1]:+.2f}   ({components} components)")


if __name__ == "__main__":
    sys.exit(main())
