"""What a person or a test can do to a virtual FieldSpec while it runs, one line for each thing."""

from __future__ import annotations

from collections.abc import Callable

from .fieldspec_instrument import VirtualFieldSpec
from .serve import VirtualProbe

HELP = """\
white, mylar, cover        put it in front of the probe, until something else is
sample [NAME]              the next spectrum, or those of this sample; then on in their order
auto                       what the rule says: white until optimised, after each dark what --after-dark lists
lamp on|off                the probe's lamp
cooler DETECTOR|ok         an alarm of a SWIR detector's cooler, or none any more
shutter stuck|free         it stays as it is, or moves again
answer ERRBYTE [TIMES]     the next commands that measure or set are answered with this error
silence [TIMES]            the next commands are not answered
short [TIMES]              the next measurements come with one channel too few
twice [TIMES]              the next replies come twice
cut [TIMES]                the next error replies end after their two codes
hang-up [BYTES]            in the reply that comes next, after so many bytes; back at once
unplug, plug               the network cable
power-cycle                switch off and on
serial NUMBER              another instrument of that number is on this address
status                     what is in front, and what came last"""

_THINGS = ("white", "mylar", "cover", "sample", "auto")


class FieldSpecControl:
    """Obeys lines.

    Args:
        simulator: the instrument.
        served: its port; being served by another thread.
    """

    def __init__(self, simulator: VirtualFieldSpec, served: VirtualProbe) -> None:
        self._simulator, self._served = simulator, served

    def obey(self, line: str) -> str:
        """Do what a line says and return one line about it. ValueError if it says nothing that can be done."""
        word, *rest = line.split()
        if word in ("unplug", "plug", "power-cycle"):
            return self._line(word)
        if word == "hang-up":
            self._served.hang_up_after(_number(rest, 0, 1000, low=0))
            return "the next reply will break off"
        outcome: list[str | ValueError] = []
        action = self._action(word, rest)

        def run() -> None:
            try:
                outcome.append(action())
            except ValueError as error:
                outcome.append(error)

        self._served.call(run)
        if not outcome:
            raise ValueError("the instrument did not hear it")
        if isinstance(outcome[0], ValueError):
            raise outcome[0]
        return outcome[0]

    def _line(self, word: str) -> str:
        if word in ("unplug", "power-cycle"):
            self._served.unplug(power=word == "power-cycle")
        if word in ("plug", "power-cycle"):
            self._served.plug()
        return word + (" done" if word == "power-cycle" else "ged")

    def _action(self, word: str, rest: list[str]) -> Callable[[], str]:
        mishaps = self._simulator.mishaps
        argument = rest[0] if rest else ""
        if word in _THINGS:
            return lambda: f"in front: {self._simulator.in_front.put(word, ' '.join(rest))}"
        if word == "status":
            return self._status
        if word == "serial":
            return lambda: self._set(self._simulator, "serial_number", _number(rest, 0, None))
        if word == "lamp" and argument in ("on", "off"):
            return lambda: self._set(mishaps, "lamp", argument == "on")
        if word == "shutter" and argument in ("stuck", "free"):
            return lambda: self._set(mishaps, "shutter_stuck", argument == "stuck")
        if word == "cooler" and argument in ("SWIR1", "SWIR2", "ok"):
            alarms = () if argument == "ok" else tuple(sorted({*mishaps.cooler_alarms, argument}))
            return lambda: self._set(mishaps, "cooler_alarms", alarms)
        if word == "answer":
            return lambda: self._set(mishaps, "errors", (_number(rest, 0, None, low=-1000),) * _number(rest, 1, 1))
        counted = {"silence": "silent", "short": "short", "twice": "twice", "cut": "cut"}
        if word in counted:
            return lambda: self._set(mishaps, counted[word], _number(rest, 0, 1))
        raise ValueError(f"{' '.join([word, *rest])!r} is nothing that can be done; `help` lists what can")

    @staticmethod
    def _set(holder: object, name: str, value: object) -> str:
        setattr(holder, name, value)
        return f"{name.replace('_', ' ')}: {value}"

    def _status(self) -> str:
        simulator = self._simulator
        last = simulator.said[-1] if simulator.said else "nothing yet"
        return f"in front: {simulator.in_front.now.name}; {simulator.measured} measurements; last command: {last}"


def _number(rest: list[str], index: int, default: int | None, low: int = 1) -> int:
    if len(rest) <= index and default is not None:
        return default
    text = rest[index] if len(rest) > index else ""
    if not text.lstrip("-").isdigit() or int(text) < low:
        raise ValueError(f"{text!r}: a whole number from {low} on is needed")
    return int(text)
