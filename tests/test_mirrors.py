"""The state of mirrors, from the files of a real machine; and mdadm.conf, reconciled."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tastyops.domain.raid import progress, roster
from tastyops.domain.raid.definitions import reconcile_definitions
from tastyops.domain.raid.storage import Storage, disk_of_partition
from tastyops.errors import ProbeFailed
from tastyops.facts.disks import Device, Disks
from tastyops.facts.md import Array
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Change, Output, Probe

DEGRADED = """\
md0/md/level:raid1
md1/md/level:raid1
md0/md/metadata_version:1.0
md0/md/raid_disks:3
md1/md/raid_disks:3
md0/md/degraded:1
md1/md/degraded:1
md0/md/array_state:clean
md1/md/array_state:clean
md0/md/sync_action:recover
md1/md/sync_action:recover
md0/md/sync_completed:delayed
md1/md/sync_completed:517376 / 6752256
md0/md/sync_speed:0
md1/md/sync_speed:1068
md0/md/component_size:358336
md1/md/component_size:3376128
md0/md/bitmap/location:none
md1/md/bitmap/location:+8
md0/md/dev-sda1/state:in_sync
md0/md/dev-sdb1/state:spare
md0/md/dev-sdc1/state:faulty,write_error
md0/md/dev-sda1/slot:1
md0/md/dev-sdb1/slot:0
md0/md/dev-sdc1/slot:none
md0/md/dev-sdc1/bad_blocks:15826 2
"""


def arrays(text: str) -> tuple[Array, ...]:
    found = parse("arrays", Output(0, Blob.of(text.encode())))
    assert isinstance(found, tuple)
    return found


def test_a_delayed_array_waits_and_a_moving_one_has_a_rate() -> None:
    md0, md1 = arrays(DEGRADED)
    assert (md0.delayed, md0.waiting, md0.syncing, md0.whole) == (True, True, True, False)
    assert (md1.waiting, md1.done, md1.total, md1.speed) == (False, 517376, 6752256, 1068)
    assert [member.device for member in md0.in_sync] == ["sda1"]
    assert [member.device for member in md0.members if member.faulty] == ["sdc1"]
    assert [member.device for member in md0.members if member.bad_blocks] == ["sdc1"]
    assert (md0.bitmap, md1.bitmap) == (False, True)


def test_progress_of_several_adds_up() -> None:
    parts = [progress.of_array(array) for array in arrays(DEGRADED)]
    together = progress.combine(parts)
    assert together.total == 358336 + 6752256 / 2
    assert together.percent == pytest.approx(100 * 258688 / together.total)
    assert parts[0].describe() == "0.0%, waits for its turn"
    assert parts[1].describe() == "7.7% at 1.1 MB/s, ETA 49m"


def test_idle_is_not_whole_while_degraded_nor_before_a_resync_began() -> None:
    idle = DEGRADED.replace("recover", "idle").replace("delayed", "none")
    assert not any(array.whole for array in arrays(idle))
    pending = "md0/md/level:raid1\nmd0/md/degraded:0\nmd0/md/array_state:read-auto\n"
    assert arrays(pending)[0].whole
    assert not arrays(pending + "md0/md/resync_start:0\n")[0].whole


def test_bad_blocks_not_yet_acknowledged_make_a_member_unfit() -> None:
    blocked = DEGRADED.replace("md0/md/dev-sda1/state:in_sync", "md0/md/dev-sda1/state:faulty,in_sync")
    assert not arrays(blocked)[0].in_sync


def test_a_member_that_vanished_while_it_was_read_is_not_in_sync() -> None:
    assert not arrays(DEGRADED.replace("md0/md/dev-sda1/state:in_sync\n", ""))[0].in_sync


@pytest.mark.parametrize(
    "line",
    ["md0/md/degraded:many", "md0/md/level:raid1\x1b[2J", "sda/md/level:raid1", "md0 : active"],
)
def test_what_cannot_be_understood_is_no_fact(line: str) -> None:
    with pytest.raises(ProbeFailed):
        arrays(f"{line}\nmd0/md/array_state:clean\n")


def test_an_array_whose_state_is_not_told_is_no_fact() -> None:
    with pytest.raises(ProbeFailed):
        arrays("md0/md/level:raid1\nmd0/md/array_state:clean\n")


@pytest.mark.parametrize(
    ("partition", "disk"),
    [("sdb1", "sdb"), ("nvme0n1p2", "nvme0n1"), ("mmcblk0p1", "mmcblk0"), ("sdb", "sdb")],
)
def test_the_disk_of_a_partition_that_is_gone(partition: str, disk: str) -> None:
    assert disk_of_partition(partition) == disk


BOOT = Array("md0", "raid1", 2, 0, "clean", metadata="1.0")
SYSTEM = Array("md1", "raid1", 2, 0, "clean", metadata="1.2")
BOOT_UUID, SYSTEM_UUID = "6b616c696d646f72626f6f7400000000", "6b616c696d646f727379737465000001"
BOTH = [(BOOT, BOOT_UUID), (SYSTEM, SYSTEM_UUID)]
BOOT_LINE = "ARRAY /dev/md0 metadata=1.0 UUID=6b616c69:6d646f72:626f6f74:00000000\n"
SYSTEM_LINE = "ARRAY /dev/md1 metadata=1.2 UUID=6b616c69:6d646f72:73797374:65000001\n"


def test_definitions_are_appended_once_and_others_stay() -> None:
    others = "# mine\nHOMEHOST <system>\nARRAY /dev/md9 UUID=0:0:0:0\nMAILADDR root"
    once = reconcile_definitions(others, BOTH)
    assert once == f"{others}\n{BOOT_LINE}{SYSTEM_LINE}"
    assert reconcile_definitions(once, BOTH) == once


STALE = "ARRAY /dev/md0 UUID=01234567:89abcdef:01234567:89abcdef\n"
"""Of an array that is gone, with the name of one that runs."""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BOOT_LINE + BOOT_LINE + SYSTEM_LINE, BOOT_LINE + SYSTEM_LINE),
        ("ARRAY /dev/md0 devices=/dev/sda1,/dev/sdb1\n", BOOT_LINE + SYSTEM_LINE),
        (BOOT_LINE.replace("1.0", "0.90"), BOOT_LINE + SYSTEM_LINE),
        (BOOT_LINE.replace("md0", "md/boot"), BOOT_LINE.replace("md0", "md/boot") + SYSTEM_LINE),
        ("", BOOT_LINE + SYSTEM_LINE),
        (STALE, f"# stale: {STALE}{BOOT_LINE}{SYSTEM_LINE}"),
        (STALE + BOOT_LINE, f"# stale: {STALE}{BOOT_LINE}{SYSTEM_LINE}"),
        (STALE.replace("md0", "md/0"), f"# stale: {STALE.replace('md0', 'md/0')}{BOOT_LINE}{SYSTEM_LINE}"),
        (STALE.replace("/dev/md0", "0"), f"# stale: {STALE.replace('/dev/md0', '0')}{BOOT_LINE}{SYSTEM_LINE}"),
        (STALE.replace(" UUID", "\n  UUID"),
         f"# stale: ARRAY /dev/md0\n# stale:   {STALE.split()[2]}\n{BOOT_LINE}{SYSTEM_LINE}"),
        (f"# stale: {STALE}{BOOT_LINE}{SYSTEM_LINE}", f"# stale: {STALE}{BOOT_LINE}{SYSTEM_LINE}"),
        (STALE.replace("/dev/md0", "<ignore>"),
         f"{STALE.replace('/dev/md0', '<ignore>')}{BOOT_LINE}{SYSTEM_LINE}"),
        (STALE.replace("md0", "md9"), f"{STALE.replace('md0', 'md9')}{BOOT_LINE}{SYSTEM_LINE}"),
        (BOOT_LINE.replace("/dev/md0", "/dev/md1"), BOOT_LINE + SYSTEM_LINE),
    ],
    ids=["twice", "by its members", "other metadata", "another name", "none", "stale",
         "stale beside its own", "stale by number", "stale by bare number", "stale in two lines",
         "stale before", "ignored", "not running", "another's name"],
)
def test_definitions_are_reconciled(before: str, after: str) -> None:
    assert reconcile_definitions(before, BOTH) == after


WHOLE = """\
md0/md/level:raid1
md0/md/array_state:clean
md0/md/raid_disks:2
md0/md/degraded:0
md0/md/dev-sda1/state:in_sync
md0/md/dev-sda1/slot:0
md0/md/dev-sdb1/state:in_sync
md0/md/dev-sdb1/slot:1
"""
LACKING = WHOLE.replace("degraded:0", "degraded:1").partition("md0/md/dev-sdb1")[0]


@pytest.mark.parametrize(
    ("text", "exactly", "known", "kept"),
    [
        (WHOLE, False, "", ["D1", "D2"]),
        (WHOLE, False, "D1\nD2\nD9\n", None),
        (WHOLE, True, "D1\nD2\nD9\n", ["D1", "D2"]),
        (WHOLE, True, "D1\nD2\n", None),
        (LACKING, True, "D1\nD2\n", None),  # D2 may be the one that is missing
        (LACKING, True, "D9\n", ["D1"]),
    ],
)
def test_the_disks_of_mirrors_are_remembered(
    text: str, exactly: bool, known: str, kept: list[str] | None
) -> None:
    rows = [
        Device(name, name, f"/dev/{name}", kind, 1, serial, parents=above)
        for name, kind, serial, above in (
            ("sda", "disk", "D1", ()), ("sda1", "part", "", ("sda",)),
            ("sdb", "disk", "D2", ()), ("sdb1", "part", "", ("sdb",)),
        )
    ]  # fmt: skip
    steps = roster.record_serials(Storage(arrays(text), Disks(tuple(rows))), exactly=exactly)
    probe = next(steps)
    assert isinstance(probe, Probe)
    try:
        change = steps.send(parse(probe.parser, Output(0, Blob.of(known.encode()))))
    except StopIteration:
        change = None
    assert (change.argv[5:] if isinstance(change, Change) else None) == (
        tuple(kept) if kept else None
    )


def test_a_longer_sync_is_not_looked_at_more_often() -> None:
    lefts = [progress.Progress(0, total, 20000).left or 0 for total in (1e6, 1e8, 1e9)]
    assert all(shorter < longer for shorter, longer in pairwise(lefts))
