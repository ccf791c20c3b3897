"""ssh_config(5) as the real `ssh -G` reads it, over a corpus of configurations."""

from __future__ import annotations

import base64
import getpass
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tastyops.errors import UsageError
from tastyops.model.inventory import Host
from tastyops.transport.ssh import keys, ssh_config
from tastyops.transport.ssh.connect import connection
from tastyops.transport.ssh.timing import Timing

needs_ssh = pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")

HOSTS = ("web1", "web2", "db.example.org", "x", "WEB1")
COMPARED = (
    "hostname", "user", "port", "identityfile", "identityagent", "identitiesonly",
    "userknownhostsfile", "globalknownhostsfile", "proxycommand", "proxyjump", "hostkeyalias",
    "addressfamily", "bindaddress", "connecttimeout", "forwardagent", "certificatefile",
)  # fmt: skip

CORPUS = {
    "first value counts": "Host web1\n Port 2201\nHost web*\n Port 2202\n User a\nHost *\n Port 3\n User b",
    "before any host": "Port 2203\nUser root\nHost web1\n Port 1\n",
    "negated": "Host web* !web2\n Port 2204\nHost !web1 *\n User other",
    "several names": "Host a web2 db.*\n User many",
    "question marks": "Host web?\n Port 2205\nHost ???\n User three",
    "brackets are letters": "Host web[12]\n Port 2206\nHost *\n Port 7",
    "final": "Host web1\n HostName 127.0.0.1\nMatch final all\n Port 2207\n",
    "final, by the new name": "Host web1\n HostName other\nMatch final host other\n User f\nHost other\n Port 9",
    "final, by the old name": "Host web1\n HostName other\nMatch final originalhost web1\n User g",
    "final with another criterion": "Match final user nobody\n Port 5\nMatch final !user nobody\n Port 6",
    "canonical": "Match canonical all\n Port 2208\nMatch !canonical host web1\n User c",
    "match host with equals": "Match host=web1\n Port 2209\n",
    "match all": "Match all\n Port 2210\n",
    "match host list": "Match host web1,db.*\n Port 2211\nMatch host *,!web2\n User n",
    "match originalhost": "Host web1\n HostName h\nMatch originalhost web1\n User o\nMatch host h\n Port 11",
    "match user": "Host web1\n User root\nMatch user root\n Port 2212\nMatch user nobody\n Port 1",
    "match localuser": f"Match localuser {getpass.getuser()}\n Port 2213\nMatch localuser nobody-else\n User u",
    "match exec": "Match exec true\n Port 2214\nMatch exec \"test %h = web1\"\n User e\nMatch exec false\n Port 3",
    "match exec negated": "Match !exec false\n Port 2215",
    "match several": "Match host web1 exec true user nobody\n Port 1\nMatch host web1 exec true\n Port 2216",
    "comment behind a value": "Host web1 # the first\n Port 2217 # a port\n User root #x",
    "quotes": 'Host "web1" \'web2\'\n Port "2218"\n User "root"\n IdentityFile "~/a key"\n',
    "a quoted list": 'UserKnownHostsFile "/a b/kh" /c/kh\nGlobalKnownHostsFile /d "/e f"',
    "backslash": 'IdentityFile "/a \\"b\\" c"\n',
    "equals": "Host=web1\nPort = 2219\nUser=root\nHostName  =  h",
    "tabs and case": "HOST\tweb1\n\tpOrT\t2220\n  USER  Root",
    "keys add up": "IdentityFile ~/a\nHost web1\n IdentityFile ~/b\n IdentityFile ~/a\n CertificateFile ~/c",
    "identity none": "IdentityFile none\n",
    "identities only": "Host web1\n IdentitiesOnly yes\n IdentityAgent ~/agent.sock\n",
    "agent none": "IdentityAgent none",
    "agent by braces": "IdentityAgent ${SSH_TEST_AGENT}/x",
    "tokens in a name": "Host web1\n HostName %h.example.org\nHost x\n HostName %%h",
    "a command": "ProxyCommand nc -X 5 # not a comment %h %p\n",
    "a command with quotes": "ProxyCommand sh -c \"nc %h %p\"\n",
    "a jump": "Host web1\n ProxyJump bastion:2222,root@next\nHost *\n ProxyCommand nc %h %p",
    "no jump": "Host web1\n ProxyJump none\nHost *\n ProxyJump bastion",
    "command before a jump": "Host web1\n ProxyCommand nc %h %p\nHost *\n ProxyJump bastion",
    "times": "Host web1\n ConnectTimeout 5\nHost web2\n ConnectTimeout 1m30s\nHost x\n ConnectTimeout 2m",
    "families": "Host web1\n AddressFamily inet\n BindAddress 127.0.0.1\n HostKeyAlias web\n ForwardAgent yes",
    "blank lines and comments": "# all\n\n  # of them\nHost web1\n\n\n  # more\n  Port 2221\n",
    "crlf": "Host web1\r\n  Port 2222\r\n  User root\r\n",
    "a match within a host": "Host web1\n Port 1\nMatch host web2\n Port 2\nHost *\n Port 3",
    "ignored unknown": "IgnoreUnknown Nonsense*\nNonsenseOption yes\nHost web1\n Port 2223",
    "canonical domains are not asked": "CanonicalDomains example.org\nHost web1\n Port 2224",
    "host star last": "Host web1\n User a\n\nHost *\n User b\n Port 2225\n",
    "empty file": "\n",
}


def of_ssh(config: Path, host: str) -> dict[str, Any]:
    """What `ssh -G` says, by keyword; what may be several times is a list."""
    done = subprocess.run(
        ["ssh", "-G", "-F", str(config), host], capture_output=True, text=True, timeout=30, check=True
    )
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        if name in ("identityfile", "certificatefile"):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def ours(config: Path, host: str) -> dict[str, Any]:
    """The same of tastyops' reader, as `ssh -G` would write it."""
    found = ssh_config.for_host(Host("other"), ssh_config.read(config)).found(host)
    options = dict(found.options)
    settled = found.settled()
    for name in ("hostname", "port", "connecttimeout", "identityagent"):
        if name in settled:
            options[name] = settled[name]
    for name in ("userknownhostsfile", "globalknownhostsfile"):
        if name in options:
            options[name] = " ".join(options[name])
    return options


@needs_ssh
@pytest.mark.parametrize("name", CORPUS)
def test_a_configuration_is_read_as_ssh_reads_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_TEST_AGENT", "/run/agent")
    config = tmp_path / "config"
    config.write_bytes(CORPUS[name].encode())
    for host in HOSTS:
        agree(of_ssh(config, host), ours(config, host), config.read_text())


def agree(theirs: dict[str, Any], mine: dict[str, Any], text: str) -> None:
    for name in COMPARED:
        if name not in mine:
            continue
        expected = theirs.get(name, "none")
        if name == "hostname":
            expected, mine[name] = expected.lower(), mine[name].lower()
        assert mine[name] == expected, (name, text)
    for name in ("user", "port", "hostname", "proxyjump", "hostkeyalias"):  # ssh has no more than we
        if name not in mine and name in theirs:
            defaults = {"user": getpass.getuser(), "port": "22"}
            assert name == "hostname" or theirs[name] == defaults.get(name), (name, text)


_NAMES = st.sampled_from(("web1", "web*", "*", "!web2", "w?b1", "db.*", '"web1"', "web[1]"))
_VALUES = {
    "Port": ("2201", "2202", '"2203"', "2204 # one"), "User": ("root", "'bob'", "al\\ ice"),
    "HostName": ("other", "%h.example.org", "10.0.0.1"), "IdentityFile": ("~/a", '"~/b c"', "none"),
    "ProxyJump": ("none", "bastion", "a,b:22"), "ProxyCommand": ("none", "nc %h %p # x"),
    "UserKnownHostsFile": ("/a /b", '"/a b"'), "IdentitiesOnly": ("yes", "no"),
}  # fmt: skip
_CRITERIA = st.sampled_from((
    "all", "final all", "host web1", "host=web1", "!host web1", "originalhost web1,web2",
    "user root", "final host other", "canonical", "exec true", "!exec true", "host other,!web1",
))  # fmt: skip
_LINES = st.one_of(
    st.lists(_NAMES, min_size=1, max_size=3).map(lambda names: "Host " + " ".join(names)),
    _CRITERIA.map(lambda text: f"Match {text}"),
    st.sampled_from([f"{key} {value}" for key, values in _VALUES.items() for value in values]),
    st.sampled_from([f"{key}={value}" for key, values in _VALUES.items() for value in values]),
    st.sampled_from(["", "# comment", "   "]),
)


@needs_ssh
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(_LINES, max_size=12))
def test_any_configuration_is_read_as_ssh_reads_it(lines: list[str], tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("\n".join(lines) + "\n")
    try:
        theirs = of_ssh(config, "web1")
    except subprocess.CalledProcessError:
        ours(config, "web1")  # ssh refuses it; a line that is wrong stops no host here
        return
    agree(theirs, ours(config, "web1"), config.read_text())


@needs_ssh
def test_included_files_count_where_they_are_included(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    folder.mkdir()
    (folder / "a.conf").write_text("Port 2230\nHost web2\n User included\n")
    (folder / "b.conf").write_text("Match all\n HostName never\n")
    config = tmp_path / "config"
    config.write_text(
        f'Host web1\n Include "{folder}/a.conf"\n User behind\n'
        f"Host nothing\n Include '{folder}/b.conf'\nHost *\n Include {tmp_path}/none-*.conf\n User last\n"
    )
    for host in HOSTS:
        agree(of_ssh(config, host), ours(config, host), host)


def looked_up(text: str, host: str = "web1") -> Any:
    return ssh_config.for_host(Host(host), ssh_config.of_text(text)).lookup(host)


@pytest.mark.parametrize("line", [
    "Nonsense yes", "Match nonsense yes", "Match host", "Host \"web2", "Port", "= 5", "!", "Match",
    "IdentityFile", "Ciphers +x", "Include", "Match final", "Host", "UseKeychain yes",
    "PKCS11Provider none", "Match localnetwork 10.0.0.0/8", "Match tagged a", "Tag x",
    "Match sessiontype shell", "ObscureKeystrokeTiming no", "ChannelTimeout session=5m", "\0", "é",
])  # fmt: skip
def test_a_line_that_is_not_known_stops_no_host(line: str) -> None:
    text = f"Host web1\n Port 2240\n\n{line}\n\nHost web1\n User root\n"
    found = looked_up(text)
    assert (found["port"], found["user"]) == ("2240", "root")


@pytest.mark.parametrize(("line", "said"), [
    ("Port abc", "ssh_config:2: port: 'abc' is no number that can be used"),
    ("Port 99999", "ssh_config:2: port: '99999' is no number"),
    ("ConnectTimeout soon", "ssh_config:2: connecttimeout: 'soon' is no time"),
    ('User "root', "ssh_config:2: user: a quote is not closed"),
    ("IdentityFile ${NO_SUCH_VARIABLE}/id", "the environment has no variable NO_SUCH_VARIABLE"),
    ("IdentityAgent $NO_SUCH_VARIABLE", "the environment has no variable NO_SUCH_VARIABLE"),
])  # fmt: skip
def test_a_line_that_is_wrong_is_named_and_stops_its_own_host_only(line: str, said: str) -> None:
    text = f"Host web1\n{line}\nHost web2\n Port 2241\n"
    with pytest.raises(UsageError) as caught:
        looked_up(text)
    assert said in caught.value.what
    assert "line 2" in caught.value.what or ":2:" in caught.value.what
    assert caught.value.next_step
    assert looked_up(text, "web2")["port"] == "2241"


def test_tokens_and_variables_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYDIR", "/keys")
    monkeypatch.setenv("MYSOCK", "/run/sock")
    found = looked_up(
        "Host web1\n HostName h.example.org\n User bob\n Port 2242 # a comment\n"
        " IdentityFile ~/.ssh/%r_%h_%p_%n\n IdentityFile ${KEYDIR}/id_%u%%\n IdentityAgent $MYSOCK\n"
        ' UserKnownHostsFile "/with blank/kh" kh-%h\n ProxyCommand nc %h %p %r\n'
    )
    home, me = os.path.expanduser("~"), getpass.getuser()
    assert found["identityfile"] == [f"{home}/.ssh/bob_h.example.org_2242_web1", f"/keys/id_{me}%"]
    assert found["identityagent"] == "/run/sock"
    assert found["userknownhostsfile"] == ["/with blank/kh", "kh-h.example.org"]
    assert found["proxycommand"] == "nc h.example.org 2242 bob"
    assert found["port"] == "2242"


def test_a_connection_uses_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "Match host=web1\n HostName 127.0.0.9\nHost web1\n Port 2243 # x\n ConnectTimeout 1m\n"
        ' UserKnownHostsFile "/with blank/kh"\n GlobalKnownHostsFile none\nMatch final all\n User fin\n'
    )
    made = connection(Host("web1"), ssh_config.of_text(text), Timing())
    assert (made.host, made.port, made.user) == ("127.0.0.9", 2243, "fin")
    assert made.connect_timeout == 60
    assert made.known_hosts_files() == (Path("/with blank/kh"),)


def test_the_inventory_wins_and_only_for_its_own_host() -> None:
    configuration = ssh_config.of_text("Host *\n Port 1\n User a\n")
    config = ssh_config.for_host(Host("web1", port=2244, user="root"), configuration)
    assert (config.lookup("web1")["port"], config.lookup("web1")["user"]) == ("2244", "root")
    assert (config.lookup("bastion")["port"], config.lookup("bastion")["user"]) == ("1", "a")


# -- a key of which only the agent has the private half ----------------------------------------


class Held:
    """A key as an agent holds it."""

    fingerprint = "SHA256:x"

    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    def asbytes(self) -> bytes:
        return self._blob


def blob(kind: bytes = b"ssh-ed25519") -> bytes:
    return len(kind).to_bytes(4, "big") + kind + b"\0\0\0\x20" + b"k" * 32


@pytest.mark.parametrize("name", ["id_ed25519.pub", "key", "only.the.public"])
def test_a_public_key_names_the_one_the_agent_holds(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(f"ssh-ed25519 {base64.b64encode(blob()).decode()} me@here\n")
    ways = keys.KeyAuthentication("me", keys.Identities((path,), None, only=True))
    held: Any = [Held(blob(b"ssh-rsa")), Held(blob())]
    assert [origin for origin, _ in ways._candidates(held)] == [f"{path} (from the agent)"]
    assert ways.notes == []
    assert list(ways._candidates([])) == []
    assert ways.notes == [f"{path}: a public key, whose private half the agent does not hold"]


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa QUJD", "-----BEGIN"])
def test_what_is_no_public_key_is_taken_for_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_text(text)
    ways = keys.KeyAuthentication("me", keys.Identities((path,), None, only=True))
    assert list(ways._candidates([])) == []
    assert not any("private half" in note for note in ways.notes)
