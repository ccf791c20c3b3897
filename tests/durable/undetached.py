"""The program, with its inventory gone when the detached process starts."""

from __future__ import annotations

import sys
from pathlib import Path

from tastyops.app import detaching
from tastyops.cli.program import main

if __name__ == "__main__":
    inventory = Path("inventory.yml")
    words = detaching._words

    def hidden(*given):  # type: ignore[no-untyped-def]
        inventory.rename("moved.yml")
        return [*words(*given), "--inventory", "none.yml"]

    detaching._words = hidden  # type: ignore[assignment]
    code = main(sys.argv[1:])
    Path("moved.yml").rename(inventory)
    sys.exit(code)
