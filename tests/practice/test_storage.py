"""The modelled disks, mirrors, volumes and filesystems, read like those of a real host."""

from __future__ import annotations

import json

import pytest

from tastyops.facts.disks import BLOCK_DEVICES, Disks
from tastyops.facts.md import ARRAYS, Array
from tastyops.practice.machine import Machine
from tests.practice.driver import until, up
from tests.practice.test_machine import ask, change, run


def arrays(machine: Machine) -> dict[str, Array]:
    found = ask(machine, ARRAYS)
    assert isinstance(found, tuple)
    return {array.name: array for array in found}


def disks(machine: Machine) -> Disks:
    found = ask(machine, BLOCK_DEVICES)
    assert isinstance(found, Disks)
    return found


def test_three_mirrors_all_whole(machine: Machine) -> None:
    found = arrays(machine)
    assert {name: (a.wanted, a.degraded, a.metadata) for name, a in found.items()} == {
        "md0": (2, 0, "1.2"),
        "md6": (3, 0, "1.0"),
        "md7": (3, 0, "1.2"),
    }
    assert all(array.whole and not array.out_of_scope for array in found.values())
    assert [member.device for member in found["md0"].in_sync] == ["sda3", "sdc3"]


def test_a_disk_is_found_by_its_serial_with_all_that_lies_on_it(machine: Machine) -> None:
    found = disks(machine)
    (disk,) = found.named("PRACTICE-B")
    assert (disk.path, disk.table, disk.sector) == ("/dev/sdb", "dos", 512)
    assert {device.path for device in found.on("sdb")} >= {"/dev/sdb1", "/dev/md6", "/dev/md7"}
    (a,) = found.named("PRACTICE-A")
    assert found.whole("sda3") == a
    mounted = {place for device in found.on("sda") for place in device.mountpoints}
    assert mounted == {"/", "/boot", "/home", "/var", "/vol/recover"}


def test_a_member_is_failed_removed_and_rebuilt(machine: Machine) -> None:
    change(machine, "mdadm", "--manage", "/dev/md6", "--fail", "/dev/sdb1")
    md6 = arrays(machine)["md6"]
    member = md6.member("sdb1")
    assert member
    assert member.faulty
    assert md6.degraded == 1
    assert "sdb1[1](F)" in machine.execute(["cat", "/proc/mdstat"]).out.decode()
    change(machine, "mdadm", "--manage", "/dev/md6", "--remove", "/dev/sdb1")
    assert arrays(machine)["md6"].member("sdb1") is None
    change(machine, "mdadm", "--zero-superblock", "/dev/sdb1")
    change(machine, "mdadm", "--manage", "/dev/md6", "--add", "/dev/sdb1")
    syncing = arrays(machine)["md6"]
    assert (syncing.action, syncing.total) == ("recover", syncing.size * 2)
    assert "recovery =" in machine.execute(["cat", "/proc/mdstat"]).out.decode()
    until(machine, lambda: arrays(machine)["md6"].whole)


def test_two_resyncs_of_one_disk_take_turns(machine: Machine) -> None:
    for array, device in (("md6", "sdb1"), ("md7", "sdb2")):
        change(machine, "mdadm", "--manage", f"/dev/{array}", "--fail", f"/dev/{device}")
        change(machine, "mdadm", "--manage", f"/dev/{array}", "--remove", f"/dev/{device}")
        change(machine, "mdadm", "--manage", f"/dev/{array}", "--add", f"/dev/{device}")
    found = arrays(machine)
    assert not found["md6"].delayed
    assert found["md7"].delayed
    assert found["md7"].waiting
    until(machine, lambda: arrays(machine)["md6"].whole)
    assert not arrays(machine)["md7"].delayed


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["mdadm", "--manage", "/dev/md6", "--remove", "/dev/sda1"], "Device or resource busy"),
        (["mdadm", "--manage", "/dev/md6", "--add", "/dev/sda1"], "Device or resource busy"),
        (["mdadm", "--zero-superblock", "/dev/sda1"], "not zeroing"),
    ],
)
def test_what_md_itself_refuses(machine: Machine, argv: list[str], said: str) -> None:
    status, _, err = run(machine, *argv)
    assert status != 0
    assert said in err


def test_md_keeps_the_last_member(machine: Machine) -> None:
    change(machine, "mdadm", "--manage", "/dev/md0", "--fail", "/dev/sda3")
    status, _, err = run(machine, "mdadm", "--manage", "/dev/md0", "--fail", "/dev/sdc3")
    assert (status, len(arrays(machine)["md0"].in_sync)) == (1, 1)
    assert "array will be failed" in err


def test_a_disk_with_errors_is_thrown_out_and_stays_out(machine: Machine) -> None:
    machine.system.storage.fail_disk("PRACTICE-C")
    found = arrays(machine)
    assert {name: array.degraded for name, array in found.items()} == {"md0": 1, "md6": 1, "md7": 1}
    errors = machine.execute(["cat", "/sys/block/sdc/device/ioerr_cnt"]).out.decode()
    assert int(errors, 16) > 0
    machine.power.cycle()
    until(machine, lambda: up(machine))
    assert arrays(machine)["md7"].member("sdc2") is None


def test_an_unknown_use_of_a_storage_program_is_refused_loudly(machine: Machine) -> None:
    for argv in (["mdadm", "--monitor"], ["lsblk"], ["findmnt"], ["lvs"], ["xfs_repair", "-L", "x"]):
        status, _, err = run(machine, *argv)
        assert (status, "is not modelled" in err) == (127, True), argv


def test_volumes_report_as_lvm_does(machine: Machine) -> None:
    words = ("--reportformat", "json", "--units", "b", "--nosuffix", "--options")
    _, out, _ = run(machine, "vgs", *words, "vg_name,vg_extent_size,vg_free_count,vg_extent_count")
    (group,) = json.loads(out)["report"][0]["vg"]
    assert group["vg_name"] == "volume"
    assert int(group["vg_extent_count"]) * int(group["vg_extent_size"]) // 2**30 == 232  # the seed's
    before = int(group["vg_free_count"])
    change(machine, "lvextend", "--size", "+4096m", "/dev/volume/var")
    _, out, _ = run(machine, "vgs", *words, "vg_free_count")
    assert int(json.loads(out)["report"][0]["vg"][0]["vg_free_count"]) == before - 1024
    status, _, err = run(machine, "lvextend", "--size", "+900g", "/dev/volume/var")
    assert (status, "Insufficient free space" in err) == (5, True)


def test_a_filesystem_grows_with_its_volume(machine: Machine) -> None:
    def size() -> int:
        columns = "TARGET,SIZE,USED,AVAIL"
        _, out, _ = run(
            machine, "findmnt", "--json", "--bytes", "--output", columns, "--mountpoint", "/var"
        )
        return int(json.loads(out)["filesystems"][0]["size"])

    before = size()
    change(machine, "lvextend", "--size", "+1024m", "/dev/mapper/volume-var")
    assert size() == before
    change(machine, "xfs_growfs", "/var")
    assert size() == before + 2**30


def test_a_check_refuses_a_mounted_filesystem_and_repairs_another(machine: Machine) -> None:
    status, _, err = run(machine, "xfs_repair", "-n", "/dev/mapper/volume-recover")
    assert (status, "contains a mounted filesystem" in err) == (1, True)
    change(machine, "umount", "/vol/recover")
    filesystem = machine.system.storage.mounts.filesystem("/dev/mapper/volume-recover")
    assert filesystem
    filesystem.damage = ["agf_freeblks 1234, counted 1239 in ag 0"]
    assert run(machine, "xfs_repair", "-n", "/dev/mapper/volume-recover")[0] == 1
    change(machine, "xfs_repair", "/dev/mapper/volume-recover")
    assert run(machine, "xfs_repair", "-n", "/dev/mapper/volume-recover")[0] == 0
    change(machine, "mount", "/vol/recover")
    assert machine.system.storage.mounts.places(filesystem.device) == ["/vol/recover"]


def test_what_is_in_use_cannot_be_unmounted(machine: Machine) -> None:
    status, _, err = run(machine, "umount", "/home")
    assert (status, "target is busy" in err) == (32, True)
