"""Random runbooks, as text, with features that an engine can get wrong in combination."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Book:
    """A runbook's text, the hosts it is for, and how each command of it ends, time after time."""

    text: str
    hosts: tuple[str, ...]
    answers: dict[str, list[int]]


class _Writer:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.answers: dict[str, list[int]] = {}

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == one_in

    def command(self, *, well: bool = False) -> str:
        """A command of its own, and the statuses it answers with; the last one for ever."""
        text = f"do {len(self.answers) + 1}"
        status = st.just(0) if well else st.sampled_from([0, 0, 3])
        self.answers[text] = self.draw(st.lists(status, min_size=1, max_size=3))
        return text

    def step(self) -> dict[str, Any]:
        kind = self.draw(st.sampled_from(["change"] * 8 + ["read", "ask", "manual", "wait"]))
        if kind == "ask":
            return {"ask": {"question": "Which?"}, "register": f"a{len(self.answers)}"}
        if kind == "manual":
            return {"manual": "Pull it"}
        if kind == "wait":
            return {"watch": {"command": self.command(well=True), "every": "1s", "until": "rc == 0"}}
        made: dict[str, Any] = {"run": self.command()}
        if kind == "read":
            return {**made, "reads": True}
        if self.chance(2):
            made |= {"until": "result.rc == 0", "retries": self.draw(st.integers(1, 3)), "delay": "1s"}
        if self.chance(4):
            made["confirm"] = "Sure?"
        if self.chance(4):
            made["on_failure"] = [{"run": self.command()}]
        if self.chance(4):
            made["undo"] = [{"run": self.command()}]
        if self.chance(5):
            made["log"] = "It is done."
        return made

    def work(self, number: int) -> dict[str, Any]:
        steps = [self.step() for _ in range(self.draw(st.integers(1, 4)))]
        if self.chance(3):
            beside = {"run": self.command(), "background": True, "id": f"beside-{number}"}
            steps.insert(self.draw(st.integers(0, len(steps))), beside)
            if self.chance(2):
                steps.append({"join": [f"beside-{number}"]})
        made: dict[str, Any] = {"work": f"Work {number}", "steps": steps}
        if self.chance(5):
            made["on_failure"] = [{"run": self.command()}]
        return made


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Two or three works of up to five steps, on one host or two."""
    writer = _Writer(draw)
    hosts = ("web1", "web2")[: draw(st.integers(1, 2))]
    whole: dict[str, Any] = {
        "title": "T", "hosts": list(hosts),
        "works": [writer.work(number + 1) for number in range(draw(st.integers(2, 3)))],
    }  # fmt: skip
    if writer.chance(5):
        whole["rescue"] = [{"run": writer.command()}]
    return Book(json.dumps(whole), hosts, writer.answers)
