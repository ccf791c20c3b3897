"""What the verbs that write into a log by hand share: which log, which moment, which words."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.cli import project, secrets
from tastyops.errors import JournalDamaged, TastyopsError, UsageError
from tastyops.journal.events import RunOpened
from tastyops.journal.public_events import PublicBody
from tastyops.local.accounts import login_name
from tastyops.model.clock_time import read_said
from tastyops.model.inventory import Host, Inventory
from tastyops.model.public_text import LONGEST_ENTRY, PublicText, one_line
from tastyops.model.runbook import Runbook
from tastyops.records.document.moments import choices, moments, with_offset
from tastyops.records.document.times import closing_time
from tastyops.records.logs import Copied, LogBook, LogFile
from tastyops.records.runs import RUNBOOK, is_live, read_events, run_directories
from tastyops.records.verify import runs_must_agree
from tastyops.redact import Masker
from tastyops.ui.prompts import typed

NOTHING = "Nothing was written."


@dataclass(frozen=True)
class Target:
    """A log, and the run in it that was last attached; either may be missing."""

    inventory: Inventory
    log: LogFile | None
    run: Path | None
    runs: Path

    @property
    def live(self) -> bool:
        """Whether a process carries the run on at this moment."""
        return self.run is not None and is_live(self.run)

    def the_log(self) -> LogFile:
        """The log, to be added to.

        Raises UsageError for a run whose log is not here, JournalDamaged, RecordsDisagree.
        """
        if self.log is None:
            name = self.run.name if self.run else "?"
            raise UsageError(
                f"The run {name} has no log here.", still_true=NOTHING,
                next_step="Say where its log is with --logs DIR.",
            )
        if not self.log.number:
            raise JournalDamaged(
                f"{self.log.journal} has no head: whoever opened the log was killed at it.",
                still_true=NOTHING, next_step="Open another; the number stays taken.",
            )
        _must_be_ours(self.log)
        runs_must_agree(self.log, self.runs)
        _, beyond = self._secrets()
        if beyond:
            project.say(
                f"Not looked for in what you write, since only its run knows: {', '.join(beyond)}."
            )
        return self.log

    def attached(self) -> list[Path]:
        """The directories of the log's runs, as far as they are here."""
        runs = self.log.document().runs if self.log else ()
        return [self.runs / run for run in runs if os.path.isdir(self.runs / run)]

    def masker(self) -> Masker:
        """What hides the secrets of the log's runs, as far as they can be had here silently."""
        return Masker(self._secrets()[0])

    def _secrets(self) -> tuple[set[str], list[str]]:
        """Those that can be had, and the names of the others."""
        found = [secrets.at_hand(book, hosts) for book, hosts in self._books()]
        names = dict.fromkeys(name for _, beyond in found for name in beyond)
        return set().union(*(known for known, _ in found)), list(names)

    def _books(self) -> Iterator[tuple[Runbook, list[Host]]]:
        """The runbooks of the log's runs, and their hosts."""
        every = self.inventory.hosts
        for directory in self.attached() or ([self.run] if self.run else []):
            with contextlib.suppress(TastyopsError, OSError):
                opened = next((e.body for e in read_events(directory)), None)
                path, names = directory, list(every)
                if isinstance(opened, RunOpened):
                    path, names = Path(opened.path), opened.hosts
                hosts = [every[name] for name in names if name in every]
                data = project.read_bounded(directory / RUNBOOK, "a runbook")
                yield project.parse_runbook(data, path, self.inventory), hosts

    def present(self) -> datetime:
        """The time now. On a practice log, whose clock runs ahead of ours, not before its last."""
        now = datetime.now(UTC)
        if self.log is None or not self.log.document().practice:
            return now
        times = [event.happened_at for event in self.log.events]
        if self.run is not None:
            with contextlib.suppress(JournalDamaged):
                times += [event.happened_at for event in read_events(self.run)]
        return max([now, *times])


def _must_be_ours(log: LogFile) -> None:
    """Raises UsageError for a log that another account keeps for itself."""
    where = (log.journal, log.journal.parent)
    if all(os.access(path, os.W_OK) for path in where if path.exists()):
        return
    owner = login_name(log.journal.stat().st_uid)
    if owner == login_name(os.getuid()):
        return  # a full or read-only disk says it better
    raise UsageError(
        f"The log {log.number} is {owner}'s: {login_name(os.getuid())} may not write it.",
        still_true=NOTHING,
        next_step=f"Have {owner} do it. While a run writes it, `invoke note` reaches the run.",
    )


def log_argument(parser: ArgumentParser) -> None:
    """``LOG``, for every verb that writes into one, and where logs are."""
    parser.add_argument(
        "log", metavar="LOG", type=project.filled,
        help="a log's number, a run that writes into it, or `last`: what was begun last",
    )
    project.inventory_argument(parser)


def at_argument(parser: ArgumentParser) -> None:
    """``--at``."""
    parser.add_argument(
        "--at", metavar="0900", type=project.filled,
        help="when it was: 0900, 09:00, or with a date 2026-11-22 09:00 (default: now)",
    )


def find(args: Namespace, wanted: str) -> Target:
    """The log and the run somebody means. Raises UsageError."""
    run, log = project.find_record(args, wanted)
    return _target(args, run, log)


def find_log(args: Namespace) -> Target:
    """The log that ``LOG`` means; ``last`` is what was begun last, a run or a log. UsageError."""
    if args.log == "last":
        places = project.record_places(project.load_inventory(args.inventory), args)
        begun = [found for runs, book in places for found in _last_of(runs, book)]
        if begun:
            return find(args, max(begun)[1])
    return find(args, args.log)


def _target(args: Namespace, run: Path | None, log: LogFile | None) -> Target:
    inventory = project.load_inventory(args.inventory)
    places = project.record_places(inventory, args)
    if run is not None:
        place = run.parent
    else:
        theirs = [runs for runs, book in places if log and book.directory == log.page.parent.parent]
        place = (theirs or [places[0][0]])[0]
    target = Target(inventory, log, run, place)
    if log is not None:
        log.mask_with(target.masker())
    return target


def find_current(args: Namespace) -> Target:
    """The live run, else whatever was begun last, a run or a log. Raises UsageError."""
    places = project.record_places(project.load_inventory(args.inventory), args)
    live = [run for runs, _ in places for run in run_directories(runs) if _surely_live(run)]
    if len(live) > 1:
        raise UsageError(
            f"{len(live)} runs are live: {', '.join(run.name for run in live)}.",
            still_true=NOTHING, next_step="Say which with --run.",
        )
    if live:
        return find(args, live[0].name)
    begun = [found for runs, book in places for found in _last_of(runs, book)]
    if not begun:
        raise UsageError(
            "There is no run and no log yet.", still_true=NOTHING,
            next_step="`invoke incident TITLE` opens a log before there is any run.",
        )
    return find(args, max(begun)[1])


def _surely_live(run: Path) -> bool:
    with contextlib.suppress(JournalDamaged):
        return is_live(run)
    return False


def _last_of(runs: Path, book: LogBook) -> list[tuple[datetime, str]]:
    """When the last run and the last log of a place were begun, and how to name them."""
    found = []
    for run in run_directories(runs)[-1:]:
        with contextlib.suppress(JournalDamaged):
            found += [(event.recorded_at, run.name) for event in [*read_events(run)][:1]]
    log = book.latest()
    if log is not None and log.events:
        found.append((log.events[0].recorded_at, log.number))
    return found


def sentence(words: str, what: str) -> str:
    """Words of a person that will be published. Raises UsageError when empty or too long."""
    if len(" ".join(words.split())) > LONGEST_ENTRY:
        raise UsageError(
            f"{what} has more than {LONGEST_ENTRY:,} characters; one sentence of a log has not.",
            still_true=NOTHING, next_step="Say it in several.",
        )
    text = PublicText.fixed(words).text
    if not text:
        raise UsageError(f"{what} is empty.", still_true=NOTHING)
    return text


def moment(args: Namespace, target: Target, *, live: bool = False) -> datetime:
    """The moment ``--at`` means, or now. Raises UsageError; asks which where one came twice."""
    now = target.present()
    if args.at is None:
        return now
    said, zone = read_said(args.at), target.inventory.timezone
    since = target.log.events[0].happened_at if live and target.log else None
    found = moments(said, zone, now, since)
    if len(found) == 1:
        return found[0]
    options = choices(said, found, zone)
    told = f"Clocks were put back, so {said.text} came twice: {options[0]} and {options[1]}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{told}.", still_true=NOTHING,
            next_step=f"Say which: --at '{with_offset(found[0], zone)}' or "
            f"--at '{with_offset(found[1], zone)}'.",
        )
    return found[_first_or_second(told)]


def _first_or_second(told: str) -> int:
    while True:
        try:
            answer = typed(f"{told}. Which? [1/2] ")
        except EOFError as error:
            raise UsageError("Nobody said which.", still_true=NOTHING) from error
        if answer in ("1", "2"):
            return int(answer) - 1


def by_hand(body: PublicBody, at: datetime) -> Copied:
    """A line that the operator at this keyboard writes."""
    return Copied(body, at, who=project.operator())


def write(log: LogFile, decide: Callable[[], Sequence[Copied]], *, dry: bool, done: str) -> int:
    """Writes what ``decide`` says, unless dry, and says what was done; gives the exit code."""
    if dry:
        decide()
        print(f"Would be done, and is not, for this is a dry run: {one_line(done)}")  # noqa: T201
        return 0
    log.change(decide)
    print(one_line(done))  # noqa: T201
    print(f"Log: {one_line(str(log.page))}")  # noqa: T201
    return 0


def spoken(at: datetime, log: LogFile) -> str:
    """``09:00hrs, July 14th 2009 (GMT+1)``, as the log has it."""
    document = log.document()
    return f"{closing_time(at, document.offset)} ({document.zone})"
