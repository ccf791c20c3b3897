"""Drives a run: intents before, outcomes after, one thread that owns the journal.

The loop: the core says what to do; events go into the journal; one commit makes them durable
(so every lane's intents share one fsync); then the commands go out, each host's on a worker
thread; and the loop waits for the first thing to come back.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from tastyops.engine.connections import Connections
from tastyops.engine.links import FateLocation, Link
from tastyops.engine.manual_typing import Typists
from tastyops.engine.out_of_band import Outside
from tastyops.engine.questions import answers, approved, ask, may_speak
from tastyops.engine.run_context import RunContext
from tastyops.engine.workers import Done, Work, Workers
from tastyops.errors import TastyopsError, WaitsForPerson
from tastyops.journal.envelope import Event
from tastyops.journal.events import (
    TYPED,
    Address,
    Answered,
    Body,
    CancelAsked,
    ClockStepped,
    Decided,
    RunClosed,
    Settled,
    StopAsked,
)
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.commands import Change, Probe, Sleep
from tastyops.model.runbook import Step
from tastyops.plan.advance import advance
from tastyops.plan.at_risk import NOBODY, passed, pause
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.lane import intended
from tastyops.plan.moves import Append, AwaitWindow, Halt, Move, Parked, Perform, PickUp
from tastyops.plan.plan import Plan
from tastyops.ports import (
    HandedIn,
    Session,
)

MOST_THREADS = 64
"""Hosts that are worked on at the same time; the others wait their turn."""

SPOOL_PAUSE = 0.5
"""Seconds between two looks at what other processes handed in."""

SOON = 0.1
"""Seconds within which what was only read is durable, and told of."""

OUT_OF_BAND_PATIENCE = 10.0
"""Seconds a power switch or console may take to answer before the run is let go without its word.

Nothing on the host keeps that outcome, so a resumed run could only ask for it.
"""

URGENT = frozenset(
    {"intended", "asked", "run-opened", "run-closed", "cancel-asked", "stop-asked", "resumed"}
)
"""Events that are durable, with all before them, before anything else is done."""

THE_RUN = Address()
"""Where events of the run as a whole belong."""

_Send = Callable[[ThreadPoolExecutor], object]


class Drive:
    """One execution of a plan. ``run`` returns once the run is closed, or was let go of."""

    def __init__(self, plan: Plan, state: RunState, context: RunContext) -> None:
        self._plan = plan
        self.state = state
        self._context = context
        self._journal, self._clock = context.journal, context.clock
        self._listeners = tuple(context.listeners)
        self._stopping = threading.Event()
        self._workers = Workers(
            context.clock, context.journal, self._listeners, self._stopping, attended=context.waits
        )
        self._typists = Typists(context.operators, state, context.journal, self._workers.done)
        self._reach = Connections(
            plan, state, context, self._workers.done, self._stopping, self._typists
        )
        self._kept = LiveLanes()
        self._busy: set[LaneKey] = set()
        self._asking: set[LaneKey] = set()
        self._unheard: list[Event] = []
        self._forgettable: list[tuple[Link, str]] = []
        self._ending: set[LaneKey] = set()
        """The lanes whose command was told to end, until it has."""
        self._acting: set[LaneKey] = set()
        """The lanes whose power switch or console was asked to do something, until it answers."""
        self._durable = 0
        """How many of the unheard events are on the disk."""
        self._durable_at = 0.0

    def run(self) -> RunState:
        """Carries the run on until it is closed or let go of. Raises JournalUnwritable."""
        beside = sum(step.background for step in self._plan.runbook.every_step())
        workers = min(len(self._plan.hosts) * (1 + beside) + 1, MOST_THREADS)
        with ThreadPoolExecutor(workers, thread_name_prefix="lane") as pool:
            try:
                self._take_in()  # what was handed in while no process owned the run comes first
                while self.state.closed is None and not self._context.release.why:
                    self._turn(pool)
                if self.state.closed is None:
                    self._let_go()
            except BaseException:
                self._abandon()
                raise
            finally:
                self._hang_up()
        return self.state

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        if self._stopping.is_set() and not self._ending:
            self._stopping.clear()  # all that was to stop has; what follows is a person's wish
        try:
            moves = self._moves()
            ready = [self._prepared(move) for move in moves if not isinstance(move, Parked)]
            self._commit()  # outcomes and intents in one; only then is anything sent
            for send in ready:
                send(pool)
            self._spread()  # while the hosts work, and before anybody is asked about it
            for move in moves:
                if isinstance(move, Parked):
                    self._park(move)
            self._wait()
        except KeyboardInterrupt:
            if self._stopping.is_set():
                raise
            self._stop(CancelAsked("interrupted at the terminal"), self._context.who)

    def _moves(self) -> list[Move]:
        """The core's moves, after all its events have gone into the journal."""
        while True:
            while (body := passed(self.state, self._clock.now())) is not None:
                self.append(body)
            moves = advance(self._plan, self.state, self._kept, self._busy | self._asking)
            appends = [move for move in moves if isinstance(move, Append)]
            if not appends:
                return moves
            for move in appends:
                if isinstance(move.body, RunClosed):
                    self._leave_consoles(closing=True)
                decided = isinstance(move.body, Decided)
                who = self.state.decider(move.at.step) if decided else ""
                self.append(move.body, move.at, who)

    # -- events --------------------------------------------------------------------------------

    def append(self, body: Body, at: Address = THE_RUN, who: str = "") -> None:
        """Puts an event into the journal and takes it into the state."""
        now = self._clock.now()
        last = self.state.last_at
        if last is not None and (last - now).total_seconds() > 1:
            self._write(ClockStepped(round((last - now).total_seconds(), 3)), Address(), "", now)
        self._write(body, at, who, now)

    def _write(self, body: Body, at: Address, who: str, now: datetime) -> None:
        event = self._journal.append(body, at, who=who or self._context.who, happened=now)
        self.state.apply(event, self._journal.load)
        self._unheard.append(event)

    def _commit(self) -> None:
        """Writes all appended events.

        An intent must be durable before it is sent. What was only read is not worth a disk's wait
        of its own: it is durable with the next intent, or soon.
        """
        now = time.monotonic()
        urgent = self.state.closed is not None or now - self._durable_at >= SOON
        urgent = urgent or any(e.body.kind in URGENT for e in self._unheard[self._durable :])
        self._journal.commit(durable=urgent)
        if urgent:
            self._durable, self._durable_at = len(self._unheard), now
            self._forget()

    def _spread(self) -> None:
        """Tells the listeners of what is durable."""
        told, self._unheard = self._unheard[: self._durable], self._unheard[self._durable :]
        self._durable = 0
        for event in told:
            for listener in self._listeners:
                listener.event(event)
            self._typists.event(event)
        for listener in self._listeners:
            listener.caught_up()

    # -- performing ----------------------------------------------------------------------------

    def _prepared(self, move: Move) -> _Send:
        """What sends a move on its way. For a change its intent goes into the journal here."""
        key = (move.at.host, move.at.step)
        if isinstance(move, AwaitWindow):
            self._busy.add(NOBODY)
            seconds = pause(self.state, self._clock.now())
            return lambda pool: pool.submit(self._workers.pause, NOBODY, seconds)
        if isinstance(move, Halt):
            self._ending.add(key)
            return lambda _: self._reach.end_commands(self._ending)
        if not isinstance(move, Perform | PickUp):
            raise TypeError(f"not a move to make: {move!r}")
        self._busy.add(key)
        if isinstance(move, PickUp) and self._stopped(move.step):
            self._ending.add(key)
        work = self._work(key, move)
        return lambda pool: pool.submit(self._workers.guarded, key, move, work)

    def _stopped(self, step: Step) -> bool:
        """Whether a command of this step is to end: the run was stopped before it was resumed."""
        state = self.state
        if step.recovery:
            return False
        return state.cancel is not None or (state.stop is not None and not step.background)

    def _work(self, key: LaneKey, move: Perform | PickUp) -> Work:
        workers, link = self._workers, self._reach.link(move.at.host, move.step)
        if isinstance(move, Perform) and isinstance(move.command, Sleep):
            left = self._left(move.at, move.command)
            return lambda: workers.sleep(key, move, left)
        if isinstance(move.command, Probe | Change) and move.command.via != "host" and link:
            work = self._out_of_band(key, move, self._reach.outside(link.host))
            return self._reach.alone(link.host, work) if move.command.via == "console" else work
        if link is None:
            nowhere = Settled(move.digest, "unreachable", why="this step has no host")
            return lambda: Done(key, ((move.at, nowhere, ""),))
        session = link.session_for(move.command, move.at)
        if session is None:
            return lambda: workers.connect(key, move, link)
        if isinstance(move, PickUp):
            return lambda: workers.change(key, move, link, FateLocation(move.boot_id, move.record))
        if isinstance(move.command, Change):
            return self._change(key, move, link, session)
        return lambda: workers.probe(key, move, link)

    def _out_of_band(self, key: LaneKey, move: Perform | PickUp, outside: Outside) -> Work:
        """Over the console or the power switch; the intent of a change goes before it here too."""
        workers = self._workers
        if isinstance(move, Perform) and isinstance(move.command, Probe):
            return lambda: workers.look(key, move, outside)
        if isinstance(move, Perform):
            self.append(intended(move, "", ""), move.at)
        self._acting.add(key)
        return lambda: workers.act(key, move, outside)

    def _leave_consoles(self, *, closing: bool) -> None:
        """Before a run is closed, all that its consoles said goes into its journal.

        A session over one ends before that, as the others do once the run is closed.
        """
        self._reach.leave_consoles(forget=closing and not self.state.in_doubt)
        done = self._workers.done
        while not done.empty():
            self._take(done.get())

    def _left(self, at: Address, command: Sleep) -> float:
        """Seconds of a wait that are left.

        It began when its lane was last heard of, perhaps while another process drove the run. A
        clock that was set back makes no wait longer than it was meant.
        """
        began = self.state.lane(at.host, at.step).last_at
        gone = (self._clock.now() - began).total_seconds() if began else 0.0
        return min(max(command.seconds - gone, 0.0), command.seconds)

    def _change(self, key: LaneKey, move: Perform, link: Link, session: Session) -> Work:
        """Journals the intent, here on the journal's thread; gives the rest for a worker."""
        hello = session.hello
        fate = f"{hello.directory}/{move.fate}" if hello.directory else ""
        self.append(intended(move, fate, hello.boot_id, hello.record), move.at)
        return lambda: self._workers.change(key, move, link, FateLocation.of(hello))

    # -- waiting -------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Takes in the first thing that comes back, and all else that has come by then."""
        if not self._busy and not self._asking:
            return
        done = self._workers.done
        try:
            self._take(done.get(timeout=SOON if self._unheard else SPOOL_PAUSE))
        except queue.Empty:
            self._reach.end_commands(self._ending)  # one may have begun just as it was told to end
        while not done.empty():
            self._take(done.get())
        self._take_in()

    def _take(self, done: Done) -> None:
        if done.key is not None:
            for lanes in (self._busy, self._ending, self._asking, self._acting):
                lanes.discard(done.key)
        if done.fatal is not None:
            if self._context.release.why and isinstance(done.fatal, WaitsForPerson):
                return  # the question stays open for whoever resumes the run
            raise done.fatal
        for at, body, who in done.events:
            if not isinstance(body, Answered):
                self.append(body, at, who)
            elif self.state.question(at) is not None:  # or somebody else was quicker
                self._answered(at, body, who)
        if done.forget is not None:
            self._forgettable.append(done.forget)

    def _forget(self) -> None:
        """Lets the hosts forget the changes whose outcomes are durable now."""
        forgettable, self._forgettable = self._forgettable, []
        for link, name in forgettable:
            link.forget(name)

    def _hand_in(self, handed: HandedIn) -> None:
        """An event from another process."""
        body, at = handed.body, handed.at
        if isinstance(body, CancelAsked | StopAsked):
            self._stop(body, handed.who)
        elif isinstance(body, Answered):
            if answers(self.state, handed, body, self._context.approvers):
                self._asking.discard((at.host, at.step))
                self._answered(at, body, handed.who)
        elif may_speak(handed, self._context.approvers):
            self.append(body, at, handed.who)

    def _answered(self, at: Address, body: Answered, who: str) -> None:
        """Takes an answer in."""
        if (asked := self.state.question(at)) is not None and asked.question == TYPED:
            body = self._typists.taken(at, body, who)
        self.append(approved(self._plan, self.state, at, body, who), at, who)

    def _take_in(self) -> None:
        """What other processes handed in."""
        for handed in self._journal.spooled():
            self._hand_in(handed)

    def _park(self, move: Parked) -> None:
        if move.question.by:
            self._take_in()  # the answer may have come while nobody was there to take it
            if self.state.question(move.at) is None:
                return
        key = (move.at.host, move.at.step)
        self._asking.add(key)
        threading.Thread(target=self._ask, args=(key, move), daemon=True).start()

    def _ask(self, key: LaneKey, move: Parked) -> None:
        asking, waits = self._asking, self._context.waits
        done = ask(key, move, self._context.operators, waits=waits, over=lambda: key not in asking)
        if done is not None:
            self._workers.done.put(done)

    def _stop(self, body: CancelAsked | StopAsked, who: str) -> None:
        """Stops what runs now; the core then lets the run end, or asks how to go on."""
        if isinstance(body, StopAsked) and not self.state.window.on:
            body = CancelAsked(body.because)  # nothing is under way, so there is nothing to decide
        beside = {step.id for step in self._plan.runbook.every_step() if step.background}
        spared = beside if isinstance(body, StopAsked) else frozenset()
        self._stopping.set()
        self._asking.clear()  # what waits for an answer waits no longer
        self.append(body, who=who)
        self._commit()
        self._ending = {key for key in self._busy if key[1] not in spared}
        self._reach.end_commands(self._ending)

    def _let_go(self) -> None:
        """Journals every outcome that has come back; the hosts keep the others."""
        until = time.monotonic() + OUT_OF_BAND_PATIENCE
        while self._acting and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                self._take(self._workers.done.get(timeout=SOON))
        while not self._workers.done.empty():
            self._take(self._workers.done.get())
        self._journal.commit()
        self._durable = len(self._unheard)
        self._spread()
        self._abandon()

    def _abandon(self) -> None:
        """Stops the workers without an event: leave the journal as it is and let go of the hosts.

        What runs there goes on, and its fate is kept there.
        """
        self._workers.aborting.set()
        self._stopping.set()

    def _hang_up(self) -> None:
        closed = self.state.closed is not None
        if not closed:
            with contextlib.suppress(TastyopsError):
                self._leave_consoles(closing=False)
                self._journal.commit()
        self._reach.hang_up(forget=closed and not self.state.in_doubt)
