"""The lab as an inventory, so that ``--inventory lab`` works at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tastyops.lab import places, recipe
from tastyops.lab.record import RECORD, Record

PASSWORD = "console-password"  # noqa: S105  the file's name
POWER_WORDS = ("on", "off", "cycle", "status")


def inventory(made: Record) -> str:
    """The inventory file's text. Its values are JSON, which YAML reads as it stands."""
    folder, switch = places.state(), made.switch
    host: dict[str, Any] = {
        "address": "127.0.0.1",
        "port": made.ports.ssh,
        "user": recipe.OPERATOR,
        "sudo": True,
        "identity_file": str(made.golden.key),
        "known_hosts": str(folder / "known_hosts"),
        "console": {
            "command": switch.command("sol", "activate"),
            "password": {"file": str(folder / PASSWORD)},
        },
        "power": {word: switch.command("chassis", "power", word) for word in POWER_WORDS},
    }
    lines = [
        "# The lab machine, written by lab.up. What is logged here is practice, not maintenance.",
        f"{_OF}{folder}",
        "practice: true",
        f"logs: {json.dumps(str(folder / 'logs'))}",
        f"runs: {json.dumps(str(folder / 'runs'))}",
        "hosts:",
        f"  {recipe.HOSTNAME}:",
    ]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in host.items()]
    return "\n".join(lines) + "\n"


_OF = "# Its machine runs in "


def write(made: Record, inventories: Path) -> Path:
    """Writes the lab's inventory; returns its path.

    The path is that of the known inventory ``lab``. Where that inventory belongs to another lab
    that is up, the file lies only in this lab's directory; ``--inventory lab`` looks there first.
    """
    inventories.mkdir(parents=True, exist_ok=True)
    private = places.state() / PASSWORD
    private.touch(mode=0o600)
    private.chmod(0o600)
    private.write_text(recipe.CONSOLE_PASSWORD)
    _replace(places.inventory(), inventory(made))
    path = inventories / f"{places.NAME}.yml"
    if _of_another(path):
        return places.inventory()
    _replace(path, inventory(made))
    return path


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def _of_another(path: Path) -> bool:
    """Whether a lab with another state directory, still recorded there, wrote the inventory."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    folders = [line.removeprefix(_OF) for line in lines if line.startswith(_OF)]
    return any(
        Path(folder) != places.state() and (Path(folder) / RECORD).exists() for folder in folders
    )
