"""Every name udev gives a disk leads to that disk, as udev confirms, or to a refusal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tastyops.domain.storage.disks import find_disk, uses
from tastyops.errors import Refused
from tastyops.facts.disk_use import DeviceHolders, holders
from tastyops.facts.disks import Device, Disks
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output, Probe


def answer(out: str) -> Output:
    return Output(0, Blob.of(out.encode()))


def disk(kname: str, serial: str = "", wwn: str = "", **more: Any) -> dict[str, Any]:
    row = {
        "kname": kname,
        "path": f"/dev/{kname.replace('!', '/')}",
        "type": "disk",
        "size": 10**12,
    }
    return row | {"serial": serial, "wwn": wwn} | more


def part(kname: str, fstype: str, *places: str, **more: Any) -> dict[str, Any]:
    row = {"kname": kname, "path": f"/dev/{kname}", "type": "part", "size": 10**11}
    return row | {"fstype": fstype, "mountpoints": list(places)} | more


def listed(*rows: dict[str, Any]) -> Disks:
    found: Disks = parse("block_devices", answer(json.dumps({"blockdevices": rows})))
    return found


HOST = listed(
    disk("sda", "ZA1B2C3D", "0x5000c500deadbe01", children=[part("sda1", "ext4")]),
    disk("sdb", "WD-WX 1A 22", "0x50014ee2bc3d4e5f"),
    disk("sdc", "4C530001", ""),
    disk("nvme0n1", "S4EVNX0M123456", "eui.0025385b71b0a1c2"),
    disk("nvme1n1", "2042E4A1", "uuid.6e1f8a52-5b6c-4d0e-9f27-3f6f1c2b7a90"),
    disk("vda", "data-volume-01", ""),
    disk("mmcblk0", "0x1b2c3d4e", ""),
    disk("cciss!c0d0", "P57820A9VUN00G", "0x600508b1001030364142373130303000"),
)
CLAIMS = """\
/dev/sda disk/by-id/ata-ST1000NM0033_ZA1B2C3D disk/by-id/wwn-0x5000c500deadbe01 disk/by-id/scsi-35000c500deadbe01 disk/by-id/scsi-SATA_ST1000NM0033_ZA1B2C3D disk/by-id/scsi-1ATA_ST1000NM0033_ZA1B2C3D disk/by-path/pci-0000:00:1f.2-ata-1
/dev/sda1 disk/by-id/ata-ST1000NM0033_ZA1B2C3D-part1 disk/by-id/wwn-0x5000c500deadbe01-part1
/dev/sdb disk/by-id/ata-WDC_WD10EZEX_WD-WX_1A_22 disk/by-id/wwn-0x50014ee2bc3d4e5f
/dev/sdc disk/by-id/usb-SanDisk_Ultra_4C530001-0:0
/dev/nvme0n1 disk/by-id/nvme-eui.0025385b71b0a1c2 disk/by-id/nvme-SAMSUNG_MZVLB512_S4EVNX0M123456 disk/by-id/nvme-SAMSUNG_MZVLB512_S4EVNX0M123456_1
/dev/nvme1n1 disk/by-id/nvme-uuid.6e1f8a52-5b6c-4d0e-9f27-3f6f1c2b7a90 disk/by-id/nvme-CT1000_2042E4A1_1
/dev/vda disk/by-id/virtio-data-volume-01
/dev/mmcblk0 disk/by-id/mmc-SD32G_0x1b2c3d4e
/dev/cciss/c0d0 disk/by-id/scsi-3600508b1001030364142373130303000
"""


def found(name: str, host: Disks = HOST, claims: str = CLAIMS) -> Device:
    steps = find_disk(host, name)
    try:
        command = next(steps)
        while True:
            assert isinstance(command, Probe)
            assert command.argv[3] == "udev-names"
            command = steps.send(parse(command.parser, answer(claims)))
    except StopIteration as end:
        device: Device = end.value
        return device


@pytest.mark.parametrize(
    ("name", "kname"),
    [
        ("ZA1B2C3D", "sda"),
        ("/dev/disk/by-id/ata-ST1000NM0033_ZA1B2C3D", "sda"),
        ("scsi-35000c500deadbe01", "sda"),
        ("scsi-SATA_ST1000NM0033_ZA1B2C3D", "sda"),
        ("scsi-1ATA_ST1000NM0033_ZA1B2C3D", "sda"),
        ("wwn-0x5000c500deadbe01", "sda"),
        ("0x5000C500DEADBE01", "sda"),
        ("WD-WX 1A 22", "sdb"),
        ("WD-WX_1A_22", "sdb"),
        ("ata-WDC_WD10EZEX_WD-WX 1A 22", "sdb"),
        ("usb-SanDisk_Ultra_4C530001-0:0", "sdc"),
        ("nvme-eui.0025385b71b0a1c2", "nvme0n1"),
        ("eui.0025385b71b0a1c2", "nvme0n1"),
        ("nvme-SAMSUNG_MZVLB512_S4EVNX0M123456", "nvme0n1"),
        ("nvme-SAMSUNG_MZVLB512_S4EVNX0M123456_1", "nvme0n1"),
        ("nvme-uuid.6e1f8a52-5b6c-4d0e-9f27-3f6f1c2b7a90", "nvme1n1"),
        ("nvme-CT1000_2042E4A1_1", "nvme1n1"),
        ("virtio-data-volume-01", "vda"),
        ("data-volume-01", "vda"),
        ("mmc-SD32G_0x1b2c3d4e", "mmcblk0"),
        ("scsi-3600508b1001030364142373130303000", "cciss!c0d0"),
    ],
)
def test_a_name_leads_to_its_disk(name: str, kname: str) -> None:
    assert found(name).kname == kname


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "no disk is named"),
        ("sda", "may name another disk after the next boot; name the disk by its serial number: say ZA1B2C3D"),
        ("/dev/nvme0n1", "may name another disk after the next boot; name the disk by its serial number: say S4EVNX0M123456"),
        ("ata-ST1000NM0033_ZA1B2C3D-part1", "is /dev/sda1, which is not a disk: say ZA1B2C3D"),
        ("/dev/disk/by-id/wwn-0x5000c500deadbe01-part1", "is /dev/sda1, which is not a disk"),
        ("/dev/sda1", "is /dev/sda1, which is not a disk: say ZA1B2C3D"),
        ("ZA1B2C3", "no disk is named ZA1B2C3 "),
        ("ata-OTHER_ZA1B2C3D", "no disk is named"),  # ends as a serial number does
        ("/dev/disk/by-id/ZA1B2C3D", "no disk is named"),
        ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "no disk is named"),
        ("nvme-eui.ffffffffffffffff", "no disk is named"),
    ],
)
def test_a_name_that_is_no_disk_s(name: str, why: str) -> None:
    with pytest.raises(Refused, match=why.replace("(", r"\(")):
        found(name)


def test_a_name_that_two_devices_claim_is_nobody_s() -> None:
    """udev's link leads to one of them only."""
    two = listed(disk("sde", "DD564198"), disk("sdf", "DD564198"))
    claims = (
        "/dev/sde disk/by-id/usb-JMicron_DD564198-0:0\n"
        "/dev/sdf disk/by-id/usb-JMicron_DD564198-0:0\n"
    )
    with pytest.raises(Refused, match="2 disks are called usb-JMicron_DD564198-0:0"):
        found("usb-JMicron_DD564198-0:0", two, claims)


PATHS = [
    disk("sdg", "3600a0980383", "0x600a098038303053"),
    disk("sdh", "3600a0980383", "0x600a098038303053"),
]
JOINED = {"kname": "dm-4", "path": "/dev/mapper/mpathb", "type": "mpath", "size": 10**12}


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (PATHS, "3600a0980383"),
        (PATHS, "0x600a098038303053"),
        (PATHS, "wwn-0x600a098038303053"),
        (PATHS, "scsi-3600a098038303053"),
        ([{**row, "wwn": "", "children": [JOINED]} for row in PATHS], "3600a0980383"),
        ([{**row, "children": [JOINED]} for row in PATHS], "dm-uuid-mpath-3600a098038303053"),
    ],
)
def test_two_paths_are_one_disk(rows: list[dict[str, Any]], name: str) -> None:
    """udev's link leads to one path; the disk has the other all the same."""
    claims = (
        "/dev/sdg\n/dev/sdh disk/by-id/scsi-3600a098038303053"
        " disk/by-id/dm-uuid-mpath-3600a098038303053\n"
    )
    with pytest.raises(Refused, match=r"one disk with 2 paths \(/dev/sdg, /dev/sdh"):
        found(name, listed(*rows), claims)


def test_disks_of_different_sizes_are_not_two_paths() -> None:
    """Behind cheap bridges, with one serial number and one WWN."""
    other = {**PATHS[1], "size": 2 * 10**12}
    with pytest.raises(Refused, match="2 disks are called 3600a0980383"):
        found("3600a0980383", listed(PATHS[0], other), "")


@pytest.mark.parametrize(
    ("fstype", "uuid", "mounted", "used"),
    [
        ("zfs_member", "", False, True),
        ("LVM2_member", "u", False, True),
        ("ceph_bluestore", "", False, True),
        ("drbd", "", False, True),
        ("crypto_LUKS", "u", False, True),
        ("BitLocker", "", False, True),
        ("bcache", "", False, True),
        ("vdo", "", False, True),
        ("DM_snapshot_cow", "", False, True),
        ("DM_integrity", "", False, True),
        ("mpath_member", "", False, True),
        ("isw_raid_member", "", False, True),
        ("btrfs", "u", True, True),
        ("btrfs", "", True, True),
        ("bcachefs", "u", True, True),
        ("btrfs", "other", True, False),
        ("btrfs", "u", False, False),
        ("ext4", "u", True, False),
        ("linux_raid_member", "u", False, False),
        ("", "", True, False),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_what_belongs_to_something_is_in_use(
    fstype: str, uuid: str, mounted: bool, used: bool, whole: bool
) -> None:
    """lsblk shows one mount point of a filesystem on several disks, and none of a pool's."""
    first = disk("sda", "ONE", children=[
        part("sda1", fstype, *(["/srv"] if mounted else []), uuid="u")])  # fmt: skip
    second = (
        disk("sdb", "TWO", fstype=fstype, uuid=uuid) if whole
        else disk("sdb", "TWO", children=[part("sdb1", fstype, uuid=uuid)])
    )  # fmt: skip
    host = listed(first, second)
    assert bool(uses(host, host.disks[1])) is used


def held(*paths: Path) -> DeviceHolders:
    """What the script of ``holders`` finds, run by a real shell."""
    argv = holders([str(path) for path in paths]).argv
    ran = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: DeviceHolders = parse("disk_holders", answer(ran.stdout))
    return found


def test_the_look_at_who_holds_a_disk_finds_a_process_and_what_is_not_there(tmp_path: Path) -> None:
    """On files: what only a block device does, the lab's test shows."""
    disk, missing = tmp_path / "disk", tmp_path / "missing"
    disk.touch()
    with disk.open("rb"):
        name = Path("/proc/self/comm").read_text().strip()
        found = held(disk, missing)
        assert found.opened == ((str(disk), f"{name} ({os.getpid()})"),)
        assert found.unknown == (str(missing),)
    assert held(disk) == DeviceHolders()
