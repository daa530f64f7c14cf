"""Files of spectra to `Spectrum` and back: one module per format, the content decides, not the extension.

What is not imported by name below is imported when it is first asked for: a device that reads one `.asd` should
not load the other formats.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    SpectrumFileError,
    StibiumError,
    TruncatedFileError,
    UnknownFormatError,
    UnusableSpectrumError,
)
from .spectrum import Position, Spectrum

if TYPE_CHECKING:
    from .ascii_table import read_ascii_table
    from .asd import read_asd
    from .asd_write import write_asd
    from .envi import read_envi
    from .library_write import write_ascii_table, write_envi
    from .read import iter_spectra, read_spectra
    from .spectral_evolution import read_spectral_evolution
    from .svc import read_svc
    from .table.read import iter_table, read_table
    from .table.write import write_table

__all__ = [
    "Position",
    "Spectrum",
    "SpectrumFileError",
    "StibiumError",
    "TruncatedFileError",
    "UnknownFormatError",
    "UnusableSpectrumError",
    "iter_spectra",
    "iter_table",
    "read_ascii_table",
    "read_asd",
    "read_envi",
    "read_spectra",
    "read_spectral_evolution",
    "read_svc",
    "read_table",
    "write_ascii_table",
    "write_asd",
    "write_envi",
    "write_table",
]

_MODULES = {
    "iter_spectra": "read",
    "iter_table": "table.read",
    "read_ascii_table": "ascii_table",
    "read_asd": "asd",
    "read_envi": "envi",
    "read_spectra": "read",
    "read_spectral_evolution": "spectral_evolution",
    "read_svc": "svc",
    "read_table": "table.read",
    "write_ascii_table": "library_write",
    "write_asd": "asd_write",
    "write_envi": "library_write",
    "write_table": "table.write",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
