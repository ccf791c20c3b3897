"""``python -m benchmarks``: measures everything and prints one report in Markdown."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Measured, Scenario
from benchmarks.table import render

SCENARIOS = (Scenario(1, 30), Scenario(40, 5))
FLEET = Scenario(200, 5)
LARGE_FLEET = Scenario(500, 3)
"""Whole commands only: the time for each host must not grow with their number."""


def parser() -> ArgumentParser:
    """The command line."""
    found = ArgumentParser(
        prog="python -m benchmarks",
        description="The same step through tastyops, Fabric and OpenSSH's ControlMaster.",
    )
    found.add_argument("--quick", action="store_true", help="fewer repeats: a first impression")
    found.add_argument(
        "--peers", type=Path, metavar="DIR",
        help="a virtual environment with asyncssh, fabric and pyinfra; made if it is not there",
    )
    found.add_argument("--fleet", action="store_true", help="whole commands on 500 hosts, too")
    found.add_argument("--json", type=Path, metavar="FILE", help="also write every figure to FILE")
    return found


def measure(args: Namespace, stack: ExitStack) -> Measured:
    """Everything, on a site that ends with the stack."""
    from benchmarks import commands, journal, startup
    from benchmarks.machine import describe, disk_folder
    from benchmarks.site import Site
    from benchmarks.steps import Steps

    repeats = 2 if args.quick else 5
    commands.adopt_orphans()
    place = disk_folder()
    machine = describe(place)
    disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tastyops-", dir=place)))
    whole = [*SCENARIOS, FLEET, *([LARGE_FLEET] if args.fleet else [])]
    if args.peers is not None:
        commands.make_peers(args.peers.resolve())
    site = Site(stack, max(scenario.hosts for scenario in whole))
    steps = Steps(site, disk, _say)
    steps.warm_up(site.shells[0])
    rows = [
        row
        for shell in site.shells
        for scenario in SCENARIOS
        for row in steps.measure(shell, scenario, repeats)
    ]
    peers = None if args.peers is None else args.peers.resolve()
    measured = commands.measure(site, disk, whole, repeats, peers=peers, say=_say)
    if peers is None:
        site.notes.append("Not measured: asyncssh, Fabric, pyinfra as commands. Give --peers DIR.")
    _say("short verbs, journal and start-up")
    return Measured(
        machine,
        repeats,
        rows,
        startup.measure(disk / "empty", 5 if args.quick else 15),
        journal.measure(disk, repeats, 200 if args.quick else 1000),
        measured,
        commands.measure_verbs(site, disk, 3 if args.quick else 7),
        site.notes,
    )


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code: 2 when something has to be installed first, never one for a time."""
    args = parser().parse_args(words)
    from benchmarks.commands import ContenderError
    from benchmarks.site import missing

    lacking = missing()
    if lacking:
        _say(lacking)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the sshd ends with us
    try:
        with ExitStack() as stack:
            measured = measure(args, stack)
    except KeyboardInterrupt:
        return 130
    except ContenderError as error:
        _say(f"benchmarks: {error}")
        return 1
    print(render(measured))
    if args.json:
        args.json.write_text(json.dumps(measured.to_json(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
