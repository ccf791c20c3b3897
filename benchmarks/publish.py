"""Ten thousand logs: building the site, and building it again after one new entry."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.publish.test_many import LOGS, write_many
from tests.publish.writing import NOON, maintenance, minutes, write_log

INVENTORY = """\
publish:
  title: Bench
  address: https://status.example.org/
  feed: {authority: example.org, year: 2026}
services: {Web: mill}
hosts: {mill: {address: 192.0.2.1}}
"""


def publish(folder: Path) -> float:
    """Seconds that the whole command takes."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tastyops", "publish"], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - begin


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "inventory.yml").write_text(INVENTORY)
        write_many(folder / "logs", LOGS)
        print(f"{LOGS} logs, first build: {publish(folder):.1f} s")
        again = []
        for count in range(5):
            opened = NOON + minutes(count)
            number = f"2026/{count + 1:03}"
            write_log(folder / "logs", number, opened, maintenance(number))
            again.append(publish(folder))
        print(f"after one new log: {min(again):.2f} s, median {sorted(again)[2]:.2f} s")
        print(f"nothing new: {publish(folder):.2f} s")


if __name__ == "__main__":
    main()
