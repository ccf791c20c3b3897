"""``correct`` and ``withdraw``: the page shows what is right; the journal keeps what was said."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tastyops.cli import project, writing
from tastyops.errors import UsageError
from tastyops.journal.public_events import Corrected, PublicBody
from tastyops.records.document.build import Line
from tastyops.records.logs import Copied, LogFile


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


def arguments(parser: ArgumentParser) -> None:
    """What ``correct`` takes."""
    writing.log_argument(parser)
    entry_argument(parser)
    parser.add_argument("text", metavar="TEXT", type=project.filled, help="how it should read")


def perform(args: Namespace, *, dry: bool) -> int:
    """Has the entry read otherwise from now on."""
    corrected = Corrected(args.entry, writing.sentence(args.text, "The entry"))
    return change(args, corrected, dry=dry, done=f"Entry #{args.entry} reads: {corrected.text}")


def change(args: Namespace, body: PublicBody, *, dry: bool, done: str) -> int:
    """Writes a change of one entry, once it is sure that there is one."""
    target = writing.find_log(args)
    log, at = target.the_log(), target.present()

    def changing() -> list[Copied]:
        shown_entry(log, args.entry)
        return [writing.by_hand(body, at)]

    return writing.write(log, changing, dry=dry, done=done)


def shown_entry(log: LogFile, number: int) -> Line:
    """The entry of that number. Raises UsageError when the page shows none."""
    document = log.document()
    for line in document.transcript:
        if line.number == number:
            return line
    gone = any(line.number == number for line in document.withdrawn)
    raise UsageError(
        f"Entry #{number} was withdrawn." if gone else
        f"The log {document.number} has no entry #{number}.",
        still_true=writing.NOTHING,
        next_step=f"`invoke show {document.number} --entries` numbers them.",
    )
