"""``run``: run a runbook and write its log; or, dry, show what it would do."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.inventory import load_inventory
from tastyops.app.loading import load_runbook
from tastyops.app.run import dry_run, run
from tastyops.cli.dry_run import show_preview
from tastyops.cli.options import (
    filled,
    filled_path,
    inventory_argument,
    plugins_argument,
    take_over_argument,
    window_end_argument,
)
from tastyops.cli.terminal import Terminal, run_options


def arguments(parser: ArgumentParser) -> None:
    """What ``run`` takes."""
    parser.add_argument("runbook", metavar="RUNBOOK", type=filled_path)
    inventory_argument(parser)
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME", type=filled,
        help="only this host; repeatable",
    )
    parser.add_argument(
        "--var", action="append", default=[], metavar="K=V", help="an input's value; repeatable"
    )
    parser.add_argument(
        "--dry-run", "--dry", "-R", action="store_true", dest="dry_run",
        help="only show what would be done",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="answer plain confirmations")
    parser.add_argument(
        "--attending", metavar="A,B", type=filled, help="who attends (default: you)"
    )
    parser.add_argument(
        "--start-at", default=None, metavar="2.1", type=filled,
        help="leave out the steps before this one",
    )
    parser.add_argument(
        "--into", metavar="2026/003", type=filled, help="write into this existing log"
    )
    take_over_argument(parser)
    plugins_argument(parser)
    window_end_argument(parser)
    parser.add_argument(
        "--detach", action="store_true",
        help="let the run go on without this terminal; `attend` joins it",
    )
    parser.add_argument("--json", action="store_true", help="events as JSON lines")


def perform(args: Namespace, *, dry: bool) -> int:
    """Runs the runbook; returns the exit code."""
    inventory = load_inventory(args.inventory)
    loaded = load_runbook(args.runbook, inventory, args.plugins)
    options = run_options(args, inventory)
    terminal = Terminal(options)
    if dry or args.dry_run:
        found = dry_run(loaded, options, terminal.person)
        show_preview(found, as_json=args.json)
        return found.code
    return run(loaded, options, terminal)
