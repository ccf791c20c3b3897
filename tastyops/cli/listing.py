"""``list``: runbooks, runs, and logs without a run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from tastyops.app.inventory import load_inventory
from tastyops.app.record_lookup import status_of
from tastyops.app.titles import RUNBOOK_FILES, title_of
from tastyops.cli.chosen_records import records_of
from tastyops.cli.options import inventory_argument
from tastyops.errors import ExitCode, InvalidFile, TastyopsError
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.records.document.build import Document
from tastyops.records.runs import read_state, run_directories
from tastyops.ui.messages import as_typed

RUNBOOKS = Path("runbooks")


def arguments(parser: ArgumentParser) -> None:
    """What ``list`` takes."""
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints the lists."""
    inventory = load_inventory(args.inventory)
    files = sorted(RUNBOOKS.glob(RUNBOOK_FILES))
    pairs = records_of(args, inventory).pairs()
    runs = [run for directory, _ in pairs for run in run_directories(directory)]
    _show("Runbooks", (f"{file}  {_title(file)}" for file in files))
    _show("Runs", (_run_line(directory, inventory) for directory in runs))
    logs = [log.document() for _, book in pairs for log in book.all()]
    if without := [document for document in logs if not document.runs]:
        _show("Logs without a run", map(_log_line, without))
    return int(ExitCode.COMPLETED)


def _show(heading: str, lines: Iterable[str]) -> None:
    print(f"{heading}:")  # noqa: T201
    none = True
    for line in lines:
        print(f"  {one_line(line)}")  # noqa: T201
        none = False
    if none:
        print("  none")  # noqa: T201


def _log_line(document: Document) -> str:
    return f"{document.tag} {document.title}: {document.status}"


def _title(file: Path) -> str:
    try:
        return title_of(file)
    except InvalidFile as error:
        return as_typed(f"(not valid: {len(error.problems)} problem(s), see `invoke check {file}`)")
    except TastyopsError as error:
        return f"({error.what})"


def _run_line(directory: Path, inventory: Inventory) -> str:
    try:
        state = read_state(directory)
    except TastyopsError as error:
        return f"{directory.name}  (damaged: {error.what})"
    if state.opened is None:
        return f"{directory.name}  (nothing recorded)"
    status = status_of(state, inventory.timezone)
    practice = " PRACTICE" if state.opened.practice else ""
    return f"{directory.name}  [{state.opened.log}]{practice}  {state.opened.title}: {status}"
