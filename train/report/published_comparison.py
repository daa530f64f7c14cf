"""The published network beside baselines, on its own split."""

from __future__ import annotations

from collections.abc import Callable

from ..calibration_set import from_joined
from ..crossval.cache import KeptFits, key_of, plan_digest
from ..crossval.folds import paper_split
from ..crossval.validation import FoldResult, Progress, Validation, cross_validate
from ..methods.baselines import PartialLeastSquares, RandomForest, SupportVectors
from ..methods.published import PublishedNetwork
from ..training import Trained

CHOSEN = "stopped by the error on these very samples: optimistic"


def compare_published(
    trained: Trained,
    fast: bool,
    kept: KeptFits,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Validation:
    """Fit the baselines to the network's training samples, and hold them against its validation samples.

    Args:
        trained: the published network.
        fast: smaller grids for the baselines.
        kept: where fits of an interrupted run are, and where each is written as soon as it is done.
        progress: called after each fit.

    Raises:
        TrainingDataError: data that no baseline can be made from.
    """
    joined = trained.joined
    data = from_joined(joined, trained.settings.replicates)
    plan = paper_split(data.samples, (42,))
    (fold,) = plan.repeats[0]
    said: dict[str, list[float]] = {}
    for spectrum, value in zip(trained.held_out, trained.held_out_predicted, strict=True):
        said.setdefault(spectrum.sample_id, []).append(float(value))
    # Rows come in the same order there and here: samples as the assays have them, measurements as they were read.
    ours = [said[data.samples[row]].pop(0) for row in fold.test]
    network = PublishedNetwork(fast)
    known = FoldResult(network.name, 0, 0, tuple(ours), CHOSEN, 0.0)
    key = key_of(f"{joined.element} {plan_digest(plan, joined.sha256)}", data, fast)

    def keep(done: Progress) -> None:
        kept.keep(key, 0, done.result)
        progress(done)

    return cross_validate(
        [network, PartialLeastSquares(fast), SupportVectors(fast), RandomForest(fast)],
        data,
        plan,
        progress=keep,
        known=[known, *kept.known(key, (0,))],
    )
