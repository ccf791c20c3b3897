"""``prune``: removes the private records of runs that ended long ago. Logs are never touched."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta

from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import inventory_argument
from tastyops.errors import ExitCode, NeedsPerson
from tastyops.model.duration import parse_duration
from tastyops.model.public_text import one_line
from tastyops.records.retention import Finished, examine_runs, remove_run, sweep
from tastyops.ui.messages import size_in_words
from tastyops.ui.prompts import typed

LONGEST_DAYS = 36_500


def arguments(parser: ArgumentParser) -> None:
    """What ``prune`` takes."""
    parser.add_argument(
        "--keep", metavar="90d", type=_age, default=timedelta(days=90),
        help="runs that ended within this time stay (default: 90d)",
    )
    parser.add_argument(
        "--keep-last", metavar="N", type=_count, default=0,
        help="the last N runs stay, however old (default: 0)",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="remove without asking")
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Shows the runs that would be removed, asks, and removes them."""
    places = load_records(args).pairs()
    going: list[Finished] = []
    staying: list[Finished] = []
    before = datetime.now(UTC) - args.keep
    for runs, book in places:
        found = examine_runs(runs, book)
        newest = found[len(found) - args.keep_last :] if args.keep_last else []
        for run in found:
            old = run not in newest and (run.ended_at is None or run.ended_at < before)
            if old:
                (staying if run.kept else going).append(run)
    for run in staying:
        print(one_line(f"stays: {_described(run)}: {run.kept}"))  # noqa: T201
    for run in going:
        print(one_line(f"goes: {_described(run)}"))  # noqa: T201
    if not going:
        print(f"No run to remove: none that ended over {_days(args.keep)} ago.")  # noqa: T201
    if dry or not going:
        return int(ExitCode.COMPLETED)
    if not args.yes and not _agreed(going):
        print("Nothing was removed.", file=sys.stderr)  # noqa: T201
        return int(ExitCode.CANCELLED)
    for runs, _ in places:
        sweep(runs)
    for run in going:
        remove_run(run.directory)
        print(f"Removed {run.directory.name}, {size_in_words(run.size)}.")  # noqa: T201
    print(f"{_total(going)} removed. The logs are as they were.")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _agreed(going: list[Finished]) -> bool:
    if not sys.stdin.isatty():
        raise NeedsPerson(
            f"Nobody is here to confirm that {_total(going)} may be removed.",
            still_true="Nothing was removed.",
            next_step="Give --yes, or run the verb on a terminal.",
        )
    return typed(f"Remove {_total(going)}? Type yes: ").lower() == "yes"


def _described(run: Finished) -> str:
    title = f"  [{run.log}] {run.title}" if run.title else ""
    return f"{run.directory.name}{title} ({size_in_words(run.size)})"


def _total(runs: list[Finished]) -> str:
    count = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    return f"{count} ({size_in_words(sum(run.size for run in runs))})"


def _days(keep: timedelta) -> str:
    return f"{keep.total_seconds() / 86400:g} days"


def _age(text: str) -> timedelta:
    """A duration; in days it may be longer than a runbook's durations."""
    days = re.fullmatch(r"(\d{1,6})d", text.strip(), re.ASCII)
    if days and int(days[1]) <= LONGEST_DAYS:
        return timedelta(days=int(days[1]))
    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise ArgumentTypeError(f"'{text[:40]}' is not a whole number")
    return int(text)
