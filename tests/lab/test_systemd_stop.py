"""A controller that systemd ends: `systemctl stop` of a scope and of a service lets go of the run.

The lab machine is controller and host at once. systemd sends SIGTERM to every process of the unit
(systemd.kill(5)); the command on the host belongs to sshd's session and is none of them.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tastyops.lab.record import Guest
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until
from tests.missing import missing

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

PATIENCE = 300.0
INVENTORY = """\
hosts:
  box: {address: 127.0.0.1, user: root, identity_file: /root/id, known_hosts: /root/known}
"""
RUNBOOK = """\
title: A change that goes on
hosts: box
works:
  - work: Change
    steps:
      - run: "echo begun >>/root/W; until [ -e /root/W.gate ]; do sleep 0.2; done; echo ended >>/root/W"
        on_failure: [{run: "echo on_failure >>/root/W"}]
  - work: After
    steps: [{run: "echo after >>/root/W"}]
rescue: [{run: "echo rescue >>/root/W"}]
"""
TASTYOPS = "cd /root/W.d && exec env PYTHONPATH=/root/site LC_ALL=C.UTF-8 python3 -m tastyops"
WAYS = {"scope": "systemd-run --scope --unit=W", "service": "systemd-run --unit=W --wait"}


def needed(name: str, found: dict[str, dict[str, Path]]) -> dict[str, dict[str, Path]]:
    """The files of a distribution and of all that it requires, by its name and where they lie."""
    try:
        made = distribution(name)
    except PackageNotFoundError:
        return found  # for another Python or another system
    files = {str(file): Path(str(made.locate_file(file))) for file in made.files or ()}
    found[name.lower()] = {place: path for place, path in files.items() if ".." not in place}
    for requirement in made.requires or ():
        wanted = re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0]
        if "extra" not in requirement and wanted.lower() not in found:
            needed(wanted, found)
    return found


def put_tastyops(guest: Guest) -> None:
    """This tastyops and what it needs, as the lab machine's Python can import them."""
    guest.run("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y "
              "--no-install-recommends python3", timeout=900)  # fmt: skip
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    theirs = guest.run("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    if ours != theirs:
        missing(f"the tests' Python is {ours} and the lab machine's {theirs}: modules do not fit")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=1) as tar:
        tar.add(ROOT / "tastyops", "tastyops", filter=lambda each: (
            None if "__pycache__" in each.name else each))  # fmt: skip
        for name, files in needed("tastyops", {}).items():
            for place, path in files.items() if name != "tastyops" else ():
                if path.is_file():
                    tar.add(path, place)
    subprocess.run(
        ["ssh", "-F", "/dev/null", "-i", str(guest.key), "-p", str(guest.port), "-o",
         f"UserKnownHostsFile={guest.known_hosts}", "root@127.0.0.1",
         "mkdir -p /root/site && tar -xzf - -C /root/site"],
        input=archive.getvalue(), check=True, timeout=PATIENCE,
    )  # fmt: skip
    guest.run("ssh-keygen -q -t ed25519 -N '' -f /root/id && cat /root/id.pub >>/root/.ssh/authorized_keys"
              " && ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null >/root/known")  # fmt: skip


def test_systemctl_stop(pristine: Lab) -> None:
    guest = pristine.guest
    put_tastyops(guest)
    for way, start in WAYS.items():
        stopped_and_resumed(guest, way, start)


def stopped_and_resumed(guest: Guest, way: str, start: str) -> None:
    ledger, folder = f"/root/{way}", f"/root/{way}.d"

    def said(command: str, timeout: float = PATIENCE) -> str:
        return guest.run(command.replace("/root/W", ledger), timeout=timeout)

    runbook = RUNBOOK.replace("/root/W", ledger)
    guest.run(f"mkdir {folder} && cat >{folder}/inventory.yml <<'EOF'\n{INVENTORY}EOF\n"
              f"cat >{folder}/book.yml <<'EOF'\n{runbook}EOF")  # fmt: skip
    script = f"{TASTYOPS} run book.yml --yes >/root/W.said 2>&1; echo $? >/root/W.code"
    script = script.replace("exec env", "env")
    unit = start.replace("=W", f"={way}")
    said(f"setsid {unit} sh -c '{script}' </dev/null >/dev/null 2>&1 &")
    until(lambda: said("cat /root/W 2>/dev/null || true") == "begun\n", PATIENCE, "it has begun")
    said(f"systemctl stop {way}.{way}")
    until(
        lambda: said(f"systemctl is-active {way}.{way} || true").strip() in ("inactive", "unknown"),
        PATIENCE, "the unit is over",
    )  # fmt: skip
    told = said("cat /root/W.said")
    assert "was let go: its process was told to end (SIGTERM)" in told, told
    assert said("cat /root/W") == "begun\n", "neither ended nor followed by what a failure runs"
    assert "**Status:** In progress" in said("cat /root/W.d/logs/*/*.md")
    said("touch /root/W.gate")
    until(lambda: said("cat /root/W") == "begun\nended\n", PATIENCE, "the change is at its end")
    resumed = said(f"sh -c '{TASTYOPS} resume --yes'", timeout=600)
    assert "Completed" in resumed, resumed
    assert said("cat /root/W") == "begun\nended\nafter\n"
    assert "**Status:** Completed" in said("cat /root/W.d/logs/*/*.md")
