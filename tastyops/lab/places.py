"""Directories of the lab: a cache for built disks, a state directory for the running lab."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """Cache of built disks; may be deleted while the lab is down."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).absolute() / "tastyops" / "lab"


def state() -> Path:
    """State of the running lab: disks, logs, and the record of its processes."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base).absolute() / "tastyops" / "lab"


NAME = "lab"
"""The name by which the lab's inventory is known."""


def inventory() -> Path:
    """The inventory of the lab whose state directory this is."""
    return state() / "inventory.yml"
