"""The five commands an action may yield, and what each gives back. Commands are data.

An action never performs anything: it yields these, and the engine sends back a value:
``Probe`` → the parsed fact (or ``Offline``), ``Change`` → ``Output``, ``Ask`` → the answer,
``Sleep`` and ``Report`` → None. In a dry run a withheld command gives ``Unknown``.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import hashlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, cast

from tastyops.errors import CannotKnow, JournalDamaged, ProbeFailed
from tastyops.model.public_text import PublicText
from tastyops.redact import Masker

PARSE_LIMIT = 8 * 1024 * 1024
"""Bytes of one stream that are read whole. A parser that needs more has a failed probe; everything
else gets the beginning and the end (``Blob.excerpt``), and the journal keeps all of it."""

NO_SECRETS = Masker()

Via = Literal["host", "console", "power"]
"""Over what a command goes: the host's own shell, its console, or its power switch.

The console and the power switch stand outside the host: they answer while it is down. Over them
``argv`` is a verb and its arguments (``ports.Console``, ``ports.Power``), not a program's.
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """A command that only reads; ``parser`` names the function in ``probes`` that understands it.

    ``offline`` says that an unreachable host is an answer (``Offline``) and not a failure.
    ``sudo``: True needs root, None follows the step and the host, False never. ``masker`` hides
    the run's secrets wherever the command is described or digested, never where it is sent.
    """

    argv: tuple[str, ...]
    parser: str = "output"
    sudo: bool | None = None
    offline: bool = False
    via: Via = "host"
    masker: Masker = field(default=NO_SECRETS, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """A command that may change the host; ``settle`` is a probe that tells whether it happened.

    ``masker`` as in ``Probe``.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    sudo: bool | None = None
    settle: Probe | None = None
    via: Via = "host"
    masker: Masker = field(default=NO_SECRETS, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a person: a value, work done by hand, or a yes. ``by`` names who may answer.

    ``text`` is for the operator's eyes; it is not published.
    """

    kind: Literal["ask", "manual", "confirm"]
    text: str
    by: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; ``why`` is shown to the operator."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """Progress between 0 and 1 for the terminal, and, where there is one, an entry for the log."""

    done: float | None = None
    entry: PublicText | None = None
    note: str = ""


Command = Probe | Change | Ask | Sleep | Report
Steps = Generator[Command, Any, dict[str, Any] | None]
"""What calling an action gives: a generator of commands that returns what it registers."""


@dataclass(frozen=True)
class Blob:
    """One stream's output: its digest and size, a bounded head and tail, and a way to read it."""

    sha256: str
    size: int
    head: bytes
    tail: bytes = b""
    load: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, data: bytes) -> Blob:
        """A blob that is all here."""
        return cls(hashlib.sha256(data).hexdigest(), len(data), data)

    @property
    def whole(self) -> bool:
        """Whether all of it can be read."""
        return self.size == len(self.head) or (self.size <= PARSE_LIMIT and self.load is not None)

    def read(self) -> bytes:
        """The whole output, for a parser. Raises ProbeFailed above ``PARSE_LIMIT``."""
        if self.size == len(self.head):
            return self.head
        if not self.whole or self.load is None:
            raise ProbeFailed(f"{self.size} bytes of output is more than can be read")
        return self.load()

    def excerpt(self) -> str:
        """The output as text; of more than can be read, the beginning and the end.

        Never raises: what a command printed does not decide how it ended.
        """
        if self.whole:
            with contextlib.suppress(JournalDamaged):
                return self.read().decode("utf-8", "replace")
        left = self.size - len(self.head) - len(self.tail)
        if left <= 0:
            return (self.head + self.tail[-left:]).decode("utf-8", "replace")
        gap = f"[{left} of {self.size} bytes are left out here; the run's record has them all]"
        begins = text_between_cuts(self.head, begun=True)
        return f"{begins}\n{gap}\n{text_between_cuts(self.tail)}"


def text_between_cuts(data: bytes, *, begun: bool = False) -> str:
    """A piece of a stream as text, without the parts of characters that a cut left at its ends.

    ``begun``: the piece is the stream's beginning, so only its end may be cut.
    """
    start = 0
    while not begun and start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1  # the rest of a character that began before the cut (RFC 3629: 10xxxxxx)
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data[start:])


EMPTY = Blob.of(b"")


NO_ROOM = "[the host had no room for more of the output]"
"""The end of an output that was cut on its host."""


@dataclass(frozen=True)
class Output:
    """How a command ended. ``status`` is the shell's: 128+n may be exit 128+n or signal n.

    ``at`` is when it ended, in seconds since the epoch, on the run's clock.
    """

    status: int
    out: Blob = EMPTY
    err: Blob = EMPTY
    seconds: float = 0.0
    at: float = 0.0
    timed_out: bool = False
    stopped: bool = False
    """Whether it was killed because a person cancelled the run."""
    cut: bool = False
    """Whether its host had no room left for output when it ended."""

    @property
    def ok(self) -> bool:
        """Whether it ended with 0, in time and by itself."""
        return self.status == 0 and not self.timed_out and not self.stopped

    @property
    def truncated(self) -> bool:
        """Whether a stream is larger than what ``excerpt`` and ``error_excerpt`` have of it."""
        return self.cut or not (self.out.whole and self.err.whole)

    @property
    def text(self) -> str:
        """Standard output as a parser reads it, undecodable bytes replaced. Raises ProbeFailed."""
        if self.cut:
            raise ProbeFailed("the host has no room for all that it answers")
        return self.out.read().decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """Standard error as a parser reads it. Raises ProbeFailed."""
        return self.err.read().decode("utf-8", "replace")

    @property
    def excerpt(self) -> str:
        """Standard output as text, its middle left out where it is too large."""
        return f"{self.out.excerpt()}\n{NO_ROOM}" if self.cut else self.out.excerpt()

    @property
    def error_excerpt(self) -> str:
        """Standard error as text, its middle left out where it is too large."""
        return self.err.excerpt()


@dataclass(frozen=True, slots=True)
class Offline:
    """The answer to a probe with ``offline=True`` on a host that cannot be reached.

    ``why`` is a word: refused, timeout, closed, nologin, …; ``at`` as in ``Output``.
    """

    why: str
    at: float = 0.0

    def __bool__(self) -> bool:
        return False


class Unknown:
    """A value that only exists once step ``step`` has really run; reading it raises CannotKnow."""

    def __init__(self, step: str) -> None:
        object.__setattr__(self, "step_", step)

    def _raise(self, *_: object, **__: object) -> NoReturn:
        raise CannotKnow(object.__getattribute__(self, "step_"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._raise()

    __str__ = __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = __call__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _raise
    __int__ = __float__ = __add__ = __radd__ = __sub__ = __mul__ = __format__ = _raise

    def __repr__(self) -> str:
        return f"<known after step {unknown_step(self)}>"


def unknown_step(value: Unknown) -> str:
    """The address of the step that will make ``value`` known."""
    return str(object.__getattribute__(value, "step_"))


def concealed(steps: Steps, masker: Masker) -> Steps:
    """The same commands, none of which tells a secret when it is described or digested."""
    send: Callable[[Any], Command] = steps.send
    value: Any = None
    while True:
        try:
            command = send(value)
        except StopIteration as end:
            return cast("dict[str, Any] | None", end.value)
        try:
            value = yield _concealed(command, masker)
            send = steps.send
        except Exception as error:  # thrown in: a failed probe, a cancel
            send, value = steps.throw, error


def _concealed(command: Command, masker: Masker) -> Command:
    match command:
        case Probe():
            return replace(command, masker=masker)
        case Change(settle=settle):
            told = replace(settle, masker=masker) if settle else None
            return replace(command, settle=told, masker=masker)
        case Ask(text=text, default=default):
            told_default = default if default is None else masker.text(default)
            return replace(command, text=masker.text(text), default=told_default)
        case Sleep(why=why):
            return replace(command, why=masker.text(why))
        case _:
            entry = command.entry
            told_entry = PublicText.fixed(masker.text(entry.text)) if entry else None
            return replace(command, entry=told_entry, note=masker.text(command.note))


def describe(command: Command) -> dict[str, Any]:
    """The command as plain JSON: what the journal keeps and what its digest is made from.

    Secrets are masked before anything is hashed: the digest of a short one could be guessed.
    """
    match command:
        case Probe(argv, parser, sudo, offline, via, masker):
            told = list(map(masker.text, argv))
            data: dict[str, Any] = {"probe": told, "parser": parser, "sudo": sudo}
            return data | {"offline": offline} | _by(via)
        case Change(argv, stdin, sudo, settle, via, masker):
            data = {"change": list(map(masker.text, argv)), "sudo": sudo, **_by(via)}
            if stdin:
                data["stdin"] = hashlib.sha256(masker.mask(stdin)).hexdigest()
            if settle:
                data["settle"] = describe(settle)
            return data
        case Ask(kind, text, by, default):
            return {"ask": kind, "text": text, "by": by, "default": default}
        case Sleep(seconds, why):
            return {"sleep": seconds, "why": why}
        case Report(done, entry, note):
            return {"report": done, "entry": entry.text if entry else None, "note": note}


def _by(via: Via) -> dict[str, Any]:
    return {} if via == "host" else {"via": via}


def digest(command: Command) -> str:
    """Identifies a command on replay: equal digests mean the same command."""
    data = json.dumps(describe(command), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(data.encode()).hexdigest()[:32]


def blob_to_json(blob: Blob) -> dict[str, Any]:
    """A blob for the journal: text where it is text, base64 where not, bounded either way."""
    whole = blob.size == len(blob.head)
    data: dict[str, Any] = {"sha256": blob.sha256, "size": blob.size} if not whole else {}
    for name, part in (("head", blob.head), ("tail", blob.tail)):
        if not part and not (whole and name == "head"):
            continue
        try:
            data[name] = part.decode("utf-8")
        except UnicodeDecodeError:
            data[f"{name}64"] = base64.b64encode(part).decode("ascii")
    return data


def blob_from_json(data: dict[str, Any], load: Callable[[str], bytes] | None = None) -> Blob:
    """The reverse; ``load`` reads a blob kept as a file, by its digest."""

    def part(name: str) -> bytes:
        if f"{name}64" in data:
            return base64.b64decode(data[f"{name}64"])
        return str(data.get(name, "")).encode("utf-8")

    if "sha256" not in data:
        return Blob.of(part("head"))
    sha = str(data["sha256"])
    loader = (lambda: load(sha)) if load else None
    return Blob(sha, int(data["size"]), part("head"), part("tail"), loader)


def output_to_json(output: Output) -> dict[str, Any]:
    """An output for the journal; the time stands in the event's envelope."""
    data: dict[str, Any] = {"status": output.status, "seconds": output.seconds}
    for name, blob in (("out", output.out), ("err", output.err)):
        if blob.size:
            data[name] = blob_to_json(blob)
    if output.timed_out:
        data["timed_out"] = True
    if output.stopped:
        data["stopped"] = True
    if output.cut:
        data["cut"] = True
    return data
