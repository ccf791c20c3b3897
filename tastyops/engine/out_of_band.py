"""One host's console and power switch: opened when first needed, whether the host is up or not.

Nothing here needs the host's lock, which cannot be taken while it is down: the controller's
record of who works on it still holds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from tastyops.errors import JournalUnwritable, Locked, NoConsole, NoPower, Unreachable
from tastyops.journal.connection_events import ConsoleAttached, ConsoleDetached, ConsoleHeard
from tastyops.journal.events import Body
from tastyops.model.commands import Change, Probe, blob_to_json
from tastyops.model.inventory import Host
from tastyops.ports import Capture, Console, Ended, JournalSink, OutOfBand, Power, Session, Sink

PIECE = 64 * 1024
"""Bytes of a console's output that stand in one event, about."""

PIECE_SECONDS = 10.0
"""Seconds after which what a console said is in the journal."""

MOST_KEPT = 16 * 1024 * 1024
"""Bytes a run keeps of one host's console; of what comes after that only the count."""

LONGEST_LOOK = 3600.0
"""Seconds one look may wait."""


class ConsoleRecord:
    """Keeps what a console says in the run's journal, in pieces; called from the console's thread.

    ``tell`` hands an event to the journal's thread, ``fail`` what must end the run.
    """

    def __init__(
        self,
        journal: JournalSink,
        tell: Callable[[Body], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._journal, self.tell, self._fail = journal, tell, fail
        self._lock = threading.Lock()
        self._capture: Capture | None = None
        self._size = self._kept = 0
        self._since = 0.0
        self.left_out = 0

    def heard(self, data: bytes) -> None:
        """Some bytes. A piece ends with a line, so that no secret is cut in two."""
        with self._lock:
            try:
                self._take(data)
            except JournalUnwritable as error:
                self._fail(error)

    def _take(self, data: bytes) -> None:
        room = MOST_KEPT - self._kept
        self.left_out += max(0, len(data) - room)
        data = data[:room]
        if not data:
            return
        self._kept += len(data)
        due = self._size >= PIECE or time.monotonic() - self._since >= PIECE_SECONDS
        cut = data.rfind(b"\n") + 1 if due and self._capture is not None else 0
        self._add(data[:cut])
        if cut or self._size >= 2 * PIECE:
            self._flush()
        self._add(data[cut:])

    def _add(self, data: bytes) -> None:
        if not data:
            return
        if self._capture is None:
            self._capture, self._since = self._journal.capture(), time.monotonic()
        self._capture.out(data)
        self._size += len(data)

    def flush(self) -> None:
        """Hands over what is not in the journal yet."""
        with self._lock:
            try:
                self._flush()
            except JournalUnwritable as error:
                self._fail(error)

    def _flush(self) -> None:
        capture, self._capture, self._size = self._capture, None, 0
        if capture is not None:
            self.tell(ConsoleHeard(blob_to_json(capture.finish()[0])))


class Outside:
    """The ways to one host that do not lead through it. ``record`` is None in a dry run."""

    def __init__(self, host: Host, ways: OutOfBand, record: ConsoleRecord | None = None) -> None:
        self.host, self._ways, self._record = host, ways, record
        self._console: Console | None = None
        self._power: Power | None = None
        self._using = threading.Lock()

    def probe(self, command: Probe, sink: Sink) -> Ended:
        """Looks. Raises Unreachable or Locked, and ValueError for what is no verb."""
        with self._using:
            match command.via, command.argv:
                case "power", ("status",):
                    return self._switch().status(sink=sink)
                case "power", ("policy",):
                    return self._switch().policy(sink=sink)
                case "console", ("attach",):
                    how = self._attached().how
                    sink.out(json.dumps({"how": how}).encode())
                    return Ended(0, 0.0)
                case "console", ("look", seconds, *until):
                    patience = min(max(0.0, float(seconds)), LONGEST_LOOK)
                    return self._attached().look(patience, until, sink=sink)
        raise ValueError(f"{' '.join(command.argv)!r} does not read over the {command.via}")

    def change(self, command: Change, sink: Sink) -> Ended:
        """Types, or works the switch. Raises Unreachable or Locked: then nothing was sent."""
        with self._using:
            match command.via, command.argv:
                case "power", (("on" | "off" | "cycle") as how,):
                    return self._switch().turn(how, sink=sink)
                case "console", ("type",):
                    return self._attached().type(command.stdin)
                case "console", ("type-secret", name):
                    return self._attached().type_secret(name)
                case "console", ("take",):
                    self._detach()
                    self._attached(take=True)
                    return Ended(0, 0.0)
        raise ValueError(f"{' '.join(command.argv)!r} is nothing to do over the {command.via}")

    def session(self, run: str, *, left: bool) -> Session | None:
        """A session at the root shell that is open on the console, where the run has attached it;
        ``left``: where a session of the run was there last. None where there is none.
        """
        with self._using:
            if self._console is None and not left:
                return None
            try:
                return self._attached().session(self.host, run, left=left)
            except (Unreachable, Locked):
                return None

    def _switch(self) -> Power:
        if self._power is None:
            self._power = self._ways.power(self.host)
        return self._power

    def _attached(self, *, take: bool = False) -> Console:
        """The console, attached again if it was lost."""
        if self._console is not None and self._console.lost:
            self._detach()
        if self._console is None:
            heard = self._record.heard if self._record else _unheard
            self._console = self._ways.console(self.host, heard=heard, take=take)
            self._tell(ConsoleAttached(self._console.how))
        return self._console

    def _detach(self) -> None:
        console, self._console = self._console, None
        if console is None:
            return
        why = console.lost
        console.close()
        left_out = 0
        if self._record is not None:
            self._record.flush()
            left_out, self._record.left_out = self._record.left_out, 0
        self._tell(ConsoleDetached(why, left_out))

    def _tell(self, body: Body) -> None:
        if self._record is not None:
            self._record.tell(body)

    def stop(self) -> None:
        """From another thread: ends what waits."""
        for each in (self._console, self._power):
            if each is not None:
                each.stop()

    def close(self) -> None:
        """Lets go of the console; what it said is handed over first."""
        self.stop()
        with self._using:
            self._detach()


class NoOutOfBand:
    """For a run whose hosts have neither console nor power switch."""

    def console(self, host: Host, *, heard: Callable[[bytes], None], take: bool = False) -> Console:
        """There is none."""
        raise no_console(host.name)

    def power(self, host: Host) -> Power:
        """There is none."""
        raise no_power(host.name)


def no_console(name: str) -> NoConsole:
    """The error for a host without a console."""
    return NoConsole(
        f"The inventory gives {name} no console.",
        still_true="Nothing was done.",
        next_step="Give it `console:`, or leave out what needs one.",
    )


def no_power(name: str) -> NoPower:
    """The error for a host without a power switch."""
    return NoPower(
        f"The inventory gives {name} no power switch.",
        still_true="Nothing was done.",
        next_step="Give it `power:`, or leave out what needs one.",
    )


def _unheard(data: bytes) -> None:
    """In a dry run nothing is kept."""


def spoken(command: Probe | Change, line: str) -> str:
    """A command as a preview shows it: over what it goes, where that is not the host's shell."""
    ways = {"console": "over the console: ", "power": "at the power switch: "}
    return ways.get(command.via, "") + line
