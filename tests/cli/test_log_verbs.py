"""The verbs that write into a log by hand, and notes to live, killed and ended runs."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tastyops.cli import log_verbs
from tests.cli.conftest import Run
from tests.cli.project import Project, finish, send, wait_for

NUMBER = re.compile(r"\d{4}/\d{3}\n")


@pytest.fixture
def incident(run: Run) -> str:
    """The number of an incident that was just opened."""
    result = run("incident", "Web server does not answer", "--host", "kalimdor", "--summary", "It stopped.")
    assert result.code == 0
    assert NUMBER.fullmatch(result.out)
    return result.out.strip()


def lines(project: Project) -> list[dict[str, Any]]:
    """The last log's journal."""
    path = sorted((project.path / "practice" / "logs").glob("*/*.jsonl"))[-1]
    return [json.loads(line) for line in path.read_text().splitlines()]


def entries(project: Project) -> list[str]:
    return re.findall(r"^- \[\d{4}\] (.+)$", project.page(), re.M)


def numbers(run: Run, log: str) -> dict[str, str]:
    out = run("show", log, "--entries").out
    return {text: number for number, text in re.findall(r"^#(\d+)  .*?\] (.+)$", out, re.M)}


# -- an incident from its opening to its end ---------------------------------------------------


def test_an_incident_is_a_log_before_there_is_any_run(
    run: Run, project: Project, incident: str
) -> None:
    page = project.page()
    assert page.startswith(f"# [INCIDENT {incident}] PRACTICE - ")
    assert "- **Status:** In progress.\n" in page
    assert "- It stopped.\n" in page
    assert project.runs() == []
    assert lines(project)[0]["who"]
    assert incident in run("list").out
    assert "Logs without a run:" in run("list").out


def test_the_next_number_is_the_next_incident_s(run: Run, incident: str) -> None:
    after = run("incident", "Another").out.strip()
    assert int(after[-3:]) == int(incident[-3:]) + 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["incident", "x", "--host", "kalimdro"], "is not a host or group"),
        (["incident", "\u200b"], "The title is empty."),
        (["incident", "x", "--summary", "y" * 1001], "more than 1,000 characters"),
        (["incident", "x", "--runs", "practice/logs"], "they must lie apart"),
    ],
)
def test_an_incident_that_cannot_be_opened_takes_no_number(
    words: list[str], said: str, run: Run, project: Project
) -> None:
    result = run(*words)
    assert (result.code, said in result.err) == (2, True)
    assert not list(project.path.glob("practice/logs/**/*.md"))


def test_an_incident_evolves_and_is_closed(run: Run, project: Project, incident: str) -> None:
    for words in (
        ["summary", incident, "All is well again."],
        ["retitle", incident, "A bad release"],
        ["work", "add", incident, "Start the old release"],
        ["work", "add", incident, "Mend the new one"],
    ):
        assert run(*words).code == 0
    refused = run("close", incident)
    assert (refused.code, f"In {incident} work items 1, 2 are not decided yet." in refused.err) == (2, True)
    assert run("work", "complete", incident, "1").code == 0
    assert run("work", "cancel", incident, "2", "--because", "it was sound").code == 0
    assert run("close", incident).code == 0
    page = project.page()
    assert project.pages()[-1].name == "001-web-server-does-not-answer.md"
    assert re.search(r"PRACTICE - .* - A bad release$", page, re.M)
    assert "  - Start the old release (Completed)\n" in page
    assert "  - Mend the new one (Cancelled: it was sound)\n" in page
    assert re.search(r"\*\*Status:\*\* Completed at \d\d:\d\dhrs, ", page)
    assert run("verify", incident).code == 0


def test_a_closed_log_takes_notes_and_corrections_but_no_works(
    run: Run, project: Project, incident: str
) -> None:
    run("note", "Seen", "--run", incident)
    run("close", incident)
    assert run("note", "Seen later", "--run", incident).code == 0
    assert run("correct", incident, numbers(run, incident)["Seen"], "Seen first").code == 0
    assert entries(project) == ["Seen later", "Seen first"]
    for words in (["add", incident, "x"], ["complete", incident, "1"]):
        refused = run("work", *words)
        assert (refused.code, "is closed" in refused.err) == (2, True)
    again = run("close", incident)
    assert (again.code, "is closed already (Completed at" in again.err) == (2, True)


def test_closing_with_a_reason_says_what_became_of_the_works(
    run: Run, project: Project, incident: str
) -> None:
    run("work", "add", incident, "Never begun")
    assert run("close", incident, "--status", "completed", "--because", "x").code == 2
    assert run("close", incident, "--because", "the server is retired").code == 0
    page = project.page()
    assert "**Status:** Ended without completion at " in page
    assert "  - Never begun (Cancelled: the server is retired)\n" in page
    assert entries(project) == ["Closed: the server is retired"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [("ended-without-completion", "Ended without completion at"), ("CANCELLED", "Cancelled.")],
)
def test_the_status_words_are_the_log_s_own(
    given: str, shown: str, run: Run, project: Project, incident: str
) -> None:
    assert run("close", incident, "--status", given, "--at", "2026-01-02 11:32").code == 0
    assert f"**Status:** {shown}" in project.page()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "done"], "no status (there are: Completed"),
        (["--status", "compleeted"], "did you mean 'Completed'?"),
        (["--status", "cancelled"], "is not cancelled: work item 1 is begun or done"),
    ],
)
def test_words_that_the_works_belie_are_refused(
    words: list[str], said: str, run: Run, project: Project, incident: str
) -> None:
    run("work", "add", incident, "W")
    run("work", "complete", incident, "1", "--because", "by hand")
    assert "(Completed: by hand)" in project.page()
    result = run("close", incident, *words)
    assert (result.code, said in result.err) == (2, True)
    assert "In progress" in project.page()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["complete", "LOG", "2"], "has no work item 2; it has 1."),
        (["complete", "LOG", "0"], "'0' is no number of a work"),
        (["complete", "LOG", "one"], "'one' is no number of a work"),
        (["cancel", "LOG", "1"], "required: --because"),
        (["complete", "2031/001", "1"], "There is no run or log '2031/001'"),
        (["finish", "LOG", "1"], "invalid choice: 'finish'"),
    ],
)
def test_what_is_said_of_no_work_is_a_usage_error(
    words: list[str], said: str, run: Run, incident: str
) -> None:
    run("work", "add", incident, "W")
    result = run("work", *(incident if word == "LOG" else word for word in words))
    assert (result.code, said in result.err) == (2, True)


def test_a_completed_work_is_not_completed_or_cancelled_again(run: Run, incident: str) -> None:
    run("work", "add", incident, "W")
    run("work", "complete", incident, "1")
    for words in (["complete", incident, "1"], ["cancel", incident, "1", "--because", "x"]):
        assert "Work item 1 is completed already." in run("work", *words).err


# -- entries -----------------------------------------------------------------------------------


def test_an_entry_is_corrected_and_withdrawn_by_the_number_that_is_shown(
    run: Run, project: Project, incident: str
) -> None:
    for text in ("one", "twoo", "three"):
        run("note", text)
    shown = numbers(run, incident)
    assert run("correct", incident, f"#{shown['twoo']}", "two").code == 0
    assert run("withdraw", incident, shown["three"]).code == 0
    assert entries(project) == ["two", "one"]
    assert "twoo" not in project.page()
    assert any("twoo" in json.dumps(line) for line in lines(project))
    assert re.search(rf"^#{shown['three']}  .*\(withdrawn\) three$", run("show", incident, "--entries").out, re.M)
    gone = run("correct", incident, shown["three"], "x")
    assert (gone.code, f"Entry #{shown['three']} was withdrawn." in gone.err) == (2, True)
    none = run("withdraw", incident, "99")
    assert (none.code, f"show {incident} --entries" in none.err) == (2, True)
    assert run("withdraw", incident, "one").code == 2


def test_what_people_write_is_one_line_and_steers_nothing(
    run: Run, project: Project, incident: str
) -> None:
    assert run("note", "two\nlines \x1b[31mred\x1b[0m \u202eevil *bold*").code == 0
    assert entries(project) == [r"two lines red evil \*bold\*"]
    assert run("note", "x" * 1001).code == 2
    assert run("note", "\u200b").code == 2
    assert len(entries(project)) == 1


# -- --at --------------------------------------------------------------------------------------


def test_a_note_may_be_of_an_earlier_time(run: Run, project: Project, incident: str) -> None:
    run("note", "now")
    assert "09:00hrs, January 2nd 2026 (GMT)." in run("note", "then", "--at", "2026-01-02 09:00").out
    assert entries(project) == ["now", "then"]
    note = lines(project)[-1]
    assert note["happened_at"] == "2026-01-02T09:00:00.000000Z"
    assert note["recorded_at"] > note["happened_at"]


@pytest.mark.parametrize("at", ["2999-01-01 09:00", "25:00", "soon", "2026-03-29 01:30"])
def test_a_time_that_cannot_be_meant_writes_nothing(
    at: str, run: Run, project: Project, incident: str
) -> None:
    result = run("note", "x", "--at", at)
    assert result.code == 2
    assert "Nothing was written." in result.err
    assert entries(project) == []


def test_a_time_that_came_twice_is_asked_about(
    run: Run, project: Project, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = "2025-10-26 01:30"
    result = run("note", "x", "--at", twice)
    assert result.code == 2
    assert "2025-10-26 01:30+01:00 (00:30 UTC) and 2025-10-26 01:30+00:00 (01:30 UTC)" in result.err
    assert "--at '2025-10-26 01:30+01:00'" in result.err
    assert run("note", "first", "--at", "2025-10-26 01:30+01:00").code == 0
    asked: list[str] = []
    answers = ["maybe", "2"]
    monkeypatch.setattr(log_verbs, "typed", lambda prompt: (asked.append(prompt), answers.pop(0))[1])
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}", _Terminal())
    assert run("note", "second", "--at", twice).code == 0
    assert len(asked) == 2
    assert [line["happened_at"][:16] for line in lines(project)[1:]] == [
        "2025-10-26T00:30", "2025-10-26T01:30",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# -- warnings ----------------------------------------------------------------------------------


def test_warnings_sort_into_place_and_are_added_once(
    run: Run, project: Project, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("note", "Found by a user.")
    text = (
        '{"at": "2026-01-02T06:32:00Z", "text": "Minor warning."}\n'
        '{"at": "2026-01-02T10:02:00+01:00", "text": "Critical warning.", "source": "nagios"}\n'
    )
    project.write("w.jsonl", text.encode())
    assert f"2 warnings added to {incident}." in run("warnings", incident, "w.jsonl").out
    more = text + '{"at": "2026-01-02T07:00:00Z", "text": "Another."}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(more.encode())))
    result = run("warnings", incident, "-")
    assert f"1 warning added to {incident}; 2 were there already." in result.out
    assert entries(project) == [
        "Found by a user.", "nagios: Critical warning.", "Another.", "Minor warning.",
    ]
    assert run("warnings", incident, "w.jsonl").out.startswith("0 warnings added")


def test_one_bad_line_and_no_warning_is_written(run: Run, project: Project, incident: str) -> None:
    project.write("w.jsonl", b'{"at": "2026-01-02T06:32:00Z", "text": "fine"}\nx\n{}\n')
    before = lines(project)
    result = run("warnings", incident, "w.jsonl")
    assert result.code == 2
    assert "w.jsonl:2:1: it is not JSON" in result.err
    assert "w.jsonl:3:1: 'at' is missing" in result.err
    assert lines(project) == before
    assert run("warnings", incident, "none.jsonl").code == 2
    assert run("warnings", incident, ".").code == 2


# -- notes and runs ----------------------------------------------------------------------------


@contextmanager
def sleeping(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A run in the middle of its only step."""
    process = project.start("invoke", "run", project.runbook("run: sleep 7200"), "--yes")
    try:
        wait_for(lambda: "intended" in project.kinds(), "the step to be under way")
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def test_notes_into_a_live_run_go_through_its_own_journal(run: Run, project: Project) -> None:
    with sleeping(project) as process:
        assert run("note", "Still at it").code == 0
        assert run("note", "Last line in its log", "--at", "2026-01-02 09:00").code == 0
        assert run("note", "the password is under the mat", "--private", "--run", "last").code == 0
        noted = [event for event in project.events() if event["kind"] == "noted"]
        assert [event["body"]["text"] for event in noted] == [
            "Still at it", "Last line in its log", "the password is under the mat",
        ]
        assert all(event["who"] for event in noted)
        assert run("close", "last").code == 6
        assert run("work", "cancel", "last", "1", "--because", "x").code == 6
        assert run("work", "add", "last", "By hand").code == 0
        send(process, signal.SIGINT)
        assert finish(process).code == 3
    found = entries(project)
    assert (found[-1], found[-2]) == ("Last line in its log", "Still at it")
    assert "mat" not in project.page()
    assert "the password is under the mat" in run("show", "last").out
    assert "  - The work (Not completed: step 1.1 (run) was cancelled)\n  - By hand\n" in project.page()
    assert run("verify", "last").code == 0


def test_a_correction_while_a_run_writes_stays(run: Run, project: Project) -> None:
    with sleeping(project) as process:
        run("note", "Rong")
        wait_for(lambda: "Rong" in project.page(), "the note to be in the log")
        assert run("correct", "last", numbers(run, "last")["Rong"], "Right").code == 0
        send(process, signal.SIGINT)
        finish(process)
    assert entries(project) == ["Step 1.1 (run) was cancelled.", "Right"]
    assert run("verify", "last").code == 0


def test_a_run_that_died_takes_notes_and_can_be_closed_with_a_reason(
    run: Run, project: Project
) -> None:
    with sleeping(project) as process:
        process.kill()
        process.wait()
    journal = (project.runs()[0] / "journal.jsonl").read_bytes()
    assert run("note", "Our controller lost power").code == 0
    assert run("note", "the fuse", "--private").code == 0
    assert (project.runs()[0] / "journal.jsonl").read_bytes() == journal
    assert entries(project) == ["Our controller lost power"]
    shown = run("show", "last").out
    assert "the fuse" in shown
    assert "In progress, last event" in shown
    refused = run("close", "last")
    assert (refused.code, "never ended" in refused.err) == (2, True)
    assert run("close", "last", "--because", "the controller is gone").code == 0
    page = project.page()
    assert "  - The work (Not completed: the controller is gone)\n" in page
    assert "**Status:** Ended without completion at " in page
    assert run("verify", "last").code == 0


def test_notes_into_a_finished_run_leave_its_journal_as_it_is(run: Run, project: Project) -> None:
    assert run("run", project.runbook("run: echo hi")).code == 0
    (directory,) = project.runs()
    journal = (directory / "journal.jsonl").read_bytes()
    assert run("note", "Seen afterwards").code == 0
    assert run("note", "between us", "--private", "--run", directory.name[:12]).code == 0
    assert (directory / "journal.jsonl").read_bytes() == journal
    assert entries(project)[0] == "Seen afterwards"
    assert "between us" in run("show", "last").out
    assert "between us" not in project.page() + json.dumps(lines(project))
    assert run("verify", "last").code == 0
    (directory / "notes.jsonl").unlink()
    broken = run("verify", "last")
    assert (broken.code, "knows of 1 private notes" in broken.err) == (1, True)


def test_a_failed_run_s_works_are_decided_by_a_person(run: Run, project: Project) -> None:
    assert run("run", project.runbook("run: exit 7")).code == 1
    log = "/".join((project.pages()[-1].parent.name, "001"))
    half = run("work", "cancel", log, "1", "--because", "x")
    assert (half.code, "A half-done work item is not cancelled." in half.err) == (2, True)
    assert run("work", "complete", log, "1", "--because", "by hand").code == 0
    assert run("close", log).code == 0
    assert "  - The work (Completed: by hand)\n" in project.page()
    assert "**Status:** Completed at " in project.page()
    assert run("verify", log).code == 0


def test_without_a_run_a_note_goes_where_something_was_begun_last(
    run: Run, project: Project
) -> None:
    nothing = run("note", "x")
    assert (nothing.code, "There is no run and no log yet." in nothing.err) == (2, True)
    run("run", project.runbook("run: echo hi"))
    run("note", "after the run")
    run("incident", "Afterwards")
    run("note", "in the incident")
    run("note", "not for all", "--private")
    assert entries(project) == ["in the incident"]
    number = f"{project.pages()[-1].parent.name}/002"
    assert "not for all" in run("show", number).out
    assert run("verify", number).code == 0


# -- dry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["incident", "x"], ["note", "x"], ["note", "x", "--private"], ["summary", "LOG", "x"],
        ["retitle", "LOG", "x"], ["work", "add", "LOG", "x"], ["correct", "LOG", "2", "x"],
        ["withdraw", "LOG", "2"], ["close", "LOG"], ["warnings", "LOG", "w.jsonl"],
    ],
)
def test_dry_writes_nothing(words: list[str], run: Run, project: Project, incident: str) -> None:
    run("note", "one")
    project.write("w.jsonl", b'{"at": "2026-01-02T06:32:00Z", "text": "fine"}\n')

    def everything() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in project.path.rglob("*") if p.is_file()}

    before = everything()
    result = run(*(incident if word == "LOG" else word for word in words), dry=True)
    assert result.code == 0
    assert everything() == before


def test_an_edit_by_hand_is_set_aside_by_these_verbs_too(
    run: Run, project: Project, incident: str
) -> None:
    project.pages()[-1].write_text("by hand")
    assert run("verify", incident).code == 1
    result = run("summary", incident, "More.")
    assert "was edited by hand" in result.err
    assert "- More.\n" in project.pages()[-1].read_text()
