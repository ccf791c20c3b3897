"""Arguments and answers of the verbs that edit a log by hand."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable

from tastyops.app.log_edits import Edit, Target, find_log
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled, inventory_argument
from tastyops.errors import ExitCode
from tastyops.model.public_text import one_line
from tastyops.ui.prompts import typed


def log_argument(parser: ArgumentParser) -> None:
    """``LOG``, and where logs are."""
    parser.add_argument(
        "log", metavar="LOG", type=filled,
        help="a log's number, a run that writes into it, or `last`: the one begun last",
    )
    inventory_argument(parser)


def entry_argument(parser: ArgumentParser) -> None:
    """``ENTRY``, as ``show LOG --entries`` numbers them."""
    parser.add_argument(
        "entry", metavar="ENTRY", type=_entry, help="its number in `show LOG --entries`"
    )


def _entry(text: str) -> int:
    digits = text.removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise ArgumentTypeError(f"{text!r} is no entry's number; `show LOG --entries` has them")
    return int(digits)


def at_argument(parser: ArgumentParser) -> None:
    """``--at``."""
    parser.add_argument(
        "--at", metavar="0900", type=filled,
        help="when it was: 0900, 09:00, or with a date 2026-11-22 09:00 (default: now)",
    )


def target_of(args: Namespace) -> Target:
    """The log that ``LOG`` names. Raises UsageError."""
    return find_log(load_records(args), args.log)


def chooser() -> Callable[[str], str] | None:
    """Asks the person at the keyboard; None where nobody is there."""
    return typed if sys.stdin.isatty() and sys.stderr.isatty() else None


def write(edit: Edit, *, dry: bool) -> int:
    """Makes the edit, unless dry, and tells what was done; returns the exit code."""
    edit.write(dry=dry)
    if dry:
        print(f"Dry run, nothing was written. It would be: {one_line(edit.done)}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    print(one_line(edit.done))  # noqa: T201
    print(f"Log: {one_line(str(edit.log.page))}")  # noqa: T201
    return int(ExitCode.COMPLETED)
