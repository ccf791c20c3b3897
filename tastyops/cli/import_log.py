"""``import-log``: old logs out of a text, reviewed by a person before they are public."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.import_log import Draft, keep_drafts, names_in, read_file, release, waiting
from tastyops.app.record_lookup import Records
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled, filled_path, inventory_argument
from tastyops.errors import ExitCode, UsageError
from tastyops.model.public_text import one_line
from tastyops.ui.messages import say, tell


def arguments(parser: ArgumentParser) -> None:
    """What ``import-log`` takes."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=filled_path, help="a text with logs to import"
    )
    parser.add_argument(
        "--review",
        action="store_true",
        help="list the imports that wait, with the names that a reviewer should look at",
    )
    parser.add_argument(
        "--reviewed",
        metavar="NUMBER",
        action="append",
        default=[],
        type=filled,
        help="make a public log of an import, as reviewed; `all` for every one; repeatable",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="H",
        type=filled,
        help="a host the imported logs are about, for the pages of its services; repeatable",
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Imports a file, or lists or releases imports."""
    if (args.file is not None) + args.review + bool(args.reviewed) != 1:
        raise UsageError(
            "import-log takes one of FILE, --review and --reviewed NUMBER.",
            still_true="Nothing was written.",
        )
    records = load_records(args)
    if args.review:
        return _review(records)
    if args.reviewed:
        return _release(records, args.reviewed, dry=dry)
    drafts = read_file(records, args.file, args.host)
    taken = [] if dry else keep_drafts(records, drafts)
    for draft in drafts:
        _show(draft, taken=draft in taken)
    kept = len(drafts) - len(taken)
    entries = sum(len(draft.log.transcript) for draft in drafts)
    tell(f"{kept} log(s) of {len(drafts)} imported, {entries} transcript entries in the file.")
    if kept and not dry:
        say("They are not public. `invoke import-log --review` lists the names in them.")
    return int(ExitCode.FAILED if taken else ExitCode.COMPLETED)


def _show(draft: Draft, *, taken: bool) -> None:
    log = draft.log
    tell(one_line(
        f"{log.number} {log.title}: {len(log.points)} sentence(s), {len(log.works)} work(s), "
        f"{len(log.transcript)} transcript entries"
    ))  # fmt: skip
    for oddity in log.oddities:
        say(one_line(f"  line {draft.line}, {log.number}: {oddity}"))
    if taken:
        say(f"  {log.number} is a log already; it was not imported.")


def _review(records: Records) -> int:
    drafts = waiting(records)
    for draft in drafts:
        tell(one_line(f"{draft.log.number} {draft.log.title}"))
        for kind, word in names_in(draft.log):
            tell(one_line(f"  {kind}: {word}"))
    if drafts:
        say("`invoke import-log --reviewed NUMBER` makes a public log of an import.")
    else:
        tell("No import waits for a review.")
    return int(ExitCode.COMPLETED)


def _release(records: Records, numbers: list[str], *, dry: bool) -> int:
    wanted = [draft.log.number for draft in waiting(records)] if "all" in numbers else numbers
    if dry:
        tell(f"Would publish {', '.join(wanted) or 'nothing'}.")
        return int(ExitCode.COMPLETED)
    for log in release(records, wanted):
        tell(f"{log.number}: {log.page}")
    return int(ExitCode.COMPLETED)
