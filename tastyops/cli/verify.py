"""``verify``: is a record as it was written?"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tastyops.app.log_edits import Target, find
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import inventory_argument, run_argument
from tastyops.errors import ExitCode
from tastyops.records.verify import verify_log, verify_run


def arguments(parser: ArgumentParser) -> None:
    """What ``verify`` takes."""
    run_argument(parser)
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints what is wrong, or that nothing is: of a run and its log, or of a log and its runs."""
    target = find(load_records(args), args.run)
    log, runs = target.log, [target.run] if target.run is not None else []
    sound = []
    if log is not None:
        if "/" in args.run:  # a log's number, so every run in it is meant
            runs = [target.runs / run for run in log.document().runs]
        sound.append(_report(log.number, verify_log(log, target.runs), "page and journal"))
    sound += [_verified(run, target) for run in runs]
    return int(ExitCode.COMPLETED if all(sound) else ExitCode.FAILED)


def _verified(run: Path, target: Target) -> bool:
    if not os.path.isdir(run):
        gone = f"The run {run.name} that wrote into the log is not in {run.parent}."
        return _report(run.name, [gone], "")
    count, head, wrong = verify_run(run, target.log)
    return _report(run.name, wrong, f"{count} events", f"; head {head}")


def _report(name: str, wrong: list[str], what: str, more: str = "") -> bool:
    """Says that a record is unchanged, or everything that is wrong with it."""
    if not wrong:
        print(f"{name}: {what} unchanged{more}.")  # noqa: T201
        return True
    for sentence in wrong:
        print(sentence, file=sys.stderr)  # noqa: T201
    within = f" in {what}" if what else ""
    print(f"{name}: {len(wrong)} fault(s){within}.", file=sys.stderr)  # noqa: T201
    return False
