"""One link per host, opened when first needed and opened again when it was lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tastyops.engine.host_hold import Claim, Hold
from tastyops.errors import LinkLost, NoRoom, SudoRefused, TastyopsError, Unreachable
from tastyops.journal.connection_events import HANDS, Connected
from tastyops.journal.events import Address, Settled
from tastyops.model.commands import Change, Command, Output, Probe, output_to_json
from tastyops.model.inventory import Host
from tastyops.ports import Capture, Dialer, Ended, Session, Tail
from tastyops.protocol.framing import Hello

RECONNECT_PATIENCE = 90.0
"""Seconds a host that was reachable in this run may stay away before a step gives up on it."""

RECONNECT_PAUSE = 1.0
"""Seconds between two tries to reach it."""

MOST_LOSSES = 3
"""Times in a row a command may lose the link before it is no longer tried again, or looked for."""

_NOT_DONE = {"untold": "untold", "undone": "undone", "left": "unreachable"}
"""What a person who types at the host says of a command, and what that comes to."""

_WHERE_NOBODY_KNOWS = {
    True: "it was to be typed by hand, and nobody has said what became of it",
    False: "it was begun over a session, and there is none to ask what became of it",
}
"""Of a change, by whether it was typed by hand."""

NO_STATUS = "its process is gone and left no exit status"
"""Why nobody knows what became of a change whose host is there and has not been rebooted."""

_LOST = Ended(-1, 0.0, "lost")

_FINAL = frozenset({"host-key-unknown", "host-key-changed", "authentication-failed"})
"""Refusals that trying again does not cure."""


@dataclass(frozen=True, slots=True)
class FateLocation:
    """Where a host keeps a change's fate: in the memory of one boot, in one directory there."""

    boot_id: str
    record: str

    @classmethod
    def of(cls, hello: Hello) -> FateLocation:
        """Where a session that said this keeps it."""
        return cls(hello.boot_id, hello.record)

    def same_boot(self, hello: Hello) -> bool:
        """Whether a session that says this is certainly in the same boot."""
        return self.boot_id == hello.boot_id != ""

    @property
    def by_hand(self) -> bool:
        """Whether nothing of it is kept but in the memory of whoever typed it."""
        return self.record == HANDS


class NotBegun(Exception):
    """Nothing of a change was begun, and why is known."""

    def __init__(self, error: TastyopsError) -> None:
        super().__init__(str(error))
        self.error = error


_NOT_BEGUN = (SudoRefused, NoRoom)


class Beside(Protocol):
    """The ways to one host where there is no ssh."""

    def session(self, at: Address, *, refused: bool) -> tuple[Session, str] | None:
        """A session and over what it goes; None where there is none either.

        ``at``: the command it is wanted for. ``refused``: the host was reached, and let us not in.
        Raises Unreachable.
        """

    def last(self) -> str:
        """Over what the run went there last."""


class Link:
    """The link to one host, used by one lane at a time."""

    def __init__(
        self,
        host: Host,
        dialer: Dialer,
        claim: Claim,
        stopping: threading.Event,
        beside: Beside,
    ) -> None:
        self.host = host
        self._hold = Hold(host.name, claim)
        self._dialer = dialer
        self._run = claim.run
        self._stopping = stopping
        self._beside = beside
        self._session: Session | None = None
        self._over = ""
        self._attempt = ("", 0)
        """The attempt at a step that the session was opened for."""
        self._was_up = False
        self._losses = 0

    @property
    def given_up(self) -> bool:
        """Whether the link was lost so often in mid-probe that the probe must be at fault."""
        return self._losses >= MOST_LOSSES

    @property
    def session(self) -> Session | None:
        """The open session, if there is one."""
        return self._session

    @property
    def over_console(self) -> bool:
        """Whether the open session goes over the host's console."""
        return self._session is not None and self._over == "console"

    @property
    def over_network(self) -> bool:
        """Whether there is an open session and it goes over ssh."""
        return self._session is not None and not self._over

    def session_for(self, command: Command, at: Address) -> Session | None:
        """The open session, unless the command asks whether the host can be reached and the session
        goes beside the network, which says nothing of that. What a person types is asked for only
        as long as there is no ssh, which is tried at every attempt.

        One that is known to be lost carries no change: whether that was begun would be in doubt.
        """
        if self._session is not None and isinstance(command, Change) and self._session.lost:
            return None
        asks = isinstance(command, Probe) and command.offline
        anew = self._over == HANDS and self._attempt != (at.step, at.attempt)
        return None if (asks and self._over) or anew else self._session

    def connect(self, at: Address) -> Connected:
        """Opens the session for a command; a host that was up in this run is given time to come
        back.

        Where there is no ssh it goes over the host's console if a root shell is open there, or by
        the hands of a person who said so.
        """
        deadline = time.monotonic() + (RECONNECT_PATIENCE if self._was_up else 0)
        while True:
            try:
                return self._open(lambda: self._session_there(at), at)
            except Unreachable as error:
                if error.id in _FINAL or time.monotonic() >= deadline or self._stopping.is_set():
                    raise
            self._stopping.wait(RECONNECT_PAUSE)

    def try_connect(self, at: Address) -> Connected:
        """Opens the session with a single try, over ssh alone: whether the host can be reached is
        a question about its network.
        """
        return self._open(self._session_by_ssh, at)

    def leave_console(self) -> None:
        """Closes a session that goes over the console, so that the console can be used."""
        if self.over_console:
            self.drop()

    def _session_by_ssh(self) -> tuple[Session, str]:
        return self._dialer.session(self.host, self._run), ""

    def _session_there(self, at: Address) -> tuple[Session, str]:
        try:
            return self._session_by_ssh()
        except Unreachable as error:
            if self._stopping.is_set():
                raise
            found = self._beside.session(at, refused=error.id in _FINAL)
            if found is None:
                raise
            return found

    def _open(self, dial: Callable[[], tuple[Session, str]], at: Address) -> Connected:
        self.drop()
        session, over = dial()
        try:
            # no lock is kept where nobody but a person looks after it
            took_over = "" if over == HANDS else self._hold.take(session)
        except BaseException:
            session.close()
            raise
        self._session, self._over = session, over
        self._attempt = (at.step, at.attempt)
        self._was_up = self._was_up or over != HANDS
        hello = session.hello
        return Connected(
            hello.boot_id,
            hello.kernel,
            hello.hostname,
            hello.uid,
            hello.directory,
            session.skew,
            self._hold.epoch,
            took_over,
            over,
            self._entry(over),
            0.0 if hello.up < 0 else round(hello.time - hello.up - session.skew, 1),
        )

    def _entry(self, over: str) -> str | None:
        """What the log says, where steps begin to be typed by hand, or no longer are."""
        name, before = self.host.name, self._beside.last()
        if (over == HANDS) == (before == HANDS):
            return None
        if over == HANDS:
            return f"Steps on {name} are typed by hand: no ssh, no shell on a console."
        return f"Steps on {name} go over {'its console' if over else 'ssh'} again."

    def drop(self) -> None:
        """Closes the session."""
        session, self._session, self._over = self._session, None, ""
        if session is not None:
            session.close()

    def stop(self) -> None:
        """From another thread: ends the command that is running on it."""
        session = self._session
        if session is not None:
            session.stop()

    def needs_root(self, sudo: bool | None, step_sudo: bool | None) -> bool:
        """Whether a command is to be run with sudo."""
        uid = None if self._session is None else self._session.hello.uid
        return needs_sudo(self.host, uid, sudo, step_sudo)

    def probe(
        self, command: Probe, capture: Capture, *, sudo: bool, timeout: float | None, tail: Tail
    ) -> Ended:
        """Runs a probe; one cut off by a lost link is simply run again, since it only reads."""
        session = self._need()
        try:
            ended = session.probe(command.argv, sink=capture, sudo=sudo, timeout=timeout, tail=tail)
        except LinkLost:
            self._losses += 1
            self.drop()
            raise
        self._losses = 0
        return ended

    def change(
        self,
        name: str,
        command: Change,
        capture: Capture,
        *,
        sudo: bool,
        timeout: float | None,
        tail: Tail,
    ) -> Ended:
        """Sends a change. Raises NotBegun, and LinkLost: its fate is then for ``pick_up`` to find
        out.
        """
        session = self._need()
        try:
            return session.change(
                name,
                command.argv,
                sink=capture,
                sudo=sudo,
                stdin=command.stdin,
                timeout=timeout,
                tail=tail,
            )
        except _NOT_BEGUN as error:
            raise NotBegun(error) from error
        except LinkLost:
            self.drop()
            raise

    def pick_up(
        self,
        name: str,
        kept: FateLocation,
        again: Callable[[], Ended],
        *,
        capture: Capture,
        sudo: bool,
        timeout: float | None,
        tail: Tail,
    ) -> tuple[Ended, str]:
        """What became of a change whose link was lost: how it ended, and why nobody knows where it
        is ``lost``. Raises NotBegun, LinkLost.

        A change the host has no trace of is sent once more under the same name: the host lets a
        name begin only once, so should the first request still arrive, one of the two is refused.
        Where a person types, that person is asked, who alone can know.
        """
        session = self._need()
        if HANDS in (self._over, kept.record):
            if self._over == HANDS and kept.by_hand:
                return again(), ""
            return _LOST, _WHERE_NOBODY_KNOWS[kept.by_hand]
        if session.hello.boot_id != kept.boot_id:
            return _LOST, "the host was rebooted while it ran"
        fate = session.fate(name)
        if fate.state == "never" and session.hello.record != kept.record:
            # an account's runtime directory goes with its last session: systemd removes it
            return _LOST, "the host no longer has the run's record"
        if fate.state == "never":
            ended = again()
            if ended.state != "claimed":
                return ended, ""
        try:
            ended = session.follow(name, sink=capture, sudo=sudo, timeout=timeout, tail=tail)
        except _NOT_BEGUN as error:
            raise NotBegun(error) from error
        lost = ended.state == "lost"
        return ended, NO_STATUS if lost else ""

    def forget(self, name: str) -> None:
        """Drops the host's files of a change that is safe in the journal."""
        if self._session is not None:
            with contextlib.suppress(LinkLost):  # the next command finds out, and connects anew
                self._session.forget(name)

    def finish(self, *, forget: bool) -> None:
        """Ends the link at the end of a run; with ``forget`` its directory and lock go too."""
        try:
            if forget and self._session is not None:
                self._session.forget_run()
                self._session.unlock()
        except TastyopsError:
            pass  # the run is over; what is left lies in a directory the next boot clears
        self.drop()

    def _need(self) -> Session:
        if self._session is None:
            raise LinkLost(f"There is no link to {self.host.name}.")
        return self._session


def needs_sudo(host: Host, uid: int | None, *wishes: bool | None) -> bool:
    """Whether sudo goes before a command: the first wish there is decides, else the host's.

    ``wishes`` are the command's and the step's, in that order; ``uid`` is the account's there,
    None when it is not known. Root needs none.
    """
    wanted = next((wish for wish in wishes if wish is not None), bool(host.sudo))
    return wanted and uid != 0


def settled(digest: str, ended: Ended, capture: Capture, command: dict[str, Any]) -> Settled:
    """The event for a command that ended."""
    out, err = capture.finish()
    if ended.state in _NOT_DONE:
        return Settled(digest, _NOT_DONE[ended.state], {}, command, ended.why, ended.by)
    if ended.state == "full":
        why = "the host has no room for the record of a change, so it was not begun"
        return Settled(digest, "undone", {}, command, f"{why}; nothing was changed by it")
    if ended.state == "fenced":
        why = "the host was taken from this run, so it was not begun"
        return Settled(digest, "locked", {}, command, why)
    if ended.state in ("lost", "claimed", "stuck"):
        why = {
            "lost": NO_STATUS,
            "claimed": "it had been begun before",
            "stuck": "it could not be killed and still runs (uninterruptible sleep)",
        }[ended.state]
        left = partial(Output(-1, out, err))
        final = ended.state == "lost"
        return Settled(digest, "lost", left, command, ended.why or why, ended.by, final)
    output = Output(
        ended.status,
        out,
        err,
        round(ended.seconds, 6),
        timed_out=ended.state == "timed out",
        stopped=ended.state == "stopped",
        cut=ended.cut,
    )
    return Settled(digest, "output", output_to_json(output), command, by=ended.by)


def partial(output: Output) -> dict[str, Any]:
    """What a command printed of which no exit status is known, for the journal."""
    result = output_to_json(output)
    return {stream: result[stream] for stream in ("out", "err") if stream in result}
