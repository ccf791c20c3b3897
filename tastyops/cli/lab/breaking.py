"""``lab.break``: break the lab machine in one of the ways real machines break."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.break`` takes."""
    parser.add_argument("fault", metavar="FAULT", help="one of the faults below")
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = "\n".join(lab.fault_lines())


def perform(args: Namespace, *, dry: bool) -> int:
    """Breaks the machine; returns the exit code."""
    common.refuse_dry("lab.break", dry=dry)
    lab.break_lab(args.fault, say)
    return int(ExitCode.COMPLETED)
