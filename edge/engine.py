"""What every way in shares: hold the gates, estimate, store, and only then show."""

from __future__ import annotations

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
from .gates.spectrum import replicate_scatter, spectrum_gates
from .log.columns import NOTHING_MORE, ReadingFacts
from .log.write import Log, Result
from .model.estimate import Estimate, Estimator, Refusal
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
    """Gates, an estimator, and a log behind them.

    Args:
        estimator: loaded.
        log: open; None for an engine that only answers.
        rules: limits of the gates, a profile's or the default ones, made stricter by the model's; None applies none,
            and every answer says so.
    """

    def __init__(self, estimator: Estimator, log: Log | None, rules: Rules | None = DEFAULT_RULES) -> None:
        self.estimator = estimator
        self._log = log
        self.rules = None if rules is None else stricter(rules, estimator.bundle.stability)

    @property
    def log(self) -> Log:
        """The log; an engine that only answers has none."""
        if self._log is None:
            raise ValueError("this engine has no log")
        return self._log

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

    def answer(self, items: Sequence[Spectrum | Refusal | Measured]) -> list[Result]:
        """Estimate what the gates let pass, and say why there is no estimate of the rest; nothing is stored."""
        taken = [item if isinstance(item, Measured) else Measured(item) for item in items]
        spectra = [one.item for one in taken if isinstance(one.item, Spectrum) and not reason(one.findings)]
        outcomes = iter(self._estimate(spectra))
        return [self._result(one, outcomes) for one in taken]

    def _estimate(self, spectra: list[Spectrum]) -> list[Estimate | Refusal]:
        """Estimate; what fails in a way that nobody thought of is refused alone."""
        try:
            return self.estimator.estimate(spectra)
        except Exception as error:  # noqa: BLE001 - the other spectra must have their turn
            if len(spectra) > 1:
                return [outcome for spectrum in spectra for outcome in self._estimate([spectrum])]
            return [Refusal(one.source, why_refused(error), one.sample_id) for one in spectra]

    def gates(self, spectrum: Spectrum) -> list[Finding]:
        """Hold one spectrum against the rules: its range, noise and steps, and the scatter of its points."""
        rules, range_nm = self.rules, self.estimator.bundle.recipe.range_nm
        if rules is None:
            return [NO_GATES]
        found = spectrum_gates(spectrum, rules, range_nm)
        if not isinstance(spectrum, MeanSpectrum):
            return [*found, *from_header(spectrum)]
        # A mean hides what is wrong with one of its points.
        found += dict.fromkeys(finding for point in spectrum.points for finding in from_header(point))
        damaged = (lone_band(point.wavelengths_nm, point.values, range_nm, rules) for point in spectrum.points)
        return [
            *found,
            *next(filter(None, damaged), []),
            *replicate_scatter([p.values for p in spectrum.points], rules),
        ]

    def _result(self, one: Measured, outcomes: Iterator[Estimate | Refusal]) -> Result:
        if isinstance(one.item, Refusal):
            why = reason(one.findings) or one.item.reason
            return Result(None, one.item._replace(reason=why), _with_findings(one.about, one.findings))
        spectrum, found = one.item, one.findings
        why = reason(found)
        outcome = Refusal(spectrum.source, why, spectrum.sample_id) if why else next(outcomes)
        if isinstance(outcome, Estimate):
            # What the session has found need not be said twice.
            known = {finding.code for finding in found}
            try:
                found = (*found, *(finding for finding in self.gates(spectrum) if finding.code not in known))
            except Exception as error:  # noqa: BLE001 - as above
                outcome = Refusal(spectrum.source, why_refused(error), spectrum.sample_id)
            if why := reason(found):
                outcome = Refusal(spectrum.source, why, spectrum.sample_id)
            elif found and isinstance(outcome, Estimate):
                outcome = outcome._replace(flags=(*outcome.flags, *(finding.text for finding in found)))
        return Result(spectrum, outcome, _with_findings(one.about, found))


def _with_findings(about: ReadingFacts, found: Sequence[Finding]) -> ReadingFacts:
    if not found:
        return about
    plain = [[finding.code, finding.severity, finding.text] for finding in found]
    # Another model may need no more than this instrument sees.
    barred = reason(finding for finding in found if finding.code != "range")
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


def average_samples(items: Iterable[Spectrum | Refusal]) -> Iterator[Spectrum | Refusal]:
    """Replace neighbouring measurements of one sample by their mean spectrum.

    The mean keeps its measurements, so that their scatter can be told. Only neighbours are joined, so a stream of any
    length passes through; files of a folder come sorted by name, which puts a sample's measurements side by side.
    Measurements on different wavelength grids, or of different quantities, are not joined. A saturated measurement is
    kept out of the mean and comes as it is.
    """
    for key, group in groupby(items, key=_sample_key):
        members = list(group)
        if key is None or len(members) == 1:
            yield from members
            continue
        yield mean_spectrum([m for m in members if isinstance(m, Spectrum)])


def _sample_key(item: Spectrum | Refusal) -> object:
    if isinstance(item, Refusal) or item.saturated:
        return None
    return item.sample_id, item.quantity, item.splices_nm, item.wavelengths_nm.tobytes(), item.simulated
