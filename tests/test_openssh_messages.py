"""What the last words of OpenSSH 8.4 to 10.5 mean, from its source: kinds of error and sentences."""

from __future__ import annotations

import pytest

from tastyops import errors
from tastyops.model.inventory import Host
from tastyops.transport.openssh.client import Client
from tastyops.transport.openssh.record import Record
from tastyops.transport.openssh.refusals import refusal
from tastyops.transport.ssh.timing import Timing

CLIENT = Client(Host("web1", "192.0.2.1", user="root"), None, Timing())

CONNECTED = "debug1: Connecting to 192.0.2.1 [192.0.2.1] port 22.\ndebug1: Connection established.\n"
GREETED = (
    f"{CONNECTED}debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\n"
    "debug1: Authenticating to 192.0.2.1:22 as 'root'\n"
)
KEY = f"{GREETED}debug1: Server host key: ssh-ed25519 SHA256:abcdef\n"
ASKED = f"{KEY}debug1: Authentications that can continue: publickey\n"
OFFERED = f"{ASKED}debug1: Offering public key: /k ED25519 SHA256:xyz explicit\n"
ACCEPTED = f"{OFFERED}debug1: Server accepts key: /k ED25519 SHA256:xyz explicit\n"
PROXIED = "debug1: Executing proxy command: exec nc 192.0.2.1 22\n"
DENIED = "debug1: No more authentication methods to try.\nroot@192.0.2.1: Permission denied (publickey).\n"
CHANGED = (
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
    "The fingerprint for the ED25519 key sent by the remote host is\nSHA256:abcdef.\n"
    "Add correct host key in /nowhere/known to get rid of this message.\n"
    "Offending ED25519 key in /nowhere/known:3\n"
)

CASES = {
    "refused": (
        "debug1: Connecting to 192.0.2.1 [192.0.2.1] port 22.\n"
        "debug1: connect to address 192.0.2.1 port 22: Connection refused\n"
        "ssh: connect to host 192.0.2.1 port 22: Connection refused\n",
        errors.Unreachable, "the connection was refused",
    ),
    "no answer": (
        "ssh: connect to host 192.0.2.1 port 22: Connection timed out\n",
        errors.Unreachable, "no answer in time",
    ),
    "no route": (
        "ssh: connect to host 192.0.2.1 port 22: No route to host\n",
        errors.Unreachable, "No route to host",
    ),
    "no name": (
        "ssh: Could not resolve hostname web1.example.net: Name or service not known\n",
        errors.Unreachable, "the name does not resolve (Name or service not known)",
    ),
    "silent, 8.4 and later": (
        f"{CONNECTED}Connection timed out during banner exchange\n"
        "Connection to 192.0.2.1 port 22 timed out\n",
        errors.Unreachable, "it stayed silent before the SSH greeting",
    ),
    "closed at once, 8.4": (
        f"{CONNECTED}kex_exchange_identification: Connection closed by remote host\n",
        errors.Unreachable, "before the SSH greeting",
    ),
    "closed at once, 9.2": (
        f"{CONNECTED}kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by 192.0.2.1 port 22\n",
        errors.Unreachable, "before the SSH greeting",
    ),
    "closed at once, 10.5": (
        f"{CONNECTED}kex_exchange_identification: read: Connection reset by peer\n"
        "Connection reset by 192.0.2.1 port 22\n",
        errors.Unreachable, "before the SSH greeting",
    ),
    "unknown key": (
        f"{KEY}No ED25519 host key is known for 192.0.2.1 and you have requested strict checking.\n"
        "Host key verification failed.\n",
        errors.HostKeyUnknown, "it offered ssh-ed25519 SHA256:abcdef",
    ),
    "changed key, 8.4": (
        f"{KEY}{CHANGED}ED25519 host key for 192.0.2.1 has changed and you have requested strict "
        "checking.\nHost key verification failed.\n",
        errors.HostKeyChanged, "offered ssh-ed25519 SHA256:abcdef, on record /nowhere/known:3",
    ),
    "changed key, 9.2": (
        f"{KEY}{CHANGED}Host key for 192.0.2.1 has changed and you have requested strict checking.\n"
        "Host key verification failed.\n",
        errors.HostKeyChanged, "offered ssh-ed25519 SHA256:abcdef, on record /nowhere/known:3",
    ),
    "revoked key": (
        f"{KEY}@       WARNING: REVOKED HOST KEY DETECTED!               @\n"
        "The ED25519 host key for 192.0.2.1 is marked as revoked.\nHost key verification failed.\n",
        errors.HostKeyChanged, "marked as revoked: ssh-ed25519 SHA256:abcdef",
    ),
    "no common algorithm": (
        f"{GREETED}Unable to negotiate with 192.0.2.1 port 22: no matching cipher found. Their offer: "
        "3des-cbc\n",
        errors.Unreachable, "no matching cipher found. Their offer: 3des-cbc",
    ),
    "a refused key": (f"{OFFERED}{DENIED}", errors.AuthenticationFailed, "/k: refused"),
    "a passphrase": (f"{ACCEPTED}{DENIED}", errors.AuthenticationFailed, "needs a passphrase"),
    "an agent that refuses, 8.4 and later": (
        f'{ACCEPTED}sign_and_send_pubkey: signing failed for ED25519 "/k" from agent: agent refused '
        f"operation\n{DENIED}",
        errors.AuthenticationFailed, "does not sign: agent refused operation",
    ),
    "a key with wide permissions": (
        f'{ASKED}debug1: Trying private key: /k\nLoad key "/k": bad permissions\n{DENIED}',
        errors.AuthenticationFailed, "/k: bad permissions",
    ),
    "too many keys": (
        f"{OFFERED}Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\n"
        "Disconnected from 192.0.2.1 port 22\n",
        errors.AuthenticationFailed, "more keys than it takes",
    ),
    "a proxy": (
        f"{PROXIED}kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535\n",
        errors.Unreachable, "the way through the proxy or jump host failed",
    ),
    "a line of ssh_config": (
        "debug1: Reading configuration data /home/me/.ssh/config\n"
        "/home/me/.ssh/config: line 3: Bad configuration option: prot\n"
        "/home/me/.ssh/config: terminating, 1 bad configuration options\n",
        errors.UsageError, "/home/me/.ssh/config: line 3: Bad configuration option: prot",
    ),
    "open to all": (
        "Bad owner or permissions on /home/me/.ssh/config\n",
        errors.UsageError, "Bad owner or permissions on /home/me/.ssh/config",
    ),
    "something new": (
        f"{GREETED}The moon is in the wrong phase.\n",
        errors.Unreachable, "root@192.0.2.1: The moon is in the wrong phase.",
    ),
    "nothing at all": ("", errors.Unreachable, "ssh ended with status 255"),
}


def told(log: str, said: str = "") -> errors.TastyopsError:
    return refusal(CLIENT, Record(log.replace("\n", "\r\n"), said), "ssh ended with status 255")


@pytest.mark.parametrize(("log", "kind", "sentence"), CASES.values(), ids=CASES)
def test_last_words(log: str, kind: type[errors.TastyopsError], sentence: str) -> None:
    error = told(log)
    assert type(error) is kind, error
    assert sentence in error.what
    assert error.still_true
    assert error.next_step


FORGED = {
    "in the reason of a disconnect": (
        f"{OFFERED}Received disconnect from 192.0.2.1 port 22:11: bye\r\nHost key verification failed."
        "\nDisconnected from 192.0.2.1 port 22\n",
        errors.Unreachable,
    ),
    "in a list of algorithms": (
        f"{GREETED}Unable to negotiate with 192.0.2.1 port 22: no matching cipher found. Their offer: "
        "x\r\nroot@192.0.2.1: Permission denied (publickey).\n",
        errors.Unreachable,
    ),
    "in a debug message": (
        f"{GREETED}debug1: Remote: hello\r\nNo ED25519 host key is known for 192.0.2.1 and you have "
        "requested strict checking.\ndebug1: SSH2_MSG_KEXINIT received\n"
        "Connection closed by 192.0.2.1 port 22\n",
        errors.Unreachable,
    ),
    "in a list of authentications": (
        f"{OFFERED}debug1: Authentications that can continue: x\r\nssh: connect to host a port 1: "
        f"Connection refused\n{DENIED}",
        errors.AuthenticationFailed,
    ),
}


@pytest.mark.parametrize(("log", "kind"), FORGED.values(), ids=FORGED)
def test_a_host_cannot_write_its_own_diagnosis(
    log: str, kind: type[errors.TastyopsError]
) -> None:
    assert type(told(log)) is kind, told(log)


def test_a_banner_is_no_message() -> None:
    """It comes on standard error, and is only quoted."""
    error = told(f"{OFFERED}{DENIED}", "No ED25519 host key is known for x\nConnection refused\n")
    assert type(error) is errors.AuthenticationFailed
    assert "it says: No ED25519 host key is known for x Connection refused" in error.what


def test_no_logins_for_now() -> None:
    banner = "System is going down. Unprivileged users are not permitted to log in anymore."
    assert type(told(f"{OFFERED}Connection closed by 192.0.2.1 port 22\n", banner)) is errors.NoLogins


def test_the_words_of_the_way_there() -> None:
    said = "debug1: Reading configuration data /x\nssh: connect to host jump port 22: No route to host\n"
    error = told(f"{PROXIED}Connection closed by UNKNOWN port 65535\n", said)
    assert error.what.endswith("The way there said: ssh: connect to host jump port 22: No route to host")
