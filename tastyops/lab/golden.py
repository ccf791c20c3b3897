"""Golden disks: the lab machine is built once; afterwards its disks are only ever backing files.

debootstrap fills a directory from the mirror that apt uses here, and a QEMU machine puts that
system on three mirrored disks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tastyops.errors import LabFailed, UsageError
from tastyops.lab import places, processes, qemu, recipe

_INDEX_FORMAT = "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
_PROXY_LINE = re.compile(r"^proxy='(.*)'$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Debian's base archive, and the archive of security updates where apt knows one."""

    archive: str
    security: str | None

    def sources(self, suite: str) -> str:
        """Lines of a sources.list for a suite."""
        lines = [f"deb {self.archive} {name} main" for name in (suite, f"{suite}-updates")]
        if self.security:
            lines.append(f"deb {self.security} {suite}-security main")
        return "\n".join(lines) + "\n"


def choose_mirror(lines: Iterable[str]) -> Mirror:
    """Picks the mirror among apt's index targets. Raises UsageError when none carries Debian."""
    archive = security = None
    for line in lines:
        origin, label, codename, component, uri = (*line.split("|"), "", "", "", "", "")[:5]
        if origin != "Debian" or component != "main" or not re.match(r"(https?|file|ftp):", uri):
            continue
        if label == "Debian-Security" or codename.endswith("-security"):
            security = security or uri
        elif label == "Debian" and "-" not in codename:
            archive = archive or uri
    if archive is None:
        raise UsageError(
            "No Debian mirror is in the apt sources of this machine, and the lab runs Debian.",
            next_step="Add a Debian source to apt (and run apt-get update), or build the lab on a"
            " Debian machine.",
        )
    return Mirror(archive, security)


def configured_mirror() -> Mirror:
    """The mirror this machine's apt uses. Raises UsageError."""
    return choose_mirror(
        _apt_output("apt-get", "indextargets", "--format", _INDEX_FORMAT, "Created-By: Packages")
    )


def proxy_environment() -> dict[str, str]:
    """apt's HTTP proxy, as the environment variables other programs read."""
    said = "\n".join(_apt_output("apt-config", "shell", "proxy", "Acquire::http::Proxy"))
    found = _PROXY_LINE.search(said)
    return {"http_proxy": found[1], "https_proxy": found[1]} if found and found[1] else {}


def _apt_output(*argv: str) -> list[str]:
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(
            "apt does not answer where its packages come from.",
            next_step="The lab is built on Debian or Ubuntu; run apt-get update there first.",
        ) from error
    return answer.stdout.splitlines()


DEBOOTSTRAP_SECONDS = 900
PACKAGES_SECONDS = 1200

_OWN_MOUNTS = ("unshare", "--mount")
"""A private mount namespace (unshare(1)): whatever happens, nothing stays mounted outside.

debootstrap mounts /proc as well.
"""

_CHROOT_SCRIPT = """
set -eu
root=$1
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t devpts devpts "$root/dev/pts" || true
exec chroot "$root" /bin/sh /root/rootfs.sh
"""


def make_root(root: Path, log: Path) -> None:
    """Installs the lab's Debian in an empty directory, as root. Raises LabFailed, UsageError."""
    source = configured_mirror()
    proxy = proxy_environment()
    include = ["--include=ca-certificates"] if source.archive.startswith("https:") else []
    processes.run_to_end(
        [
            *_OWN_MOUNTS,
            "debootstrap",
            "--variant=minbase",
            *include,
            recipe.SUITE,
            str(root),
            source.archive,
        ],
        log,
        timeout=DEBOOTSTRAP_SECONDS,
        what="debootstrap",
        environment=proxy,
    )
    shutil.copytree(recipe.GUEST_FILES / "etc", root / "etc", dirs_exist_ok=True)
    shutil.copy(recipe.GUEST_FILES / "rootfs.sh", root / "root" / "rootfs.sh")
    (root / "etc/apt/sources.list").write_text(source.sources(recipe.SUITE))
    processes.run_to_end(
        [*_OWN_MOUNTS, "sh", "-c", _CHROOT_SCRIPT, "sh", str(root)],
        log,
        timeout=PACKAGES_SECONDS,
        what="the installation of the lab's packages",
        environment={
            **proxy,
            "PACKAGES": " ".join(recipe.PACKAGES),
            "PASSWORD": recipe.CONSOLE_PASSWORD,
        },
    )
    (root / "root/rootfs.sh").unlink()
    installer = root / "sbin/lab-install"
    shutil.copy(recipe.GUEST_FILES / "install.sh", installer)
    installer.chmod(0o755)


def make_image(root: Path, target: Path, log: Path) -> None:
    """Makes an ext4 image of the directory; no loop device is needed."""
    size = 1 << 30
    size += sum(path.lstat().st_blocks * 512 for path in root.rglob("*") if not path.is_symlink())
    processes.run_to_end(
        ["mke2fs", "-q", "-t", "ext4", "-L", "builder", "-d", str(root), str(target),
         f"{size >> 10}k"],
        log, timeout=300,
    )  # fmt: skip


TRIAL_SECONDS = 10.0
"""Seconds a trial may take; with KVM a kernel looks for its root after 2."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def choose_accelerator(kernel: Path, memory: Path) -> str:
    """``kvm`` or ``tcg``; a file keeps the answer for as long as this machine is up.

    Only a trial tells: a /dev/kvm that opens may still boot nothing.
    """
    boot = _BOOT_ID.read_text("ascii").strip()
    with contextlib.suppress(OSError, ValueError):
        known, answer = memory.read_text("ascii").split()
        if known == boot and answer in ("kvm", "tcg"):
            return answer
    answer = "kvm" if kernel_boots("kvm", kernel) else "tcg"
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(f"{boot} {answer}\n", "ascii")
    return answer


def kernel_boots(accelerator: str, kernel: Path, seconds: float = TRIAL_SECONDS) -> bool:
    """Whether a kernel boots with that accelerator, up to its search for a root filesystem."""
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


INSTALL_SECONDS = 1500
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Golden:
    """The built disks, with the keys and kernels that belong to them."""

    folder: Path

    @property
    def disks(self) -> tuple[Path, ...]:
        """The three disks, which are never written to again."""
        return tuple(drive.path for drive in self.drives)

    @property
    def drives(self) -> tuple[qemu.Drive, ...]:
        """The three disks with their serials."""
        return qemu.pristine(self.folder)

    @property
    def key(self) -> Path:
        """Private key for logging in as root or as the operator."""
        return self.folder / "key"

    @property
    def kernel(self) -> Path:
        """Kernel image, for trying accelerators."""
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
        """Whether the disks are built; a build is put in place whole."""
        return self.folder.is_dir()

    def accelerator(self) -> str:
        """The accelerator that works on this machine."""
        return choose_accelerator(self.kernel, places.cache() / "accelerator")


def expected() -> Golden:
    """The disks of the present recipe, built or not."""
    return Golden(places.cache() / f"golden-{recipe.digest()}")


def build(say: Say) -> Golden:
    """Builds the disks unless they are in the cache. Raises LabFailed."""
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
    """Gives what root built in another user's cache (``XDG_CACHE_HOME``) to that user."""
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
    make_root(root, log)
    _keep(golden, root)
    make_image(root, image, log)
    shutil.rmtree(root)
    accelerator = golden.accelerator()
    say(f"Putting it on three mirrored disks, in a machine that does so ({accelerator}, 2/3) …")
    for disk in golden.disks:
        create(disk, recipe.DISK_SIZE)
    _install(golden, image, accelerator)
    image.unlink()
    (golden.folder / "initrd").unlink()


def _keep(golden: Golden, root: Path) -> None:
    """Copies keys, a kernel and the release names out of the new root."""
    shutil.copy(root / "etc/lab-release", golden.folder / "kernels")
    shutil.copy(root / "etc/ssh/ssh_host_ed25519_key.pub", golden.folder / "host_key.pub")
    shutil.move(root / "root/lab_key", golden.key)
    golden.key.chmod(0o600)
    release = golden.kernels["running"]
    shutil.copy(root / f"boot/vmlinuz-{release}", golden.kernel)
    shutil.copy(root / f"boot/initrd.img-{release}", golden.folder / "initrd")


def _install(golden: Golden, image: Path, accelerator: str) -> None:
    argv = qemu.builder(accelerator, golden.drives, image, golden.kernel, golden.folder / "initrd")
    console = places.cache() / "install.log"
    console.write_bytes(b"")
    processes.run_to_end(argv, console, timeout=INSTALL_SECONDS, what="the machine that builds")
    if b"\nLAB-INSTALL-COMPLETE" not in console.read_bytes():
        raise LabFailed(
            f"The installation on the disks did not complete: {processes.last_words(console)}",
            next_step=f"Its console is in {console}.",
        )


def create(disk: Path, size: str = "", backing: Path | None = None) -> None:
    """Makes a disk image: an empty one, or a layer over ``backing``, which stays unchanged."""
    over = ["-b", str(backing), "-F", "qcow2"] if backing else []
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *over, str(disk), *([size] if size else [])]
    made = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise LabFailed(f"qemu-img cannot make {disk}: {made.stderr.strip()}")


@contextmanager
def locked(path: Path, why_not: str, *, patience: float = 2.0) -> Iterator[None]:
    """Holds a lock file. Raises LabFailed where another process keeps holding it."""
    with path.open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not processes.wait_for(taken, patience):
            raise LabFailed(f"Not now: {why_not}.", next_step="Try again when it has ended.")
        yield
