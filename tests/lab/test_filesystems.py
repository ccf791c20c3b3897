"""Filesystems and volumes, really: damage found and mended, a full one grown, guards that refuse.

What a guard keeps from happening is shown too, where that harms nothing that is needed again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.lab.faults import FREE_HOME
from tastyops.lab.faults import HOME_USERS as FAULT_USERS
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]

CHECK = ROOT / "runbooks/filesystem-check.yml"
SINGLE_USER = ROOT / "runbooks/filesystem-check-single-user.yml"
GROW = ROOT / "runbooks/filesystem-grow.yml"
HOME_USERS = "serial-getty@ttyS1.service,user@1000.service,user@1001.service"

LOST = f"""
set -e; mkdir /home/old; echo letter >/home/old/a; echo draft >/home/old/b; {FREE_HOME}
xfs_db -x -c 'path /old' -c 'write -d core.mode 0' /dev/vg0/home >/dev/null
mount /home; systemctl start {FAULT_USERS}
"""
"""A directory in /home is none any more, so that what was in it has no name."""

WRITER = """\
[Unit]
Description=Needs room on /var
[Service]
ExecStart=/bin/sh -c 'dd if=/dev/zero of=/var/lib/writer bs=1M count=8 conv=fsync && exec sleep 9999'
"""


def as_root(lab: Lab, folder: Path) -> Path:
    """The lab's inventory for a login whose home is not on /home, which could not go otherwise."""
    path = folder / "as-root.yml"
    path.write_text(lab.inventory.read_text().replace('user: "ops"', 'user: "root"'))
    return path


def run(lab: Lab, folder: Path, runbook: Path | str, *words: str, timeout: float = 900) -> str:
    """Runs a runbook, or steps of one; gives what it said, its exit code in the last line."""
    if isinstance(runbook, str):
        text, runbook = runbook, folder / "steps.yml"
        runbook.write_text(
            "title: Try\nhosts: kalimdor\nworks:\n  - work: Try\n    steps:\n"
            + "".join(f"      {line}\n" for line in text.splitlines())
        )
    ended = lab.tastyops(
        "run", str(runbook), "--inventory", str(as_root(lab, folder)), "--yes", *words,
        timeout=timeout,
    )  # fmt: skip
    said = f"{ended.stdout}{ended.stderr}\nexit {ended.returncode}"
    assert "Traceback" not in said, said
    return said


def page(lab: Lab) -> str:
    """The newest log."""
    pages = sorted((lab.folder / "state/tastyops/lab/logs").glob("*/*.md"))
    return pages[-1].read_text()


def test_damage_is_found_repaired_and_found_gone(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    assert pristine.tastyops("lab.break", "xfs-home").returncode == 0
    guest.run(LOST, timeout=300)
    before = guest.run("ls -A /home")
    said = run(pristine, tmp_path, CHECK, "--var", f"stop={HOME_USERS}", "--var", "background=/recover")
    assert said.endswith("exit 0"), said
    text = page(pristine)
    for sentence in (
        "/dev/md0 checked: no errors.",
        "/dev/mapper/vg0-home checked: errors found.",
        " 2 disconnected inode(s) moved to lost+found.",
        "Second check of /dev/mapper/vg0-home: no errors.",
        "2 disconnected file(s) in lost+found of /dev/mapper/vg0-home, 13B in all.",
        "/dev/mapper/vg0-recover checked: no errors.",
        "/dev/mapper/vg0-var checked: no errors.",
        "/dev/mapper/vg0-root checked: no errors.",
    ):
        assert sentence in text, text
    assert guest.run("ls -A /home").split() == sorted({*before.split(), "lost+found"} - {"old"})
    assert sorted(guest.run("cat /home/lost+found/*").split()) == ["draft", "letter"]
    mounted = guest.run("findmnt -rno TARGET").split()
    assert {"/home", "/boot", "/recover"} <= set(mounted)
    assert not [place for place in mounted if place.startswith("/run/tastyops-replay")]
    assert "tastyops_check" not in guest.run("lvs --noheadings -o lv_name")


@pytest.mark.long
def test_checks_in_single_user_mode_and_back(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    assert pristine.tastyops("lab.break", "xfs-home").returncode == 0
    guest.run(LOST, timeout=300)
    said = run(
        pristine, tmp_path, SINGLE_USER, "--var", "background=/recover", "--var", "grace=5s",
        timeout=1800,
    )  # fmt: skip
    assert said.endswith("exit 0"), said
    text = page(pristine)
    at = len(text)
    for sentence in (  # the newest entry is on top
        "Machine started in single-user mode",
        "/dev/md0 checked: no errors.",
        "/dev/mapper/vg0-var checked: no errors.",
        "/dev/mapper/vg0-home checked: errors found.",
        " 2 disconnected inode(s) moved to lost+found.",
        "Second check of /dev/mapper/vg0-home: no errors.",
        "2 disconnected file(s) in lost+found of /dev/mapper/vg0-home, 13B in all.",
        "/dev/mapper/vg0-root checked: no errors.",
        "Machine started in normal mode",
        "/dev/mapper/vg0-recover checked: no errors.",
    ):
        found = text.rfind(sentence, 0, at)
        assert found >= 0, f"{sentence!r} is not there, or out of its order:\n{text}"
        at = found
    assert {"/home", "/boot", "/var", "/recover"} <= set(guest.run("findmnt -rno TARGET").split())
    assert guest.run("systemctl is-system-running || true").strip() == "running"


def test_a_full_var_is_grown_and_what_failed_is_back(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    guest.run(f"cat > /etc/systemd/system/writer.service <<'EOF'\n{WRITER}EOF\nsystemctl daemon-reload")
    assert pristine.tastyops("lab.break", "fill-var").returncode == 0
    restart = (
        "systemctl restart writer; for i in $(seq 60); do"
        " systemctl -q is-failed writer && break; sleep 1; done; systemctl is-failed writer || true"
    )
    assert guest.run(restart) == "failed\n"
    assert guest.run(restart) == "failed\n"  # nothing but room helps
    size = int(guest.run("df --output=size -B1 /var | tail -n 1"))
    boot_id = guest.run("cat /proc/sys/kernel/random/boot_id")

    said = run(pristine, tmp_path, GROW, "--var", "by=100M")
    assert said.endswith("exit 0"), said
    assert guest.run("systemctl is-active writer") == "active\n"
    assert int(guest.run("df --output=size -B1 /var | tail -n 1")) - size == 100 << 20
    assert guest.run("cat /proc/sys/kernel/random/boot_id") == boot_id
    text = page(pristine)
    assert "Filesystem /var grown online to 800MiB" in text, text
    assert "writer.service" in text


def test_growing_beyond_what_is_free(pristine: Lab, tmp_path: Path) -> None:
    before = pristine.guest.run("lvs --noheadings --units b -o lv_name,lv_size")
    said = run(pristine, tmp_path, "- fs.grow: {filesystem: /var, by: 600M}")
    assert said.endswith("exit 1"), said
    assert "600MiB more is needed (150 extents), and vg0 has 496MiB free (124 extents)" in said
    said = run(pristine, tmp_path, "- fs.grow: {filesystem: /var, to: 100M}")
    assert "a filesystem is never shrunk" in said
    assert pristine.guest.run("lvs --noheadings --units b -o lv_name,lv_size") == before
    truly = pristine.guest.run("lvextend -L +600M vg0/var 2>&1; true")
    assert "nsufficient free space" in truly  # what it is spared


def test_a_filesystem_in_use_is_neither_checked_nor_repaired(pristine: Lab, tmp_path: Path) -> None:
    for step in ("fs.repair: /home", "fs.check: /home", "fs.check: /boot", "fs.repair: /boot"):
        said = run(pristine, tmp_path, f"- {step}")
        assert said.endswith("exit 1"), said
        assert "it is mounted read-write at" in said, said
    busy = (
        "(for i in $(seq 400); do echo $i >/boot/f$i; done; rm -f /boot/f*) & "
        "for i in 1 2 3 4 5; do e2fsck -n -f /dev/md0 >/tmp/said 2>&1; [ $? -ge 4 ] && echo wrong;"
        " done; wait"
    )
    # What the guard is for: a sound filesystem in use is called damaged.
    assert "wrong" in pristine.guest.run(busy, timeout=300)
    assert pristine.guest.run("umount /boot; e2fsck -n -f /dev/md0 >/dev/null 2>&1; echo $?") == "0\n"


def test_who_uses_a_filesystem_is_named(pristine: Lab, tmp_path: Path) -> None:
    said = run(pristine, tmp_path, "- fs.unmount: {filesystem: /var, patience: 2s}")
    assert said.endswith("exit 1"), said
    assert "of systemd-journald.service" in said, said
    said = run(pristine, tmp_path, "- fs.unmount: /recover\n- fs.unmount: /recover\n- fs.mount: /recover")
    assert said.endswith("exit 0"), said
    assert "Already so" in page(pristine)


def test_a_dirty_log_is_replayed_only_where_the_step_says_so(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    guest.run("echo kept >/recover/file; sync -f /recover; echo more >/recover/other;"
              " xfs_io -x -c 'shutdown -f' /recover; umount /recover")  # fmt: skip
    said = run(pristine, tmp_path, "- fs.check: {filesystem: /recover, clean: true}")
    assert "its log has not been replayed" in said, said
    said = run(pristine, tmp_path, "- fs.repair: /recover")
    assert "its log has not been replayed, and nothing was repaired" in said, said
    said = run(pristine, tmp_path,
               "- fs.check: {filesystem: /recover, clean: true, replay: true}\n- fs.mount: /recover")  # fmt: skip
    assert said.endswith("exit 0"), said
    assert "Log of /dev/mapper/vg0-recover replayed by mounting it." in page(pristine)
    assert guest.run("cat /recover/file") == "kept\n"


def test_a_group_is_extended_by_a_blank_device_only(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    guest.run("modprobe loop; truncate -s 64M /root/blank /root/full; mkfs.ext4 -q -F /root/full")
    blank, full = (guest.run(f"losetup --find --show /root/{name}").strip() for name in ("blank", "full"))
    said = run(pristine, tmp_path, f"- lvm.extend_group: {{group: vg0, device: {full}}}")
    assert f"{full} is not blank: it has the signature of ext4" in said, said
    assert "/dev/md0 is in use: /boot" in run(
        pristine, tmp_path, "- lvm.extend_group: {group: vg0, device: /dev/md0}"
    )
    step = f"- lvm.extend_group: {{group: vg0, device: {blank}}}"
    said = run(pristine, tmp_path, f"{step}\n{step}")
    assert said.endswith("exit 0"), said
    assert f"extended by {blank}; its size is now " in page(pristine)
    assert "Already so" in page(pristine)
    assert guest.run(f"pvs --noheadings -o vg_name {blank}").strip() == "vg0"
    # What the guard is for: LVM itself, told yes, takes the filesystem away.
    guest.run(f"pvcreate --yes {full}")
    assert guest.run(f"blkid -o value -s TYPE {full}") == "LVM2_member\n"


def test_a_read_only_bind_mount(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    guest.run("echo one >/recover/file; mkdir -p /srv/recover /srv/other; cp /etc/fstab /root/fstab")
    step = "- fs.bind_readonly: {source: /recover, target: /srv/recover}"
    said = run(pristine, tmp_path, f"{step}\n{step}")
    assert said.endswith("exit 0"), said
    assert "Already so" in page(pristine)
    assert guest.run("cat /srv/recover/file; touch /srv/recover/x 2>&1; echo two >/recover/file;"
                     " umount /srv/recover; mount -a; cat /srv/recover/file; touch /srv/recover/x"
                     " 2>&1; true").count("Read-only file system") == 2  # fmt: skip
    said = run(pristine, tmp_path, "- fs.bind_readonly: {source: /recover/none, target: /srv/other}")
    assert "/recover/none is not a directory" in said, said
    # The kernel of 2008 ignored the option; a mount(8) that does is put in its place.
    guest.run("umount /srv/recover; cp /root/fstab /etc/fstab; systemctl daemon-reload; cat >/usr/local/bin/mount"
              " <<'EOF'\n#!/bin/sh\n[ \"$1\" = /srv/recover ] && exec /usr/bin/mount --bind /recover $1\n"
              "exec /usr/bin/mount \"$@\"\nEOF\nchmod 755 /usr/local/bin/mount")  # fmt: skip
    said = run(pristine, tmp_path, step)
    assert said.endswith("exit 1"), said
    assert "a write there was not refused; what was set up is undone" in said
    assert guest.run("findmnt /srv/recover; cmp <(grep . /etc/fstab) <(grep . /root/fstab); ls -A /recover") == "file\n"


def test_the_kernels_complaints_are_counted(pristine: Lab, tmp_path: Path) -> None:
    assert run(pristine, tmp_path, "- kernel.log_scan: [io_error, xfs, md]").endswith("exit 0")
    assert pristine.tastyops("lab.break", "disk1").returncode == 0
    said = run(pristine, tmp_path, "- kernel.log_scan: [io_error]\n  register: kernel")
    assert said.endswith("exit 1"), said
    assert "the kernel has reported since boot: io_error" in said
    said = run(pristine, tmp_path, "- kernel.log_scan:\n  register: k\n"
                                   "  log: \"Errors on {{ k.devices | join(' ') }}, {{ k.md }} of md.\"")  # fmt: skip
    assert "Errors on /dev/sd" in page(pristine), page(pristine)
