"""A link to a host: the main shell runs commands, a second shell watches over them.

One thread does everything: it waits on one bell for both channels. While a command runs longer
than a moment, the second shell, on the same connection, beats the heart, tails and kills.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from math import inf
from time import monotonic

from tastyops.errors import LinkLost, TastyopsError, Unreachable
from tastyops.ports import Ended, Sink, Tail
from tastyops.protocol.framing import Hello
from tastyops.transport.ssh.channel import Collector, Exchange, Nowhere, Shell
from tastyops.transport.ssh.ending import Ending
from tastyops.transport.ssh.order import Order, State, Watch, ended, link_lost
from tastyops.transport.ssh.sudo import Sudo, refused
from tastyops.transport.ssh.timing import Timing
from tastyops.transport.ssh.wire import Carrier, GoneError

_PROBES_KEPT = 64
_LARGE_BYTES = 1 << 20
_POLL = 0.1
"""Seconds between two checks of a command that was told to end."""


class ShellLink:
    """Both shells of one connection. For one thread at a time; ``stop`` may come from another."""

    def __init__(
        self,
        carrier: Carrier,
        run: str,
        timing: Timing,
        *,
        password: Callable[[], str] | None,
        now: Callable[[], float],
    ) -> None:
        self._carrier = carrier
        self._where = carrier.where
        self._run = run
        self._timing = timing
        self._sudo = Sudo(password)
        self._bell = carrier.bell()
        self._lock = threading.Lock()
        self._running = self._stopping = False
        self._lost: LinkLost | None = None
        self._doing: Order | None = None
        self._second: Shell | None = None
        self._second_since = self._life = monotonic()
        self._main_ended = self._main_may_end = False
        self._probes = 0
        self.claim: tuple[str, ...] = ()
        """The words that took the host's lock. A new main shell repeats them."""
        carrier.open()
        try:
            before = now()
            self._main = Shell(carrier, self._bell, run)
            carrier.need_two()  # while the host starts the first shell
            self._await_greeting(self._main)
            # The host's clock is read in whole seconds, half a trip before we hear of it.
            self.skew = self.hello.time + 0.5 - (before + now()) / 2
        except GoneError as error:
            self.close()
            raise Unreachable(
                f"{self._where}: {error}.",
                still_true="No command was run there.",
                next_step="Try again; if it goes on, look at sshd's log there.",
            ) from error
        except BaseException:
            self.close()
            raise

    @property
    def hello(self) -> Hello:
        """The greeting of the current main shell."""
        if self._main.hello is None:
            raise self._loss("the shell is not open")
        return self._main.hello

    @property
    def where(self) -> str:
        """The host as messages name it."""
        return self._where

    @property
    def lost(self) -> str:
        """Why the link was lost; empty while it works."""
        if self._lost is None and not self._carrier.active:
            self._loss("the connection was closed")
        return self._lost.what if self._lost else ""

    # -- commands ------------------------------------------------------------------------------

    def run(
        self, order: Order, sink: Sink, *, seconds: float | None = None, tail: Tail | None = None
    ) -> Ended:
        """Runs one request to its end, or ends it. Raises LinkLost."""
        if self._stopping and not order.brief:
            return Ended(-1, 0.0, "stopped")
        tail_name = order.name or f"{self.hello.pid}.{self._main.asked}"
        with self._guarded(order):
            began = monotonic()
            exchange = self._main.begin(order.verb, order.words, sink)
            limit = inf if seconds is None else began + seconds
            watch = Watch(order, exchange, began, limit, tail, tail_name)
            try:
                state = self._watch(watch)
            except BaseException as error:
                # Whatever it was (a sink that cannot write, for one): the rest of that answer
                # would be taken for the next one's, so this link is used no more.
                if self._lost is None:
                    self._loss(f"given up in mid-command ({type(error).__name__})")
                raise
            if order.verb in ("p", "P"):
                self._tidy(exchange)
            return ended(exchange.status, monotonic() - began, state)

    def ask(self, verb: str, words: Sequence[str] = ()) -> tuple[str, bytes]:
        """A short request to the main shell: its status and standard output. Raises LinkLost."""
        kept = Collector()
        answer = self.run(Order(verb, tuple(words), brief=True), kept)
        return str(answer.status), kept.stdout

    def tell(self, verb: str, *words: str) -> None:
        """A request to the main shell that has no answer. Raises LinkLost."""
        with self._guarded(Order(verb, words, brief=True)):
            self._main.tell(verb, *words)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Makes the calls inside one command, which ``stop`` ends."""
        with self._lock:
            self._running, self._stopping = True, False
        try:
            yield
        finally:
            with self._lock:
                self._running = self._stopping = False

    def stop(self) -> None:
        """Ends the command that is running. For another thread."""
        with self._lock:
            if self._running:
                self._stopping = True
                self._bell.set()

    def _tidy(self, exchange: Exchange) -> None:
        """Has the main shell delete the files of probes, once there are many or large ones."""
        self._probes += 1
        if exchange.bytes > _LARGE_BYTES or self._probes >= _PROBES_KEPT:
            self._probes = 0
            self._main.tell("r")

    # -- watching ------------------------------------------------------------------------------

    def _watch(self, watch: Watch) -> State:
        exchange = watch.exchange
        while exchange.status is None:
            # Silenced before looking at anything that rings it: nothing can be missed.
            self._bell.silence()
            if self._receive():
                continue
            now = monotonic()
            if watch.endable and (self._stopping or now >= watch.limit):
                return self._end(watch, "stopped" if self._stopping else "timed out")
            last = watch.began if self._second is not None else max(watch.began, self._life)
            due = last + self._timing.second_after
            if now >= due:
                due = self._tend(watch, now)
            self._bell.wait(max(0.0, min(due, watch.limit if watch.endable else inf) - now))
        return "ended"

    def _tend(self, watch: Watch, now: float) -> float:
        """Sends heartbeats and fetches output over the second shell; returns the next time due."""
        second = self._second or self._open_second()
        due = self._check_life(watch, now)
        if watch.tailing is not None and watch.tailing[0].status is not None:
            kept = watch.tailing[1]
            watch.tailing = None
            if watch.tail is not None:
                watch.tail(kept.stdout, kept.stderr)
        if second.hello is None or second.busy:
            return due
        if watch.tail is not None and now >= watch.tail_at and watch.exchange.bytes == 0:
            kept = Collector()
            watch.tail_at = now + self._timing.tail_every
            watch.tailing = (self._begin_second("t", [watch.tail_name], kept), kept)
        elif now - self._life >= self._timing.heart_every:
            self._begin_second("h", [], Nowhere())
        else:
            beat = self._life + self._timing.heart_every
            return min(beat, watch.tail_at) if watch.tail is not None else beat
        return now + self._timing.heart_limit

    def _open_second(self) -> Shell:
        self._second_since = monotonic()
        self._second = Shell(self._carrier, self._bell, self._run)
        self._life = self._second_since = monotonic()
        return self._second

    def _begin_second(self, verb: str, words: Sequence[str], sink: Sink) -> Exchange:
        second = self._second or self._open_second()
        self._second_since = monotonic()
        return second.begin(verb, words, sink)

    def _check_life(self, watch: Watch, now: float) -> float:
        """Raises LinkLost if the second shell is overdue; else returns when it would be."""
        second = self._second
        if second is None or (second.hello is not None and not second.busy):
            return now + self._timing.heart_every
        greeted = second.hello is not None
        limit = self._timing.heart_limit if greeted else self._timing.second_greeting
        since = max(self._life, self._second_since, watch.began)
        if now - since >= limit:
            raise self._loss(f"no sign of life for {now - since:.0f} s")
        return since + limit

    def _take(self, until: float) -> None:
        """Takes what has arrived on either channel, or waits for data until then."""
        self._bell.silence()
        if not self._receive():
            left = until - monotonic()
            if left > 0:
                self._bell.wait(left)

    def _receive(self) -> bool:
        got = False
        try:
            got = not self._main_ended and self._main.pump()
        except GoneError as error:
            if not self._main_may_end or not self._carrier.active:
                raise self._loss(str(error)) from error
            self._main_ended = got = True
        if self._second is not None:
            try:
                got = self._second.pump() or got
            except GoneError as error:
                if not self._carrier.active:
                    raise self._loss(str(error)) from error
                # Someone ended it there; another is opened when it is next needed.
                self._second.close()
                self._second = None
                got = True
        if got:
            self._life = monotonic()
        return got

    # -- ending a command ----------------------------------------------------------------------

    def _end(self, watch: Watch, why: State) -> State:
        """Kills the command and all of its processes."""
        self._main_may_end = not watch.order.name
        try:
            ending = self._ending(watch)
            if ending is None:
                return "ended" if watch.exchange.status is not None else "stuck"
            gone = self._signal(ending, "TERM", self._timing.term_patience) or self._signal(
                ending, "KILL", self._timing.kill_patience
            )
            if watch.order.name:
                self._wait(watch, lambda: watch.exchange.status is not None)
            if watch.exchange.status is None:
                self._reopen_main()
            return why if gone else "stuck"
        finally:
            self._main_may_end = False

    def _ending(self, watch: Watch) -> Ending | None:
        order = watch.order
        elevate = self._sudo.words if order.sudo and self.hello.uid else None

        def ask(verb: str, words: Sequence[str]) -> tuple[str, bytes]:
            return self._ask_second(watch, verb, words)

        if not order.name:
            return Ending(ask, self.hello.pid, ("x", str(self.hello.pid)), elevate)
        until = monotonic() + self._timing.kill_patience
        while watch.exchange.status is None and monotonic() < until:
            _, out = ask("q", [order.name])
            begun = out.decode("utf-8", "replace").partition("\npid ")[2].split(" ", 1)[0]
            if begun.isdigit():
                return Ending(ask, int(begun), ("k", order.name), elevate)
            self._take(monotonic() + _POLL)
        return None

    def _signal(self, ending: Ending, name: str, patience: float) -> bool:
        """Sends the signal, once for TERM, and waits that long. True when all of it is gone."""
        until = monotonic() + patience
        alive = ending.signal(name)
        while alive and monotonic() < until:
            self._take(min(until, monotonic() + _POLL))
            alive = ending.signal("0" if name == "TERM" else name)
        return not alive

    def _wait(self, watch: Watch, ready: Callable[[], bool]) -> None:
        until = monotonic() + self._timing.kill_patience
        while not ready() and monotonic() < until:
            self._check_life(watch, monotonic())
            self._take(until)

    def _ask_second(self, watch: Watch, verb: str, words: Sequence[str]) -> tuple[str, bytes]:
        kept = Collector()
        exchange: Exchange | None = None
        while exchange is None or exchange.status is None:
            second = self._second or self._open_second()
            if exchange is None and second.hello is not None and not second.busy:
                if verb == "P":
                    self._sudo.give(second)
                exchange = self._begin_second(verb, words, kept)
            self._take(min(self._check_life(watch, monotonic()), monotonic() + 1))
            if self._second is not second:
                exchange = None
        return exchange.status or "", kept.stdout

    def _reopen_main(self) -> None:
        """Replaces a main shell that was killed with its command, or that is stuck."""
        pid, directory = self.hello.pid, self.hello.directory
        self._main.close()
        self._main = Shell(self._carrier, self._bell, self._run)
        self._await_greeting(self._main)
        self._main_ended = False
        self._say("p", ["sh", "-c", 'rm -f "$1".*', "sh", f"{directory}/{pid}"])
        if self.claim:
            self._say("l", self.claim)  # refused, it serves no changes: the next one is told

    def _say(self, verb: str, words: Sequence[str]) -> None:
        """Sends a request to a new main shell while the command before is being ended."""
        exchange = self._main.begin(verb, words, Nowhere())
        until = monotonic() + self._timing.heart_limit
        while exchange.status is None:
            if monotonic() >= until:
                raise self._loss("the new shell does not answer")
            self._take(until)

    def _await_greeting(self, shell: Shell) -> None:
        """Waits until a new main shell has greeted. Raises HostUnsuitable when it does not."""
        until = monotonic() + self._timing.greeting
        while shell.hello is None:
            self._bell.silence()
            if shell.pump():
                continue
            left = until - monotonic()
            if left <= 0:
                raise shell.unsuitable(f"no greeting within {self._timing.greeting:g} s")
            self._bell.wait(left)

    # -- sudo ----------------------------------------------------------------------------------

    def elevated(self, argv: Sequence[str], infile: str = "/dev/null") -> tuple[str, list[str]]:
        """The verb ``p`` or ``P`` and the words that run ``argv`` as root; root needs no sudo.

        A password is tried once before its first use, since an account may be locked after a few.
        Raises SudoRefused, LinkLost.
        """
        if not self.hello.uid:
            return "p", list(argv)
        with self._guarded(Order("s", (), brief=True)):
            self._sudo.give(self._main)
        if not self._sudo.proven:
            kept = Collector()
            verb, words = self._sudo.words(["true"])
            if self.run(Order(verb, tuple(words), brief=True), kept).status != 0:
                raise refused(self._where, kept.stderr)
            self._sudo.proven = True
        return self._sudo.words(argv, infile)

    # -- the end of the link -------------------------------------------------------------------

    @contextlib.contextmanager
    def _guarded(self, order: Order) -> Iterator[None]:
        if self._lost is not None:
            raise self._lost
        self._doing = order
        try:
            yield
        except GoneError as error:
            raise self._loss(str(error)) from error
        finally:
            self._doing = None

    def _loss(self, why: str) -> LinkLost:
        self._lost = link_lost(self._where, why, self._doing)
        return self._lost

    def farewell(self, *requests: tuple[str, ...]) -> None:
        """Sends last requests to the main shell and waits until they have been read."""
        if self._lost is not None or self._running:
            return
        try:
            for verb, *words in requests:
                self.tell(verb, *words)
            self.ask("h")
        except TastyopsError:
            return

    def close(self) -> None:
        """Closes both channels and the connection; never raises."""
        for shell in (getattr(self, "_main", None), self._second):
            if shell is not None:
                shell.close()
        self._carrier.close()
