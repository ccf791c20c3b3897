"""A person at a terminal is asked by ssh for what it needs, before the first step; nobody else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tastyops.transport.openssh.client import Client
from tastyops.transport.ssh.timing import Timing
from tests.sshd.dialling import trusts
from tests.sshd.server import Sshd
from tests.sshd.test_runs import project as project  # a fixture
from tests.sshd.test_runs import write_inventory, write_runbook
from tests.sshd.watching import wait_for

pytestmark = pytest.mark.sshd

RUNBOOK = """
title: A long command
hosts: target
works:
  - work: First
    steps:
      - run: sleep 2; echo one >>{mark}
      - run: sleep 2; echo two >>{mark}
"""


@pytest.fixture
def locked(own_sshd: Sshd, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose key needs a passphrase, and the file that its runbook writes into."""
    monkeypatch.setattr(Sshd, "connection", "openssh")
    key = project / "locked"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", str(key)], check=True
    )
    trusts(own_sshd, key)
    own_sshd.key = key
    write_inventory(project, own_sshd)
    write_runbook(project, RUNBOOK.format(mark=project / "mark"))
    return project / "mark"


def command() -> list[str]:
    return [sys.executable, "-m", "tastyops", "run", "runbook.yml", "--yes"]


def at_a_terminal() -> pexpect.spawn:
    program, *words = command()
    return pexpect.spawn(program, words, timeout=60, encoding="utf-8", env=dict(os.environ))


def test_the_passphrase_is_typed_before_the_first_step(locked: Path) -> None:
    terminal = at_a_terminal()
    terminal.expect(r"target: .*locked: the host takes it, but it needs a passphrase")
    terminal.expect("Enter passphrase for key .*locked")
    assert not locked.exists()
    terminal.sendline("a secret")
    terminal.expect("completed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert locked.read_text() == "one\ntwo\n"


def test_a_wrong_passphrase_ends_it_before_the_first_step(locked: Path) -> None:
    terminal = at_a_terminal()
    for _ in range(3):
        terminal.expect("Enter passphrase for key .*locked")
        terminal.sendline("wrong")
    terminal.expect("accepted none of our keys")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 4
    assert not locked.exists()
    assert not list((locked.parent / "logs").glob("*/*.md"))


def test_ctrl_c_at_the_question_ends_it(locked: Path) -> None:
    terminal = at_a_terminal()
    terminal.expect("Enter passphrase for key .*locked")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 3
    assert not locked.exists()


def test_ctrl_c_during_a_step_leaves_the_connection_alone(locked: Path) -> None:
    """The run asks what is meant; ssh, which has the passphrase, goes on."""
    terminal = at_a_terminal()
    terminal.expect("Enter passphrase for key .*locked")
    terminal.sendline("a secret")
    wait_for(locked.exists)
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 3
    assert locked.read_text() == "one\n"
    assert "was lost" not in (terminal.before or "")


def test_without_a_terminal_the_reason_is_said(locked: Path) -> None:
    done = subprocess.run(
        command(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        start_new_session=True, check=False,
    )
    assert done.returncode != 0
    assert "needs a passphrase" in done.stdout + done.stderr
    assert not locked.exists()


def test_no_option_is_newer_than_8_4(own_sshd: Sshd) -> None:
    """Keywords of later versions: RequiredRSASize, StdinNull and others (ssh_config(5) of 8.5 on)."""
    words = Client(own_sshd.host(), None, Timing()).words()
    text = Path(words[2]).read_text()
    for later in ("SessionType", "StdinNull", "ForkAfterAuthentication", "KnownHostsCommand",
                  "PermitRemoteOpen", "RequiredRSASize", "ChannelTimeout", "ObscureKeystroke"):
        assert later not in text
