"""The `[rules]` of a probe profile: when a measurement counts, and when it does not.

Every number is zero or above; zero switches its rule off. What each one means, and where its default comes from, is
said in `firmware_configs/probes/framed_serial.toml` and docs/measuring.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated

from ..limits import Within
from ..model.stability import StabilityLimits

WHITE_VALID_MIN = 30.0
"""Minutes that dark and white may be used unless a profile says otherwise; of files, which have none, always."""

Limit = Annotated[float, Within(0, 1e6, note="0 for no such rule")]
Count = Annotated[int, Within(0, 1e6, note="0 for no such rule")]


@dataclass(frozen=True)
class Rules:
    """Minutes and limits of the measuring routine.

    Attributes:
        warm_up_min: minutes that the instrument has to be on before a sample counts.
        warming_min: minutes from switching on during which a white reference lasts only `white_valid_warming_min`.
        white_valid_warming_min: minutes that dark and white may be used while the instrument is warming.
        panel_check_every_min: minutes after which the white panel is measured as a sample.
        panel_tolerance: by how much the panel's reflectance may differ from 1.
        panel_reflectance_file: calibrated reflectance of the panel; "" if none.
        full_scale_dn: counts at which a detector ends; 0 if unknown.
        white_signal_least: least white signal of each detector, as a fraction of `full_scale_dn`.
        signal_least: least reflectance of a sample, median over each detector.
        lamp_least: least part of the white signal before that a new white has to have.
        dark_drift_most: largest change of the dark between two references, or within them, as part of the white.
        noise_most: largest noise of a spectrum, as a standard deviation of reflectance.
        lone_band_most: largest height of a band that differs from all its neighbours, over the scatter around it.
        splice_step_most: largest step of reflectance where two detectors join, before it is corrected.
        scatter_most: largest scatter of a sample's points, relative to their mean.
        repeats_most: points of a sample that may be measured again.
        wavelength_check_every_min: minutes after which the reference material is asked for.
        wavelength_shift_most_nm: largest shift of its bands.
        clock_jump_s: largest difference between the clock's progress and the time that has passed.
    """

    warm_up_min: Limit = 15.0
    warming_min: Limit = 30.0
    white_valid_warming_min: Limit = 10.0
    panel_check_every_min: Limit = 15.0
    panel_tolerance: Limit = 0.02
    panel_reflectance_file: str = ""
    full_scale_dn: Limit = 0.0
    white_signal_least: Limit = 0.05
    signal_least: Limit = 0.01
    lamp_least: Limit = 0.5
    dark_drift_most: Limit = 0.02
    noise_most: Limit = 0.005
    lone_band_most: Limit = 20.0
    splice_step_most: Limit = 0.05
    scatter_most: Limit = 0.15
    repeats_most: Count = 2
    wavelength_check_every_min: Limit = 0.0
    wavelength_shift_most_nm: Limit = 1.5
    clock_jump_s: Limit = 60.0


DEFAULT_RULES = Rules()
"""Of spectra that come without a profile, as from files."""


def beside(rules: Rules, source: str) -> Rules:
    """Give the rules of a profile's file: a relative `panel_reflectance_file` lies beside it."""
    name = rules.panel_reflectance_file
    if not name or not source.endswith(".toml"):
        return rules
    return replace(rules, panel_reflectance_file=os.path.join(os.path.dirname(source), name))


def stricter(rules: Rules, limits: StabilityLimits) -> Rules:
    """Give rules whose limits are those of a profile or those of a model, whichever allow less."""
    both = ((rules.noise_most, limits.noise_most), (rules.splice_step_most, limits.splice_step_most))
    # A profile's 0 is no rule; the model's limit holds all the same.
    noise, step = (ours if models is None else min(ours or models, models) for ours, models in both)
    return replace(rules, noise_most=noise, splice_step_most=step)
