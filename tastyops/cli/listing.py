"""``list``: the runbooks there are, and the runs there were."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tastyops.cli import project
from tastyops.document.times import local, offset_minutes
from tastyops.errors import ExitCode, InvalidFile, TastyopsError
from tastyops.inventory import Inventory
from tastyops.store.runs import read_state, run_directories

RUNBOOKS = Path("runbooks")


def arguments(parser: ArgumentParser) -> None:
    """What ``list`` takes."""
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints both lists."""
    inventory = project.load_inventory(args.inventory)
    print("Runbooks:")  # noqa: T201
    for file in sorted(RUNBOOKS.glob("*.yml")):
        print(f"  {file}  {_title(file, inventory)}")  # noqa: T201
    print("Runs:")  # noqa: T201
    for directory in run_directories(project.runs_directory(inventory, args.runs)):
        print(f"  {_run_line(directory, inventory)}")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _title(file: Path, inventory: Inventory) -> str:
    try:
        return project.load_runbook(file, inventory).title.text
    except InvalidFile as error:
        return f"(not valid: {len(error.problems)} problem(s), see `invoke check {file}`)"


def _run_line(directory: Path, inventory: Inventory) -> str:
    try:
        state = read_state(directory)
    except TastyopsError as error:
        return f"{directory.name}  (damaged: {error.what})"
    if state.opened is None or state.opened_at is None or state.last_at is None:
        return f"{directory.name}  (nothing recorded)"
    offset = offset_minutes(inventory.timezone, state.opened_at)
    last = f"{local(state.last_at, offset):%H%M}"
    status = state.closed.status if state.closed else f"In progress, last word {last}"
    practice = " PRACTICE" if state.opened.practice else ""
    return f"{directory.name}  [{state.opened.log}]{practice}  {state.opened.title}: {status}"
