"""``lab.ssh``: a shell on the lab machine, or one command there."""

from __future__ import annotations

import subprocess
from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.cli.options import filled


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.ssh`` takes."""
    parser.add_argument("--command", metavar="C", type=filled, help="run this command, no shell")
    parser.add_argument(
        "--user", metavar="U", default="root", choices=lab.USERS, help="as whom: %(choices)s"
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Runs ssh; returns its status."""
    common.refuse_dry("lab.ssh", dry=dry)
    return subprocess.call(lab.ssh_words(args.user, args.command))
