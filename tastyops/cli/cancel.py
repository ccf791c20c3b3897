"""``cancel``: end a run, or cancel a shutdown that one has scheduled (``HOST:shutdown``)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace

from tastyops.app.cancel import cancel_run, cancellation
from tastyops.app.resume import run_and_log
from tastyops.app.run import dry_run, run
from tastyops.app.scheduled_shutdowns import OBJECT
from tastyops.cli.chosen_records import load_records
from tastyops.cli.dry_run import show_preview
from tastyops.cli.options import inventory_argument, run_argument, take_over_argument
from tastyops.cli.terminal import Terminal, run_options
from tastyops.errors import ExitCode
from tastyops.ui.messages import tell


def arguments(parser: ArgumentParser) -> None:
    """What ``cancel`` takes."""
    run_argument(parser)
    parser.add_argument("--because", metavar="WHY", default="", help="why, for the private record")
    inventory_argument(parser)
    take_over_argument(parser)
    parser.set_defaults(yes=True)


def perform(args: Namespace, *, dry: bool) -> int:
    """Cancels the run, or the shutdown by a run of its own; returns the exit code.

    That the run is over is this verb's success, whatever had failed before; a doubt is not.
    """
    records = load_records(args)
    options = run_options(args, records.inventory)
    if args.run.endswith(OBJECT):
        found = cancellation(args.run, records)
        options = replace(options, into=found.into, var=())
        if dry:
            preview = dry_run(found.loaded, options, None)
            show_preview(preview, as_json=False)
            return preview.code
        return run(found.loaded, options, Terminal(options))
    run_directory, log = run_and_log(records, args.run)
    if dry:
        tell(f"Dry run, nothing was cancelled. The run would be {run_directory.name}.")
        return int(ExitCode.COMPLETED)
    return cancel_run(run_directory, log, options, Terminal(options), args.because)
