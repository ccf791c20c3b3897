"""Names and uses of disks on the real machine: udev's names, missing disks, hidden use."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until
from tests.lab.test_disks import (
    NEW,
    OLD,
    SECOND,
    THIRD,
    device,
    disk,
    page,
    plain,
    runbook,
    serials,
)

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

DROP = ROOT / "runbooks/raid-drop-disk.yml"


def transcript(lab: Lab) -> str:
    """What the log reports, without the announcement, which names the drop as planned."""
    return page(lab).partition("## Transcript")[2]


def said(lab: Lab, path: Path, *words: str) -> str:
    return plain(lab.run(path, *words, timeout=1200))


def test_every_name_of_udevs_leads_to_its_disk(pristine: Lab, tmp_path: Path) -> None:
    links = pristine.guest.run(
        "cd /dev/disk/by-id; for n in *; do echo $n $(readlink -f $n); done"
    ).split("\n")
    wholes = [line.split() for line in links if line and "-part" not in line and "/sd" in line]
    assert len(wholes) >= 3
    steps = [
        f'disk.identify: {{disk: "{name}"}}\n        log: "{name} is {{{{ result.device }}}}."'
        for name, _ in wholes
    ]
    told = said(pristine, runbook(tmp_path, *steps))
    assert told.endswith("exit 0"), told
    for name, path in wholes:
        assert f"{name} is {path}." in page(pristine)
    part = next(line.split()[0] for line in links if "-part1" in line)
    told = said(pristine, runbook(tmp_path, f"disk.identify: {part}"))
    assert told.endswith("exit 1"), told
    assert "which is not a disk: say LAB-DISK-" in told


@pytest.mark.parametrize(
    ("hold", "why"),
    [
        ("exec 9</dev/{disk}; exec sleep 600", "is held open by sleep"),
        (
            "exec perl -e 'use Fcntl; sysopen(F, q(/dev/{disk}), O_RDWR | O_EXCL); sleep 600'",
            "is claimed by the kernel",
        ),
    ],
    ids=["open", "claimed"],
)
def test_a_disk_that_lsblk_shows_as_unused_is_in_use(
    pristine: Lab, tmp_path: Path, hold: str, why: str
) -> None:
    disk(pristine, "insert", NEW)
    until(lambda: NEW in serials(pristine), 60, "the guest notices the new disk")
    kname = device(pristine, NEW).removeprefix("/dev/")
    script = hold.format(disk=kname).replace("'", "'\\''")
    pristine.guest.run(f"systemd-run --quiet --unit=holder sh -c '{script}'")
    until(
        lambda: "sleep" in pristine.guest.run("cat /proc/$(systemctl show -P MainPID holder)/comm")
        or why.startswith("is claimed"), 30, "the holder runs",
    )  # fmt: skip
    detach = runbook(tmp_path, f"disk.detach: {NEW}")
    told = said(pristine, detach)
    assert told.endswith("exit 1"), told
    assert why in told
    assert NEW in serials(pristine)
    pristine.guest.run("systemctl stop holder")
    told = said(pristine, detach)
    assert told.endswith("exit 0"), told
    assert NEW not in serials(pristine)


def test_a_mistyped_serial_number_is_no_disk_that_is_gone(pristine: Lab) -> None:
    """With a slot empty, and with the disk out; then the right name is known and already so."""
    told = said(pristine, DROP, "--var", f"disk={THIRD}", "--var", "forget=false")
    assert told.endswith("exit 0"), told
    before = pristine.guest.run("cat /proc/mdstat")
    for name in ("LAB-DISC-3", "nvme-eui.0025380000000001", "/dev/disk/by-id/wwn-0x5000c5000000d3"):
        told = said(pristine, DROP, "--var", f"disk={name}")
        assert told.endswith("exit 1"), told
        assert f"no disk is named {name}" in told
        assert "taken out of every RAID mirror" not in transcript(pristine)
    disk(pristine, "pull", THIRD)
    until(lambda: THIRD not in serials(pristine), 60, "the guest notices that a disk was pulled")
    told = said(pristine, DROP, "--var", "disk=LAB-DISC-3")
    assert told.endswith("exit 1"), told
    told = said(pristine, DROP, "--var", f"disk={THIRD}")
    assert told.endswith("exit 0"), told
    log = transcript(pristine)
    assert f"Disk {THIRD} is no longer there; missing: slot" in log
    assert "is in no RAID mirror" in log
    assert "taken out of every RAID mirror" not in log
    assert pristine.guest.run("cat /proc/mdstat") == before


def test_a_disk_that_was_pulled_before_tastyops_knew_it_wants_its_place(pristine: Lab) -> None:
    disk(pristine, "pull", SECOND)
    until(lambda: SECOND not in serials(pristine), 60, "the guest notices that a disk was pulled")
    told = said(pristine, DROP, "--var", f"disk={SECOND}")
    assert told.endswith("exit 1"), told
    _, _, hint = told.partition("say where with `was: ")
    place = hint.partition("`")[0]
    assert place
    told = said(pristine, DROP, "--var", f"disk={SECOND}", "--var", f"was={place}")
    assert told.endswith("exit 0"), told
    assert (
        pristine.guest.run("grep -c faulty /sys/block/md*/md/dev-*/state || true").count(":1") == 0
    )


def test_a_member_that_was_thrown_out_is_no_gap(pristine: Lab) -> None:
    kname = device(pristine, THIRD).removeprefix("/dev/")
    pristine.guest.run(f"mdadm /dev/md0 --fail {kname}1")
    told = said(pristine, DROP, "--var", "disk=LAB-DISC-3")
    assert told.endswith("exit 1"), told
    assert f"is still there (disk {THIRD})" in told


def test_an_array_that_stops_is_reported_while_it_is_watched(pristine: Lab, tmp_path: Path) -> None:
    """The new member is pulled in the middle of its re-sync."""
    pristine.guest.run("sysctl -w dev.raid.speed_limit_max=5000 dev.raid.speed_limit_min=1000")
    added = said(pristine, runbook(tmp_path, f"raid.drop: {OLD}", f"raid.add: {OLD}"))
    assert added.endswith("exit 0"), added
    heard: list[str] = []
    watch = runbook(tmp_path, "raid.watch: {every: 2s}")
    run = threading.Thread(target=lambda: heard.append(said(pristine, watch)))
    run.start()
    until(lambda: "re-sync in progress" in page(pristine), 120, "the re-sync is watched")
    disk(pristine, "pull", OLD)
    run.join()
    assert heard[0].endswith("exit 1"), heard[0]
    assert "is not whole, and nothing re-syncs" in heard[0]


def test_what_was_recorded_of_disks_that_are_gone_does_not_stay(
    pristine: Lab, tmp_path: Path
) -> None:
    """debconf's empty list, a stale ARRAY line, and a place that is not there."""
    stale = "ARRAY /dev/md0 UUID=01234567:89abcdef:01234567:89abcdef"
    pristine.guest.run(
        "echo 'grub-pc grub-pc/install_devices multiselect ' | debconf-set-selections;"
        f" echo '{stale}' >> /etc/mdadm/mdadm.conf"
    )
    told = said(
        pristine,
        runbook(tmp_path, f"bootloader.install: {SECOND}", "raid.record: {initrds: false}"),
    )
    assert told.endswith("exit 0"), told
    answers = pristine.guest.run("debconf-show grub-pc | grep install_devices:")
    assert all(f"_{serial}" in answers for serial in (OLD, SECOND, THIRD)), answers
    conf = pristine.guest.run("cat /etc/mdadm/mdadm.conf")
    assert f"# stale: {stale}\n" in conf
    assert conf.count("\nARRAY ") + conf.startswith("ARRAY ") == 2
    told = said(pristine, runbook(tmp_path, "fs.unmount: /hmoe"))
    assert told.endswith("exit 1"), told
    assert "there is no /hmoe" in told
