"""The system installed on the modelled machine: files, storage, boot loader, packages, ramdisks."""

from __future__ import annotations

from tastyops.practice import initramfs, kalimdor
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import Files
from tastyops.practice.grub import Grub
from tastyops.practice.grub_menu import entry_path
from tastyops.practice.initramfs import Initramfs
from tastyops.practice.packages import Packages
from tastyops.practice.processes import Processes
from tastyops.practice.storage import Storage


class InstalledSystem:
    """What is on the machine's disks, as kalimdor has it; a reboot changes none of it."""

    def __init__(
        self,
        name: str,
        clock: PracticeClock,
        files: Files,
        processes: Processes,
        options: kalimdor.Options,
    ) -> None:
        self.files = files
        _add_files(files, name, options)
        self.storage = Storage(clock, files, processes)
        self.initramfs = Initramfs(files, processes)
        for release in kalimdor.INSTALLED_KERNELS:
            initramfs.make(files, release)
        self.packages = Packages(kalimdor.packages())
        self.grub = Grub(files, options.grub_default)
        self.grub.set("saved_entry", entry_path(kalimdor.OLD_KERNEL))
        self.grub.update()

    def clear_volatile_directories(self) -> None:
        """Empties the tmpfs directories, as a reboot does."""
        for directory in ("/run", "/tmp", "/dev/shm"):  # noqa: S108  the model's, not ours
            self.files.clear(directory)


def _add_files(files: Files, name: str, options: kalimdor.Options) -> None:
    for directory in kalimdor.DIRECTORIES:
        files.add_directory(directory)
    for path, content in kalimdor.FILES.items():
        files.add(path, content)
    files.add("/etc/hostname", f"{name}\n")
    files.add("/etc/default/grub", f"GRUB_DEFAULT={options.grub_default}\nGRUB_TIMEOUT=5\n")
    for release in kalimdor.INSTALLED_KERNELS:
        head = kalimdor.image_head(release)
        files.add_opaque(f"/boot/vmlinuz-{release}", 8_194_304, head)
