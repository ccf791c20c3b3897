"""The lab machine's files, made with debootstrap and apt in a directory. Needs root."""

from __future__ import annotations

import shutil
from pathlib import Path

from tastyops.lab import mirror, processes, recipe

DEBOOTSTRAP_SECONDS = 900
PACKAGES_SECONDS = 1200

_APART = ("unshare", "--mount")
"""In a mount namespace of its own, so that nothing stays mounted whatever happens: debootstrap
mounts /proc, too. What is mounted there is seen nowhere else (unshare(1): it is private)."""

_INSIDE = """
set -eu
root=$1
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t devpts devpts "$root/dev/pts" || true
exec chroot "$root" /bin/sh /root/rootfs.sh
"""


def make(root: Path, log: Path) -> None:
    """Fills an empty directory. Raises LabFailed, UsageError."""
    source = mirror.configured()
    proxy = mirror.proxy_environment()
    include = ["--include=ca-certificates"] if source.archive.startswith("https:") else []
    processes.complete(
        [
            *_APART, "debootstrap", "--variant=minbase", *include, recipe.SUITE, str(root),
            source.archive,
        ],
        log, timeout=DEBOOTSTRAP_SECONDS, what="debootstrap", environment=proxy,
    )
    shutil.copytree(recipe.GUEST_FILES / "etc", root / "etc", dirs_exist_ok=True)
    shutil.copy(recipe.GUEST_FILES / "rootfs.sh", root / "root" / "rootfs.sh")
    (root / "etc/apt/sources.list").write_text(source.sources(recipe.SUITE))
    processes.complete(
        [*_APART, "sh", "-c", _INSIDE, "sh", str(root)], log,
        timeout=PACKAGES_SECONDS, what="the installation of the lab's packages",
        environment={
            **proxy, "PACKAGES": " ".join(recipe.PACKAGES), "PASSWORD": recipe.CONSOLE_PASSWORD,
        },
    )
    (root / "root/rootfs.sh").unlink()
    installer = root / "sbin/lab-install"
    shutil.copy(recipe.GUEST_FILES / "install.sh", installer)
    installer.chmod(0o755)


def image(root: Path, target: Path, log: Path) -> None:
    """The directory as an ext4 image, which needs no loop device to make."""
    size = 1 << 30
    size += sum(path.lstat().st_blocks * 512 for path in root.rglob("*") if not path.is_symlink())
    processes.complete(
        ["mke2fs", "-q", "-t", "ext4", "-L", "builder", "-d", str(root), str(target),
         f"{size >> 10}k"],
        log, timeout=300,
    )  # fmt: skip
