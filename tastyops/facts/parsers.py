"""Every parser by name. A module of facts is loaded when one of its parsers is first used."""

from __future__ import annotations

from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parser
from tastyops.model.on_use import LoadedOnUse

_NAMES = {
    "apt": "apt_locks",
    "boot_code": "succeeded boot_code core_image by_id debconf",
    "boot_source": "boot_side",
    "console_screen": "screen attached",
    "disk_health": "smart counted",
    "disk_use": "disk_holders",
    "disks": "block_devices udev_names",
    "filesystems": "lost_found mounts fstab usage xfs_size ext_size process_numbers processes",
    "grub": "image_build settings boot_environment boot_custom boot_menu",
    "initrd": "initrd",
    "kernel_log": "kernel_complaints",
    "lvm": "volumes volume_groups physical_volumes",
    "md": "arrays",
    "mounts": "filesystems",
    "partition_tables": "partition_table device_signatures blkid_type kernel_partition",
    "power_state": "power_policy power power_on power_off",
    "readings": "output line integer json holds lines",
    "signatures": "signatures",
    "system": """
        boot_id clock booted kernel units transient system_state scheduled package sizes
    """,
}
"""Which module of ``tastyops.facts`` has which parsers in its ``PARSERS``."""

PARSERS: LoadedOnUse[Parser] = LoadedOnUse(
    {
        name: f"tastyops.facts.{module}"
        for module, names in _NAMES.items()
        for name in names.split()
    },
    lambda module, name: module.PARSERS[name],
)


def parse(parser: str, answer: Answer) -> Any:
    """The fact in an answer. Raises ProbeFailed when there is none to be had."""
    try:
        return PARSERS[parser](answer)
    except ValueError as error:
        raise ProbeFailed(str(error)) from error
