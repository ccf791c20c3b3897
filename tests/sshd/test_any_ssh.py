"""What people have in ssh_config, as keys and on servers: over `ssh` by hand, `openssh` and Fabric.

docs/ssh.md has the same table; a test compares.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tastyops import errors
from tastyops.model.inventory import Host
from tests.sshd.dialling import dialer, hello
from tests.sshd.server import Sshd

pytestmark = [pytest.mark.sshd, pytest.mark.usefixtures("no_user_files")]

DOCS = Path(__file__).resolve().parents[2] / "docs" / "ssh.md"


@dataclass
class Case:
    """One thing that people have: lines for ssh_config, and what differs from a plain host."""

    config: str = ""
    host: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """A server, an agent and a place for files; ``agent`` is the path of its socket."""

    server: Sshd
    folder: Path
    agent: str

    def ssh_add(self, *words: str) -> None:
        subprocess.run(
            ["ssh-add", "-q", *words], check=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "SSH_AUTH_SOCK": self.agent},
        )

    def key(self, name: str, *words: str) -> Path:
        """A new key that the server accepts; ``words`` for ssh-keygen."""
        path = self.folder / name
        kind = words or ("-t", "ed25519")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(path), *kind], check=True)
        with open(self.server.folder / "authorized_keys", "a") as file:
            file.write(Path(f"{path}.pub").read_text())
        return path


@pytest.fixture
def agent(short_path: Path) -> Iterator[str]:
    """An agent of the test's own, which nobody can confirm anything to."""
    sock = str(short_path / "agent")
    plain = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "SSH_ASKPASS")}
    process = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL, env=plain)
    try:
        while not os.path.exists(sock):
            assert process.poll() is None
        yield sock
    finally:
        process.terminate()
        process.wait(60)


def plain(bench: Bench) -> Case:
    return Case()


def final(bench: Bench) -> Case:
    return Case("Match final all\n  Compression no\n")


def match_host(bench: Bench) -> Case:
    return Case(f"Match host=target\n  HostName 127.0.0.1\n  Port {bench.server.port}\n",
                {"address": "target", "port": None})  # fmt: skip


def comment(bench: Bench) -> Case:
    return Case(f"Port {bench.server.port} # the test's\nUser root # not me\n", {"port": None, "user": None})


def tokens(bench: Bench) -> Case:
    key = bench.key("a key 127.0.0.1 root")
    return Case(f'IdentityFile "{key.parent}/a key %h %r"\n', {"identity_file": None})


def braces(bench: Bench) -> Case:
    key = bench.key("named")
    return Case(f"IdentityFile ${{HERE}}/{key.name}\n", {"identity_file": None})


def variable(bench: Bench) -> Case:
    bench.ssh_add(str(bench.key("held")))
    return Case("IdentitiesOnly no\nIdentityAgent $AGENT_HERE\n", {"identity_file": None})


def spoilt(bench: Bench) -> Case:
    sock = bench.folder / "mux"
    return Case(
        f"ControlMaster auto\nControlPath {sock}\nControlPersist 1\nPermitLocalCommand yes\n"
        "LocalCommand false\nServerAliveInterval 1\nServerAliveCountMax 1\nForwardX11 yes\n"
    )


def authority(bench: Bench) -> Case:
    known = bench.folder / "known"
    words = (bench.server.folder / "ca.pub").read_text()
    known.write_text(f"@cert-authority [127.0.0.1]:* {words}")
    return Case("", {"known_hosts": str(known)})


def public_only(bench: Bench) -> Case:
    key = bench.key("gone")
    bench.ssh_add(str(key))
    key.unlink()
    return Case(f"IdentityAgent {bench.agent}\nIdentityFile {key}.pub\n", {"identity_file": None})


def _certified(bench: Bench, name: str) -> Path:
    key = bench.folder / name
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", str(key)], check=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(bench.server.folder / "ca"), "-I", "me", "-n", "root,nobody",
         "-V", "+1h", f"{key}.pub"], check=True,
    )  # fmt: skip
    return key


def certificate_in_agent(bench: Bench) -> Case:
    key = _certified(bench, "certified")
    bench.ssh_add(str(key))
    for left in bench.folder.glob("certified*"):
        left.unlink()
    return Case(f"IdentitiesOnly no\nIdentityAgent {bench.agent}\n", {"identity_file": None})


def certificate_file(bench: Bench) -> Case:
    key = _certified(bench, "certified")
    cert = Path(f"{key}-cert.pub").rename(bench.folder / "elsewhere.pub")
    return Case(f"CertificateFile {cert}\nIdentityFile {key}\n", {"identity_file": None})


def refusing(bench: Bench) -> Case:
    key = bench.key("unwilling")
    bench.ssh_add("-c", str(key))
    key.unlink()
    return Case(f"IdentityAgent {bench.agent}\nIdentityFile {key}.pub\n", {"identity_file": None})


def pkcs8(bench: Bench) -> Case:
    key = bench.key("pkcs8", "-t", "rsa", "-b", "2048", "-m", "PKCS8")
    assert "BEGIN PRIVATE KEY" in key.read_text()
    return Case("", {"identity_file": str(key)})


def odd_line(bench: Bench) -> Case:
    return Case("Host other\n  BindInterface nowhere0\nHost *\n")


def bound(bench: Bench) -> Case:
    return Case("BindInterface lo\n")


WORKS = "works"


@dataclass(frozen=True)
class Row:
    """A row of the table: what each of the three does, and the sshd's own lines."""

    make: Callable[[Bench], Case]
    ssh: str = WORKS
    openssh: str = WORKS
    fabric: str = WORKS
    server: tuple[str, ...] = ()


CA = ("TrustedUserCAKeys {folder}/ca.pub", "HostCertificate {folder}/host_ed25519-cert.pub")

ROWS = {
    "`Match final all`": Row(final),
    "`Match host=NAME`": Row(match_host),
    "a comment behind a value": Row(comment),
    "quotes, `%h` and `%r` in `IdentityFile`": Row(tokens),
    "`${VARIABLE}` in `IdentityFile`": Row(braces),
    "`$VARIABLE` in `IdentityAgent`": Row(variable),
    "`ControlMaster`, `LocalCommand`, `ServerAlive…` and `ForwardX11` in the file": Row(spoilt),
    "`@cert-authority` in known_hosts": Row(
        authority, server=CA, fabric="A certificate authority is on record for it, which counts only for `ssh` itself"
    ),
    "`IdentityFile x.pub`, the private half only in the agent": Row(public_only),
    "a certificate in the agent": Row(certificate_in_agent, server=CA),
    "`CertificateFile`": Row(
        certificate_file, server=CA, fabric="CertificateFile has no effect with `connection: ssh`"
    ),
    "an agent that refuses to sign": Row(
        refusing,
        ssh="agent refused operation",
        openssh="the host takes it, but it does not sign: agent refused operation",
        fabric="the agent refuses to sign with a key that the host takes",
    ),
    "an RSA key in PKCS8": Row(pkcs8, fabric="not a valid RSA private key file"),
    "a server with chacha20-poly1305 only": Row(
        plain, server=("Ciphers chacha20-poly1305@openssh.com",), fabric="no common algorithm"
    ),
    "a server with sntrup761 only": Row(
        plain, server=("KexAlgorithms sntrup761x25519-sha512@openssh.com",),
        fabric="no common algorithm",
    ),
    "a line for another host that cannot be honoured": Row(odd_line),
    "`BindInterface`": Row(bound, fabric="BindInterface in ssh_config cannot be used"),
}


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, sshd: Sshd, tmp_path: Path, agent: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    """The shared server, or one with lines of its own and a certificate authority."""
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setenv("AGENT_HERE", agent)
    lines: tuple[str, ...] = request.param
    if not lines:
        yield Bench(sshd, tmp_path, agent)
        return
    server = Sshd()
    server.extra = tuple(line.format(folder=server.folder) for line in lines)
    if lines == CA:
        server._keygen("ca", "ed25519")
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(server.folder / "ca"), "-I", "host", "-h", "-n",
             "127.0.0.1", "-V", "+1h", str(server.folder / "host_ed25519.pub")], check=True,
        )  # fmt: skip
    try:
        server.start()
        yield Bench(server, tmp_path, agent)
    finally:
        server.stop()


def by_hand(bench: Bench, case: Case, host: Host) -> str:
    """What `ssh` itself does with the same configuration."""
    path = bench.folder / "by_hand"
    path.write_text(case.config + "\n" + bench.server.ssh_config.read_text())
    words = ["ssh", "-F", str(path), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    for option, value in (("-p", host.port), ("-l", host.user), ("-i", host.identity_file)):
        words += [option, str(value)] if value else []
    words += ["-o", f"UserKnownHostsFile={host.known_hosts}", "--", str(host.address), "echo hello"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "DISPLAY"},
    )
    return WORKS if done.stdout == "hello\n" else done.stderr


def over(carrier: str, bench: Bench, case: Case) -> str:
    """The same over one of the carriers: what an operator reads."""
    host = bench.server.host(**case.host, connection=carrier)
    dialling = dialer(bench.server, case.config)
    refused: errors.TastyopsError | None = None
    try:
        dialling.check(host)
        return WORKS if hello(dialling, host) == "hello" else "another answer"
    except errors.TastyopsError as error:
        refused = error
    assert refused.still_true
    assert ("connection: openssh" in refused.next_step) == (carrier == "ssh"), refused.next_step
    return refused.what


@pytest.mark.parametrize(
    ("bench", "row"),
    [pytest.param(row.server, row, id=name) for name, row in ROWS.items()],
    indirect=["bench"],
)
def test_it_works_or_the_reason_is_said(bench: Bench, row: Row) -> None:
    case = row.make(bench)
    host = bench.server.host(**case.host)
    found = by_hand(bench, case, host), over("openssh", bench, case), over("ssh", bench, case)
    for said, expected in zip(found, (row.ssh, row.openssh, row.fabric), strict=True):
        assert expected in said, found


def test_the_documentation_has_the_same_table() -> None:
    text = DOCS.read_text()
    for name, row in ROWS.items():
        cells = " | ".join((row.ssh, row.openssh, row.fabric))
        assert f"| {name} | {cells} |" in text
