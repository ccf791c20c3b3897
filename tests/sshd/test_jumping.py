"""Jump hosts, proxy commands, and trusting a key on the way."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tastyops import errors
from tastyops.transport.ssh import trust
from tastyops.transport.ssh.carrier import SshCarrier
from tastyops.transport.ssh.timing import Timing
from tests.sshd.dialling import RUN, dialer, hello, known, refusal, trusts
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("carrier", "no_user_files", "nothing_left")]


def through(server: Sshd, jumps: str) -> str:
    return (
        f"Host deep\n  HostName 127.0.0.1\n  ProxyJump {jumps}\n"
        f"Host *\n  IdentityFile {server.key}\n"
    )


def test_through_a_jump_host(sshd: Sshd, jump: Sshd) -> None:
    trusts(jump, sshd.key)
    both = known(sshd, jump)
    config = through(sshd, f"root@127.0.0.1:{jump.port}")
    assert hello(dialer(sshd, config), sshd.host(address="deep", known_hosts=both)) == "hello"


@pytest.mark.parametrize("carrier", ["ssh"], indirect=True)
def test_jump_hosts_are_visited_in_order(sshd: Sshd, jump: Sshd) -> None:
    trusts(jump, sshd.key)
    both = known(sshd, jump)
    config = through(sshd, f"first,ssh://root@127.0.0.1:{sshd.port}")
    config += f"Host first\n  HostName 127.0.0.1\n  User root\n  Port {jump.port}\n"
    dialling = dialer(sshd, config)
    session = dialling.session(sshd.host(address="deep", known_hosts=both), RUN)
    try:
        carrier = session._link._carrier
        assert isinstance(carrier, SshCarrier)
        chain = [hop.port for hop in carrier._connection.chain()]
        assert chain == [jump.port, sshd.port, sshd.port]
        assert session.probe(["true"], sink=Collected()).status == 0
    finally:
        session.close()


def test_the_key_of_a_jump_host_is_checked_too(sshd: Sshd, jump: Sshd) -> None:
    trusts(jump, sshd.key)
    config = through(sshd, f"root@127.0.0.1:{jump.port}")
    what = refusal(dialer(sshd, config), sshd.host(address="deep"), errors.HostKeyUnknown)
    assert f"jump host [127.0.0.1]:{jump.port}" in what


def test_a_jump_host_that_cannot_reach_the_host(sshd: Sshd, jump: Sshd) -> None:
    trusts(jump, sshd.key)
    both = known(sshd, jump)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config = through(sshd, f"root@127.0.0.1:{jump.port}")
        host = sshd.host(address="deep", known_hosts=both, port=free.getsockname()[1])
        assert "could not reach" in refusal(dialer(sshd, config), host, errors.Unreachable)


def test_a_jump_host_that_is_down(sshd: Sshd) -> None:
    config = through(sshd, "root@127.0.0.1:1")
    host = sshd.host(address="deep")
    assert "port 1" in refusal(dialer(sshd, config), host, errors.Unreachable)


@pytest.mark.parametrize("carrier", ["ssh"], indirect=True)
def test_a_jump_through_itself_is_none(sshd: Sshd) -> None:
    config = f"Host *\n  ProxyJump 127.0.0.1:{sshd.port}\n"
    assert hello(dialer(sshd, config), sshd.host()) == "hello"


def test_a_proxy_command(sshd: Sshd) -> None:
    # %p and %h are the inventory's, since it wins.
    relay = sshd.folder / "relay"
    relay.write_text(
        "import socket, sys, threading, os\n"
        "peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): peer.sendall(data)\n"
        "    peer.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := peer.recv(65536): os.write(1, data)\n"
    )
    config = f"Host *\n  ProxyCommand python3 {relay} %h %p\n"
    assert hello(dialer(sshd, config), sshd.host()) == "hello"


def test_a_proxy_command_that_fails(sshd: Sshd) -> None:
    config = "Host *\n  ProxyCommand sh -c 'echo it is broken >&2; exit 3'\n"
    what = refusal(dialer(sshd, config), sshd.host(), errors.Unreachable)
    assert "it is broken" in what


def test_a_proxy_command_that_is_silent(sshd: Sshd) -> None:
    config = "Host *\n  ProxyCommand sleep 600\n"
    refusal(dialer(sshd, config, timing=Timing(connect=1)), sshd.host(), errors.Unreachable)


# -- trust -------------------------------------------------------------------------------------


def test_trust_shows_records_and_refuses(sshd: Sshd, jump: Sshd, tmp_path: Path) -> None:
    dialling = dialer(sshd)
    host = sshd.host(known_hosts=str(tmp_path / "new" / "known"))
    offered = dialling.trusted(host)
    assert (offered.kind, offered.recorded, offered.jump) == ("ssh-ed25519", False, False)
    assert trust.record(offered)
    assert not trust.record(offered)
    assert offered.file.stat().st_mode & 0o777 == 0o600
    assert offered.file.parent.stat().st_mode & 0o777 == 0o700
    assert hello(dialling, host) == "hello"
    assert dialling.trusted(host).recorded
    impostor = replace(offered, key=dialling.trusted(jump.host()).key)
    with pytest.raises(errors.HostKeyChanged):
        trust.record(impostor)
    assert len(offered.file.read_text().splitlines()) == 1


def test_trust_shows_the_jump_host_first(sshd: Sshd, jump: Sshd, tmp_path: Path) -> None:
    trusts(jump, sshd.key)
    dialling = dialer(sshd, through(sshd, f"root@127.0.0.1:{jump.port}"))
    host = sshd.host(address="deep", known_hosts=str(tmp_path / "known"))
    seen = []
    for _ in range(2):
        offered = dialling.trusted(host)
        seen.append((offered.port, offered.jump))
        assert trust.record(offered)
    assert seen == [(jump.port, True), (sshd.port, False)]
    assert hello(dialling, host) == "hello"
