"""Accounts whose login shell is bash (slow, noisy), dash, or busybox; and one that is csh-like."""

from __future__ import annotations

import shutil

import pytest

from tastyops.transport.ssh.timing import Timing
from tests.sshd.accounts import Accounts
from tests.sshd.conftest import Open
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("carrier")]

NOISE = """
echo 'Welcome! "quoted" $(id) \\\\0'; printf 'no newline at the end of this'; printf 'a\\0b'
head -c 200000 /dev/zero | tr '\\0' x
echo 'TASTYOPS is not a greeting'
echo 'a warning' >&2
set -x
alias cat='echo never' ls='rm -rf'
umask 027
trap 'echo trapped' DEBUG EXIT
sleep 1
"""


@pytest.fixture(params=["/bin/dash", "/bin/bash", "busybox"])
def shell(request: pytest.FixtureRequest, accounts: Accounts) -> str:
    if request.param != "busybox":
        return str(request.param)
    found = shutil.which("busybox")
    if not found:
        pytest.skip("busybox is not installed")
    link = accounts.folder / "sh"
    if not link.exists():
        link.symlink_to(found)
    return str(link)


def works(session: object) -> None:
    from tastyops.transport.ssh.session import SshSession

    assert isinstance(session, SshSession)
    sink = Collected()
    argv = ["sh", "-c", "printf 'out\\0'; echo err >&2; exit 6"]
    assert session.probe(argv, sink=sink).status == 6
    assert session.change("s", argv, sink=sink).status == 6
    assert (sink.stdout, sink.stderr) == (b"out\0out\0", b"err\nerr\n")
    assert session.change("t", ["sleep", "60"], sink=sink, timeout=0.5).state == "timed out"
    assert session.probe(["sleep", "60"], sink=sink, timeout=0.5).state == "timed out"
    given = Collected()
    session.change("in", ["cat"], sink=given, stdin=b"input")
    assert given.stdout == b"input"
    session.forget_run()


def test_a_plain_login_shell(sshd: Sshd, opened: Open, accounts: Accounts, shell: str) -> None:
    works(opened(sshd, user=accounts.make(shell), timing=Timing(term_patience=1)))


def test_a_slow_and_noisy_bashrc(sshd: Sshd, opened: Open, accounts: Accounts) -> None:
    name = accounts.make("/bin/bash")
    (accounts.home(name) / ".bashrc").write_text(NOISE)
    session = opened(sshd, user=name, timing=Timing(term_patience=1))
    sink = Collected()
    session.change("mask", ["sh", "-c", "umask; echo $LC_ALL"], sink=sink)
    assert sink.stdout == b"0027\nC\n"
    works(session)


def test_a_slow_second_shell_does_not_delay_an_answer(
    sshd: Sshd, opened: Open, accounts: Accounts
) -> None:
    name = accounts.make("/bin/bash")
    session = opened(sshd, user=name)
    (accounts.home(name) / ".bashrc").write_text("sleep 600\n")
    assert session.probe(["sleep", "0.8"], sink=Collected()).status == 0


def test_a_shell_that_is_no_sh_can_still_start_ours(
    sshd: Sshd, opened: Open, accounts: Accounts
) -> None:
    fish = shutil.which("fish") or shutil.which("tcsh") or shutil.which("zsh")
    if fish is None:
        # What matters of them: they are given our opening with -c and parse it themselves.
        odd = accounts.folder / "odd"
        odd.write_text('#!/bin/sh\n[ "$1" = -c ] || exit 9\nexec dash -c "$2"\n')
        odd.chmod(0o755)
        fish = str(odd)
    works(opened(sshd, user=accounts.make(fish), timing=Timing(term_patience=1)))
