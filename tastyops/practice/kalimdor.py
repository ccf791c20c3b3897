"""Configuration of the practice machine: kalimdor of tastycake.net, as it would be today.

Three disks in mirrors (md6 is /boot, md7 and md0 hold LVM's volumes), XFS, BIND, Exim, Apache,
Dovecot, and the people who attended its maintenances. ``practice:`` among a host's ``vars``
changes it, see ``Options``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tastyops.practice.boot import DEAD_ENDS
from tastyops.practice.packages import Package
from tastyops.practice.systemd import Unit

OLDER_KERNEL = "6.1.0-47-amd64"
OLD_KERNEL = "6.1.0-48-amd64"
NEW_KERNEL = "6.1.0-49-amd64"
"""The kernel installed beside the running one, the running one, and the newer one in the lists."""

INSTALLED_KERNELS = (OLDER_KERNEL, OLD_KERNEL)

BUILDS = {
    OLDER_KERNEL: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.164-1 (2026-03-09)",
    OLD_KERNEL: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-05-02)",
    NEW_KERNEL: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.174-1 (2026-06-19)",
}


def image_head(release: str) -> bytes:
    """First bytes of a kernel's image, which contain its version."""
    version = f"{release} (debian-kernel@lists.debian.org) {BUILDS.get(release, '')}"
    return bytes(0x210) + version.encode() + b"\0"


USERS = (
    ("dwm", "192.0.2.17", 26_400.0),
    ("mark", "192.0.2.40", 9_000.0),
    ("ncm", "198.51.100.8", 540.0),
)
"""Logged-in users: name, source, seconds since login."""

UPTIME = 41 * 86_400.0 + 5 * 3_600.0
"""Uptime when the practice begins, in seconds."""

OLDER_RAN = 63 * 86_400.0
"""Seconds by which the older kernel was started earlier."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of a practice host, ``vars: {practice: {…}}``."""

    failed: tuple[str, ...] = ()
    """Units that have failed, and fail again whenever they are started."""
    fails_after_boot: tuple[str, ...] = ()
    """Units that fail from the next boot on."""
    disk_fails_at_boot: str = ""
    """The serial number of a disk that fails at the next boot."""
    unmounted_after_boot: tuple[str, ...] = ()
    """Directories of fstab that are not mounted from the next boot on."""
    other_build_after_boot: bool = False
    """The next boot starts another build of the kernel than /boot has."""
    clock_jumps_by: float = 0.0
    """Seconds by which the machine's clock is off after its next boot."""
    never_goes_down: bool = False
    """A shutdown that is due does not happen."""
    only_link_cut: bool = False
    """A shutdown that is due cuts the network for a while, and the machine runs on."""
    starts_slowly: float = 0.0
    """Seconds more from sshd's start until systemd has finished, at the next boots."""
    other_host_key_after_boot: bool = False
    """sshd shows another host key from the next boot on."""
    boot_loops: int = 0
    """Number of restarts by itself once the next boot is up."""
    restarts_while_starting: int = 0
    """Number of restarts by itself at the next boot, before sshd runs."""
    boots_end_at: str = ""
    """Dead end of every boot, whichever kernel: a name of ``boot.DEAD_ENDS``."""
    truncated_initrd: bool = False
    """The new kernel's initial ramdisk is truncated, and the kernel does not boot."""
    hung: bool = False
    """The machine hangs when the practice begins; only the power switch helps."""
    primary_panics: bool = False
    """The running kernel's initial ramdisk is truncated: its next start panics."""
    root_not_found: bool = False
    """The machine is starting, and its initial ramdisk does not know the root's array."""
    begins: str = ""
    """State when the practice begins: ``starting``, ``emergency`` (/home is damaged and cannot be
    mounted), or ``no-network`` (the machine runs, and nothing reaches it).
    """
    apt_busy: float = 0.0
    """Seconds from the beginning in which apt-daily locks apt's package lists."""
    dpkg_busy: float = 0.0
    """Seconds from the beginning in which unattended-upgrades locks dpkg and the archive."""
    grub_default: str = "saved"
    """GRUB_DEFAULT."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Options:
        """Reads the settings. Raises ValueError for an unknown name."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            have = ", ".join(sorted(known))
            raise ValueError(f"practice: has no {', '.join(unknown)}; it has {have}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in settings.items()
        }
        options = cls(**values)
        if options.boots_end_at not in ("", *DEAD_ENDS):
            raise ValueError(f"practice: boots_end_at is one of {', '.join(DEAD_ENDS)}")
        if options.begins not in ("", "starting", "emergency", "no-network"):
            raise ValueError("practice: begins is one of starting, emergency, no-network")
        return options


def packages() -> list[Package]:
    """The packages, with a newer kernel and a newer BIND in the lists."""
    plain = {
        "apache2": "2.4.65-1~deb12u1",
        "apt": "2.6.1",
        "base-files": "12.4+deb12u12",
        "bash": "5.2.15-2+b8",
        "coreutils": "9.1-1",
        "dovecot-imapd": "1:2.3.19.1+dfsg1-2.1+deb12u1",
        "dpkg": "1.21.22",
        "exim4-daemon-light": "4.96-15+deb12u7",
        "grub-pc": "2.06-13+deb12u1",
        "initramfs-tools": "0.142+deb12u3",
        "lvm2": "2.03.16-2",
        "mdadm": "4.2-5",
        "openssh-server": "1:9.2p1-2+deb12u7",
        "snmpd": "5.9.3+dfsg-2",
        "systemd": "252.39-1~deb12u1",
        "xfsprogs": "6.1.0-1",
    }
    base = "kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool"
    return [
        *(Package(name, version, version) for name, version in plain.items()),
        Package("bind9", "1:9.18.33-1~deb12u2", "1:9.18.41-1~deb12u1", size=493_000),
        Package(
            "linux-image-amd64",
            "6.1.170-1",
            "6.1.174-1",
            depends=f"linux-image-{OLD_KERNEL} (= 6.1.170-1)",
            candidate_depends=f"linux-image-{NEW_KERNEL} (= 6.1.174-1)",
        ),
        *(
            Package(
                f"linux-image-{release}",
                version,
                version,
                depends=base,
                candidate_depends=base,
                size=69_300_000,
                installed_size=408_000_000,
            )
            for release, version in ((OLDER_KERNEL, "6.1.164-1"), (OLD_KERNEL, "6.1.170-1"))
        ),
        Package(
            f"linux-image-{NEW_KERNEL}",
            "",
            "6.1.174-1",
            candidate_depends=base,
            state="not-installed",
            size=69_500_000,
            installed_size=409_000_000,
        ),
        Package("htop", "", "3.2.2-2", state="not-installed", size=152_000, installed_size=387_000),
    ]


def units(options: Options) -> list[Unit]:
    """The services. Raises ValueError where an option names an unknown unit."""
    table = [
        Unit("apache2.service", "The Apache HTTP Server"),
        Unit("cron.service", "Regular background program processing daemon"),
        Unit("dbus.service", "D-Bus System Message Bus"),
        Unit("dovecot.service", "Dovecot IMAP/POP3 email server"),
        Unit("exim4.service", "LSB: exim Mail Transport Agent", aliases=("exim.service",)),
        Unit("mdmonitor.service", "MD array monitor", aliases=("mdadm.service",)),
        Unit("networking.service", "Raise network interfaces"),
        Unit("named.service", "BIND Domain Name Server", aliases=("bind9.service",)),
        Unit("rsyslog.service", "System Logging Service", aliases=("syslog.service",)),
        Unit("snmpd.service", "Simple Network Management Protocol (SNMP) Daemon."),
        Unit("ssh.service", "OpenBSD Secure Shell server", aliases=("sshd.service",)),
        Unit("systemd-logind.service", "User Login Management"),
        Unit("systemd-user-sessions.service", "Permit User Sessions"),
    ]
    for name in (*options.failed, *options.fails_after_boot):
        full = name if "." in name else f"{name}.service"
        found = [u for u in table if full in (u.name, *u.aliases)]
        if not found:
            raise ValueError(f"practice: kalimdor has no unit {full}")
        found[0].broken = found[0].broken or name in options.failed
        found[0].breaks = found[0].breaks or name in options.fails_after_boot
    return table


FILES = {
    "/etc/debian_version": "12.12\n",
    "/etc/os-release": (
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm), a practice host"\n'
        'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION="12 (bookworm)"\n'
        "VERSION_CODENAME=bookworm\nID=debian\n"
    ),
    "/etc/fstab": (
        "/dev/mapper/volume-root /     xfs  defaults 0 1\n/dev/md6 /boot ext4 defaults 0 2\n"
        "/dev/mapper/volume-home /home xfs  defaults 0 2\n"
        "/dev/mapper/volume-var  /var  xfs  defaults 0 2\n"
        "/dev/mapper/volume-recover /vol/recover xfs defaults 0 2\n"
    ),
    "/etc/motd": "This is a PRACTICE HOST: a model of kalimdor. Nothing here is real.\n",
    "/var/log/syslog": "",
}
DIRECTORIES = (
    "/home/dwm",
    "/home/mark",
    "/home/ncm",
    "/root",
    "/run",
    "/vol/recover",
    "/mnt",
    "/srv",
    "/tmp",  # noqa: S108  the model's, not ours
)
