"""``ping``: whether a session can be had with hosts, and how they are reached. Changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.inventory import load_inventory
from tastyops.app.reaching import answers
from tastyops.cli.options import filled, inventory_argument
from tastyops.errors import ExitCode
from tastyops.model.public_text import one_line
from tastyops.ui import messages


def arguments(parser: ArgumentParser) -> None:
    """What ``ping`` takes."""
    parser.add_argument("host", metavar="HOST", nargs="+", type=filled, help="hosts or groups")
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Opens a session with each host and closes it; 4 if one cannot be had."""
    hosts = load_inventory(args.inventory).select(args.host)
    found = answers(hosts, messages.say)
    for host, (told, _) in zip(hosts, found, strict=True):
        print(f"{host.name}: {one_line(told)}")  # noqa: T201
    return int(ExitCode.COMPLETED if all(fine for _, fine in found) else ExitCode.UNREACHABLE)
