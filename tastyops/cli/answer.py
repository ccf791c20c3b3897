"""``answer``: answer a question of a run from another terminal, or another login."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.answering import Reply, answer
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled, inventory_argument, run_argument
from tastyops.errors import ExitCode
from tastyops.ui.messages import tell


def arguments(parser: ArgumentParser) -> None:
    """What ``answer`` takes."""
    run_argument(parser)
    parser.add_argument("value", metavar="ANSWER", type=filled, help="the answer")
    parser.add_argument("--step", metavar="2.1", default="", help="where several steps ask")
    parser.add_argument("--host", metavar="NAME", default="", help="where several hosts ask")
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Gives the answer to the run's process."""
    reply = Reply(args.run, args.value, args.step, args.host, dry)
    answer(load_records(args), reply, tell)
    return int(ExitCode.COMPLETED)
