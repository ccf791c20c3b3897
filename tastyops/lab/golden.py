"""Building the lab machine's disks once; afterwards they are only ever a backing file."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tastyops.errors import LabFailed
from tastyops.lab import accelerator, places, processes, qemu, recipe, rootfs

INSTALL_SECONDS = 1500
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Golden:
    """The built disks and what belongs to them."""

    folder: Path

    @property
    def disks(self) -> tuple[Path, ...]:
        """The three disks, never written to again."""
        return tuple(drive.path for drive in self.drives)

    @property
    def drives(self) -> tuple[qemu.Drive, ...]:
        """The same, with their serials."""
        return qemu.pristine(self.folder)

    @property
    def key(self) -> Path:
        """The private key that root and the operator are reached with."""
        return self.folder / "key"

    @property
    def kernel(self) -> Path:
        """The kernel it runs, for trying accelerators."""
        return self.folder / "vmlinuz"

    @property
    def host_key(self) -> str:
        """The machine's own public key: kind and base64."""
        return " ".join((self.folder / "host_key.pub").read_text("ascii").split()[:2])

    @property
    def kernels(self) -> dict[str, str]:
        """The releases: ``fallback``, ``running``, ``newest`` (on hand, not installed)."""
        text = (self.folder / "kernels").read_text("ascii")
        return dict(line.partition("=")[::2] for line in text.splitlines())

    @property
    def complete(self) -> bool:
        """Whether it is all there; it is put in place whole."""
        return self.folder.is_dir()

    def accelerator(self) -> str:
        """The accelerator that works on this machine."""
        return accelerator.chosen(self.kernel, places.cache() / "accelerator")


def expected() -> Golden:
    """The disks that today's recipe makes, built or not."""
    return Golden(places.cache() / f"golden-{recipe.digest()}")


def build(say: Say) -> Golden:
    """The built disks, made now unless they are in the cache. Raises LabFailed."""
    golden = expected()
    places.cache().mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(places.cache() / "lock", "another build of the lab is under way"):
        if golden.complete:
            return golden
        part = golden.folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        _make(Golden(part), places.cache() / "build.log", say)
        part.rename(golden.folder)
        _hand_over()
    return golden


def _hand_over() -> None:
    """What root builds in another user's cache (``sudo env XDG_CACHE_HOME=…``) becomes theirs."""
    ours = places.cache().parent
    owner = ours.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in (ours, *ours.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _make(golden: Golden, log: Path, say: Say) -> None:
    log.write_bytes(b"")
    root, image = golden.folder / "root", golden.folder / "builder.ext4"
    say("Installing Debian in a directory (1/3) …")
    root.mkdir()
    rootfs.make(root, log)
    _keep(golden, root)
    rootfs.image(root, image, log)
    shutil.rmtree(root)
    accelerator = golden.accelerator()
    say(f"Putting it on three mirrored disks, in a machine that does so ({accelerator}, 2/3) …")
    for disk in golden.disks:
        create(disk, recipe.DISK_SIZE)
    _install(golden, image, accelerator)
    image.unlink()
    (golden.folder / "initrd").unlink()


def _keep(golden: Golden, root: Path) -> None:
    """Takes out of the new root what is needed from outside: keys, a kernel, the releases."""
    shutil.copy(root / "etc/lab-release", golden.folder / "kernels")
    shutil.copy(root / "etc/ssh/ssh_host_ed25519_key.pub", golden.folder / "host_key.pub")
    shutil.move(root / "root/lab_key", golden.key)
    golden.key.chmod(0o600)
    release = golden.kernels["running"]
    shutil.copy(root / f"boot/vmlinuz-{release}", golden.kernel)
    shutil.copy(root / f"boot/initrd.img-{release}", golden.folder / "initrd")


def _install(golden: Golden, image: Path, accelerator: str) -> None:
    argv = qemu.builder(
        accelerator, golden.drives, image, golden.kernel, golden.folder / "initrd"
    )
    console = places.cache() / "install.log"
    console.write_bytes(b"")
    processes.complete(argv, console, timeout=INSTALL_SECONDS, what="the machine that builds")
    if b"\nLAB-INSTALL-COMPLETE" not in console.read_bytes():
        raise LabFailed(
            f"The installation on the disks did not complete: {processes.last_words(console)}",
            next_step=f"Its console is in {console}.",
        )


def create(disk: Path, size: str = "", backing: Path | None = None) -> None:
    """Makes a disk: an empty one of a size, or a layer over another that stays as it is."""
    over = ["-b", str(backing), "-F", "qcow2"] if backing else []
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *over, str(disk), *([size] if size else [])]
    made = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise LabFailed(f"qemu-img cannot make {disk}: {made.stderr.strip()}")


@contextmanager
def locked(path: Path, why_not: str, *, patience: float = 2.0) -> Iterator[None]:
    """Holds a lock file. Raises LabFailed when somebody else keeps holding it."""
    with path.open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not processes.waited_for(taken, patience):
            raise LabFailed(f"Not now: {why_not}.", next_step="Try again when it has ended.")
        yield
