"""A session with a host whose commands a person types there: neither ssh nor a console is had.

It says less than other sessions, and nothing it does not know. The streams are one: a screen
shows both. No lock is taken, nothing is kept on the host, and no command can be ended from here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from tastyops.engine.manual_typing import Typists
from tastyops.errors import Unreachable
from tastyops.facts.system import BOOT_ID, is_boot_id
from tastyops.journal.connection_events import HANDS
from tastyops.journal.events import Address, question_digest
from tastyops.ports import Ended, Sink, Tail
from tastyops.protocol.framing import Fate, Hello
from tastyops.protocol.host_lock import Holder, Lock
from tastyops.protocol.serial_mux import cksum
from tastyops.protocol.typed_command import LEAVE, NOT_TYPED, Told, line

_BOOT = f"{' '.join(BOOT_ID.argv)}; cksum <{BOOT_ID.argv[-1]}"
"""A boot id with its checksum: one that was mistyped must not pass for another boot."""

_HELLO = f"cd /; export LC_ALL=C; id -u; uname -nr; {_BOOT}"
_HELLO_LINES = 4
_UNKNOWN = "-"

_BEGIN = (
    "From here on you type at {host} what stands here, and type back what you see. Nothing keeps "
    "another controller off that machine. `leave` at any question ends it.\nIn a root shell at its "
    "own keyboard type this; it only reads:\n\n{line}\n\nIt prints four lines. A line of - stands "
    "for one that you cannot read; `cannot tell` for all of them."
)
_READ = (
    "At {host} type this; it only reads:\n\n{line}\n\n{limit}"
    "Answer: its exit status (`echo $?`) and what it printed; or `cannot tell`, `leave`."
)
_CHANGE = (
    "At {host} type this; it may change the host:\n\n{line}\n\n{limit}"
    "Answer: its exit status (`echo $?`) and what it printed; or `not typed`, `not known`, `leave` "
    "(not typed, and nothing more will be)."
)
_BECAME = (
    "At {host} this was to be typed, and nobody has said what became of it. Do not type it now:"
    "\n\n{line}\n\nAnswer: its exit status, if it was typed and you know it; else `not typed` or "
    "`not known`."
)
_MISREAD = "That is not what it prints: the boot id and its checksum do not fit.\n"
_OTHER = (
    "That machine calls itself {name}, and {host} called itself {before} in this run. Type it at "
    "{host}; or answer the same again, if that is right.\n"
)
_LINES = "That is not what it prints: it prints four lines.\n"

_NO_MORE = "nothing more is typed at it by hand"
_NEVER_SAID = "the run was stopped before anybody said what became of it"


def typed_session(
    typists: Typists, host: str, at: Address, stopping: Callable[[], bool]
) -> TypedSession:
    """A session for one attempt at a step; what the host is, is asked the first time.

    Raises Unreachable where nobody wants to type, WaitsForPerson where nobody is.
    """
    if host not in typists.hellos:
        typists.hellos[host] = _hello(typists, host, at, stopping)
    return TypedSession(typists, host, at, typists.hellos[host])


def _hello(typists: Typists, host: str, at: Address, stopping: Callable[[], bool]) -> Hello:
    begin = _BEGIN.format(host=host, line=_HELLO)
    wrong, before = "", typists.hostname(host)
    names = {"", before}
    while True:
        answer = typists.ask(at, question_digest("hello", host), wrong + begin, _HELLO, stopping)
        if answer is None or answer[0].word == LEAVE:
            raise Unreachable(
                f"{host} has no session, and {_NO_MORE}.",
                still_true="Nothing was done there.",
                next_step="Try again once it can be reached.",
            )
        if answer[0].status is None:
            return _known("", "", "", "")
        known = _read(answer[0])
        if isinstance(known, str):
            wrong = known
        elif before and known.hostname not in names:
            wrong = _OTHER.format(name=known.hostname, host=host, before=before)
            names.add(known.hostname)
        else:
            return known


def _read(told: Told) -> Hello | str:
    """What the host is, or what is wrong with what was typed back."""
    lines = [each.strip() for each in _text(told).rstrip("\n").split("\n")]
    if len(lines) != _HELLO_LINES:
        return _LINES
    if lines[2] != _UNKNOWN and not _fits(lines[2], lines[3]):
        return _MISREAD
    return _known(*lines)


def _known(uid: str, names: str, boot_id: str, checksum: str) -> Hello:
    hostname, _, kernel = names.partition(" ")
    return Hello(
        uid=int(uid) if uid.isascii() and uid.isdigit() else -1,
        boot_id=boot_id if _fits(boot_id, checksum) else "",
        directory="",
        pid=0,
        hostname=hostname if kernel else "",
        kernel=kernel,
        time=0,
        problem="",
        record=HANDS,
    )


def _fits(boot_id: str, checksum: str) -> bool:
    told = f"{boot_id}\n".encode()
    return is_boot_id(boot_id) and checksum.split() == [str(cksum(told)), str(len(told))]


def _text(told: Told) -> str:
    return told.seen.decode("utf-8", "replace")


class TypedSession:
    """One person at one host's keyboard, for one attempt at a step."""

    def __init__(self, typists: Typists, host: str, at: Address, hello: Hello) -> None:
        self._typists, self._host, self._at = typists, host, at
        self.hello = hello
        self.skew = 0.0
        """Not known."""
        self.lost = ""
        self._stopped = threading.Event()
        self._asking = False
        self._closed = False

    def _ask(self, mark: str, text: str, typed: str) -> tuple[Told, str] | None:
        self._stopped.clear()
        self._asking = True
        try:
            return self._typists.ask(
                self._at, mark, text, typed, lambda: self._closed or self._stopped.is_set()
            )
        finally:
            self._asking = False

    def probe(
        self,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Has a reading command typed. ``timeout`` is told to the person, who alone can end it."""
        began = time.monotonic()
        boot = tuple(argv) == BOOT_ID.argv
        try:
            typed = _BOOT if boot else line(argv, sudo=sudo)
        except ValueError as error:
            return Ended(-1, 0.0, "untold", f"it cannot be typed by hand: {error}")
        text, wrong = _READ.format(host=self._host, line=typed, limit=_limit(timeout)), ""
        while True:
            answer = self._ask(question_digest("read", typed), wrong + text, typed)
            if answer is None:
                return Ended(-1, time.monotonic() - began, "stopped")
            told, who = answer
            seen, wrong = _boot_id(told) if boot and told.status == 0 else (told.seen, "")
            if not wrong:
                break
        seconds = time.monotonic() - began
        if told.status is not None:
            sink.out(seen)
            return Ended(told.status, seconds, by=who)
        if told.word == LEAVE:
            return Ended(-1, seconds, "left", _NO_MORE, who)
        return Ended(-1, seconds, "untold", "the person could not tell what it printed", who)

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
        """Has a change typed; one that may have been typed before is asked about first."""
        began = time.monotonic()
        try:
            typed = line(argv, sudo=sudo, stdin=stdin)
        except ValueError as error:
            return Ended(-1, 0.0, "undone", f"it cannot be typed by hand: {error}")
        mark = question_digest("change", name)
        if self._typists.shown(self._at, mark):
            answer = self._ask(mark, _BECAME.format(host=self._host, line=typed), typed)
            if answer is None or answer[0].word != NOT_TYPED:
                return _became(answer, sink, time.monotonic() - began, asked_for=False)
        text = _CHANGE.format(host=self._host, line=typed, limit=_limit(timeout))
        answer = self._ask(mark, text, typed)
        return _became(answer, sink, time.monotonic() - began, asked_for=True)

    def lock(self, holder: Holder, *, take_over: bool = False) -> Lock:
        """Nothing on the host keeps another controller out; the run's own record does here."""
        return Lock("taken")

    def unlock(self) -> None:
        """There is none."""

    def fate(self, name: str) -> Fate:
        """The host knows of none; ``change`` asks the person."""
        return Fate("never")

    def follow(
        self,
        name: str,
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Nothing on the host tells what became of it."""
        return Ended(-1, 0.0, "lost")

    def forget(self, name: str) -> None:
        """The host keeps nothing."""

    def forget_run(self) -> None:
        """The host keeps nothing."""

    def stop(self) -> None:
        """From another thread: nobody is asked any more. What was typed goes on there."""
        if self._asking:
            self._stopped.set()

    def close(self) -> None:
        """Nothing is asked any more."""
        self._closed = True


def _became(
    answer: tuple[Told, str] | None, sink: Sink, seconds: float, *, asked_for: bool
) -> Ended:
    """What a change came to. ``asked_for``: it was to be typed now, so that a no is a no."""
    if answer is None:
        return Ended(-1, seconds, "lost", _NEVER_SAID)
    told, who = answer
    if told.status is not None:
        sink.out(told.seen)
        return Ended(told.status, seconds, by=who)
    if asked_for and told.word == LEAVE:
        return Ended(-1, seconds, "left", _NO_MORE, who)
    if told.word == NOT_TYPED:
        return Ended(-1, seconds, "undone", "it was not typed", who)
    return Ended(-1, seconds, "lost", "whoever was to type it does not know what became of it", who)


def _boot_id(told: Told) -> tuple[bytes, str]:
    """A boot id without its checksum, or what is wrong with it."""
    boot_id, _, checksum = _text(told).rstrip("\n").partition("\n")
    if _fits(boot_id.strip(), checksum):
        return f"{boot_id.strip()}\n".encode(), ""
    return b"", _MISREAD


def _limit(timeout: float | None) -> str:
    return "" if timeout is None else f"If it takes longer than {timeout:g} s, end it (Ctrl-C).\n"
