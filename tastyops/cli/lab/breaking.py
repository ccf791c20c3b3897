"""``lab.break``: break the lab in one of the ways real machines break."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.lab import faults


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.break`` takes."""
    parser.add_argument("fault", metavar="FAULT", help="one of those below")
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = "\n".join(f"  {fault.name:9} {fault.help}" for fault in faults.FAULTS)


def perform(args: Namespace, *, dry: bool) -> int:
    """Breaks it; returns the exit code."""
    common.refuse_dry("lab.break", dry=dry)
    faults.bring(common.the_lab(), args.fault)
    told = faults.BY_NAME[args.fault].help
    project.say(f"Broken: {told}. `invoke lab.reset` brings a pristine machine.")
    return int(ExitCode.COMPLETED)
