"""Use case: take over logs that were written by hand. A person reviews them before they are public.

An import is a private draft until it is reviewed: text of former years names accounts and people
who were never asked. Drafts lie beside the runs, one file a log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.operators import operator
from tastyops.app.record_lookup import Records
from tastyops.errors import UsageError
from tastyops.journal.public_events import Imported, LogOpened
from tastyops.local.plain_files import (
    PRIVATE_FILE,
    NotPlainFileError,
    make_private_directory,
    read_plain,
    reading,
)
from tastyops.records.document.old_log import MONTHS, OldLog, read_old_log, split_logs
from tastyops.records.document.times import offset_minutes
from tastyops.records.files import must_write, write_whole
from tastyops.records.logs import LogFile

DRAFTS = ".imports"
"""The directory of drafts, among the runs."""

LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Draft:
    """A log that waits for its review. ``line`` is where its heading stands in the source."""

    log: OldLog
    hosts: tuple[str, ...] = ()
    line: int = 0
    path: Path | None = None


def read_file(records: Records, file: Path, hosts: Sequence[str]) -> list[Draft]:
    """The logs of a file. Raises UsageError for a file without one, or with a number twice."""
    if hosts:
        records.inventory.select(hosts)
    text = _text(file)
    found: dict[str, Draft] = {}
    for line, posted, lines in split_logs(text):
        log = _read(records, posted, lines)
        if log.number in found:
            raise UsageError(
                f"{file}:{line}:1: the log {log.number} is in the file twice, first at line "
                f"{found[log.number].line}.",
                still_true="Nothing was imported.",
                next_step="Give one of them another number.",
            )
        found[log.number] = Draft(log, tuple(hosts), line)
    if not found:
        raise UsageError(
            f"{file} has no heading such as '[AT RISK 2008/004] March 8th 2008 - Title'.",
            still_true="Nothing was imported.",
        )
    return list(found.values())


def keep_drafts(records: Records, drafts: Sequence[Draft]) -> list[Draft]:
    """Stores the drafts; gives those that were not stored because their number is a log's."""
    book, folder = records.book(), records.runs_directory() / DRAFTS
    taken = []
    with must_write(folder):
        make_private_directory(records.runs_directory())
        make_private_directory(folder)
        for draft in drafts:
            if book.find(draft.log.number) is not None:
                taken.append(draft)
                continue
            data = {
                "posted": draft.log.posted,
                "lines": draft.log.lines,
                "hosts": draft.hosts,
            }
            path = folder / f"{draft.log.number.replace('/', '-')}.json"
            write_whole(path, json.dumps(data, indent=1, ensure_ascii=False).encode(), PRIVATE_FILE)
    return taken


def waiting(records: Records) -> list[Draft]:
    """The drafts that nobody has released, oldest number first. Raises UsageError."""
    found = []
    for path in sorted((records.runs_directory() / DRAFTS).glob("*.json")):
        try:
            data = json.loads(read_plain(path))
            log = _read(records, str(data["posted"]), [str(line) for line in data["lines"]])
            found.append(Draft(log, tuple(map(str, data["hosts"])), path=path))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise UsageError(
                f"The draft {path} cannot be read.",
                still_true="Nothing was published.",
                next_step="Remove the file and import the log again.",
            ) from error
    return found


def release(records: Records, numbers: Sequence[str]) -> list[LogFile]:
    """Makes logs of the drafts with these numbers, as reviewed. Raises UsageError."""
    drafts = {draft.log.number: draft for draft in waiting(records)}
    unknown = [number for number in numbers if number not in drafts]
    if unknown:
        raise UsageError(
            f"No import {unknown[0]} waits for a review.",
            still_true="Nothing was published.",
            next_step=f"Waiting: {', '.join(drafts) or 'none'}.",
        )
    released = []
    for number in dict.fromkeys(numbers):
        draft = drafts[number]
        log = draft.log
        opened = LogOpened(
            number,
            "incident" if log.incident else "at risk",
            log.title,
            log.date,
            log.offset,
            by_hand=True,
            hosts=list(draft.hosts),
        )
        imported = Imported(log.posted, list(log.lines))
        book = records.book()
        released.append(book.adopt(number, opened, [imported], datetime.now(UTC), operator()))
        if draft.path is not None:
            draft.path.unlink()
    return released


_NAMES = (
    ("account", re.compile(r"~[a-z_][\w-]*")),
    ("address", re.compile(r"[\w.+-]+@[\w.-]+\.[a-z]{2,}|https?://[^\s<>\"']+|\b\d{1,3}(?:\.\d{1,3}){3}\b")),
    ("host or domain", re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.(?:[a-z]{2,})\b", re.I)),
    ("path", re.compile(r"(?<![\w/.])/(?:home|root|srv|etc|vol|var)/[\w./+-]+")),
)  # fmt: skip
_CAPITALISED = re.compile(
    r"\b[A-Z][a-z]+(?: [A-Z][A-Za-z]+)+|(?<=[a-z,;] )[A-Z][A-Za-z]+(?: [A-Z][A-Za-z]+)*"
)


def names_in(log: OldLog) -> Iterator[tuple[str, str]]:
    """What a reviewer should look at: each kind with a word of the log, each word once.

    Words with a capital letter within a sentence may be people or companies, and so may several
    such words in a row.
    """
    for name in log.attending.split(","):
        if name.strip():
            yield "attending", name.strip()
    seen: set[str] = set()
    for kind, pattern in (*_NAMES, ("person or company", _CAPITALISED)):
        for match in pattern.finditer("\n".join(log.lines[1:])):
            word = match[0].rstrip(".,)")
            if word not in seen and not word.isupper() and word[:3].lower() not in MONTHS:
                seen.add(word)
                yield kind, word


def _read(records: Records, posted: str, lines: Sequence[str]) -> OldLog:
    """The log; where it names no zone, the inventory's on its day counts."""
    log = read_old_log(lines, posted)
    offset = offset_minutes(records.inventory.timezone, log.posted_at or datetime.now(UTC))
    return read_old_log(lines, posted, offset)


def _text(file: Path) -> str:
    try:
        with reading(file) as source:
            data = source.read(LARGEST + 1)
    except (NotPlainFileError, IsADirectoryError) as error:
        raise UsageError(
            f"{file} is not a plain file.", still_true="Nothing was imported."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", still_true="Nothing was imported."
        ) from error
    if len(data) > LARGEST:
        raise UsageError(f"{file} is larger than 16 MiB.", still_true="Nothing was imported.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(
            f"{file}:{line}: this is not UTF-8.",
            still_true="Nothing was imported.",
            next_step=f"Convert the file, for example `iconv -f latin1 -t utf-8 {file}`.",
        ) from error
