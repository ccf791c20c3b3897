"""Reads the inventory: at a path, by a known name, or the lab's."""

from __future__ import annotations

import os
from pathlib import Path

from tastyops.errors import UsageError, did_you_mean
from tastyops.lab import places
from tastyops.local.plain_files import NotPlainFileError, reading
from tastyops.model.inventory import Inventory
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.yaml_reader import MAX_BYTES

DEFAULT_INVENTORY = "inventory.yml"

_SHELLS_PIPES = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Where the pipes of a shell's ``<(…)`` are."""


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


def read_some(path: str, count: int) -> bytes:
    """At most ``count`` bytes of a plain file. Raises OSError."""
    with reading(Path(path)) as file:
        return file.read(count)

