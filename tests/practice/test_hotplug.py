"""Disks of the practice host: pulled, inserted, partitioned, made bootable, removed."""

from __future__ import annotations

import json

import pytest

from tastyops.actions.disk_identify import disk_identify
from tastyops.actions.raid_drop import raid_drop
from tastyops.errors import Refused
from tastyops.facts.boot_source import BOOT_SIDE, BootSide
from tastyops.facts.signatures import signatures
from tastyops.model.action import Facts
from tastyops.practice.hands import Hands, Helping
from tastyops.practice.machine import Machine
from tests.practice.conftest import Make
from tests.practice.driver import Driver
from tests.practice.test_machine import ask

SWAP = "Take disk PRACTICE-B out and put disk PRACTICE-D in its place."
SCAN = 'for host in /sys/class/scsi_host/host*/scan; do echo "- - -" > "$host"; done'
WRITE = ("sfdisk", "--quiet", "--wipe=always", "--wipe-partitions=always")


def drive(machine: Machine) -> Driver:
    return Driver(machine, Facts(host="kalimdor"))


def ran(machine: Machine, *argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
    outcome = machine.execute(argv, stdin)
    return outcome.status, outcome.out.decode(), outcome.err.decode()


def dropped(machine: Machine, *, serial: str = "b") -> None:
    for array, number in (("md6", 1), ("md7", 2)):
        for verb in ("--fail", "--remove"):
            assert ran(machine, "mdadm", "--manage", f"/dev/{array}", verb, f"sd{serial}{number}")[0] == 0


def serials(machine: Machine) -> dict[str, str]:
    rows = json.loads(ran(machine, "lsblk", "--json", "-b", "-o", "NAME,SERIAL")[1])
    return {row["name"]: row["serial"] for row in rows["blockdevices"]}


def test_a_disk_that_is_put_in_is_found_by_a_scan(machine: Machine) -> None:
    dropped(machine)
    assert ran(machine, "tee", "/sys/block/sdb/device/delete", stdin=b"1\n")[0] == 0
    assert "PRACTICE-B" not in serials(machine).values()
    assert machine.do_by_hand(SWAP)
    assert "PRACTICE-D" not in serials(machine).values()
    assert ran(machine, "sh", "-c", SCAN)[0] == 0
    assert serials(machine)["sdb"] == "PRACTICE-D"
    status, _, err = ran(machine, "sfdisk", "--json", "/dev/sdb")
    assert (status, "does not contain a recognized partition table" in err) == (1, True)


def test_a_disk_that_was_let_go_of_comes_back_with_a_scan(machine: Machine) -> None:
    dropped(machine)
    ran(machine, "tee", "/sys/block/sdb/device/delete", stdin=b"1\n")
    ran(machine, "sh", "-c", SCAN)
    assert serials(machine)["sdb"] == "PRACTICE-B"


def test_a_disk_that_is_pulled_while_it_is_used_leaves_failed_members(machine: Machine) -> None:
    assert machine.do_by_hand("Take disk PRACTICE-B out.")
    mdstat = ran(machine, "cat", "/proc/mdstat")[1]
    assert "sdb1[1](F)" in mdstat
    assert "[3/2] [U_U]" in mdstat


def test_a_disk_that_was_pulled_is_identified_and_not_guessed(machine: Machine) -> None:
    driver = drive(machine)
    assert machine.do_by_hand("Take disk PRACTICE-B out.")
    with pytest.raises(Refused, match=r"nothing on this host tells .* with `was: sdb`"):
        driver.run(raid_drop, disk="PRACTICE-B", absent=True)
    with pytest.raises(Refused, match="no disk is missing at sdc"):
        driver.run(raid_drop, disk="PRACTICE-B", absent=True, was="sdc")
    gone = driver.run(raid_drop, disk="PRACTICE-B", absent=True, was="sdb")
    assert gone
    assert (gone["present"], gone["removed"]) == (False, ["/dev/sdb1", "/dev/sdb2"])


def test_a_disk_that_the_host_remembers_may_be_gone(machine: Machine) -> None:
    """It left its mirrors in an earlier run, and then the machine."""
    assert drive(machine).run(raid_drop, disk="PRACTICE-B")
    assert machine.do_by_hand("Take disk PRACTICE-B out.")
    with pytest.raises(Refused, match="no disk is named PRACTICE-8"):
        drive(machine).run(raid_drop, disk="PRACTICE-8", absent=True)
    gone = drive(machine).run(raid_drop, disk="PRACTICE-B", absent=True)
    assert gone
    assert (gone["present"], gone["changed"]) == (False, False)


def test_udev_s_names_lead_to_a_disk_of_the_practice_host(machine: Machine) -> None:
    links = [disk.links for disk in machine.system.storage.disks]
    for disk, names in zip(list(machine.system.storage.disks), links, strict=True):
        for name in names:
            found = drive(machine).run(disk_identify, disk=name)
            assert found
            assert found["serial"] == disk.serial


def test_a_disk_that_nobody_has_is_not_put_in_and_the_hands_do_not_answer(machine: Machine) -> None:
    text = "Take disk PRACTICE-B out and put disk WD-1 in its place."
    asked = {"question": "manual", "text": text, "host": "kalimdor"}
    hands = Hands(lambda host, text, *, wait: machine.do_by_hand(text))
    assert hands.answer(asked, over=lambda: False) is None


def test_hands_that_help_a_person_leave_the_answer_to_them() -> None:
    done: list[tuple[str, str, bool]] = []

    def deed(host: str, text: str, *, wait: bool) -> bool:
        done.append((host, text, wait))
        return True

    asked = {"question": "manual", "text": SWAP, "host": "kalimdor"}
    assert Helping(Hands(deed)).answer(asked, over=lambda: False) is None
    assert Helping(Hands(deed)).answer({"question": "confirm"}, over=lambda: False) is None
    assert done == [("kalimdor", SWAP, False)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/dev/sdb1 : start=2048, size=2048, type=fd", "no-one is using this disk"),
        ("/dev/sdb3 : start=2048, size=2048, type=fd", "Sector 2048 already used"),
        ("/dev/sdb3 : start=2048, size=999999999999, type=fd", "Numerical result out of range"),
        ("/dev/sdb2 : start=2048, size=2048, type=fd", "Invalid argument"),
    ],
)
def test_sfdisk_refuses_what_cannot_be(machine: Machine, line: str, why: str) -> None:
    append = ("sfdisk", "--quiet", "--append", "--no-reread", "--wipe-partitions=always")
    argv = WRITE if "sdb1" in line else append
    status, _, err = ran(machine, *argv, "/dev/sdb", stdin=f"{line}\n".encode())
    if argv == WRITE:
        assert (status, "FAILED" in err) == (1, True)
    else:
        assert (status, why in err) == (1, True), err


def test_a_table_that_is_written_is_known_to_the_kernel(machine: Machine) -> None:
    dropped(machine)
    table = b"label: dos\nunit: sectors\n\n/dev/sdb1 : start=4096, size=8192, type=fd\n"
    assert ran(machine, *WRITE, "/dev/sdb", stdin=table)[0] == 0
    assert ran(machine, "cat", "/sys/class/block/sdb1/start")[1] == "4096\n"
    told = json.loads(ran(machine, "sfdisk", "--json", "/dev/sdb")[1])["partitiontable"]
    assert [(p["start"], p["size"], p["type"]) for p in told["partitions"]] == [(4096, 8192, "fd")]
    assert not ask(machine, signatures("/dev/sdb1"))


def test_what_no_partition_covers_any_more_is_found_where_it_lay(machine: Machine) -> None:
    dropped(machine)
    table = b"label: dos\nunit: sectors\n\n/dev/sdb1 : start=4096, size=8192, type=fd\n"
    ran(machine, *WRITE, "/dev/sdb", stdin=table)
    probe = ("blkid", "--probe", "--offset=1048576", "--size=9000000", "--output=value")
    assert ran(machine, *probe, "--match-tag=TYPE", "/dev/sdb")[:2] == (0, "linux_raid_member\n")


def test_a_cleared_member_of_the_boot_mirror_is_a_filesystem_until_it_is_wiped(
    machine: Machine,
) -> None:
    reading = signatures("/dev/sdb1")
    assert ran(machine, "wipefs", "--all", "--quiet", "/dev/sdb1")[0] == 1
    dropped(machine)
    assert ask(machine, reading) == ("linux_raid_member", "ext4")
    assert ran(machine, "mdadm", "--zero-superblock", "/dev/sdb1")[0] == 0
    assert ask(machine, reading) == ("ext4",)
    assert ran(machine, "wipefs", "--all", "--quiet", "/dev/sdb1")[0] == 0
    assert ask(machine, reading) == ()


def test_nothing_is_read_of_a_disk_that_fails(make: Make) -> None:
    machine = make()
    machine.system.storage.fail_disk("PRACTICE-B")
    status, _, err = ran(machine, *signatures("/dev/sdb1").argv)
    assert (status, "Input/output error" in err) == (2, True)
    status, out, _ = ran(machine, "smartctl", "--json", "--all", "/dev/sdb")
    assert (status, json.loads(out)["smart_status"]["passed"]) == (8, False)
    assert ran(machine, "smartctl", "--json", "--all", "/dev/sda")[0] == 0


def test_the_boot_side_is_read_from_disks_and_mirrors_as_they_are(machine: Machine) -> None:
    before = ask(machine, BOOT_SIDE)
    assert isinstance(before, BootSide)
    assert before.degraded == {"md0": 0, "md6": 0, "md7": 0}
    assert {code.kind for code in before.codes.values()} == {"grub"}
    dropped(machine)
    machine.do_by_hand(SWAP)
    ran(machine, "sh", "-c", SCAN)
    after = ask(machine, BOOT_SIDE)
    assert isinstance(after, BootSide)
    assert after.degraded == {"md0": 0, "md6": 1, "md7": 1}
    assert set(after.members["md6"]) == {"sda1", "sdc1"}
    assert after.codes["sdb"].kind == "none"
