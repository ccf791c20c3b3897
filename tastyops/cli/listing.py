"""``list``: the runbooks there are, and the runs there were."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from tastyops.cli import project
from tastyops.errors import ExitCode, InvalidFile, TastyopsError
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.records.document.build import Document
from tastyops.records.runs import read_state, run_directories

RUNBOOKS = Path("runbooks")


def arguments(parser: ArgumentParser) -> None:
    """What ``list`` takes."""
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints both lists."""
    inventory = project.load_inventory(args.inventory)
    files = sorted(RUNBOOKS.glob(project.RUNBOOK_FILES))
    places = project.record_places(inventory, args)
    runs = [run for directory, _ in places for run in run_directories(directory)]
    _show("Runbooks", (f"{file}  {_title(file, inventory)}" for file in files))
    _show("Runs", (_run_line(directory, inventory) for directory in runs))
    logs = [log.document() for _, book in places for log in book.all()]
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


def _title(file: Path, inventory: Inventory) -> str:
    try:
        return project.load_runbook(file, inventory, "named").title.text
    except InvalidFile as error:
        return f"(not valid: {len(error.problems)} problem(s), see `invoke check {file}`)"
    except TastyopsError as error:
        return f"({error.what})"


def _run_line(directory: Path, inventory: Inventory) -> str:
    try:
        state = read_state(directory)
    except TastyopsError as error:
        return f"{directory.name}  (damaged: {error.what})"
    if state.opened is None:
        return f"{directory.name}  (nothing recorded)"
    status = project.status_of(state, inventory.timezone)
    practice = " PRACTICE" if state.opened.practice else ""
    return f"{directory.name}  [{state.opened.log}]{practice}  {state.opened.title}: {status}"
