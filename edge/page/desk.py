"""The measuring session that is led from the page: the session and the routine of `measure`, in a thread of its own.

What a person taps is an `Order`. It is carried out, and so committed to the log, before it is answered. Each order
names the question that it answers: of two phones that tap at once, or a tap that comes twice, one counts.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import ServeError, StibiumError, why_refused
from ..instruments.profile import Profile
from ..measure.points import who
from ..measure.resume import give_up_session, take_up, unfinished_sessions
from ..measure.routine import do, prompt
from ..measure.session import Session
from ..measure.state import SessionSettings
from ..measure.steps import Command, Fact, Prompt, Step
from .told import of_session, points_key, points_of

if TYPE_CHECKING:
    from ..engine import Engine
    from ..instruments.driver import Instrument
    from ..measure.position import PositionSource

LOOK_AGAIN_S = 2.0
"""After so long a question is put anew: a white may have become too old meanwhile."""
_ANSWERS_KEPT = 200
ANY_TIME = frozenset({"n"})
"""Commands that are right whatever is asked."""


@dataclass(frozen=True)
class Equipment:
    """What a session is measured with.

    Attributes:
        port, profile, profile_name, profile_text: of the instrument.
        settings: what a session begins with, where the page says nothing else.
        connect: opens the instrument; closed with the stack. Raises as `open_instrument` and its `connect`.
        open_engine: loads the model of that path, "" for the usual one, and opens the log.
        open_position: where we are; None if nobody says.
    """

    port: str
    profile: Profile
    profile_name: str
    profile_text: str
    settings: SessionSettings
    connect: Callable[[ExitStack, Callable[[str], None]], Instrument]
    open_engine: Callable[[str], AbstractContextManager[Engine]]
    open_position: Callable[[ExitStack], PositionSource | None] = lambda stack: None


@dataclass(frozen=True)
class Order:
    """What a person wants.

    Attributes:
        kind: "begin", "end", or "do", a command of the measuring routine.
        tap: made up by the page for each tap; one that comes again is answered with what came of the first.
        prompt: id of the question that is answered.
        command: for "do".
        begin: for "begin", what is to be other than in `Equipment.settings`; `new` gives up an unfinished session,
            `resume` wants one.
        answer: set when it is done: what was told.
    """

    kind: str
    tap: str = ""
    prompt: str = ""
    command: Command = field(default_factory=lambda: Command(""))
    begin: dict[str, Any] = field(default_factory=dict)
    answer: Future[dict[str, Any]] = field(default_factory=Future)


class OrderRefusedError(StibiumError, RuntimeError):
    """An order that does not fit what is going on now; nothing was done."""


class Desk:
    """Leads a session; `order` from any thread.

    Args:
        equipment: what it is measured with.
        changed: called, in the desk's thread, when `snapshot` is another one.
    """

    def __init__(self, equipment: Equipment, changed: Callable[[], None]) -> None:
        self._equipment, self._changed = equipment, changed
        self._orders: queue.Queue[Order | None] = queue.Queue(maxsize=16)
        self._taps: OrderedDict[str, Order] = OrderedDict()
        self._lock = threading.Lock()
        self._run_id, self._number, self._asked = secrets.token_hex(4), 0, ("", "")
        self._told: list[dict[str, Any]] = []
        self._points_key: tuple[object, ...] = ()
        self.snapshot: dict[str, Any] = {}
        """What the page shows of the session; plain values, and never changed in place."""
        self.points: dict[str, Any] = {"points": []}
        """Spectra of the sample that is half measured; likewise."""
        self._show("idle")
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()

    def order(self, order: Order) -> Future[dict[str, Any]]:
        """Have an order carried out; give its answer, or what refuses it, when it is done."""
        with self._lock:
            known = self._taps.get(order.tap) if order.tap else None
            if known is not None:
                return known.answer
            try:
                self._orders.put_nowait(order)
            except queue.Full:
                raise OrderRefusedError("too much is asked for at once; wait for what is going on") from None
            if order.tap:
                self._taps[order.tap] = order
                if len(self._taps) > _ANSWERS_KEPT:
                    self._taps.popitem(last=False)
        return order.answer

    def stop(self, patience_s: float) -> None:
        """End the thread after what it is doing; the session can be taken up again."""
        try:
            self._orders.put(None, timeout=patience_s)
        except queue.Full:
            return
        self._thread.join(patience_s)

    # --- in the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            if order.kind != "begin":
                order.answer.set_exception(OrderRefusedError("no session is measured now: begin one first"))
                continue
            try:
                stopped = self._measure(order)
            except Exception as error:  # noqa: BLE001 - the page and the log stay, whatever becomes of a session
                why = str(error) if isinstance(error, StibiumError) else why_refused(error)
                self._show("failed", why=why)
                if not order.answer.done():
                    order.answer.set_exception(ServeError(why))
                continue
            if stopped:
                return
            self._show("idle")

    def _measure(self, order: Order) -> bool:
        """Connect, and lead one session; True if the thread shall end."""
        self._told = []
        equipment, wanted = self._equipment, order.begin
        self._show("connecting")
        with ExitStack() as stack:
            engine = stack.enter_context(equipment.open_engine(str(wanted.get("model", ""))))
            instrument = equipment.connect(stack, self._say)
            place = equipment.open_position(stack)
            found = unfinished_sessions(engine.log.database, who(instrument.identity), unattended=False)
            kept = found[-1] if found else None
            if kept is not None and (wanted.get("new") or not kept.readable):
                give_up_session(engine.log, kept)
                kept = None
            if kept is None and wanted.get("resume"):
                raise ServeError(f"{equipment.port}: no unfinished session of {who(instrument.identity)}")
            settings = self._settings(wanted) if kept is None else kept.settings
            session = Session(instrument, engine, equipment.profile, settings, self._tell, place)
            if kept is not None:
                take_up(session, kept)
            else:
                session.begin(equipment.port, equipment.profile_name, equipment.profile_text)
            self._ask(session, prompt(session))
            order.answer.set_result(self._answer())
            return self._lead(session)

    def _settings(self, wanted: dict[str, Any]) -> SessionSettings:
        usual = self._equipment.settings
        plan = replace(usual.plan, prefix=wanted.get("prefix") or usual.plan.prefix)
        on_for = wanted.get("on_for_min")
        return replace(
            usual,
            plan=plan,
            operator=wanted.get("operator") or usual.operator,
            on_for_min=usual.on_for_min if on_for is None else on_for,
        )

    def _lead(self, session: Session) -> bool:
        while True:
            asked = prompt(session)
            self._ask(session, asked)
            waits_s = LOOK_AGAIN_S if asked.wait_s is None else min(LOOK_AGAIN_S, asked.wait_s)
            ends_s = None if asked.wait_s is None else time.monotonic() + asked.wait_s
            try:
                order = self._orders.get(timeout=max(waits_s, 0.01))
            except queue.Empty:
                if ends_s is not None and time.monotonic() >= ends_s:
                    do(session, Command(""))
                continue
            if order is None:
                return True
            if self._carry_out(session, asked, order):
                return False

    def _carry_out(self, session: Session, asked: Prompt, order: Order) -> bool:
        """Do what is ordered; True if the session has ended."""
        late = order.prompt != self.snapshot["prompt"]["id"] and order.command.letter not in ANY_TIME
        if order.kind == "begin" or (order.kind == "do" and late):
            why = (
                "a session is being measured already" if order.kind == "begin" else "that was asked before: look again"
            )
            order.answer.set_exception(OrderRefusedError(why))
            return False
        self._told = []
        try:
            if order.kind == "end":
                if not session.close():
                    name = session.state.planned.sample_id
                    raise OrderRefusedError(f"{name} is half measured: measure it to the end, or leave it out")
                self._show("idle")
                order.answer.set_result(self._answer())
                return True
            self._show("busy", session, asked, doing=order.command.letter)
            self._number += order.command.letter not in ANY_TIME
            before = _last_event(session)
            do(session, order.command)
        except OrderRefusedError as error:
            order.answer.set_exception(error)
            return False
        except Exception as error:
            order.answer.set_exception(ServeError(why_refused(error)))
            raise
        # What was asked next is part of the answer, so that a page never offers what is done already.
        self._ask(session, prompt(session))
        order.answer.set_result(self._answer(_last_event(session) != before))
        return False

    # --- what is shown ---------------------------------------------------------------------------------------

    def _ask(self, session: Session, asked: Prompt) -> None:
        now = (asked.step.value, session.state.planned.sample_id)
        self._number += now != self._asked
        self._asked = now
        self._show("done" if asked.step is Step.DONE else "ready", session, asked)

    def _answer(self, stored: bool = True) -> dict[str, Any]:
        return {"told": self._told, "stored": stored, "desk": self.snapshot}

    def _tell(self, fact: Fact) -> None:
        self._told.append({"kind": fact.kind, "text": fact.text})
        if fact.result is not None:
            # It is in the log; pages need not wait for what is asked next.
            self._changed()

    def _say(self, line: str) -> None:
        self._show("connecting" if self.snapshot.get("mode") == "connecting" else "busy", notice=line)

    def _show(self, mode: str, session: Session | None = None, asked: Prompt | None = None, **more: Any) -> None:
        shown: dict[str, Any] = {"mode": mode, "port": self._equipment.port, **more}
        if session is not None and asked is not None:
            shown |= of_session(session, asked, f"{self._run_id}-{self._number}")
            key = points_key(session)
            if key != self._points_key:
                self._points_key, self.points = key, points_of(session)
        elif mode == "busy":
            shown = {**self.snapshot, **shown}
            del shown["run"], shown["number"]
        if shown != {name: said for name, said in self.snapshot.items() if name not in ("run", "number")}:
            # An answer and the stream of news may overtake each other: the page keeps the newer one.
            self.snapshot = {**shown, "run": self._run_id, "number": self.snapshot.get("number", 0) + 1}
            self._changed()


def _last_event(session: Session) -> int:
    """Give the log's last event: everything that an order does leaves one."""
    (newest,) = session.engine.log.database.execute("SELECT max(id) FROM events").fetchone()
    return int(newest or 0)
