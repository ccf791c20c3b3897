"""The model's sh against a real one: the same bytes and statuses for what it understands."""

from __future__ import annotations

import contextlib
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import NotModelled
from tastyops.practice.machine import Machine
from tastyops.practice.sh import grammar
from tests.practice.conftest import Make

SAME = [
    "echo a; echo b >&2; exit 7",
    "true && echo yes || echo no",
    "false && echo yes || echo no",
    "! true; echo $?",
    "a=1 b='x y'; echo $a $b \"$b\" '$b' ${a}2",
    "x='a  b'; echo $x; echo \"$x\"; printf '[%s]' $x",
    "x=' a b '; printf '[%s]' p$x'q' p\"$x\"q",
    "x=; printf '[%s]' $x \"$x\" ''; echo",
    "echo $(echo a; echo b) \"$(echo 'c  d')\"",
    "x=$(false); echo $?; x=$(true); echo $?; y=$x; echo $?",
    "false; x=$?; echo $x; echo $?",
    "echo 'it'\\''s' \"q\\\"q\" \\$HOME a\\ b",
    "echo one # a comment\n# another\necho two",
    "echo a \\\n b",
    "(x=1; echo in $x; exit 3); echo out $? $x",
    "{ echo a; echo b; } | cat",
    "x=1; { x=2; }; echo $x; echo y | { x=3; cat; }; echo $x",
    "printf 'b\\na\\n' | grep -v b | wc -l | grep -c 1",
    "set -e; false || true; echo on; false; echo never",
    "set -e; ! false; (exit 3); echo never",
    "set -eu; echo $nonesuch; echo never",
    "sh -c 'exit 5'; echo $?",
    "sh -c 'echo $0 $1 $#' name one two",
    "sh -ec 'false; echo never'; echo $?",
    "kill -s TERM $$; echo never",
    "sh -c 'kill -s TERM $$'; echo $?",
    "exec echo a; echo never",
    "exec 2>&1; echo b >&2",
    "exit 300",
    "cat </dev/null; echo $?",
    "cat <nonesuch; echo $?",
    "cd /nonesuch; echo $?",
    "cd /etc && pwd",
    "echo x 2>/dev/null >&2; echo y",
    "echo 'unterminated",
    "echo a &&",
    "( echo a",
    "echo 'a\\tb\\n\\101'; printf '%s\\n' 'a\\tb'; printf 'a\\tb\\101\\n'",
    "echo -n x; echo",
    "A=b sh -c 'echo $A'; echo [$A]",
    "export A=c; sh -c 'echo $A'; unset A; sh -c 'echo [$A]'",
    "printf 'l1\\nl2 x\\n' | { read -r a; read -r b c; echo $a $b $c; }",
    "echo a | cat; echo $?; false | true; echo $?; true | false; echo $?",
    "(sleep 0.01; exit 4) & wait $!; echo $?",
    "trap '' TERM; kill -s TERM $$; echo alive",
    "test -z '' && [ 1 -lt 2 ] && [ a != b ] && echo so",
    "seq 20 | tail -n 3; seq 20 | head -2; printf 'abc' | tail -c 2",
    "shift; echo $#",
    'echo "a$" $ \'$\' "$(echo ")")"',
    "env -i A=1 /usr/bin/env",
    ":; echo $?",
    "command -v echo",
    "for a in b 'c d' $(echo e f); do echo \"$a\"; done; echo $a $?",
    "sh -c 'for a; do printf \"[%s]\" \"$a\"; done | cat' sh x 'y z' ",
    "for a in\ndo\n echo never\ndone; echo $?",
    "for a in 1 2; do for b in 3 4; do echo $a$b; done; done",
    "for a in 1 2; do echo done $a; test $a = 1 || exit 4; done",
    "for a in 1 2; do echo $a; done >/dev/null; echo b",
    "for a in 1; echo $a",
    "for 1 in a; do :; done",
]


@pytest.mark.parametrize("text", SAME)
def test_the_same_as_dash(machine: Machine, text: str) -> None:
    if not shutil.which("dash"):
        pytest.skip("dash is not installed")
    real = subprocess.run(
        ["dash", "-c", text],
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
    )
    ours = machine.execute(["sh", "-c", text])
    assert ours.out == real.stdout
    assert bool(ours.err) == bool(real.stderr), ours.err
    # A shell that a signal ended has no exit status; the framing's shell makes it 128+n.
    assert ours.status == (real.returncode if real.returncode >= 0 else 128 - real.returncode)


UNMODELLED = [
    "if true; then echo a; fi",
    "while true; do :; done",
    "for a in b; do break; done",
    "case a in a) ;; esac",
    "f() { echo a; }",
    "echo `id`",
    "echo $((1+1))",
    "cat <<E\na\nE",
    "echo ${a:-b}",
    "ls /etc/[a-m]*",
    "echo ~",
    "trap 'echo' EXIT",
    "set -x",
    "echo x 3>/dev/null",
    "command -v nonesuch",
]


@pytest.mark.parametrize("text", UNMODELLED)
def test_what_is_beyond_it_is_loud_and_nothing_has_run(machine: Machine, text: str) -> None:
    outcome = machine.execute(["sh", "-c", f"{text}\necho reached"])
    assert outcome.status in (2, 127)
    assert outcome.out == b""
    assert outcome.err.startswith(b"PRACTICE HOST: ")


def test_an_unknown_command_ends_the_script(machine: Machine) -> None:
    outcome = machine.execute(["sh", "-c", "echo a; zpool export tank || true; echo b"])
    assert (outcome.status, outcome.out) == (127, b"a\n")
    assert b"'zpool' is not modelled" in outcome.err


def test_files_are_the_models_own(machine: Machine) -> None:
    text = "echo a >/root/f; echo b >>f; cat f | tee /tmp/g; cat <f"
    outcome = machine.execute(["sh", "-c", text])
    assert outcome.out == b"a\nb\na\nb\n"
    assert machine.files.text("/tmp/g") == "a\nb\n"
    assert machine.execute(["sh", "-c", "echo x >/proc/uptime"]).status == 2
    assert machine.execute(["sh", "-c", "echo x >/nonesuch/x"]).status == 2


def test_what_stays_in_the_background_goes_on(make: Make) -> None:
    machine = make(scale=600.0)
    outcome = machine.execute(["sh", "-c", "(sleep 30; echo late >/root/late) & echo now"])
    assert outcome.out == b"now\n"
    assert not machine.files.exists("/root/late")
    with machine.lock:
        while not machine.files.text("/root/late"):
            machine.lock.wait(60)


@settings(max_examples=300, deadline=None)
@given(st.text("ab $'\"\\;&|()<>{}#!=\n\t`*~", max_size=30))
def test_no_script_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(grammar.SyntaxProblem, NotModelled):
        grammar.parse(text)


@settings(max_examples=100, deadline=None)
@given(st.text("ab $'\"\\;&|()<>{}#!=\n\tx1", max_size=20))
def test_no_script_breaks_the_model(text: str) -> None:
    machine = Machine("kalimdor", PracticeClock(6000))
    try:
        assert machine.execute(["sh", "-c", text]).status != 125
    finally:
        machine.close()
