"""Where records are kept if an inventory has practice hosts and real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.cli.program import main

INVENTORY = """
operators: [dwm]
hosts:
  kalimdor: {connection: practice}
  real: {address: 127.0.0.1, port: 1, known_hosts: nothing}
"""
REHEARSAL = "{title: Rehearsal, hosts: kalimdor, works: [{work: W, steps: [{wall: hello}]}]}"
INCIDENT = """
title: Upstream offline
kind: incident
hosts: none
works:
  - work: Wait
    steps:
      - {ask: When did they say?, register: when, log: "They say {{ when.value }}.", publish: true}
      - {ask: {question: And then, default: nothing}, log: false}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("inventory.yml").write_text(INVENTORY)
    Path("rehearsal.yml").write_text(REHEARSAL)
    Path("incident.yml").write_text(INCIDENT)
    return tmp_path


def test_practice_and_public_records_lie_apart_and_both_are_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "rehearsal.yml", "--yes"]) == 0
    assert main(["run", "incident.yml", "--var", "when=noon"]) == 0
    assert len(list(Path("practice/logs").glob("*/*.md"))) == 1
    (public,) = Path("logs").glob("*/*.md")
    assert "They say noon." in public.read_text()
    capsys.readouterr()
    assert main(["list"]) == 0
    listing = capsys.readouterr().out
    assert "PRACTICE Rehearsal: Completed" in listing
    assert "Upstream offline: Completed" in listing
    assert main(["verify", "last"]) == 0


def test_an_ask_without_an_answer_is_found_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "incident.yml", "--yes"]) == 2
    assert "incident.yml:8:9: step 1.1 asks for a value" in capsys.readouterr().err
    assert not Path("logs").exists()


def test_an_attending_name_must_be_an_operators(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "rehearsal.yml", "--yes", "--attending", "dmw"]) == 2
    assert "Did you mean 'dwm'?" in capsys.readouterr().err
