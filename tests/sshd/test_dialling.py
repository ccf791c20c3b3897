"""The dialled address and its source: ssh_config's AddressFamily and BindAddress."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tastyops import errors
from tests.sshd.dialling import dialer, hello, known, refusal, trusts
from tests.sshd.server import Sshd

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("no_user_files", "nothing_left")]


@pytest.fixture(scope="module")
def both() -> Iterator[Sshd]:
    """A server that listens on 127.0.0.1 and on ::1, whose key is on record under every name."""
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    with socket.socket(socket.AF_INET6) as free:
        try:
            free.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"this machine has no ::1 ({error.strerror})")
    server = Sshd(["ListenAddress ::1"])
    try:
        server.start()
        known_hosts = server.folder / "known_hosts"
        known_hosts.write_text("* " + known_hosts.read_text().split(" ", 1)[1])
        yield server
    finally:
        server.stop()


def came_by(server: Sshd) -> str:
    """The last connection's two addresses, as sshd saw them."""
    words = [line.split() for line in server.log().splitlines() if "Connection from " in line][-1]
    return f"{words[2]} -> {words[6]}"


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with an address of each family; what /etc/hosts says of localhost varies."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, family: int = 0, *rest: int) -> list[object]:
        if host != "both.test":
            return [*real(host, port, family, *rest)]
        found = [*real("127.0.0.1", port, 0, *rest), *real("::1", port, 0, *rest)]
        return [each for each in found if family in (0, each[0])]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.usefixtures("two_addresses")
@pytest.mark.parametrize(
    ("config", "way"),
    [
        ("", "127.0.0.1 -> 127.0.0.1"),
        ("AddressFamily any", "127.0.0.1 -> 127.0.0.1"),
        ("AddressFamily inet6", "::1 -> ::1"),
        ("AddressFamily INET", "127.0.0.1 -> 127.0.0.1"),
        ("BindAddress 127.0.0.2", "127.0.0.2 -> 127.0.0.1"),
        ("BindAddress ::1", "::1 -> ::1"),
        ("AddressFamily inet6\nBindAddress both.test", "::1 -> ::1"),
    ],
)
def test_the_way_to_a_host(config: str, way: str, both: Sshd) -> None:
    assert hello(dialer(both, config), both.host(address="both.test")) == "hello"
    assert came_by(both) == way


@pytest.mark.parametrize(
    ("config", "address", "said"),
    [
        ("AddressFamily inet6", "127.0.0.1", "the name does not resolve"),
        ("BindAddress 127.0.0.2", "::1", "BindAddress 127.0.0.2 of ssh_config is not of the same"),
        ("BindAddress 192.0.2.77", "127.0.0.1", "cannot be used here (Cannot assign requested"),
        ("BindAddress no-such.invalid", "127.0.0.1", "BindAddress no-such.invalid of ssh_config does"),
    ],
)
def test_no_way_to_a_host(config: str, address: str, said: str, both: Sshd) -> None:
    assert said in refusal(dialer(both, config), both.host(address=address), errors.Unreachable)


@pytest.mark.parametrize("config", ["AddressFamily ipv6", "BindInterface lo"])
def test_what_cannot_be_honoured_is_told_before_connecting(config: str, sshd: Sshd) -> None:
    with pytest.raises(errors.UsageError, match=config.split()[0]) as caught:
        dialer(sshd, config).check(sshd.host(port=1))
    assert caught.value.still_true == "No host was touched."
    assert caught.value.next_step


def test_a_jump_host_is_dialled_as_its_own_entry_says(own_sshd: Sshd, jump: Sshd) -> None:
    trusts(jump, own_sshd.key)
    config = (
        "Host deep\n  HostName 127.0.0.1\n  ProxyJump hop\n  BindAddress 192.0.2.77\n"
        f"Host hop\n  HostName 127.0.0.1\n  User root\n  Port {jump.port}\n"
        f"  BindAddress 127.0.0.3\nHost *\n  IdentityFile {own_sshd.key}\n"
    )
    host = own_sshd.host(address="deep", known_hosts=known(own_sshd, jump))
    assert hello(dialer(own_sshd, config), host) == "hello"
    assert came_by(jump) == "127.0.0.3 -> 127.0.0.1"
    assert came_by(own_sshd) == "127.0.0.1 -> 127.0.0.1"
