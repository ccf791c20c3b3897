"""Values in a shell command that a shell evaluates again: refused, and why that is right."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.app.registry import registry
from tastyops.errors import InvalidFile, Place, TemplateError
from tastyops.model.runbook import Marked
from tastyops.runbook.validation import validate
from tastyops.templates import rendering

NAMES: rendering.Names = dict.fromkeys(("x", "host", "items"))


def problems(command: str, *numbers: str) -> list[str]:
    found = rendering.check(
        Marked(command, Place("f.yml", 3, 7)), NAMES, "shell", numbers=frozenset(numbers)
    )
    return [str(each) for each in found]


RUN_BY_BASH = [
    "(( {{ x }} > 3 )) && echo more",
    "if (( {{ x }} )); then echo yes; fi",
    "while ((  i < {{ x }} )); do break; done",
    "for (( i=0; i < {{ x }}; i++ )); do break; done",
    "! (( {{ x }} ))",
    "true && (( {{ x }} ))",
    "echo $(( {{ x }} + 1 ))",
    'echo "$(( {{ x }} + 1 ))"',
    "echo $[ {{ x }} + 1 ]",
    'echo "n: $[{{ x }}*2]"',
    "let {{ x }}",
    "let n={{ x }}+1",
    "let n=1 m={{ x }}",
    "[[ {{ x }} -eq 3 ]]",
    "[[ 3 -lt {{ x }} ]]",
    "[[ a == b || {{ x }} -ge 3 ]]",
    "[[ ( 1 -ne {{ x }} ) ]]",
    "if [[ -n a && 3 -le {{ x }} ]]; then :; fi",
    "[[ -v {{ x }} ]]",
    "test -v {{ x }}",
    "[ -v {{ x }} ]",
    "list[{{ x }}]=1",
    "list=([{{ x }}]=1)",
    "declare -a list=([{{ x }}]=1)",
    "declare list[{{ x }}]=1",
    "declare -i n={{ x }}",
    "typeset -i n={{ x }}",
    "f() { local -i n={{ x }}; }; f",
    "declare -ri n={{ x }}",
    "printf -v {{ x }} %s value",
    "a=(1); unset {{ x }}",
    "list=(1); unset list[{{ x }}]",
    "echo 1 | { read {{ x }}; }",
    "read -r {{ x }} <<< 1",
    "eval echo {{ x }}",
    "eval {{ x }}",
    "builtin eval {{ x }}",
    "sh -c {{ x }}",
    "sh -c 'echo '{{ x }}",
    "bash -ec {{ x }}",
    "bash -c -e {{ x }}",
    "bash -o errexit -c {{ x }}",
    "/bin/sh -c {{ x }}",
    "env A=b sh -c {{ x }}",
    "timeout 5 sh -c {{ x }}",
    "nice -n 5 nohup sh -c {{ x }}",
    "exec bash -c {{ x }}",
    "true; sh -c {{ x }}",
    "echo a | xargs sh -c {{ x }}",
    "echo N | xargs -I N sh -c {{ x }}",
    "find /dev/null -exec sh -c {{ x }} ';'",
    "find /dev/null -exec sh -c 'echo $0 '{{ x }} {} +",
    "trap {{ x }} EXIT",
    "trap -- 'echo '{{ x }} EXIT",
    "echo {{ x }} | sh",
    "printf '%s\\n' {{ x }} | tr a a | bash",
    "printf '%s\\n' {{ x }} | env sh -s -- a",
    "bash <<< {{ x }}",
    "n={{ x }}; echo $(( n + 1 ))",
    "export n={{ x }}\n(( n > 3 ))",
    "n={{ x }}; [[ n -gt 3 ]]",
    "n={{ x }}; let m=n+1",
    "readonly n={{ x }}; eval echo $n",
    "awk 'BEGIN { '{{ x }}' }'",
    "awk {{ x }} /etc/hostname",
    "sed -n {{ x }} /etc/hostname",
    "sed -n -e {{ x }} /etc/hostname",
    "perl -e {{ x }}",
    "perl -lne {{ x }} /etc/hostname",
    "python3 -c {{ x }}",
    "python3 -c 'print(1)'\n python3 -Ic {{ x }}",
    "$(eval {{ x }})",
    'echo "$(eval {{ x }})"',
    "( eval {{ x }} )",
    "case a in a) eval {{ x }};; esac",
    "echo a > /dev/null; eval {{ x }}",
    "2>/dev/null eval {{ x }}",
    "A=1 eval {{ x }}",
    "list=(a b); eval {{ x }}",
    "eval \"$(echo {{ x }})\"",
    "bash -c \"$(printf '%s\\n' {{ x }})\"",
    "echo $(( $(echo {{ x }}) ))",
    "n=$(echo {{ x }}); (( n > 3 ))",
    "bash <(echo {{ x }})",
    "source <(printf '%s\\n' {{ x }})",
    ". /dev/stdin <<< {{ x }}",
    "{ echo {{ x }}; } | sh",
    "( echo {{ x }} ) | bash",
    "echo {{ x }} |& bash",
    "echo {{ x }} \\\n  | sh -e",
    "echo {{ x }} | tee /dev/null | sh",
    "if true; then eval {{ x }}; fi",
    "for i in 1; do eval {{ x }}; done",
    "f() { eval {{ x }}; }; f",
    "[[ -n a && ( {{ x }} -gt 2 ) ]]",
]  # fmt: skip
"""Each runs what stands in the value, and bash is asked to prove it."""

RUN_ELSEWHERE = [
    "ssh web2 {{ x }}",
    "ssh -p 22 -o BatchMode=yes root@web2 systemctl restart {{ x }}",
    "sudo ssh web2 uptime {{ x }}",
    "echo {{ x }} | ssh web2",
    "echo {{ x }} | ssh web2 sudo sh",
    "ssh -o ProxyCommand={{ x }} web2",
    "su - backup -c {{ x }}",
    "su -c {{ x }} backup",
    "su --command={{ x }} backup",
    "runuser -u backup -c {{ x }}",
    "sudo -u backup sh -c {{ x }}",
    "sudo -iu backup bash -lc {{ x }}",
    "docker exec web sh -c {{ x }}",
    "kubectl exec -n a pod -- bash -c {{ x }}",
    "nsenter -t 1 -m sh -c {{ x }}",
    "systemd-run --wait -p A=b sh -c {{ x }}",
    "chroot /mnt sh -c {{ x }}",
    "flock /run/lock/a -c {{ x }}",
    "script -qc {{ x }} /dev/null",
    "watch {{ x }}",
    "watch -n 5 ls {{ x }}",
    "parallel echo {{ x }} ::: a",
    "tmux new-session -d {{ x }}",
    "tmux send-keys -t a {{ x }} Enter",
    "echo {{ x }} | at now",
    "alias ll={{ x }}",
    "mapfile -t {{ x }}",
    "mapfile -C {{ x }} -c 1 list",
    "getopts ab {{ x }}",
    "read -a {{ x }}",
    "node -e {{ x }}",
    "ruby -e {{ x }}",
    "php -r {{ x }}",
    "expect -c {{ x }}",
    "gawk -F: -v a=b {{ x }} /etc/passwd",
    "sed -i s/a/{{ x }}/ /etc/motd",
    "sed --expression={{ x }} /etc/motd",
    "declare -n other={{ x }}",
    "declare {{ x }}",
    "export {{ x }}",
    "python3.11 -c {{ x }}",
    "declare -A map=([{{ x }}]=1)",
]

ALLOWED = [
    "echo {{ x }}",
    "(cd /tmp && ls -- {{ x }})",
    "( echo {{ x }} )",
    "((echo a); echo b); echo {{ x }}",
    "test {{ x }} -eq 3 || true",
    "[ {{ x }} -gt 3 ] || true",
    "[[ {{ x }} == a* ]] || true",
    "[[ -n {{ x }} && a != {{ x }} ]]",
    "[[ -f {{ x }} ]] || [ -e {{ x }} ] || true",
    "n={{ x }}; echo \"$n\"",
    "n={{ x }}; i=$((1 + 2)); [ \"$n\" = 3 ] || echo $i",
    "export A={{ x }} B={{ x }}; printenv A",
    "declare -r a={{ x }}; readonly b={{ x }}",
    "f() { local a={{ x }}; echo \"$a\"; }; f",
    "list=({{ x }} {{ x }}); echo \"${list[0]}\"",
    "list+=({{ x }})",
    "sh -c 'echo \"$1\"' sh {{ x }}",
    "bash -c 'printf \"%s\\n\" \"$@\"' bash a {{ x }}",
    "find /dev/null -name {{ x }} -exec echo {} ';'",
    "find /dev/null -exec sh -c 'echo \"$1\" \"$2\"' sh {{ x }} {} ';'",
    "printf '%s\\n' {{ x }} | tr a b",
    "echo {{ x }} | xargs echo",
    "echo {{ x }} | sh -c cat",
    "printf '%s' {{ x }}",
    "printf -v out %s {{ x }}; echo \"$out\"",
    "read -r -p {{ x }} answer < /dev/null || true",
    "trap 'echo over' EXIT; echo {{ x }}",
    "awk -v name={{ x }} 'BEGIN { print length(name) }'",
    "awk '{ print $1 }' {{ x }} || true",
    "sed -n 1p {{ x }} || true",
    "sed -n -e 1p -- {{ x }} || true",
    "grep -e {{ x }} /dev/null || true",
    "perl -e 'print $ARGV[0]' {{ x }}",
    "python3 -c 'import sys; print(sys.argv[1])' {{ x }}",
    "cat <<< {{ x }}",
    "echo a[{{ x }}]",
    "case {{ x }} in a) echo a;; esac",
    "for each in {{ items }}; do echo \"$each\"; done",
    "env A={{ x }} printenv A",
    "timeout 5 echo {{ x }}",
    "echo eval {{ x }}",
    "echo 'eval' {{ x }}; echo let {{ x }}",
    "unset -f {{ x }} || true",
    "echo {{ x }} > /dev/null 2>&1 && echo eval",
    "echo $(( {{ x | int }} + 1 ))",
    "(( {{ x | length }} > 3 )) || true",
    "let n={{ items | length }} || true",
    "# (( a comment\necho {{ x }}",
    "echo '((' {{ x }}",
    "test -e {{ x }} -a -v HOME || true",
    "cat /dev/null | ssh-keygen -lf - {{ x }} 2> /dev/null || true",
]  # fmt: skip


@pytest.mark.parametrize("command", [*RUN_BY_BASH, *RUN_ELSEWHERE])
def test_a_value_that_is_evaluated_again_is_refused(command: str) -> None:
    found = problems(command)
    assert found, "taken as it is"
    assert all(" in a shell command (" in each for each in found), found


@pytest.mark.parametrize("command", ALLOWED)
def test_a_value_that_stays_a_word_is_allowed(command: str) -> None:
    assert problems(command) == []


def _ran(command: str, folder: Path) -> bool:
    """Whether bash, given the command with hostile values in it, runs what stands in them."""
    canary = folder / "ran"
    hostile = [
        f"a[$(touch {canary})]", f"touch {canary}", f"'; touch {canary}; '", f"$(touch {canary})",
        f"`touch {canary}`", f"system(\"touch {canary}\")", f"1e touch {canary}",
        f"__import__('os').system('touch {canary}')", f"x[$(touch {canary})]=1",
        f"; touch {canary}",
    ]  # fmt: skip
    for value in hostile:
        values = {"x": value, "host": value, "items": [value, "b"]}
        script = rendering.render(Marked(command, Place("f.yml")), values, "shell")
        subprocess.run(
            ["bash", "-c", script], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=30, check=False,
        )  # fmt: skip
        if canary.exists():
            return True
    return False


@pytest.mark.parametrize("command", RUN_BY_BASH)
def test_bash_does_run_what_is_refused(command: str, tmp_path: Path) -> None:
    assert _ran(command, tmp_path)


@pytest.mark.parametrize("command", [each for each in ALLOWED if "| int" not in each])
def test_bash_runs_nothing_of_what_is_allowed(command: str, tmp_path: Path) -> None:
    assert not _ran(command, tmp_path)


def test_what_is_wrong_is_said_with_its_place_and_what_to_write() -> None:
    assert problems("true\n  (( {{ x }} > 3 )) ||\n  echo $[ {{ x }} ]") == [
        "f.yml:4:6: a value inside (( )) in a shell command (`| int` makes sure that it is a number)",
        "f.yml:5:11: a value inside $[ ] in a shell command (`| int` makes sure that it is a number)",
    ]
    assert problems("echo a\nsh -c {{ x }}") == [
        "f.yml:4:7: a value that `sh -c` runs as a program in a shell command "
        "(pass it behind: sh -c 'echo \"$1\"' sh {{ … }})"
    ]


def test_a_whole_number_may_stand_in_arithmetic() -> None:
    command = "(( {{ x }} > 3 )) || echo $(( {{ x }} + 1 )); let n={{ x }}"
    assert len(problems(command)) == 3
    assert problems(command, "x") == []


def test_a_value_that_is_no_whole_number_is_refused_while_the_step_runs() -> None:
    with pytest.raises(TemplateError, match="a value is not a whole number"):
        rendering.render(Marked("echo $(( {{ x | int }} ))", Place("f.yml")), {"x": "a[1]"}, "shell")


_PIECES = ("{{ x }}", "((", "))", "$(", ")", "$[", "[[", "]]", "-eq", "<(", "|", "&&", ";", "\n",
           "echo", "sh", "-c", "eval", "'", '"', "`", "\\", "<<E", "a=", "[", "]", "{", "}", "$",
           "# ", " ", " ", " ", "case", "for", ">&2")  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=30))
def test_any_command_is_read_to_its_end(pieces: list[str]) -> None:
    command = "".join(pieces)
    assert problems(command) == problems(command)


def test_an_integer_input_is_a_whole_number() -> None:
    text = """
title: t
hosts: none
inputs: {{n: {default}, m: {{type: integer}}}}
works:
  - work: w
    steps: [{{run: "echo $(( {{{{ n }}}} + {{{{ m }}}} ))"}}]
"""
    def told(default: str) -> list[str]:
        try:
            validate(text.format(default=default).replace("none", "a").encode(), "r.yml", registry())
        except InvalidFile as error:
            return [str(each) for each in error.problems]
        return []

    assert told("5") == []
    assert len(told("a")) == 1
    assert "a value inside $(( ))" in told("a")[0]


@pytest.mark.parametrize(("shell", "fine"), [
    ("bash", True), ("/bin/dash", True), ("zsh", True), ("python3", False), ("fish", False),
])  # fmt: skip
def test_values_are_quoted_for_a_posix_shell_only(shell: str, fine: bool) -> None:
    text = f"""
title: t
hosts: a
inputs: {{x: a}}
works:
  - work: w
    steps: [{{run: {{command: "echo {{{{ x }}}}", shell: {shell}}}}}]
"""
    if fine:
        validate(text.encode(), "r.yml", registry())
        return
    with pytest.raises(InvalidFile, match=f"quoted for sh and not for '{shell}'"):
        validate(text.encode(), "r.yml", registry())


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@pytest.mark.parametrize("command", ["(cd / && echo {{ x }})", "n={{ x }}; [ \"$n\" -gt 3 ] || true"])
def test_dash_runs_nothing_either(command: str, tmp_path: Path) -> None:
    script = rendering.render(
        Marked(command, Place("f.yml")), {"x": f"a[$(touch {tmp_path}/ran)]"}, "shell"
    )
    subprocess.run(["dash", "-c", script], capture_output=True, timeout=30, check=False)
    assert not (tmp_path / "ran").exists()
