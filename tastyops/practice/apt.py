"""apt-get of the modelled machine: its output, its duration and its effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tastyops.facts import apt
from tastyops.practice import initramfs
from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import Files, NotModelled
from tastyops.practice.grub import Grub
from tastyops.practice.kalimdor import image_head
from tastyops.practice.packages import Package, Packages
from tastyops.practice.processes import Killed, Process, Processes

_SITE = "http://deb.practice.example"
_LOCK = "/var/lib/dpkg/lock-frontend"
_RATE = 11_200_000
"""Download rate from the mirror, in bytes a second."""

_KERNEL_SIZE = 8_208_320
_KERNEL = "linux-image-"
_FLAGS = {
    "-q",
    "--quiet",
    "-qq",
    "-y",
    "--yes",
    "--assume-yes",
    "--no-remove",
    "--only-upgrade",
    "--no-install-recommends",
}
LISTS_HOLDER, DPKG_HOLDER = "apt-get", "unattended-upgr"
"""Programs that a Debian starts by itself every day, and that hold locks while they run."""

_SIMULATE = {"-s", "--simulate", "--dry-run", "--just-print", "--no-act"}


@dataclass
class _Request:
    verb: str = ""
    names: list[str] = field(default_factory=list)
    simulate: bool = False
    patience: float = 0.0


@dataclass
class _Plan:
    """What an installation does: new packages, upgraded packages, packages left unfinished."""

    fresh: list[Package] = field(default_factory=list)
    upgraded: list[Package] = field(default_factory=list)
    unfinished: list[Package] = field(default_factory=list)

    @property
    def fetched(self) -> list[Package]:
        """All packages to download, dependencies first."""
        return [*self.fresh, *self.upgraded]


class Apt:
    """apt-get(8) and dpkg(1); a new kernel gets its initial ramdisk and its boot entry."""

    def __init__(
        self,
        packages: Packages,
        files: Files,
        grub: Grub,
        processes: Processes,
        *,
        truncated_initrd: bool = False,
        busy: Mapping[str, float] | None = None,
    ) -> None:
        self._initrd_size = initramfs.TRUNCATED if truncated_initrd else initramfs.SIZE
        self._packages = packages
        self._files = files
        self._grub = grub
        self._processes = processes
        self._holder: Process | None = None
        now = processes.clock.time()
        self._others = {
            name: (processes.begin(name, leader=True), now + seconds)
            for name, seconds in (busy or {}).items()
            if seconds
        }
        """By program: a process of somebody else that holds locks, and until when."""
        self._cut_off = False
        """Whether dpkg was killed at work, and ``dpkg --configure`` has not run since."""

    def commands(self) -> Commands:
        """The programs by name."""
        return {"apt-get": self._apt_get, "dpkg": self._dpkg}

    def scripts(self) -> Commands:
        """tastyops' script that reads who holds which lock, and what answers it."""
        return {apt.SCRIPT: self._locks}

    def _locks(self, call: Call) -> int:
        held = [(apt.LISTS, self._other(LISTS_HOLDER))]
        upgrading = self._other(DPKG_HOLDER)
        holder = self._holder if self._holder and self._processes.alive(self._holder) else upgrading
        held += [(lock, holder) for lock in (apt.FRONTEND, apt.DPKG, apt.ARCHIVES)]
        for lock, process in held:
            if process is not None:
                call.say(f"{lock} {process.pid} {process.name}")
        return 0

    def _other(self, name: str) -> Process | None:
        """The program's process while it holds its locks; None afterwards."""
        process, until = self._others.get(name, (None, 0.0))
        if process is not None and self._processes.clock.time() >= until:
            del self._others[name]
            self._processes.end(process)
            return None
        return process

    def _apt_get(self, call: Call) -> int:
        request = _parse(call)
        if request.verb == "update":
            if (other := self._other(LISTS_HOLDER)) is not None:
                call.complain(
                    f"E: Could not get lock {apt.LISTS}. It is held by process {other.pid}"
                    f" ({other.name})\nE: Unable to lock directory /var/lib/apt/lists/"
                )
                return 100
            return self._update(call)
        if request.simulate:
            return self._install(call, request)
        if not self._lock(call, request.patience):
            return 100
        try:
            if self._cut_off:
                call.complain(
                    "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to"
                    " correct the problem. "
                )
                return 100
            return self._install(call, request)
        finally:
            if self._holder is call.process:
                self._holder = None

    def _dpkg(self, call: Call) -> int:
        """dpkg(1); only ``--configure`` of unfinished packages is modelled."""
        words = [word for word in call.argv[1:] if not word.startswith("--force-")]
        if words not in (["--configure", "--pending"], ["--configure", "-a"]):
            raise NotModelled(" ".join(call.argv))
        if (holder := self._holder) and self._processes.alive(holder):
            call.complain(
                "dpkg: error: dpkg frontend lock was locked by another process with pid"
                f" {holder.pid}"
            )
            return 2
        self._work(call, _Plan(unfinished=self._packages.unfinished()))
        self._cut_off = False
        return 0

    def _work(self, call: Call, plan: _Plan) -> None:
        """Performs the plan; a kill leaves dpkg interrupted. Raises Killed."""
        try:
            for seconds, line in self._steps(plan):
                self._processes.sleep(call.process, seconds)
                if line:
                    call.say(line)
        except Killed:
            self._cut_off = bool(self._packages.unfinished())
            raise

    def _lock(self, call: Call, patience: float) -> bool:
        """Takes dpkg's lock, waiting as long as ``DPkg::Lock::Timeout`` allows."""
        waited = 0.0
        while holder := self._locker():
            held = f"Could not get lock {_LOCK}. It is held by process {holder.pid} ({holder.name})"
            if waited >= patience:
                call.complain(f"E: {held}")
                call.complain(
                    "N: Be aware that removing the lock file is not a solution"
                    " and may break your system."
                )
                call.complain(
                    f"E: Unable to acquire the dpkg frontend lock ({_LOCK}),"
                    " is another process using it?"
                )
                return False
            if not waited:
                call.say(f"Waiting for cache lock: {held}...")
            self._processes.sleep(call.process, 1.0)
            waited += 1.0
        call.process.name = "apt-get"
        self._holder = call.process
        return True

    def _locker(self) -> Process | None:
        """The process that holds dpkg's lock."""
        if self._holder and self._processes.alive(self._holder):
            return self._holder
        return self._other(DPKG_HOLDER)

    def _update(self, call: Call) -> int:
        suites = ("bookworm", "bookworm-updates")
        lines = [f"{_SITE}/debian {suite} InRelease" for suite in suites]
        lines.append(f"{_SITE}/debian-security bookworm-security InRelease")
        for number, line in enumerate(lines, 1):
            self._processes.sleep(call.process, 1.2)
            call.say(f"Hit:{number} {line}")
        self._processes.sleep(call.process, 2.0)
        call.say("Reading package lists...")
        return 0

    # -- install -----------------------------------------------------------------------------

    def _install(self, call: Call, request: _Request) -> int:
        for line in ("package lists", "dependency tree", "state information"):
            verb = "Building" if line == "dependency tree" else "Reading"
            call.say(f"{verb} {line}...")
        missing = [name for name in request.names if self._packages.find(name) is None]
        for name in missing:
            call.complain(f"E: Unable to locate package {name}")
        if missing:
            return 100
        named = [p for name in request.names if (p := self._packages.find(name))]
        if request.verb == "upgrade":
            named = self._packages.outdated()
        plan = self._plan(named)
        if request.verb == "install":
            for package in named:
                if package.current:
                    call.say(f"{package.name} is already the newest version ({package.version}).")
        self._announce(call, plan, named)
        if request.simulate:
            self._simulate(call, plan)
            return 0
        self._work(call, plan)
        return 0

    def _plan(self, named: Iterable[Package]) -> _Plan:
        plan = _Plan(unfinished=self._packages.unfinished())
        for package in named:
            if package.current or package in plan.unfinished:
                continue
            for part in package.candidate_depends.split(","):
                needed = self._packages.find(part.split("(")[0].split("|")[0].strip())
                if needed and not needed.known and needed not in plan.fresh:
                    plan.fresh.append(needed)
            (plan.upgraded if package.known else plan.fresh).append(package)
        return plan

    def _announce(self, call: Call, plan: _Plan, named: list[Package]) -> None:
        extra = [p for p in plan.fresh if p not in named]
        for title, packages in (
            ("The following additional packages will be installed:", extra),
            ("The following NEW packages will be installed:", plan.fresh),
            ("The following packages will be upgraded:", plan.upgraded),
        ):
            if packages:
                call.say(f"{title}\n  {' '.join(sorted(p.name for p in packages))}")
        left = [p for p in self._packages.outdated() if p not in plan.upgraded]
        call.say(
            f"{len(plan.upgraded)} upgraded, {len(plan.fresh)} newly installed,"
            f" 0 to remove and {len(left)} not upgraded."
        )
        if plan.unfinished:
            call.say(f"{len(plan.unfinished)} not fully installed or removed.")

    def _simulate(self, call: Call, plan: _Plan) -> None:
        for package in plan.fetched:
            was = f" [{package.version}]" if package.known else ""
            call.say(f"Inst {package.name}{was} ({package.candidate} Debian-Security [amd64])")
        for package in plan.fetched:
            call.say(f"Conf {package.name} ({package.candidate} Debian-Security [amd64])")

    def _steps(self, plan: _Plan) -> Iterator[tuple[float, str]]:
        """The work as (seconds before the line, line); iterating has the effects."""
        yield from self._fetch(plan.fetched)
        for package in plan.fetched:
            yield from self._unpack(package)
        for package in [*plan.unfinished, *plan.fetched]:
            yield from self._set_up(package)

    def _fetch(self, packages: list[Package]) -> Iterator[tuple[float, str]]:
        total = sum(p.size for p in packages)
        if not packages:
            return
        yield 0.5, f"Need to get {_size(total)} of archives."
        grown = sum(p.installed_size for p in packages if not p.known)
        yield 0.0, f"After this operation, {_size(grown)} of additional disk space will be used."
        for number, package in enumerate(packages, 1):
            source = f"{_SITE}/debian-security bookworm-security/main amd64 {package.name}"
            yield 0.3, f"Get:{number} {source} amd64 {package.candidate} [{_size(package.size)}]"
            yield package.size / _RATE, ""
        seconds = max(1, round(total / _RATE))
        yield 0.5, f"Fetched {_size(total)} in {seconds}s ({_size(total // seconds)}/s)"

    def _unpack(self, package: Package) -> Iterator[tuple[float, str]]:
        archive = f".../{package.name}_{package.candidate}_amd64.deb"
        if not package.known:
            yield 0.5, f"Selecting previously unselected package {package.name}."
            yield 2.0, "(Reading database ... 61432 files and directories currently installed.)"
        yield 0.5, f"Preparing to unpack {archive} ..."
        over = f" over ({package.version})" if package.known else ""
        yield 0.2, f"Unpacking {package.name} ({package.candidate}){over} ..."
        release = _release(package)
        yield (32.0 if release else 0.8), ""
        package.state, package.version = "unpacked", package.candidate
        package.depends = package.candidate_depends
        if release:
            self._files.add_opaque(f"/boot/vmlinuz-{release}", _KERNEL_SIZE, image_head(release))
            self._files.add(f"/boot/config-{release}", f"# Linux/x86 {release} (practice host)\n")
            self._files.add_opaque(f"/boot/System.map-{release}", 83)

    def _set_up(self, package: Package) -> Iterator[tuple[float, str]]:
        yield 0.5, f"Setting up {package.name} ({package.version}) ..."
        package.state = "half-configured"
        release = _release(package)
        if release:
            yield 1.0, "/etc/kernel/postinst.d/initramfs-tools:"
            yield 0.5, f"update-initramfs: Generating /boot/initrd.img-{release}"
            yield 46.0, ""
            initramfs.make(self._files, release, self._initrd_size)
            yield 1.0, "/etc/kernel/postinst.d/zz-update-grub:"
            for line in self._grub.update():
                yield 2.5, line
        yield 0.5, ""
        package.state = "installed"


def _release(package: Package) -> str:
    """The kernel release in a package; empty for a package without a kernel."""
    rest = package.name.removeprefix(_KERNEL)
    return rest if rest != package.name and rest[:1].isdigit() else ""


def _parse(call: Call) -> _Request:
    request, words, options = _Request(), iter(call.argv[1:]), []
    for word in words:
        if word in ("-o", "--option"):
            options.append(next(words, ""))
        elif word.startswith("--option="):
            options.append(word.partition("=")[2])
        elif word in _SIMULATE:
            request.simulate = True
        elif word.startswith("-"):
            if word not in _FLAGS:
                raise NotModelled(f"apt-get {word}")
        elif request.verb:
            request.names.append(word)
        else:
            request.verb = {"dist-upgrade": "upgrade", "full-upgrade": "upgrade"}.get(word, word)
    for option in options:
        name, _, value = option.partition("=")
        if name.lower() == "dpkg::lock::timeout":
            request.patience = float(value) if float(value) >= 0 else float("inf")
        elif name.lower() != "dpkg::options::":
            raise NotModelled(f"apt-get --option={name}")
    if request.verb not in ("update", "install", "upgrade"):
        raise NotModelled(f"apt-get {request.verb}".rstrip())
    return request


def _size(count: int) -> str:
    """A number of bytes as apt writes it."""
    if count < 10_000:
        return f"{count} B"
    kilo = count / 1000
    return f"{kilo:.1f} kB" if kilo < 10_000 else f"{kilo / 1000:.1f} MB"
