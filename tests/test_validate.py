"""Runbooks: the result for a valid file, and every problem of an invalid one, with its place."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.app.registry import registry
from tastyops.errors import InvalidFile, Place, UsageError
from tastyops.model.action import ActionSpec, Facts, Param, Registry
from tastyops.model.coercion import coerce, input_value
from tastyops.model.commands import Unknown
from tastyops.model.duration import format_duration, parse_duration
from tastyops.model.runbook import ANOTHER_OPERATOR, Input, Marked, Runbook, Step
from tastyops.runbook.validation import validate
from tastyops.runbook.yaml_reader import MAX_PROBLEMS
from tests.schemas import refused, validator


def nothing(params: Any, facts: Facts) -> Generator[Any, Any, None]:
    yield from ()


def spec(
    name: str, *params: Param, returns: dict[str, str] | None = None, **more: Any
) -> ActionSpec:
    values: dict[str, Any] = {"help": "", "sentence": "", "person": False, "previews": True}
    values |= {"scalar": params[0].name if params else None, "hostless": False, "guarded": False}
    values |= more
    return ActionSpec(
        name=name,
        params={p.name: p for p in params},
        returns=returns or {},
        build=dict,
        perform=nothing,
        **values,
    )


REGISTRY: Registry = {
    each.name: each
    for each in (
        spec(
            "run",
            Param("command", "shell", True),
            Param("stdin", "text", False),
            returns={"stdout": "private", "rc": "count"},
        ),
        spec("wall", Param("message", "text", True), guarded=True),
        spec(
            "confirm",
            Param("question", "text", False),
            Param("by", "text", False, choices=(ANOTHER_OPERATOR,)),
            hostless=True,
        ),
        spec("kernel.install", Param("package", "text", True), returns={"version": "version"}),
        spec(
            "packages",
            Param("names", "list", True),
            Param("state", "text", False, choices=("present", "absent")),
        ),
        spec(
            "watch",
            Param("command", "shell", True),
            Param("until", "expression", False),
            Param("every", "duration", False),
            Param("count", "integer", False),
            Param("level", "number", False),
            Param("loud", "boolean", False),
            Param("settings", "mapping", False),
            returns={"percent": "percentage"},
        ),
        spec("services.verify"),
    )
}

SCHEMA = validator(REGISTRY)

HEAD = "title: T\nhosts: kalimdor\nworks:\n- work: W\n  steps:\n"
"""Steps follow from line 6 on."""


def read(text: str, **more: Any) -> Runbook:
    more = {"host_names": ("kalimdor", "azeroth"), "host_vars": frozenset({"rack"}), **more}
    runbook = validate(text.encode(), "r.yml", REGISTRY, **more)
    assert not refused(text, SCHEMA), "the schema refuses what validate accepts"
    return runbook


def seen(error: InvalidFile) -> None:
    assert error.problems
    assert all(problem.place.line >= 1 for problem in error.problems)


def problems(text: str, **more: Any) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        read(text, **more)
    return [str(problem) for problem in caught.value.problems]


def steps(text: str) -> list[Step]:
    return list(read(HEAD + text).steps())


WHOLE = """\
title: Emergency kernel upgrade
kind: incident
hosts: [kalimdor, azeroth]
summary:
  - "{{ host }} will be rebooted."
inputs:
  package: {help: The kernel, default: linux-image}
  grace: {type: duration, default: 60}
vars: {who: "{{ package }} for {{ rack }}", n: 5}
works:
  - work: Install {{ package }}
    when: package != 'none'
    steps:
      - kernel.install: {package: "{{ package }}"}
        register: kernel
        log: Kernel {{ kernel.version }} installed.
      - wall: "{{ host }} reboots in {{ grace }}."
        id: warn
        name: Warn {{ host }}
        when: kernel.version != who
        confirm: Send it?
        timeout: 1m
        sudo: no
        hosts: azeroth
        force: I say so
        no_log: true
        log: false
  - work: Verify
    steps:
      - services.verify:
      - run: mdadm --detail /dev/md0
        reads: true
        until: result.rc == 0
        retries: 5
        delay: 2
        publish: yes
        log: "{{ result.stdout }}"
"""


def test_a_whole_runbook() -> None:
    book = read(WHOLE)
    assert (book.title.text, book.kind, book.hosts) == (
        "Emergency kernel upgrade",
        "incident",
        ("kalimdor", "azeroth"),
    )
    assert book.summary == (Marked("{{ host }} will be rebooted.", Place("r.yml", 5, 5)),)
    assert book.inputs["package"] == Input(
        "package", "text", "The kernel", "linux-image", True, (), Place("r.yml", 7, 3)
    )
    assert book.inputs["grace"].default == "1m"
    assert book.vars["n"] == 5
    assert book.vars["who"].text == "{{ package }} for {{ rack }}"
    install, warn, verify, look = book.steps()
    assert (install.address, install.id, install.action) == ("1.1", "1.1", "kernel.install")
    assert install.params["package"] == Marked("{{ package }}", Place("r.yml", 14, 35))
    assert (install.register, install.log and install.log.text) == (
        "kernel",
        "Kernel {{ kernel.version }} installed.",
    )
    assert (warn.address, warn.id, warn.timeout, warn.sudo) == ("1.2", "warn", 60.0, False)
    assert (warn.hosts, warn.no_log, warn.log, warn.log_silent) == (("azeroth",), True, None, True)
    assert warn.confirm == Marked("Send it?", Place("r.yml", 21, 18))
    assert None not in (warn.force, warn.name, warn.when)
    assert (verify.address, verify.params) == ("2.1", {})
    assert (look.reads, look.publish, look.retries, look.delay) == (True, True, 5, 2.0)
    assert book.works[0].when == Marked("package != 'none'", Place("r.yml", 12, 11))
    assert book.source == WHOLE.encode()


REFUSED_FILES = {
    "empty": ("", "1:1: the file is empty"),
    "list": ("- a\n", "1:1: a runbook must be a mapping (key: value), not a list"),
    "text": ("hello\n", "1:1: a runbook must be a mapping (key: value), not 'hello'"),
    "tabs": ("title: x\nworks:\n\t- work: a\n", "3:1: a tab is used for indentation"),
    "twice": ("title: x\ntitle: y\n", "2:1: the key 'title' is here twice, first at r.yml:1:1"),
    "unknown": ("titel: x\n", "1:1: 'titel' is not a key of a runbook (did you mean 'title'?)"),
    "no title": ("hosts: none\n", "1:1: the runbook has no title"),
    "no hosts": ("title: x\n", "1:1: the runbook does not say its hosts"),
    "no works": ("title: x\n", "1:1: the runbook has no works"),
    "works": ("works: []\n", "1:8: 'works' must be a list of at least one work, not an empty list"),
    "empty title": ("title: ' '\n", "1:8: 'title' is empty"),
    "null title": ("title:\n", "1:7: 'title' is empty"),
    "list title": ("title: [a]\n", "1:8: 'title' must be text, not a list"),
    "kind": (
        "kind: incidnet\n",
        "1:7: the kind 'incidnet' is not known (did you mean 'incident'?)",
    ),
    "host": ("hosts: kalimdr\n", "1:8: the host or group 'kalimdr' is not known (did you mean"),
    "hosts": ("hosts: []\n", "1:8: 'hosts' names no host"),
    "serial": ("serial: 1\n", "1:1: 'serial' is not available yet"),
    "window": ("window: x\n", "1:9: 'window' must be a mapping"),
    "window without an end": ('window: {from: "00:01"}\n', "1:9: 'window' needs either 'to' or 'for'"),
    "window with two ends": ("window: {to: 0200, for: 2h}\n", "1:9: 'window' needs either"),
    "window with no time": ("window: {to: soon}\n", "1:14: 'to' of 'window': 'soon' cannot be taken"),
    "window of no length": ("window: {for: 0s}\n", "1:15: 'for' of 'window' must be longer"),
    "work": ("works: [a]\n", "1:9: work 1 must be a mapping (key: value), not 'a'"),
    "work key": (
        "works: [{wrok: a}]\n",
        "1:10: 'wrok' is not a key of work 1 (did you mean 'work'?)",
    ),
    "work title": ("works: [{steps: []}]\n", "1:9: work 1 has no title"),
    "steps": ("works: [{steps: []}]\n", "1:17: 'steps' of work 1 must be a list of at least one"),
    "no steps": ("works: [{work: a}]\n", "1:9: work 1 has no steps"),
    "work on_failure": ("works: [{on_failure: a}]\n", "1:22: a step of 'on_failure' must be a mapping"),
    "summary": ("summary: {a: b}\n", "1:10: 'summary' must be a list, not a mapping"),
    "class": ("title: \"{{ ''.__class__ }}\"\n", "1:15: '__class__' is refused"),
    "loop": ("summary: ['{% for i in x %}{% endfor %}']\n", "1:15: loops are not available"),
    "undefined": ("title: a {{ hots }}\n", "1:13: 'hots' is not defined here (did you mean 'host"),
    "not UTF-8": ("title: \udcff\n", "1:8: the byte 0xff is not UTF-8"),
    "NUL": ("title: a\0b\n", "1:9: a NUL stands in the file"),
    "two documents": ("title: a\n---\ntitle: b\n", "2:1: a second document begins here"),
    "python": ("title: !!python/name:os.system x\n", "1:8: the tag 'tag:yaml.org,2002:python/name"),
    "deep": ("a: " + "[" * 5000, "1:67: this is nested more than 64 deep"),
    "large": ("#" * 1_100_000, "1:1: the file is larger than 1024 KiB"),
    "loops": ("vars: &v {a: *v}\n", "1:14: the alias '*v' stands inside its own anchor"),
    "inputs": ("inputs: [a]\n", "1:9: 'inputs' must be a mapping"),
    "input name": ("inputs: {a-b: 1}\n", "1:10: the input 'a-b' cannot be a name in a template"),
    "input taken": ("inputs: {host: 1}\n", "1:10: the name 'host' is taken"),
    "input host var": ("inputs: {rack: 1}\n", "1:10: the name 'rack' is taken (a host's variable"),
    "input type": (
        "inputs: {a: {type: integr}}\n",
        "1:20: the type 'integr' is not known (did you",
    ),
    "input default": (
        "inputs: {a: {type: integer, default: x}}\n",
        "1:38: the default must be a whole number, not 'x'",
    ),
    "input span": (
        "inputs: {a: {type: duration, default: 5x}}\n",
        "1:39: the default: '5x' is not a span of",
    ),
    "input choice": (
        "inputs: {a: {default: x, choices: [y, z]}}\n",
        "1:23: the default must be one of y, z, not",
    ),
    "input template": ("inputs: {a: '{{ host }}'}\n", "1:13: the default cannot hold a template"),
    "input secret": ("inputs: {a: {secret: true, default: x}}\n", "1:28: a secret has no 'default'"),
    "input key": (
        "inputs: {a: {defualt: 1}}\n",
        "1:14: 'defualt' is not a key of the input 'a' (did",
    ),
    "var name": ("vars: {_a: 1}\n", "1:8: the variable '_a' cannot be a name"),
    "var taken": ("inputs: {a: 1}\nvars: {a: 1}\n", "2:8: the name 'a' is taken"),
    "var order": ("vars: {a: '{{ b }}', b: 1}\n", "1:15: 'b' is not defined here"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_a_file_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        validate(
            text.encode("utf-8", "surrogateescape"),
            "r.yml",
            REGISTRY,
            ("kalimdor",),
            frozenset({"rack"}),
        )
    found = [str(problem) for problem in caught.value.problems]
    assert any(line.startswith(f"r.yml:{said}") for line in found), found


REFUSED_STEPS = {
    "none": ("  - log: x\n", "6:5: this step has no action (actions: confirm, kernel.install,"),
    "not a mapping": ("  - uptime\n", "6:5: step 1.1 must be a mapping (key: value), not 'uptime'"),
    "two": (
        "  - run: a\n    wall: b\n",
        "7:5: a second action in one step: 'run' and 'wall' (make them two steps)",
    ),
    "unknown action": ("  - rum: a\n", "6:5: 'rum' is neither an action nor a key of a step (did"),
    "unknown key": ("  - run: a\n    regsiter: b\n", "7:5: 'regsiter' is neither an action nor a"),
    "undo": ("  - run: a\n    undo: b\n", "7:11: a step of 'undo' must be a mapping"),
    "undo in undo": ("  - run: a\n    undo: {run: b, undo: {run: c}}\n", "7:20: 'undo' has no place in a step for when"),
    "undo with steps": ("  - run: a\n    undo: {steps: {run: b}, always: true}\n", "7:29: 'always'"),
    "background": ("  - run: a\n    background: b\n", "7:17: 'background' must be true or false"),
    "quiet": ("  - run: a\n    quiet: b\n", "7:12: 'quiet': 'b' is not a span of time"),
    "on_failure": ("  - run: a\n    on_failure: b\n", "7:17: a step of 'on_failure' must be a mapping"),
    "confirm by": ("  - confirm: {by: x}\n", "6:19: 'by' of 'confirm'"),
    "confirm by a template": (
        "  - confirm: {by: '{{ host }}'}\n", "6:19: 'by' of 'confirm' cannot be '{{ host }}'",
    ),
    "confirm key by": (
        "  - run: a\n    confirm: {by: x}\n", "7:19: the approver 'x' is not known (known: another",
    ),
    "confirm key that asks nothing": ("  - run: a\n    confirm: {}\n", "7:14: 'confirm' asks noth"),
    "confirm key with a private value": (
        "  - {run: a, register: r}\n  - run: a\n    confirm: {question: '{{ r.stdout }}'}\n",
        "8:31: 'r.stdout' is private",
    ),
    "confirm by another with a private value": (
        "  - {run: a, register: r}\n"
        "  - confirm: {question: '{{ r.stdout }}', by: another operator}\n",
        "7:31: 'r.stdout' is private",
    ),
    "parameter": ("  - run: {comand: a}\n", "6:11: 'comand' is not a key of 'run' (did you mean"),
    "missing": ("  - run:\n", "6:5: 'run' lacks its 'command'"),
    "missing null": ("  - run: {command: }\n", "6:5: 'run' lacks its 'command'"),
    "list for text": ("  - run: [a]\n", "6:10: 'run' takes named parameters, not a list"),
    "scalar for none": ("  - services.verify: x\n", "6:22: 'services.verify' takes named"),
    "text type": ("  - run: {command: [a]}\n", "6:20: 'command' of 'run' must be text, not a list"),
    "integer": (
        "  - watch: {command: x, count: 1.5}\n",
        "6:32: 'count' of 'watch' must be a whole",
    ),
    "number": ("  - watch: {command: x, level: x}\n", "6:32: 'level' of 'watch' must be a number"),
    "boolean": ("  - watch: {command: x, loud: 2}\n", "6:31: 'loud' of 'watch' must be true or"),
    "duration": (
        "  - watch: {command: x, every: soon}\n",
        "6:32: 'every' of 'watch': 'soon' is not",
    ),
    "negative": (
        "  - watch: {command: x, every: -5}\n",
        "6:32: 'every' of 'watch': a span of time",
    ),
    "mapping": ("  - watch: {command: x, settings: 5}\n", "6:35: 'settings' of 'watch' must be a"),
    "list": ("  - packages: {names: {a: b}}\n", "6:23: 'names' of 'packages' must be a list"),
    "choice": (
        "  - packages: {names: [a], state: presnt}\n",
        "6:35: 'state' of 'packages' must be",
    ),
    "list item": ("  - packages: ['{{ nope }}']\n", "6:20: 'nope' is not defined here"),
    "quotes": ("  - run: echo '{{ host }}'\n", "6:16: a value inside quotes in a shell command"),
    "expression": (
        "  - watch: {command: x, until: percent > nope}\n",
        "6:42: 'nope' is not defined",
    ),
    "id": ("  - run: a\n    id: A b\n", "7:9: 'A b' cannot be a step's id"),
    "id twice": (
        "  - {run: a, id: x}\n  - {run: a, id: x}\n",
        "7:18: the id 'x' is taken, first at",
    ),
    "register": ("  - run: a\n    register: a-b\n", "7:15: the name 'a-b' cannot be a name in a"),
    "register taken": ("  - run: a\n    register: rack\n", "7:15: the name 'rack' is taken"),
    "register host": ("  - run: a\n    register: host\n", "7:15: the name 'host' is taken"),
    "retries": ("  - run: a\n    retries: -1\n", "7:14: 'retries' must be a whole number from 0"),
    "delay": ("  - run: a\n    delay: 5x\n", "7:12: 'delay': '5x' is not a span of time"),
    "timeout": ("  - run: a\n    timeout: 0\n", "7:14: 'timeout' must be longer than nothing"),
    "reads": ("  - run: a\n    reads: maybe\n", "7:12: 'reads' must be true or false, not 'maybe'"),
    "hosts": ("  - run: a\n    hosts: nope\n", "7:12: the host or group 'nope' is not known"),
    "no hosts": ("  - run: a\n    hosts: none\n", "7:12: 'hosts' of a step names no host"),
    "log true": ("  - run: a\n    log: true\n", "7:10: 'log' must be text, not true"),
    "log private": (
        "  - run: a\n    register: out\n    log: x {{ out.stdout }}\n",
        "8:19: 'out.stdout' is private and this text is public",
    ),
    "log private result": (
        "  - run: a\n    log: >-\n      one\n      x {{ result.stdout }}\n",
        "9:19: 'result.stdout' is",
    ),
    "log private later": (
        "  - {run: a, register: out}\n  - {run: b, log: '{{ out.stdout }}'}\n",
        "7:27: 'out.stdout' is private",
    ),
    "field": (
        "  - {kernel.install: a, register: k}\n  - wall: to {{ k.versoin }}\n",
        "7:19: 'k' has no field 'versoin' (did you mean 'version'?)",
    ),
    "too early": (
        "  - wall: to {{ k.version }}\n  - {kernel.install: a, register: k}\n",
        "6:17: 'k' is not defined here (it is registered further down, at r.yml:7:35)",
    ),
    "own name in command": (
        "  - {run: 'a {{ out.rc }}', register: out}\n",
        "6:17: 'out' is not defined here",
    ),
    "when": ("  - run: a\n    when: rack ==\n", "7:11: an expression is cut short"),
    "when unknown": ("  - run: a\n    when: 5 < rak\n", "7:15: 'rak' is not defined here (did you"),
    "block text": (
        "  - run: |\n      one\n\n        two {{ rak }}\n",
        "9:16: 'rak' is not defined here",
    ),
    "name": ("  - {run: a, register: o}\n  - {run: a, name: '{{ o.rc }}'}\n", "7:24: 'o' is not"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED_STEPS.values(), ids=REFUSED_STEPS)
def test_a_step_refused_with_its_place(text: str, said: str) -> None:
    found = problems(HEAD + text)
    assert len(found) == 1, found
    assert found[0].startswith(f"r.yml:{said}"), found


def test_every_problem_at_once() -> None:
    found = problems(
        "title: '{{ x }}'\nhosts: nope\ntitle: b\nkind: x\nworks:\n- work: W\n  steps:\n"
        "  - run: '{{ y }}'\n    wall: z\n  - nope: x\n"
    )
    assert [line.split(": ")[0] for line in found] == [
        f"r.yml:{at}" for at in ("1:12", "2:8", "3:1", "4:7", "8:14", "9:5", "10:5")
    ]


def test_a_host_is_needed() -> None:
    text = "title: T\nhosts: none\nworks:\n- work: W\n  steps:\n  - confirm: ok?\n"
    assert read(text).hosts == ()
    found = problems(text + "  - run: a\n")
    assert found == ["r.yml:7:5: 'run' needs a host, and the runbook says `hosts: none`"]


def test_without_an_inventory_any_host_goes() -> None:
    assert read(HEAD.replace("kalimdor", "any") + "  - run: a\n", host_names=None).hosts == ("any",)


def test_confirm_is_an_action_and_a_key() -> None:
    action, key = steps("  - confirm: Go on?\n  - run: a\n    confirm: Sure?\n")
    assert (action.action, action.confirm) == ("confirm", None)
    assert action.params["question"].text == "Go on?"
    assert key.action == "run"
    assert key.confirm == Marked("Sure?", Place("r.yml", 8, 14))


def test_another_operators_yes_may_be_wanted_with_or_without_a_question() -> None:
    bare, asked, action = steps(
        "  - run: a\n    confirm: {by: another operator}\n"
        "  - run: b\n    confirm: {question: Sure?, by: another operator}\n"
        "  - confirm: {by: another operator}\n"
    )
    assert (bare.confirm, bare.approval) == (None, ANOTHER_OPERATOR)
    assert (asked.confirm and asked.confirm.text, asked.approval) == ("Sure?", ANOTHER_OPERATOR)
    assert (action.params["by"].text, action.approval) == (ANOTHER_OPERATOR, "")


def test_parameters_have_their_types() -> None:
    step, packages = steps(
        "  - watch: {command: x 6.10, every: 1m30s, count: 5, level: 1.5, loud: on, until: value,"
        " settings: {a: [x, 1, true, ~]}}\n  - packages: [a, '{{ host }}', 5]\n"
    )
    params = dict(step.params)
    assert params.pop("command").text == "x 6.10"
    assert params.pop("until").text == "value"
    inner = params.pop("settings")["a"]
    assert isinstance(inner[0], Marked)
    assert inner[1:] == [1, True, None]
    assert params == {"every": 90.0, "count": 5, "level": 1.5, "loud": True}
    assert [
        each.text if isinstance(each, Marked) else each for each in packages.params["names"]
    ] == [
        "a",
        "{{ host }}",
        5,
    ]


def test_a_number_for_a_text_stays_as_written() -> None:
    (step,) = steps("  - kernel.install: 6.10\n")
    assert step.params["package"].text == "6.10"


def test_templates_wait_for_the_run() -> None:
    (step,) = steps("  - watch: {command: x, count: '{{ rack }}', settings: '{{ rack }}'}\n")
    assert isinstance(step.params["count"], Marked)
    assert isinstance(step.params["settings"], Marked)


COERCED = [
    ("text", 5, "5"),
    ("text", True, "true"),
    ("integer", " 5 ", 5),
    ("integer", 5.0, 5),
    ("number", "1.5", 1.5),
    ("number", "2", 2),
    ("boolean", "Yes", True),
    ("boolean", "off", False),
    ("duration", "2h30m", 9000.0),
    ("duration", 90, 90.0),
    ("list", (1, 2), [1, 2]),
    ("mapping", {"a": 1}, {"a": 1}),
]


@pytest.mark.parametrize(("kind", "value", "result"), COERCED)
def test_coerced(kind: str, value: object, result: object) -> None:
    got = coerce(Param("p", kind, False), value)
    assert got == result
    assert type(got) is type(result)
    assert coerce(Param("p", kind, False), got) == got


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", []),
        ("integer", "5x"),
        ("integer", True),
        ("integer", 1.5),
        ("integer", "9" * 5000),
        ("integer", "+-5"),
        ("integer", "²"),
        ("number", "nan"),
        ("number", "1e999"),
        ("number", []),
        ("number", "+-1"),
        ("boolean", 1),
        ("boolean", "ja"),
        ("duration", "-5s"),
        ("duration", True),
        ("duration", float("inf")),
        ("duration", "9" * 500),
        ("list", "a"),
        ("mapping", "a"),
    ],
)
def test_not_coerced(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"must be|span of time|cannot be|longer"):
        coerce(Param("p", kind, False), value)


def test_coerce_leaves_what_is_not_known_yet() -> None:
    unknown = Unknown("1.1")
    assert coerce(Param("p", "integer", True), unknown) is unknown
    expression = Marked("a > 1", Place("f"))
    assert coerce(Param("p", "expression", True), expression) is expression
    assert coerce(Param("p", "integer", False, default=3), None) == 3
    with pytest.raises(ValueError, match="required"):
        coerce(Param("p", "integer", True), None)
    with pytest.raises(ValueError, match="did you mean 'present'"):
        coerce(Param("p", "text", True, choices=("present", "absent")), "presnt")


def test_inputs() -> None:
    given = "{a: 5, b: 6.10, c: 0644, d: true, e: , f: [x], g: {type: list}}"
    text = f"title: T\nhosts: none\ninputs: {given}\n"
    inputs = read(text + "works: [{work: W, steps: [{confirm: x}]}]\n").inputs
    assert {name: (i.type, i.default, i.has_default) for name, i in inputs.items()} == {
        "a": ("integer", 5, True),
        "b": ("text", "6.10", True),
        "c": ("text", "0644", True),
        "d": ("boolean", True, True),
        "e": ("text", None, False),
        "f": ("list", ["x"], True),
        "g": ("list", None, False),
    }
    assert input_value(inputs["a"], "7") == 7
    assert input_value(inputs["g"], "a, b,") == ["a", "b"]
    with pytest.raises(UsageError, match="a: it must be a whole number, not 'x'"):
        input_value(inputs["a"], "x")
    chosen = Input("k", "text", "Which", "a", True, ("abc", "b"), Place("f"))
    with pytest.raises(UsageError, match="must be one of abc, b, not 'abd'; did you mean 'abc'"):
        input_value(chosen, "abd")


SPANS = {
    "90": 90,
    "90s": 90,
    "1m": 60,
    "2h30m": 9000,
    "1d": 86400,
    "1.5h": 5400,
    "1d 2h": 93600,
    "0": 0,
    "0.5s": 0.5,
}


@pytest.mark.parametrize(("text", "seconds"), SPANS.items())
def test_spans(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5x", "m", "-1", "-1m", "1s1m", "1e3", "٣", "400d", "5 0 x"])
def test_not_spans(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|longer"):
        parse_duration(text)


@given(st.integers(0, 30_000_000))
def test_a_span_is_written_as_it_is_read(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_a_hostile_file_ends_soon() -> None:
    began = time.process_time()
    many = "".join(f"- {{wrok{n}: '{{{{ x{n} }}}}'}}\n" for n in range(20_000))
    found = problems("works:\n" + many)
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].endswith("correct these first") or any("more problems" in f for f in found)
    assert time.process_time() - began < 20


WORDS = st.sampled_from(
    [
        "title",
        "hosts",
        "works",
        "work",
        "steps",
        "run",
        "wall",
        "confirm",
        "log",
        "register",
        "id",
        "inputs",
        "vars",
        "a",
        ": ",
        ": ",
        "\n",
        "\n  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "none",
        "5",
        "'{{ a }}'",
        "'",
        "&x ",
        "*x",
        "false",
        "watch",
        "until",
        "~",
    ]
)


@given(st.binary(max_size=200) | st.lists(WORDS, max_size=40).map(lambda w: "".join(w).encode()))
def test_any_bytes_give_a_runbook_or_problems(data: bytes) -> None:
    try:
        validate(data, "f", REGISTRY)
    except InvalidFile as error:
        seen(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "{{ a }}", "none", "{{"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "run",
                        "wall",
                        "confirm",
                        "log",
                        "when",
                        "until",
                        "id",
                        "hosts",
                        "retries",
                        "command",
                        "by",
                        "timeout",
                        "register",
                        "name",
                        "publish",
                        "x",
                        "watch",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_step_gives_a_runbook_or_problems(step: object) -> None:
    try:
        read(HEAD + f"  - {json.dumps(step)}\n")
    except InvalidFile as error:
        seen(error)


def test_force_needs_a_guard_to_overrule() -> None:
    with pytest.raises(InvalidFile) as error:
        read(HEAD + "  - run: x\n    force: because\n")
    assert ":7:5: run has no guard that 'force' could overrule" in str(error.value)


def test_an_empty_rescue_is_no_rescue() -> None:
    found = problems(HEAD + "  - run: a\nrescue: []\n")
    assert found == ["r.yml:7:9: 'rescue' must be a step, or a list of steps, not an empty list"]


def test_a_join_names_steps_that_run_in_the_background_before_it() -> None:
    text = HEAD + "  - run: a\n    id: far\n  - join: far\n"
    with pytest.raises(InvalidFile) as caught:
        validate(text.encode(), "r.yml", registry(), ("kalimdor",), frozenset())
    (found,) = map(str, caught.value.problems)
    assert found.startswith("r.yml:8:11: no step in the background before this one has the id 'far'")


FOLLOWED: Registry = {
    "fs.repair_root": spec("fs.repair_root", person=True, followed_by=("reboot",)),
    "reboot": spec("reboot", Param("grace", "duration", False)),
    "run": REGISTRY["run"],
}
REPAIR = "title: T\nhosts: kalimdor\nworks:\n- work: W\n  steps:\n"
NEXT = "fs.repair_root must be followed by a step that does reboot"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("  - fs.repair_root:\n  - reboot: 1m\n", ""),
        ("  - fs.repair_root:\n- work: V\n  steps: [{reboot: 1m}]\n", ""),
        ("  - fs.repair_root:\n", f"6:5: {NEXT} (make the next step `reboot`)"),
        ("  - fs.repair_root:\n  - run: uptime\n  - reboot: 1m\n", f"6:5: {NEXT}"),
        ("  - fs.repair_root:\n  - {reboot: 1m, when: '1 > 2'}\n", f"7:5: {NEXT}, on the same"),
        ("  - fs.repair_root:\n  - {reboot: 1m, confirm: Now?}\n", f"7:5: {NEXT}, on the same"),
        (
            "  - fs.repair_root:\n- work: V\n  when: 1 > 2\n  steps: [{reboot: 1m}]\n",
            f"9:11: {NEXT}, on the same",
        ),
        ("  - {fs.repair_root: , background: true}\n  - reboot: 1m\n", "6:5: fs.repair_root cannot"),
        ("  - run: x\n    on_failure: {fs.repair_root: }\n  - reboot: 1m\n", f"7:17: {NEXT}"),
    ],
)
def test_a_step_that_must_be_followed_by_another(after: str, said: str) -> None:
    if not said:
        assert validate(f"{REPAIR}{after}".encode(), "r.yml", FOLLOWED)
        return
    with pytest.raises(InvalidFile) as caught:
        validate(f"{REPAIR}{after}".encode(), "r.yml", FOLLOWED)
    assert any(str(each).startswith(f"r.yml:{said}") for each in caught.value.problems), caught.value
