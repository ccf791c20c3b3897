"""The lab as an inventory, so that ``--inventory lab`` works at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tastyops.lab import places, recipe
from tastyops.lab.record import Record

NAME = "lab"
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
        "practice: true",
        f"logs: {json.dumps(str(folder / 'logs'))}",
        f"runs: {json.dumps(str(folder / 'runs'))}",
        "hosts:",
        f"  {recipe.HOSTNAME}:",
    ]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in host.items()]
    return "\n".join(lines) + "\n"


def write(made: Record, inventories: Path) -> Path:
    """Writes it as the known inventory ``lab``; returns its path."""
    inventories.mkdir(parents=True, exist_ok=True)
    private = places.state() / PASSWORD
    private.touch(mode=0o600)
    private.chmod(0o600)
    private.write_text(recipe.CONSOLE_PASSWORD)
    path = inventories / f"{NAME}.yml"
    fresh = path.with_name(f".{NAME}.new")
    fresh.write_text(inventory(made), "utf-8")
    fresh.replace(path)
    return path
