"""What a boot of the modelled machine comes to, by its files and words, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence

from tastyops.practice import initramfs
from tastyops.practice.dead_ends import DEAD_ENDS
from tastyops.practice.files import Files
from tastyops.practice.grub_cfg import Entry

PANIC = DEAD_ENDS["panic"]

DOWN = 45.0
"""Seconds from the shutdown until sshd accepts connections again."""

SETTLES = 15.0
"""Seconds from then until systemd has finished starting."""

KERNEL_STARTS = 20.0
"""Seconds from the shutdown until the new kernel runs: firmware and GRUB take the rest."""

MENU_WAITS = 5.0
"""Seconds the boot menu waits for a key, ``GRUB_TIMEOUT``."""

MENU_REAL = 3.0
"""Real seconds it waits at least."""

MENU_LONGEST = 240.0
"""Seconds it waits at most, however fast the clock runs: less than a reboot may take."""

BEFORE_A_KERNEL = ("grub-prompt", "grub-rescue", "grub-password", "no-boot-device")
"""Dead ends of a machine that has loaded no kernel."""


def unbootable(files: Files, release: str | None, ends_at: str = "") -> str:
    """What the console shows of a boot that ends in nothing, empty for one that does not.

    ``ends_at`` is a dead end that every boot of this machine comes to, if it is to.
    """
    if ends_at:
        return DEAD_ENDS[ends_at]
    if release is None:
        return "grub rescue> "
    image, initrd = f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}"
    if not files.exists(image) or not files.size(image):
        return f"error: file `/vmlinuz-{release}' not found."
    if not files.exists(initrd):
        return PANIC
    if files.size(initrd) < initramfs.WHOLE:
        return f"Initramfs unpacking failed\n{PANIC}"
    return ""


def mode_of(entry: Entry | None, words: Sequence[str]) -> str:
    """What systemd starts by the kernel's command line (kernel-command-line(7))."""
    for mode in ("rescue", "emergency"):
        if f"systemd.unit={mode}.target" in words:
            return mode
    return "rescue" if entry is not None and entry.recovery else ""
