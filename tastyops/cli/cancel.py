"""``cancel``: end a run, or take back a shutdown that one has scheduled (``HOST:shutdown``)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from tastyops.cli import project
from tastyops.cli.resume import run_and_log, take_up
from tastyops.cli.run import carry_out
from tastyops.cli.shutdowns import OBJECT, runbook_for
from tastyops.errors import ExitCode
from tastyops.journal.events import CancelAsked
from tastyops.model.public_text import one_line
from tastyops.records.runs import hand_in, is_live, taken

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take the word up; it is not waited for to end."""


def arguments(parser: ArgumentParser) -> None:
    """What ``cancel`` takes."""
    project.run_argument(parser)
    parser.add_argument("--because", metavar="WHY", default="", help="why, for the private record")
    project.inventory_argument(parser)
    project.take_over_argument(parser)
    parser.set_defaults(
        yes=True, accept_changes=False, json=False, window_end=None, detach=False, wait=False,
        handed_over=False,
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Hands the word to the run's process, or ends the run itself where there is none.

    A shutdown is taken back by a run of its own. That the run is over is this verb's success,
    whatever had failed before; a doubt is not.
    """
    if args.run.endswith(OBJECT):
        inventory = project.load_inventory(args.inventory)
        return carry_out(runbook_for(args.run, args, inventory), args, inventory, dry=dry)
    run, log = run_and_log(args, args.run)
    if dry:
        print(f"Would be cancelled, and is not, for this is a dry run: {run.name}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    asked = CancelAsked(one_line(args.because) or "cancelled from another terminal")
    if is_live(run):
        told = hand_in(run, project.operator(), asked, datetime.now(UTC))
        print(  # noqa: T201
            f"The run {run.name} is stopping." if taken(told, PATIENCE)
            else f"The run {run.name} was told to stop; its process has not answered yet."
        )
        return int(ExitCode.COMPLETED)
    code = take_up(run, log, args, project.load_inventory(args.inventory), asked)
    return code if code == ExitCode.IN_DOUBT else int(ExitCode.COMPLETED)
