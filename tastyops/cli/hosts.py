"""``hosts``: the hosts and groups of the inventory, and the ways to them. Touches no host."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.inventory import load_inventory
from tastyops.cli.options import inventory_argument
from tastyops.errors import ExitCode
from tastyops.model.inventory import Host
from tastyops.model.public_text import one_line


def arguments(parser: ArgumentParser) -> None:
    """What ``hosts`` takes."""
    parser.add_argument(
        "-v", "--verbose", action="store_true",
        help="also how each host is reached; runs the commands of `Match exec` in ssh_config",
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints hosts and groups; 2 if the way to one of them cannot be told."""
    inventory = load_inventory(args.inventory)
    print(f"{inventory.path} (times in {inventory.timezone})")  # noqa: T201
    wrong = False
    for host in inventory.hosts.values():
        print(f"  {host.name:20} {one_line(_where(host))}")  # noqa: T201
        if args.verbose and host.connection != "practice":
            from tastyops.app.reaching import ways

            ((told, fine),) = ways([host])
            wrong = wrong or not fine
            print(f"  {'':20} {one_line(told)}")  # noqa: T201
    for name, members in inventory.groups.items():
        print(f"  {name:20} group: {', '.join(members)}")  # noqa: T201
    return int(ExitCode.USAGE if wrong else ExitCode.COMPLETED)


def _where(host: Host) -> str:
    if host.connection == "practice":
        return "practice host, started when it is used"
    user = f"{host.user}@" if host.user else ""
    port = f":{host.port}" if host.port else ""
    address = host.address or host.name
    if port and ":" in address:
        address = f"[{address}]"
    has = (("sudo", host.sudo), ("console", host.console), ("power", host.power))
    extras = ", ".join(word for word, there in has if there)
    return f"{user}{address}{port}{f' ({extras})' if extras else ''}"
