"""``trust``: show a host's SSH key and record it if the operator agrees."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.app.host_keys import OfferedKey, offered_key
from tastyops.app.inventory import load_inventory
from tastyops.cli.options import filled, inventory_argument
from tastyops.errors import ExitCode, NeedsPerson, UsageError
from tastyops.ui.prompts import typed


def arguments(parser: ArgumentParser) -> None:
    """What ``trust`` takes."""
    parser.add_argument(
        "host", metavar="HOST", type=filled, help="a host of the inventory"
    )
    parser.add_argument(
        "--fingerprint", metavar="SHA256:…", type=filled,
        help="trust it without asking if its key has this fingerprint",
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Shows each unknown key on the way to the host, asks, and records it."""
    inventory = load_inventory(args.inventory)
    if args.host in inventory.groups:
        members = ", ".join(inventory.groups[args.host])
        raise UsageError(
            f"{args.host} is a group; a key belongs to one host.",
            still_true="Nothing was recorded.", next_step=f"Its hosts: {members}.",
        )
    (host,) = inventory.select([args.host])
    if host.connection == "practice":
        raise UsageError(
            f"{host.name} is a practice host; there is nothing to trust.",
            still_true="Nothing was recorded.",
        )
    while True:
        offered = offered_key(host)
        if offered.recorded:
            print(f"{offered.name}: {offered.kind} {offered.fingerprint} is on record.")  # noqa: T201
            return int(ExitCode.COMPLETED)
        if dry or not _agreed(offered, args.fingerprint):
            print("Nothing was recorded.", file=sys.stderr)  # noqa: T201
            return int(ExitCode.COMPLETED if dry else ExitCode.CANCELLED)
        offered.record()
        print(f"Recorded in {offered.file}.")  # noqa: T201
        if not offered.jump:
            return int(ExitCode.COMPLETED)


def _agreed(offered: OfferedKey, expected: str | None) -> bool:
    what = "jump host " if offered.jump else ""
    print(f"{what}{offered.name} port {offered.port} shows this key:")  # noqa: T201
    print(f"  {offered.kind} {offered.fingerprint}")  # noqa: T201
    if expected is not None and not offered.jump:
        if expected != offered.fingerprint:
            print(f"That is not the fingerprint you gave ({expected}).", file=sys.stderr)  # noqa: T201
        return expected == offered.fingerprint
    if not sys.stdin.isatty():
        raise NeedsPerson(
            "Nobody is here to say whether that is the right key.",
            still_true="Nothing was recorded.",
            next_step="Compare it with the host's own (`ssh-keygen -lf"
            " /etc/ssh/ssh_host_…_key.pub`) and give it with --fingerprint.",
        )
    print("Compare it with what the host itself says, not with what this link says.")  # noqa: T201
    return typed("Trust it? Type yes: ").lower() == "yes"
