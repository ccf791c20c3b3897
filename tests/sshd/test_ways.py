"""``hosts -v`` and ``ping``: which carrier each host uses, who chose it, and the way there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.cli.program import main
from tests.sshd.server import Sshd
from tests.sshd.test_runs import project as project  # a fixture
from tests.sshd.test_runs import write_inventory

pytestmark = pytest.mark.sshd

INVENTORY = """
connection: openssh
hosts:
  a: {address: 192.0.2.1, user: bob, ssh_config: /dev/null}
  b: {connection: ssh, ssh_config: lines, user: bob}
  c: {connection: practice}
  d: {ssh_config: lines, user: bob}
  e: {connection: ssh, ssh_config: lines}
  f: {ssh_config: lines, user: bob}
groups:
  g: {hosts: [a], connection: openssh}
"""

LINES = """
Host b d
  ProxyJump x,root@y:2222
Host e
  BindInterface lo
Host f
  ProxyCommand nc %h %p
"""


def test_how_each_host_is_reached(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "inventory.yml").write_text(INVENTORY)
    (project / "lines").write_text(LINES)
    assert main(["hosts", "-v"]) == 2
    told = [line.strip() for line in capsys.readouterr().out.splitlines()]
    ours, theirs = "the system's ssh (openssh, chosen by", "Fabric (ssh, chosen by the host itself):"
    assert f"{ours} the group 'g'): bob@192.0.2.1 port 22" in told
    assert f"{theirs} bob@b port 22, through root@x, root@y port 2222" in told
    assert f"{ours} the inventory): bob@d port 22, through x,root@y:2222" in told
    assert f"{ours} the inventory): bob@f port 22, by a ProxyCommand" in told
    (odd,) = [line for line in told if "BindInterface" in line]
    assert "connection: openssh" in odd


def test_the_default_is_called_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "inventory.yml").write_text("hosts: {a: {ssh_config: /dev/null, user: bob}}")
    assert main(["hosts", "-v"]) == 0
    assert "Fabric (ssh, the default): bob@a port 22" in capsys.readouterr().out


@pytest.mark.parametrize("carrier", ["ssh", "openssh"])
def test_ping(
    project: Path, sshd: Sshd, carrier: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Sshd, "connection", carrier)
    write_inventory(project, sshd)
    assert main(["ping", "target"]) == 0
    told = capsys.readouterr().out
    assert "target: answers after" in told
    assert f"({carrier}, chosen by the host itself)" in told
    inventory = project / "inventory.yml"
    inventory.write_text(inventory.read_text().replace(f"port: {sshd.port}", "port: 1"))
    assert main(["ping", "target"]) == 4
    assert "the connection was refused" in capsys.readouterr().out
