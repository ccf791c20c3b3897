"""Hosts with unusual features: each is read or reported alone, and never hides the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tastyops.domain.storage.checking import judged
from tastyops.domain.storage.filesystem import checked_path
from tastyops.errors import Failed
from tastyops.facts.md import Array
from tastyops.facts.mounts import unmounted
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output


def output(out: str, status: int = 0, err: str = "") -> Output:
    return Output(status, Blob.of(out.encode()), Blob.of(err.encode()))


SOUND = """\
md0/md/level:raid1
md0/md/array_state:active
md0/md/raid_disks:2
md0/md/degraded:0
md0/md/sync_action:idle
md0/md/dev-sda1/state:in_sync
md0/md/dev-sda1/slot:0
md0/md/dev-sdb1/state:in_sync
md0/md/dev-sdb1/slot:1
"""


def odd(*lines: str) -> Array:
    """The second array of a host whose first is sound, and read as ever."""
    text = SOUND + "".join(f"md9/md/{line}\n" for line in lines)
    found: tuple[Array, ...] = parse("arrays", output(text))
    first, second = found
    assert (first.name, first.whole, first.out_of_scope) == ("md0", True, "")
    return second


MEMBER = ("dev-sdx1/state:spare", "dev-sdx1/slot:none")


@pytest.mark.parametrize(
    ("lines", "whole", "why"),
    [
        # a write journal's slot is a word
        (("level:raid5", "array_state:clean", "raid_disks:3", "degraded:0",
          "dev-nvme0n1p2/state:journal", "dev-nvme0n1p2/slot:journal"), True, "is raid5"),
        (("level:raid6", "array_state:active", "raid_disks:5 (4)", "degraded:0"), True, "raid6"),
        # no personality runs, so nothing is counted as missing
        (("level:raid1", "array_state:inactive", "raid_disks:2", *MEMBER), False, "inactive"),
        (("level:", "array_state:inactive", "raid_disks:0", *MEMBER), False, "inactive"),
        (("level:raid10", "array_state:inactive", "raid_disks:4"), False, "inactive"),
        (("level:container", "array_state:inactive", "metadata_version:external:imsm"), False,
         "container"),
        (("level:raid0", "array_state:clean", "raid_disks:2"), True, "raid0"),
        (("level:linear", "array_state:clean", "raid_disks:2"), True, "linear"),
        (("level:raid0", "array_state:broken", "raid_disks:2"), False, "raid0"),
        # what cannot be understood
        (("level:raid1", "array_state:active", "raid_disks:2", *MEMBER), False, "cannot be read"),
        (("level:raid1", "raid_disks:2", "degraded:0"), False, "cannot be read"),
        (("level:raid1", "array_state:active", "raid_disks:many", "degraded:0"), False,
         "cannot be read"),
        (("level:raid1", "array_state:clean", "raid_disks:2", "degraded:0",
          "sync_completed:half"), False, "cannot be read"),
        (("level:raid1", "array_state:clean", "raid_disks:2", "degraded:0",
          "dev-sdx1/state:In Sync!", "dev-sdx1/slot:0"), False, "cannot be read"),
        (("level:raid1", "array_state:clean", "raid_disks:2", "degraded:0",
          "dev-sdx1/state:in_sync", "dev-sdx1/slot:left"), False, "cannot be read"),
    ],
)  # fmt: skip
def test_one_odd_array_is_reported_and_the_others_are_read(
    lines: tuple[str, ...], whole: bool, why: str
) -> None:
    array = odd(*lines)
    assert array.whole is whole
    assert why in array.out_of_scope
    members = {line.partition("/")[0].removeprefix("dev-") for line in lines if "dev-" in line}
    assert {member.device for member in array.members} == members


def mounts(*targets: str) -> Any:
    rows = [{"target": each, "source": "x", "fstype": "xfs", "options": "rw"} for each in targets]
    return parse("filesystems", output(json.dumps({"filesystems": rows})))


@pytest.mark.parametrize(
    ("fstab", "place"),
    [
        ("/srv/", "/srv"), ("/srv//", "/srv"), ("//srv", "/srv"), ("/srv/./data", "/srv/data"),
        ("/srv//data/", "/srv/data"), ("/srv/old/../data", "/srv/data"), ("/./srv", "/srv"),
        ("/", "/"), ("//", "/"), ("/var/run/tasty", "/run/tasty"), ("/var/run/", "/run"),
        ("/var/lock", "/run/lock"), ("/srv/with blank/", "/srv/with blank"),
    ],
)  # fmt: skip
def test_a_mount_point_is_compared_as_a_place(fstab: str, place: str) -> None:
    assert unmounted(mounts(fstab), mounts(place)) == ()
    assert unmounted(mounts(fstab), mounts("/elsewhere")) == (place,)
    row = {"target": fstab, "source": "/dev/x", "fstype": "xfs", "options": "rw"}
    (entry,) = parse("fstab", output(json.dumps({"filesystems": [row]})))
    assert entry.target == place


@pytest.mark.parametrize(
    ("given", "path"), [("/home/", "/home"), ("/", "/"), ("//home", "/home"), ("/a/./b", "/a/b")]
)
def test_a_path_in_a_runbook_is_spelled_as_the_kernel_does(given: str, path: str) -> None:
    assert checked_path(given) == path


@pytest.mark.parametrize("path", ["home", "/home/../etc", "/..", "/home $(id)", "", "/a\nb"])
def test_a_path_that_will_not_do(path: str) -> None:
    with pytest.raises(Failed):
        checked_path(path)


TOO_OLD = "the program is older than the filesystem"
PHASE = "Phase 1 - find and verify superblock...\n"


@pytest.mark.parametrize(
    ("fstype", "status", "said", "why"),
    [
        ("xfs", 1, "Superblock has unknown compat/rocompat/incompat features (0x8/0x0/0x20).\n"
         "Using a more recent xfs_repair is recommended.\n", TOO_OLD),
        ("xfs", 1, "Found unsupported filesystem features.  Exiting now.\n", TOO_OLD),
        ("xfs", 1, "This filesystem contains features not understood by this program.\n", TOO_OLD),
        ("xfs", 1, "WARNING: this may be a newer XFS filesystem.\n", TOO_OLD),
        ("xfs", 1, "This filesystem has an external log.  Specify log device with the -l option.\n",
         "on another device"),
        ("xfs", 1, "This filesystem has a realtime subvolume.  Specify rt device with the -r"
         " option.\n", "on another device"),
        ("xfs", 1, "xfs_repair: Cannot allocate memory\n", "not enough memory"),
        ("xfs", 1, "fatal error -- malloc failed in init\n", "not enough memory"),
        ("xfs", 1, "fatal error -- Out of memory\n", "not enough memory"),
        ("xfs", 1, "xfs_repair: read failed: Input/output error\n", "cannot be read"),
        ("xfs", 1, "fatal error -- couldn't initialize XFS library\n", "could not check it"),
        ("xfs", 139, "", "could not check it"),
        ("ext4", 8, "/dev/vg0/x has unsupported feature(s): FEATURE_C16\n"
         "e2fsck: Get a newer version of e2fsck!\n", TOO_OLD),
        ("ext4", 8, "e2fsck: Bad magic number in super-block while trying to open /dev/x\n",
         "could not check it"),
        ("ext4", 16, "Usage: e2fsck [-panyrcdfktvDFV]\n", "could not check it"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", ["out", "err"])
def test_a_program_that_gives_up_has_found_nothing(
    fstype: str, status: int, said: str, why: str, stream: str
) -> None:
    ended = output(PHASE + said, status) if stream == "out" else output(PHASE, status, said)
    with pytest.raises(Failed, match=why.replace("(", r"\(")):
        judged(fstype, ended)


def test_damage_is_damage() -> None:
    said = "- 09:00:00: process known inodes\nbad CRC for inode 131\nwould clear inode 131\n"
    assert judged("xfs", output(PHASE + said, 1)).state == "damaged"


@pytest.mark.parametrize(
    "name",
    ["vg+data", "vg.data", "_vg", "+", "VG-1", "a" * 127, "9vg", "vg_+.-1", "lab+vg+2", "vg@home"],
)
def test_names_of_volume_groups(name: str) -> None:
    row = {"vg_name": name, "vg_extent_size": "4194304", "vg_free_count": "3", "vg_extent_count": 9}
    report = json.dumps({"report": [{"vg": [row]}]})
    if name == "vg@home":  # a name that LVM does not allow
        with pytest.raises(Exception, match="not a name LVM allows"):
            parse("volume_groups", output(report))
        return
    (group,) = parse("volume_groups", output(report))
    assert group.name == name


def test_a_physical_volume_that_is_gone_does_not_hide_the_others() -> None:
    rows = [{"pv_name": "[unknown]", "vg_name": "vg0", "pv_size": "1"},
            {"pv_name": "/dev/md1", "vg_name": "vg0", "pv_size": "2"}]  # fmt: skip
    found = parse("physical_volumes", output(json.dumps({"report": [{"pv": rows}]})))
    assert [each.device for each in found] == ["[unknown]", "/dev/md1"]


@pytest.mark.parametrize(
    ("value", "string", "count"),
    [
        (0, "0", 0), (17, "17", 17), (2**32 - 1, "4294967295", 2**32 - 1),
        (6442450944008, "8 (1500 0)", 8), (65537, "1 (0 1)", 1),
        (133143986184, "8 (Average 31)", 8), (87960930222085, "5/20480", 5),
        (4398046511104, "0/1024", 0), (2000, "0x0000000007d0", None), (3, "", None),
        (154618822656, "0 (0 36 0)", 0), (90, "1h+30m", None), (7, None, 7),
    ],
)  # fmt: skip
def test_a_count_packed_with_other_numbers(
    value: int, string: str | None, count: int | None
) -> None:
    raw = {"value": value} | ({} if string is None else {"string": string})
    told = {"device": {"protocol": "ATA"}, "smart_status": {"passed": True}}
    told["ata_smart_attributes"] = {"table": [{"id": each, "raw": raw} for each in (5, 197, 198)]}
    found = parse("smart", output(json.dumps(told)))
    assert (found.reallocated, found.pending, found.uncorrectable) == (count,) * 3
