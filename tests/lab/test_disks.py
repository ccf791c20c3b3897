"""Disks on the real machine: pulled, inserted, partitioned, made bootable, booted from alone."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tastyops.lab import lifecycle
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

TABLE = "printf 'label: dos\\nstart=2048, size=350M, type=fd\\n' | sfdisk -q {new}"
HALF_A_MIRROR = (
    f"{TABLE}; udevadm settle; mdadm --create /dev/md9 --run --level=1 --metadata=1.0"
    " --raid-devices=2 {new}1 missing; mdadm --stop /dev/md9; wipefs -aq {new};"
    " blockdev --rereadpt {new}"
)
"""Makes one in a partition, and takes the table around it away."""

OLD, SECOND, THIRD, NEW = "LAB-DISK-1", "LAB-DISK-2", "LAB-DISK-3", "LAB-DISK-4"


def disk(lab: Lab, *words: str) -> None:
    ended = lab.tastyops("lab.disk", *words, timeout=900)
    assert ended.returncode == 0, ended.stderr
    lab.made = lab.record()


def serials(lab: Lab) -> set[str]:
    return set(lab.guest.run("lsblk --nodeps --noheadings --output=SERIAL").split())


def device(lab: Lab, serial: str) -> str:
    rows = lab.guest.run("lsblk --nodeps --noheadings --output=PATH,SERIAL").splitlines()
    (found,) = (row.split()[0] for row in rows if row.split()[1:] == [serial])
    return found


def layout(lab: Lab, serial: str) -> Any:
    """The partitions of a disk: start, size and type; and the disk's own id."""
    told = json.loads(lab.guest.run(f"sfdisk --json {device(lab, serial)}"))["partitiontable"]
    return [(p["start"], p["size"], p["type"]) for p in told["partitions"]], told["id"]


def stored(lab: Lab, serial: str) -> str:
    """A digest of all that is on a disk, taken from the file that QEMU keeps it in."""
    lab.guest.run(f"sync {device(lab, serial)}")  # fsync(2): its caches are written out
    (drive,) = (each for each in lab.record().drives if each.serial == serial)
    return hashlib.sha256(drive.path.read_bytes()).hexdigest()


def plain(said: str) -> str:
    """What was said without the breaks of its lines."""
    return " ".join(said.split())


def page(lab: Lab) -> str:
    """The newest log."""
    found = (lab.folder / "state/tastyops/lab/logs").glob("*/*.md")
    return max(found, key=lambda path: path.stat().st_mtime).read_text()


def runbook(folder: Path, *steps: str) -> Path:
    path = folder / "disks.yml"
    path.write_text(
        "title: Disks\nkind: at risk\nhosts: kalimdor\nsummary: [Disks.]\nworks:\n"
        "  - work: Disks\n    steps:\n" + "".join(f"      - {step}\n" for step in steps)
    )
    return path


def replaced(lab: Lab, *words: str) -> None:
    """The first disk out, a blank one in its place, while the machine runs."""
    lab.guest.run("mdadm /dev/md0 --fail $(readlink -f /dev/disk/by-id/*_LAB-DISK-1-part1 | uniq)"
                  "; mdadm /dev/md1 --fail $(readlink -f /dev/disk/by-id/*_LAB-DISK-1-part2 | uniq)"
                  "; mdadm /dev/md0 --remove failed; mdadm /dev/md1 --remove failed")  # fmt: skip
    disk(lab, "pull", OLD)
    until(lambda: OLD not in serials(lab), 60, "the guest notices that a disk was pulled")
    disk(lab, "insert", NEW, *words)
    until(lambda: NEW in serials(lab), 60, "the guest notices the new disk")


def test_a_pulled_disk_and_a_new_one(pristine: Lab, tmp_path: Path) -> None:
    replaced(pristine, "--size", "5G")
    size = pristine.guest.run(f"blockdev --getsize64 {device(pristine, NEW)}")
    assert int(size) == 5 << 30
    said = pristine.run(
        runbook(
            tmp_path,
            f"disk.identify: {{disk: {NEW}, unused: true}}",
            f"disk.health: {{disk: {NEW}}}",
            f"disk.partition_like: {{disk: {NEW}, like: {SECOND}}}",
            f"disk.partition_like: {{disk: {NEW}, like: {SECOND}}}",
            f"disk.partition: {{disk: {SECOND}, number: 3, size: 300M}}",
            f"disk.partition: {{disk: {NEW}, number: 3, size: 300M}}",
            f"disk.partition: {{disk: {NEW}, number: 3, size: 300M}}",
            f"disk.detach: {NEW}",
            f"disk.rescan: {NEW}",
        )
    )
    assert said.endswith("exit 0"), said
    assert "not-known" in said  # QEMU's disks have no SMART
    assert page(pristine).count("Already so") == 2, page(pristine)
    (second, old_id), (new, new_id) = layout(pristine, SECOND), layout(pristine, NEW)
    assert new == second
    assert len(new) == 3
    assert new_id != old_id
    assert pristine.guest.run("cat /proc/mdstat").count("[_UU]") == 2, "the mirrors go on"


@pytest.mark.parametrize(
    ("words", "prepare", "why"),
    [
        (("--size", "3G"), "", "is too small"),
        (("--sector", "4096"), "", "has sectors of 4096 bytes"),
        ((), "mkfs.xfs -q {new}", "is not blank: xfs on"),
        (
            (),
            HALF_A_MIRROR,
            "old data lies where partition 1 would be: linux_raid_member",
        ),
    ],
    ids=["too small", "4Kn", "a filesystem", "half a mirror without a table"],
)
def test_a_disk_that_will_not_do_is_refused_and_stays_as_it_is(
    pristine: Lab, tmp_path: Path, words: tuple[str, ...], prepare: str, why: str
) -> None:
    disk(pristine, "insert", NEW, *words)
    until(lambda: NEW in serials(pristine), 60, "the guest notices the new disk")
    path = device(pristine, NEW)
    if prepare:
        pristine.guest.run(prepare.format(new=path))
    before = stored(pristine, NEW)
    said = pristine.run(runbook(tmp_path, f"disk.partition_like: {{disk: {NEW}, like: {SECOND}}}"))
    assert said.endswith("exit 1"), said
    assert why in plain(said)
    assert stored(pristine, NEW) == before


def test_a_disk_in_use_is_neither_detached_nor_partitioned_anew(
    pristine: Lab, tmp_path: Path
) -> None:
    for number, step in enumerate(
        (
            f"disk.detach: {OLD}",
            f"disk.partition_like: {{disk: {OLD}, like: {SECOND}}}",
            f"disk.partition: {{disk: {OLD}, number: 3, size: 100M, start: 3000M}}",
        )
    ):
        before = layout(pristine, OLD)
        said = pristine.run(runbook(tmp_path, step))
        # The first two disks are partitioned alike, so that the second has nothing to do.
        assert said.endswith("exit 0" if number == 1 else "exit 1"), said
        assert layout(pristine, OLD) == before
        assert pristine.guest.run("cat /proc/mdstat").count("[UUU]") == 2


def test_an_image_of_a_volume_in_use(pristine: Lab, tmp_path: Path) -> None:
    disk(pristine, "insert", NEW)
    until(lambda: NEW in serials(pristine), 60, "the guest notices the new disk")
    pristine.guest.run("echo kept > /home/visitor/letter; sync")
    said = pristine.run(
        runbook(tmp_path, f"disk.image: {{source: /home, disk: {NEW}, snapshot: 100M}}")
    )
    assert said.endswith("exit 0"), said
    assert "image" not in pristine.guest.run("lvs --noheadings -o lv_name")
    path = device(pristine, NEW)
    found = pristine.guest.run(
        f"mount -o ro,nouuid {path} /mnt && cat /mnt/visitor/letter; umount /mnt"
    )
    assert found == "kept\n"
    said = pristine.run(
        runbook(tmp_path, f"disk.image: {{source: /home, disk: {NEW}, snapshot: 100M}}")
    )
    assert said.endswith("exit 1"), said
    assert "the target holds data: xfs" in plain(said)


def test_the_machine_boots_from_the_new_disk_alone(pristine: Lab, tmp_path: Path) -> None:
    replaced(pristine, "--size", "5G")
    said = pristine.run(
        runbook(
            tmp_path,
            f"disk.partition_like: {{disk: {NEW}, like: {SECOND}}}",
            f"raid.add: {NEW}",
            "raid.watch:",
            f"bootloader.install: {NEW}",
        ),
        timeout=1800,
    )
    assert said.endswith("exit 0"), said
    answers = pristine.guest.run("debconf-show grub-pc | grep install_devices:")
    assert f"_{NEW}" in answers
    disk(pristine, "alone", NEW)
    pristine.guest.wait(lifecycle.BOOT_SECONDS)
    assert serials(pristine) == {NEW}
    mdstat = pristine.guest.run("cat /proc/mdstat")
    assert mdstat.count("[_U") + mdstat.count("[U_") + mdstat.count("[__U]") >= 2, mdstat
    assert "/boot" in pristine.guest.run("findmnt -no TARGET /boot")


def by_hand(lab: Lab, name: str, asked: str, doing: Any, **given: str) -> str:
    """Runs a shipped runbook with a person at the terminal, who does what is asked for once.

    Gives the log.
    """
    words = [word for key, value in given.items() for word in ("--var", f"{key}={value}")]
    program = str(Path(sys.executable).with_name("tastyops"))
    person = pexpect.spawn(
        program,
        ["run", str(ROOT / f"runbooks/{name}.yml"), "--inventory", "lab", *words],
        env=lab.environment, cwd=str(ROOT), timeout=1500, encoding="utf-8", dimensions=(50, 200),
    )  # fmt: skip
    said = io.StringIO()
    person.logfile_read = said
    failed = r"What now\?"  # what the menu after a failed step offers
    try:
        assert person.expect([asked, failed]) == 0, said.getvalue()[-4000:]
        doing()
        person.send("done\r")
        assert person.expect([pexpect.EOF, failed]) == 0, said.getvalue()[-4000:]
    except pexpect.ExceptionPexpect:
        pytest.fail(f"{name}: {said.getvalue()[-4000:]}", pytrace=False)
    finally:
        person.close()
    assert person.exitstatus == 0, said.getvalue()[-4000:]
    return page(lab)


def test_a_failing_disk_is_replaced_and_the_machine_boots_from_the_new_one_alone(
    pristine: Lab,
) -> None:
    """Found by its errors, dropped, booted without, replaced, re-synced, made bootable, alone."""
    assert pristine.tastyops("lab.break", "disk1").returncode == 0
    log = by_hand(
        pristine, "raid-drop-disk", f"Take disk {OLD} out", lambda: disk(pristine, "pull", OLD),
        disk=OLD, reboot="true", grace="5s", patience="25m",
    )  # fmt: skip
    assert "**Status:** Completed at" in log
    assert "of io_error" in log
    assert "taken out of every RAID mirror, so that it damages no more data." in log
    assert "could not be cleared: take the disk out before the next boot" in log
    assert "Machine rebooted successfully" in log
    assert serials(pristine) == {SECOND, THIRD}
    assert pristine.guest.run("cat /proc/mdstat").count("[3/2]") == 2

    pristine.guest.run("sysctl -w dev.raid.speed_limit_max=20000")  # to be watched
    log = by_hand(
        pristine, "raid-replace-disk", f"put disk {NEW} in its place",
        lambda: disk(pristine, "insert", NEW, "--size", "5G"),
        old=OLD, new=NEW, like=SECOND,
    )  # fmt: skip
    assert "**Status:** Completed at" in log
    assert len(re.findall(r"Re-sync [0-9.]+% complete. \([0-9.]+MB/sec; done in", log)) > 1
    assert f"GRUB boot loader installed on disk {NEW}." in log
    assert pristine.guest.run("cat /proc/mdstat").count("[UUU]") == 2

    disk(pristine, "alone", NEW)
    pristine.guest.wait(lifecycle.BOOT_SECONDS)
    assert serials(pristine) == {NEW}
    assert pristine.guest.run("cat /proc/mdstat").count(" active raid1 ") == 2
    assert "/boot" in pristine.guest.run("findmnt -no TARGET /boot")


def test_a_disk_is_replaced_over_a_reboot_and_a_new_mirror_goes_to_the_volume_group(
    pristine: Lab,
) -> None:
    """A sound disk, whose copies are made unrecognisable; what was free becomes a third mirror."""
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")

    def swap() -> None:
        disk(pristine, "pull", OLD)
        disk(pristine, "insert", NEW, "--size", "5G")

    log = by_hand(
        pristine, "raid-replace-disk", f"put disk {NEW} in its place", swap,
        old=OLD, new=NEW, like=SECOND, third=THIRD, mirror="md2", size="100M", reboot="true",
        grace="5s", patience="25m",
    )  # fmt: skip
    assert "**Status:** Completed at" in log
    assert "Old copies on 2 partitions cleared." in log
    assert "Machine rebooted successfully" in log
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") != boot_id
    assert pristine.guest.run("cat /proc/mdstat").count("[UUU]") == 3
    assert pristine.guest.run("grep -c '^ARRAY' /etc/mdadm/mdadm.conf") == "3\n"
    assert pristine.guest.run("vgs --noheadings -o pv_name vg0").split() == ["/dev/md1", "/dev/md2"]
