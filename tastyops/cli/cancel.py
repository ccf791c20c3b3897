"""``cancel``: end a run, the one that is under way or one whose controller ended."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

from tastyops.cli import project, resume
from tastyops.errors import ExitCode
from tastyops.journal.events import CancelAsked
from tastyops.model.text import one_line
from tastyops.store.runs import hand_in, is_live, read_state

PATIENCE = 5.0
"""Seconds to wait for the run's own process to take the word up; it is not waited for to end."""


def arguments(parser: ArgumentParser) -> None:
    """What ``cancel`` takes."""
    project.run_argument(parser)
    parser.add_argument(
        "--because", metavar="WHY", default="", help="why, for the private record"
    )
    project.inventory_argument(parser)
    parser.set_defaults(yes=True, accept_changes=False, json=False, take_over=False)


def perform(args: Namespace, *, dry: bool) -> int:
    """Hands the word to the run's process, or ends the run itself where there is none."""
    found = resume.unfinished(args, args.run)
    if found is None:
        return int(ExitCode.COMPLETED)
    directory, log = found
    because = one_line(args.because) or "cancelled from another terminal"
    if is_live(directory):
        hand_in(directory, project.operator(), CancelAsked(because), datetime.now(UTC))
        taken = _taken(directory)
        print(  # noqa: T201
            f"The run {directory.name} is stopping." if taken
            else f"The run {directory.name} was told to stop; its process has not answered yet."
        )
        return int(ExitCode.COMPLETED)
    resume.take_up((directory, log), args, project.load_inventory(args.inventory), because)
    return int(ExitCode.COMPLETED)


def _taken(directory: Path) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if read_state(directory).cancel is not None:
            return True
        time.sleep(0.1)
    return False
