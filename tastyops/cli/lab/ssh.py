"""``lab.ssh``: a shell on the lab machine, or one command there."""

from __future__ import annotations

import subprocess
from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.lab import recipe

CONNECT_SECONDS = 60


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.ssh`` takes."""
    parser.add_argument("--command", metavar="C", type=project.filled, help="run this, no shell")
    parser.add_argument(
        "--user", metavar="U", default="root", choices=("root", recipe.OPERATOR),
        help="as whom: %(choices)s",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Runs ssh; returns its status."""
    common.refuse_dry("lab.ssh", dry=dry)
    guest = common.the_lab().guest
    argv = [
        "ssh", "-F", "none", "-i", str(guest.key), "-p", str(guest.port),
        "-o", f"UserKnownHostsFile={guest.known_hosts}", "-o", "StrictHostKeyChecking=yes",
        "-o", "IdentitiesOnly=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}",
        "-o", "ServerAliveInterval=15", "-o", "LogLevel=ERROR", f"{args.user}@127.0.0.1",
    ]  # fmt: skip
    return subprocess.call([*argv, *([args.command] if args.command else [])])
