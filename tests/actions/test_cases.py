"""Actions from data files: parameters and answers in, exactly these commands or this error out.

A case is a conversation. ``says`` lists what the action yields, in order: ``probe``/``change``
with the exact command line and, below it, what the host answers (``out``, ``err``, ``status``,
``offline``) and, where a case cares, its ``stdin``; ``ask``/``sleep``/``report``/``note``. A list in it stands for its items. It ends with ``registers``, ``fails``, ``refuses`` or
``cannot_know``.

A probe that is a whole script is written ``sh NAME arguments``, by the script's ``$0``. What
``standing.yaml`` answers need not stand in a case: the reading of a host that starts well, which
every reboot begins with, and a host whose disks nobody holds. A case that lists such a probe itself gives its own answer; ``but``
replaces pieces of the standing ones.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tastyops.app.registry import registry
from tastyops.errors import ActionStopped, CannotKnow, Failed, ProbeFailed, Refused
from tastyops.facts.parsers import parse
from tastyops.model.action import Facts
from tastyops.model.coercion import coerce
from tastyops.model.commands import (
    Ask,
    Blob,
    Change,
    Offline,
    Output,
    Probe,
    Report,
    Sleep,
    Unknown,
)

CASES = [
    pytest.param(case, id=f"{file.stem}: {case['case']}")
    for file in sorted(Path(__file__).parent.glob("*.yml"))
    for case in yaml.safe_load(file.read_text())
]


STANDING: dict[str, dict[str, Any]] = {
    f"probe {line['probe']}": line
    for line in yaml.safe_load((Path(__file__).parent / "standing.yaml").read_text())
}


def standing(text: str) -> dict[str, Any] | None:
    """The standing answer to a probe; one for ``sh NAME *`` answers the script for all devices."""
    return STANDING.get(text) or STANDING.get(f"{' '.join(text.split(' ', 3)[:3])} *")


def said(command: Any) -> str:
    match command:
        case Probe(argv=("sh", "-c", script, name, *rest)) if "\n" in script:
            return f"probe sh {shlex.join([name, *rest])}"
        case Probe(argv=argv):
            return f"probe {shlex.join(argv)}"
        case Change(argv=argv):
            return f"change {shlex.join(argv)}"
        case Ask(kind=kind, text=text):
            return f"ask {kind}: {text}"
        case Sleep(seconds=seconds):
            return f"sleep {seconds:g}"
        case Report(entry=entry) if entry is not None:
            return f"report {entry.text}"
        case Report(note=note) if note:
            return f"note {note}"
    return "report"


def flat(lines: list[Any]) -> list[dict[str, Any]]:
    """The lines, those of lists (what several cases share) among them."""
    found: list[dict[str, Any]] = []
    for line in lines:
        found += flat(line) if isinstance(line, list) else [line]
    return found


def expected(line: Any) -> str:
    (kind, text), *_ = line.items()
    return kind if text is None else f"{kind} {text}"


def without_note(heard: str, wanted: str) -> str:
    """A report whose note a case does not care about is only a report."""
    return "report" if wanted == "report" and heard.startswith("note ") else heard


def value_of(command: Any, line: dict[str, Any]) -> Any:
    if line.get("withheld"):
        return Unknown("1.1")
    if "offline" in line:
        return Offline(line["offline"], line.get("at", 0.0))
    if "answer" in line:
        return line["answer"]
    output = Output(
        int(line.get("status", 0)),
        Blob.of(str(line.get("out", "")).encode()),
        Blob.of(str(line.get("err", "")).encode()),
        at=float(line.get("at", 0.0)),
        timed_out=bool(line.get("timed_out")),
    )
    if isinstance(command, Probe):
        return parse(command.parser, output)
    return output if isinstance(command, Change) else None


def facts_of(case: dict[str, Any]) -> Facts:
    given = {"host": "kalimdor", "step": "1.1", **case.get("facts", {})}
    earlier = given.pop("earlier", {})
    return Facts(**given, earlier=lambda action: earlier.get(action, {}))


def altered(answer: str, case: dict[str, Any]) -> str:
    for old, new in case.get("but", {}).items():
        answer = answer.replace(old, new)
    return answer


def converse(case: dict[str, Any]) -> tuple[list[str], Any]:
    """What the action said, and its return value or the error it ended with."""
    spec = registry()[case["action"]]
    params = {
        name: coerce(spec.params[name], value) for name, value in case.get("params", {}).items()
    }
    steps = spec.perform(spec.build(**params), facts_of(case))
    lines, heard = flat(case["says"]), []
    try:
        command = next(steps)
        while True:
            line = lines[len(heard)] if len(heard) < len(lines) else {}
            text = said(command)
            answer = standing(text)
            if answer and (not line or expected(line) != text):
                line = {**answer, "out": altered(answer["out"], case)}
            else:
                heard.append(text)
                if "stdin" in line:
                    assert isinstance(command, Change)
                    assert command.stdin.decode() == line["stdin"]
            try:
                value = value_of(command, line)
            except ProbeFailed as error:
                command = steps.throw(error)
            else:
                command = steps.send(value)
            assert len(heard) <= len(lines) + 3, heard
    except StopIteration as end:
        return heard, end.value
    except ActionStopped as error:
        return heard, error


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    for piece in case.get("but", {}):
        assert any(piece in line["out"] for line in STANDING.values()), piece
    heard, end = converse(case)
    wanted = [expected(line) for line in flat(case["says"])]
    assert [*map(without_note, heard, wanted), *heard[len(wanted) :]] == wanted
    if "registers" in case:
        assert end == case["registers"]
    ends = {"fails": Failed, "refuses": Refused, "misreads": ProbeFailed}
    assert len({"registers", "cannot_know", *ends} & case.keys()) == 1, "a case has one end"
    for key, kind in ends.items():
        if key in case:
            assert isinstance(end, kind), end
            assert end.why == case[key]
    if "cannot_know" in case:
        assert isinstance(end, CannotKnow)


def test_every_action_has_a_case() -> None:
    assert {case.values[0]["action"] for case in CASES} == set(registry())  # type: ignore[index,union-attr]
