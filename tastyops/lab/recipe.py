"""Recipe of the lab machine, and the digest that identifies a build."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
HOSTNAME = "kalimdor"
"""Host name, also in the inventory, so that the shipped runbooks run on the lab."""

CONSOLE_PASSWORD = "lab"  # noqa: S105  of a machine that only loopback reaches
OPERATOR = "ops"
VISITOR = "visitor"
"""User who is always logged in on the second serial port."""

MEMORY_MB = 1024
DISK_SIZE = "4G"
GUEST_FILES = Path(__file__).parent / "guest"

PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", "libpam-systemd", "openssh-server", "sudo",
    "mdadm", "lvm2", "xfsprogs", "xfsdump", "e2fsprogs", "fdisk", "parted", "smartmontools",
    "grub-pc",
    "initramfs-tools", "linux-base", "kmod", "lz4", "busybox", "cpio", "zstd", "xz-utils",
    "ifupdown", "iproute2", "iputils-ping", "procps", "psmisc",
    "opensmtpd", "lighttpd", "dnsmasq",
)  # fmt: skip
SERVICES = ("opensmtpd", "lighttpd", "dnsmasq", "ssh")


@dataclass(frozen=True, slots=True)
class Disk:
    """One of the three disks: QEMU's name for it, and the serial number the guest sees."""

    name: str
    serial: str


DISKS = (Disk("disk1", "LAB-DISK-1"), Disk("disk2", "LAB-DISK-2"), Disk("disk3", "LAB-DISK-3"))


def digest(*more: str) -> str:
    """Short digest of the recipe, the guest's files and ``more``."""
    parts = [SUITE, HOSTNAME, CONSOLE_PASSWORD, DISK_SIZE, *PACKAGES, *map(repr, DISKS), *more]
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode() + b"\0")
    for path in sorted(path for path in GUEST_FILES.rglob("*") if path.is_file()):
        sha.update(path.relative_to(GUEST_FILES).as_posix().encode() + b"\0")
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()[:16]
