"""``check``: is a runbook valid? Touches no host, unless ``--host`` asks for its preflight."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from tastyops.app.inventory import DEFAULT_INVENTORY, load_inventory
from tastyops.app.loading import load_runbook
from tastyops.app.titles import RUNBOOK_FILES
from tastyops.cli.options import filled, filled_path, inventory_argument, plugins_argument
from tastyops.cli.verbs import module_of
from tastyops.errors import ExitCode, InvalidFile, Place, Problem, UsageError
from tastyops.model.inventory import Inventory


def arguments(parser: ArgumentParser) -> None:
    """What ``check`` takes."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=filled_path,
        help="a runbook, or a folder of them",
    )
    inventory_argument(parser)
    plugins_argument(parser)
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME", type=filled,
        help="instead: what a reboot of this host depends on; repeatable",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Checks; every problem of every file is shown."""
    if bool(args.host) == bool(args.file):
        raise UsageError(
            "check takes a FILE, or --host NAME, and not both.",
            next_step="`invoke check runbooks/` or `invoke check --host kalimdor`.",
        )
    if args.host:
        return int(module_of("check --host").perform(args, dry=dry))
    inventory = _inventory(args)
    folder = args.file.is_dir()
    files = sorted(args.file.glob(RUNBOOK_FILES)) if folder else [args.file]
    if not files:
        raise UsageError(f"{args.file} holds no runbook (*.yml).")
    problems: list[Problem] = []
    for file in files:
        try:
            runbook = load_runbook(file, inventory, args.plugins).runbook
        except InvalidFile as error:
            problems += error.problems
        except UsageError as error:
            if not folder:
                raise
            problems.append(Problem(Place(str(file)), error.what))
        else:
            works, steps = len(runbook.works), len(list(runbook.steps()))
            print(f"{file}: ok, {_count(works, 'work item')}, {_count(steps, 'step')}")  # noqa: T201
    if problems:
        raise InvalidFile(problems)
    return int(ExitCode.COMPLETED)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _inventory(args: Namespace) -> Inventory | None:
    """The inventory, for the names of hosts and their vars; None where there is none."""
    if args.inventory is None and not Path(DEFAULT_INVENTORY).exists():
        return None
    return load_inventory(args.inventory)
