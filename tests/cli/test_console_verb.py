"""``console``: a host's console at the operator's terminal, and the private record of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pexpect

ENVIRONMENT = {**os.environ, "NO_COLOR": "1"}
PRACTICE = "hosts: {kalimdor: {connection: practice}}\n"


def tastyops(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tastyops", *words], cwd=project, env=ENVIRONMENT, timeout=120,
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_keys_go_there_and_what_it_says_is_kept(tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text(PRACTICE)
    child = pexpect.spawn(
        sys.executable, ["-m", "tastyops", "console", "kalimdor"], cwd=str(tmp_path),
        env=ENVIRONMENT, timeout=60, encoding="utf-8",
    )  # fmt: skip
    try:
        child.expect("Ctrl-] leaves")
        child.send("\r")
        child.expect("kalimdor login: ")
        child.send("\x1d")
        child.expect("Its output is in (\\S+)\\.\r?\n")
        record = tmp_path / child.match[1]
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0
    assert "kalimdor login: " in record.read_text()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
    listed = tastyops(tmp_path, "list")
    assert listed.returncode == 0, listed.stderr


def test_a_host_without_one_and_a_dry_run(tmp_path: Path) -> None:
    (tmp_path / "inventory.yml").write_text("hosts: {web1: {address: 127.0.0.1}}\n")
    found = tastyops(tmp_path, "console", "web1")
    assert found.returncode == 4
    assert "The inventory gives web1 no console." in found.stderr
    assert "Traceback" not in found.stderr
    assert not list((tmp_path / "runs" / "consoles").iterdir())
    dry = subprocess.run(
        [sys.executable, "-m", "tastyops", "console", "web1"], cwd=tmp_path, timeout=120,
        env={**ENVIRONMENT, "INVOKE_RUN_DRY": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (dry.returncode, dry.stdout) == (0, "Dry run, nothing was attached. It would be web1's console.\n")
