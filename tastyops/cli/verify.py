"""``verify``: is a run's journal as it was written?"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.errors import ExitCode, UsageError
from tastyops.store.verify import verify_run


def arguments(parser: ArgumentParser) -> None:
    """What ``verify`` takes."""
    project.run_argument(parser)
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints what is wrong, or that nothing is."""
    run, log = project.find_record(args, args.run)
    if run is None:
        raise UsageError(f"The log {args.run} has no run of its own to verify.")
    count, head, wrong = verify_run(run, log)
    if wrong:
        for sentence in wrong:
            print(sentence, file=sys.stderr)  # noqa: T201
        print(f"{run.name}: {len(wrong)} fault(s) in {count} events.", file=sys.stderr)  # noqa: T201
        return int(ExitCode.FAILED)
    print(f"{run.name}: {count} events, sound; head {head}.")  # noqa: T201
    return int(ExitCode.COMPLETED)
