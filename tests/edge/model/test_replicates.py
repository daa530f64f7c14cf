"""Several points of one sample: their mean is answered, their scatter told."""

from __future__ import annotations

import io
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from record_check import read_records
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.cli.readings import Readings
from stibium.edge.engine import Engine, average_samples
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.interval import IntervalStats
from stibium.edge.model.replicates import MeanSpectrum, ReplicateStats, mean_spectrum
from stibium.edge.model.target import DetectionStats, forward
from stibium.edge.record import in_figures


def only(answers: list) -> Estimate:
    (answer,) = answers
    assert isinstance(answer, Estimate), answer
    return answer


def points_of(soil: Spectrum, gains: list[float]) -> list[Spectrum]:
    """Points of a sample that differ in shape, so that the network answers differently."""
    bump = np.exp(-(((soil.wavelengths_nm - 2200) / 30) ** 2))
    return [
        replace(soil, values=soil.values * (1 + gain * bump), sample_id="S", measurement=f"{i:05d}", source=f"S{i}.asd")
        for i, gain in enumerate(gains)
    ]


def test_the_mean_keeps_its_points(soils: list[Spectrum]) -> None:
    points = points_of(soils[0], [0.0, 0.02, 0.04])
    (mean,) = average_samples(points)
    assert isinstance(mean, MeanSpectrum)
    assert mean.points == tuple(points)
    assert (mean.sample_id, mean.measurement, mean.source) == ("S", "mean of 3", "S0.asd and 2 more")
    np.testing.assert_allclose(mean.values, np.mean([p.values for p in points], axis=0), rtol=1e-12)
    assert mean.splices_nm == points[0].splices_nm
    (single,) = average_samples(points[:1])
    assert single is points[0]


def test_the_answer_is_the_means_and_the_points_are_told(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    points = points_of(soils[0], [-0.05, 0.0, 0.05])
    estimator = Estimator(shipped_bundle)
    mean = mean_spectrum(points)
    plain = Spectrum(mean.wavelengths_nm, mean.values, "reflectance", "S", splices_nm=mean.splices_nm, simulated=True)
    answer = only(estimator.estimate([mean]))
    singly = [only(estimator.estimate([point])).value for point in points]
    assert answer.value == pytest.approx(only(estimator.estimate([plain])).value, rel=1e-6)
    assert answer.points == 3
    assert answer.points_low == pytest.approx(min(singly), rel=1e-6)
    assert answer.points_high == pytest.approx(max(singly), rel=1e-6)
    alone = only(estimator.estimate(points[:1]))
    assert (alone.points, alone.points_low, alone.scatter_over_limit) == (1, None, None)


def test_scatter_beyond_the_calibrations_widens_and_flags(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    points = points_of(soils[2], [-0.3, 0.0, 0.3])
    mean = mean_spectrum(points)
    wide = replace(shipped_bundle, calibrated_range=(1e-9, 1e9), domain=None)
    values = [only(Estimator(wide).estimate([p])).value for p in points]
    sd = float(np.std(forward(np.array(values), wide.transform), ddof=1))
    assert sd > 1e-3

    def answer(typical: float, limit: float) -> Estimate:
        return only(Estimator(replace(wide, replicates=ReplicateStats(typical, limit, ""))).estimate([mean]))

    quiet, loud = answer(sd, 2 * sd), answer(sd / 4, sd / 2)
    assert quiet.scatter_over_limit == pytest.approx(0.5, rel=1e-3)
    assert loud.scatter_over_limit == pytest.approx(2.0, rel=1e-3)
    assert not any("scatter" in flag for flag in quiet.flags)
    assert "the 3 points scatter more than usual (2.0 times the limit): measure again" in loud.flags
    assert quiet.low is not None
    assert loud.low is not None
    assert quiet.high is not None
    assert loud.high is not None
    assert loud.low < quiet.low < quiet.high < loud.high
    assert not loud.trusted


def test_points_that_cannot_be_used_alone_are_named(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    points = points_of(soils[0], [0.0, 0.01, 0.02])
    dark = replace(points[1], values=np.where(soils[0].wavelengths_nm == 900, -0.01, points[1].values))
    answer = only(Estimator(shipped_bundle).estimate([mean_spectrum([points[0], dark, points[2]])]))
    assert answer.points == 3
    assert any(f.startswith("1 of 3 points cannot be used alone: reflectance -0.01 at 900 nm") for f in answer.flags)
    assert answer.scatter_over_limit is not None


def test_a_point_outside_is_flagged_where_the_mean_is_inside(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    assert shipped_bundle.domain is not None
    points = [replace(s, sample_id="S") for s in (soils[0], soils[0], soils[0])]
    spread = [1.0, 1.0, 40.0]
    bump = np.sin(soils[0].wavelengths_nm / 8) * 2e-4
    points = [replace(p, values=p.values * (1 + gain * bump)) for p, gain in zip(points, spread, strict=True)]
    judged = [only(Estimator(shipped_bundle).estimate([p])) for p in (*points, mean_spectrum(points))]
    q = [j.q_over_limit for j in judged]
    assert q[2] > q[3]
    between = float(np.sqrt(q[2] * q[3]))
    domain = replace(shipped_bundle.domain, q_limit=shipped_bundle.domain.q_limit * between, t2_limit=1e9)
    answer = only(Estimator(replace(shipped_bundle, domain=domain)).estimate([mean_spectrum(points)]))
    assert answer.verdict == "inside"
    assert "1 of 3 points outside the calibration" in answer.flags


def test_order_is_kept_among_means_and_single_spectra(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    mean = mean_spectrum(points_of(soils[1], [0.0, 0.1]))
    raw = replace(soils[0], quantity="raw_dn", sample_id="raw")
    answers = Estimator(shipped_bundle).estimate([soils[0], mean, raw, mean, soils[2]])
    assert [a.sample_id for a in answers] == [soils[0].sample_id, "S", "raw", "S", soils[2].sample_id]
    assert answers[1] == answers[3]


def test_below_the_limit_of_detection(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    value = only(Estimator(shipped_bundle).estimate(soils[:1])).value
    detection = DetectionStats(critical=value * 1.01, limit=value * 3, method="by hand")
    wide = IntervalStats(0.9, -1.5, 0.5, "by hand")
    bundle = replace(
        shipped_bundle,
        detection=detection,
        error_model=None,
        interval=wide,
        calibrated_range=(value / 10, value * 10),
    )
    below = only(Estimator(bundle).estimate(soils[:1]))
    assert (below.bound, below.trusted) == ("< LOD", False)
    assert below.value == pytest.approx(value)
    assert (below.detection_limit, below.critical_level) == (detection.limit, detection.critical)
    above = only(Estimator(replace(bundle, detection=detection._replace(critical=value * 0.99))).estimate(soils[:1]))
    assert above.bound == ""
    out = io.StringIO()
    report = Readings("table", [bundle], out)
    report.show([Result(soils[0], below)])
    assert re.search(rf"  < LOD +< {in_figures(value / 10)} - ", out.getvalue())
    assert "not detected" in out.getvalue()
    out = io.StringIO()
    Readings("jsonl", [bundle], out).show([Result(soils[0], below)])
    (record,) = read_records(out.getvalue())
    assert (record["bound"], record["said"]) == ("< LOD", None)
    assert record["below_critical_value"] == pytest.approx(value, rel=1e-5)
    assert record["detection_limit"] == pytest.approx(detection.limit, rel=1e-5)
    assert (record["low"], record["untrusted_low"]) == (None, pytest.approx(value / 10, rel=1e-5))
    assert record["untrusted_high"] == pytest.approx(below.high, rel=1e-5)


def test_the_log_keeps_the_points_estimates(shipped_bundle: Bundle, soils: list[Spectrum], tmp_path: Path) -> None:
    with Log(tmp_path / "l.db") as log:
        Engine(Estimator(shipped_bundle), log).take(list(average_samples(points_of(soils[0], [0.0, 0.2, 0.3]))))
    with sqlite3.connect(tmp_path / "l.db") as db:
        ((points, low, high),) = db.execute("SELECT points, points_low, points_high FROM estimates").fetchall()
    assert points == 3
    assert low < high
