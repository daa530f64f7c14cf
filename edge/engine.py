"""What every way in shares: hold the gates, estimate, store, and only then show."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from ..converters.spectra.spectrum import Spectrum
from .errors import why_refused
from .gates.finding import Finding, reason
from .gates.header import from_header
from .gates.lone_band import lone_band
from .gates.rules import DEFAULT_RULES, Rules, stricter
from .gates.spectrum import noise_in, replicate_scatter, spectrum_gates
from .log.columns import NOTHING_MORE, ReadingFacts, StoredModel
from .log.write import Log, Result
from .model.estimate import Estimate, Estimator, Refusal, Shared
from .model.replicates import MeanSpectrum, mean_spectrum

CHUNK = 64
"""Spectra that share one pass and one commit where many come at once, as from a folder."""

NO_GATES = Finding("ungated", "gates not applied", "remark")


class Measured(NamedTuple):
    """What comes from an instrument: more is known of it than of a file.

    Attributes:
        item: the spectrum, or why there is none.
        findings: of the session's own gates. One that refuses forbids the estimate, a remark goes with it.
        about: session, scans, notes, position, ...; the engine adds `findings` to its settings.
    """

    item: Spectrum | Refusal
    findings: tuple[Finding, ...] = ()
    about: ReadingFacts = NOTHING_MORE


class Engine:
    """Gates, estimators, and a log behind them.

    Args:
        estimator: loaded.
        log: open; None for an engine that only answers.
        rules: limits of the gates, a profile's or the default ones, made stricter by each model's; None applies none,
            and every answer says so.
        others: of further elements, which answer for the same spectra, each as it would alone.
        stability: have every answer say how far it moves under faults that its instrument may have.
    """

    def __init__(
        self,
        estimator: Estimator,
        log: Log | None,
        rules: Rules | None = DEFAULT_RULES,
        others: Sequence[Estimator] = (),
        stability: bool = False,
    ) -> None:
        self.estimator, self.estimators = estimator, (estimator, *others)
        self._log, self._stability = log, stability
        self._rules = [None if rules is None else stricter(rules, one.bundle.stability) for one in self.estimators]
        self.rules = self._rules[0]
        bundles = [one.bundle for one in others]
        self._others = [StoredModel(one.sha256, one.name, *one.calibrated_range) for one in bundles]

    @property
    def has_log(self) -> bool:
        """False for an engine that only answers."""
        return self._log is not None

    @property
    def log(self) -> Log:
        """The log; an engine that only answers has none."""
        if self._log is None:
            raise ValueError("this engine has no log")
        return self._log

    def under(self, rules: Rules) -> Engine:
        """Give the same models and the same log under other rules."""
        return Engine(self.estimator, self._log, rules, self.estimators[1:], self._stability)

    @property
    def range_nm(self) -> tuple[float, float]:
        """What the models need, all together."""
        lows, highs = zip(*(one.bundle.recipe.range_nm for one in self.estimators), strict=True)
        return min(lows), max(highs)

    def take(
        self,
        items: Sequence[Spectrum | Refusal | Measured],
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> list[Result]:
        """Answer, and commit everything; what is returned is already on disk.

        Args:
            items: spectra, and refusals of what could not be read, in the order to keep.
            also: what else to write in the same transaction; see `Log.add`.

        Raises:
            LogError: the log could not be written; nothing of `items` may be shown.
        """
        return self.log.add(self.answer(items), also)

    def rehearse(self) -> None:
        """Find now what each model finds once, at its first answer, so that the first reading need not wait for it."""
        for one in self.estimators:
            if one.bundle.golden is not None:
                self.answer(one.bundle.golden.spectra()[:1])

    def answer(self, items: Sequence[Spectrum | Refusal | Measured]) -> list[Result]:
        """Estimate what the gates let pass, and say why there is no estimate of the rest; nothing is stored."""
        taken = [item if isinstance(item, Measured) else Measured(item) for item in items]
        spectra = [one.item for one in taken if isinstance(one.item, Spectrum) and not reason(one.findings)]
        shared = Shared()
        outcomes = [iter(self._estimate(one, spectra, shared)) for one in self.estimators]
        return [self._result(one, outcomes) for one in taken]

    def _estimate(self, by: Estimator, spectra: list[Spectrum], shared: Shared) -> list[Estimate | Refusal]:
        """Estimate; what fails in a way that nobody thought of is refused alone."""
        try:
            range_nm = by.bundle.recipe.range_nm
            noise = [noise_in(spectrum, range_nm) for spectrum in spectra] if self._stability else None
            return by.estimate(spectra, shared, noise)
        except Exception as error:  # noqa: BLE001 - the other spectra must have their turn
            if len(spectra) > 1:
                return [outcome for spectrum in spectra for outcome in self._estimate(by, [spectrum], Shared())]
            return [Refusal(one.source, why_refused(error), one.sample_id) for one in spectra]

    def gates(self, spectrum: Spectrum, number: int = 0) -> list[Finding]:
        """Hold one spectrum against the rules: its range, noise and steps, and the scatter of its points.

        Args:
            spectrum: as measured.
            number: of the model, for it may need more or less of the range and be more or less strict.
        """
        rules = self._rules[number]
        if rules is None:
            return [NO_GATES]
        return gates_of(spectrum, rules, self.estimators[number].bundle.recipe.range_nm)

    def _result(self, one: Measured, outcomes: Sequence[Iterator[Estimate | Refusal]]) -> Result:
        if isinstance(one.item, Refusal):
            why = reason(one.findings) or one.item.reason
            about = _with_findings(one.about, one.findings, _barring(one.findings))
            return Result(None, one.item._replace(reason=why), about)
        spectrum = one.item
        if why := reason(one.findings):
            # No model has a say in that.
            refusal = Refusal(spectrum.source, why, spectrum.sample_id)
            return Result(spectrum, refusal, _with_findings(one.about, one.findings, _barring(one.findings)))
        said, others = [next(of) for of in outcomes], self._others
        held = [self._held(spectrum, one.findings, outcome, number) for number, outcome in enumerate(said)]
        answers = [outcome for outcome, _ in held]
        together = tuple(dict.fromkeys(finding for _, found in held for finding in found)) if others else held[0][1]
        # What one model is too strict or too demanding for, another may answer all the same.
        barred = _barring(held[0][1]) if all(_barring(found) for _, found in held) else ""
        about = _with_findings(_with_water(one.about, said), together, barred)
        return Result(spectrum, answers[0], about, others=tuple(zip(others, answers[1:], strict=True)))

    def _held(
        self, spectrum: Spectrum, found: tuple[Finding, ...], outcome: Estimate | Refusal, number: int
    ) -> tuple[Estimate | Refusal, tuple[Finding, ...]]:
        """Hold what a model has answered against its gates; give what stands then, and all that was found."""
        if isinstance(outcome, Refusal):
            return outcome, found
        # What the session has found need not be said twice.
        known = {finding.code for finding in found}
        try:
            found = (*found, *(finding for finding in self.gates(spectrum, number) if finding.code not in known))
        except Exception as error:  # noqa: BLE001 - as above
            return Refusal(spectrum.source, why_refused(error), spectrum.sample_id), found
        if why := reason(found):
            return Refusal(spectrum.source, why, spectrum.sample_id), found
        if found:
            outcome = outcome._replace(flags=(*outcome.flags, *(finding.text for finding in found)))
        return outcome, found


def gates_of(spectrum: Spectrum, rules: Rules, range_nm: tuple[float, float]) -> list[Finding]:
    """Hold one spectrum against rules: its range, noise and steps, its file's header, and the scatter of its points.

    Args:
        spectrum: as measured, or a mean of what was.
        rules: limits.
        range_nm: first and last wavelength that is needed; the rest is not judged.
    """
    found = spectrum_gates(spectrum, rules, range_nm)
    if not isinstance(spectrum, MeanSpectrum):
        return [*found, *from_header(spectrum)]
    # A mean hides what is wrong with one of its points.
    found += dict.fromkeys(finding for point in spectrum.points for finding in from_header(point))
    damaged = (lone_band(point.wavelengths_nm, point.values, range_nm, rules) for point in spectrum.points)
    return [*found, *next(filter(None, damaged), []), *replicate_scatter([p.values for p in spectrum.points], rules)]


def _with_water(about: ReadingFacts, said: Sequence[Estimate | Refusal]) -> ReadingFacts:
    """Put down how wet the ground is, by the first model that says; refused by a gate, it is as wet as ever."""
    indices = (outcome.water_index for outcome in said if isinstance(outcome, Estimate))
    index = next((index for index in indices if index is not None), None)
    return about if index is None else replace(about, water_index=index)


def _barring(found: Sequence[Finding]) -> str:
    """Say why no model may answer; another one may need no more than this instrument sees."""
    return reason(finding for finding in found if finding.code != "range")


def _with_findings(about: ReadingFacts, found: Sequence[Finding], barred: str) -> ReadingFacts:
    if not found:
        return about
    plain = [[finding.code, finding.severity, finding.text] for finding in found]
    return replace(about, settings={**about.settings, "findings": plain}, rule_broken=barred)


def in_chunks(items: Iterable[Spectrum | Refusal], size: int = CHUNK) -> Iterator[list[Spectrum | Refusal]]:
    """Give a long stream in lists of at most `size`, so that memory does not grow with it."""
    chunk: list[Spectrum | Refusal] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def average_files(items: Iterable[Spectrum | Refusal]) -> Iterator[Spectrum | Refusal]:
    """Replace neighbouring measurements of one sample in one folder by their mean; see `average_samples`.

    Equal names in two folders may be two soils, and a folder that is watched cannot wait for another one.
    """
    for _, of_folder in groupby(items, key=lambda item: os.path.dirname(item.source)):
        yield from average_samples(of_folder)


def average_samples(items: Iterable[Spectrum | Refusal]) -> Iterator[Spectrum | Refusal]:
    """Replace neighbouring measurements of one sample by their mean spectrum.

    The mean keeps its measurements, so that their scatter can be told. Only neighbours are joined, so a stream of any
    length passes through; files of a folder come sorted by name, which puts a sample's measurements side by side.
    Measurements on different wavelength grids, of different quantities, or of ground in different conditions, are not
    joined. A saturated measurement is kept out of the mean and comes as it is.
    """
    for key, group in groupby(items, key=sample_key):
        members = list(group)
        if key is None or len(members) == 1:
            yield from members
            continue
        yield mean_spectrum([m for m in members if isinstance(m, Spectrum)])


def sample_key(item: Spectrum | Refusal) -> object:
    """Give what neighbouring measurements share that are averaged; None for one that stands alone."""
    if isinstance(item, Refusal) or item.saturated:
        return None
    return item.sample_id, item.condition, item.quantity, item.splices_nm, item.wavelengths_nm.tobytes(), item.simulated
