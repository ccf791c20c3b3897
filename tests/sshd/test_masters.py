"""The ``ssh`` processes behind sessions: where they are, how many, and that none is left behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.errors import UsageError
from tastyops.transport.openssh.client import workspace
from tastyops.transport.openssh.control import Control, MasterGoneError
from tastyops.transport.ssh.session import SshDialer
from tests.sshd.conftest import run_name
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected, running, wait_for

pytestmark = pytest.mark.sshd

CONTROLLER = """
import sys
from tastyops.model.inventory import Host
from tastyops.transport.openssh.client import workspace
from tastyops.transport.ssh.session import SshDialer
from pathlib import Path
address, port, user, key, known, config, run = sys.argv[1:]
host = Host("target", address, int(port), user, key, known, connection="openssh")
session = SshDialer(Path(config)).session(host, run)
print(workspace().path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def controller(own_sshd: Sshd) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds a session."""
    host = own_sshd.host()
    words = [host.address, str(host.port), host.user, host.identity_file, host.known_hosts,
             str(own_sshd.ssh_config), run_name()]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, *map(str, words)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_a_killed_controller_leaves_no_connection(
    own_sshd: Sshd, controller: subprocess.Popen[str]
) -> None:
    assert controller.stdout is not None
    folder = controller.stdout.readline().strip()
    assert own_sshd.connections()
    assert running(f"-S {folder}/")
    controller.kill()
    wait_for(lambda: not own_sshd.connections())
    wait_for(lambda: not running(f"-S {folder}/"))


def test_one_process_for_a_session_and_none_afterwards(sshd: Sshd) -> None:
    session = SshDialer(sshd.ssh_config).session(sshd.host(connection="openssh"), run_name())
    folder = workspace().path
    (master,) = running(f"-S {folder}/")
    assert os.getsid(master) != os.getsid(0)
    assert session.probe(["sleep", "1"], sink=Collected()).status == 0
    assert running(f"-S {folder}/") == [master], "the second shell needs no process"
    session.forget_run()
    session.close()
    wait_for(lambda: not running(f"-S {folder}/"))
    assert [name for name in os.listdir(folder) if not name.startswith(("config-", "link-"))] == []


def test_the_private_directory(sshd: Sshd) -> None:
    session = SshDialer(sshd.ssh_config).session(sshd.host(connection="openssh"), run_name())
    try:
        folder = Path(workspace().path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (socket,) = [path for path in folder.iterdir() if path.is_socket()]
        assert len(os.fsencode(socket)) + 17 < 104
    finally:
        session.close()


def test_a_master_that_stops_is_killed_when_the_session_ends(sshd: Sshd) -> None:
    """As it is when its peer takes nothing any more."""
    session = SshDialer(sshd.ssh_config).session(sshd.host(connection="openssh"), run_name())
    (master,) = running(f"-S {workspace().path}/")
    os.kill(master, signal.SIGSTOP)
    session._link._lost = session._link._loss("the test stops it")
    session.close()
    wait_for(lambda: not running(f"-S {workspace().path}/"))


def test_a_strange_control_socket_is_no_master(short_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_path / "s"))
        listener.listen()
        control = Control(str(short_path / "s"), 5)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"\0\0\0\x08\0\0\0\x01\0\0\0\x05")  # version 5
            with pytest.raises(MasterGoneError, match="another version"):
                control.pid()
            control.close()
    with pytest.raises(MasterGoneError):
        Control(str(short_path / "none"), 5)


def test_without_ssh_the_reason_is_said(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="`ssh` is not installed") as caught:
        SshDialer(sshd.ssh_config).check(sshd.host(connection="openssh"))
    assert "openssh-client" in caught.value.next_step
