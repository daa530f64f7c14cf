"""Does the exported model answer as the trained one did? The same spectra through both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ...edge.model.bundle import Bundle
from ...edge.model.estimate import Estimate, Estimator
from ...edge.model.target import inverse
from ...edge.units import shown_unit
from ..spectra.spectrum import Floats, Spectrum
from .errors import ParityError

LIMIT = 0.10
"""An export whose RMSE is more than this share above the trained model's is broken, not merely rounded: unscaled
inputs, or batch statistics that were never learned, show here first."""

DIFFERENCE_LIMIT = 0.5
"""Likewise if the two models differ by more than this share of the trained model's own error: errors that happen to
cancel on these spectra do not make an export sound."""


@dataclass(frozen=True)
class Parity:
    """Trained model and exported file on the same n spectra, in the element's unit.

    Attributes:
        n: spectra with a laboratory value.
        unit: of all figures but shares.
        float_rmse, exported_rmse: against the laboratory values.
        rmse_of_difference, largest_difference: between the two models' answers.
        distinct_answers: how many different values the exported model gives to these spectra.
        unseen: True if the model was not trained on these spectra.
    """

    n: int
    unit: str
    float_rmse: float
    exported_rmse: float
    rmse_of_difference: float
    largest_difference: float
    distinct_answers: int
    unseen: bool = True

    @property
    def added(self) -> float:
        """RMSE added by the export, as a share of the trained model's RMSE; negative if it came out better."""
        return (self.exported_rmse - self.float_rmse) / self._rmse

    @property
    def difference_share(self) -> float:
        """RMSE between the two models, as a share of the trained model's RMSE."""
        return self.rmse_of_difference / self._rmse

    @property
    def _rmse(self) -> float:
        # A model without any error leaves no share to speak of; the smallest float keeps a difference visible.
        return max(self.float_rmse, float(np.finfo(np.float64).tiny))

    def to_dict(self) -> dict[str, float | int | str]:
        """Give the figures as JSON values."""
        return asdict(self) | {"added": self.added, "difference_share": self.difference_share}

    def table(self) -> str:
        """Lay the report out for people."""

        def line(name: str, value: float, share: float | None = None) -> str:
            text = f"  {name:<34}{value:>12.4g} {shown_unit(self.unit)}"
            return text if share is None else f"{text:<56}{100 * share:>+9.2f} % of the model's RMSE"

        rows = "validation" if self.unseen else "calibration"
        return "\n".join(
            [
                f"Parity on {self.n} {rows} spectra, trained model against exported file in this device's runtime",
                line("RMSE, trained model", self.float_rmse),
                line("RMSE, exported file", self.exported_rmse),
                line("RMSE added", self.exported_rmse - self.float_rmse, self.added),
                line("RMSE between the two", self.rmse_of_difference, self.difference_share),
                line("largest difference", self.largest_difference),
                f"  {'distinct answers':<34}{self.distinct_answers:>12} of {self.n}",
            ]
        )


def device_answers(bundle: Bundle, spectra: Sequence[Spectrum]) -> Floats:
    """Estimate (n,) values in the unit in this device's runtime, by the way every estimate takes.

    Raises:
        ParityError: the device refuses a spectrum that the model was made with.
    """
    exported = []
    for spectrum, answer in zip(spectra, Estimator(bundle).estimate(spectra), strict=True):
        if not isinstance(answer, Estimate):
            raise ParityError(f"{spectrum.source}: the exported model refuses it: {answer.reason}")
        exported.append(answer.value)
    return np.array(exported)


def trained_answers(bundle: Bundle, outputs: Floats) -> Floats:
    """Give (n,) values in the unit for what the trained network answered in the transform's space."""
    return np.clip(inverse(outputs, bundle.transform), *bundle.calibrated_range)


def compare(
    bundle: Bundle, spectra: Sequence[Spectrum], measured: Floats, outputs: Floats, unseen: bool = True
) -> Parity:
    """Run spectra through a bundle in this device's runtime, by the way every estimate takes.

    Args:
        bundle: as it would be written.
        spectra: n.
        measured: (n,) laboratory values, in the unit.
        outputs: (n,) what the trained network answered, in the transform's space.
        unseen: whether it was not trained on these spectra.

    Raises:
        ParityError: the device refuses a spectrum that the model was made with.
    """
    device, trained = device_answers(bundle, spectra), trained_answers(bundle, outputs)
    return Parity(
        n=len(device),
        unit=bundle.unit,
        float_rmse=_rmse(trained - measured),
        exported_rmse=_rmse(device - measured),
        rmse_of_difference=_rmse(device - trained),
        largest_difference=float(np.abs(device - trained).max()),
        distinct_answers=int(np.unique(device).size),
        unseen=unseen,
    )


def check_parity(parity: Parity, quantisation: str, formats: Sequence[str]) -> None:
    """Refuse an export that is broken.

    Args:
        parity: of the export.
        quantisation: its format.
        formats: that the network has, from small to large.

    Raises:
        ParityError: `LIMIT` or `DIFFERENCE_LIMIT` is passed; the line says by how much and what to do.
    """
    if parity.added <= LIMIT and parity.difference_share <= DIFFERENCE_LIMIT:
        return
    # Floats round next to nothing: what is wrong then is wrong before the export.
    rounding = quantisation not in ("float32", "float16")
    finer = list(formats[formats.index(quantisation) + 1 :]) if rounding and quantisation in formats else []
    advice = (
        f"export as {' or '.join(finer)}, or train longer"
        if finer
        else "train longer (the network's batch statistics may not have settled)"
    )
    raise ParityError(
        f"{quantisation} adds {100 * parity.added:.1f} % to the model's RMSE (at most {100 * LIMIT:g} %) and differs "
        f"from it by {100 * parity.difference_share:.0f} % of that (at most {100 * DIFFERENCE_LIMIT:g} %): {advice}"
    )


def _rmse(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))
