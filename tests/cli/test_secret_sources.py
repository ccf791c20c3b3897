"""Sources of secrets, and that a whole run reveals no secret anywhere."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pexpect
import pytest

from tastyops.app.secret_sources import LONGEST_SECRET, UnfitError, fetch
from tastyops.app.secrets import resolve_secrets
from tastyops.cli import terminal
from tastyops.errors import NeedsPerson, SecretUnavailable
from tastyops.model.inventory import Host
from tastyops.model.runbook import Runbook
from tastyops.model.secret_source import SecretSource
from tastyops.redact import MASK, forms
from tests.cli.conftest import Run
from tests.cli.project import Project

SECRET = "it's \"hunter2\" é"
HEAD = "title: A test\nhosts: kalimdor\n"
WORKS = "works:\n  - work: The work\n    steps:\n"


def got(kind: str, *words: str, base: Path = Path(), patience: float = 20.0) -> str:
    return fetch(SecretSource(kind, words), base, patience)  # type: ignore[arg-type]


def why(kind: str, *words: str, base: Path = Path(), patience: float = 20.0) -> str:
    with pytest.raises(UnfitError) as caught:
        got(kind, *words, base=base, patience=patience)
    return str(caught.value)


def private(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


# -- each source -------------------------------------------------------------------------------


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB", SECRET)
    assert got("env", "DB") == SECRET
    monkeypatch.delenv("DB")
    assert why("env", "DB") == "the environment variable DB is not set"
    monkeypatch.setenv("DB", "")
    assert why("env", "DB") == "the environment variable DB is empty"
    monkeypatch.setenv("DB", "short")
    assert why("env", "DB").endswith("has under 6 characters, too few to be masked safely")
    monkeypatch.setitem(os.environb, b"DB", b"hunter2\xff")
    assert why("env", "DB").endswith("is not UTF-8 text")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_private_file_with_or_without_a_newline_at_its_end(end: bytes, tmp_path: Path) -> None:
    private(tmp_path / "key", b"line one\nline two" + end)
    assert got("file", "key", base=tmp_path) == "line one\nline two"


def test_a_file_under_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    private(tmp_path / "key", b"hunter2hunter2\n\n")
    assert got("file", "~/key", base=Path("/nowhere")) == "hunter2hunter2\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644, 0o666])
def test_a_file_others_can_use_is_refused(mode: int, tmp_path: Path) -> None:
    private(tmp_path / "key", b"hunter2hunter2").chmod(mode)
    said = why("file", "key", base=tmp_path)
    assert said == f"{tmp_path}/key is not private (its mode is {mode:04o}); chmod 600 it"


def test_files_that_cannot_be_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why("file", "no", base=tmp_path).endswith("cannot be read: No such file or directory")
    assert why("file", ".", base=tmp_path).endswith("cannot be read: Is a directory")
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert why("file", "fifo", base=tmp_path).endswith("is not a plain file")
    private(tmp_path / "long", b"x" * (LONGEST_SECRET + 1))
    assert why("file", "long", base=tmp_path) == "long is longer than 16 KiB"
    private(tmp_path / "nul", b"hunter2\0hunter2")
    assert why("file", "nul", base=tmp_path) == "nul holds a NUL"
    private(tmp_path / "empty", b"\n")
    assert why("file", "empty", base=tmp_path) == "empty is empty"
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert why("file", "long", base=tmp_path).endswith("long belongs to another user")


def test_a_command_runs_without_a_shell_and_gives_its_standard_output() -> None:
    assert got("command", "printf", "%s\\n", "$HOME; echo hunter2") == "$HOME; echo hunter2"
    assert got("command", "sh", "-c", "echo noise >&2; cat; echo hunter2hunter2") == "hunter2hunter2"


def test_a_commands_failure_tells_what_happened_and_none_of_its_output() -> None:
    said = why("command", "sh", "-c", "echo hunter2hunter2; echo hunter3hunter3 >&2; exit 3")
    assert said.endswith("` ended with status 3; its output is not shown")
    assert "no-such-program` cannot be run: No such file" in why("command", "no-such-program")
    assert "signal 9" in why("command", "sh", "-c", "echo hunter2hunter2; kill -9 $$")
    assert why("command", "true") == "what `true` wrote is empty"
    assert why("command", "yes").endswith("is longer than 16 KiB")
    assert "that is no command" in why("command", "a\0b")


def test_a_command_that_does_not_end_is_stopped_even_if_a_child_holds_its_output() -> None:
    assert "longer than 0.2 s" in why("command", "sh", "-c", "sleep 600 & sleep 600", patience=0.2)
    assert "longer than 0.2 s" in why("command", "sh", "-c", "exec >&-; sleep 600", patience=0.2)


# -- all of a run's ----------------------------------------------------------------------------


def load(project: Project, inputs: str, *steps: str) -> Runbook:
    from tastyops.app.inventory import load_inventory
    from tastyops.app.loading import load_runbook

    lines = "".join(f"      - {step}\n" for step in steps or ("run: echo done",))
    project.write("book.yml", (f"{HEAD}inputs:\n{inputs}{WORKS}{lines}").encode())
    return load_runbook(Path("book.yml"), load_inventory(None)).runbook


def test_every_problem_is_told_at_once(project: Project) -> None:
    runbook = load(
        project,
        "  a: {secret: true, source: {env: NOPE}}\n"
        "  b: {secret: true, source: {file: nope}}\n"
        "  c: {secret: true}\n"
        "  d: {default: x}\n",
    )
    hosts = [
        Host("h1", sudo="ask", sudo_password=SecretSource("env", ("NEIN",))),
        Host("h2", sudo="ask"), Host("h3", sudo="ask"), Host("h4", sudo=True),
    ]  # fmt: skip
    with pytest.raises(SecretUnavailable) as caught:
        resolve_secrets(runbook, hosts, None)
    assert caught.value.what.splitlines() == [
        "The input a: the environment variable NOPE is not set.",
        "The input b: nope cannot be read: No such file or directory.",
        "The sudo password of h1: the environment variable NEIN is not set.",
        "The input c is a secret without a `source:`, and nobody is here to type it.",
        "H2, h3: sudo needs a password; set TASTYOPS_SUDO_PASSWORD or give its source, and nobody "
        "is here to type it.",
    ]
    with pytest.raises(NeedsPerson):
        resolve_secrets(load(project, "  c: {secret: true}\n"), [], None)


def test_sudo_passwords_come_from_their_sources_each_asked_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "short" if len(asked) == 1 else "typed-password"

    monkeypatch.setattr(terminal.getpass, "getpass", answer)
    project.write("count", b"")
    counting = SecretSource("command", ("sh", "-c", "echo x >>count; echo from-command"))
    hosts = [
        Host("a", sudo="ask", sudo_password=counting), Host("b", sudo="ask", sudo_password=counting),
        Host("c", sudo="ask"), Host("d", sudo="ask"), Host("e", sudo=True), Host("f"),
    ]  # fmt: skip
    found = resolve_secrets(load(project, "  p: {secret: true, help: The key}\n"), hosts, terminal.Keyboard())
    assert found.passwords == {
        "a": "from-command", "b": "from-command", "c": "typed-password", "d": "typed-password",
    }  # fmt: skip
    assert found.inputs == {"p": "typed-password"}
    assert Path("count").read_text() == "x\n"
    assert asked == ["p (The key): ", "p (The key): ", "sudo password for c, d: "]
    assert found.masker().text("typed-password from-command") == "******** ********"
    assert "password" not in repr(found)


# -- whole runs --------------------------------------------------------------------------------


def told(text: str) -> list[bytes]:
    return [form for form in forms(SECRET) if form in text.encode("utf-8", "surrogateescape")]


STEPS = (
    'run: {command: "cat; echo is {{ password }}", stdin: "{{ password }}\\n"}',
    "{run: \"echo read {{ password }}\", reads: true, register: seen}",
    'wall: "Look: {{ seen.stdout }}"',
    """{run: "sh -c 'echo \\\"$1\\\"' sh {{ 'echo ' ~ password }}", when: password | length > 3}""",
)


@pytest.mark.usefixtures("project")
def test_a_run_tells_its_secret_nowhere(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    load(project, "  password: {secret: true, source: {env: DB_PASSWORD}}\n", *STEPS)
    for words in ((), ("--json",), ("--dry-run",), ("--dry-run", "--json")):
        ended = run("run", "book.yml", "--yes", *words)
        assert ended.code in (0, 1), ended
        assert told(ended.out + ended.err) == [], words
        if "--dry-run" in words:
            assert "cat; echo is ********" in ended.out
    opened = project.events()[0]["body"]
    assert opened["inputs"] == {"password": {"secret": "env:DB_PASSWORD"}}
    shown = run("show", "last", "--commands")
    assert "$ sh -c cat; echo is ********" in shown.out
    assert f"out| {MASK.decode()}" in shown.out  # what the host said was masked, not left out
    assert told(shown.out) == []
    files = [path for path in project.path.rglob("*") if path.is_file()]
    assert len(files) > 6
    assert [path for path in files if told(path.read_bytes().decode("utf-8", "replace"))] == []
    assert run("verify", "last").code == 0


def test_a_template_that_fails_over_a_secret_does_not_quote_it(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    project.write(
        "book.yml",
        f"{HEAD}inputs: {{password: {{secret: true, source: {{env: DB_PASSWORD}}}}}}\n"
        f"vars: {{x: '{{{{ hosts[password] }}}}'}}\n{WORKS}      - run: echo {{{{ x }}}}\n".encode(),
    )
    ended = run("run", "book.yml", "--yes")
    assert ended.code == 2
    assert "********" in ended.err
    assert told(ended.out + ended.err) == []
    assert project.left_nothing()


@pytest.mark.usefixtures("untouched")
def test_a_secret_on_the_command_line_is_refused_without_being_shown(
    run: Run, project: Project
) -> None:
    load(project, "  password: {secret: true}\n", "run: echo {{ password }}")
    ended = run("run", "book.yml", "--yes", "--var", f"password={SECRET}")
    assert ended.code == 2
    assert "--var password: a secret must not be given on the command line" in ended.err
    assert "Give password a `source:` in the runbook, or type it when asked." in ended.err
    assert told(ended.err) == []
    ended = run("run", "book.yml", "--yes")
    assert ended.code == 2
    assert "The input password is a secret without a `source:`, and nobody is here" in ended.err
    assert project.left_nothing()


def test_a_secret_is_typed_without_echo(project: Project) -> None:
    load(project, "  password: {secret: true, help: The key}\n", *STEPS[:1])
    starter = [sys.executable, "-m", "invoke", "run", "book.yml"]
    child = pexpect.spawn(
        shlex.join(starter), cwd=str(project.path), timeout=60, encoding="utf-8",
        env={**project.environment, "LC_ALL": "C.UTF-8", "TERM": "xterm"},
    )  # fmt: skip
    seen = []
    child.expect_exact("password (The key): ")
    child.sendline("tiny")
    child.expect_exact("it has under 6 characters, too few to be masked safely; once more, please.")
    seen.append(child.before)
    child.expect_exact("password (The key): ")
    child.sendline(SECRET)
    child.expect(pexpect.EOF)
    seen.append(child.before)
    child.close()
    assert child.exitstatus == 0, seen
    assert told("".join(seen)) == []
    assert project.events()[0]["body"]["inputs"] == {"password": {"secret": "asked"}}
    files = [path for path in project.path.rglob("*") if path.is_file()]
    assert [path for path in files if told(path.read_bytes().decode("utf-8", "replace"))] == []


def test_secrets_that_only_the_run_knows_are_named_before_something_is_written_by_hand(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    inputs = (
        "  password: {secret: true, source: {env: DB_PASSWORD}}\n"
        "  key: {secret: true, source: {command: [echo, from-a-command]}}\n"
    )
    load(project, inputs, "run: {command: cat, stdin: '{{ password }}{{ key }}'}")
    assert run("run", "book.yml", "--yes").code == 0
    ended = run("summary", "last", "All is well.")
    assert (ended.code, ended.err) == (
        0, "Your text was not searched for these secrets, which only the run knows: key.\n",
    )  # fmt: skip
    monkeypatch.delenv("DB_PASSWORD")
    assert "which only the run knows: password, key." in run("summary", "last", "And so on.").err


@pytest.mark.usefixtures("project")
def test_what_is_written_by_hand_tells_no_secret_that_can_be_had_here(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    key = private(project.path / "key", b"from-a-file\n")
    inputs = (
        "  password: {secret: true, source: {env: DB_PASSWORD}}\n"
        f"  key: {{secret: true, source: {{file: {key}}}}}\n"
    )
    load(project, inputs, "run: {command: cat, stdin: '{{ password }}'}")
    assert run("run", "book.yml", "--yes").code == 0
    assert run("note", f"It was {SECRET} all along.", "--run", "last").code == 0
    assert run("note", "It was from-a-file.", "--run", "last", "--private").code == 0
    assert run("summary", "last", f"The password {SECRET} was changed.").code == 0
    entries = run("show", "last", "--entries").out
    number = entries.split()[0].removeprefix("#")
    assert run("correct", "last", number, f"Set to {SECRET}.").code == 0
    files = [path for path in project.path.rglob("*") if path.is_file() and path != key]
    for path in files:
        text = path.read_text("utf-8", "replace")
        assert told(text) == [], path
        assert "from-a-file" not in text, path
    assert "Set to \\*\\*\\*\\*\\*\\*\\*\\*." in project.page()
