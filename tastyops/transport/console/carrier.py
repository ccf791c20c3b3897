"""Shells over a host's console, where a root shell is open (``protocol.serial_mux``).

One thread asks, since a terminal takes one request at a time. What does not arrive whole is asked
for again, in smaller pieces, so that kernel messages in between cost time and nothing else.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from tastyops.errors import ConsoleUnreachable, HostUnsuitable, TastyopsError
from tastyops.protocol.serial_mux import (
    BROKEN,
    DESCRIPTORS,
    ERASE,
    LEAVE,
    LEFT,
    READY,
    Reply,
    Sieve,
    loader,
    order,
    router_lines,
)
from tastyops.transport.console.wire import ConsoleWire
from tastyops.transport.ssh.wire import Bell, GoneError

LARGEST, SMALLEST = 2400, 150
"""Bytes typed at a time: in base64 they fit a terminal's line of 4095."""

MOST_READ, LEAST_READ = 12_000, 150
"""Bytes of output requested at a time."""

KEEP = 1 << 20
"""Bytes already read that may stay on the host before they are deleted there."""

QUICKEST, SLOWEST = 0.4, 1.0
"""Seconds a request waits on the host for output; longer after each empty answer."""

PROMPTED = 2.0
"""Seconds the shell's prompt may take to come back."""

TRIES_AT_FULL_SPEED = 2


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. ``opening``: until the shell takes what is typed; ``answer``: until a request is
    sent again; ``stall``: until the console is given up.
    """

    opening: float = 10.0
    answer: float = 5.0
    stall: float = 60.0


class Terminal(Protocol):
    """The interface of an attached console (``console.attached.Attached``)."""

    @property
    def how(self) -> str:
        """How the console is reached."""

    @property
    def lost(self) -> str:
        """Why the console has ended."""

    def tap(self, take: Callable[[bytes], bytes] | None) -> None:
        """Passes all that arrives to ``take``."""

    def until(self, patterns: Sequence[str], seconds: float) -> str:
        """Waits until one of the patterns is in the text so far; nothing is consumed."""

    def send(self, data: bytes, at_once: int, pause: float) -> None:
        """Types. Raises ConsoleUnreachable."""


class ConsoleCarrier:
    """The router on a host's console and its shells. Implements ``ssh.wire.Carrier``."""

    def __init__(self, terminal: Terminal, name: str, patience: Patience | None = None) -> None:
        self._terminal, self._patience = terminal, patience or Patience()
        self.where = f"{name}'s console"
        self._nonce = "n" + secrets.token_hex(8)
        self._sieve = Sieve(self._nonce)
        self._arrived = threading.Condition()
        self._wanted = threading.Condition()
        self._wires: dict[int, ConsoleWire] = {}
        self._opened = self._number = 0
        self._write, self._read, self._wait = LARGEST, MOST_READ, QUICKEST
        self._gone, self._closing = "", False
        self._heard = 0.0
        """When part of an answer last arrived."""
        self._thread = threading.Thread(target=self._serve, name=self.where, daemon=True)

    @property
    def active(self) -> bool:
        """Whether the host still answers, as far as is known."""
        return not self._gone and not self._closing

    def bell(self) -> Bell:
        """A bell; the thread that reads the console sets it."""
        return Bell()

    # -- the beginning and the end -------------------------------------------------------------

    def open(self) -> None:
        """Types the multiplexer at the prompt. Raises ConsoleUnreachable, HostUnsuitable."""
        self._terminal.tap(self._take)
        try:
            self._terminal.send(LEAVE, 16, 0.02)
            self._load()
        except BaseException:
            self._let_go()
            raise
        self._thread.start()

    def _load(self) -> None:
        until = monotonic() + 3 * self._patience.opening
        self._type(ERASE + loader(self._nonce), slow=True)
        while monotonic() < until and not self._terminal.lost:
            reply = self._next(min(until, monotonic() + self._patience.opening))
            if reply is None:
                self._type(b"\n.\n", slow=True)  # has a loader that waits for lines ask again
            elif reply == READY:
                self._type(router_lines(), slow=False)
            elif reply.words == ("up",):
                return
            elif reply.number == 0:
                raise self._unsuitable("there is no private, writable directory on it")
        raise self._unsuitable("the shell there did not take what was typed")

    def _unsuitable(self, why: str) -> TastyopsError:
        return HostUnsuitable(
            f"{self.where} cannot hold a session: {why}.",
            still_true="No command was run there.",
            next_step="Look at it with `invoke console`: it needs root's shell at its prompt, and "
            "sh, stty, cksum, base64, setsid and mkfifo.",
        )

    def close(self) -> None:
        """Restores the terminal; never raises."""
        if self._closing:
            return
        self._closing = True
        with self._wanted:
            self._wanted.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._let_go()

    def _let_go(self) -> None:
        torn = b"\n" if self._gone else b""
        try:
            if not self._terminal.lost:
                self._terminal.send(torn + LEAVE.replace(b"\r", b"\n"), 16, 0.02)
                until = monotonic() + self._patience.answer
                while (reply := self._next(until)) is not None and reply != LEFT:
                    pass
        except ConsoleUnreachable:
            pass
        finally:
            self._terminal.tap(None)
            if not torn:
                self._terminal.until([r"[#$] ?$"], PROMPTED)

    # -- what arrives --------------------------------------------------------------------------

    def _take(self, data: bytes) -> bytes:
        """From the console's thread."""
        with self._arrived:
            others = self._sieve.feed(data)
            if self._sieve.inside:
                self._heard = monotonic()
            if self._sieve.replies:
                self._arrived.notify_all()
        return others

    def _next(self, until: float) -> Reply | None:
        """The next answer of any kind; None after the time limit or if the console is lost."""
        with self._arrived:
            while not self._sieve.replies:
                left = until - monotonic()
                if left <= 0 or self._terminal.lost:
                    return None
                self._arrived.wait(min(left, 0.5))
            return self._sieve.replies.pop(0)

    # -- requests ------------------------------------------------------------------------------

    def _type(self, data: bytes, *, slow: bool) -> None:
        self._terminal.send(data, *((16, 0.02) if slow else (256, 0.001)))

    def _ask(self, words: Callable[[], Sequence[str]]) -> Reply:
        """One request, sent until its answer has arrived whole; ``words`` may become fewer."""
        self._number += 1
        until, tries = monotonic() + self._patience.stall, 0
        while True:
            line = order(self._nonce, self._number, words())
            self._type(b"\n" * bool(tries) + line, slow=tries >= TRIES_AT_FULL_SPEED)
            reply = self._answer(until)
            if reply is not None and reply is not BROKEN:
                return reply
            if self._terminal.lost:
                raise GoneError(f"the console is cut off: {self._terminal.lost}")
            if monotonic() >= until:
                raise GoneError(f"nothing came back whole for {self._patience.stall:.0f} s")
            tries += 1
            self._write = max(SMALLEST, self._write // 2)
            self._read = max(LEAST_READ, self._read // 2)

    def _answer(self, until: float) -> Reply | None:
        """The answer to the last request; answers to earlier requests are skipped.

        A slow line is waited for as long as something of an answer arrives, ``until`` at most.
        """
        patience, asked = self._patience.answer, monotonic()
        while (due := min(until, max(asked, self._heard) + patience)) > monotonic():
            reply = self._next(due)
            if reply is not None and (reply.number == self._number or reply is BROKEN):
                return reply
            if self._terminal.lost:
                break
        return None

    def _serve(self) -> None:
        """The thread: types pending input, and requests output while an answer is due."""
        try:
            while self.active:
                if not self._turn():
                    self._rest()
        except (GoneError, ConsoleUnreachable) as error:
            self._gone = str(error)
        except Exception as error:  # a bug of ours must not leave others waiting for this thread
            self._gone = f"an error in tastyops: {type(error).__name__}: {error}"
        with self._wanted:
            for wire in self._wires.values():
                wire.bell.set()
            self._wanted.notify_all()

    def _rest(self) -> None:
        """Waits until there is work again."""
        with self._wanted:
            if self.active and not self._anything():
                self._wanted.wait(1.0)
        if self._terminal.lost:
            raise GoneError(f"the console is cut off: {self._terminal.lost}")

    def _anything(self) -> bool:
        return any(w.beginning or w.ending or w.outgoing or w.waiting for w in self._wires.values())

    def _turn(self) -> bool:
        """One round over all shells; False when there was nothing to do."""
        with self._wanted:
            wires = list(self._wires.values())
        busy = False
        for wire in wires:
            busy = self._work(wire) or busy
        waiting = [] if busy else self._waiting()
        if waiting:
            self._poll(waiting)
        return busy or bool(waiting)

    def _waiting(self) -> list[ConsoleWire]:
        with self._wanted:
            wires = list(self._wires.values())
        return [wire for wire in wires if wire.waiting and not wire.beginning]

    def _work(self, wire: ConsoleWire) -> bool:
        """Starts a shell, writes to it, drops what was read, or ends it."""
        key = str(wire.id)
        if wire.beginning:
            command = base64.b64encode(wire.command.encode()).decode()
            self._ask(lambda: ("o", key, str(wire.descriptor), command))
            wire.beginning = False
        elif wire.ending:
            self._ask(lambda: ("x", key))
            with self._wanted:
                del self._wires[wire.id]
        elif wire.outgoing:
            self._wait = QUICKEST
            self._put(wire)
        elif wire.read - wire.dropped > KEEP and not wire.waiting:
            self._ask(lambda: ("r", key, str(wire.read)))
            wire.dropped = wire.read
        else:
            return False
        return True

    def _put(self, wire: ConsoleWire) -> None:
        """Types part of a shell's input; requests output after the last part."""
        waiting: list[ConsoleWire] = []

        def words() -> Sequence[str]:
            piece = bytes(wire.outgoing[: self._write])
            encoded = base64.b64encode(piece).decode()
            whole = wire.waiting and len(piece) == len(wire.outgoing)
            waiting[:] = self._waiting() if whole else []
            asked = self._asked(waiting) if waiting else ()
            return (str(wire.id), str(wire.written), str(len(piece)), encoded, *asked)

        reply = self._ask(lambda: ("w", *words()))
        reached = int(reply.words[0])
        with self._wanted:
            del wire.outgoing[: reached - wire.written]
            wire.written = reached
            self._wanted.notify_all()
        self._write = min(LARGEST, self._write + SMALLEST)
        if waiting:
            self._got(waiting, reply.words[1:], reply.data)

    def _poll(self, waiting: Sequence[ConsoleWire]) -> None:
        reply = self._ask(lambda: ("g", *self._asked(waiting)))
        self._got(waiting, reply.words, reply.data)

    def _asked(self, waiting: Sequence[ConsoleWire]) -> Sequence[str]:
        places = [word for wire in waiting for word in (str(wire.id), str(wire.read))]
        return (str(self._read), str(round(10 * self._wait)), *places)

    def _got(self, waiting: Sequence[ConsoleWire], words: Sequence[str], data: bytes) -> None:
        self._wait = QUICKEST if data else min(SLOWEST, self._wait * 1.2)
        for wire in waiting:
            if words[0] == str(wire.id):
                self._read = min(MOST_READ, self._read + self._read // 2)
                wire.take(data, words[1:])

    # -- shells --------------------------------------------------------------------------------

    def wire(self, command: str, bell: Bell) -> ConsoleWire:
        """Starts a shell command on the host."""
        with self._wanted:
            taken = {wire.descriptor for wire in self._wires.values()}
            free = [number for number in DESCRIPTORS if number not in taken]
            if not self.active or not free:
                raise GoneError(self._gone or "too many shells on one console")
            self._opened += 1
            wire = ConsoleWire(self, self._wanted, self._opened, free[0], command, bell)
            self._wires[wire.id] = wire
            self._wanted.notify_all()
        return wire

    def need_two(self) -> None:
        """Does nothing: a console always carries several shells."""

    @property
    def gone(self) -> str:
        """Why the host no longer answers; empty while it does."""
        return self._gone
