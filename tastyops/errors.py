"""Every error an operator can meet: a stable id, an exit code, and what to do next.

An error says three things: what happened, what is still true of the host, and what to do
next. ``docs/errors.md`` lists them all and a test keeps it in step with this module.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What ``invoke run`` and every other verb end with (documented in ``docs/errors.md``)."""

    COMPLETED = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    UNREACHABLE = 4
    IN_DOUBT = 5
    LOCKED = 6


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in a file something stands; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file: where, what, and what was probably meant."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        tail = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {self.message}{tail}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to a mistaken one; empty where none is near."""
    if len(word) > 64:  # difflib is quadratic, and no word of ours is that long
        return ""
    words = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return f"did you mean '{words[near[0]]}'?" if near else ""


def shown(text: str) -> str:
    """A piece of a file as it may stand in a message: quoted, on one line, cut when long."""
    line = " ".join(text.split())
    printable = "".join(ch if ch.isprintable() else "�" for ch in line[:61])
    return f"'{printable[:60]}…'" if len(line) > 60 else f"'{printable}'"


class TastyopsError(Exception):
    """Base of every error shown to an operator.

    ``still_true`` says what holds on the host now; ``next_step`` says what to do.
    """

    id: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, what: str, *, still_true: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.still_true = still_true
        self.next_step = next_step

    def __str__(self) -> str:
        return self.what

    @property
    def advised(self) -> str:
        """What happened and what to do next, where ``still_true`` may not hold: within a run."""
        return " ".join(filter(None, (self.what, self.next_step)))

    def lines(self) -> list[str]:
        """The error as an operator reads it, one sentence a line."""
        after = (self.still_true, self.next_step)
        return [self.what, *(f"{line[0].upper()}{line[1:]}" for line in after if line)]


class UsageError(TastyopsError):
    """The command line asks for something that does not exist or does not fit."""

    id = "usage"
    exit_code = ExitCode.USAGE


class InvalidFile(TastyopsError):
    """A runbook or another file is not valid; carries every problem found, in file order."""

    id = "invalid-file"
    exit_code = ExitCode.USAGE

    def __init__(
        self,
        problems: Sequence[Problem],
        still_true: str = "No host was touched.",
        next_step: str = "",
    ) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.place))
        count = len(self.problems)
        correct = f"Correct the {'problem' if count == 1 else f'{count} problems'} above."
        super().__init__(
            "\n".join(str(problem) for problem in self.problems),
            still_true=still_true,
            next_step=next_step or correct,
        )


class TemplateError(TastyopsError):
    """A template or an expression could not be worked out; ``problem`` says where it stands."""

    id = "template-error"
    exit_code = ExitCode.USAGE

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem), next_step="Correct the runbook or the value it uses.")


class NeedsPerson(TastyopsError):
    """A step needs a person and none is there; found before the first step."""

    id = "needs-person"
    exit_code = ExitCode.USAGE


class WaitsForPerson(TastyopsError):
    """The run came to a question that nobody here can answer; it waits, and can be resumed."""

    id = "waits-for-person"
    exit_code = ExitCode.IN_DOUBT

    def __init__(self, question: str, by: str = "") -> None:
        super().__init__(
            f"A question waits for {by or 'a person'}: {question}",
            still_true="Nothing more was done; the run stays In progress.",
            next_step="Once it is answered with `invoke answer`, from a login of their own, "
            "`invoke resume` goes on." if by else "`invoke resume` on a terminal goes on with it.",
        )


class LetGo(TastyopsError):
    """The run was let go of: its terminal went away, or a signal ended its process."""

    id = "let-go"
    exit_code = ExitCode.IN_DOUBT


class SecretUnavailable(TastyopsError):
    """A secret's source gives none, or one that cannot be masked; found before the first step."""

    id = "secret-unavailable"
    exit_code = ExitCode.USAGE


class Unreachable(TastyopsError):
    """No session with the host could be had."""

    id = "unreachable"
    exit_code = ExitCode.UNREACHABLE


class HostKeyUnknown(Unreachable):
    """The host's key is not in any known_hosts file that was consulted."""

    id = "host-key-unknown"


class HostKeyChanged(Unreachable):
    """The host offered another key than the one on record."""

    id = "host-key-changed"


class AuthenticationFailed(Unreachable):
    """The host refused every credential offered."""

    id = "authentication-failed"


class SudoRefused(AuthenticationFailed):
    """The host let us in, and its sudo does not let this account become root."""

    id = "sudo-refused"
    exit_code = ExitCode.FAILED


class NoLogins(Unreachable):
    """The host is up and refuses every login for now (nologin): it is starting or going down."""

    id = "nologin"


class LinkLost(Unreachable):
    """An open session stopped answering or was cut."""

    id = "link-lost"


class HostUnsuitable(Unreachable):
    """The host answered, but a session cannot be held there (no usable sh, no room, …)."""

    id = "host-unsuitable"


class NoRoom(HostUnsuitable):
    """The host has no room for what a change needs there, so it was not begun."""

    id = "no-room"
    exit_code = ExitCode.FAILED


class ConsoleUnreachable(Unreachable):
    """The host's console cannot be attached, or was cut off."""

    id = "console-unreachable"


class NoConsole(ConsoleUnreachable):
    """The inventory gives the host no console."""

    id = "no-console"


class PowerUnreachable(Unreachable):
    """The host's power switch does not answer, or refuses us; it was not worked."""

    id = "power-unreachable"


class NoPower(PowerUnreachable):
    """The inventory gives the host no power switch."""

    id = "no-power"


class Locked(TastyopsError):
    """Somebody else holds it: another run the host, or another process this run or its log."""

    id = "locked"
    exit_code = ExitCode.LOCKED


class SameMachine(Locked):
    """Two names of the inventory are one machine, and one run wants it under both."""

    id = "same-machine"


class Fenced(Locked):
    """This run held the host and does no longer: it was taken over, or changed hands."""

    id = "fenced"


class ConsoleHeld(Locked):
    """Somebody else has the host's console, and it takes one at a time."""

    id = "console-held"


class JournalUnwritable(TastyopsError):
    """The journal or the log cannot be written, so nothing more may be done."""

    id = "journal-unwritable"
    exit_code = ExitCode.FAILED


class JournalDamaged(TastyopsError):
    """A journal was altered, cut, or had events removed or reordered."""

    id = "journal-damaged"
    exit_code = ExitCode.FAILED


class RecordsDisagree(TastyopsError):
    """A run's journal and its log do not belong together: one of them is an older copy."""

    id = "records-disagree"
    exit_code = ExitCode.FAILED


class BackupFailed(TastyopsError):
    """The archive could not be written whole, so nothing of it was kept."""

    id = "backup-failed"
    exit_code = ExitCode.FAILED


class LabFailed(TastyopsError):
    """The lab machine could not be built, started, or broken as asked; no host of yours is it."""

    id = "lab-failed"
    exit_code = ExitCode.FAILED


# -- raised inside an action's generator, and turned into an outcome by the core --------------


class ActionStopped(Exception):
    """Base of what an action raises to end its step; never shown raw to an operator."""


@dataclass
class Refused(ActionStopped):
    """A guard says no: it would cause harm. ``force:`` may lift it where the action says so."""

    why: str


@dataclass
class Stopped(ActionStopped):
    """A person cancelled the run; thrown into the generator, which may still clear up."""

    why: str = "the run was cancelled"


@dataclass
class Failed(ActionStopped):
    """The action could not do its work. ``registered`` is what it can still report."""

    why: str
    registered: dict[str, Any] = field(default_factory=dict)


@dataclass
class CannotKnow(ActionStopped):
    """A dry run read a value that only exists once ``step`` has really run."""

    step: str


@dataclass
class ProbeFailed(ActionStopped):
    """A probe's answer could not be understood; thrown into the generator that asked."""

    why: str
