"""What the engine needs from the world, as protocols; the edges implement them.

Every port has one conformance suite that its real and its practice implementation both pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Protocol

from tastyops.journal.envelope import Event
from tastyops.journal.events import Address, Body
from tastyops.model.commands import Blob
from tastyops.model.inventory import Host
from tastyops.protocol.framing import Fate, Hello
from tastyops.protocol.host_lock import Holder, Lock


class Sink(Protocol):
    """Takes a command's two streams as they arrive; called from the session's thread."""

    def out(self, data: bytes) -> None:
        """Some bytes of standard output."""

    def err(self, data: bytes) -> None:
        """Some bytes of standard error."""


class Tail(Protocol):
    """Shown the last bytes of both streams of a command that is still running."""

    def __call__(self, out: bytes, err: bytes, /) -> None:
        """Called about once a second; the bytes are masked by whoever shows them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command on a host ended.

    ``state``: ``ended`` with ``status``; ``timed out`` (it and its process group were killed);
    ``stopped`` (killed because a person asked); ``lost`` (it is gone and left no status);
    ``claimed`` (that name was begun before, nothing was sent); ``full`` (no room for its record on
    the host, nothing was begun); ``fenced`` (the session does not hold the host's lock, nothing was
    begun); ``stuck`` (it was to be killed and still runs: uninterruptible sleep). Where a person
    types at the host: ``untold`` (nobody can tell what a probe printed), ``undone`` (a change was
    not made), ``left`` (nothing was done, and no more will be typed). ``why`` says more of it;
    ``by`` is who told how it ended, empty for the host itself. ``cut``: the host had no room left
    when it ended, so some of its output may be missing.
    """

    status: int
    seconds: float
    state: Literal[
        "ended", "timed out", "stopped", "lost", "claimed", "full", "fenced", "stuck", "untold",
        "undone", "left",
    ] = "ended"  # fmt: skip
    why: str = ""
    by: str = ""
    cut: bool = False


class Prober(Protocol):
    """A live link to one host that can only read. A dry run holds nothing more than this."""

    @property
    def hello(self) -> Hello:
        """What the host said of itself when the session opened."""

    @property
    def skew(self) -> float:
        """Seconds the host's clock is ahead of the controller's, ±1."""

    @property
    def lost(self) -> str:
        """Why nothing more can be asked over it, where that is known; empty while it stands."""

    def probe(
        self,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Runs a reading command. Raises LinkLost."""

    def stop(self) -> None:
        """From another thread: end the command that is running now, its process group with it."""

    def close(self) -> None:
        """Ends the session; never raises."""


class Session(Prober, Protocol):
    """A live link to one host that can also change it, with the fate of each change kept there.

    It changes nothing before it holds the host's lock, nor after another run or a later epoch of
    its own took that.
    """

    def lock(self, holder: Holder, *, take_over: bool = False) -> Lock:
        """Takes the host's lock, or says who has it. One held under the same run, epoch and name
        is taken again; an older epoch's of the same run too. Raises LinkLost.
        """

    def unlock(self) -> None:
        """Lets go of the lock if it is still this session's. Raises LinkLost."""

    def change(
        self,
        name: str,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        stdin: bytes = b"",
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Runs a change under ``name``, which is unique in the run. Raises LinkLost."""

    def fate(self, name: str) -> Fate:
        """What the host knows of the change ``name``. Raises LinkLost."""

    def follow(
        self,
        name: str,
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Waits for a change begun earlier, over another link perhaps. Raises LinkLost."""

    def forget(self, name: str) -> None:
        """Drops the host's files of a change whose outcome is safe in the journal."""

    def forget_run(self) -> None:
        """Drops the run's directory on the host; before ``unlock``."""


class Dialer(Protocol):
    """Opens links. Raises Unreachable and its kinds (host key, authentication, unsuitable)."""

    def prober(self, host: Host, run: str) -> Prober:
        """A link that has no way to send a change."""

    def session(self, host: Host, run: str) -> Session:
        """A link that can change the host; ``run`` names its directory there."""


class Power(Protocol):
    """A host's power switch, reached without the host.

    Raises PowerUnreachable where certainly nothing was sent. Everything its tools say goes to
    ``sink.err``; ``sink.out`` gets one line, the answer in our words.
    """

    def status(self, *, sink: Sink) -> Ended:
        """Reads it: ``on``, ``off`` or ``unknown``."""

    def policy(self, *, sink: Sink) -> Ended:
        """What the machine does when power returns: ``always-on``, ``previous`` (as it was),
        ``always-off`` or ``unknown``.
        """

    def turn(self, how: Literal["on", "off", "cycle"], *, sink: Sink) -> Ended:
        """Works it; the answer is what was done: a cycle of a machine that is off becomes ``on``.

        ``lost`` when it was asked and did not say whether it obeyed.
        """

    def stop(self) -> None:
        """From another thread: give up waiting for it."""


class Console(Protocol):
    """A host's console, attached once and drained until closed, whether anybody looks or not.

    Raises ConsoleUnreachable once it is lost.
    """

    @property
    def how(self) -> str:
        """The way it is reached, for the journal; no secret is in it."""

    @property
    def lost(self) -> str:
        """Why nothing more comes from it; empty while it is attached."""

    def look(self, seconds: float, until: Sequence[str], *, sink: Sink) -> Ended:
        """Waits ``seconds`` of the run's time at most for one of the regular expressions ``until``
        in what arrived since the last look, control sequences left out; without any it waits for
        nothing. ``sink.out`` gets what the parser ``screen`` reads (``probes.console``).
        """

    def type(self, keys: bytes) -> Ended:
        """Sends key strokes; ``lost`` when only some of them went out."""

    def type_secret(self, name: str) -> Ended:
        """Sends a secret of the inventory, ``console-password``, without an Enter."""

    def session(self, host: Host, run: str, *, left: bool = False) -> Session | None:
        """A session at the root shell that is open on it; None where it shows none.

        ``left``: one of the same run was there last, and may not have ended; Enter is pressed to
        see. Until it is closed nothing else may be typed. Raises Unreachable.
        """

    def stop(self) -> None:
        """From another thread: end the look that waits now."""

    def close(self) -> None:
        """Lets go of it; never raises."""


class OutOfBand(Protocol):
    """Opens the ways to a host that do not lead through it."""

    def console(self, host: Host, *, heard: Callable[[bytes], None], take: bool = False) -> Console:
        """Attaches its console; ``heard`` is given all that arrives, from a thread of its own.

        ``take``: a session that another holds is ended. Raises ConsoleUnreachable, NoConsole,
        ConsoleHeld.
        """

    def power(self, host: Host) -> Power:
        """Its power switch. Raises NoPower."""


class Clock(Protocol):
    """The run's time. On a practice host it runs faster than the wall's."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""

    def sleep(self, seconds: float, wake: Callable[[float], bool]) -> None:
        """Waits. ``wake(real_seconds)`` waits that long at most and says True to end early."""


class Capture(Sink, Protocol):
    """Keeps one command's output: masked, hashed, bounded in memory, whole on disk."""

    def finish(self) -> tuple[Blob, Blob]:
        """Both streams; nothing may be written afterwards."""


@dataclass(frozen=True, slots=True)
class HandedIn:
    """An event from another process, through the run's spool. ``who`` is its login.

    ``account``: for what another account handed in, its uid as the kernel recorded it; None for
    what only the run's own account could. ``question``: the digest of the question it answers.
    """

    who: str
    body: Body
    at: Address = field(default_factory=Address)
    account: int | None = None
    question: str = ""


class JournalSink(Protocol):
    """The one writer of a run's journal. Raises JournalUnwritable."""

    def append(self, body: Body, at: Address, *, who: str, happened: datetime) -> Event:
        """Gives the event its number and its place in the chain; not yet durable."""

    def commit(self, durable: bool = True) -> None:
        """Writes everything appended so far; ``durable`` also sees it through to the disk."""

    def capture(self, no_log: bool = False) -> Capture:
        """A place for one command's output; with ``no_log`` only its size is kept."""

    def load(self, sha256: str) -> bytes:
        """A blob by its digest. Raises JournalDamaged when it is not there or not itself."""

    def mask(self, data: bytes) -> bytes:
        """``data`` with every secret of the run replaced."""

    def spooled(self) -> Iterable[HandedIn]:
        """What other processes handed in since the last call, in the order it was handed in.

        Each is to be appended before the next one is asked for.
        """


class Listener(Protocol):
    """Told of every event after it is in the journal: the terminal, the log, an announcer."""

    def event(self, event: Event) -> None:
        """One event, in order, from the engine's thread."""

    def caught_up(self) -> None:
        """All events so far have been told; called at least twice a second while a run is on."""

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """The last output, masked, of a command still running; from any thread."""


class Announcer(Protocol):
    """Whatever calls the operators when a run needs them."""

    def call(self, sentence: str, facts: Mapping[str, str]) -> str:
        """Says one sentence of ours; gives what went wrong, or nothing. Never raises.

        It is bounded in time. ``facts`` are the run's id, its log, the step, who attends.
        """


class OperatorKind(Enum):
    """What an operator is. The log says of an approval whether it was played on a practice host."""

    PERSON = "person"
    """A person, at this terminal or at another one."""
    OPTIONS = "options"
    """``--yes``, ``--var`` and the defaults of a runbook."""
    PRACTICE = "practice"
    """Scripted hands, which play the operator on a practice host."""


class Operator(Protocol):
    """Whoever answers questions: a person at a terminal, ``--yes``, scripted hands."""

    @property
    def kind(self) -> OperatorKind:
        """What this operator is."""

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None when nobody here can answer.

        ``over`` says whether the question is no longer asked, since somebody else answered it.
        """
