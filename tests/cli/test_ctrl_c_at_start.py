"""Ctrl-C while the program loads its modules ends it without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.project import ROOT, isolated

INTERRUPTING = '''
import os, signal, sys

class Finder:
    """Sends this process SIGINT once a module is looked for."""

    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
        return None

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.meta_path.insert(0, Finder())
'''

STARTS = {
    "module": ["-m", "tastyops"],
    "installed program": ["-c", "from tastyops.__main__ import run; run()"],
}

MODULES = [
    "tastyops.cli.program", "tastyops.cli", "argparse", "difflib", "tastyops.cli.output",
    "tastyops.app.signals", "tastyops.cli.verbs", "tastyops.errors", "tastyops.model.public_text",
    "tastyops.cli.check", "tastyops.app.loading", "tastyops.app.registry", "jinja2", "yaml",
    "tastyops.runbook.validation", "tastyops.templates.grammar",
]  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_during_an_import_ends_quietly(tmp_path: Path, start: str, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    (tmp_path / "inventory.yml").write_text("hosts: {}\n")
    (tmp_path / "book.yml").write_text(
        "title: X\nhosts: none\nworks: [{work: X, steps: [{confirm: x}]}]\n"
    )
    done = subprocess.run(
        [sys.executable, *STARTS[start], "check", "book.yml"], cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{ROOT}", "INTERRUPT_AT": module,
             **isolated(tmp_path / "user")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr == "\nStopped. Nothing was done.\n"
    assert done.returncode == 3
    assert done.stdout == ""
