"""Finding things: the inventory, a runbook, a run, a log, and who is at the keyboard."""

from __future__ import annotations

import os
import pwd
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tastyops.app.registry import BUILT_IN, declared, installed, registry
from tastyops.cli.another import not_ours
from tastyops.errors import InvalidFile, JournalDamaged, UsageError, did_you_mean, shown
from tastyops.journal.state import RunState
from tastyops.lab import places
from tastyops.local.plain_files import NotPlainFileError, reading
from tastyops.model.action import Registry
from tastyops.model.inventory import Host, Inventory
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Runbook
from tastyops.records.document.times import local, offset_minutes
from tastyops.records.logs import LogBook, LogFile
from tastyops.records.runs import find_run, read_events
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.validation import validate
from tastyops.runbook.yaml_reader import MAX_BYTES

DEFAULT_INVENTORY = "inventory.yml"
RUNBOOK_FILES = "*.y*ml"

_SHELLS_PIPES = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Where the pipes of a shell's ``<(…)`` are."""


def filled(text: str) -> str:
    """An option's value: an empty one (an unset variable of the shell) is a missing one."""
    if not text.strip():
        raise ArgumentTypeError("its value is empty")
    return text


def filled_path(text: str) -> Path:
    """A path that is not empty."""
    return Path(filled(text))


def inventory_argument(parser: ArgumentParser) -> None:
    """``--inventory``, ``--logs`` and ``--runs``, as every verb has them."""
    parser.add_argument(
        "--inventory", metavar="F", default=None, type=filled,
        help="an inventory's path, or the name of a known one (default: inventory.yml)",
    )
    for name in ("logs", "runs"):
        parser.add_argument(
            f"--{name}", metavar="DIR", type=filled,
            help=f"where the {name} are (default: the inventory's)",
        )


def take_over_argument(parser: ArgumentParser) -> None:
    """``--take-over``, for what may find its hosts held by a run that died."""
    parser.add_argument(
        "--take-over", action="store_true", dest="take_over",
        help="take hosts over from a run that is certainly over",
    )


def run_argument(parser: ArgumentParser) -> None:
    """``RUN``, for every verb that looks at one."""
    parser.add_argument(
        "run", metavar="RUN", type=filled,
        help="a run's id or its beginning, `last`, or a log's number",
    )


def known_inventories() -> Path:
    """Where inventories with a name lie, one ``NAME.yml`` each."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base) / "tastyops" / "inventories"


def read_bounded(path: Path, what: str) -> bytes:
    """A file's bytes, never more than a YAML file may have. Raises UsageError."""
    try:
        if path.is_fifo() and path.parent in _SHELLS_PIPES:
            with path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        with reading(path) as file:
            return file.read(MAX_BYTES + 1)
    except NotPlainFileError as error:
        raise UsageError(
            f"{path} is not a plain file, so it is not {what}.", still_true="No host was touched.",
        ) from error
    except IsADirectoryError as error:
        raise UsageError(
            f"{path} is a directory, not {what}.", still_true="No host was touched.",
            next_step=f"`invoke check {path}` checks every runbook in it." if what == "a runbook"
            else "",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path}: {what} cannot be read: {error.strerror}.", still_true="No host was touched.",
            next_step="`invoke list` shows the runbooks there are." if what == "a runbook" else (
                "Give one with --inventory F."
            ),
        ) from error


def load_inventory(wanted: str | None) -> Inventory:
    """The inventory at a path, else the known one of that name. Raises UsageError, InvalidFile."""
    path = Path(wanted or DEFAULT_INVENTORY)
    if wanted and not path.exists() and "/" not in wanted:
        named = known_inventories() / f"{wanted}.yml"
        if wanted == places.NAME and places.inventory().exists():
            named = places.inventory()
        if not named.exists():
            known = sorted(file.stem for file in known_inventories().glob("*.yml"))
            raise UsageError(
                f"There is no inventory {wanted!r}: neither a file nor a known name.",
                still_true="No host was touched.",
                next_step=did_you_mean(wanted, known)
                or f"Known names: {', '.join(known) or 'none'}.",
            )
        path = named
    return read_inventory(read_bounded(path, "an inventory"), str(path))


Plugins = Literal["run", "named", "none"]
"""What becomes of the actions beside a runbook: run to know them, known by name, or left aside."""


def plugins_argument(parser: ArgumentParser) -> None:
    """``--no-plugins``, for the verbs that load a runbook."""
    parser.add_argument(
        "--no-plugins", action="store_const", const="none", default="run", dest="plugins",
        help="run no Python of actions/ beside the runbook; its actions are unknown then",
    )


def load_runbook(path: Path, inventory: Inventory | None, plugins: Plugins = "run") -> Runbook:
    """A validated runbook. Raises UsageError, InvalidFile with every problem."""
    return parse_runbook(read_bounded(path, "a runbook"), path, inventory, plugins)


def parse_runbook(
    data: bytes, path: Path, inventory: Inventory | None, plugins: Plugins = "run"
) -> Runbook:
    """A runbook's bytes, validated for the hosts and the actions there are. Raises InvalidFile.

    Python beside the runbook is run only where the runbook names an action of it and nothing else
    is wrong with the file.
    """
    names = {**inventory.hosts, **inventory.groups} if inventory else None
    hosts = inventory.hosts.values() if inventory else ()
    variables = frozenset(name for host in hosts for name in host.vars)

    def read(actions: Registry, undefined: Iterable[str] = ()) -> Runbook:
        return validate(data, str(path), actions, names, variables, frozenset(undefined))

    try:
        return read(BUILT_IN)
    except InvalidFile:
        known, beside = installed(), declared(path.parent)
        if not beside and known.keys() == BUILT_IN.keys():
            raise  # there is no more to know
        if plugins == "none":
            return _without(beside, lambda: read(known))
        book = read(known, beside.keys() - known.keys())
        used = {step.action for step in book.every_step()}
        if plugins == "named" or used <= known.keys():
            return book
        return read(registry(path.parent))


def _without(beside: Mapping[str, Path], read: Callable[[], Runbook]) -> Runbook:
    """Reads without the actions beside the runbook; where one is missed, its file is named."""
    try:
        return read()
    except InvalidFile as error:
        problems = []
        for problem in error.problems:
            name = next((n for n in beside if problem.message.startswith(f"{shown(n)} is nei")), "")
            hint = f"{beside[name]} declares it, and --no-plugins leaves that aside" if name else ""
            problems.append(replace(problem, hint=hint or problem.hint))
        raise InvalidFile(problems) from None


def chosen_hosts(inventory: Inventory, runbook: Runbook, wanted: Sequence[str]) -> tuple[Host, ...]:
    """``--host`` narrows what the runbook says; a host it does not name is refused."""
    if not runbook.hosts:
        return ()
    meant = inventory.select(runbook.hosts)
    if not wanted:
        return meant
    chosen = inventory.select(wanted)
    names = ", ".join(host.name for host in meant)
    for host in chosen:
        if host not in meant:
            raise UsageError(
                f"{host.name} is not among the runbook's hosts ({names}).",
                still_true="No host was touched.",
            )
    return chosen


def log_book(inventory: Inventory, given: str | None, *, practice: bool = False) -> LogBook:
    """The directory of logs."""
    return LogBook(Path(given or _apart(inventory, inventory.logs, practice)), say=say)


def runs_directory(inventory: Inventory, given: str | None, *, practice: bool = False) -> Path:
    """The directory of runs."""
    return Path(given or _apart(inventory, inventory.runs, practice))


def _apart(inventory: Inventory, directory: str, practice: bool) -> Path:
    """Where an inventory has real hosts too, its practice is recorded under ``practice/``."""
    path = Path(directory)
    mixed = any(not (h.practice or h.connection == "practice") for h in inventory.hosts.values())
    return path.parent / "practice" / path.name if practice and mixed else path


def record_places(inventory: Inventory, args: Namespace) -> list[tuple[Path, LogBook]]:
    """Every pair of directories this inventory's runs and logs may lie in, the public one first."""
    places = {
        runs_directory(inventory, args.runs, practice=practice): log_book(
            inventory, args.logs, practice=practice
        )
        for practice in (False, True)
    }
    return list(places.items())


def keep_apart(runs: Path, logs: Path) -> None:
    """Raises UsageError unless private runs and public logs lie apart from each other."""
    private, public = runs.expanduser().resolve(), logs.expanduser().resolve()
    if private == public or private in public.parents or public in private.parents:
        raise UsageError(
            f"The runs ({runs}) are private and the logs ({logs}) public: they must lie apart.",
            still_true="No host was touched.", next_step="Choose with --runs DIR and --logs DIR.",
        )


def status_of(state: RunState, timezone: str) -> str:
    """``Completed``, or when a run that has not ended was last heard of."""
    if state.closed is not None:
        return state.closed.status
    if state.opened_at is None or state.last_at is None:
        return "nothing recorded"
    last = local(state.last_at, offset_minutes(timezone, state.opened_at))
    return f"In progress, last word {last:%H%M}"


def find_record(args: Namespace, wanted: str) -> tuple[Path | None, LogFile | None]:
    """The run and the log somebody means by a run id, ``last``, or a log number."""
    places = record_places(load_inventory(args.inventory), args)
    for runs, book in places:
        log = book.find(wanted)
        if log is not None:
            attached = [e.body for e in log.events if e.body.kind == "run-attached"]
            last = getattr(attached[-1], "run", "") if attached else ""
            return (find_run(runs, last) if last else None), log
    found = [(run, book) for runs, book in places if (run := find_run(runs, wanted))]
    if not found:
        looked = ", ".join(f"{runs} and {book.directory}" for runs, book in places)
        raise not_ours(places, wanted) or UsageError(
            f"There is no run or log {wanted!r} in {looked}.",
            next_step="`invoke list` shows what there is.",
        )
    run, book = max(found, key=lambda pair: pair[0].name)
    return run, log_of(run, book)


def log_of(run: Path, book: LogBook) -> LogFile | None:
    """The log that a run writes into: the one it names, or else the one that names it."""
    try:
        first = next(read_events(run), None)
    except JournalDamaged:
        first = None
    log = book.find(str(getattr(first.body, "log", ""))) if first else None
    if log is not None and (_names(log, run.name) or not _has_run(log)):
        return log  # a crash may have come before the log was told
    return next((log for log in reversed(book.all()) if _names(log, run.name)), None)


def _has_run(log: LogFile) -> bool:
    return any(event.body.kind == "run-attached" for event in log.events)


def _names(log: LogFile, run: str) -> bool:
    return any(getattr(event.body, "run", "") == run for event in log.events)


def operator() -> str:
    """Who runs this: the login the system gives, not an argument and not ``$USER``."""
    login = os.environ.get("SUDO_USER") if os.getuid() == 0 else None
    try:
        return login or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def attending(given: str | None, inventory: Inventory) -> list[str]:
    """``--attending a,b``, or whoever is at the keyboard. Raises UsageError for a stranger."""
    names = [one_line(name) for name in (given or "").split(",") if name.strip()]
    for name in names:
        if inventory.operators and name not in inventory.operators:
            raise UsageError(
                f"--attending {name}: the inventory's operators are "
                f"{', '.join(inventory.operators)}.",
                still_true="No host was touched.",
                next_step=did_you_mean(name, inventory.operators),
            )
    return names or [operator()]


def say(sentence: str) -> None:
    """Something the operator should know that is no error."""
    print(sentence, file=sys.stderr)  # noqa: T201
