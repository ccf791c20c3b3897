"""The identity of the host, and the error shown if it is not the right one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tastyops import errors
from tastyops.model.inventory import Host
from tastyops.transport.ssh.timing import Timing
from tests.sshd.accounts import Accounts
from tests.sshd.dialling import RUN, dialer, hello, refusal, trusts
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected
from tests.unix_sockets import path_of

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("carrier", "no_user_files", "nothing_left")]


def test_a_key_on_record_is_accepted(sshd: Sshd) -> None:
    assert hello(dialer(sshd), sshd.host()) == "hello"


def test_an_unknown_key_is_refused_whatever_ssh_config_says(sshd: Sshd, tmp_path: Path) -> None:
    lax = dialer(sshd, "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null")
    for host in (
        sshd.host(known_hosts=None),
        sshd.host(known_hosts=str(tmp_path / "empty")),
    ):
        with pytest.raises(errors.HostKeyUnknown) as caught:
            lax.session(host, RUN)
        assert "invoke trust target" in caught.value.next_step
        assert "SHA256:" in caught.value.what
        assert "Nothing was sent" in caught.value.still_true


def test_another_key_than_the_one_on_record_is_refused(
    sshd: Sshd, jump: Sshd, tmp_path: Path
) -> None:
    kind, blob = (jump.folder / "host_ed25519.pub").read_text().split()[:2]
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {kind} {blob}\n")
    what = refusal(dialer(sshd), sshd.host(known_hosts=str(known)), errors.HostKeyChanged)
    for server in (sshd, jump):
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(server.folder / "host_ed25519.pub")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[1]
        assert shown in what


def test_a_revoked_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    line = (sshd.folder / "known_hosts").read_text()
    known.write_text(line + "@revoked " + line)
    what = refusal(dialer(sshd), sshd.host(known_hosts=str(known)), errors.HostKeyChanged)
    assert "revoked" in what


@pytest.mark.parametrize("form", ["hashed", "pattern", "rsa", "rsa and another", "bare", "damaged"])
def test_every_form_of_a_recorded_key(sshd: Sshd, tmp_path: Path, form: str) -> None:
    kind, blob = (sshd.folder / "host_ed25519.pub").read_text().split()[:2]
    rsa = " ".join((sshd.folder / "host_rsa.pub").read_text().split()[:2])
    name = f"[127.0.0.1]:{sshd.port}"
    salt = b"x" * 20
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    hashed = "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))
    text = {
        "hashed": f"{hashed} {kind} {blob}",
        "pattern": f"[127.0.0.?]:* {kind} {blob}",
        "rsa": f"{name} {rsa}",
        "rsa and another": f"{name} ecdsa-sha2-nistp256 AAAA\n{name} {rsa}",
        "bare": f"127.0.0.1 {kind} {blob}",
        "damaged": f"garbage\n{name} {kind} !!!\n@cert-authority *\n{name} {kind} {blob}",
    }[form]
    known = tmp_path / "known"
    known.write_text(text + "\n")
    assert hello(dialer(sshd), sshd.host(known_hosts=str(known))) == "hello"


def test_a_negated_pattern_is_no_record(sshd: Sshd, tmp_path: Path) -> None:
    kind, blob = (sshd.folder / "host_ed25519.pub").read_text().split()[:2]
    known = tmp_path / "known"
    known.write_text(f"*,![127.0.0.1]:{sshd.port},!127.0.0.1 {kind} {blob}\n")
    refusal(dialer(sshd), sshd.host(known_hosts=str(known)), errors.HostKeyUnknown)


def test_ssh_config_fills_in_what_the_inventory_leaves_out(sshd: Sshd) -> None:
    (sshd.folder / "included").write_text(
        f"Host short\n  HostName 127.0.0.1\n  User root\n  IdentityFile {sshd.key}\n"
    )
    config = (
        f"Include {sshd.folder}/inclu*\nHost short\n  Port {sshd.port}\n"
        f"  UserKnownHostsFile {sshd.folder}/known_hosts\n"
    )
    assert hello(dialer(sshd, config), Host("short")) == "hello"


def test_the_inventory_wins_over_ssh_config(sshd: Sshd) -> None:
    wrong = "Host *\n  Port 1\n  User nobody\n  IdentityFile /nonexistent\n"
    assert hello(dialer(sshd, wrong), sshd.host()) == "hello"


def test_a_key_that_is_not_accepted(sshd: Sshd, jump: Sshd) -> None:
    host = sshd.host(identity_file=str(jump.key))
    what = refusal(dialer(sshd), host, errors.AuthenticationFailed)
    assert f"{jump.key}: refused" in what


def test_a_key_with_a_passphrase(sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True
    )
    trusts(sshd, key)
    what = refusal(dialer(sshd), sshd.host(identity_file=str(key)), errors.AuthenticationFailed)
    assert str(key) in what
    assert "needs a passphrase" in what


@pytest.mark.parametrize("size", [60, 150])
def test_the_agent_is_asked(
    carrier: str, sshd: Sshd, short_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Also where its socket's path is too long for an address: ssh and ssh-add need a short one, we
    do not.
    """
    sock = short_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        while not sock.exists():
            assert agent.poll() is None
        env = {**os.environ, "SSH_AUTH_SOCK": str(sock)}
        subprocess.run(["ssh-add", "-q", str(sshd.key)], check=True, env=env)
        sock = sock.rename(path_of(short_path, size, "agent"))
        open_to_all = dialer(sshd, "IdentitiesOnly no")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
        if (carrier, size) == ("openssh", 150):
            refusal(open_to_all, sshd.host(identity_file=None), errors.AuthenticationFailed)
            return
        assert hello(open_to_all, sshd.host(identity_file=None)) == "hello"
        monkeypatch.delenv("SSH_AUTH_SOCK")
        by_path = dialer(sshd, f"IdentitiesOnly no\nIdentityAgent {sock}")
        assert hello(by_path, sshd.host(identity_file=None)) == "hello"
        refusal(dialer(sshd), sshd.host(identity_file=None), errors.AuthenticationFailed)
    finally:
        agent.terminate()
        agent.wait(60)


def test_a_missing_key_file_is_told_before_connecting(sshd: Sshd) -> None:
    host = sshd.host(identity_file="/nonexistent/key", port=1)
    with pytest.raises(errors.UsageError, match="/nonexistent/key"):
        dialer(sshd).check(host)
    with pytest.raises(errors.UsageError, match="/nonexistent/key"):
        dialer(sshd).session(host, RUN)


def test_nobody_listens(sshd: Sshd) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = sshd.host(port=free.getsockname()[1])
        assert "refused" in refusal(dialer(sshd), host, errors.Unreachable)


def test_a_name_that_does_not_resolve(sshd: Sshd) -> None:
    host = sshd.host(address="no-such-host.invalid")
    assert "resolve" in refusal(dialer(sshd), host, errors.Unreachable)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-Silent\r\n", b"HTTP/1.1 400\r\n\r\n" * 200])
def test_a_server_that_stays_silent(sshd: Sshd, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept() -> None:
            peer, _ = server.accept()
            held.append(peer)
            peer.sendall(greeting)

        thread = threading.Thread(target=accept)
        thread.start()
        host = sshd.host(port=server.getsockname()[1])
        refusal(dialer(sshd, timing=Timing(connect=1)), host, errors.Unreachable)
        thread.join()
        held[0].close()


def test_a_server_that_hangs_up(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        host = sshd.host(port=server.getsockname()[1])
        assert "before the SSH greeting" in refusal(dialer(sshd), host, errors.Unreachable)
        thread.join()


def test_connect_timeout_of_ssh_config(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = sshd.host(port=server.getsockname()[1])
        refusal(dialer(sshd, "ConnectTimeout 1"), host, errors.Unreachable)


# -- hosts that answer and cannot be used ------------------------------------------------------


def account_host(sshd: Sshd, accounts: Accounts, shell: str) -> Host:
    return sshd.host(user=accounts.make(shell))


def test_an_account_without_a_shell(sshd: Sshd, accounts: Accounts) -> None:
    host = account_host(sshd, accounts, "/usr/sbin/nologin")
    what = refusal(dialer(sshd), host, errors.HostUnsuitable)
    assert "not available" in what


def test_logins_are_refused_for_now(sshd: Sshd, accounts: Accounts) -> None:
    # What sshd does for /etc/nologin, without putting one on this machine.
    shell = accounts.folder / "refuses"
    shell.write_text("#!/bin/sh\necho 'Going down at noon.' >&2\nexit 254\n")
    shell.chmod(0o755)
    what = refusal(dialer(sshd), account_host(sshd, accounts, str(shell)), errors.NoLogins)
    assert what.endswith("accepts no logins now: Going down at noon.")


BOOTING = (
    '"System is booting up. Unprivileged users are not permitted to log in yet. Please come back'
    ' later. For technical details, see pam_nologin(8)."'
)
GOING = (
    '"System is going down. Unprivileged users are not permitted to log in anymore. For technical'
    ' details, see pam_nologin(8)."'
)


@pytest.mark.parametrize("words", [BOOTING, GOING], ids=["booting", "going down"])
def test_systemd_refuses_logins_around_a_reboot(words: str, accounts: Accounts) -> None:
    """The real pam_nologin and its real file, in a mount namespace of sshd's own."""
    inside = (
        "mount -t tmpfs none /run && mkdir -m 755 /run/sshd"
        ' && printf "%s\\n" "$0" >/run/nologin && exec "$@"'
    )
    within = ["unshare", "--mount", "sh", "-c", inside, words]
    server = Sshd(["UsePAM yes"], within=within)
    try:
        server.start()
        name = accounts.make("/bin/sh")
        what = refusal(dialer(server), server.host(user=name), errors.NoLogins)
        assert "accepts no logins now: " in what
        assert words.strip('"') in what
    finally:
        server.stop()


def test_a_login_shell_that_never_ends_its_noise(sshd: Sshd, accounts: Accounts) -> None:
    shell = accounts.folder / "noisy"
    shell.write_text("#!/bin/sh\nexec yes noise\n")
    shell.chmod(0o755)
    what = refusal(dialer(sshd), account_host(sshd, accounts, str(shell)), errors.HostUnsuitable)
    assert "more than" in what


def test_a_login_shell_that_never_greets(sshd: Sshd, accounts: Accounts) -> None:
    shell = accounts.folder / "mute"
    shell.write_text("#!/bin/sh\nexec cat\n")
    shell.chmod(0o755)
    hasty = dialer(sshd, timing=Timing(greeting=1))
    what = refusal(hasty, account_host(sshd, accounts, str(shell)), errors.HostUnsuitable)
    assert "no greeting within 1 s" in what


def test_a_host_without_setsid(sshd: Sshd, accounts: Accounts) -> None:
    shell = accounts.folder / "poor"
    # The script appends the system's own directories, so they have to be hidden from it.
    shell.write_text(
        "#!/bin/sh\nexec unshare --mount --map-root-user sh -c "
        '\'mount --bind /dev/null /usr/bin/setsid && exec /bin/sh "$@"\' sh "$@"\n'
    )
    shell.chmod(0o755)
    can = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "true"], check=False, capture_output=True
    )
    if can.returncode:
        pytest.skip("user namespaces are not available")
    what = refusal(dialer(sshd), account_host(sshd, accounts, str(shell)), errors.HostUnsuitable)
    assert "setsid is missing" in what


@pytest.mark.parametrize("sessions", [0, 1, 2])
def test_sessions_a_connection(carrier: str, sessions: int, sshd_installed: None) -> None:
    """Over the system's ssh, the second session has a connection of its own, if need be."""
    least = {"ssh": 2, "openssh": 1}[carrier]
    server = Sshd([f"MaxSessions {sessions}"])
    server.start()
    try:
        if sessions >= least:
            session = dialer(server).session(server.host(), RUN)
            # longer than it takes until the second session is wanted
            assert session.probe(["sleep", "2"], sink=Collected()).status == 0
            session.close()
        else:  # found out before a command is sent, and not in the middle of a change
            what = refusal(dialer(server), server.host(), errors.HostUnsuitable)
            assert f"MaxSessions in its sshd_config must be {least} or more" in what
    finally:
        server.stop()


def test_the_skew_between_the_clocks(sshd: Sshd) -> None:
    behind = dialer(sshd, now=lambda: time.time() - 90)
    session = behind.session(sshd.host(), RUN)
    session.close()
    assert 88.5 < session.skew < 91.5
