"""The measuring routine: leads from a cold instrument to judged samples. Commands in, prompts and facts out.

It neither prints nor waits for a person: a command line, a script or a test drives it. Every scan is committed to the
log before the instrument is told so and before anything is shown; every decision is an event there, so that a session
can be taken up again wherever it was cut off (`routine_resume`).

Warm-up, the ages of references, the number of points and scans follow Carvalho et al. 2024 (Remote Sensing 16(11):1964)
and the maker's rules for contact probes; the profile says each number.
"""

from __future__ import annotations

from typing import Any

from ..errors import InstrumentExchangedError, NothingLeftError, PortError
from ..gates.finding import reason
from ..gates.reflectance import wrong_range
from ..gates.time import warming_up
from .plan import Planned
from .sample import who
from .samples import Sampling, point_details
from .steps import Command, Fact, Prompt, Step


class Routine(Sampling):
    """One measuring session: what it asks for, and what becomes of the answers."""

    def begin(self, port: str, profile_name: str, profile_text: str, details: dict[str, Any]) -> None:
        """Begin a new session in the log; `details` are kept with it, for `routine_resume`."""
        self.session_id = self.engine.log.begin_session(
            port=port,
            instrument=who(self.instrument.identity),
            profile_name=profile_name,
            profile_text=profile_text,
            operator=self.settings.operator,
            settings=details,
        )
        self.introduce()

    def introduce(self) -> None:
        """Say what is known before the first measurement."""
        nm = self.instrument.wavelengths_nm
        for finding in wrong_range((float(nm[0]), float(nm[-1])), self._range_nm):
            self.standing.append(finding)
            self._happened("range", f"No estimates: the instrument {finding.text}", "warning")

    def close(self) -> bool:
        """End the session, unless a sample is half measured; False if it can be taken up again."""
        unfinished = self.sample is not None and bool(self.sample.points or self.sample.spoiled)
        if not unfinished:
            self.engine.log.end_session(self.session_id)
        return not unfinished

    # --- what comes next --------------------------------------------------------------------------------------

    def prompt(self) -> Prompt:
        """Say what is wanted next."""
        step = self.asked = self._step()
        if step is Step.POINT:
            taken = len(self.sample.points) if self.sample is not None else 0
            planned = self.planned
            what = {"sample": "", "duplicate": " (again)"}.get(planned.kind, f" ({planned.kind})")
            return Prompt(step, f"{planned.sample_id}{what} {taken + 1}/{self.settings.points}, Enter")
        if step is Step.WARM_UP:
            left_s = 60 * self._rules.warm_up_min - (self.monotonic() - self.on_since_s)
            return Prompt(step, f"Warming up, {_minutes(left_s)} left", max(left_s, 0.0))
        texts = {
            Step.DISK: "Disk full: make room, then Enter",
            Step.OPTIMISE: "Probe on white panel: optimise, Enter",
            Step.DARK: "Cover the probe for the dark, Enter",
            Step.WHITE: "Probe on white panel: white, Enter",
            Step.PANEL: "Probe on white panel: check it, Enter",
            Step.WAVELENGTH: "Probe on reference material, Enter",
            Step.DONE: "All samples are measured",
        }
        return Prompt(step, texts[step])

    def _step(self) -> Step:
        if self.over:
            return Step.DONE
        if not self.engine.log.room().enough:
            return Step.DISK
        if not self.warm_up_skipped and warming_up(self._rules, self._on_for_min()):
            return Step.WARM_UP
        if self.instrument.identity.optimises and self.settings.optimise and not self.optimised:
            return Step.OPTIMISE
        if self._want:
            return self._want[0]
        if not self._waived and self.references.complaints(self.valid_min(), self.monotonic()):
            self._want.extend(self._reference_steps())
            return self._want[0]
        if self.sample is None and self._due(self.panel_checked_s, self._rules.panel_check_every_min):
            return Step.PANEL
        if self.sample is None and self._due_wavelength():
            return Step.WAVELENGTH
        if self.sample is None and 0 < self.settings.count <= self.run.soils and self.run.next().kind == "sample":
            return Step.DONE
        return Step.POINT

    def _reference_steps(self) -> list[Step]:
        # A new dark goes with a new white: both drift together as the instrument warms.
        identity = self.instrument.identity
        return [Step.DARK, Step.WHITE] if identity.needs_dark and not identity.shutter else [Step.WHITE]

    def _due(self, checked_s: float | None, every_min: float) -> bool:
        if not every_min or checked_s is None or self.instrument.identity.delivers == "reflectance":
            return False
        return self.monotonic() - checked_s > 60 * every_min

    def _due_wavelength(self) -> bool:
        every_min = self._rules.wavelength_check_every_min
        if not every_min:
            return False
        return self.wavelength_checked_s is None or self.monotonic() - self.wavelength_checked_s > 60 * every_min

    # --- what a person commands -------------------------------------------------------------------------------

    def do(self, command: Command) -> None:
        """Carry a command out; what comes of it is told.

        Raises:
            PortError: the port has gone for good, or another instrument is on it; the session can be taken up again.
            InstrumentError: nothing but failures.
            LogError: the log cannot be written; nothing that could not be stored was told.
        """
        try:
            self._do(command)
        except NothingLeftError as error:
            self.over = True
            self._happened("nothing_left", str(error))
        except InstrumentExchangedError as error:
            self._happened("exchanged", str(error), "warning")
            raise
        except PortError as error:
            self._happened("port", str(error), "warning")
            raise

    def _do(self, command: Command) -> None:
        letter, argument = command.letter, command.argument
        if letter in ("", "s") and self._step() is not self.asked:
            # Time has passed since the question: a white taken now would be one of the soil under the probe.
            warm = self.asked is Step.WARM_UP
            self.tell(Fact("note", "warm" if warm else "things have changed since that was asked"))
            return
        if letter == "n":
            self._note(argument)
        elif letter == "i":
            self._name(argument)
        elif letter == "r":
            self._repeat()
        elif letter == "s":
            self._skip(self._step())
        elif letter in _WANTED:
            self._wish(_WANTED[letter])
        elif letter == "":
            self._go(self._step())

    def _go(self, step: Step) -> None:
        if step is Step.OPTIMISE:
            self._optimise()
        elif step is Step.DARK:
            self._reference("dark")
        elif step is Step.WHITE:
            identity = self.instrument.identity
            if not (identity.needs_dark and identity.shutter) or self._reference("dark"):
                self._reference("white")
        elif step is Step.PANEL:
            self._check_panel()
        elif step is Step.WAVELENGTH:
            self._check_wavelengths()
        elif step is Step.POINT:
            self._measure_point()

    def _wish(self, step: Step) -> None:
        identity = self.instrument.identity
        if step is Step.OPTIMISE and not identity.optimises:
            self.tell(Fact("warning", "this instrument optimises itself"))
        elif step in (Step.WHITE, Step.DARK) and not self.references.needed:
            self.tell(Fact("warning", "this instrument delivers reflectance: no dark, no white"))
        elif step is Step.DARK and identity.shutter:
            self._reference("dark")
        else:
            self._want.clear()
            self._want.extend(self._reference_steps() if step is Step.WHITE else [step])

    def _note(self, text: str) -> None:
        if not text:
            return
        (self.sample.notes if self.sample is not None else self.notes).append(text)
        begun = self.sample.begun_id if self.sample is not None else 0
        self._happened("note", f"note: {text}", details={"text": text, "begun": begun})

    def _name(self, sample_id: str) -> None:
        if not sample_id:
            self.tell(Fact("warning", "no name; write: i RS007"))
        elif self.sample is not None:
            self.tell(Fact("warning", f"{self.sample.planned.sample_id} is half measured; s leaves it"))
        else:
            self.named = self.run.named(sample_id)

    def _repeat(self) -> None:
        sample = self.sample
        if sample is not None and sample.points:
            point = sample.points.pop()
            sample.repeated += 1
            self._happened(
                "point_replaced", f"point {len(sample.points) + 1} again", details=point_details(point, sample)
            )
        elif self.done:
            self.named = Planned(next(reversed(self.done)), again=True)
            self.tell(Fact("note", f"{self.named.sample_id} again"))
        else:
            self.tell(Fact("warning", "nothing to repeat yet"))

    def _skip(self, step: Step) -> None:
        if step is Step.WARM_UP:
            self.warm_up_skipped = True
            on_for = f"warm-up cut short after {self._on_for_min():.0f} min"
            self._happened("warm_up_skipped", on_for, "warning")
        elif step is Step.OPTIMISE:
            self._drop_wish()
            self.optimised = True
            self._happened("skipped", "not optimised", "warning")
        elif step in (Step.DARK, Step.WHITE):
            self._want.clear()
            self._waived = True
            why = reason(self.references.complaints(self.valid_min(), self.monotonic()))
            self._happened("skipped", f"no new {step.value}" + (f": {why}" if why else ""), "warning")
        elif step is Step.PANEL:
            self._drop_wish()
            self.panel_checked_s = self.monotonic()
            self._happened("skipped", "panel not checked", "warning")
        elif step is Step.WAVELENGTH:
            self._drop_wish()
            self.wavelength_checked_s = self.monotonic()
            self._happened("skipped", "wavelengths not checked", "warning")
        elif step is Step.POINT:
            self._skip_sample()

    def _skip_sample(self) -> None:
        if self.sample is not None and (self.sample.points or self.sample.spoiled):
            self._finish()
            return
        planned = self.planned
        self.sample = self.named = None
        self.run.done(planned, measured=False)
        self._happened("sample_skipped", f"{planned.sample_id} left out", details=planned.as_details())


_WANTED = {"w": Step.WHITE, "d": Step.DARK, "o": Step.OPTIMISE, "p": Step.PANEL, "v": Step.WAVELENGTH}


def _minutes(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d} min"
