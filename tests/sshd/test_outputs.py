"""Whole runs over a real sshd whose commands print too much to be read, or no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.journal.events import Settled, StepEnded
from tastyops.model.commands import PARSE_LIMIT
from tastyops.records.runs import BLOBS, read_events, run_directories
from tests.sshd.test_runs import project as project  # a fixture
from tests.sshd.test_runs import write_runbook

pytestmark = pytest.mark.sshd

MUCH = PARSE_LIMIT + 700_000

PRINTS = {
    "standard output": f"yes 'a line of it' | head -c {MUCH}",
    "standard error": f"yes 'a line of it' | head -c {MUCH} >&2",
    "both streams": f"yes one | head -c {MUCH}; yes two | head -c {MUCH} >&2",
    "a single line": f"head -c {MUCH} /dev/zero | tr '\\\\0' x",
    "zero bytes": f"head -c {MUCH} /dev/zero",
    "no text at all": f"head -c {MUCH} /dev/zero | tr '\\\\0' '\\\\344'",
    "one byte over": f"head -c {PARSE_LIMIT + 1} /dev/zero | tr '\\\\0' x",
    "blank lines": f"yes '' | head -c {MUCH}",
}


def ran(project: Path, works: str, *words: str) -> tuple[int, Path, list[StepEnded]]:
    text = f"title: Much to say\nhosts: target\nworks:\n  - work: W\n    steps:\n{works}"
    code = main(["run", write_runbook(project, text), "--yes", *words])
    (run,) = run_directories(project / "runs")
    return code, run, [e.body for e in read_events(run) if isinstance(e.body, StepEnded)]


@pytest.mark.parametrize("prints", PRINTS.values(), ids=PRINTS)
def test_a_success_with_much_output_is_a_success(project: Path, prints: str) -> None:
    mark = project / "mark"
    code, run, ended = ran(
        project,
        f"""
      - run: "echo once >> {mark}; {prints}"
        register: said
        retries: 1
        delay: 0s
        until: said.rc == 0
        on_failure: [{{run: "touch {mark}.failed"}}]
      - run: touch {mark}.cut
        when: said.truncated and said.seconds >= 0 and said.stdout_lines is not none
""",
    )
    assert code == 0
    assert mark.read_text() == "once\n"
    assert not (project / "mark.failed").exists()
    assert (project / "mark.cut").exists()
    said = ended[0].registered
    assert "left out" in said["stdout"] + said["stderr"]
    sizes = {path.stat().st_size for path in (run / BLOBS).iterdir()}
    assert max(sizes) > PARSE_LIMIT
    assert main(["verify", "last"]) == 0


def test_a_failure_with_much_output_is_told_by_its_status(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, ended = ran(
        project, f'      - run: "{PRINTS["both streams"]}; echo the reason >&2; exit 3"\n'
    )
    assert code == 1
    assert ended[0].why == "it ended with status 3"
    assert ended[0].registered["rc"] == 3
    assert ended[0].registered["stderr"].endswith("the reason")
    assert "| the reason" in capsys.readouterr().out


def test_a_timeout_with_much_output_is_a_timeout(project: Path) -> None:
    code, _, ended = ran(
        project, f'      - run: "{PRINTS["standard output"]}; sleep 600"\n        timeout: 4s\n'
    )
    assert code == 1
    assert "timeout" in ended[0].why


@pytest.mark.parametrize("step", ["run", "watch"])
def test_much_output_of_what_only_reads(project: Path, step: str) -> None:
    how = {
        "run": f'      - run: "{PRINTS["standard output"]}"\n        reads: true\n',
        "watch": f"""      - watch: {{command: "{PRINTS["standard output"]}", until: rc == 0}}
""",
    }
    code, _, ended = ran(project, how[step])
    assert code == 0
    assert ended[0].outcome == "done"


def test_output_within_the_limit_is_whole(project: Path) -> None:
    code, _, ended = ran(
        project,
        f'      - run: "head -c {PARSE_LIMIT} /dev/zero | tr \'\\\\0\' x"\n        register: said\n',
    )
    assert code == 0
    assert ended[0].registered["truncated"] is False
    assert len(ended[0].registered["stdout"]) == PARSE_LIMIT


# -- what is no text --------------------------------------------------------------------------

SAID = {
    "latin-1": ("printf 'Ger\\344t nicht gefunden\\n'", "Ger\N{REPLACEMENT CHARACTER}t nicht"),
    "latin-1, much of it": (
        "for i in $(seq 3000); do printf 'Ger\\344t %s\\n' $i; done",
        "Ger\N{REPLACEMENT CHARACTER}t 3000",
    ),
    "utf-16": ("printf 'n\\0o\\0 \\0d\\0i\\0s\\0k\\0\\n'", "n"),
    "half a character at the end": ("printf 'broken \\342\\200'", "broken"),
    "a cut inside a character": (
        "python3 -c 'print(chr(9731) * 5001)'; echo 'no space on the array'",
        "no space on the array",
    ),
    "a cut inside a character of four bytes": (
        "python3 -c 'print(chr(128640) * 4001)'; echo 'no space on the array'",
        "no space on the array",
    ),
    "binary on standard error": ("printf '\\377\\376 bad magic' >&2", "bad magic"),
    "all bytes there are": (
        "python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 40)'; echo last",
        "last",
    ),
}


@pytest.mark.parametrize(("command", "seen"), SAID.values(), ids=SAID)
def test_the_last_lines_of_a_failure_are_shown_whatever_their_bytes(
    project: Path, capsys: pytest.CaptureFixture[str], command: str, seen: str
) -> None:
    script = project / "script"
    script.write_text(f"{command}\nexit 3\n")
    code, _, _ = ran(project, f'      - run: "sh {script}"\n')
    assert code == 1
    shown = [line for line in capsys.readouterr().out.splitlines() if " | " in line]
    assert seen in shown[-1]
    assert main(["show", "last", "--commands"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "out| " in line or "err| " in line]
    assert any(seen in line for line in told)


def test_settled_commands_name_their_blobs(project: Path) -> None:
    """The journal's lines stay small: the output itself is a file beside them."""
    _, run, _ = ran(project, f'      - run: "{PRINTS["standard output"]}"\n        no_log: true\n')
    (settled,) = [e.body for e in read_events(run) if isinstance(e.body, Settled)]
    assert "not kept" in settled.result["out"]["head"]
