"""Performs one command of a lane on a worker thread, and hands back what to put in the journal."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from tastyops.engine.links import (
    MOST_LOSSES,
    NO_STATUS,
    FateLocation,
    Link,
    NotBegun,
    partial,
    settled,
)
from tastyops.engine.out_of_band import Outside
from tastyops.errors import (
    Fenced,
    JournalUnwritable,
    LinkLost,
    Locked,
    ProbeFailed,
    SudoRefused,
    TastyopsError,
    Unreachable,
    WaitsForPerson,
)
from tastyops.facts.parsers import parse
from tastyops.journal.connection_events import HANDS, Disconnected
from tastyops.journal.events import Address, Body, FellSilent, Settled
from tastyops.journal.state import LaneKey
from tastyops.model.commands import Blob, Change, Offline, Output, Probe, describe, output_to_json
from tastyops.plan.moves import Perform, PickUp
from tastyops.ports import Capture, Clock, Ended, JournalSink, Listener


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker hands back. With a key its lane is free again; without, it works on."""

    key: LaneKey | None
    events: tuple[tuple[Address, Body, str], ...]
    forget: tuple[Link, str] | None = None
    fatal: Exception | None = None


Work = Callable[[], Done]


class Workers:
    """What the worker threads share, a queue for what they hand back above all."""

    def __init__(
        self,
        clock: Clock,
        journal: JournalSink,
        listeners: Sequence[Listener],
        stopping: threading.Event,
        *,
        attended: bool,
    ) -> None:
        """``attended``: somebody is there who can be asked what became of a change."""
        self._attended = attended
        self.done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self.aborting = threading.Event()
        """Set when the hosts are let go of: what a worker reports after that is no outcome."""
        self._stopping = stopping
        self._clock = clock
        self._journal = journal
        self._listeners = listeners

    def guarded(self, key: LaneKey, move: Perform | PickUp, work: Work) -> None:
        """The one place where whatever goes wrong in a worker becomes a recorded outcome."""
        try:
            done = work()
        except (JournalUnwritable, WaitsForPerson) as error:
            done = Done(key, (), fatal=error)
        except TastyopsError as error:
            if self._collected_later(move, error):
                done = Done(key, (), fatal=error)
            else:
                done = Done(key, ((move.at, _unreachable(move, error), ""),))
        except Exception as error:  # a bug of ours must end the step, not hang the run
            why = f"an error in tastyops: {type(error).__name__}: {error}"
            done = Done(key, ((move.at, Settled(move.digest, _unknown(move), why=why), ""),))
        # A link that we cut ourselves and a wait that we ended are no outcomes of the command.
        self.done.put(Done(key, ()) if self.aborting.is_set() else done)

    def _collected_later(self, move: Perform | PickUp, error: TastyopsError) -> bool:
        """Whether the run is left as it is, since its host can still say what became of the change.

        Somebody who attends the run is asked at once instead.
        """
        if not isinstance(move, PickUp) or move.record == HANDS:
            return False
        if isinstance(error, Unreachable):
            return not self._attended
        return isinstance(error, Locked)

    def connect(self, key: LaneKey, move: Perform | PickUp, link: Link) -> Done:
        """Opens the link only; the core then says the same command again."""
        offline_counts = isinstance(move.command, Probe) and move.command.offline
        if link.session is not None and link.session.lost:
            self._tell(link, Disconnected(link.session.lost))
        try:
            connected = (link.try_connect if offline_counts else link.connect)(move.at)
        except Unreachable as error:
            if isinstance(move, PickUp):
                raise
            offline = offline_counts and error.id != "host-key-changed"
            how, why = ("offline", error.id) if offline else ("unreachable", error.advised)
            body = Settled(move.digest, how, {}, describe(move.command), why)
            return Done(key, ((move.at, body, ""),))
        return Done(key, ((Address(host=link.host.name), connected, ""),))

    def probe(self, key: LaneKey, move: Perform, link: Link) -> Done:
        """Runs a command that only reads."""
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
                tail=_Seen(self, move),
            )
        except LinkLost as error:
            self._tell(link, Disconnected(error.what, expected=command.offline))
            if command.offline:
                body = Settled(move.digest, "offline", {}, describe(command), error.id)
                return Done(key, ((move.at, body, ""),))
            if link.given_up:
                raise
            return Done(key, ())  # it only reads: the core says it again, on a new link
        return Done(key, ((move.at, settled(move.digest, ended, capture, describe(command)), ""),))

    def change(self, key: LaneKey, move: Perform | PickUp, link: Link, kept: FateLocation) -> Done:
        """Sends a change, or finds out what became of one that was sent before."""
        command = move.command
        if not isinstance(command, Change):
            raise TypeError(f"not a change: {command!r}")
        seen = _Seen(self, move)
        try:
            found, why, capture = self._outcome(move, command, link, kept, seen)
        except NotBegun as none:
            why = " ".join(none.error.lines())
            body = Settled(move.digest, "undone", {}, describe(command), why)
            return Done(key, ((move.at, body, ""),), (link, move.fate))
        except Unreachable as error:
            if self._collected_later(move, error) or self.aborting.is_set():
                raise
            body = Settled(move.digest, "lost", seen.partial(), describe(command), error.advised)
            return Done(key, ((move.at, body, ""),))
        if found.state == "lost" and not found.why:
            doubt = self._doubt(move, command, link, kept, why)
            if doubt.how == "lost":
                left = _left(capture) or seen.partial()
                doubt = structs.replace(doubt, result=left, command=describe(command))
            return Done(key, ((move.at, doubt, ""),))
        # whoever shows a picked-up outcome has not seen the intent
        told = describe(command) if isinstance(move, PickUp) else {}
        outcome = (move.at, settled(move.digest, found, capture, told), "")
        known = found.state in ("ended", "timed out", "stopped")
        return Done(key, (outcome,), (link, move.fate) if known else None)

    def _outcome(
        self, move: Perform | PickUp, command: Change, link: Link, kept: FateLocation, seen: _Seen
    ) -> tuple[Ended, str, Capture]:
        """How the change ended, why nobody knows where it is lost, and what it printed.

        A link that is lost meanwhile is opened again. Raises NotBegun, Unreachable.
        """
        how: dict[str, Any] = {
            "sudo": link.needs_root(command.sudo, move.step.sudo),
            "timeout": move.step.timeout,
            "tail": seen,
        }
        capture = self._journal.capture(move.step.no_log)
        sent, losses = isinstance(move, PickUp), 0

        def send() -> Ended:
            return link.change(move.fate, command, capture, **how)

        while True:
            try:
                if not sent:
                    return send(), NO_STATUS, capture
                return *link.pick_up(move.fate, kept, send, capture=capture, **how), capture
            except LinkLost as error:
                losses += 1
                if self.aborting.is_set() or losses > MOST_LOSSES:
                    raise
                self._tell(link, Disconnected(error.what))
                self._tell(link, link.connect(move.at))
                sent, capture = True, self._journal.capture(move.step.no_log)

    def look(self, key: LaneKey, move: Perform, outside: Outside) -> Done:
        """Reads over the console, or from the power switch."""
        command = move.command
        if not isinstance(command, Probe):
            raise TypeError(f"not a probe: {command!r}")
        capture = self._journal.capture(move.step.no_log)
        try:
            ended = outside.probe(command, capture)
        except (Unreachable, Locked) as error:
            if not command.offline:
                return Done(key, ((move.at, _not_sent(move, error), ""),))
            body = Settled(move.digest, "offline", {}, describe(command), error.id)
            return Done(key, ((move.at, body, ""),))
        return Done(key, ((move.at, settled(move.digest, ended, capture, describe(command)), ""),))

    def act(self, key: LaneKey, move: Perform | PickUp, outside: Outside) -> Done:
        """Types at the console or works the power switch, or settles whether that was done."""
        command = move.command
        if not isinstance(command, Change):
            raise TypeError(f"not a change: {command!r}")
        if isinstance(move, PickUp):
            why = "it was begun, and whether it was done was not seen"
            return Done(key, ((move.at, self._settle(move, command, outside, why), ""),))
        capture = self._journal.capture(move.step.no_log)
        try:
            ended = outside.change(command, capture)
        except (Unreachable, Locked) as error:
            return Done(key, ((move.at, _not_sent(move, error), ""),))
        if ended.state == "lost":
            why = f"the {command.via} was asked and did not say whether it obeyed"
            return Done(key, ((move.at, self._settle(move, command, outside, why), ""),))
        return Done(key, ((move.at, settled(move.digest, ended, capture, {}), ""),))

    def _settle(
        self, move: Perform | PickUp, command: Change, outside: Outside, why: str
    ) -> Settled:
        """What a change out of band came to, by its own probe; without one it is in doubt."""
        if command.settle is None or command.settle.via == "host":
            return Settled(move.digest, "lost", why=why)
        capture = self._journal.capture()
        try:
            fact = _fact(command.settle, outside.probe(command.settle, capture), capture)
        except (Unreachable, Locked, ProbeFailed):
            return Settled(move.digest, "lost", why=why)
        if fact:
            done = output_to_json(Output(0))
            return Settled(move.digest, "output", done, why=f"{why}; a probe found it done")
        return Settled(move.digest, "undone", why=f"{why}; a probe found that it did not happen")

    def _doubt(
        self, move: Perform | PickUp, command: Change, link: Link, kept: FateLocation, why: str
    ) -> Settled:
        """No outcome is on the host: the change's own probe may know.

        After a reboot only a yes counts: what was done before it may be gone with it, or be it.
        """
        if command.settle is None:
            return Settled(move.digest, "lost", why=why, final=True)
        capture = self._journal.capture()
        sudo = link.needs_root(command.settle.sudo, move.step.sudo)
        try:
            ended = link.probe(
                command.settle, capture, sudo=sudo, timeout=None, tail=lambda out, err: None
            )
            fact = _fact(command.settle, ended, capture)
        except (LinkLost, ProbeFailed, SudoRefused):
            return Settled(move.digest, "lost", why=why)
        if fact and not isinstance(fact, Offline):
            done = output_to_json(Output(0))
            return Settled(move.digest, "output", done, why=f"{why}; a probe found it done")
        if link.session is None or not kept.same_boot(link.session.hello):
            return Settled(move.digest, "lost", why=why, final=True)
        return Settled(move.digest, "undone", why=f"{why}; a probe found that it did not happen")

    def sleep(self, key: LaneKey, move: Perform, left: float) -> Done:
        """Waits the seconds that are left of it, unless the run is stopping."""
        command = move.command
        if not self._stopping.is_set():
            self._clock.sleep(left, self._stopping.wait)
        return Done(key, ((move.at, Settled(move.digest, "slept", {}, describe(command)), ""),))

    def pause(self, key: LaneKey, seconds: float) -> None:
        """Waits a while for no command's sake, unless the run is stopping."""
        if not self._stopping.is_set():
            self._clock.sleep(seconds, self._stopping.wait)
        self.done.put(Done(key, ()))

    def _tell(self, link: Link, body: Body) -> None:
        """Something about a host, said at once and not with the outcome."""
        if not self.aborting.is_set():
            self.done.put(Done(None, ((Address(host=link.host.name), body, ""),)))

    def show(self, at: Address, out: bytes, err: bytes) -> tuple[bytes, bytes]:
        """Shows the last output of a running command, masked; gives it back so."""
        masked = self._journal.mask(out), self._journal.mask(err)
        for listener in self._listeners:
            listener.running(at, *masked)
        return masked


class _Seen:
    """The last that was seen of a running command. It is shown, and kept for when no more is had.

    Of one that has been silent for long it is said once.
    """

    def __init__(self, workers: Workers, move: Perform | PickUp) -> None:
        self._workers, self._move = workers, move
        self._heard = (b"", b"")
        self._since, self._said = time.monotonic(), False
        self._masked = (b"", b"")

    def __call__(self, out: bytes, err: bytes, /) -> None:
        """Takes what was seen now."""
        workers, move = self._workers, self._move
        if self._heard != (out, err):
            self._heard, self._since = (out, err), time.monotonic()
        elif not self._said and time.monotonic() - self._since >= move.step.quiet:
            self._said = True
            workers.done.put(Done(None, ((move.at, FellSilent(move.step.quiet), ""),)))
        self._masked = workers.show(move.at, out, err)

    def partial(self) -> dict[str, Any]:
        """For the journal, unless the step wants nothing of it kept."""
        if self._move.step.no_log:
            return {}
        out, err = self._masked
        return partial(Output(-1, Blob.of(out), Blob.of(err)))


def _left(capture: Capture) -> dict[str, Any]:
    """What a change of unknown end printed, as far as the host kept it."""
    return partial(Output(-1, *capture.finish()))


def _unknown(move: Perform | PickUp) -> str:
    """What a command without an outcome comes to: only a probe cannot have done anything."""
    return "undone" if isinstance(move.command, Probe) else "lost"


def _fact(settle: Probe, ended: Ended, capture: Capture) -> Any:
    """What a probe found that ended. Raises ProbeFailed."""
    if ended.state != "ended":
        raise ProbeFailed(ended.why or f"the probe was {ended.state}")
    return parse(settle.parser, Output(ended.status, *capture.finish(), ended.seconds))


def _not_sent(move: Perform | PickUp, error: TastyopsError) -> Settled:
    """For a way out of band that could not be had: certainly nothing was done."""
    how = "locked" if isinstance(error, Locked) else "unreachable"
    return Settled(move.digest, how, {}, describe(move.command), " ".join(error.lines()))


def _unreachable(move: Perform | PickUp, error: TastyopsError) -> Settled:
    if isinstance(error, SudoRefused) and isinstance(move.command, Probe):
        return Settled(move.digest, "undone", {}, describe(move.command), error.advised)
    how = "unreachable" if isinstance(error, Unreachable) else _unknown(move)
    why = error.advised
    if isinstance(error, Locked) and not isinstance(error, Fenced):
        return Settled(move.digest, "locked", {}, {}, " ".join(error.lines()))
    if isinstance(move.command, Change) and how == "unreachable":
        # it was sent, and the host did not come back to say what became of it
        how = "lost"
    return Settled(move.digest, how, {}, {}, why)
