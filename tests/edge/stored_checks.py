"""A log of one jar that was measured again and again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.log.columns import ReadingFacts, SampleKind
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator


def stored(
    path: Path,
    bundle: Bundle,
    soil: Spectrum,
    values: Sequence[float],
    name: str = "jar",
    kind: SampleKind = "reference",
) -> Path:
    """Store a reading of a control for each value, and two that belong on no chart."""
    (answer,) = Estimator(bundle).estimate([soil])
    assert isinstance(answer, Estimate)
    about = ReadingFacts(sample_kind=kind)
    with Log(path, bundle.name, bundle.sha256) as log:
        for value in values:
            estimate = answer._replace(sample_id=name, value=value, bound="")
            log.add([Result(soil, estimate, about)])
        # A soil is no check soil, and one without a plain value is on no chart.
        log.add([Result(soil, answer._replace(value=1e5, bound=""))])
        log.add([Result(soil, answer._replace(sample_id=name, value=1e5, bound=">"), about)])
    return path
