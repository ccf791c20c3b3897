"""Attends a run that is under way, or a log that has none, and follows a run's events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tastyops.app.foreign_run import ForeignRun, find_foreign, must_take_from_us
from tastyops.app.interventions import Interventions
from tastyops.app.log_edits import NOTHING, Edit, Target, by_hand, find
from tastyops.app.operators import Say, attending, operator, own_login
from tastyops.app.rebuild_plan import plan_to_show
from tastyops.app.record_lookup import Records
from tastyops.errors import JournalDamaged, UsageError
from tastyops.journal.envelope import Event
from tastyops.journal.events import TYPED, Address, Answered, Asked, Body, Joined, RunClosed
from tastyops.journal.public_events import Attends
from tastyops.journal.state import RunState
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.records.journal_follower import Following
from tastyops.records.logs import Copied
from tastyops.records.mailbox import put_joining
from tastyops.records.runs import hand_in, is_live, taken

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take the operator's name."""

LOOK = 0.3
"""Seconds between two looks into the journal."""


@dataclass(frozen=True)
class Attendance:
    """Somebody who is to attend: a live run of this account, another account's, or a log."""

    name: str
    foreign: ForeignRun | None = None
    target: Target | None = None
    run: Path | None = None
    """The live run, if this account may read it."""


def attendance(records: Records, wanted: str, name: str | None) -> Attendance:
    """Who is to attend what. ``name``: as ``--as`` gives it. Raises UsageError."""
    inventory = records.inventory
    names = attending(name, inventory)
    if len(names) != 1:
        raise UsageError("--as takes one name.", still_true=NOTHING)
    foreign = find_foreign(records.pairs(), wanted)
    if foreign is not None:
        must_take_from_us(foreign, inventory)
        if name not in (None, own_login()):
            raise UsageError(
                f"{foreign.words.capitalize()} is joined under your own login, {own_login()}.",
                still_true=NOTHING,
            )
        return Attendance(own_login(), foreign)
    target = find(records, wanted)
    return Attendance(names[0], None, target, _live(target, records.say))


def _live(target: Target, say: Say) -> Path | None:
    """The run, if it is under way and this account may read it."""
    try:
        return target.run if target.live else None
    except JournalDamaged as error:
        say(f"The run is not followed: {error.what}")
        return None


def join_foreign(foreign: ForeignRun) -> bool:
    """Joins another account's run under this login; whether the run has taken that."""
    try:
        path = put_joining(foreign.desk, foreign.board)
    except OSError as error:
        raise UsageError(
            f"{foreign.words.capitalize()} cannot be joined: {error.strerror}.",
            still_true=NOTHING,
        ) from error
    return foreign.has_taken(path)


def join(run: Path, name: str) -> bool:
    """Adds an operator to a live run; whether the run has taken that."""
    return taken(hand_in(run, operator(), Joined(name), datetime.now(UTC)), PATIENCE)


def join_log(target: Target, name: str) -> Edit:
    """Adds an operator to a log without a live run."""
    log = target.the_log()

    def joining() -> list[Copied]:
        document = log.document()
        if document.closed:
            raise UsageError(
                f"The log {document.number} is closed ({document.status}).", still_true=NOTHING
            )
        here = name in document.attending
        return [] if here else [by_hand(Attends(name), target.present())]

    return Edit(log, joining, f"{name} attends {log.number}.")


_WORDS = {"confirm": "yes|no", "manual": "done|no", "undo": "yes|no", TYPED: "EXIT-STATUS|WORD"}


class OpenQuestion:
    """A question that a followed run asks, to be answered from here or by another operator."""

    def __init__(self, run: FollowedRun, at: Address, asked: Asked) -> None:
        self._run, self._at, self._asked = run, at, asked
        self.data: Mapping[str, Any] = {"host": at.host, "step": at.step, **asked.to_json()}
        """The question as a prompt takes it."""
        self.here = not asked.by and asked.question != TYPED
        """Whether it can be put to this operator: no other operator's approval, no typing."""

    @property
    def words(self) -> str:
        """Where and what the run asks, and whom."""
        whom = f" {self._asked.by}" if self._asked.by else ""
        where = " ".join(filter(None, (self._at.step, self._at.host)))
        return one_line(f"At {where} it asks{whom}: {self._asked.text}")

    @property
    def answers(self) -> str:
        """The answers it takes."""
        if self._asked.by:
            return "yes|no"
        return "|".join(self._asked.choices) or _WORDS.get(self._asked.question, "…")

    def over(self) -> bool:
        """Whether it was answered or withdrawn elsewhere."""
        now = self._run.state.question(self._at)
        return now is None or now.digest != self._asked.digest

    def answer(self, value: str) -> None:
        """Hands an answer to the run."""
        self._run.hand(Answered(value), self._at, self._asked.digest)


class FollowedRun:
    """A live run whose events another process reads along with, and whose questions it answers."""

    def __init__(self, directory: Path, inventory: Inventory) -> None:
        self.directory = directory
        self.plan = plan_to_show(directory, inventory)
        self.state = RunState()
        self.ended = ""
        """The words of the run's end, once it has one."""
        self._following = Following(directory)
        self.interventions = Interventions(self.plan, self.state, self.hand)

    def past(self) -> Iterator[Event]:
        """The events there are by now."""
        for event in self._following.more():
            self.state.apply(event)
            yield event

    def events(self) -> Iterator[Event]:
        """Events as they come, until the run is closed or no process writes them any more."""
        live = True
        while live:
            live = is_live(self.directory)
            # once more after the writer's end, which may just have written them
            for event in self._following.more():
                self.state.apply(event)
                if isinstance(event.body, RunClosed):
                    self.ended = event.body.status
                yield event
                if self.ended:
                    return
            time.sleep(LOOK if live else 0)

    def questions(self) -> list[OpenQuestion]:
        """The questions that are open now."""
        return [OpenQuestion(self, at, asked) for at, asked in self.state.questions()]

    def question_of(self, event: Event) -> OpenQuestion | None:
        """The question that an event asks, if it asks one."""
        body = event.body
        return OpenQuestion(self, event.at, body) if isinstance(body, Asked) else None

    def hand(self, body: Body, at: Address | None = None, question: str = "") -> None:
        """Hands an event to the run."""
        hand_in(self.directory, operator(), body, datetime.now(UTC), at=at, question=question)
