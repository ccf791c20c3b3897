"""Shared by the tests of connecting: dialers with an ssh_config, and refusals."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tastyops import errors
from tastyops.model.inventory import Host
from tastyops.transport.ssh.session import SshDialer
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected

RUN = f"test-{os.getpid()}"
"""Begins every run's name here: the run's directory on the host is this process's to remove."""


def dialer(server: Sshd, config: str = "", **options: object) -> SshDialer:
    """A dialer with an ssh_config of its own beside the server's."""
    path = server.folder / f"config-{hashlib.sha1(config.encode()).hexdigest()[:8]}"
    path.write_text(config + "\n" + server.ssh_config.read_text())
    return SshDialer(path, **options)  # type: ignore[arg-type]


def hello(dialling: SshDialer, host: Host) -> str:
    session = dialling.prober(host, RUN)
    sink = Collected()
    try:
        assert session.probe(["echo", "hello"], sink=sink).status == 0
    finally:
        session.close()
    return sink.stdout.decode().strip()


def refusal(dialling: SshDialer, host: Host, kind: type[errors.TastyopsError]) -> str:
    with pytest.raises(errors.TastyopsError) as caught:
        dialling.prober(host, RUN)
    assert type(caught.value) is kind, caught.value
    assert caught.value.still_true
    assert caught.value.next_step
    return caught.value.what


def trusts(server: Sshd, key: Path) -> None:
    """Has that server accept the other one's client key."""
    line = key.with_suffix(".pub").read_text()
    keys = server.folder / "authorized_keys"
    if line not in keys.read_text():
        keys.write_text(keys.read_text() + line)


def known(*servers: Sshd) -> str:
    path = servers[0].folder / "known_both"
    path.write_text("".join((server.folder / "known_hosts").read_text() for server in servers))
    return str(path)
