"""Secrets of a runbook: what the file may not do with them; no digest or event reveals one."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tastyops.app.devices import DevicePasswords
from tastyops.app.registry import registry
from tastyops.app.secrets import Secrets, packed, unpacked
from tastyops.errors import InvalidFile, ProbeFailed, SecretUnavailable, shown
from tastyops.journal.envelope import event_to_json
from tastyops.journal.events import Address, Intended, RunOpened, Settled, StepEnded, StepStarted
from tastyops.model.commands import Ask, Change, Probe, Report, Sleep, concealed, describe, digest
from tastyops.model.inventory import Host
from tastyops.model.public_text import PublicText
from tastyops.model.secret_source import ASKED, SecretSource
from tastyops.plan.advance import advance
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.runs import RunJournal, read_events
from tastyops.redact import MASK, Masker
from tastyops.redact.spellings import forms
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.validation import validate
from tests.core.driving import drive, dry
from tests.core.fake import FakeClock, FakeHost

SECRET = "hunter2 o'reilly"
OTHER = "correct horse \"battery\""
BOOK = """
title: T
hosts: web1
inputs:
  password: {secret: true, source: {env: DB_PASSWORD}, help: The database's}
vars:
  url: "db://u:{{ password }}@h"
works:
  - work: W
    steps:
      - run: {command: "login --password {{ password }}", stdin: "{{ password }}\\n"}
        register: login
      - run: connect {{ url }}
        reads: true
"""


def book(text: str = BOOK) -> Any:
    return validate(text.encode(), "r.yml", registry(), ["web1"])


def plan(secret: str = SECRET, text: str = BOOK) -> Plan:
    return make_plan(book(text), [Host("web1")], {"password": secret}, registry())


def refusals(text: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        book(text)
    return [str(problem) for problem in caught.value.problems]


# -- the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("source: {env: DB_PASSWORD}", "env:DB_PASSWORD"),
        ("source: {file: ~/secrets/db}", "file:'~/secrets/db'"),
        ("source: {command: [pass, show, my db]}", "command:pass show 'my db'"),
        ("help: It", "asked"),
        ("type: text", "asked"),
    ],
)
def test_a_secret_input_and_what_stands_for_it(source: str, reference: str) -> None:
    text = BOOK.replace("source: {env: DB_PASSWORD}, help: The database's", source)
    wanted = book(text).inputs["password"]
    assert wanted.secret.reference == reference
    assert (wanted.type, wanted.has_default, wanted.choices) == ("text", False, ())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("secret: true, default: hunter2hunter2", "5:28: a secret has no 'default' (what stands in"),
        ("secret: true, choices: [a, b]", "5:28: a secret has no 'choices' (the choices would"),
        ("secret: true, type: integer", "5:28: a secret has no 'type' (a secret is text)"),
        ("secret: maybe", "5:22: 'secret' must be true or false"),
        ("source: {env: X}", "5:14: only a secret has a 'source' (add `secret: true`)"),
        ("secret: false, source: {env: X}", "5:29: only a secret has a 'source' (leave it out)"),
        ("secret: true, source: X", "5:36: 'source' must be a mapping with one key"),
        ("secret: true, source: {}", "5:36: 'source' must have one key"),
        ("secret: true, source: {env: A, file: B}", "5:36: 'source' must have one key"),
        ("secret: true, source: {vault: A}", "5:37: 'vault' is not a key of 'source'"),
        ("secret: true, source: {env: $A}", "5:42: '$A' cannot be an environment variable"),
        ("secret: true, source: {file: ''}", "5:43: '' cannot be a path"),
        ("secret: true, source: {command: pass show x}", "5:46: 'command' must be a list of words"),
        ("secret: true, source: {command: []}", "5:46: 'command' must be a list of words"),
        ("secret: true, source: {command: [[a]]}", "5:47: a word of 'command' must be text"),
        ("secret: true, source: {command: ['']}", "5:47: 'command' names no program"),
    ],
)
def test_what_a_secret_input_may_not_say(spec: str, said: str) -> None:
    line = "password: {secret: true, source: {env: DB_PASSWORD}, help: The database's}"
    found = refusals(BOOK.replace(line, f"password: {{{spec}}}"))
    assert any(problem.startswith(f"r.yml:{said}") for problem in found), found


@pytest.mark.parametrize("name", ["password", "url", "deep"])
def test_no_public_text_may_use_a_secret_or_a_variable_made_of_one(name: str) -> None:
    """All places in one file: every problem is told, each where it stands."""
    text = f"""
title: "T {{{{ {name} }}}}"
hosts: web1
summary: ["S {{{{ {name} }}}}"]
inputs:
  password: {{secret: true}}
vars: {{url: "db://{{{{ password }}}}", deep: {{list: ["{{{{ url | upper }}}}"]}}}}
works:
  - work: "W {{{{ {name} }}}}"
    steps:
      - run: one {{{{ password }}}}
        name: "N {{{{ {name} }}}}"
        log: "L {{{{ {name} | length }}}}"
        confirm: "C {{{{ {name} }}}}"
        publish: true
"""
    found = refusals(text)
    assert [line.split(": ")[0] for line in found] == [
        "r.yml:2:14", "r.yml:4:17", "r.yml:9:17", "r.yml:12:21", "r.yml:13:20", "r.yml:14:24",
    ]  # fmt: skip
    assert all(f"'{name}' is a secret and this text is public" in line for line in found)


def test_an_inventory_may_say_where_the_sudo_password_comes_from() -> None:
    text = b"""
hosts:
  a: {sudo: {password: {env: A_PASSWORD}}}
  b: {sudo: {password: {file: keys/b}}}
  c: {sudo: {password: {command: [pass, show, c]}}}
  d: {sudo: ask}
"""
    hosts = read_inventory(text, "etc/inv.yml").hosts
    assert all(host.sudo == "ask" for host in hosts.values())
    sources = [host.sudo_password for host in hosts.values()]
    assert sources == [
        SecretSource("env", ("A_PASSWORD",)), SecretSource("file", ("etc/keys/b",)),
        SecretSource("command", ("pass", "show", "c")), None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sudo", "said"),
    [
        ("{}", "1:19: 'sudo' does not say its password's source"),
        ("{pasword: {env: A}}", "1:20: 'pasword' is not a key of 'sudo' (did you mean 'password'"),
        ("{password: hunter2hunter2}", "1:30: 'password' must be a mapping with one key"),
        ("maybe", "1:19: 'sudo' must be true, false or ask"),
    ],
)
def test_a_sudo_password_in_the_file_itself_is_refused(sudo: str, said: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_inventory(f"hosts: {{a: {{sudo: {sudo}}}}}\n".encode(), "inv.yml")
    found = [str(problem) for problem in caught.value.problems]
    assert any(line.startswith(f"inv.yml:{said}") for line in found), found
    assert not any("hunter2" in line for line in found)


# -- digests -----------------------------------------------------------------------------------


def test_the_plan_and_its_record_have_the_reference_and_never_the_value() -> None:
    one, other = plan(), plan(OTHER)
    assert one.digest == other.digest
    assert one.recorded_inputs == {"password": {"secret": "env:DB_PASSWORD"}}
    assert one.inputs == {"password": SECRET}
    elsewhere = plan(text=BOOK.replace("DB_PASSWORD", "DB2_PASSWORD"))
    assert one.digest != elsewhere.digest


def test_the_digest_of_a_command_does_not_depend_on_the_secret_in_it() -> None:
    def told(secret: str) -> list[str]:
        masker = Masker([secret])
        change = Change(
            ("login", secret), f"{secret}\n".encode(), settle=Probe(("is", f"x{secret}"))
        )
        commands = [
            change, Probe(("sh", "-c", f"echo {shlex.quote(secret)}")),
            Ask("ask", f"Is it {secret}?", default=secret), Sleep(1.0, secret),
            Report(0.5, PublicText.fixed(secret), secret),
        ]  # fmt: skip
        seen = []
        steps = concealed((each for each in commands), masker)  # type: ignore[arg-type]
        for command in steps:
            assert secret not in json.dumps(describe(command))
            seen.append(digest(command))
        assert digest(change) != seen[0]
        return seen

    assert told(SECRET) == told(OTHER)


def test_what_is_sent_has_the_secret_and_the_commands_tell_on() -> None:
    heard: list[Any] = []

    def steps() -> Any:
        try:
            heard.append((yield Probe(("x", SECRET))))
        except ProbeFailed as error:
            heard.append(error.why)
        heard.append((yield Change(("y",), SECRET.encode())))
        return {"end": True}

    generator = concealed(steps(), Masker([SECRET]))
    assert next(generator).argv == ("x", SECRET)  # type: ignore[union-attr]
    change = generator.throw(ProbeFailed("bad"))
    assert isinstance(change, Change)
    assert change.stdin == SECRET.encode()
    with pytest.raises(StopIteration) as end:
        generator.send("result")
    assert end.value.value == {"end": True}
    assert heard == ["bad", "result"]


def test_a_stdin_without_secrets_keeps_its_own_digest() -> None:
    plainly = (each for each in [Change(("tee",), b"plain")])
    masked = concealed(plainly, Masker([SECRET]))  # type: ignore[arg-type]
    assert describe(next(masked))["stdin"] == hashlib.sha256(b"plain").hexdigest()


# -- a run -------------------------------------------------------------------------------------


def test_a_run_sends_the_secret_and_writes_it_nowhere(tmp_path: Path) -> None:
    quoted = shlex.quote(SECRET)
    host = FakeHost({
        f"login --password {quoted}": (0, f"hello {SECRET}, as {quoted}\n", SECRET),
        f"connect {shlex.quote(f'db://u:{SECRET}@h')}": (0, f"at db://u:{SECRET}@h\n"),
    })  # fmt: skip
    ran = drive(plan(), tmp_path, secrets=[SECRET], web1=host)
    assert ran.state.closed
    assert ran.state.closed.status == "Completed"
    assert host.sent == [f"login --password {quoted}"]
    tells = [
        (path, form)
        for path in tmp_path.rglob("*") if path.is_file()
        for form in forms(SECRET) if form in path.read_bytes()
    ]  # fmt: skip
    assert tells == []
    (intent,) = ran.bodies("intended")
    assert intent.command["stdin"] == hashlib.sha256(MASK + b"\n").hexdigest()
    assert intent.command["change"][2] == f"login --password {MASK.decode()}"
    started = ran.bodies("step-started")[0]
    assert started.params["stdin"] == f"{MASK.decode()}\n"
    assert SECRET not in repr([event_to_json(event) for event in ran.heard])


def test_the_journal_of_a_run_is_resumed_with_the_secret_resolved_anew(tmp_path: Path) -> None:
    """The core, fed the journal under another value of the secret, asks for nothing again."""
    login, connect = ("login --password {}", "connect {}")
    host = FakeHost({
        login.format(shlex.quote(SECRET)): (0, "in"),
        connect.format(shlex.quote(f"db://u:{SECRET}@h")): (0, "yes"),
    })  # fmt: skip
    ran = drive(plan(), tmp_path, secrets=[SECRET], web1=host)
    from tastyops.journal.state import RunState
    from tastyops.plan.lane import LiveLanes
    from tastyops.plan.moves import Append

    again, state = plan(OTHER), RunState()
    for event in ran.events:
        if isinstance(event.body, StepEnded):
            break
        state.apply(event)
    (move,) = advance(again, state, LiveLanes())
    assert isinstance(move, Append)
    assert isinstance(move.body, StepEnded)
    assert move.body.outcome == "done"


def test_a_dry_run_knows_the_secret(tmp_path: Path) -> None:
    host = FakeHost({f"connect {shlex.quote(f'db://u:{SECRET}@h')}": (0, "yes")})
    found = dry(plan(), web1=host)
    assert [step.verdict for step in found.steps] == ["would run", "would read"]


# -- the journal -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret", ["output", "123456", "status", "digest", "settled", "unreachable", '": "', "a\", \"b"]
)
def test_a_secret_that_looks_like_a_word_of_ours_does_not_harm_the_journal(
    secret: str, tmp_path: Path
) -> None:
    journal = RunJournal.create(tmp_path, "r1", b"", Masker([secret * 2 if len(secret) < 6 else secret]))
    at, now = Address("h", "1.1", 1, 1), FakeClock().now()
    digest_of = hashlib.sha256(b"x").hexdigest()
    result = {"status": 0, "seconds": 123456.0, "out": {"sha256": digest_of, "size": 123456}}
    bodies = [
        RunOpened("T", "", "", "", ["h"], {"pin": 123456}),
        StepStarted("run", {"pin": 123456, "port": 80, "text": f"x{secret}"}),
        Intended("d" * 32, {"change": ["x"], "sudo": None}, "/run/x", "boot"),
        Settled("d" * 32, "output", result, {}, f"why: {secret}"),
        StepEnded("unreachable", {"status": "ok", "list": ["x", 123456]}),
    ]
    written = [journal.append(body, at, who="dwm", happened=now).body for body in bodies]
    journal.close()
    back = [event.body for event in read_events(journal.directory)]
    assert back == written
    settled, ended = back[3], back[4]
    assert isinstance(settled, Settled)
    assert isinstance(ended, StepEnded)
    assert (settled.how, settled.result) == ("output", result)
    assert ended.outcome == "unreachable"
    pin: Any = MASK.decode() if secret == "123456" else 123456
    assert ended.registered["list"] == ["x", pin]
    assert back[0] == replace(bodies[0], inputs={"pin": pin})  # type: ignore[type-var]


@pytest.mark.parametrize(
    "told",
    [
        lambda s: shlex.join(["sh", "-c", f"echo {shlex.quote(s)}"]),
        lambda s: json.dumps({"command": f"echo {shlex.quote(s)}"}),
        lambda s: json.dumps(json.dumps(s))[1:-1],
        lambda s: "'" + s.replace("'", "'\\''") + "'",
        lambda s: "".join(f"%{byte:02x}" if not chr(byte).isalnum() else chr(byte) for byte in s.encode()),
        lambda s: " ".join(s.split()),
        lambda s: repr(s),
        lambda s: repr(s + "'").replace("'\"", "'"),
        lambda s: shown(s + " and more"),
    ],
)
def test_quotes_inside_quotes_are_masked_too(told: Any) -> None:
    secret = "pa55  w'ord/\""
    masked = Masker([secret]).text(told(secret))
    assert MASK.decode() in masked
    assert "ord" not in masked


def test_a_long_secret_that_a_message_cuts_is_masked() -> None:
    key = "-----BEGIN KEY-----\n" + "\n".join("abcdefgh" * 8 for _ in range(5))
    assert "abcdefgh" not in Masker([key]).text(f"it must be a number, not {shown(key)}")


def test_asked_is_said_as_such() -> None:
    assert ASKED.reference == "asked"


# -- from one process to the next --------------------------------------------------------------


def test_what_is_handed_over_is_what_was_known() -> None:
    source, other = SecretSource("command", ("pass", "bmc")), SecretSource("env", ("BMC",))
    known = Secrets(
        {"pw": 'corréct "horse"\n'}, {"web1": "sudo-password"},
        DevicePasswords({source: "bmc-password"}, {other: "the variable BMC is not set"}),
    )  # fmt: skip
    assert unpacked(packed(known)) == known
    assert unpacked(packed(Secrets())) == Secrets()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"inputs": 1}'])
def test_what_is_no_handing_over_is_refused(data: bytes) -> None:
    with pytest.raises(SecretUnavailable, match="not handed over"):
        unpacked(data)
