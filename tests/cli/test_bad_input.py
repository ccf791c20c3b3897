"""Bad input through `run` and `check`: an error with a place, exit code 2, no host touched."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tastyops.app import inventory as inventory_files
from tests.cli.conftest import Run
from tests.cli.project import Project, finish

HEAD = "title: T\nhosts: kalimdor\n"
STEPS = f"{HEAD}works:\n  - work: W\n    steps:\n"
LEVELS = "abcdefghij"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in pairwise(LEVELS)
)
HUGE = 100 * 1024 * 1024

BAD: dict[str, tuple[str | bytes, str]] = {
    "empty file": ("", "1:1: the file is empty"),
    "only comments": ("# nothing\n\n", "1:1: the file is empty"),
    "a list at the top": ("- a\n- b\n", "1:1: a runbook must be a mapping"),
    "a word at the top": ("hello\n", "1:1: a runbook must be a mapping"),
    "tabs": ("title: T\nworks:\n\t- work: W\n", "3:1: a tab is used for indentation"),
    "duplicate key": (f"{HEAD}title: U\n", "3:1: the key 'title' is here twice, first at"),
    "duplicate key in a step": (
        f"{STEPS}      - run: x\n        run: y\n", "7:9: the key 'run' is here twice",
    ),
    "unknown key": (f"titel: T\n{STEPS}      - run: x\n", "1:1: 'titel' is not a key of a runbook"),
    "unknown key of a step": (
        f"{STEPS}      - run: x\n        lgo: y\n", "7:9: 'lgo' is neither an action nor a key",
    ),
    "anchors that explode": (LAUGHS, "the file holds more than 100000 values"),
    "an anchor in itself": ("a: &a\n  b: *a\n", "2:6: the alias '*a' stands inside its own anchor"),
    "a ring of anchors": ("a: &a [&b [*a], *b]\n", "1:12: the alias '*a' stands inside its own anchor"),
    "5,000 lists deep": (f"title: {'[' * 5000}{']' * 5000}\n", "this is nested more than 64 deep"),
    "5,000 mappings deep": ("{a: " * 5000, "this is nested more than 64 deep"),
    "5,000 dashes deep": (f"{'- ' * 5000}x\n", "this is nested more than 64 deep"),
    "not UTF-8": ("title: café\n".encode("latin-1"), "1:11: the byte 0xe9 is not UTF-8"),
    "UTF-16": ("title: x\n".encode("utf-16"), "1:1: the byte 0xff is not UTF-8"),
    "a NUL": (b"title: a\0b\n", "1:9: a NUL stands in the file"),
    "a bidirectional control": (
        f"{STEPS}      - run: echo \u202e x\n", "6:19: the control character U+202E stands in the file",
    ),
    "two documents": (
        f"{STEPS}      - run: x\n---\ntitle: U\n", "7:1: a second document begins here",
    ),
    "a Python tag": (
        "title: !!python/object/apply:os.system ['touch owned']\n",
        "1:8: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is refused",
    ),
    "an undefined variable": (
        f"{STEPS}      - run: echo {{{{ nope }}}}\n", "6:22: 'nope' is not defined here",
    ),
    "__class__": (
        f"{STEPS}      - run: echo {{{{ host.__class__ }}}}\n", "6:27: '__class__' is refused",
    ),
    "__class__ in the log": (
        f"{STEPS}      - run: x\n        log: \"{{{{ ''.__class__.__mro__ }}}}\"\n",
        "7:31: '__mro__' is refused",
    ),
    "a template that loops for ever": (
        f"{STEPS}      - run: '{{% for i in range(10**12) %}}x{{% endfor %}}'\n",
        "6:18: loops are not available in a template",
    ),
    "wrong types": (
        f"{STEPS}      - run: [1, 2]\n        timeout: soon\n        reads: perhaps\n",
        "7:18: 'timeout': 'soon' is not a span of time",
    ),
    "two actions in one step": (
        f"{STEPS}      - run: x\n        wall: y\n", "7:9: a second action in one step: 'run' and 'wall'",
    ),
    "no action": (f"{STEPS}      - name: nothing\n", "6:9: this step has no action"),
    "no steps": (f"{HEAD}works:\n  - work: W\n    steps: []\n", "5:12: 'steps' of work 1 must be a list"),
    "no works": (HEAD, "1:1: the runbook has no works"),
    "a host that is not in the inventory": (
        STEPS.replace("kalimdor", "kalimdro") + "      - run: x\n",
        "2:8: the host or group 'kalimdro' is not known (",
    ),
    "a key of a later version": (f"{HEAD}serial: 1\n", "3:1: 'serial' is not available yet"),
}


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_runbook(name: str, verb: str, run: Run, project: Project) -> None:
    text, said = BAD[name]
    project.write("bad.yml", text if isinstance(text, bytes) else text.encode())
    result = run(verb, "bad.yml", *(["--yes"] if verb == "run" else []))
    assert result.code == 2
    assert f"{said}" in result.err
    assert re.search(r"^bad\.yml:\d+:\d+: ", result.err, re.M)
    assert "No host was touched." in result.err
    assert not result.out
    assert project.left_nothing()
    assert not (project.path / "owned").exists()


def test_all_of_a_file_s_problems_at_once(run: Run, project: Project) -> None:
    text, _ = BAD["wrong types"]
    assert isinstance(text, str)
    project.write("bad.yml", f"kind: 3\n{text}".encode())
    places = re.findall(r"^bad\.yml:(\d+):\d+: ", run("check", "bad.yml").err, re.M)
    assert places == ["1", "7", "8", "9"]


@pytest.mark.timeout(60)
def test_hostile_files_take_little_time_and_memory(project: Project) -> None:
    for number, (text, _) in enumerate(BAD.values()):
        project.write(f"bad/{number:02}.yml", text if isinstance(text, bytes) else text.encode())
    with open(project.path / "bad" / "huge.yml", "wb") as file:
        file.write(b"title: T\n")
        file.truncate(HUGE)  # a hundred megabytes, of which the disk holds one block

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (HUGE * 3, HUGE * 3))
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))

    result = finish(project.start("tastyops", "check", "bad", before=bounded))
    assert result.code == 2
    assert "bad/huge.yml:1:1: the file is larger than 1024 KiB" in result.err
    named = set(re.findall(r"^bad/(\d+)\.yml:\d+:\d+: ", result.err, re.M))
    assert len(named) == len(BAD)


def test_a_folder_s_good_and_bad_runbooks(run: Run, project: Project) -> None:
    project.runbook("run: echo hi", "run: echo ho", name="books/good.yml")
    project.write("books/a.yml", "")
    (project.path / "books" / "b.yml").mkdir()
    result = run("check", "books")
    assert result.code == 2
    assert result.out == "books/good.yml: ok, 1 work item, 2 steps\n"
    assert "books/a.yml:1:1: the file is empty" in result.err
    assert "books/b.yml:1:1: books/b.yml is a directory" in result.err
    assert run("check", "practice").code == 2


# -- what is given on the command line ---------------------------------------------------------


def _missing(path: Path) -> None:
    """Nothing is there."""


def _looping(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("kind", ["runbook", "inventory"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_missing, "No such file or directory"),
        (Path.mkdir, "is a directory, not an? "),
        (_looping, "Too many levels of symbolic links"),
        (os.mkfifo, "is not a plain file, so it is not an? "),
    ],
)
def test_a_path_that_cannot_be_read(
    kind: str, make: Callable[[Path], None], said: str, run: Run, project: Project
) -> None:
    make(project.path / "odd.yml")
    words = {
        "runbook": ["odd.yml"], "inventory": [project.runbook("run: x"), "--inventory", "./odd.yml"],
    }
    result = run("run", "--yes", *words[kind])
    assert result.code == 2
    assert re.search(f"odd.yml.*{said}", result.err)
    assert "No host was touched." in result.err


def test_a_runbook_from_the_shell_s_pipe(run: Run, project: Project) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, (project.path / project.runbook("run: x")).read_bytes())
        os.close(writing)
        assert run("check", f"/dev/fd/{reading}").code == 0
    finally:
        os.close(reading)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("kind", ["runbook", "inventory"])
def test_a_file_that_may_not_be_read(
    kind: str, run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"runbook": project.runbook("run: x"), "inventory": "inventory.yml"}[kind]
    opened = inventory_files.reading

    def refuse(path: Path) -> Any:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(inventory_files, "reading", refuse)
    result = run("run", "book.yml" if kind == "inventory" else name, "--yes")
    assert result.code == 2
    assert f"{name}: {'an' if kind == 'inventory' else 'a'} {kind} cannot be read: Permission" in result.err


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", ["run", "check", "list", "hosts", "show"])
def test_a_bad_inventory(verb: str, run: Run, project: Project) -> None:
    project.write("inventory.yml", "timezone: Europe/Londn\nhosts:\n  a: {prot: 22}\n  a: {}\n")
    words = {"run": ["book.yml", "--yes"], "check": ["book.yml"], "show": ["last"]}
    project.runbook("run: x")
    result = run(verb, *words.get(verb, []))
    assert result.code == 2
    assert re.findall(r"^inventory\.yml:(\d+:\d+): ", result.err, re.M) == ["1:11", "3:7", "4:3"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("{address: 192.0.2.1, identity_file: keys/nope}", "identity_file keys/nope of host web1"),
        ("{connection: practice, vars: {practice: {bogus: 1}}}", "practice: has no bogus; it has "),
        ("{connection: practice, vars: {practice: {failed: [nope]}}}", "kalimdor has no unit nope"),
        ("{address: 'a b'}", "cannot be used with ssh"),
    ],
)
@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
def test_a_host_that_cannot_be_right(
    host: str, said: str, how: str, run: Run, project: Project
) -> None:
    project.write("inventory.yml", f"hosts:\n  web1: {host}\n")
    result = run("run", project.runbook("run: x", hosts="web1"), how)
    assert result.code == 2
    assert said in result.err
    assert "No host was touched." in result.err
    assert sorted(path.name for path in project.path.iterdir()) == [
        "book.yml", "inventory.yml", "runbooks", "tasks.py",
    ]


@pytest.mark.usefixtures("untouched")
def test_practice_and_real_hosts_in_one_run(run: Run, project: Project) -> None:
    project.write("inventory.yml", "hosts:\n  a: {connection: practice}\n  b: {address: 192.0.2.1}\n")
    result = run("run", project.runbook("run: x", hosts="[a, b]"), "--yes")
    assert (result.code, "Choose with --host." in result.err) == (2, True)


@pytest.mark.usefixtures("untouched")
def test_a_bug_is_no_traceback(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tastyops.app.inventory.read_inventory", broken)
    result = run("hosts")
    assert result.code == 1
    assert "An error in tastyops itself: ZeroDivisionError: by zero" in result.err
    (report,) = tmp_path.glob("tastyops-bug-*.txt")
    assert "Traceback" in report.read_text()


def test_ctrl_c_before_a_run_ends_with_3(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tastyops.app.inventory.read_inventory", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    result = run("run", project.runbook("run: x"), "--yes")
    assert (result.code, "Stopped." in result.err) == (3, True)
