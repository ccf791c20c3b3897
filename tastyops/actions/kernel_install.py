"""``kernel.install``: a kernel package, its initrd, and the boot menu's default."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from tastyops.actions import (
    DPKG_CONFIGURE,
    action,
    apt_get,
    kept_conffiles,
    param,
    require,
    with_locks,
)
from tastyops.domain.boot.next_start import boot_environment, boot_menu
from tastyops.errors import Failed, Refused
from tastyops.facts.filesystems import Usage, usage_around
from tastyops.facts.grub import BootEnvironment, BootMenu, Chosen
from tastyops.facts.system import KERNEL, Package, file_sizes, package_status
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Report, Steps

_MORE = 1.1
"""How much larger the next kernel's files may be."""

_CUT_OFF = "dpkg was interrupted"
"""What apt says of it."""


@dataclass(frozen=True, kw_only=True)
class KernelInstall:
    """The parameters of ``kernel.install``."""

    package: str = param("text", "The kernel package, a meta-package or one release's own")
    update: bool = param("boolean", "Run apt-get update first", True)


@action(
    "kernel.install",
    scalar="package",
    guarded=True,
    returns={
        "version": "version",
        "package": "word",
        "package_version": "version",
        "previous": "version",
        "changed": "flag",
        "kept_conffiles": "private",
    },
    sentence="Kernel {{ version }} installed; the next boot starts it.",
    already="Kernel {{ version }} is installed, and the boot menu's default.",
)
def kernel_install(params: KernelInstall, facts: Facts) -> Steps:
    """Install a kernel package and make it the boot menu's default (Debian and Ubuntu)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.:~_-]+", params.package):
        raise Failed("the name is not that of a package")
    running = yield Probe(*KERNEL)
    status = Probe(*package_status(params.package))
    before: Package = yield status
    if not facts.force:
        yield from _room(running.release)
    if params.update:
        updated = yield from apt_get("update")
        require(updated, "the package lists could not be refreshed")
    kept = yield from _install(params.package)
    after: Package = yield status
    if not after.installed:
        raise Failed("the package is not installed, although apt-get reported success")
    release = _release(params.package, after)
    yield from _check_files(release)
    default = yield from _make_default(release)
    return {
        "version": release,
        "package": params.package,
        "package_version": after.version,
        "previous": running.release,
        "changed": default or before != after,
        "kept_conffiles": kept,
    }


def _install(package: str) -> Generator[Command, Any, list[str]]:
    """Has apt install it, after what a power cut left half done; gives the conffiles kept.

    apt, which has waited for the lock by then, refuses with these words when dpkg's own journal
    (/var/lib/dpkg/updates) was not gone through to its end: debsystem.cc, ``CheckUpdates``.
    """
    installed = yield from apt_get("--no-remove", "install", package)
    kept = kept_conffiles(installed)
    if isinstance(installed, Output) and not installed.ok and _CUT_OFF in installed.error_excerpt:
        yield Report(note="an earlier installation was cut off; dpkg completes it first")
        completed = yield from with_locks(Change(DPKG_CONFIGURE, sudo=True))
        require(completed, "what an earlier installation left half done could not be completed")
        installed = yield from apt_get("--no-remove", "install", package)
        kept = kept_conffiles(completed) + kept_conffiles(installed)
    require(installed, "the package could not be installed")
    return kept


def _room(running: str) -> Generator[Command, Any, None]:
    """Whether /boot has room for a kernel as large as the running one. Raises Refused.

    An initial ramdisk is written beside the one it replaces; without room it ends truncated.
    """
    sizes: dict[str, int] = yield Probe(*file_sizes(*_files(running)), sudo=True)
    boot: Usage = yield Probe(*usage_around("/boot"))
    needed = round(sum(sizes.values()) * _MORE)
    if boot.available < needed:
        raise Refused(
            f"/boot has {boot.available // 2**20} MiB free, and about {-(-needed // 2**20)} MiB are"
            " needed for another kernel and its initial ramdisk: remove an old kernel first"
        )


def _files(release: str) -> tuple[str, str]:
    return f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}"


def _release(package: str, status: Package) -> str:
    """The kernel release a package stands for; a meta-package depends on the real one."""
    for name in (package, *status.depends):
        found = re.fullmatch(r"linux-image-(?:unsigned-)?(\d[A-Za-z0-9.+~_-]*)", name)
        if found:
            return found[1]
    raise Failed("the package brings no kernel: it is not a linux-image and depends on none")


def _check_files(release: str) -> Generator[Command, Any, None]:
    image, initrd = _files(release)
    sizes = yield Probe(*file_sizes(image, initrd), sudo=True)
    for path, what in ((image, "kernel image"), (initrd, "initial ramdisk")):
        if not sizes.get(path):
            raise Failed(f"the {what} is missing or empty after the installation")


def _make_default(release: str) -> Generator[Command, Any, bool]:
    """Makes ``release`` the kernel GRUB starts; returns whether that had to be changed.

    What ``grub-set-default`` would change is worked out before: where grub.cfg does not heed the
    saved entry, or an entry is set for the next boot alone, it would change nothing.
    """
    menu: BootMenu | None = yield from boot_menu()
    if menu is None:
        raise Failed("the boot menu cannot be read, so its default cannot be set")
    wanted = menu.starting(release)
    if wanted is None:
        raise Failed("the boot menu has no entry for the new kernel")
    block = yield from boot_environment()
    now = menu.chosen(block)
    if now.release == release:
        return False
    settings = dict(block.settings) if block else {}
    after = menu.chosen(BootEnvironment(settings | {"saved_entry": wanted.path}))
    if after.release != release:
        raise Failed(_unsettable(now, after, settings))
    chosen_now = yield Change(("grub-set-default", wanted.path), sudo=True)
    require(chosen_now, "the new kernel could not be made the default")
    return True


def _unsettable(now: Chosen, after: Chosen, settings: Mapping[str, str]) -> str:
    """Why grub-set-default would not have the new kernel started."""
    if settings.get("next_entry"):
        return (
            f"the next boot alone starts another entry, {settings['next_entry']!r}"
            " (grub-reboot set it; `grub-editenv - unset next_entry` takes it back)"
        )
    if after.entry is None:
        return f"which kernel the boot menu would start is not known: {after.unknown}"
    starts = now.release or f"{after.entry.title!r}"
    return f"the boot menu starts {starts}, and GRUB_DEFAULT is not 'saved'"
