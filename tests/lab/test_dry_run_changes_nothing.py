"""A dry run of every shipped runbook leaves the real machine as it was, and only reads.

Compared before and after: partition tables and boot code, md's superblocks and state (but counters
and times), LVM's metadata byte for byte, superblocks of the filesystems (but counters and times),
mounts, packages, the states of units, and every file and directory outside ``LEFT_OUT``: contents,
owner, mode and time of change; so the boot files, grubenv and dpkg's status are in it. Meanwhile the
kernel traces every program started by what logged in, with its arguments: it must be one of
``PROBES``, or one of the session's own.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tastyops.facts
from tastyops.facts.disk_use import EXCLUSIVE
from tastyops.facts.readings import Reading
from tastyops.lab.record import Guest
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab
from tests.lab.tracing import Started, descendants, started

on_the_lab = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

LEFT_OUT = (
    "/dev", "/proc", "/run", "/sys", "/var/log", "/var/lib/systemd/timers",
    "/var/lib/private/systemd",
)  # fmt: skip
"""What lives in memory, logs (wtmp, btmp and lastlog among them), what systemd's timers note."""

PROBES: dict[str, set[str]] = {
    "blkid": set(), "cat": set(), "cmp": set(), "debconf-show": set(), "dumpe2fs": set(),
    "findmnt": set(), "grep": set(), "head": set(), "last": set(), "ls": set(), "lsblk": set(), "lvs": set(),
    "od": set(), "pvs": set(), "readlink": set(), "stat": set(), "tail": set(), "test": set(),
    "tr": set(), "uname": set(), "vgs": set(),
    "blockdev": {"--getsize64"},
    "busctl": {"get-property"},
    "cpio": {"-it", "--to-stdout"},
    "date": {"+%s"},
    "dd": set(),
    "dpkg-query": {"--show"},
    "find": {"-printf", "-type", "-lname"},
    "grub-editenv": {"list"},
    "journalctl": {"--output=json", "--output=short-unix"},
    "lz4": {"-dc"},
    "passwd": {"--status"},
    "perl": {EXCLUSIVE},
    "sed": {"-n"},
    "sfdisk": {"--json"},
    "smartctl": {"--all"},
    "systemctl": {"is-active", "is-system-running", "list-units", "show"},
    "udevadm": {"settle", "info"},
    "wipefs": {"--no-act"},
    "xfs_growfs": {"-n"},
}  # fmt: skip
"""What a dry run may start on a host. Of what can also change something: the words that make it a
reading, one of which has to be there."""

NEVER = {
    "date": re.compile(r"-s|--set(=.*)?"),
    "dd": re.compile(r"of=(?!/dev/null$).*"),
    "find": re.compile(r"-delete|-exec.*|-ok.*|-fprint.*|-fls"),
    "sed": re.compile(r"-i.*|--in-place.*"),
}
"""Words with which a program that otherwise reads would change something."""

SHELLS = {"sh", "bash", "dash", "env", "sudo", "setsid"}
"""Programs that are only the way to others, which are traced themselves."""

SESSION = {"cat", "rm", "base64", "tail", "sleep", "mkfifo", "ln", "mv", "id", "mkdir", "chmod"}
"""What tastyops' own shells on a host start (``tastyops.protocol.bootstrap``), in ``OWN`` only."""

OWN = ("/run/", "/dev/shm/")

BLANK = "LAB-DISK-4"

GIVEN = {
    "raid-drop-disk": ("disk=LAB-DISK-1",),
    "raid-replace-disk": ("old=LAB-DISK-1", f"new={BLANK}", "like=LAB-DISK-2"),
    "filesystem-check": ("background=/recover",),
    "filesystem-check-single-user": ("background=/recover",),
}
"""Inputs that have no default, or the practice host's."""

STATE = r"""
set -e -o pipefail
export LC_ALL=C
part() { echo "== $1"; }
part tables; for d in $(lsblk -dno PATH -e 1,7,11); do sfdisk --dump $d || echo "$d: none"; done
part "boot code"; for d in /dev/sda /dev/sdb /dev/sdc; do head -c 1M $d | sha256sum; done
part md; for m in /dev/md0 /dev/md1; do mdadm --detail $m | grep -v -e 'Time :' -e '^ *State :' -e 'Events :'; done
for d in /dev/sd[abc][12]; do
  mdadm --examine $d | grep -v -e 'Time :' -e '^ *State :' -e 'Events :' -e 'Checksum :'; done
{ grep -sH '' /sys/block/md*/md/* || true; } | grep -v -e /array_state -e /sync_speed: -e /reshape -e /safe_mode
part lvm; dd if=/dev/md1 bs=1M count=1 status=none | sha256sum
part xfs; for v in root home var recover; do xfs_db -r -c 'sb 0' -c p /dev/vg0/$v |
  grep -v -e '^icount' -e '^ifree' -e '^fdblocks' -e '^lsn' -e '^crc' -e '^frextents'; done
part ext; dumpe2fs -h /dev/md0 2>/dev/null |
  grep -v -i -e time -e writes -e free -e checksum -e journal -e mounted
part mounts; findmnt --raw --noheadings --output TARGET,SOURCE,FSTYPE,OPTIONS | grep -v /run/user
part packages; dpkg-query --show --showformat='${Package} ${Version} ${Status}\n'
part units; systemctl list-units --all --plain --no-legend --no-pager |
  awk '{print $1, $2, $3}' | grep -v -e '^session-' -e '^run-user-' -e '^user@' -e '^user-'
part files; find / @PRUNE@ -o -printf '%p %y %m %U %G %s %T@ %l\n' | sort
part contents; find / @PRUNE@ -o -type f -print0 | sort -z | xargs -0 sha256sum
"""
PARTS = 11


def state(guest: Guest) -> dict[str, list[str]]:
    """The machine as it is, by part; no part of it is empty."""
    prune = r"\( " + " -o ".join(f"-path {place}" for place in LEFT_OUT) + r" \) -prune"
    script = STATE.replace("@PRUNE@", prune)
    found: dict[str, list[str]] = {}
    for line in guest.run(f"bash <<'EOS'\n{script}\nEOS\n", timeout=900).splitlines():
        if line.startswith("== "):
            found[line[3:]] = []
        else:
            found[next(reversed(found))].append(line)
    assert len(found) == PARTS
    assert all(found.values()), [part for part, lines in found.items() if not lines]
    return found


OUT_OF_BAND = ("console_screen", "power_state")
"""Readings whose words are no programs."""


def readings() -> Iterator[Reading]:
    """Every reading there is: those that stand in a module, and those a function makes."""
    for info in pkgutil.iter_modules(tastyops.facts.__path__, "tastyops.facts."):
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


def may_be_started(ran: Started) -> bool:
    """Whether it only reads, or is the session's own doing in its own place."""
    name, words = ran.program, ran.arguments or ()
    if name in SHELLS:
        return True
    if name in SESSION and all(word.startswith(OWN) for word in words if "/" in word):
        return True
    told, never = PROBES.get(name), NEVER.get(name)
    if told is None or (never and any(never.fullmatch(word) for word in words)):
        return False
    return not told or bool(told & {*words})


RUNBOOKS = sorted((ROOT / "runbooks").glob("*.yml"))


def test_every_reading_is_on_the_list() -> None:
    found = [*readings()]
    assert len(found) > 40
    for reading in found:
        program, *words = reading.argv
        if program != "x":  # the sample is all that a function made its words of
            assert may_be_started(Started(Path(program).name, tuple(words))), reading.argv


@pytest.mark.parametrize(
    "words",
    ["mdadm --manage /dev/md0 --fail sda1", "sfdisk --quiet /dev/sda", "wipefs --all /dev/sda1",
     "xfs_repair /dev/vg0/home", "rm -f /boot/grub/grubenv", "systemctl stop cron", "reboot",
     "grub-editenv /boot/grub/grubenv set saved_entry=1", "find / -type f -delete",
     "sed -n -i p /etc/fstab", "dd if=/dev/zero of=/dev/sda", "wall hello", "tee /etc/fstab"],
)  # fmt: skip
def test_what_changes_something_is_not(words: str) -> None:
    program, *arguments = words.split()
    assert not may_be_started(Started(program, tuple(arguments)))


def test_a_trace_is_read() -> None:
    """Of another's doing nothing, of the daemon's descendants all, a script's lines as one word."""
    text = """\
            sshd-7       [000] .....     1.0: sched_process_fork: comm=sshd pid=7 child_comm=sshd child_pid=8
            cron-5       [000] .....     1.1: words: (start_thread+0x0/0x20) argc=2 a0="rm" a1="/x" a2=(fault) a3="y"
              rm-5       [000] .....     1.1: sched_process_exec: filename=/bin/rm pid=5 old_pid=5
            sshd-8       [000] .....     1.2: words: (start_thread+0x0/0x20) argc=4 a0="sh" a1="-c" a2="echo a
echo b" a3=(fault) a4=(fault) a5="HOME=/"
              sh-8       [000] .....     1.3: sched_process_exec: filename=/bin/sh pid=8 old_pid=8
              sh-8       [000] .....     1.4: sched_process_fork: comm=sh pid=8 child_comm=sh child_pid=9
             cat-9       [000] .....     1.5: sched_process_exec: filename=/bin/cat pid=9 old_pid=9
"""
    assert descendants(text, 7) == {Started("sh", ("-c", "echo a\necho b", "")), Started("cat", None)}


TOUCHED = """\
sfdisk --quiet --no-reread --no-tell-kernel --disk-id /dev/sdc 0x12345678
mdadm --quiet /dev/md0 --fail /dev/sdc1
lvchange --quiet --addtag seen vg0/home
umount /recover; xfs_admin -L seen /dev/vg0/recover >/dev/null; mount -o noatime /recover
tune2fs -L seen /dev/md0 >/dev/null
echo mdadm hold | dpkg --set-selections
systemd-run --quiet --unit=seen --remain-after-exit true
grub-editenv /boot/grub/grubenv set seen=1
"""
"""A change of each part; the table's is one of the first sector, which boot code is in, too."""


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.timeout(SESSION_SECONDS)
def test_each_part_of_the_comparison_sees_a_change(pristine: Lab) -> None:
    before = state(pristine.guest)
    pristine.guest.run(f"set -e; {TOUCHED}")
    after = state(pristine.guest)
    assert [part for part in before if before[part] == after[part]] == []
    new = {line.split()[1] for line in {*after["contents"]} - {*before["contents"]}}
    assert {"/boot/grub/grubenv", "/var/lib/dpkg/status"} <= new


@pytest.mark.parametrize(
    "runbook", [pytest.param(path, id=path.stem, marks=on_the_lab) for path in RUNBOOKS]
)
def test_a_dry_run_changes_nothing_and_only_reads(
    pristine: Lab, runbook: Path, record_property: Callable[[str, object], None]
) -> None:
    guest = pristine.guest
    if f"new={BLANK}" in GIVEN.get(runbook.stem, ()):
        assert pristine.tastyops("lab.disk", "insert", BLANK).returncode == 0
        pristine.made = pristine.record()
        guest.run(f"for i in $(seq 60); do lsblk -dno SERIAL | grep -q {BLANK} && break; sleep 1; done")

    def login() -> None:
        ended = pristine.tastyops("lab.ssh", "--user", "ops", "--command", "sudo -n true")
        assert ended.returncode == 0, ended.stderr

    login()  # whatever a first login leaves behind is there
    usual = {each.program for each in started(guest, login)}
    before = state(guest)
    said: list[str] = []
    given = [word for each in GIVEN.get(runbook.stem, ()) for word in ("--var", each)]

    def dry_run() -> None:
        said.append(pristine.run(runbook, "--dry-run", *given, timeout=900))

    ran = {each for each in started(guest, dry_run) if each.program not in usual - SHELLS}
    after = state(guest)
    record_property("compared", {part: len(lines) for part, lines in before.items()})
    record_property("ran", sorted({json.dumps([e.program, *(e.arguments or ("?",))]) for e in ran}))
    assert "Dry run of" in said[0], said[0]
    assert "Traceback" not in said[0]
    for part, lines in before.items():
        gone, new = set(lines) - set(after[part]), set(after[part]) - set(lines)
        assert not gone | new, f"{part}: {json.dumps(sorted(gone | new)[:20], indent=1)}\n{said[0]}"
    changing = sorted(each for each in ran if not may_be_started(each))
    assert not changing, changing
    if runbook.stem == "unresponsive-server":
        assert "is not unresponsive: it answers over SSH" in said[0], said[0]
        return
    assert any(each.program in PROBES.keys() - SESSION for each in ran), "it looked at nothing"
