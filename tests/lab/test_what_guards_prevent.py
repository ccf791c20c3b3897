"""What happens to a real machine without the guards, where showing it harms nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.lab import lifecycle
from tests.lab.machine import SESSION_SECONDS, Lab, until
from tests.lab.test_disks import HALF_A_MIRROR, NEW, OLD, SECOND, TABLE, THIRD, disk
from tests.lab.test_raid import book, device, said_by

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

SYSTEM = "/sys/block/md1/md"


def mdadm(lab: Lab, array: str, *words: str) -> str:
    return lab.guest.run(f"mdadm /dev/{array} {' '.join(words)} 2>&1")


def idle(lab: Lab, array: str) -> None:
    path = f"/sys/block/{array}/md/sync_action"
    until(lambda: lab.guest.run(f"cat {path}") == "idle\n", 900, f"{array} is idle")


def differences(lab: Lab) -> int:
    """Sectors in which the halves of md1 differ, by md's own check."""
    idle(lab, "md1")
    lab.guest.run(f"echo check > {SYSTEM}/sync_action")
    idle(lab, "md1")
    return int(lab.guest.run(f"cat {SYSTEM}/mismatch_cnt"))


def test_mdadm_takes_garbage_back_and_a_full_rebuild_does_not(
    pristine: Lab, tmp_path: Path
) -> None:
    """``mdadm --add`` re-adds by the bitmap: what a bad channel wrote meanwhile stays."""
    part = f"/dev/{device(pristine, THIRD)}2"
    mdadm(pristine, "md1", "--fail", part)
    until(lambda: "removed" in mdadm(pristine, "md1", "--remove", part), 60, "it is removed")
    megabytes = int(pristine.guest.run(f"blockdev --getsize64 {part}")) // (1 << 20)
    pristine.guest.run(  # past the last volume, so that nobody reads it
        f"dd if=/dev/urandom of={part} bs=1M seek={megabytes - 20} count=1 oflag=direct"
    )
    assert "re-added" in mdadm(pristine, "md1", "--add", part)
    assert differences(pristine) > 0

    said = said_by(
        pristine,
        book(tmp_path, f"raid.drop: {{disk: {THIRD}, suspect: true}}", f"raid.add: {THIRD}",
             "raid.watch:", "raid.status: {whole: true}"),
        timeout=1800,
    )  # fmt: skip
    assert said.endswith("exit 0"), said
    assert differences(pristine) == 0


def test_a_mirror_without_its_last_good_member_takes_no_writes(
    pristine: Lab, tmp_path: Path
) -> None:
    for serial in (SECOND, THIRD):
        mdadm(pristine, "md0", "--fail", f"/dev/{device(pristine, serial)}1")
    last = f"/dev/{device(pristine, OLD)}1"
    write = "echo so > /boot/written && sync -f /boot/written && echo kept || echo lost"
    assert pristine.guest.run(write) == "kept\n"
    said = said_by(pristine, book(tmp_path, f"raid.drop: {OLD}"))
    assert said.endswith("exit 1"), said
    assert f"{last} is the last member of /dev/md0 that is in sync" in said
    assert pristine.guest.run(write) == "kept\n"
    pristine.guest.run(f"mdadm /dev/md0 --fail {last} || true")
    assert pristine.guest.run(f"({write}) 2>/dev/null") == "lost\n"


def test_a_copy_that_is_not_forgotten_comes_up_with_old_data(pristine: Lab, tmp_path: Path) -> None:
    said = said_by(pristine, book(tmp_path, f"raid.drop: {OLD}"))
    assert said.endswith("exit 0"), said
    pristine.guest.run("echo new > /home/visitor/letter; sync")
    disk(pristine, "alone", OLD)
    pristine.guest.wait(lifecycle.BOOT_SECONDS)
    assert pristine.guest.run("cat /home/visitor/letter 2>&1 || true").endswith(
        "No such file or directory\n"
    )


def test_an_old_mirrors_half_comes_to_life_with_a_partition_around_it(
    pristine: Lab, tmp_path: Path
) -> None:
    disk(pristine, "insert", NEW)
    until(lambda: device(pristine, NEW) != "", 60, "the guest notices the new disk")
    path = f"/dev/{device(pristine, NEW)}"
    pristine.guest.run(f"{HALF_A_MIRROR.format(new=path)}; udevadm settle")
    part = path.removeprefix("/dev/") + "1"
    assert part not in pristine.guest.run("cat /proc/mdstat")
    said = said_by(
        pristine, book(tmp_path, f"disk.partition_like: {{disk: {NEW}, like: {SECOND}}}")
    )
    assert said.endswith("exit 1"), said
    assert "old data lies where partition 1 would be: linux_raid_member" in said
    assert part not in pristine.guest.run("cat /proc/mdstat")
    pristine.guest.run(f"{TABLE.format(new=path)}; udevadm settle")
    until(lambda: part in pristine.guest.run("cat /proc/mdstat"), 60, "md takes it for its own")
