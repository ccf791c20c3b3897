"""A dry run of every shipped runbook leaves the real machine as it was, and only reads.

Compared before and after: partition tables, md's superblocks (but counters and times), LVM's
metadata byte for byte, superblocks of the filesystems (but counters and times), the states of units,
and every file and directory outside ``LEFT_OUT``: contents, owner, mode and time of change; so the
boot files, grubenv and dpkg's status are in it. Meanwhile the kernel traces every program started by
what logged in: it must be one that a reading of tastyops names, or one of the session's own.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tastyops.probes
from tastyops.lab.guest import Guest
from tastyops.probes.reading import Reading
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

LEFT_OUT = (
    "/dev", "/proc", "/run", "/sys", "/tmp", "/var/log", "/var/tmp",
    "/var/lib/systemd/timers", "/var/lib/private/systemd",
)  # fmt: skip
"""Logs (wtmp, btmp and lastlog among them), what lives in memory, and what systemd's timers note."""

SESSION = {
    "sh", "bash", "dash", "setsid", "cat", "rm", "base64", "tail", "sleep", "mkfifo", "ln", "mv",
    "id", "mkdir", "chmod", "sudo", "env",
}  # fmt: skip
"""What tastyops' own shells on a host start (``tastyops.shell.script``), and sudo."""

GIVEN = {"disk": "LAB-DISK-1", "old": "LAB-DISK-1", "new": "LAB-DISK-1", "serial": "LAB-DISK-1"}
"""Inputs that have no default."""

PLACES = {
    "filesystem-check": ("background=/recover",),
    "filesystem-check-single-user": ("background=/recover",),
}
"""Inputs whose default is the practice host's."""

STATE = r"""
export LC_ALL=C
part() { echo "== $1"; }
part tables; for d in sda sdb sdc; do sfdisk --dump /dev/$d; done
part md; for m in md0 md1; do mdadm --detail --export /dev/$m; done
for d in /dev/sd?[12]; do mdadm --examine --export $d | grep -v -e EVENTS -e UPDATE_TIME; done
part lvm; dd if=/dev/md1 bs=1M count=1 status=none | sha256sum
part xfs; for v in root home var recover; do xfs_db -r -c 'sb 0' -c p /dev/vg0/$v |
  grep -v -e '^icount' -e '^ifree' -e '^fdblocks' -e '^lsn' -e '^crc' -e '^frextents'; done
part ext; dumpe2fs -h /dev/md0 2>/dev/null | grep -v -i -e time -e writes -e free -e checksum -e journal -e mounted
part mounts; findmnt --raw --noheadings --output TARGET,SOURCE,FSTYPE,OPTIONS | grep -v /run/user
part packages; dpkg-query --show --showformat='${Package} ${Version} ${Status}\n'
part units; systemctl list-units --all --plain --no-legend --no-pager |
  awk '{print $1, $2, $3}' | grep -v -e '^session-' -e '^run-user-' -e '^user@' -e '^user-'
part files; find / @PRUNE@ -o -printf '%p %y %m %U %G %s %T@ %l\n' | sort
part contents; find / @PRUNE@ -o -type f -print0 | sort -z | xargs -0 sha256sum
"""

TRACE = "/sys/kernel/tracing"
START = (
    f"mountpoint -q {TRACE} || mount -t tracefs tracefs {TRACE}; cd {TRACE}; echo 0 >tracing_on;"
    " echo 8192 >buffer_size_kb; echo >trace; echo 1 >events/sched/sched_process_exec/enable;"
    " echo 1 >events/sched/sched_process_fork/enable; echo 1 >tracing_on"
)
STOP = f"cd {TRACE}; echo 0 >tracing_on; grep -e sched_process_ trace; echo >trace"
FORK = re.compile(r"sched_process_fork: .*\bpid=(\d+) child_comm=.* child_pid=(\d+)")
EXEC = re.compile(r"sched_process_exec: filename=(\S+) pid=(\d+)")


def state(guest: Guest) -> dict[str, list[str]]:
    """The machine as it is, by part."""
    prune = "( " + " -o ".join(f"-path {place}" for place in LEFT_OUT) + " ) -prune"
    script = STATE.replace("@PRUNE@", prune.replace("(", r"\(").replace(")", r"\)"))
    found: dict[str, list[str]] = {}
    for line in guest.run(script, timeout=900).splitlines():
        if line.startswith("== "):
            found[line[3:]] = []
        else:
            found[next(reversed(found))].append(line)
    return found


def started(guest: Guest, doing: Any) -> set[str]:
    """The programs that what logged in meanwhile has started, sshd's descendants."""
    daemon = int(guest.run("systemctl show --property MainPID --value ssh"))
    guest.run(START)
    doing()
    text = guest.run(STOP)
    below, programs = {daemon}, set()
    for line in text.splitlines():
        if fork := FORK.search(line):
            if int(fork[1]) in below:
                below.add(int(fork[2]))
        elif (ran := EXEC.search(line)) and int(ran[2]) in below:
            programs.add(Path(ran[1]).name)
    assert "sshd" in programs, text[:2000]
    return programs


OUT_OF_BAND = ("console", "power")
"""Readings whose words are no programs."""


def readings() -> Iterator[Reading]:
    """Every reading there is: those that stand in a module, and those a function makes."""
    for info in pkgutil.iter_modules(tastyops.probes.__path__, "tastyops.probes."):
        if info.name.rpartition(".")[2] in OUT_OF_BAND:
            continue
        for thing in vars(importlib.import_module(info.name)).values():
            if isinstance(thing, Reading):
                yield thing
            elif inspect.isfunction(thing) and thing.__annotations__.get("return") == "Reading":
                yield _made(thing)


def _made(function: Any) -> Reading:
    """What it gives for words of no meaning: only the program counts."""
    words: list[Any] = []
    for param in inspect.signature(function).parameters.values():
        if param.default is param.empty:
            kind = str(param.annotation)
            words.append((1,) if "tuple[int" in kind else 1 if kind in ("int", "float") else
                         ("x",) if "tuple" in kind or "Sequence" in kind else "x")  # fmt: skip
    made = function(*words)
    assert isinstance(made, Reading)
    return made


CHANGING = {"xfs_repair", "e2fsck", "mount", "umount", "tee", "lvextend"}
"""Never a probe, though a word of a script may look like it."""

COMMAND = re.compile(
    r"(?:^|[;|&(){}\n`!]|\b(?:do|then|else|if|while|until|exec)\s)\s*([a-z][a-z0-9_.-]+)(?=[\s;|)&]|$)"
)
"""A word where a script of the shell has a command."""


def probe_programs() -> set[str]:
    """What a dry run may execute: the programs of all readings, and those within their scripts."""
    programs: set[str] = set()
    for reading in readings():
        programs.add(Path(reading.argv[0]).name)
        if Path(reading.argv[0]).name in ("sh", "env"):
            text = " ".join(reading.argv[1:])
            functions = set(re.findall(r"^(\w+)\(\) *{", text, re.MULTILINE))
            script = re.sub(r"'[^']*'", "x", text.removeprefix("-c "))
            programs |= set(COMMAND.findall(script)) - functions
    return programs - CHANGING


def words_for(runbook: Path) -> list[str]:
    """A value for each input without a default."""
    inputs = yaml.safe_load(runbook.read_text()).get("inputs") or {}
    asked = [n for n, i in inputs.items() if isinstance(i, dict) and "default" not in i]
    given = [f"{name}={GIVEN.get(name, 'LAB-DISK-1')}" for name in asked]
    return [word for each in (*given, *PLACES.get(runbook.stem, ())) for word in ("--var", each)]


RUNBOOKS = sorted((ROOT / "runbooks").glob("*.yml"))


def test_the_list_of_probes_is_whole() -> None:
    programs = probe_programs()
    assert {"findmnt", "lvs", "lsblk", "systemctl", "uname", "stat"} <= programs
    # dd is one of them: a reading begins with both ends of a disk, wipefs being silent on errors.
    assert not (CHANGING | {"rm", "wall", "reboot"}) & programs


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_a_dry_run_changes_nothing_and_only_reads(pristine: Lab, runbook: Path) -> None:
    guest = pristine.guest

    def login() -> None:
        ended = pristine.tastyops("lab.ssh", "--user", "ops", "--command", "sudo -n true")
        assert ended.returncode == 0, ended.stderr

    login()  # whatever a first login leaves behind is there
    usual = started(guest, login) - {"true"}
    before = state(guest)
    said: list[str] = []

    def dry_run() -> None:
        said.append(pristine.run(runbook, "--dry-run", *words_for(runbook), timeout=900))

    ran = started(guest, dry_run)
    after = state(guest)
    assert "Dry run of" in said[0], said[0]
    assert "Traceback" not in said[0]
    for part, lines in before.items():
        gone, new = set(lines) - set(after[part]), set(after[part]) - set(lines)
        assert not gone | new, f"{part}: {json.dumps(sorted(gone | new)[:20], indent=1)}\n{said[0]}"
    allowed = probe_programs() | SESSION | usual
    assert ran <= allowed, sorted(ran - allowed)
    assert ran - SESSION - usual, "it looked at nothing"
