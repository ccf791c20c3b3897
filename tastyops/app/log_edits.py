"""Editing a log by hand: which log, which moment, which words, and the simple edits."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.inventory import read_bounded
from tastyops.app.loading import parse_runbook
from tastyops.app.operators import operator, own_login
from tastyops.app.record_lookup import Records
from tastyops.app.secrets import at_hand
from tastyops.errors import JournalDamaged, TastyopsError, UsageError
from tastyops.journal.events import RunOpened
from tastyops.journal.public_events import (
    Corrected,
    Entry,
    PublicBody,
    Retitled,
    SummaryAdded,
    Withdrawn,
)
from tastyops.local.accounts import login_name
from tastyops.model.clock_time import read_said
from tastyops.model.inventory import Host, Inventory
from tastyops.model.public_text import LONGEST_ENTRY, PublicText
from tastyops.model.runbook import Runbook
from tastyops.records.document.build import Document
from tastyops.records.document.moments import choices, moments, with_offset
from tastyops.records.document.monitoring import read_warnings
from tastyops.records.document.times import closing_time
from tastyops.records.logs import Copied, LogBook, LogFile
from tastyops.records.runs import RUNBOOK, is_live, read_events, run_directories
from tastyops.records.verify import runs_must_agree
from tastyops.redact import Masker

NOTHING = "Nothing was written."


@dataclass(frozen=True)
class Target:
    """A log, and the run in it that was last attached; either may be missing."""

    records: Records
    log: LogFile | None
    run: Path | None
    runs: Path

    @property
    def inventory(self) -> Inventory:
        """The inventory whose records these are."""
        return self.records.inventory

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
                next_step="Give the directory of its log with --logs DIR.",
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
            self.records.say(
                "Your text was not searched for these secrets, which only the run knows: "
                f"{', '.join(beyond)}."
            )
        return self.log

    def attached(self) -> list[Path]:
        """The directories of the log's runs that exist here."""
        runs = self.log.document().runs if self.log else ()
        return [self.runs / run for run in runs if os.path.isdir(self.runs / run)]

    def masker(self) -> Masker:
        """Masks the secrets of the log's runs that can be read without asking."""
        return Masker(self._secrets()[0])

    def _secrets(self) -> tuple[set[str], list[str]]:
        """The secrets that can be read without asking, and the names of the others."""
        found = [at_hand(book, hosts) for book, hosts in self._books()]
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
                data = read_bounded(directory / RUNBOOK, "a runbook")
                yield parse_runbook(data, path, self.inventory).runbook, hosts

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
    if owner == own_login():
        return  # a full or read-only disk says it better
    raise UsageError(
        f"The log {log.number} is {owner}'s: {own_login()} may not write it.",
        still_true=NOTHING,
        next_step=f"Ask {owner} to do it. While a run writes it, `invoke note` reaches the run.",
    )


def find(records: Records, wanted: str) -> Target:
    """The log and the run that a word names. Raises UsageError."""
    return _target(records, *records.find(wanted))


def find_log(records: Records, wanted: str) -> Target:
    """The log that ``LOG`` names; ``last`` is the run or the log begun last. UsageError."""
    if wanted == "last" and (begun := _last_begun(records)):
        return find(records, begun)
    return find(records, wanted)


def _target(records: Records, run: Path | None, log: LogFile | None) -> Target:
    pairs = records.pairs()
    if run is not None:
        runs = run.parent
    else:
        beside = [runs for runs, book in pairs if log and book.directory == log.page.parent.parent]
        runs = (beside or [pairs[0][0]])[0]
    target = Target(records, log, run, runs)
    if log is not None:
        log.mask_with(target.masker())
    return target


def find_current(records: Records) -> Target:
    """The live run, else the run or the log begun last. Raises UsageError."""
    runs = [run for directory, _ in records.pairs() for run in run_directories(directory)]
    live = list(filter(_surely_live, runs))
    if len(live) > 1:
        raise UsageError(
            f"{len(live)} runs are live: {', '.join(run.name for run in live)}.",
            still_true=NOTHING, next_step="Choose one with --run.",
        )
    if live:
        return find(records, live[0].name)
    begun = _last_begun(records)
    if not begun:
        raise UsageError(
            "There is no run and no log yet.", still_true=NOTHING,
            next_step="`invoke incident TITLE` opens a log before there is any run.",
        )
    return find(records, begun)


def _last_begun(records: Records) -> str:
    """The name of the run or the log that was begun last; empty where there is none."""
    begun = [found for runs, book in records.pairs() for found in _last_of(runs, book)]
    return max(begun)[1] if begun else ""


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
            f"{what} has more than {LONGEST_ENTRY:,} characters; an entry of a log may not.",
            still_true=NOTHING, next_step="Write it as several entries.",
        )
    text = PublicText.fixed(words).text
    if not text:
        raise UsageError(f"{what} is empty.", still_true=NOTHING)
    return text


def moment(
    said: str | None, target: Target, choose: Callable[[str], str] | None, *, live: bool = False
) -> datetime:
    """The moment ``--at`` names, or now. Raises UsageError.

    ``choose`` puts a question to the person at the keyboard, for a time that came twice.
    """
    now = target.present()
    if said is None:
        return now
    time, zone = read_said(said), target.inventory.timezone
    since = target.log.events[0].happened_at if live and target.log else None
    found = moments(time, zone, now, since)
    if len(found) == 1:
        return found[0]
    options = choices(time, found, zone)
    twice = f"Clocks were put back, so {time.text} came twice: {options[0]} and {options[1]}"
    if choose is None:
        raise UsageError(
            f"{twice}.", still_true=NOTHING,
            next_step=f"Choose one: --at '{with_offset(found[0], zone)}' or "
            f"--at '{with_offset(found[1], zone)}'.",
        )
    return found[_first_or_second(twice, choose)]


def _first_or_second(twice: str, choose: Callable[[str], str]) -> int:
    while True:
        try:
            answer = choose(f"{twice}. Which? [1/2] ")
        except EOFError as error:
            raise UsageError("Neither was chosen.", still_true=NOTHING) from error
        if answer in ("1", "2"):
            return int(answer) - 1


def by_hand(body: PublicBody, at: datetime) -> Copied:
    """A line that the operator at this keyboard writes."""
    return Copied(body, at, who=operator())


def time_in_log(at: datetime, log: LogFile) -> str:
    """A moment as the log tells it: ``09:00hrs, July 14th 2009 (GMT+1)``."""
    document = log.document()
    return f"{closing_time(at, document.offset)} ({document.zone})"



@dataclass(frozen=True)
class Edit:
    """A change of a log by hand: the lines it writes, and what it does in words."""

    log: LogFile
    decide: Callable[[], Sequence[Copied]]
    """The lines, from the log as it is by then. Raises UsageError where it cannot be changed so."""
    done: str

    def write(self, *, dry: bool) -> None:
        """Changes the log; a dry run only finds out whether it could be changed."""
        if dry:
            self.decide()
        else:
            self.log.change(self.decide)


def add_summary(target: Target, words: str) -> Edit:
    """Another sentence at the head of the log."""
    log, added = target.the_log(), SummaryAdded(sentence(words, "The sentence"))
    return _edit(target, log, added, f"Added to the summary of {log.number}: {added.text}")


def retitle(target: Target, words: str) -> Edit:
    """Another title for the log; its number and its file's name stay."""
    log, given = target.the_log(), Retitled(sentence(words, "The title"))
    return _edit(target, log, given, f"{log.document().tag} is now titled: {given.title}")


def correct(target: Target, number: int, words: str) -> Edit:
    """Another text for an entry; the log's journal keeps the first one."""
    body = Corrected(number, sentence(words, "The entry"))
    return _entry_edit(target, number, body, f"Entry #{number} reads: {body.text}")


def withdraw(target: Target, number: int) -> Edit:
    """The end of an entry on the page; the log's journal keeps the entry."""
    done = f"Entry #{number} is withdrawn; the log's journal keeps it."
    return _entry_edit(target, number, Withdrawn(number), done)


def _edit(target: Target, log: LogFile, body: PublicBody, done: str) -> Edit:
    at = target.present()
    return Edit(log, lambda: [by_hand(body, at)], done)


def _entry_edit(target: Target, number: int, body: PublicBody, done: str) -> Edit:
    log, at = target.the_log(), target.present()

    def change() -> list[Copied]:
        _must_be_shown(log.document(), number)
        return [by_hand(body, at)]

    return Edit(log, change, done)


def _must_be_shown(document: Document, number: int) -> None:
    """Raises UsageError unless the page shows an entry of that number."""
    if any(line.number == number for line in document.transcript):
        return
    gone = any(line.number == number for line in document.withdrawn)
    raise UsageError(
        f"Entry #{number} was withdrawn." if gone else
        f"The log {document.number} has no entry #{number}.",
        still_true=NOTHING,
        next_step=f"`invoke show {document.number} --entries` numbers them.",
    )


def add_warnings(target: Target, data: bytes, name: str, *, dry: bool) -> tuple[int, int]:
    """Monitoring warnings, sorted into the transcript; how many are new and how many were there.

    ``name`` is where ``data`` came from. Raises InvalidFile where one line is wrong.
    """
    log = target.the_log()
    found = {warned.key: warned for warned in read_warnings(data, name, target.present())}
    new = 0

    def adding() -> list[Copied]:
        nonlocal new
        known, who = {event.source for event in log.events}, operator()
        lines = [
            Copied(Entry(warned.text, remark=True), warned.at, key, who)
            for key, warned in found.items() if key not in known
        ]
        new = len(lines)
        return lines

    Edit(log, adding, "").write(dry=dry)
    return new, len(found) - new
