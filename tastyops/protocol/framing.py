"""The framing of a remote shell: how requests and answers travel, as bytes in and bytes out.

One small protocol with two speakers: ``BOOTSTRAP``, which a real ``sh`` (dash, bash, busybox)
runs on the host, and the practice host's own. A session starts two of these shells on one
connection: the main one runs commands, the second one tails, kills and answers heartbeats
while the first is busy.

A request is one line: a verb, a nonce, and shell-quoted words. An answer is the standard output,
a marker, the standard error, a marker with a status. A marker is NUL, the nonce, a word and a
newline; the nonce is random for every request, so no output can imitate it.

======  =======================  ==========================================================
verb    words                    answer
======  =======================  ==========================================================
``p``   argv…                    run it now, reading; its output and exit status
``P``   argv…                    the same with the session's password line on standard input
``c``   name argv…               run it with its fate kept under ``name``; the same answer
``C``   name argv…               the same with the password line on standard input
``u``   name base64              append to the standard input ``name`` will get; no answer
``f``   name                     wait for the fate of ``name`` to be decided; the same answer
``q``   name                     ``name``'s status file, pid file and the kernel's line on it
``t``   name                     the last bytes of ``name``'s output so far
``k``   signal name              signal its process group; status 0 while the group lives
``x``   signal pid               signal a process group by number
``d``   name…                    forget these; no answer
``r``                            forget the files of probes; no answer
``z``                            forget this run's directory; no answer
``l``   over epoch name rest     take the host's lock; a word, then what the lock said before
``L``                            let go of the lock; no answer
``s``   password                 keep the password line in this shell; no answer
``h``                            the heart beats
======  =======================  ==========================================================

Fate on the host: ``name.pid`` (the kernel's stat line of the wrapper: pid and start time),
``name.out``, ``name.err``, ``name.rc`` (exit status and newline, written last, over dashes that
reserved their room before the change began) in a 0700
directory named by run and boot id. ``name.pid`` is created exclusively, so a change that was
begun once cannot be begun again. Statuses that are words: ``lost`` (the process is gone and left
no status), ``claimed`` (that name was begun before), ``full`` (no room for its record; not begun),
``fenced`` (the lock does not name this session's run and epoch; not begun). After a number the
word ``cut`` says that the host has no room left, so that output may be missing.

The lock: ``tastyops.lock`` in /run/lock or /dev/shm, whichever is there with the sticky bit, so
that all accounts share it; else beside the runs' directories. ``$TASTYOPS_LOCKS`` is another
directory for it. It is made whole under another name and linked, so that one of two gets it, and
read before each change: ``c C u d`` do nothing in a session that does not hold it (any more), nor
does ``z`` in one that held it. ``lock`` says what its text means.

Facts this rests on: dash wants ``kill -s TERM -- -PG``; a nonce after ``\\0`` must begin with a
letter, since printf reads octal digits; a shell without a tty has no job control, so process
groups need setsid(1); dash and others give 128+n for signal n and cannot tell it from exit 128+n.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tastyops.protocol.bootstrap import ONE_LINE, PROTOCOL
from tastyops.protocol.process_stat import start_time

UPLOAD_BYTES = 36_000
"""Bytes of standard input in one ``u`` request (a line of 48,000 base64 characters)."""

_NEWLINE = '"$N"'

GREETING = "TASTYOPS"


def opening(nonce: str) -> str:
    """The command a session executes: it announces itself, then reads ``BOOTSTRAP`` as one line.

    Short and plain, because the account's login shell, whatever it is, parses it.
    """
    return f"exec sh -c 'echo {GREETING} {nonce}; IFS= read -r b; eval \"$b\"'"


def opening_nonce(command: str) -> str | None:
    """The nonce of an ``opening`` command, for the other speaker; None for any other command."""
    match = re.fullmatch(rf"exec sh -c 'echo {GREETING} (\w+); .*'", command)
    return match[1] if match else None


def bootstrap(run: str, nonce: str) -> str:
    """The script the shell runs, as the one line it reads; ``nonce`` marks its greeting."""
    return f"R={shlex.quote(run)}; H={nonce}; {ONE_LINE}\n"


def quote_words(words: Sequence[str]) -> str:
    """The words shell-quoted on one line: a newline inside a word is ``"$N"``.

    Raises ValueError for NUL, which no argument of a program can hold.
    """
    line = " ".join(_quote(word) for word in words)
    if "\0" in line:
        raise ValueError("an argument cannot hold NUL")
    return line


def _quote(word: str) -> str:
    quoted = "'" + word.replace("'", "'\\''") + "'"
    return quoted.replace("\n", f"'{_NEWLINE}'")


def unquote_words(line: str) -> list[str]:
    """The words of a request, for the speaker that is not a shell."""
    return [word.replace("\0", "\n") for word in shlex.split(line.replace(f"'{_NEWLINE}'", "\0"))]


def request(verb: str, nonce: str, words: Sequence[str] = ()) -> bytes:
    """One request as it goes over the wire."""
    return f"{verb} {nonce} {quote_words(words)}\n".encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the other speaker reads it."""

    verb: str
    nonce: str
    words: tuple[str, ...]


def parse_request(line: bytes) -> Request:
    """The reverse of ``request``. Raises ValueError for anything else."""
    verb, _, rest = line.decode("utf-8", "surrogateescape").rstrip("\n").partition(" ")
    nonce, _, words = rest.partition(" ")
    return Request(verb, nonce, tuple(unquote_words(words)))


def answer(nonce: str, out: bytes, err: bytes, status: str) -> bytes:
    """An answer as it goes over the wire, for the speaker that is not a shell."""
    mark = b"\0" + nonce.encode()
    return out + mark + b" e\n" + err + mark + b" " + status.encode() + b"\n"


Piece = tuple[Literal["out", "err", "end"], bytes]


class AnswerReader:
    """Takes an answer apart as its bytes arrive, whatever the boundaries of the reads.

    ``feed`` yields pieces of the two streams and at last ``("end", status)``; what came after
    the end (it should be nothing) is in ``rest``.
    """

    def __init__(self, nonce: str) -> None:
        self._mark = b"\0" + nonce.encode() + b" "
        self._held = b""
        self._stream: Literal["out", "err"] = "out"
        self.ended = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that ``data`` completes."""
        data = self._held + data
        self._held = b""
        while not self.ended:
            at = data.find(self._mark)
            if at < 0:
                keep = _overlap(data, self._mark)
                self._held = data[len(data) - keep :]
                data = data[: len(data) - keep]
                if data:
                    yield self._stream, data
                return
            line_end = data.find(b"\n", at)
            if at:
                yield self._stream, data[:at]
            if line_end < 0:
                self._held = data[at:]
                return
            word = data[at + len(self._mark) : line_end]
            data = data[line_end + 1 :]
            if self._stream == "out":
                self._stream = "err"
            else:
                self.ended = True
                yield "end", word
        self.rest += data


def _overlap(data: bytes, mark: bytes) -> int:
    """How many of the last bytes of ``data`` may be the beginning of ``mark``."""
    at = data.rfind(b"\0", max(0, len(data) - len(mark) + 1))
    while at >= 0:
        if mark.startswith(data[at:]):
            return len(data) - at
        at = data.rfind(b"\0", max(0, len(data) - len(mark) + 1), at)
    return 0


@dataclass(frozen=True, slots=True)
class Hello:
    """What a host says of itself when a session opens. ``time`` is its clock, whole seconds."""

    uid: int
    boot_id: str
    directory: str
    pid: int
    hostname: str
    kernel: str
    time: int
    problem: str
    lock: str = ""
    record: str = ""
    """A word made with the run's directory: one that was removed and made anew has another."""
    up: int = -1
    """Whole seconds since it was started; -1 where it does not say."""


def parse_hello(status: str) -> Hello:
    """The greeting's fields. Raises ValueError when it is not a greeting of this protocol."""
    ok, *pairs = status.split(" ")
    fields = dict(pair.partition("=")[::2] for pair in pairs)
    if ok != "ok" or fields.get("v") != str(PROTOCOL):
        raise ValueError(f"not a greeting of protocol {PROTOCOL}: {status[:100]!r}")
    return Hello(
        uid=int(fields["uid"]),
        boot_id=fields["boot"],
        directory=fields["dir"],
        pid=int(fields["pid"]),
        hostname=fields["host"],
        kernel=fields["kernel"],
        time=int(fields["time"]),
        problem=fields["problem"],
        lock=fields["lock"],
        record=fields["record"],
        up=int(fields["up"]) if fields.get("up", "").isdigit() else -1,
    )


@dataclass(frozen=True, slots=True)
class Fate:
    """What the host knows of a change.

    ``ended``: it left ``status``. ``running``: its process lives. ``lost``: it was begun, is gone
    and left no status. ``never``: no trace of it in this boot of the host.
    """

    state: Literal["ended", "running", "lost", "never"]
    status: int | None = None


def parse_fate(text: str) -> Fate:
    """Reads the answer to a ``q`` request: pid *and* start time must match for a live process."""
    lines = dict(line.partition(" ")[::2] for line in text.splitlines() if line)
    rc, begun, now = (lines.get(key, "").strip() for key in ("rc", "pid", "now"))
    if rc.isdigit():
        return Fate("ended", int(rc))
    if not begun:
        return Fate("never")
    lives = start_time(begun) == start_time(now) != ""
    return Fate("running") if lives else Fate("lost")
