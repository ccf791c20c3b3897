"""``backup``: one private archive of all logs and runs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled_path, inventory_argument
from tastyops.errors import ExitCode, UsageError
from tastyops.records.archive import Contents, write_archive
from tastyops.ui.messages import size_in_words

SUFFIXES = (".tar", ".tar.gz", ".tgz")


def arguments(parser: ArgumentParser) -> None:
    """What ``backup`` takes."""
    parser.add_argument(
        "file", metavar="FILE", type=filled_path,
        help="the archive to write: .tar or .tar.gz; one that exists is not overwritten",
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Writes the archive and says what is in it, and what is wrong with that."""
    records = load_records(args)
    places = [(book.directory, runs) for runs, book in records.pairs()]
    _check(args.file, places)
    if dry:
        print(f"Would write {args.file}.")  # noqa: T201
        return int(ExitCode.COMPLETED)
    contents = write_archive(
        args.file, places, Path(records.inventory.path).parent, datetime.now(UTC)
    )
    for sentence in contents.faults:
        print(sentence, file=sys.stderr)  # noqa: T201
    _tell(args.file, contents)
    return int(ExitCode.FAILED if contents.faults else ExitCode.COMPLETED)


def _check(file: Path, places: list[tuple[Path, Path]]) -> None:
    if not file.name.endswith(SUFFIXES):
        raise UsageError(
            f"{file} is neither .tar nor .tar.gz.", still_true="Nothing was written.",
            next_step="For another compression, write a .tar and compress that.",
        )
    if file.exists() or file.is_symlink():
        raise UsageError(
            f"{file} is there already; a backup overwrites nothing.",
            still_true="Nothing was written.", next_step="Give another name.",
        )
    whole = file.parent.resolve()
    for place in (each.resolve() for pair in places for each in pair):
        if whole == place or whole.is_relative_to(place):
            raise UsageError(
                f"{file} lies among the records it is to hold.", still_true="Nothing was written.",
                next_step="Give a file elsewhere; on another machine is best.",
            )


def _tell(file: Path, contents: Contents) -> None:
    for run in contents.going_on:
        print(f"{run} has not ended; copied up to event {contents.runs[run]['events']}.")  # noqa: T201
    print(  # noqa: T201
        f"{file}: {contents.logs} logs, {len(contents.runs)} runs, {contents.files} files, "
        f"{size_in_words(contents.size)}; private: it holds the runs."
    )
    if contents.faults:
        print(  # noqa: T201
            f"{len(contents.faults)} fault(s); the archive holds the records as they are.",
            file=sys.stderr,
        )
