"""Where the lab keeps things: what was built in a cache, what runs in a state directory."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """What was built; may be deleted at any time the lab is down."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).absolute() / "tastyops" / "lab"


def state() -> Path:
    """The running machine: its disks, logs, and the record of what was started."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base).absolute() / "tastyops" / "lab"


NAME = "lab"
"""The name by which the lab's inventory is known."""


def inventory() -> Path:
    """The inventory of the lab whose state directory this is."""
    return state() / "inventory.yml"
