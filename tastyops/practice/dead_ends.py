"""Where a boot of the modelled machine can end, and what its console then shows."""

from __future__ import annotations

DEAD_ENDS = {
    "panic": "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "initramfs": "ALERT!  /dev/mapper/volume-root does not exist.  Dropping to a shell!\n"
    "\n(initramfs) ",
    "grub-prompt": "grub> ",
    "grub-rescue": "error: no such device.\ngrub rescue> ",
    "grub-password": "Enter username: ",
    "emergency": "You are in emergency mode.\nGive root password for maintenance\n"
    "(or press Control-D to continue): ",
    "passphrase": "Please unlock disk sda3_crypt: ",
    "no-boot-device": "No bootable device.",
}
"""By the name the console's reading has for it: the words of GRUB 2, initramfs-tools, sulogin(8),
cryptsetup and SeaBIOS."""
