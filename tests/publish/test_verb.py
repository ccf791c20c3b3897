"""`tastyops publish` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.cli.program import main
from tests.publish.writing import NOON, incident, maintenance, write_log

INVENTORY = """\
publish:
  title: Mill status
services: {Web: mill}
hosts: {mill: {address: 192.0.2.1}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    write_log(tmp_path / "logs", "2026/001", NOON, maintenance("2026/001"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_site_lies_beside_the_inventory(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish"]) == 0
    assert "1 log(s) published; " in capsys.readouterr().out
    assert "Mill status" in (project / "site/2026/001.html").read_text()
    assert main(["publish"]) == 0
    assert capsys.readouterr().out == "1 log(s) published; nothing has changed.\n"


def test_logs_and_site_can_be_chosen(project: Path) -> None:
    write_log(project / "others", "2026/001", NOON, incident("2026/001"))
    assert main(["publish", "--logs", "others", "--site", "public"]) == 0
    assert "Incident open" in (project / "public/index.html").read_text()
    assert not (project / "site").exists()


def test_a_dry_run_writes_nothing(project: Path) -> None:
    assert main(["publish"], dry=True) == 0
    assert not (project / "site").exists()


def test_a_practice_log_needs_its_option(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    practice = maintenance("2026/001", practice=True)
    write_log(project / "practice/logs", "2026/001", NOON, practice)
    assert main(["publish", "--logs", "practice/logs"]) == 2
    assert "is PRACTICE; it is not published among public logs." in capsys.readouterr().err
    assert main(["publish", "--practice"]) == 0
    assert "PRACTICE" in (project / "practice/site/index.html").read_text()
    assert not list((project / "site").rglob("*.html"))


def test_a_damaged_log_is_reported_and_the_others_are_published(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_log(project / "logs", "2026/002", NOON, incident("2026/002"))
    path.write_bytes(path.read_bytes().replace(b"stuck", b"stack"))
    assert main(["publish"]) == 1
    output = capsys.readouterr()
    assert "2026/002 is left as it was on the site" in output.err
    assert "1 log(s) published" in output.out
    assert (project / "site/2026/001.html").exists()
