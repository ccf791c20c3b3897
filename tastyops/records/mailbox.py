"""``runs/.desk-<run id>/``: the mailbox in which other accounts leave answers and notes for a run.

A run's directory is private to its account. Until the run is over, a mailbox lies beside it. Its
``board.json`` is readable by every account, and names the run's owner and the questions to other
operators. Answers and notes are files. Any account may create one, but only the run's account may
list them, and nobody may remove another's (mode 1733). The author is the file's owner, which the
kernel recorded; a name in the file counts for nothing. A file has at most 4 KiB.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tastyops.journal.envelope import NOT_AN_EVENT, Event
from tastyops.journal.events import Address, Answered, Asked, Joined, Noted, RunClosed
from tastyops.journal.state import RunState
from tastyops.local.accounts import login_name
from tastyops.local.controller import Controller, this_controller
from tastyops.model.public_text import one_line
from tastyops.ports import HandedIn
from tastyops.records.files import must_write, write_whole

BOARD = "board.json"
MODE = 0o1733
MOST_BYTES = 4096
MOST_AT_ONCE = 100
"""Answers read at once: an account that floods the mailbox must not stop the run."""
LARGEST_BOARD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """A question to another operator. ``at`` as in an event; ``digest`` identifies the question."""

    host: str
    step: str
    attempt: int
    n: int
    digest: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Board:
    """A run's owner and its questions, for accounts that cannot read its journal."""

    run: str
    log: str
    title: str
    hosts: tuple[str, ...]
    started_by: str
    own: tuple[int, ...]
    questions: tuple[Question, ...]
    process: Controller | None = None
    """The process that drove the run when the board was written."""

    @property
    def lives(self) -> bool:
        """Whether that process still runs, as far as this account can see."""
        return self.process is not None and self.process.lives() is True


def desk_of(run: Path) -> Path:
    """The mailbox of the run in that directory."""
    return run.parent / f".desk-{run.name}"


class DeskKeeper:
    """A listener that keeps the mailbox until the run is over."""

    def __init__(self, run: Path, state: RunState) -> None:
        self._run, self._state = run, state
        self._shown: Board | None = None
        self._stale = True

    def event(self, event: Event) -> None:
        """Takes one event, which may change the questions."""
        asked = isinstance(event.body, Asked) and bool(event.body.by)
        waiting = self._shown is not None and bool(self._shown.questions)
        self._stale |= asked or waiting or isinstance(event.body, RunClosed)

    def caught_up(self) -> None:
        """Rewrites the board, or removes the mailbox. Raises JournalUnwritable."""
        if not self._stale:
            return
        self._stale = False
        if self._state.closed is not None:
            remove_desk(self._run)
            return
        board = _board(self._run.name, self._state)
        if board != self._shown:
            _put_up(desk_of(self._run), board)
        self._shown = board

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Does nothing."""


def remove_desk(run: Path) -> None:
    """Removes a run's mailbox with all that is still in it."""
    shutil.rmtree(desk_of(run), ignore_errors=True)


def _board(run: str, state: RunState) -> Board:
    opened, asked = state.opened, state.questions()
    return Board(
        run, opened.log if opened else "", opened.title if opened else "",
        tuple(opened.hosts) if opened else (), state.started_by,
        (opened.account, opened.login) if opened else (),
        tuple(
            Question(
                at.host, at.step, at.attempt, at.n, question.digest, one_line(question.text),
                question.by,
            )
            for at, question in asked if question.by
        ),
        this_controller(),
    )  # fmt: skip


def _put_up(desk: Path, board: Board) -> None:
    with must_write(desk):
        with contextlib.suppress(FileExistsError):
            desk.mkdir(mode=0o700)
        there = desk.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it is not this account's directory")
        desk.chmod(MODE)  # mkdir's mode is less the umask
        write_whole(desk / BOARD, json.dumps(asdict(board)).encode(), 0o644)
        (desk / BOARD).chmod(0o644)


# -- the other account's side ----------------------------------------------------------------


def boards(runs: Path) -> Iterator[tuple[Path, Board]]:
    """The mailboxes beside the runs in this directory, with their questions."""
    try:
        desks = sorted(path for path in runs.iterdir() if path.name.startswith(".desk-"))
    except OSError:
        return
    for desk in desks:
        board = read_board(desk)
        if board is not None:
            yield desk, board


def read_board(desk: Path) -> Board | None:
    """The board; None if it is missing or was not written by the mailbox's owner."""
    try:
        there = desk.lstat()
        fd = os.open(desk / BOARD, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            own = os.fstat(fd)
            if own.st_uid != there.st_uid or not stat.S_ISREG(own.st_mode):
                return None
            data = json.loads(file.read(LARGEST_BOARD))
        questions = tuple(Question(**each) for each in data.pop("questions"))
        hosts, uids = tuple(data.pop("hosts")), (*data.pop("own"), there.st_uid)
        process = Controller(**data.pop("process"))
        return Board(hosts=hosts, own=uids, questions=questions, process=process, **data)
    except (OSError, *NOT_AN_EVENT):
        return None


def put_answer(desk: Path, board: Board, question: Question, value: str) -> Path:
    """Leaves an answer as this process's account; returns the file. Raises OSError."""
    return _put(desk, {
        "run": board.run, "value": value, "question": question.digest, "host": question.host,
        "step": question.step, "attempt": question.attempt, "n": question.n,
    })  # fmt: skip


def put_note(desk: Path, board: Board, note: Noted) -> Path:
    """Leaves a note; returns the file. Raises OSError, and ValueError for a note too long."""
    told = {"text": note.text, "public": note.public, "at": note.at, "id": note.id}
    return _put(desk, {"run": board.run, "note": told})


def put_joining(desk: Path, board: Board) -> Path:
    """Tells the run that this process's account attends. Raises OSError."""
    return _put(desk, {"run": board.run, "joins": True})


def _put(desk: Path, data: dict[str, Any]) -> Path:
    whole = json.dumps(data).encode()
    if len(whole) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    name = secrets.token_hex(8)
    draft, path = desk / f".{name}", desk / f"{name}.json"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(whole)
        file.flush()
        os.fchmod(fd, 0o644)
        os.fsync(fd)
    draft.rename(path)
    return path


# -- the run's side ----------------------------------------------------------------------------


def laid_on(run: Path) -> list[tuple[Path, HandedIn]]:
    """The answers and notes in a run's mailbox; other files are removed."""
    desk = desk_of(run)
    try:
        with os.scandir(desk) as entries:
            files = (e for e in entries if e.name.endswith(".json") and e.name != BOARD)
            some = list(itertools.islice(files, MOST_AT_ONCE))
    except OSError:
        return []
    found = []
    for entry in some:
        path = desk / entry.name
        handed = _laid(path, run.name)
        if handed is not None:
            found.append((path, handed))
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _laid(path: Path, run: str) -> HandedIn | None:
    """What was laid there for this run, by the account that owns the file.

    A second link could be another account's own file, put here by somebody else.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            own = os.fstat(fd)
            if not stat.S_ISREG(own.st_mode) or own.st_nlink != 1 or own.st_size > MOST_BYTES:
                return None
            data: dict[str, Any] = json.loads(file.read(MOST_BYTES + 1))
        if data["run"] != run:
            return None
        return _word(data, login_name(own.st_uid), own.st_uid)
    except (OSError, *NOT_AN_EVENT):
        return None


def _word(data: dict[str, Any], who: str, uid: int) -> HandedIn:
    if "note" in data:
        note = data["note"]
        text, when, mark = one_line(str(note["text"])), str(note["at"]), str(note["id"])
        return HandedIn(who, Noted(text, note["public"] is True, when, mark), account=uid)
    if "joins" in data:
        return HandedIn(who, Joined(who), account=uid)
    at = Address(str(data["host"]), str(data["step"]), int(data["attempt"]), int(data["n"]))
    answer = Answered(one_line(str(data["value"])))
    return HandedIn(who, answer, at, uid, str(data["question"]))
