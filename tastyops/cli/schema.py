"""``schema``: the JSON Schema of runbooks. Touches no host."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.app.registry import BUILT_IN, registry
from tastyops.cli import project
from tastyops.errors import ExitCode, UsageError
from tastyops.runbook.schema import render, runbook_schema


def arguments(parser: ArgumentParser) -> None:
    """What ``schema`` takes."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=project.filled_path,
        help="with the actions beside these runbooks and those of plugins",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints it."""
    if args.folder is not None and not args.folder.is_dir():
        raise UsageError(f"{args.folder} is not a folder of runbooks.")
    actions = BUILT_IN if args.folder is None else registry(args.folder)
    sys.stdout.write(render(runbook_schema(actions)))
    return int(ExitCode.COMPLETED)
