"""An operator's remark: into a live run, another account's run, or a record that is closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from tastyops.app.foreign_run import ForeignRun, find_foreign, must_take_from_us
from tastyops.app.log_edits import (
    NOTHING,
    Target,
    by_hand,
    find,
    find_current,
    moment,
    sentence,
    time_in_log,
)
from tastyops.app.operators import operator, own_login
from tastyops.app.record_lookup import Records
from tastyops.errors import UsageError
from tastyops.journal.envelope import stamp
from tastyops.journal.events import Noted
from tastyops.journal.public_events import Entry
from tastyops.records.mailbox import put_note
from tastyops.records.notes import Handed, Notes, hand_over, new_note, notes_of_log
from tastyops.records.verify import runs_must_agree

LONGEST_PRIVATE = 20_000
"""Characters in one private note; more is a file, not a note."""


@dataclass(frozen=True)
class Remark:
    """A note as the operator gives it; ``at`` and ``run`` are None where none was named."""

    text: str
    private: bool
    at: str | None
    run: str | None
    choose: Callable[[str], str] | None
    """Asks the person at the keyboard; None where nobody is there."""
    dry: bool


def add_note(records: Records, remark: Remark) -> str:
    """Writes the note where it belongs; gives the sentence that says where that was."""
    foreign = find_foreign(records.pairs(), remark.run)
    if foreign is not None:
        must_take_from_us(foreign, records.inventory)
        return _to_foreign(foreign, Target(records, foreign.log, None, foreign.runs), remark)
    target = find(records, remark.run) if remark.run else find_current(records)
    text, live = _text(remark), target.live
    at = moment(remark.at, target, remark.choose, live=live)
    where = _where(target, remark, at)
    if remark.dry:
        return _dry(where)
    note = new_note(text, public=not remark.private, at=stamp(at) if remark.at else "")
    if live and target.run is not None:
        handed = hand_over(target.run, operator(), note, datetime.now(UTC))
        if handed is Handed.WAITING:
            return f"The run {target.run.name} has the note and has not written it yet."
        if handed is Handed.ENDED:
            _into_the_record(target, note, at)
    else:
        _into_the_record(target, note, at)
    return f"Noted {where}"


def _dry(where: str) -> str:
    return f"Dry run, nothing was written. The note would be written {where}"


def _to_foreign(found: ForeignRun, target: Target, remark: Remark) -> str:
    """Leaves the note in the mailbox of another account's run."""
    text, at = _text(remark), moment(remark.at, target, remark.choose, live=True)
    where = _where(target, remark, at) if found.log else f"with {found.words}."
    if remark.dry:
        return _dry(where)
    note = new_note(text, public=not remark.private, at=stamp(at) if remark.at else "")
    try:
        path = put_note(found.desk, found.board, note)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The note cannot be left for {found.words}: "
            f"{getattr(error, 'strerror', None) or error}.", still_true=NOTHING,
        ) from error
    if not found.has_taken(path):
        when = "yet" if found.board.lives else "yet: its process ended. A resumed run takes it"
        return f"The note was left for {found.words}, which has not taken it {when}."
    if found.is_over and not _has(found, note):
        raise UsageError(
            f"{found.words.capitalize()} ended meanwhile; its log does not have the note.",
            next_step=f"Ask {found.board.started_by} to note it.",
        )
    return f"Noted as {own_login()} {where}"


def _has(found: ForeignRun, note: Noted) -> bool:
    """Whether the log has a note; only the run's own account can read what else the run has."""
    if not note.public or found.log is None:
        return False
    return note.text in [getattr(event.body, "text", "") for event in found.log.latest()]


def _text(remark: Remark) -> str:
    if not remark.private:
        return sentence(remark.text, "The note")
    if len(remark.text) > LONGEST_PRIVATE:
        raise UsageError(
            f"The note has more than {LONGEST_PRIVATE:,} characters.", still_true=NOTHING
        )
    return remark.text.strip()


def _into_the_record(target: Target, note: Noted, at: datetime) -> None:
    """Into a record that no process owns; a run's own journal is not touched."""
    if note.public:
        target.the_log().extend([by_hand(Entry(note.text, remark=True), at)])
        return
    if target.run is not None:
        if target.log is not None:
            runs_must_agree(target.log, target.runs)
        notes = Notes(target.run, target.run.name)
    else:
        notes = notes_of_log(target.runs, target.the_log().number)
    note = replace(note, text=target.masker().text(note.text))
    notes.add(note, who=operator(), happened=at, log=target.log)


def _where(target: Target, remark: Remark, at: datetime) -> str:
    if target.log is None:
        return f"in the private record of the run {target.run.name if target.run else '?'}."
    number = target.log.number
    place = f"in the private record of {number}" if remark.private else f"in {number}"
    return f"{place} at {time_in_log(at, target.log)}."
