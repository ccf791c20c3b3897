"""``verify``: is a record as it was written?"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tastyops.cli import project, writing
from tastyops.errors import ExitCode
from tastyops.records.verify import verify_log, verify_run


def arguments(parser: ArgumentParser) -> None:
    """What ``verify`` takes."""
    project.run_argument(parser)
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints what is wrong, or that nothing is: of a run and its log, or of a log and its runs."""
    target = writing.find(args, args.run)
    log, runs = target.log, [target.run] if target.run is not None else []
    sound = []
    if log is not None:
        if "/" in args.run:  # a log's number, so every run in it is meant
            runs = [target.runs / run for run in log.document().runs]
        sound.append(_told(log.number, verify_log(log, target.runs), "its page and its journal"))
    sound += [_verified(run, target) for run in runs]
    return int(ExitCode.COMPLETED if all(sound) else ExitCode.FAILED)


def _verified(run: Path, target: writing.Target) -> bool:
    if not os.path.isdir(run):
        gone = f"The run {run.name} that wrote into the log is not in {run.parent}."
        return _told(run.name, [gone], "")
    count, head, wrong = verify_run(run, target.log)
    return _told(run.name, wrong, f"{count} events", f"; head {head}")


def _told(name: str, wrong: list[str], what: str, more: str = "") -> bool:
    """Says that a record is sound, or everything that is wrong with it."""
    if not wrong:
        print(f"{name}: {what}, sound{more}.")  # noqa: T201
        return True
    for sentence in wrong:
        print(sentence, file=sys.stderr)  # noqa: T201
    within = f" in {what}" if what else ""
    print(f"{name}: {len(wrong)} fault(s){within}.", file=sys.stderr)  # noqa: T201
    return False
