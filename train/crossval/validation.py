"""Methods held against soils that they have not seen: the same folds for all, everything chosen inside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.units import plain, shown_unit
from ...edge.workers import OneProcess, Workers
from ..errors import TrainingDataError
from ..samples import Samples
from .decision import BY, DecideBy, share_of_logarithms, unexplained
from .folds import Fold, Folds
from .metrics import FIGURES, Metrics, measure
from .rows import TrainingRows

METRICS = tuple(key for _, key, _ in FIGURES)
R2_LOG10 = "r2_log10"
"""R2 of the logarithms, where values are skewed: in their unit a few rich samples decide."""


class Predictor(Protocol):
    """A trained model.

    It may have an attribute `chosen: str`, its choices in a few words for people.
    """

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's own unit, within the calibrated range.

        Args:
            reflectance: (n, bands) as a fraction, on the wavelengths that the method was given.
        """


class Method(Protocol):
    """A way of making a model."""

    @property
    def name(self) -> str:
        """For people, such as "PLSR"."""

    def fit(self, rows: TrainingRows) -> Predictor:
        """Make a model.

        Raises:
            TrainingDataError: data that no model can be made from.
        """


@dataclass(frozen=True)
class FoldResult:
    """What one fit gave.

    Attributes:
        method: its name.
        repeat, fold: counted from 0.
        predicted: of the fold's test rows, in their order and in the target's unit.
        chosen: the choices the method made, in words; "" if it does not say.
        seconds: that fit and prediction took.
        training_r2, training_rmse: on the rows fitted to; None where nobody asked.
        with_faults: of the same rows, spoilt in several ways, one list each; () if not asked.
    """

    method: str
    repeat: int
    fold: int
    predicted: tuple[float, ...]
    chosen: str
    seconds: float
    training_r2: float | None = None
    training_rmse: float | None = None
    with_faults: tuple[tuple[float, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the result as JSON values."""
        return {**asdict(self), "predicted": list(self.predicted)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FoldResult:
        """Read what `to_dict` gave."""
        spoilt = tuple(tuple(row) for row in data.get("with_faults", ()))
        return cls(**{**data, "predicted": tuple(data["predicted"]), "with_faults": spoilt})


@dataclass(frozen=True)
class FitProgress:
    """How far a validation has come.

    Attributes:
        done, total: fits.
        result: of the fit just done; kept by a caller, it need not be done again.
        remaining_s: expected, from the seconds that each method has taken so far.
    """

    done: int
    total: int
    result: FoldResult
    remaining_s: float

    def __str__(self) -> str:
        return f"{self.done} of {self.total} fits, about {minutes(self.remaining_s)} left"


def minutes(seconds: float) -> str:
    """Write a duration as minutes and seconds, such as 1:05."""
    whole, rest = divmod(round(seconds), 60)
    return f"{whole}:{rest:02d}"


@dataclass(frozen=True)
class Spread:
    """A figure over repeats.

    Attributes:
        mean: of the repeats that have the figure; None if none has.
        sd: standard deviation (n - 1) between them; None with fewer than two.
        values: of each repeat, None where the data cannot give it.
    """

    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread:
        """Describe the values of the repeats."""
        kept = tuple(values)
        found = [v for v in kept if v is not None]
        return cls(
            float(np.mean(found)) if found else None, float(np.std(found, ddof=1)) if len(found) > 1 else None, kept
        )


@dataclass(frozen=True)
class ClassError:
    """Error within a class of grade, `low` <= laboratory value < `high`; the last class includes its end.

    Attributes:
        low, high: in the target's unit; None for no bound.
        n: rows of this class that were predicted.
        rmse, bias: in the target's unit, over repeats.
    """

    low: float | None
    high: float | None
    n: int
    rmse: Spread
    bias: Spread

    def words(self) -> str:
        """Say which grades it holds, such as "from 14 to 19"."""
        if self.low is None:
            return "all" if self.high is None else f"below {plain(self.high)}"
        return f"from {plain(self.low)}" + ("" if self.high is None else f" to {plain(self.high)}")


@dataclass(frozen=True)
class MethodScore:
    """How well one method did.

    Attributes:
        method: its name.
        predicted: repeats of n values in the target's unit, None where a repeat leaves a row untested.
        metrics: by the names of `metrics.Metrics`, each over repeats; within a repeat all folds' predictions together.
            `R2_LOG10` besides, without a mean unless values are above zero and skewed (`decision.share_of_logarithms`).
        by_class: error by class of grade, ascending.
        chosen: choices of every fit, repeat by repeat.
        seconds: spent on all fits.
        training: R2 and RMSE on the rows fitted to, over all fits; None where nobody asked.
        with_faults: R2 of the first repeat as it is, and of the same rows spoilt in several ways; () if not asked.
    """

    method: str
    predicted: tuple[tuple[float | None, ...], ...]
    metrics: dict[str, Spread]
    by_class: tuple[ClassError, ...]
    chosen: tuple[tuple[str, ...], ...]
    seconds: float
    training: tuple[Spread, Spread] | None = None
    with_faults: tuple[float | None, ...] = ()


Spoil = Callable[[Floats, Floats, tuple[float, ...], int], Sequence[Floats]]
"""Gives reflectance (n, bands) as faults of an instrument would make it, for wavelengths, detector joins and a seed."""


@dataclass(frozen=True)
class Validation:
    """Methods on the same folds.

    Attributes:
        folds: what was done, for people.
        name, unit: of the target.
        samples: n names.
        groups: n labels as text, or None.
        measured: n laboratory values.
        scores: one a method, in the order given.
        conditions: n, of the ground; () where nobody said any.
        decide_by: what the best of them is chosen by.
    """

    folds: str
    name: str
    unit: str
    samples: tuple[str, ...]
    groups: tuple[str, ...] | None
    measured: tuple[float, ...]
    scores: tuple[MethodScore, ...]
    conditions: tuple[str, ...] = ()
    decide_by: DecideBy = "both"

    def __getitem__(self, method: str) -> MethodScore:
        for score in self.scores:
            if score.method == method:
                return score
        raise KeyError(method)

    def best(self, names: Iterable[str] | None = None) -> MethodScore:
        """Give the method, among `names` or all, that leaves least unexplained by what the user decides by."""
        wanted = None if names is None else set(names)
        candidates = [s for s in self.scores if wanted is None or s.method in wanted]
        return min(candidates, key=self.unexplained)

    @property
    def decided_by(self) -> str:
        """What the best method is chosen by, in words."""
        return BY[self.decide_by]

    def unexplained(self, score: MethodScore) -> float:
        """Give a method's loss, as all choices are made by it; see `decision.unexplained`."""
        said = np.array([[np.nan if v is None else v for v in repeat] for repeat in score.predicted])
        measured = np.broadcast_to(np.array(self.measured), said.shape)
        losses = [
            unexplained(row[tested], known[tested], self.decide_by)
            for row, known, tested in zip(said, measured, np.isfinite(said), strict=True)
            if tested.any()
        ]
        return float(np.mean(losses)) if losses else np.inf

    def of_condition(self, condition: str, method: str) -> Metrics | None:
        """Measure a method on the rows of ground in one condition, all repeats together; None if there are none."""
        here = np.array([said == condition for said in self.conditions], dtype=bool)
        if not here.any():
            return None
        rows = [[np.nan if v is None else v for v in repeat] for repeat in self[method].predicted]
        predicted = np.array(rows)[:, here]
        known = np.broadcast_to(np.array(self.measured)[here], predicted.shape)
        tested = np.isfinite(predicted)
        return measure(predicted[tested], known[tested]) if tested.any() else None

    def to_dict(self) -> dict[str, Any]:
        """Give the result as JSON values."""
        return asdict(self)


def cross_validate(
    methods: Sequence[Method],
    data: Samples,
    folds: Folds,
    *,
    progress: Callable[[FitProgress], None] = lambda progress: None,
    known: Iterable[FoldResult] = (),
    of_training: bool = False,
    decide_by: DecideBy = "both",
    spoil: Spoil | None = None,
    workers: Workers | None = None,
) -> Validation:
    """Predict what is left out, with every method, from what is not.

    A method gets the training rows of a fold and nothing else; it also gets their groups, or where all are of one
    group their samples, so that its own inner folds part what the outer ones part.

    Args:
        methods: of different names.
        data: spectra and values.
        folds: made for these rows.
        progress: called after each fit.
        known: results of earlier fits on the same data and folds, which are taken as they are.
        of_training: whether the error on the rows fitted to is wanted too.
        decide_by: what the best method is chosen by; the methods themselves are told when they are made.
        spoil: makes faults of the rows left out in the first repeat, for how well methods bear them.
        workers: who does the fits; None for this process.

    Raises:
        TrainingDataError: training rows that no model can be made from.
        ValueError: folds of other data, no methods, or two of one name.
    """
    names = [method.name for method in methods]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"methods {names}: at least one is needed, and each name once")
    if folds.n != len(data):
        raise ValueError(f"folds of {folds.n} rows for {len(data)}; make them for the same data")
    tested = np.unique(np.concatenate([fold.test for repeat in folds.repeats for fold in repeat]))
    limits = quartiles(data.measured[tested])
    plan = [(r, i, fold) for r, repeat in enumerate(folds.repeats) for i, fold in enumerate(repeat)]
    for r, i, fold in plan:
        _check_fold(data, fold, f"repeat {r + 1}, fold {i + 1}")
    done = {
        (result.method, result.repeat, result.fold): result
        for result in known
        if result.method in names
        and not (of_training and result.training_r2 is None)
        and not (spoil and result.repeat == 0 and not result.with_faults)
    }
    total = len(plan) * len(methods)
    # Fold by fold rather than method by method: the time that remains is known early.
    workers = workers or OneProcess()
    fits = Fits(tuple(methods), TrainingRows.by_sample(data), folds, of_training, spoil)
    missing = [(m, r, i) for r, i, _ in plan for m, name in enumerate(names) if (name, r, i) not in done]
    for result in workers(fits, missing, in_order=False):
        done[result.method, result.repeat, result.fold] = result
        remaining = _remaining_s(done.values(), names, len(plan)) / min(workers.width, max(1, total - len(done)))
        progress(FitProgress(len(done), total, result, remaining))
    return Validation(
        folds=folds.description,
        name=data.element,
        unit=data.unit,
        samples=data.names,
        groups=None if data.row_groups is None else tuple(map(str, data.row_groups)),
        measured=tuple(data.measured.tolist()),
        scores=tuple(_score(name, done, data, folds, limits) for name in names),
        conditions=tuple(s.condition for s in data.spectra) if any(s.condition for s in data.spectra) else (),
        decide_by=decide_by,
    )


def _check_fold(data: Samples, fold: Fold, where: str) -> None:
    if not (fold.training.size and fold.test.size):
        raise ValueError(f"{where} has {fold.training.size} training and {fold.test.size} test rows")
    target = data.measured[fold.training]
    if target.min() == target.max():
        raise TrainingDataError(
            f"the {target.size} training samples of {where} all have {data.element} {target[0]:g} "
            f"{shown_unit(data.unit)}; use fewer folds or other groups"
        )


def on_one_thread() -> AbstractContextManager[Any]:
    """Let linear algebra form its sums on one thread."""
    # Of the training side's libraries; which methods there are is known without them.
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


@dataclass(frozen=True, eq=False)
class Fits:
    """Work that can be spread: one method on one fold, named by its number, repeat and fold."""

    methods: tuple[Method, ...]
    data: TrainingRows
    folds: Folds
    of_training: bool
    spoil: Spoil | None

    def __call__(self, one: tuple[int, int, int]) -> FoldResult:
        """Fit, and predict what is left out, on one thread: sums then come out the same whoever forms them."""
        number, repeat, fold = one
        method = self.methods[number]
        spoil = self.spoil if repeat == 0 else None
        rows = self.folds.repeats[repeat][fold]
        with on_one_thread():
            return _fit(method, self.data, rows, self.folds, repeat, fold, self.of_training, spoil)


def _fit(
    method: Method,
    data: TrainingRows,
    fold: Fold,
    folds: Folds,
    repeat: int,
    number: int,
    of_training: bool,
    spoil: Spoil | None,
) -> FoldResult:
    inside = [folds.keys[row] for row in fold.training]
    # Where all are of one group, their samples are kept together.
    groups = inside if len(set(inside)) > 1 else None
    start = time.monotonic()
    try:
        predictor = method.fit(data.take(fold.training, groups=groups, seed=folds.seed + 1000 * repeat + number))
        predicted = np.asarray(predictor.predict(data.reflectance[fold.test]), dtype=np.float64)
    except TrainingDataError as error:
        raise TrainingDataError(f"{method.name}, repeat {repeat + 1}, fold {number + 1}: {error}") from error
    if predicted.shape != fold.test.shape or not np.isfinite(predicted).all():
        raise ValueError(f"{method.name} gave no finite number for each of {fold.test.size} rows")
    chosen = str(getattr(predictor, "chosen", ""))
    result = FoldResult(method.name, repeat, number, tuple(predicted.tolist()), chosen, time.monotonic() - start)
    if spoil is not None:
        spoilt = spoil(data.reflectance[fold.test], data.wavelengths_nm, data.splices_nm, folds.seed + number)
        said = [np.asarray(predictor.predict(rows), dtype=np.float64).tolist() for rows in spoilt]
        result = replace(result, with_faults=tuple(map(tuple, said)))
    if not of_training:
        return result
    seen = measure(predictor.predict(data.reflectance[fold.training]), data.target[fold.training])
    return replace(result, training_r2=seen.r2, training_rmse=seen.rmse)


def _remaining_s(results: Iterable[FoldResult], names: Sequence[str], fits: int) -> float:
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for result in results:
        seconds[result.method].append(result.seconds)
    known = [float(np.mean(taken)) for taken in seconds.values() if taken]
    # A method that has not had its turn is taken for an average one.
    return sum((fits - len(t)) * float(np.mean(t) if t else np.mean(known)) for t in seconds.values())


def quartiles(target: Floats) -> Floats:
    """Give the bounds between classes of grade, (3,) or fewer; a class has its lower bound."""
    quartiles = np.unique(np.quantile(target, [0.25, 0.5, 0.75]))
    # Where a quarter of the grades are the lowest there is, nothing lies below that quartile.
    return np.asarray(quartiles[quartiles > target.min()])


def _score(
    name: str, done: dict[tuple[str, int, int], FoldResult], data: Samples, folds: Folds, limits: Floats
) -> MethodScore:
    predicted = np.full((len(folds.repeats), len(data)), np.nan)
    chosen, seconds, fits = [], 0.0, []
    for r, repeat in enumerate(folds.repeats):
        results = [done[name, r, i] for i in range(len(repeat))]
        for fold, result in zip(repeat, results, strict=True):
            if len(result.predicted) != fold.test.size:
                raise ValueError(f"an earlier result of {name} does not fit repeat {r + 1}; it was of other folds")
            predicted[r, fold.test] = result.predicted
        chosen.append(tuple(result.chosen for result in results))
        seconds += sum(result.seconds for result in results)
        fits += results
    figures = [_measure(row, data.measured, np.ones(len(data), dtype=bool)) for row in predicted]
    classes = []
    tested = ~np.isnan(predicted).all(axis=0)
    for i in range(limits.size + 1):
        inside = (np.searchsorted(limits, data.measured, side="right") == i) & tested
        found = [_measure(row, data.measured, inside) for row in predicted]
        classes.append(
            ClassError(
                float(limits[i - 1]) if i else None,
                float(limits[i]) if i < limits.size else None,
                int(inside.sum()),
                Spread.of(None if m is None else m.rmse for m in found),
                Spread.of(None if m is None else m.bias for m in found),
            )
        )
    return MethodScore(
        method=name,
        predicted=tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in predicted),
        metrics={key: Spread.of(None if m is None else getattr(m, key) for m in figures) for key in METRICS}
        | {R2_LOG10: Spread.of(_r2_log10(row, data.measured) for row in predicted)},
        by_class=tuple(classes),
        chosen=tuple(chosen),
        seconds=seconds,
        training=(Spread.of(fit.training_r2 for fit in fits), Spread.of(fit.training_rmse for fit in fits))
        if any(fit.training_rmse is not None for fit in fits)
        else None,
        with_faults=_with_faults([done[name, 0, i] for i in range(len(folds.repeats[0]))], folds.repeats[0], data),
    )


def _with_faults(results: Sequence[FoldResult], repeat: Sequence[Fold], data: Samples) -> tuple[float | None, ...]:
    """Give R2 of a repeat as it is, and with each fault; () unless all of its folds have them."""
    if not all(result.with_faults for result in results):
        return ()
    known = np.concatenate([data.measured[fold.test] for fold in repeat])
    of_each = zip(*((result.predicted, *result.with_faults) for result in results), strict=True)
    return tuple(measure(np.concatenate(parts), known).r2 for parts in of_each)


def _r2_log10(predicted: Floats, target: Floats) -> float | None:
    tested = ~np.isnan(predicted)
    if share_of_logarithms(target) == 0 or not tested.any() or predicted[tested].min() <= 0:
        return None
    return measure(np.log10(predicted[tested]), np.log10(target[tested])).r2


def _measure(predicted: Floats, target: Floats, wanted: NDArray[np.bool_]) -> Metrics | None:
    tested = wanted & ~np.isnan(predicted)
    return measure(predicted[tested], target[tested]) if tested.any() else None
