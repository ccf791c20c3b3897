"""``check --host``: what a reboot of hosts depends on. A module of its own, since it connects."""

from __future__ import annotations

from argparse import Namespace

from tastyops.app.check_host import check_hosts
from tastyops.app.inventory import load_inventory


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints a line for each thing that was looked at."""
    lines, code = check_hosts(load_inventory(args.inventory), args.host)
    for line in lines:
        print(line)  # noqa: T201
    return int(code)
