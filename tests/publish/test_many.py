"""Ten thousand logs: what is written after one new entry, and that nothing else is read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tastyops.journal.public_events import Entry
from tests.publish.writing import NOON, contents, maintenance, minutes, site, write_log

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # it writes thirty thousand files

LOGS = 10_000
WORDS = ("kernel", "disk", "mail", "power", "rack", "update", "reboot", "mirror", "cable", "backup")


def write_many(logs: Path, count: int) -> None:
    """Logs over twenty years, with titles of invented words."""
    dice = random.Random(1)
    for i in range(count):
        year, number = 2006 + i * 20 // count, i % (count // 20) + 1
        opened = NOON.replace(year=year, month=1, day=1) + minutes(number * 365 * 1440 * 20 / count)
        title = f"{dice.choice(WORDS)} {dice.choice(WORDS)} of host{dice.randrange(400)}"
        name = f"{year}/{number:03}"
        write_log(logs, name, opened, maintenance(name, title))


def test_ten_thousand_logs_rewrite_a_dozen_files_after_an_entry(tmp_path: Path) -> None:
    write_many(tmp_path / "logs", LOGS)
    built = site(tmp_path)
    assert built.logs == LOGS
    assert all(len(d) < 50_000 for n, d in contents(tmp_path).items() if n.endswith(".html"))
    number = "2025/500"
    opened = NOON.replace(year=2025, month=12, day=31)
    write_log(tmp_path / "logs", number, opened, [*maintenance(number), (40, Entry("Late news."))])
    written = site(tmp_path).written
    assert f"{number}.html" in written
    assert "index.html" in written
    assert len(written) < 30
