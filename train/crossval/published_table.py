"""Table 3 of Carvalho et al. 2024 (Remote Sensing 16(11):1964) beside their network by their protocol here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..terminal import columns
from .validation import MethodScore, Validation


@dataclass(frozen=True)
class PublishedResult:
    """What the paper prints of one element.

    Attributes:
        r2: as printed; the paper does not say of which samples.
        training_rmse, validation_rmse, deviation: in ppm, as printed; the deviation is that of the grades (table 2).
        epochs: trained.
    """

    r2: float
    training_rmse: float
    validation_rmse: float
    deviation: float
    epochs: int

    @property
    def implied_r2(self) -> float:
        """R2 of validation that the printed RMSE and standard deviation imply."""
        return 1.0 - (self.validation_rmse / self.deviation) ** 2


TABLE_3 = {
    "Sb": PublishedResult(0.70, 0.0014, 173.0, 184.0, 1000),
    "As": PublishedResult(0.96, 0.01, 46.0, 156.0, 1000),
    "Pb": PublishedResult(0.83, 0.04, 20.0, 38.0, 750),
    "Mn": PublishedResult(0.93, 0.0006, 41.0, 123.0, 600),
    "Zn": PublishedResult(0.78, 0.0002, 18.0, 23.0, 1000),
}


def beside_table_3(validations: Sequence[Validation], method: str, simulated: bool) -> str:
    """Lay the paper's figures and ours out, and say in words how they differ; "" where they share no element.

    Args:
        validations: by the paper's protocol, with the error of training.
        method: name of their network among the methods.
        simulated: whether any of our spectra is.
    """
    pairs = [(v.name, TABLE_3[v.name], v[method]) for v in validations if v.name in TABLE_3 and _has(v, method)]
    if not pairs:
        return ""
    rows = []
    for name, printed, score in pairs:
        p, r2, training_r2, training, validation = printed, *_ours(score)
        rows.append(
            (
                name,
                "paper",
                f"{p.r2:.2f}",
                f"{p.implied_r2:.2f}",
                "-",
                f"{p.training_rmse:g}",
                f"{p.validation_rmse:g}",
                f"{p.epochs}",
            )
        )
        cells = (f"{r2:.2f}", f"{training_r2:.2f}", f"{training:.3g}", f"{validation:.3g}", _epochs(score))
        rows.append(("", "here", "-", *cells))
    heads = (
        "",
        "",
        "R2 printed",
        "R2 of validation",
        "R2 of training",
        "RMSE training (ppm)",
        "validation (ppm)",
        "epochs",
    )
    words = [_in_words(name, printed, score) for name, printed, score in pairs]
    title = "Table 3 of Carvalho et al. 2024 beside the same network and protocol on these samples"
    if simulated:
        title += ", whose spectra are SIMULATED"
    return "\n".join([f"{title}:", columns(heads, rows, between=3), "", *words])


def records_beside_table_3(validation: Validation, method: str) -> dict[str, Any] | None:
    """Give the same of one element as JSON values; None where the paper has no such element, or we no such method."""
    if validation.name not in TABLE_3 or not _has(validation, method):
        return None
    printed = TABLE_3[validation.name]
    r2, training_r2, training_rmse, validation_rmse = _ours(validation[method])
    ours = {"r2": r2, "training_r2": training_r2, "training_rmse": training_rmse, "validation_rmse": validation_rmse}
    return {"printed": asdict(printed) | {"implied_r2": printed.implied_r2}, "here": ours}


def _has(validation: Validation, method: str) -> bool:
    return any(score.method == method and score.training is not None for score in validation.scores)


def _ours(score: MethodScore) -> tuple[float, float, float, float]:
    assert score.training is not None
    found = (score.metrics["r2"].mean, score.training[0].mean, score.training[1].mean, score.metrics["rmse"].mean)
    r2, training_r2, training_rmse, rmse = (float("nan") if value is None else value for value in found)
    return r2, training_r2, training_rmse, rmse


def _epochs(score: MethodScore) -> str:
    """Give "best of all", as the network says in its choices."""
    said = score.chosen[0][0].split(";")[0]
    return said.removeprefix("epoch ")


def _in_words(name: str, printed: PublishedResult, score: MethodScore) -> str:
    r2, training_r2, _, rmse = _ours(score)
    said = (
        f"{name}: printed R2 {printed.r2:.2f}; the printed RMSE of {printed.validation_rmse:g} ppm at a standard "
        f"deviation of {printed.deviation:g} ppm means {printed.implied_r2:.2f} on validation. "
    )
    if abs(printed.r2 - printed.implied_r2) > 0.1:
        said += "Both cannot be of the same samples. "
    return said + f"Here: {r2:.2f} on validation (RMSE {rmse:.3g} ppm), {training_r2:.2f} on what it was fitted to."
