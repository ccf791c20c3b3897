"""Which accelerator works here, found by trying: /dev/kvm that opens may still boot nothing."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from tastyops.lab import qemu

TRIAL_SECONDS = 10.0
"""With KVM a kernel gets to looking for its root in 2; without a working one it never does."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def chosen(kernel: Path, memory: Path) -> str:
    """``kvm`` or ``tcg``; the answer is kept in a file for as long as this machine is up."""
    boot = _BOOT_ID.read_text("ascii").strip()
    with contextlib.suppress(OSError, ValueError):
        known, answer = memory.read_text("ascii").split()
        if known == boot and answer in ("kvm", "tcg"):
            return answer
    answer = "kvm" if boots("kvm", kernel) else "tcg"
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(f"{boot} {answer}\n", "ascii")
    return answer


def boots(accelerator: str, kernel: Path, seconds: float = TRIAL_SECONDS) -> bool:
    """Whether a kernel really boots with it, as far as looking for a root it is not given."""
    argv = [
        *qemu.common(accelerator), "-no-reboot", "-kernel", str(kernel),
        "-append", "console=ttyS0,115200 panic=-1 mitigations=off",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
    ]  # fmt: skip
    try:
        trial = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"Unable to mount root fs" in trial.stdout

