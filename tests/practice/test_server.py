"""The protocol and the server, over a real SSH connection."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import paramiko
import pytest

from tastyops.facts.system import logind_call
from tastyops.model.inventory import Host
from tastyops.practice import kalimdor
from tastyops.practice.server import PracticeHost
from tastyops.protocol import framing
from tests.practice.client import Client, Talk


@pytest.fixture
def practice() -> Iterator[PracticeHost]:
    with PracticeHost.start("kalimdor", scale=600.0) as host:
        yield host


@pytest.fixture
def client(practice: PracticeHost) -> Iterator[Client]:
    with Client(practice.host) as connected:
        yield connected


@pytest.fixture
def talk(client: Client) -> Talk:
    return client.talk()


def fate(talk: Talk, name: str) -> framing.Fate:
    return framing.parse_fate(talk.ask("q", name)[0].decode())


def wait_until(deadline: float = 60.0) -> Iterator[None]:
    """Loops until the body is satisfied, and fails when it never is."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        yield
        time.sleep(0.005)  # between two looks: the other side needs the processor too
    pytest.fail("it never came to be so")


def back(host: Host) -> Client:
    """A connection as soon as the host takes one; one that is going down may cut it again."""
    for _ in wait_until():
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            return Client(host)
    raise AssertionError


# -- sessions -----------------------------------------------------------------------------------


def test_the_greeting(practice: PracticeHost, talk: Talk) -> None:
    hello = talk.hello
    assert (hello.uid, hello.hostname, hello.problem) == (0, "kalimdor", "")
    assert hello.boot_id == practice.machine.boot.id
    assert hello.kernel == kalimdor.OLD_KERNEL
    assert abs(hello.time - practice.clock.time()) < 600
    assert hello.directory == f"/run/tastyops/test-run.{hello.boot_id}"


def test_a_probe(talk: Talk) -> None:
    answer = talk.ask("p", "sh", "-c", "printf 'a\\0b'; printf err >&2; exit 7")
    assert answer == (b"a\0b", b"err", "7")
    assert talk.ask("p", "cat") == (b"", b"", "0")


def test_words_arrive_as_they_are(talk: Talk) -> None:
    words = ["", " ", "a'b", 'c"d', "new\nline\n", "$HOME `id` $(id) \\ * ~", "é", "-n", "tab\t"]
    out, _, status = talk.ask("p", "printf", "[%s]", *words)
    assert out.decode() == "".join(f"[{word}]" for word in words)
    assert status == "0"


def test_an_unknown_command_is_loud(talk: Talk) -> None:
    out, err, status = talk.ask("p", "zpool", "status", "tank")
    assert (out, status) == (b"", "127")
    assert err.startswith(b"PRACTICE HOST: the command 'zpool' is not modelled")


def test_a_change_keeps_its_fate(talk: Talk) -> None:
    assert talk.ask("c", "s1", "sh", "-c", "echo done; exit 5") == (b"done\n", b"", "5")
    assert fate(talk, "s1") == framing.Fate("ended", 5)
    assert talk.ask("f", "s1") == (b"done\n", b"", "5")
    assert talk.ask("t", "s1") == (b"done\n", b"", "0")
    assert talk.ask("c", "s1", "true")[2] == "claimed"
    talk.send("d", "s1")
    assert fate(talk, "s1") == framing.Fate("never")
    assert talk.ask("f", "s1")[2] == "lost"


def test_standard_input(talk: Talk) -> None:
    data = bytes(range(256)) * 300
    for at in range(0, len(data), framing.UPLOAD_BYTES):
        talk.send("u", "s1", base64.b64encode(data[at : at + framing.UPLOAD_BYTES]).decode())
    assert talk.ask("c", "s1", "cat") == (data, b"", "0")
    assert talk.ask("c", "s2", "cat") == (b"", b"", "0")


def test_the_password_line(talk: Talk) -> None:
    talk.send("s", "it's $ecret")
    assert talk.ask("P", "cat") == (b"it's $ecret\n", b"", "0")
    assert talk.ask("C", "s1", "cat") == (b"it's $ecret\n", b"", "0")


def test_a_killed_change_is_lost(talk: Talk) -> None:
    assert talk.ask("c", "s1", "sh", "-c", "kill -s KILL 0")[2] == "lost"
    assert fate(talk, "s1") == framing.Fate("lost")
    for _ in wait_until():
        if talk.ask("k", "TERM", "s1")[2] == "1":
            break
    assert talk.ask("c", "s2", "sh", "-c", "kill -s TERM $$")[2] == "143"
    assert fate(talk, "s2") == framing.Fate("ended", 143)


def test_late_output_stays_out_of_the_next_answer(talk: Talk) -> None:
    assert talk.ask("p", "sh", "-c", "(sleep 60; echo late) & echo now")[0] == b"now\n"
    assert talk.ask("p", "sh", "-c", "sleep 120; echo next")[0] == b"next\n"


def test_the_run_is_forgotten(practice: PracticeHost, talk: Talk) -> None:
    talk.ask("c", "s1", "true")
    talk.send("r")
    talk.send("z")
    talk.send("nonesuch")
    assert talk.ask("h") == (b"", b"", "0")
    assert not practice.machine.files.is_directory(talk.hello.directory)


def test_a_second_channel_tails_and_kills(client: Client, talk: Talk) -> None:
    second = client.talk()
    nonce = talk.send("c", "s1", "sh", "-c", "echo up; sleep 600000")
    for _ in wait_until():
        if second.ask("t", "s1")[0] == b"up\n":
            break
    assert fate(second, "s1") == framing.Fate("running")
    assert second.ask("h")[2] == "0"
    assert second.ask("p", "echo", "beside")[0] == b"beside\n"
    second.ask("k", "TERM", "s1")
    assert talk.answer(nonce) == (b"up\n", b"", "lost")
    for _ in wait_until():
        if second.ask("k", "TERM", "s1")[2] == "1":
            break


def test_a_group_is_killed_by_number(client: Client, talk: Talk) -> None:
    second = client.talk()
    talk.send("p", "sleep", "600000")
    assert second.ask("x", "0", str(talk.hello.pid))[2] == "0"
    second.ask("x", "KILL", str(talk.hello.pid))
    assert talk.channel.recv(1) == b""
    assert talk.channel.recv_exit_status() == 137
    for _ in wait_until():
        if second.ask("x", "0", str(talk.hello.pid))[2] == "1":
            break


def test_a_stopped_change_goes_on(client: Client, talk: Talk) -> None:
    second = client.talk()
    nonce = talk.send("c", "s1", "sh", "-c", "echo up; sleep 60; echo on")
    for _ in wait_until():
        if second.ask("t", "s1")[0] == b"up\n":
            break
    second.ask("k", "STOP", "s1")
    assert b" T " in second.ask("q", "s1")[0]
    second.ask("p", "sleep", "120")
    assert fate(second, "s1") == framing.Fate("running")
    second.ask("k", "CONT", "s1")
    assert talk.answer(nonce) == (b"up\non\n", b"", "0")


def test_a_change_outlives_its_link(practice: PracticeHost) -> None:
    first = Client(practice.host)
    talk = first.talk()
    talk.send("c", "s1", "sh", "-c", "echo begun; sleep 300; echo ended")
    with Client(practice.host) as second:
        other = second.talk()
        for _ in wait_until():
            if other.ask("t", "s1")[0] == b"begun\n":
                break
        with first:
            pass
        assert fate(other, "s1") == framing.Fate("running")
        assert other.ask("f", "s1") == (b"begun\nended\n", b"", "0")


def test_much_output(talk: Talk) -> None:
    out, err, status = talk.ask("p", "head", "-c", "20000000", "/dev/zero")
    assert (len(out), err, status) == (20_000_000, b"", "0")


# -- the doorman --------------------------------------------------------------------------------


def test_only_the_framing_is_spoken(client: Client) -> None:
    for command in ("id", "exec sh -c 'id'"):
        _, out, err = client.ssh.exec_command(command, timeout=60)
        assert out.read() == b""
        assert err.read().startswith(b"PRACTICE HOST: ")
        assert out.channel.recv_exit_status() == 1


def test_a_person_who_logs_in_is_told(client: Client) -> None:
    channel = client.ssh.invoke_shell()
    channel.settimeout(20)
    assert channel.recv_exit_status() == 1
    assert b"PRACTICE HOST" in channel.recv_stderr(1000)
    channel.close()


def test_another_bootstrap_is_refused(client: Client) -> None:
    channel = client.transport.open_session(timeout=60)
    channel.settimeout(20)
    channel.exec_command(framing.opening("nOpen1"))
    channel.sendall(b"R=x; H=nHello1; rm -rf /\n")
    assert channel.recv_exit_status() == 1
    assert b"own version only" in channel.recv_stderr(1000)


def test_the_banner_says_what_it_is(client: Client) -> None:
    assert b"PRACTICE HOST" in (client.transport.get_banner() or b"")
    assert "practice" in client.transport.remote_version


def test_no_other_key_no_password_no_other_user(practice: PracticeHost) -> None:
    host = practice.host
    assert host.address
    assert host.port
    for user, password in (("root", ""), ("root", "root"), ("dwm", "")):
        ssh = paramiko.SSHClient()
        ssh.set_missing_host_key_policy(paramiko.WarningPolicy())
        with pytest.raises(paramiko.SSHException), pytest.warns(UserWarning, match="Unknown"):
            ssh.connect(
                host.address,
                host.port,
                user,
                password=password,
                look_for_keys=False,
                allow_agent=False,
                timeout=60,
                key_filename=host.identity_file if user == "dwm" else None,
            )
        transport = ssh.get_transport()
        ssh.close()
        if transport:
            transport.join(60)


def test_no_forwarding_and_no_sftp(client: Client) -> None:
    with pytest.raises(paramiko.ChannelException):
        client.transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1))
    with pytest.raises((paramiko.SSHException, EOFError)):
        client.ssh.open_sftp()


def test_its_files_are_private(practice: PracticeHost) -> None:
    for path in (practice.host.identity_file, practice.host.known_hosts):
        assert path
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


# -- the life of it -----------------------------------------------------------------------------


def refused(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_reboot_cuts_the_link_and_comes_back() -> None:
    with PracticeHost.start("kalimdor") as practice, Client(practice.host) as client:
        talk = client.talk()
        talk.ask("c", "s1", "true")
        talk.send("c", "s2", *logind_call("ScheduleShutdown", "st", "reboot", "0"))
        while talk.channel.recv(65536):
            pass
        for _ in wait_until():
            if refused(practice.port):
                break
        with back(practice.host) as again:
            fresh = again.talk()
            assert fresh.hello.boot_id != talk.hello.boot_id
            assert fate(fresh, "s1") == framing.Fate("never")
            for _ in wait_until():
                if fresh.ask("p", "systemctl", "is-system-running")[0] == b"running\n":
                    break


def test_a_change_cut_by_a_reboot_is_gone(practice: PracticeHost, client: Client) -> None:
    talk, second = client.talk(), client.talk()
    talk.send("c", "s1", "sleep", "600000")
    for _ in wait_until():
        if fate(second, "s1").state == "running":
            break
    practice.machine.power.cycle()
    assert talk.channel.recv(1) == b""
    with back(practice.host) as again:
        assert fate(again.talk(), "s1") == framing.Fate("never")


def test_a_machine_that_panics_refuses_connections() -> None:
    with PracticeHost.start("kalimdor", scale=600.0) as practice:
        with Client(practice.host) as client:
            client.talk().ask("c", "s1", "rm", f"/boot/initrd.img-{kalimdor.OLD_KERNEL}")
        practice.machine.power.cycle()
        for _ in wait_until():
            if refused(practice.port):
                break
        assert practice.machine.power.phase == "panicked"


def test_nothing_is_left_after_close() -> None:
    before = set(threading.enumerate())
    practice = PracticeHost.start("kalimdor", scale=1.0)
    directory = os.path.dirname(practice.host.identity_file or "")
    with Client(practice.host) as client:
        first, second = client.talk(), client.talk()
        first.send("c", "s1", "sleep", "1000")
        first.send("h")
        second.send("p", "sh", "-c", "(sleep 1000; echo late) & sleep 1000")
        third = client.talk()
        for _ in wait_until():
            if fate(third, "s1").state == "running":
                break
        practice.close()  # long before its sleeps of 1000 seconds end
        practice.close()
    assert not os.path.exists(directory)
    assert set(threading.enumerate()) <= before


def test_closing_while_the_machine_is_down() -> None:
    practice = PracticeHost.start("kalimdor", scale=1.0)
    practice.machine.power.cycle()
    practice.close()
    assert refused(practice.port)


def test_settings_come_from_the_hosts_vars() -> None:
    with PracticeHost.start("k2", vars={"practice": {"failed": ["snmpd"]}, "x": 1}) as practice:
        assert practice.host.vars["x"] == 1
        assert practice.host.connection == "ssh"
        assert practice.machine.execute(["systemctl", "is-system-running"]).out == b"degraded\n"


def test_a_host_as_its_own_process(tmp_path: object) -> None:
    directory = os.path.join(str(tmp_path), "keys")
    argv = [sys.executable, "-m", "tastyops.practice", "--name", "kalimdor", "--scale", "600"]
    with subprocess.Popen([*argv, "--directory", directory], stdout=subprocess.PIPE) as process:
        assert process.stdout
        reach = json.loads(process.stdout.readline())
        host = Host(
            name=reach["name"],
            address=reach["address"],
            port=reach["port"],
            user=reach["user"],
            identity_file=reach["identity_file"],
            known_hosts=reach["known_hosts"],
        )
        with Client(host) as client:
            assert client.talk().ask("p", "hostname")[0] == b"kalimdor\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
