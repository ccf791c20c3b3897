"""What a contender is told to do, handed to its process as one JSON argument."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One host as a contender reaches it. All are the same sshd; ``key`` tells them apart."""

    name: str
    port: int
    user: str
    key: str


@dataclass(frozen=True, slots=True)
class Order:
    """Do ``steps`` steps on every target, after one that is not counted.

    ``folder`` is the contender's own, on a disk; ``sockets`` one whose path is short.
    """

    contender: str
    targets: Sequence[Target]
    steps: int
    known_hosts: str
    ssh_config: str
    folder: str
    sockets: str

    def to_json(self) -> str:
        """As an argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The reverse of ``to_json``."""
        fields = json.loads(text)
        fields["targets"] = [Target(**target) for target in fields["targets"]]
        return cls(**fields)


def inventory(order: Order, connection: str = "ssh") -> str:
    """The targets as an inventory file. JSON is YAML."""
    hosts = {
        target.name: {
            "address": "127.0.0.1",
            "port": target.port,
            "user": target.user,
            "identity_file": target.key,
            "known_hosts": order.known_hosts,
        }
        for target in order.targets
    }
    ways = {"connection": connection, "ssh_config": order.ssh_config}
    return json.dumps({**ways, "hosts": hosts, "groups": {"everywhere": list(hosts)}})


def runbook(steps: int, *, reads: bool) -> str:
    """A runbook of no-op steps on every target."""
    step: dict[str, object] = {"run": "true"}
    if reads:
        step["reads"] = True
    works = [{"work": "Do nothing, often", "steps": [step] * steps}]
    return json.dumps({"title": "Benchmark", "hosts": "everywhere", "works": works})
