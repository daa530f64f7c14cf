"""Antimony in soil from reflectance spectra: what stibium promises to those who use it from Python.

From a file to an estimate:

    import stibium

    model = stibium.load_model()
    for reading in model.estimate("soils/"):
        print(reading.sample_id, reading.estimates[0].shown if reading.estimates else reading.reason)

The names in `__all__` and what they take and return stay as they are for all versions of one major number; one that
has to change is kept and warns for a year. Everything else in this package may change from one version to the next.
What a record holds is documented in docs/records.md. A name is imported when it is first used: `import stibium` costs
a device next to nothing, and what the training side needs is asked for by `train_model` and `simulate_soils` only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stibium.converters.spectra.errors import StibiumError
    from stibium.converters.spectra.read import read_spectra
    from stibium.converters.spectra.spectrum import Spectrum
    from stibium.edge import __version__
    from stibium.edge.loaded_model import Model, load_model
    from stibium.edge.record import EstimateRecord, ReadingRecord
    from stibium.train.desk import simulate_soils, train_model

__all__ = [
    "EstimateRecord",
    "Model",
    "ReadingRecord",
    "Spectrum",
    "StibiumError",
    "__version__",
    "load_model",
    "read_spectra",
    "simulate_soils",
    "train_model",
]

_MODULES = {
    "EstimateRecord": "edge.record",
    "Model": "edge.loaded_model",
    "ReadingRecord": "edge.record",
    "Spectrum": "converters.spectra.spectrum",
    "StibiumError": "converters.spectra.errors",
    "__version__": "edge",
    "load_model": "edge.loaded_model",
    "read_spectra": "converters.spectra.read",
    "simulate_soils": "train.desk",
    "train_model": "train.desk",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"stibium.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
