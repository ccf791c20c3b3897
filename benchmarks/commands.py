"""Whole commands as a user waits for them: process start to process end, connecting included.

The same no-op changes through ``tastyops run``, OpenSSH's ControlMaster, asyncssh, Fabric and
pyinfra, in turn, against one sshd; and tastyops' short verbs beside a bare ``import paramiko``.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import (
    ASYNCSSH,
    FABRIC,
    MASTER_SCRIPT,
    OVER_OPENSSH,
    PYINFRA,
    TASTYOPS,
    Command,
    CommandRow,
    Scenario,
    Spread,
)
from benchmarks.order import Order, inventory, runbook
from benchmarks.site import Site

ROOT = Path(__file__).resolve().parent.parent
PEER_PACKAGES = ("asyncssh", "fabric", "pyinfra")

_MOST_AT_ONCE = 50
"""Hosts that each peer works on at the same time; tastyops itself uses up to 64 threads."""

_TASTYOPS = ("-c", "from tastyops.cli.program import console_script; console_script()")


class ContenderError(Exception):
    """A contender did not do its steps; the message has the end of its output."""


def make_peers(folder: Path) -> None:
    """A virtual environment with the peers in it; pyinfra needs another paramiko than tastyops."""
    if (folder / "bin/python").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([folder / "bin/pip", "install", "-q", *PEER_PACKAGES], check=True)


def measure(
    site: Site,
    disk: Path,
    scenarios: Sequence[Scenario],
    repeats: int,
    *,
    peers: Path | None,
    say: Callable[[str], None],
) -> list[CommandRow]:
    """Every contender once in each repeat, after one small run of each that does not count."""
    shell = site.shells[0]
    builders = _contenders(peers)
    for name, build in builders.items():
        _one(build, name, site, shell, Scenario(1, 1), disk)
    rows = []
    for scenario in scenarios:
        found: dict[str, list[Command]] = {name: [] for name in builders}
        for repeat in range(repeats):
            say(f"whole commands, {scenario.title}: {repeat + 1} of {repeats}")
            for name, build in builders.items():
                found[name].append(_one(build, name, site, shell, scenario, disk))
        rows += [CommandRow.of(scenario, name, runs) for name, runs in found.items()]
    return rows


def measure_verbs(site: Site, disk: Path, repeats: int) -> dict[str, Spread]:
    """Processor seconds of each short verb, beside a Python that imports paramiko and ends."""
    folder = Path(tempfile.mkdtemp(prefix="verbs-", dir=disk))
    order = _order(TASTYOPS, site, site.shells[0], Scenario(1, 1), folder)
    run = _tastyops(order, None)
    timed(run, folder)
    place = run[len(_TASTYOPS) + 2 :]  # what comes after the verb: the runbook and the inventory
    runbook_path, known = place[0], place[1:3]
    commands = {
        "`python -c 'import paramiko'`": [sys.executable, "-c", "import paramiko"],
        **{
            f"`tastyops {verb}`": [sys.executable, *_TASTYOPS, verb, *words, *known]
            for verb, words in (
                ("check", [runbook_path]),
                ("list", []),
                ("show", ["last"]),
                ("hosts", []),
                ("status", []),
            )
        },
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, argv in commands.items():
            found[name].append(timed(argv, folder).cpu)
    shutil.rmtree(folder)
    return {name: Spread(tuple(each[1:])) for name, each in found.items()}


def timed(argv: Sequence[str], folder: Path) -> Command:
    """Runs one process to its end. Raises ContenderError if it fails.

    ``peak`` is the largest process of the command in MB, at least this process's own size: Linux
    hands ``ru_maxrss`` on through fork and exec.
    """
    environment = usual_environment() | {"HOME": str(folder), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as output:
        before = _children()
        began = time.perf_counter()
        child = subprocess.Popen(
            argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=output,
        )  # fmt: skip
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        background = _masters_cpu(before)
        if child.returncode:
            output.seek(0)
            last = output.read()[-800:].decode("utf-8", "replace")
            raise ContenderError(f"{shlex.join(argv)[:200]} ended with {child.returncode}: {last}")
    return Command(wall, used.ru_utime + used.ru_stime + background, used.ru_maxrss / 1024)


_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""

_MASTERS_END = 10.0


def adopt_orphans() -> None:
    """Makes this process the parent of what a command leaves in the background: ssh masters."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def _children() -> set[int]:
    listed = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    return {int(pid) for pid in listed.split()}


def _masters_cpu(before: set[int]) -> float:
    """Processor seconds of the processes that a command left behind, once they have ended."""
    until, spent = time.monotonic() + _MASTERS_END, 0.0
    while (left := _children() - before) and time.monotonic() < until:
        for pid in left:
            gone, _, used = os.wait4(pid, os.WNOHANG)
            if gone:
                spent += used.ru_utime + used.ru_stime
        time.sleep(0.005)
    return spent


def usual_environment() -> dict[str, str]:
    """This process's, without an agent, and with compiled modules kept as they usually are."""
    unusual = ("SSH_AUTH_SOCK", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in unusual}


# -- the contenders --------------------------------------------------------------------------------

_Build = Callable[[Order, Path | None], list[str]]


@dataclass(frozen=True, slots=True)
class _Contender:
    build: _Build
    peers: Path | None

    def argv(self, order: Order) -> list[str]:
        return self.build(order, self.peers)


def _contenders(peers: Path | None) -> dict[str, _Contender]:
    """tastyops and OpenSSH always; the others where there is a virtual environment with them."""
    builds: dict[str, _Build] = {
        TASTYOPS: _tastyops, OVER_OPENSSH: _over_openssh, MASTER_SCRIPT: _control_master,
    }  # fmt: skip
    if peers is not None:
        builds |= {ASYNCSSH: _asyncssh, FABRIC: _fabric, PYINFRA: _pyinfra}
    return {name: _Contender(build, peers) for name, build in builds.items()}


def _one(
    contender: _Contender, name: str, site: Site, shell: str, scenario: Scenario, disk: Path
) -> Command:
    folder = Path(tempfile.mkdtemp(prefix="command-", dir=disk))
    try:
        return timed(contender.argv(_order(name, site, shell, scenario, folder)), folder)
    finally:
        shutil.rmtree(folder)


def _order(name: str, site: Site, shell: str, scenario: Scenario, folder: Path) -> Order:
    return Order(
        name,
        site.targets(shell, scenario.hosts),
        scenario.steps,
        str(site.server.folder / "known_hosts"),
        str(site.server.ssh_config),
        str(folder),
        str(site.sockets),
    )


def _tastyops(order: Order, _: Path | None, connection: str = "ssh") -> list[str]:
    folder = Path(order.folder)
    (folder / "inventory.yml").write_text(inventory(order, connection))
    (folder / "bench.yml").write_text(runbook(order.steps, reads=False))
    known = ["--inventory", str(folder / "inventory.yml")]
    return [sys.executable, *_TASTYOPS, "run", str(folder / "bench.yml"), *known, "--yes"]


def _over_openssh(order: Order, _: Path | None) -> list[str]:
    return _tastyops(order, None, "openssh")


def _control_master(order: Order, _: Path | None) -> list[str]:
    """A shell script: one master a host, so many hosts at once, then a client for every step."""
    shared = f"-F {order.ssh_config} -o UserKnownHostsFile={order.known_hosts} -o BatchMode=yes"
    one = f"""set -e
options="{shared} -S {order.sockets}/w$1 -p $2 -i $4"
trap 'ssh $options -O exit "$3@127.0.0.1" 2>/dev/null' EXIT
ssh $options -fNM "$3@127.0.0.1" >/dev/null 2>&1
for i in $(seq {order.steps}); do ssh $options "$3@127.0.0.1" true; done
"""
    script = _written(order, "one.sh", one)
    hosts = "".join(
        f"{number} {target.port} {target.user} {target.key}\n"
        for number, target in enumerate(order.targets)
    )
    known = _written(order, "hosts.txt", hosts)
    return ["xargs", "-a", known, "-L", "1", "-P", str(_MOST_AT_ONCE), "sh", script]


def _asyncssh(order: Order, peers: Path | None) -> list[str]:
    script = f"""
import asyncio, asyncssh

async def one(target, gate):
    user, port, key = target
    async with gate, asyncssh.connect(
        "127.0.0.1", port, username=user, client_keys=[key], known_hosts={order.known_hosts!r},
        config=None, agent_path=None,
    ) as connection:
        for _ in range({order.steps}):
            await connection.run("true", check=True)

async def main():
    gate = asyncio.Semaphore({_MOST_AT_ONCE})
    await asyncio.gather(*[one(target, gate) for target in {_triples(order)!r}])

asyncio.run(main())
"""
    return [f"{peers}/bin/python", _written(order, "peer.py", script)]


def _fabric(order: Order, peers: Path | None) -> list[str]:
    script = f"""
from concurrent.futures import ThreadPoolExecutor
from fabric import Connection

def one(target):
    user, port, key = target
    how = {{"key_filename": key, "look_for_keys": False, "allow_agent": False}}
    with Connection("127.0.0.1", user=user, port=port, connect_kwargs=how) as connection:
        for _ in range({order.steps}):
            connection.run("true", hide=True, in_stream=False)

targets = {_triples(order)!r}
with ThreadPoolExecutor(min({_MOST_AT_ONCE}, len(targets))) as pool:
    list(pool.map(one, targets))
"""
    return [f"{peers}/bin/python", _written(order, "peer.py", script)]


def _pyinfra(order: Order, peers: Path | None) -> list[str]:
    hosts = [
        (target.name, {
            "ssh_hostname": "127.0.0.1", "ssh_port": target.port, "ssh_user": target.user,
            "ssh_key": target.key, "ssh_known_hosts_file": order.known_hosts,
        })
        for target in order.targets
    ]  # fmt: skip
    steps = "".join(
        f"server.shell(name='step {n}', commands=['true'])\n" for n in range(order.steps)
    )
    known = _written(order, "hosts.py", f"hosts = {hosts!r}\n")
    deploy = _written(order, "deploy.py", "from pyinfra.operations import server\n" + steps)
    return [f"{peers}/bin/pyinfra", "-y", "--parallel", str(_MOST_AT_ONCE), known, deploy]


def _triples(order: Order) -> list[tuple[str, int, str]]:
    return [(target.user, target.port, target.key) for target in order.targets]


def _written(order: Order, name: str, text: str) -> str:
    path = Path(order.folder) / name
    path.write_text(text)
    return str(path)
