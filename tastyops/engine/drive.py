"""Drives a run: intents before, outcomes after, one thread that owns the journal.

The loop: the core says what to do; events go into the journal; one commit makes them durable
(so every lane's intents share one fsync); then the commands go out, each host's on a worker
thread; and the loop waits for the first thing to come back.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tastyops.advance.core import advance
from tastyops.advance.lane import LiveLanes, intended
from tastyops.advance.moves import Append, Move, Parked, Perform
from tastyops.commands import Change, Probe, Sleep, describe
from tastyops.engine.holding import Claim
from tastyops.engine.links import Link, settled
from tastyops.errors import Fenced, JournalUnwritable, LinkLost, Locked, TastyopsError, Unreachable
from tastyops.journal.events import (
    Address,
    Answered,
    Body,
    CancelAsked,
    ClockStepped,
    Disconnected,
    Event,
    Settled,
)
from tastyops.journal.state import LaneKey, RunState
from tastyops.plan import Plan
from tastyops.ports import Clock, Dialer, JournalSink, Listener, Operator, Session

MOST_THREADS = 64
"""Hosts that are worked on at the same time; the others wait their turn."""

SPOOL_PAUSE = 0.5
"""Seconds between two looks at what other processes handed in."""


SOON = 0.1
"""Seconds within which what was only read is durable, and told of."""

URGENT = frozenset({"intended", "asked", "run-opened", "run-closed", "cancel-asked"})
"""Events that are durable, with all before them, before anything else is done."""

THE_RUN = Address()
"""Where events of the run as a whole belong."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What a worker hands back. With a key its lane is free again; without, it works on."""

    key: LaneKey | None
    events: tuple[tuple[Address, Body, str], ...]
    forget: tuple[str, str] | None = None
    fatal: JournalUnwritable | None = None


_Send = Callable[[ThreadPoolExecutor], object]


class Drive:
    """One execution of a plan. ``run`` returns when the journal says that the run is closed."""

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        run: str,
        *,
        journal: JournalSink,
        dialer: Dialer,
        clock: Clock,
        who: str,
        operators: Sequence[Operator] = (),
        listeners: Sequence[Listener] = (),
        epoch: int = 1,
        take_over: bool = False,
    ) -> None:
        self._plan = plan
        self.state = state
        self._journal = journal
        self._clock = clock
        self._who = who
        self._operators = tuple(operators)
        self._listeners = tuple(listeners)
        self._stopping = threading.Event()
        claim = Claim(run, who, epoch, take_over)
        self._links = {h.name: Link(h, dialer, claim, self._stopping) for h in plan.hosts}
        self._kept = LiveLanes()
        self._busy: set[LaneKey] = set()
        self._asking: set[LaneKey] = set()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._unheard: list[Event] = []
        self._forgettable: list[tuple[str, str]] = []
        self._ending: set[LaneKey] = set()
        """The lanes whose command was told to end, until it has."""
        self._aborting = threading.Event()
        self._durable = 0
        """How many of the unheard events are on the disk."""
        self._durable_at = 0.0

    def run(self) -> RunState:
        """Carries the run on until it is closed. Raises JournalUnwritable, NeedsPerson."""
        workers = max(1, min(len(self._links) + 1, MOST_THREADS))
        with ThreadPoolExecutor(workers, thread_name_prefix="lane") as pool:
            try:
                while self.state.closed is None:
                    self._turn(pool)
            except BaseException:
                self._abandon()
                raise
            finally:
                self._hang_up()
        return self.state

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        try:
            ready = [self._prepared(move) for move in self._moves()]
            self._commit()  # outcomes and intents in one; only then is anything sent
            for send in ready:
                send(pool)
            self._spread()  # while the hosts work
            self._wait()
        except KeyboardInterrupt:
            if self._stopping.is_set():
                raise
            self._cancel("interrupted at the terminal", self._who)

    def _moves(self) -> list[Move]:
        """The core's moves, after all its events have gone into the journal."""
        while True:
            moves = advance(self._plan, self.state, self._kept, self._busy | self._asking)
            appends = [move for move in moves if isinstance(move, Append)]
            if not appends:
                return moves
            for move in appends:
                self.append(move.body, move.at)

    # -- events --------------------------------------------------------------------------------

    def append(self, body: Body, at: Address = THE_RUN, who: str = "") -> None:
        """Puts an event into the journal and takes it into the state."""
        now = self._clock.now()
        last = self.state.last_at
        if last is not None and (last - now).total_seconds() > 1:
            self._write(ClockStepped(round((last - now).total_seconds(), 3)), Address(), "", now)
        self._write(body, at, who, now)

    def _write(self, body: Body, at: Address, who: str, now: datetime) -> None:
        event = self._journal.append(body, at, who=who or self._who, happened=now)
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
        for listener in self._listeners:
            listener.caught_up()

    # -- performing ----------------------------------------------------------------------------

    def _prepared(self, move: Move) -> _Send:
        """What sends a move on its way. For a change its intent goes into the journal here."""
        key = (move.at.host, move.at.step)
        if isinstance(move, Parked):
            self._asking.add(key)
            asking = threading.Thread(target=self._ask, args=(key, move), daemon=True)
            return lambda _: asking.start()
        if not isinstance(move, Perform):
            raise TypeError(f"not a move to make: {move!r}")
        self._busy.add(key)
        work = self._work(key, move)
        return lambda pool: pool.submit(self._guarded, key, move, work)

    def _work(self, key: LaneKey, move: Perform) -> Callable[[], _Done]:
        link = self._links.get(move.at.host)
        if isinstance(move.command, Sleep):
            return lambda: self._sleep(key, move)
        if link is None:
            nowhere = Settled(move.digest, "unreachable", why="this step has no host")
            return lambda: _Done(key, ((move.at, nowhere, ""),))
        if link.session is None:
            return lambda: self._connect(key, move, link)
        if isinstance(move.command, Change):
            return self._change_work(key, move, link, link.session)
        return lambda: self._probe(key, move, link)

    def _guarded(self, key: LaneKey, move: Perform, work: Callable[[], _Done]) -> None:
        """The one place where whatever goes wrong in a worker becomes a recorded outcome."""
        try:
            done = work()
        except JournalUnwritable as error:
            done = _Done(key, (), fatal=error)
        except TastyopsError as error:
            done = _Done(key, ((move.at, _unreachable(move, error), ""),))
        except Exception as error:  # a bug of ours must end the step, not hang the run
            why = f"an error in tastyops: {type(error).__name__}: {error}"
            done = _Done(key, ((move.at, Settled(move.digest, "lost", why=why), ""),))
        self._done.put(done)

    def _connect(self, key: LaneKey, move: Perform, link: Link) -> _Done:
        """Opens the link only; the core then says the same command again."""
        offline_counts = isinstance(move.command, Probe) and move.command.offline
        try:
            connected = link.try_connect() if offline_counts else link.connect()
        except Unreachable as error:
            offline = offline_counts and error.id != "host-key-changed"
            how, why = ("offline", error.id) if offline else ("unreachable", error.what)
            body = Settled(move.digest, how, {}, describe(move.command), why)
            return _Done(key, ((move.at, body, ""),))
        return _Done(key, ((Address(host=link.host.name), connected, ""),))

    def _probe(self, key: LaneKey, move: Perform, link: Link) -> _Done:
        command = move.command
        if not isinstance(command, Probe):
            raise TypeError(f"not a command for a host: {command!r}")
        capture = self._journal.capture(move.step.no_log)
        try:
            ended = link.probe(
                command,
                capture,
                sudo=link.needs_root(command.sudo, move.step.sudo),
                timeout=move.step.timeout,
                tail=self._tail(move.at),
            )
        except LinkLost as error:
            self._tell(link, Disconnected(error.what, expected=command.offline))
            if command.offline:
                body = Settled(move.digest, "offline", {}, describe(command), error.id)
                return _Done(key, ((move.at, body, ""),))
            if link.given_up:
                raise
            return _Done(key, ())  # it only reads: the core says it again, on a new link
        return _Done(key, ((move.at, settled(move.digest, ended, capture, describe(command)), ""),))

    def _change_work(
        self, key: LaneKey, move: Perform, link: Link, session: Session
    ) -> Callable[[], _Done]:
        """Journals the intent, here on the journal's thread; gives the rest for a worker."""
        boot_id = session.hello.boot_id
        fate = f"{session.hello.directory}/{move.fate}"
        self.append(intended(move, fate, boot_id), move.at)
        return lambda: self._change(key, move, link, boot_id)

    def _change(self, key: LaneKey, move: Perform, link: Link, boot_id: str) -> _Done:
        command = move.command
        if not isinstance(command, Change):
            raise TypeError(f"not a change: {command!r}")
        capture = self._journal.capture(move.step.no_log)
        how: dict[str, Any] = {
            "sudo": link.needs_root(command.sudo, move.step.sudo),
            "timeout": move.step.timeout,
            "tail": self._tail(move.at),
        }
        try:
            ended = link.change(move.fate, command, capture, **how)
        except LinkLost as error:
            if self._aborting.is_set():
                raise
            self._tell(link, Disconnected(error.what))
            self._tell(link, link.connect())
            capture = self._journal.capture(move.step.no_log)
            found, why = link.pick_up(
                move.fate,
                boot_id,
                lambda: link.change(move.fate, command, capture, **how),
                capture=capture,
                **how,
            )
            if found is None:
                return _Done(key, ((move.at, Settled(move.digest, "lost", why=why), ""),))
            ended = found
        outcome = (move.at, settled(move.digest, ended, capture, {}), "")
        return _Done(key, (outcome,), (link.host.name, move.fate))

    def _tell(self, link: Link, body: Body) -> None:
        """From a worker: something about a host, said at once and not with the outcome."""
        self._done.put(_Done(None, ((Address(host=link.host.name), body, ""),)))

    def _sleep(self, key: LaneKey, move: Perform) -> _Done:
        command = move.command
        if isinstance(command, Sleep) and not self._stopping.is_set():
            self._clock.sleep(command.seconds, self._stopping.wait)
        return _Done(key, ((move.at, Settled(move.digest, "slept", {}, describe(command)), ""),))

    def _tail(self, at: Address) -> Callable[[bytes, bytes], None]:
        def show(out: bytes, err: bytes) -> None:
            for listener in self._listeners:
                listener.running(at, self._journal.mask(out), self._journal.mask(err))

        return show

    # -- waiting -------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Takes in the first thing that comes back, and all else that has come by then."""
        if not self._busy and not self._asking:
            return
        try:
            self._take(self._done.get(timeout=SOON if self._unheard else SPOOL_PAUSE))
        except queue.Empty:
            self._end_commands()  # one may have begun just as it was told to end
        while not self._done.empty():
            self._take(self._done.get())
        for who, body in self._journal.spooled():
            self._hand_in(who, body)

    def _take(self, done: _Done) -> None:
        if done.key is not None:
            self._busy.discard(done.key)
            self._ending.discard(done.key)
            self._asking.discard(done.key)
        if done.fatal is not None:
            raise done.fatal  # an output that cannot be kept stops the run
        for at, body, who in done.events:
            if isinstance(body, Answered | CancelAsked) and self._answered(done.key):
                continue
            self.append(body, at, who)
        if done.forget is not None:
            self._forgettable.append(done.forget)

    def _forget(self) -> None:
        """Lets the hosts forget the changes whose outcomes are durable now."""
        forgettable, self._forgettable = self._forgettable, []
        for host, name in forgettable:
            self._links[host].forget(name)

    def _answered(self, key: LaneKey | None) -> bool:
        return key is None or self.state.lane(*key).question is None

    def _hand_in(self, who: str, body: Body) -> None:
        """An event from another process."""
        if isinstance(body, CancelAsked):
            self._cancel(body.because, who)
        else:
            self.append(body, who=who)

    def _ask(self, key: LaneKey, move: Parked) -> None:
        question = {"host": move.at.host, "step": move.at.step, **move.question.to_json()}
        for operator in self._operators:
            answer = operator.answer(question)
            if answer is not None:
                value, who = answer
                body = Answered(value, hands=who == "practice hands")
                self._done.put(_Done(key, ((move.at, body, who),)))
                return
        self._done.put(_Done(key, ((move.at, CancelAsked("nobody is here to answer"), ""),)))

    def _cancel(self, because: str, who: str) -> None:
        """Stops what runs now and lets the run end."""
        self._stopping.set()
        self._asking.clear()  # what waits for an answer waits no longer
        self.append(CancelAsked(because), who=who)
        self._commit()
        self._ending = set(self._busy)
        self._end_commands()

    def _end_commands(self) -> None:
        for host, _ in self._ending:
            if host in self._links:
                self._links[host].stop()

    def _abandon(self) -> None:
        """An error no event can express: leave the journal as it is and let go of the hosts.

        What runs there goes on, and its fate is kept there.
        """
        self._aborting.set()
        self._stopping.set()

    def _hang_up(self) -> None:
        closed = self.state.closed is not None
        for link in self._links.values():
            link.finish(forget=closed and not _in_doubt(self.state))


def _unreachable(move: Perform, error: TastyopsError) -> Settled:
    how = "unreachable" if isinstance(error, Unreachable) else "lost"
    why = error.what
    if isinstance(error, Locked) and not isinstance(error, Fenced):
        return Settled(move.digest, "locked", {}, {}, " ".join(error.lines()))
    if isinstance(move.command, Change) and how == "unreachable":
        # it was sent, and the host did not come back to say what became of it
        how = "lost"
    return Settled(move.digest, how, {}, {}, why)


def _in_doubt(state: RunState) -> bool:
    return any(lane.ended and lane.ended.outcome == "in doubt" for lane in state.lanes.values())
