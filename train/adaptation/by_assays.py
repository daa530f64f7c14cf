"""A model adapted by a few assayed samples of another site or instrument."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.bundle import Bundle
from ...edge.model.correction import Correction
from ...edge.model.lineage import Adaptation
from ...edge.model.target import forward, inverse, within_range
from ...edge.units import plain, shown_unit
from ..crossval.metrics import rms
from ..errors import TrainingDataError
from ..samples import Samples
from .adapted import Adapted, as_on_device, estimator_of, finish, on_grid_of, reach_of, require_room, usable
from .follow import correlation, following_conditions, following_domain, own_interval, own_range, with_own_detection
from .output import FEWEST, fit_output

JUDGED = "leave-one-out, around the choice"
MOST_TIMES, MOST_TIMES_OF_DECADES = 8.0, 30.0
"""By which assays may differ from the model's answers, of a target as it is and of one over decades; more is a unit."""


def adapt_by_assays(parent: Bundle, samples: Samples) -> Adapted:
    """Choose nothing, bias, or slope and bias by leave-one-out, and let interval, range, detection and domain follow.

    Args:
        parent: of the element and unit that the samples have.
        samples: a few, with laboratory values; each counts once, by the mean of its measurements.

    Raises:
        TrainingDataError: another element or unit, too few samples, or a value that has no place in the model's space.
    """
    samples.require_of(parent)
    samples.check_target(FEWEST, parent.transform)
    estimator, joins_nm = estimator_of(parent)
    spectra = as_on_device(samples.rows("average").spectra, joins_nm)
    kept, outputs, refused = usable(estimator, spectra, "--spectra", FEWEST)
    values = [samples.target[spectrum.sample_id] for spectrum in kept]
    measured = forward(np.array(values), parent.transform)
    reach = reach_of(estimator, kept)
    require_room(outputs, reach, parent.name)
    _require_likeness(parent, outputs, np.array(values))
    fitted = fit_output(outputs, measured)

    known = parent.correction
    correction = Correction(
        slope=fitted.slope * known.slope,
        intercept=fitted.intercept + fitted.slope * known.intercept,
        spectra=known.spectra,
    )
    n = len(kept)
    freedom = max(n - fitted.fitted, 1)
    stats = own_interval(parent, fitted.rmse, freedom, n)
    ends = inverse(fitted.intercept + fitted.slope * np.array(reach), parent.transform)
    stretched = fitted.kind == "slope and bias"
    calibrated_range = own_range(parent, values, stretched, (float(ends[0]), float(ends[1])))
    on_grid, _ = on_grid_of(parent, kept)
    domain, words = following_domain(parent, on_grid, "assayed samples")
    did = Adaptation(
        parent_sha256=parent.sha256,
        what=fitted.kind,
        samples=n,
        judged=JUDGED,
        before=rms(measured - outputs),
        after=fitted.rmse,
        tried=fitted.tried,
    )
    scatter = parent.replicates
    adapted = replace(
        parent,
        calibrated_range=calibrated_range,
        interval=stats,
        domain=domain,
        conditions=following_conditions(parent, [spectrum.condition for spectrum in kept], on_grid),
        replicates=scatter
        and scatter._replace(typical=scatter.typical * fitted.slope, limit=scatter.limit * fitted.slope),
    )
    adapted = with_own_detection(parent, adapted, freedom)
    to_unit = parent.transform, (-np.inf, np.inf)
    return Adapted(
        bundle=finish(parent, adapted, correction, did, kept),
        did=did,
        domain=words,
        samples=tuple(spectrum.sample_id for spectrum in kept),
        wanted=np.array(values),
        before=np.array(within_range(outputs, *to_unit)),
        after=np.array(within_range(measured - fitted.errors, *to_unit)),
        refused=(*samples.refused, *refused),
    )


def _require_likeness(parent: Bundle, outputs: Floats, values: Floats) -> None:
    """Refuse assays (n,) that have nothing to do with the model's outputs (n,): of another unit, or under wrong names.

    Raises:
        TrainingDataError: which of these it looks like.
    """
    said, known = float(np.median(inverse(outputs, parent.transform))), float(np.median(values))
    most = MOST_TIMES if parent.transform == "none" else MOST_TIMES_OF_DECADES
    if min(said, known) > 0 and not 1 / most < known / said < most:
        raise TrainingDataError(
            f"the assays of {parent.element} are {known / said:.3g} times what {parent.name} says of these samples "
            f"(medians {plain(known)} and {plain(said)} {shown_unit(parent.unit)}): are they in another unit? "
            "A model that is so far off cannot be shifted: train one on these samples"
        )
    if values.size > FEWEST:
        r, least = correlation(forward(values, parent.transform), outputs)
        if r < -least:
            raise TrainingDataError(
                f"samples that the laboratory calls rich are poor by {parent.name}, and the other way round "
                f"(r = {r:.2f}): do the names stand for the same samples in both?"
            )
