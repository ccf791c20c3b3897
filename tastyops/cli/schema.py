"""``schema``: the JSON Schema of runbooks. Touches no host."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.app.schema import runbook_schema
from tastyops.cli.options import filled_path
from tastyops.errors import ExitCode, UsageError


def arguments(parser: ArgumentParser) -> None:
    """What ``schema`` takes."""
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=filled_path,
        help="also the actions beside these runbooks, and those of plugins",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints the schema."""
    if args.folder is not None and not args.folder.is_dir():
        raise UsageError(f"{args.folder} is not a folder of runbooks.")
    sys.stdout.write(runbook_schema(args.folder))
    return int(ExitCode.COMPLETED)
