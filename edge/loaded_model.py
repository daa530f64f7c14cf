"""A model for those who write Python: the gates, the estimate and the record that `stibium predict` makes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby

import numpy as np

from ..converters.spectra.spectrum import Spectrum
from .engine import Engine, average_files, in_chunks
from .files import iter_spectra
from .gates.rules import DEFAULT_RULES
from .log.columns import StoredModel
from .log.records import record_of
from .model.bundle import Bundle, read_bundle, shipped_bundle_path
from .model.estimate import Estimator, Refusal
from .record import ReadingRecord
from .seen import Seen
from .units import shown_unit

Path = str | os.PathLike[str]


class Model:
    """A bundle, ready to answer. Not for use from several threads at once.

    Attributes:
        bundle: what was read: element, unit, calibrated range, where it comes from.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Load the network.

        Raises:
            BundleError: this device cannot load it.
        """
        self.bundle = bundle
        self._estimator = Estimator(bundle)

    def __repr__(self) -> str:
        return f"<Model {self.bundle.name}: {self.bundle.element} in {shown_unit(self.bundle.unit)}>"

    def estimate(
        self,
        spectra: Spectrum | Path | Iterable[Spectrum | Path],
        *,
        average: bool = False,
        gates: bool = True,
        stability: bool = False,
    ) -> list[ReadingRecord]:
        """Estimate, as `stibium predict` does; nothing is stored.

        Args:
            spectra: a spectrum, a file or a folder of spectra, or several of them. Wavelengths are in nm.
            average: estimate from the mean spectrum of each sample's neighbouring measurements.
            gates: refuse what is too noisy or uneven to be estimated from; without, each answer says so.
            stability: have every answer say how far it moves under faults that its instrument may have.

        Returns:
            One record a spectrum (a sample, if averaged), in order. What cannot be used has no `estimates` and says why
            in `reason`: one bad file or spectrum never stops the others. An estimate's `value` is None unless it may be
            used as it stands.

        Raises:
            TypeError: something else was given, such as an array, which has no wavelengths.
        """
        engine = Engine(self._estimator, None, DEFAULT_RULES if gates else None, stability=stability)
        known = StoredModel(self.bundle.sha256, self.bundle.name, *self.bundle.calibrated_range)
        items = _items(spectra)
        return [
            record_of(result, known)
            for chunk in in_chunks(average_files(items) if average else items)
            for result in engine.answer(chunk)
        ]


def load_model(path: Path | None = None) -> Model:
    """Load a model.

    Args:
        path: of a bundle; None for the one that STIBIUM_MODEL names, or the shipped one, which is SIMULATED.

    Raises:
        BundleError: no bundle, damaged, or not for this version.
    """
    return Model(read_bundle(shipped_bundle_path() if path is None else path))


def _items(spectra: Spectrum | Path | Iterable[Spectrum | Path]) -> Iterable[Spectrum | Refusal]:
    several = [spectra] if isinstance(spectra, (Spectrum, str, os.PathLike)) else spectra
    if not isinstance(several, Iterable) or isinstance(several, (bytes, np.ndarray)):
        raise _unknown(spectra)
    seen = Seen()
    # Files that follow each other together, as the two halves of an ENVI library.
    for kind, some in groupby(several, key=_kind):
        if kind is Spectrum:
            yield from map(seen.told, some)  # type: ignore[arg-type]
        else:
            yield from iter_spectra(some, seen)  # type: ignore[arg-type]


def _kind(one: object) -> type:
    for kind in (Spectrum, str, os.PathLike):
        if isinstance(one, kind):
            return Spectrum if kind is Spectrum else str
    raise _unknown(one)


def _unknown(given: object) -> TypeError:
    return TypeError(
        f"estimate takes a file, a folder, a Spectrum, or several of them, not {type(given).__name__}; of arrays make "
        'Spectrum(wavelengths_nm, values, "reflectance", name)'
    )
