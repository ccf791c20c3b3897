"""``note``: an operator's remark, into a live run or a record that is closed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from msgspec.structs import replace

from tastyops.cli import another, project, writing
from tastyops.errors import ExitCode, UsageError
from tastyops.journal.envelope import stamp
from tastyops.journal.events import Noted
from tastyops.journal.public_events import Entry
from tastyops.records.mailbox import put_note
from tastyops.records.notes import Handed, Notes, hand_over, new_note, notes_of_log
from tastyops.records.verify import runs_must_agree

LONGEST_PRIVATE = 20_000
"""Characters in one private note; more is a file, not a note."""


def arguments(parser: ArgumentParser) -> None:
    """What ``note`` takes."""
    parser.add_argument("text", metavar="TEXT", type=project.filled, help="what happened")
    writing.at_argument(parser)
    parser.add_argument(
        "--run", metavar="R", type=project.filled,
        help="a run's id or its beginning, `last`, or a log's number (default: the live run, else"
        " the last)",
    )
    parser.add_argument(
        "--private", action="store_true", help="into the record only, never into the log"
    )
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Writes the note where it belongs and says where that was."""
    inventory = project.load_inventory(args.inventory)
    found = another.meant(project.record_places(inventory, args), args.run)
    if found is not None:
        another.must_be_known(found, inventory)
        return _to_another(found, args, writing.Target(inventory, found.log, None, found.runs), dry)
    target = writing.find(args, args.run) if args.run else writing.find_current(args)
    text, live = _text(args), target.live
    at = writing.moment(args, target, live=live)
    if dry:
        print(f"Would be noted, and is not, for this is a dry run: {_where(target, args, at)}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    note = new_note(text, public=not args.private, at=stamp(at) if args.at else "")
    if live and target.run is not None:
        handed = hand_over(target.run, project.operator(), note, datetime.now(UTC))
        if handed is Handed.WAITING:
            print(f"Handed to the run {target.run.name}, which has not taken it yet; it will.")  # noqa: T201
            return int(ExitCode.COMPLETED)
        if handed is Handed.ENDED:
            _into_the_record(target, note, at)
    else:
        _into_the_record(target, note, at)
    print(f"Noted {_where(target, args, at)}")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _to_another(
    found: another.Another, args: Namespace, target: writing.Target, dry: bool
) -> int:
    """To a run of another account, by way of its desk."""
    text, at = _text(args), writing.moment(args, target, live=True)
    where = _where(target, args, at) if found.log else f"with {found.words}."
    if dry:
        print(f"Would be noted, and is not, for this is a dry run: {where}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    note = new_note(text, public=not args.private, at=stamp(at) if args.at else "")
    try:
        path = put_note(found.desk, found.board, note)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The note cannot be left for {found.words}: "
            f"{getattr(error, 'strerror', None) or error}.", still_true=writing.NOTHING,
        ) from error
    if not found.took(path):
        later = "it will" if found.board.lives else "its process ended; it does when it is resumed"
        print(f"Left for {found.words}, which has not taken it yet; {later}.")  # noqa: T201
    elif found.over and not _has(found, note):
        raise UsageError(
            f"{found.words.capitalize()} ended meanwhile; its log does not have the note.",
            next_step=f"Have {found.board.started_by} note it.",
        )
    else:
        print(f"Noted as {another.me()} {where}")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _has(found: another.Another, note: Noted) -> bool:
    """Whether the log has a note; nobody but its own account can see whether a run has one."""
    if not note.public or found.log is None:
        return False
    texts = [getattr(event.body, "text", "") for event in found.log.latest()]
    return note.text in texts


def _text(args: Namespace) -> str:
    return _private(args.text) if args.private else writing.sentence(args.text, "The note")


def _private(text: str) -> str:
    if len(text) > LONGEST_PRIVATE:
        raise UsageError(
            f"The note has more than {LONGEST_PRIVATE:,} characters.", still_true=writing.NOTHING
        )
    return text.strip()


def _into_the_record(target: writing.Target, note: Noted, at: datetime) -> None:
    """Into a record that no process owns: its own journal, if there is one, is not touched."""
    if note.public:
        target.the_log().extend([writing.by_hand(Entry(note.text, remark=True), at)])
        return
    if target.run is not None:
        if target.log is not None:
            runs_must_agree(target.log, target.runs)
        notes = Notes(target.run, target.run.name)
    else:
        notes = notes_of_log(target.runs, target.the_log().number)
    note = replace(note, text=target.masker().text(note.text))
    notes.add(note, who=project.operator(), happened=at, log=target.log)


def _where(target: writing.Target, args: Namespace, at: datetime) -> str:
    if target.log is None:
        return f"privately, with the run {target.run.name if target.run else '?'}."
    place = f"privately, with {target.log.number}" if args.private else f"in {target.log.number}"
    return f"{place} at {writing.spoken(at, target.log)}."
