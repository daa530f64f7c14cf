"""Training and simulating from Python: what `stibium train`, `export` and `simulate` do, in one call each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..converters.spectra.errors import StibiumError
from ..edge.loaded_model import Model, load_model
from .errors import TrainingDataError, require_training_side

Place = str | os.PathLike[str]


def train_model(
    spectra: Place | Sequence[Place],
    assays: Place,
    element: str,
    out: Place,
    *,
    method: str = "",
    fast: bool = False,
    seed: int = 42,
    force: bool = False,
    leave_out_refused: bool = False,
) -> Model:
    """Train one element's model, validate it, and write the bundle that a device answers with.

    Args:
        spectra: files and folders of reflectance spectra (wavelengths in nm).
        assays: table of laboratory values, a sample id first; joined by it.
        element: column of the assays, such as "Sb" for `Sb_ppm`.
        out: bundle to write. The run with all that is known of the training is kept beside it, in a folder of the same
            name that ends in ".run"; interrupted, the same call goes on from there.
        method: of the registry (`stibium train --help` lists them); "" for the default one.
        fast: a first look: fewer settings, one repeat.
        seed: the same data and seed give the same model.
        force: overwrite a run that is whole.
        leave_out_refused: train without the spectra that a device would refuse for noise, steps or scatter.

    Returns:
        The model, loaded from `out`.

    Raises:
        StibiumError: no training side is installed, or no model can be made of these data; the line says why.
    """
    require_training_side()
    from ..converters.models.parity import check_parity
    from ..edge.model.bundle import write_bundle
    from .assays.table import read_assay_table
    from .crossval.cache import KeptFits
    from .formats import export_smallest
    from .methods.registry import DEVICE_METHODS
    from .run import CHECKPOINT, FITS, check_run_folder, load_run, remove_if_empty, save_run
    from .samples import held_as_on_device, load
    from .training import TrainingOptions, train

    if method and method not in DEVICE_METHODS:
        raise TrainingDataError(f"there is no method {method!r}; there are {', '.join(DEVICE_METHODS)}")
    chosen = DEVICE_METHODS[method or next(iter(DEVICE_METHODS))](fast=fast)
    run = Path(f"{os.fspath(out)}.run")
    check_run_folder(run, force)
    options = TrainingOptions(seed=seed)
    several = [spectra] if isinstance(spectra, (str, os.PathLike)) else spectra
    try:
        known = read_assay_table(os.fspath(assays)).assays(element)
        samples = load([os.fspath(one) for one in several], known, chosen.range_nm)
        samples = held_as_on_device(samples, options.replicates, chosen.range_nm, leave_out_refused)
    except StibiumError:
        remove_if_empty(os.fspath(run))
        raise
    kept = KeptFits(run / FITS)
    save_run(run, train(samples, chosen, options, kept, checkpoint=run / CHECKPOINT))
    formats, exported = export_smallest(load_run(run))
    check_parity(exported.parity, formats.chosen, chosen.formats)
    write_bundle(out, exported.bundle)
    return load_model(out)


def simulate_soils(folder: Place, samples: int | None = None, *, points: int = 5, seed: int = 42) -> int:
    """Write SIMULATED contact-probe spectra of soils, one `.asd` file a point, and their assays.

    Args:
        folder: to write; `assays.csv` and a folder `spectra` come to lie in it.
        samples: soils; None for the 107 published analyses.
        points: measuring points a soil.
        seed: the same seed gives the same files.

    Returns:
        How many spectra were written.

    Raises:
        StibiumError: no training side is installed, or the folder holds something else.
    """
    require_training_side()
    from .simulate.files import write_simulation
    from .simulate.simulate import simulate

    return write_simulation(os.fspath(folder), simulate(samples, points, seed), "asd")
