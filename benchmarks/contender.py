"""One contender, in a process of its own: ``python -m benchmarks.contender ORDER``.

Prints one JSON object: ``wall`` and ``cpu`` in seconds for all counted steps on open connections,
``peak`` in MB.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import CHANGE, CONTROL_MASTER, FABRIC, PROBE
from benchmarks.order import Order, Target, inventory, runbook

if TYPE_CHECKING:
    from tastyops.journal.envelope import Event
    from tastyops.journal.events import Address
    from tastyops.plan.plan import Plan

_MASTER_SECONDS = 60.0
_NOTHING = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]

Found = dict[str, float]


def peak_mb(pid: int | str = "self") -> float:
    """The largest resident size of a live process so far.

    Not ``ru_maxrss``, which a process inherits from the one that started it.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


# -- tastyops --------------------------------------------------------------------------------------


class _Laps:
    """The run's clock, which reads the processor's too, and a listener that knows what it read.

    Listeners hear of events late and many at a time; what counts is when an event was recorded:
    the end of the first step on the last host, and the end of the last step there.
    """

    def __init__(self, hosts: int, steps: int) -> None:
        self._first, self._last = hosts, hosts * (steps + 1)
        self._ended = 0
        self._read: dict[datetime, tuple[float, float]] = {}
        self._began = (0.0, 0.0)
        self.wall = self.cpu = 0.0

    def now(self) -> datetime:
        now = datetime.now(UTC)
        self._read[now] = (time.perf_counter(), time.process_time())
        return now

    def sleep(self, seconds: float, wake: Callable[[float], bool]) -> None:
        wake(seconds)

    def event(self, event: Event) -> None:
        if event.kind != "step-ended":
            return
        self._ended += 1
        read = self._read[event.happened_at]
        if self._ended == self._first:
            self._began = read
        if self._ended == self._last:
            self.wall, self.cpu = read[0] - self._began[0], read[1] - self._began[1]

    def caught_up(self) -> None:
        """Nothing is held back."""

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Nothing is shown."""


def _planned(order: Order) -> Plan:
    """The steps as a plan, by way of an inventory and a runbook as files have them."""
    from tastyops.app.registry import registry
    from tastyops.plan.plan import make_plan
    from tastyops.runbook.inventory_file import read_inventory
    from tastyops.runbook.validation import validate

    source = runbook(order.steps + 1, reads=order.contender == PROBE).encode()
    hosts = read_inventory(inventory(order).encode(), "inventory.yml")
    known = {**hosts.hosts, **hosts.groups}
    book = validate(source, "bench.yml", registry(), known, frozenset())
    return make_plan(book, hosts.select(["everywhere"]), {}, registry())


def tastyops(order: Order) -> Found:
    """The engine with a real journal and log on disk."""
    from tastyops.engine.drive import Drive
    from tastyops.journal.events import RunOpened
    from tastyops.journal.state import RunState
    from tastyops.records.logs import LogBook, LogHead, LogKeeper
    from tastyops.records.runs import RunJournal, new_run_id
    from tastyops.redact import Masker
    from tastyops.transport.ssh.session import SshDialer

    plan, who, masker, now = _planned(order), "bench", Masker(), datetime.now(UTC)
    folder, run = Path(order.folder), new_run_id(now)
    journal = RunJournal.create(folder / "runs", run, plan.runbook.source, masker)
    head = LogHead("at risk", plan.title, "UTC", False, (), list(plan.work_titles.values()), [who])
    log = LogBook(folder / "logs", say=_say).open(head, now, masker)
    laps = _Laps(len(order.targets), order.steps)
    drive = Drive(
        plan,
        RunState(),
        run,
        journal=journal,
        dialer=SshDialer(Path(order.ssh_config)),
        clock=laps,
        who=who,
        listeners=(LogKeeper(log), laps),
    )
    names = [host.name for host in plan.hosts]
    drive.append(RunOpened(plan.title, "", "bench.yml", plan.digest, names, {}, [who], log.number))
    state = drive.run()
    journal.close()
    if state.closed is None or state.closed.exit_code != 0 or not laps.wall:
        raise SystemExit(f"the run did not complete: {state.closed}")
    return {"wall": laps.wall, "cpu": laps.cpu, "peak": peak_mb()}


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


# -- Fabric ----------------------------------------------------------------------------------------


def fabric(order: Order) -> Found:
    """What a short script with Fabric does: ``Connection.run`` on open connections."""
    from fabric import Connection, ThreadingGroup

    connections = [
        Connection(
            "127.0.0.1",
            user=target.user,
            port=target.port,
            connect_kwargs={
                "key_filename": target.key,
                "allow_agent": False,
                "look_for_keys": False,
            },
        )
        for target in order.targets
    ]
    together = ThreadingGroup.from_connections(connections)

    def step() -> None:
        if len(connections) == 1:
            connections[0].run("true", hide=True)
        else:
            together.run("true", hide=True)

    return _repeated(step, order.steps) | {"peak": peak_mb()}


def _repeated(
    step: Callable[[], None], times: int, clock: Callable[[], float] = time.process_time
) -> Found:
    """The step once, not counted, then so many times; ``clock`` is the processor's."""
    step()
    wall, cpu = time.perf_counter(), clock()
    for _ in range(times):
        step()
    return {"wall": time.perf_counter() - wall, "cpu": clock() - cpu}


# -- OpenSSH's ControlMaster -----------------------------------------------------------------------


class _Master:
    """One ``ssh -M``, and ``ssh -S`` through it, spawned as cheaply as Python can."""

    def __init__(self, order: Order, target: Target, number: int) -> None:
        self._socket = f"{order.sockets}/{number}"
        self._config = order.ssh_config
        self.pid = self._spawn(
            "-M",
            "-N",
            "-i",
            target.key,
            "-p",
            str(target.port),
            "-o",
            f"UserKnownHostsFile={order.known_hosts}",
            "-o",
            "BatchMode=yes",
            f"{target.user}@127.0.0.1",
        )

    def _spawn(self, *words: str) -> int:
        argv = ["ssh", "-F", self._config, "-S", self._socket, *words]
        return os.posix_spawnp("ssh", argv, os.environ, file_actions=_NOTHING)

    def await_ready(self) -> None:
        """The socket appears when the connection is open."""
        deadline = time.monotonic() + _MASTER_SECONDS
        while not os.path.exists(self._socket):
            gone = os.waitpid(self.pid, os.WNOHANG)[0]
            if gone or time.monotonic() > deadline:
                raise SystemExit("a ControlMaster did not connect")
            time.sleep(0.005)

    def step(self) -> None:
        """One command through the master."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._spawn("host", "true"), 0)[1])
        if code:
            raise SystemExit(f"ssh -S ended with {code}")

    def cpu(self) -> float:
        """Seconds this master has used."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def close(self) -> None:
        """Ends the master, which cleans up its socket."""
        os.waitpid(self._spawn("-O", "exit", "host"), 0)
        os.waitpid(self.pid, 0)


def control_master(order: Order) -> Found:
    """One established master for each host, ``ssh -S`` for each step."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(order.targets)))
        masters = []
        for number, target in enumerate(order.targets):
            masters.append(_Master(order, target, number))
            stack.callback(masters[-1].close)
        for master in masters:
            master.await_ready()

        def step() -> None:
            if len(masters) == 1:
                masters[0].step()
            else:
                list(pool.map(_Master.step, masters))

        def cpu() -> float:
            return _cpu_with_children() + sum(master.cpu() for master in masters)

        found = _repeated(step, order.steps, cpu)
        peak = peak_mb() + sum(peak_mb(master.pid) for master in masters)
    return found | {"peak": peak}


def _cpu_with_children() -> float:
    """This process, and the children that have ended: the ``ssh -S``."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


# -- one of them -----------------------------------------------------------------------------------

CONTENDERS: dict[str, Callable[[Order], Found]] = {
    PROBE: tastyops,
    CHANGE: tastyops,
    FABRIC: fabric,
    CONTROL_MASTER: control_master,
}


def main() -> None:
    """Does what the order in the first argument says."""
    order = Order.from_json(sys.argv[1])
    print(json.dumps(CONTENDERS[order.contender](order)))


if __name__ == "__main__":
    main()
