"""RAID1 mirrors on the lab: a bad disk leaves, the last good member never, and it is rebuilt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.lab.qmp import Qmp
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]

DROP = ROOT / "runbooks/raid-drop-disk.yml"
NUMBER = "lsblk -dno KNAME,SERIAL | sed -n 's/ *{}$//p'"


def book(folder: Path, *steps: str) -> Path:
    path = folder / "raid.yml"
    listed = "".join(f"      - {step}\n" for step in steps)
    path.write_text(
        "title: Mirrors\nkind: at risk\nhosts: kalimdor\nsummary: [Mirrors.]\n"
        f"works:\n  - work: Mirrors\n    steps:\n{listed}"
    )
    return path


def device(lab: Lab, serial: str) -> str:
    return lab.guest.run(NUMBER.format(serial)).strip()


def members(lab: Lab) -> set[str]:
    return set(lab.guest.run("ls -d /sys/block/md*/md/dev-* | sed 's/.*dev-//'").split())


def states(lab: Lab) -> str:
    """What a dry run may not change: every member's state, and what is on every partition."""
    return lab.guest.run(
        "grep -sH '' /sys/block/md*/md/dev-*/state /sys/block/md*/md/dev-*/slot"
        " /sys/block/md*/md/raid_disks;"
        " for part in /dev/sd??; do wipefs --noheadings $part; done;"
        " sha256sum /etc/mdadm/mdadm.conf /boot/initrd.img-*; ls -R /var/lib/tastyops 2>&1 || true"
    )


def said_by(lab: Lab, runbook: Path, *words: str, timeout: float = 1200) -> str:
    """What a run said, without the breaks of its lines."""
    return " ".join(lab.run(runbook, *words, timeout=timeout).split())


def heal(lab: Lab) -> None:
    with Qmp(lab.made.machine.qmp) as qmp:
        qmp.ask("qom-set", path="/machine/peripheral/disk1", property="drive", value="disk1")


@pytest.mark.long
def test_a_failing_disk_leaves_all_mirrors_and_comes_back(pristine: Lab, tmp_path: Path) -> None:
    ended = pristine.tastyops("lab.break", "disk1")
    assert ended.returncode == 0, ended.stderr
    bad = device(pristine, "LAB-DISK-1")
    words = ("--var", "disk=LAB-DISK-1", "--var", "forget=false")
    before = states(pristine)
    assert said_by(pristine, DROP, *words, "--dry-run").endswith("exit 0")
    assert states(pristine) == before
    said = said_by(pristine, DROP, *words)
    assert said.endswith("exit 0"), said
    assert f"/dev/{bad} taken out of every RAID mirror" in said
    assert not any(member.startswith(bad) for member in members(pristine))

    heal(pristine)
    quick = book(tmp_path, "raid.add: {disk: LAB-DISK-1, quick: true}")
    said = said_by(pristine, quick)
    assert said.endswith("exit 1"), said
    assert "is marked as suspect" in said

    pristine.guest.run("echo 40000 > /sys/block/md1/md/sync_speed_max")
    back = book(tmp_path, "raid.add: LAB-DISK-1", "raid.watch:", "raid.status: {whole: true}")
    said = said_by(pristine, back, timeout=1200)
    assert said.endswith("exit 0"), said
    assert "RAID mirrors are re-syncing." in said
    assert "Re-sync completed." in said
    assert "2 of 2 RAID arrays whole." in said


def test_the_last_good_member_of_another_mirror_is_not_dropped(pristine: Lab) -> None:
    # md0 keeps all three members: only md1 has none besides the named disk's.
    for serial in ("LAB-DISK-2", "LAB-DISK-3"):
        gone = f"{device(pristine, serial)}2"
        pristine.guest.run(f"mdadm /dev/md1 --fail {gone}")
    last = device(pristine, "LAB-DISK-1")
    before = states(pristine)
    said = said_by(pristine, DROP, "--var", "disk=LAB-DISK-1")
    assert said.endswith("exit 1"), said
    assert f"/dev/{last}2 is the last member of /dev/md1 that is in sync" in said
    assert states(pristine) == before


@pytest.mark.long
def test_a_new_mirror_is_recorded_once(pristine: Lab, tmp_path: Path) -> None:
    for serial in ("LAB-DISK-2", "LAB-DISK-3"):
        disk = device(pristine, serial)
        pristine.guest.run(
            f"echo 'size=60M, type=fd' | sfdisk -q --append --no-reread /dev/{disk};"
            f" partx -a /dev/{disk} 2>/dev/null; udevadm settle; test -b /dev/{disk}3"
        )
    made = book(
        tmp_path,
        "raid.create: {array: md2, disks: [LAB-DISK-2, LAB-DISK-3], partition: 3}",
        "raid.watch:",
        "raid.record:",
    )
    said = said_by(pristine, made, timeout=1800)
    assert said.endswith("exit 0"), said
    once = pristine.guest.run("cat /etc/mdadm/mdadm.conf; ls /boot")
    assert once.count("ARRAY /dev/md2 ") == 1
    assert ".bak" in once
    again = said_by(pristine, book(tmp_path, "raid.record:"))
    assert again.endswith("exit 0"), again
    assert "Already so" in again
    assert pristine.guest.run("cat /etc/mdadm/mdadm.conf; ls /boot") == once


@pytest.mark.long
def test_a_sound_disk_comes_back_quickly_and_a_mirror_is_resized(
    pristine: Lab, tmp_path: Path
) -> None:
    """md1 has a bitmap and takes it back as it was; md0 has none, shrinks, and grows again."""
    said = said_by(
        pristine,
        book(
            tmp_path,
            "raid.drop: LAB-DISK-3",
            "raid.resize_members: {array: md0, members: 2}",
            "raid.add: {disk: LAB-DISK-3, members: {md1: 2}, quick: true}\n"
            "        register: back\n"
            '        log: "Taken back quickly: {{ back.quickly | join }}."',
            "raid.watch:",
            "raid.add: {disk: LAB-DISK-3, members: {md0: 1}, spare: true}",
            "raid.resize_members: {array: md0, members: 3}",
            "raid.watch:",
            "raid.status: {whole: true}",
        ),
    )
    assert said.endswith("exit 0"), said
    third = device(pristine, "LAB-DISK-3")
    assert f"Taken back quickly: /dev/{third}2." in said
    assert pristine.guest.run("cat /proc/mdstat").count("[UUU]") == 2
    assert "2 of 2 RAID arrays whole." in said
    assert pristine.guest.run("cat /sys/block/md0/md/raid_disks /sys/block/md1/md/raid_disks") == (
        "3\n3\n"
    )
