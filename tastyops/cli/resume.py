"""``resume``: go on with a run whose controller ended, without doing anything twice."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from dataclasses import replace

from tastyops.app.resume import resume, run_and_log, unfinished_run
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled, inventory_argument, take_over_argument, window_end_argument
from tastyops.cli.terminal import Terminal, run_options
from tastyops.errors import ExitCode, UsageError
from tastyops.ui.messages import tell


def arguments(parser: ArgumentParser) -> None:
    """What ``resume`` takes."""
    parser.add_argument(
        "--run", metavar="R", type=filled,
        help="a run's id or its beginning, `last`, or a log's number (default: the unfinished one)",
    )
    inventory_argument(parser)
    parser.add_argument("--yes", "-y", action="store_true", help="answer plain confirmations")
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on with the runbook as it is now"
    )
    take_over_argument(parser)
    window_end_argument(parser)
    parser.add_argument(
        "--wait", action="store_true",
        help="without a terminal, leave questions open for `answer` and `attend`",
    )
    parser.add_argument(
        "--detach", action="store_true",
        help="let the run go on without this terminal; `attend` joins it",
    )
    parser.add_argument("--handed-over", action="store_true", help=SUPPRESS)
    parser.add_argument("--json", action="store_true", help="events as JSON lines")


def perform(args: Namespace, *, dry: bool) -> int:
    """Takes the run up where its journal ends; returns its exit code."""
    if dry:
        raise UsageError(
            "resume has no dry run: `invoke show RUN --commands` shows how far the run came.",
            still_true="No host was touched.",
        )
    records = load_records(args)
    wanted = args.run or unfinished_run(records)
    if wanted is None:
        tell("There is no unfinished run.")
        return int(ExitCode.COMPLETED)
    run, log = run_and_log(records, wanted)
    options = run_options(args, records.inventory)
    if args.handed_over:
        options = replace(options, handed_over=sys.stdin.buffer.read())
    return resume(run, log, options, Terminal(options))
