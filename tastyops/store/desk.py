"""``runs/.desk-<run id>/``: where another account answers what a run asks another operator.

A run's directory is its account's alone. While it asks for another operator's yes there is a desk
beside it: ``board.json``, for anybody of the machine to read, says what is asked; answers are
files that any account may put there and none but the run's may list, or remove another's (mode
1733). Whose an answer is, its owner says, which the kernel recorded; a name in it counts for
nothing. Nothing but answers is taken, each of at most 4 KiB.
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
from tastyops.journal.events import Address, Answered, Asked
from tastyops.journal.state import RunState
from tastyops.model.text import one_line
from tastyops.ports import HandedIn
from tastyops.store.accounts import login_name
from tastyops.store.files import must_write, write_whole

BOARD = "board.json"
MODE = 0o1733
MOST_BYTES = 4096
MOST_AT_ONCE = 100
"""Answers looked at in one go: an account that floods the desk must not stop the run."""
LARGEST_BOARD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """One that waits for another operator. ``at`` as in an event; ``digest`` tells it apart."""

    host: str
    step: str
    attempt: int
    n: int
    digest: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Board:
    """What a run asks, for accounts that cannot read its journal."""

    run: str
    log: str
    title: str
    hosts: tuple[str, ...]
    started_by: str
    own: tuple[int, ...]
    questions: tuple[Question, ...]


def desk_of(run: Path) -> Path:
    """The desk of a run, by its directory."""
    return run.parent / f".desk-{run.name}"


class DeskKeeper:
    """A listener that keeps the desk: there while the run asks another operator, else gone."""

    def __init__(self, run: Path, state: RunState) -> None:
        self._run, self._state = run, state
        self._shown: Board | None = None
        self._stale = True

    def event(self, event: Event) -> None:
        """One event; after some the questions may be others."""
        asked = isinstance(event.body, Asked) and bool(event.body.by)
        self._stale |= asked or self._shown is not None

    def caught_up(self) -> None:
        """Writes the board anew, or takes the desk away. Raises JournalUnwritable."""
        if not self._stale:
            return
        self._stale = False
        board = _board(self._run.name, self._state)
        if board.questions and board != self._shown:
            _put_up(desk_of(self._run), board)
        elif not board.questions:
            shutil.rmtree(desk_of(self._run), ignore_errors=True)
        self._shown = board if board.questions else None

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Not its business."""


def _board(run: str, state: RunState) -> Board:
    opened = state.opened
    asked = [] if state.closed else state.questions()
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
    """The desks there are beside the runs in this directory, and what is asked there."""
    try:
        desks = sorted(path for path in runs.iterdir() if path.name.startswith(".desk-"))
    except OSError:
        return
    for desk in desks:
        board = read_board(desk)
        if board is not None:
            yield desk, board


def read_board(desk: Path) -> Board | None:
    """What is asked there; None where nothing is, or it is not the word of the desk's owner."""
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
        return Board(hosts=hosts, own=uids, questions=questions, **data)
    except (OSError, *NOT_AN_EVENT):
        return None


def put_answer(desk: Path, board: Board, question: Question, value: str) -> Path:
    """Lays an answer on the desk, as this process's account; gives the file. Raises OSError."""
    data = {
        "run": board.run, "value": value, "question": question.digest, "host": question.host,
        "step": question.step, "attempt": question.attempt, "n": question.n,
    }
    name = secrets.token_hex(8)
    draft, path = desk / f".{name}", desk / f"{name}.json"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(json.dumps(data).encode())
        file.flush()
        os.fchmod(fd, 0o644)
        os.fsync(fd)
    draft.rename(path)
    return path


# -- the run's side ----------------------------------------------------------------------------


def answers_on(run: Path) -> list[tuple[Path, HandedIn]]:
    """The answers that lie on a run's desk; what is none is removed."""
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
        handed = _answer(path, run.name)
        if handed is not None:
            found.append((path, handed))
        else:
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _answer(path: Path, run: str) -> HandedIn | None:
    """An answer to this run, by the account that owns the file.

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
        at = Address(
            str(data["host"]), str(data["step"]), int(data["attempt"]), int(data["n"])
        )
        value = one_line(str(data["value"]))
        who = login_name(own.st_uid)
        return HandedIn(who, Answered(value), at, own.st_uid, str(data["question"]))
    except (OSError, *NOT_AN_EVENT):
        return None
