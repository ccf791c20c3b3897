"""Runs that the version of November 2026 left unfinished are resumed and end correctly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.journal.events import Answered
from tastyops.records.runs import hand_in, read_state
from tests.cli.project import isolated
from tests.compatibility.records import DATA, UNFINISHED, Hosts, events_of, put_back

BOOK = [
    "prepared", "copied-after-prepared", "rested", "tried", "tried", "finished-new",
]  # fmt: skip
TWO = {"left": ["first", "second"], "right": ["first", "second"]}

ENDS: dict[str, tuple[list[str], int, dict[str, list[str]], str]] = {
    # name: answers given to it, exit code, the ledgers, a sentence of the page
    "opened": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "step-started": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "change-in-flight": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "large-output": ([], 0, {"target": BOOK}, "The spool was copied."),
    "between-steps": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "between-works": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "confirm": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "confirmed": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "first-report": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "asleep": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "slept": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "before-a-retry": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "between-attempts": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "question": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "work-ended": ([], 0, {"target": BOOK}, "The mail spool was moved."),
    "manual": (["done"], 0, {"target": ["ready", "labelled"]}, "The disk was labelled."),
    "two-hosts": ([], 0, TWO, "Both have it."),
    "secret": ([], 0, {"target": ["set"]}, "The password was changed."),
    "failure-question": (["skip"], 1, {"target": ["before", "never"]}, "was skipped."),
    "clearing-up": ([], 1, {"target": ["before", "cleared"]}, "Cleared up."),
}


class Project:
    """The working directory of a resumed run."""

    def __init__(self, path: Path, hosts: Hosts, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.hosts, self._capsys = path, hosts, capsys

    def verb(self, *words: str) -> tuple[int, str]:
        """A verb's exit code and all that it wrote."""
        self._capsys.readouterr()
        code = main(words)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out + err

    @property
    def page(self) -> str:
        (page,) = (self.path / "public").glob("*/*.md")
        return page.read_text()


@pytest.fixture
def project(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Project]:
    """The records of one unfinished run, and its hosts as its controller left them."""
    name, rebooted = request.param
    for variable, value in isolated(tmp_path / "user").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("INVOKE_RUN_DRY", raising=False)
    monkeypatch.setenv("MAIL_PASSWORD", "not-a-real-one")
    place = tmp_path / "project"
    put_back(name if "/" in name else f"unfinished/{name}", place)
    monkeypatch.chdir(place)
    (journal,) = place.glob("private/*/journal.jsonl")
    hosts = Hosts(events_of(journal))
    with ExitStack() as stack:
        hosts.start(stack, rebooted=rebooted)
        (place / "inventory.yml").write_text(hosts.inventory())
        yield Project(place, hosts, capsys)


def case(name: str, *, rebooted: bool = False) -> object:
    return pytest.param((name, rebooted), id=name)


def test_every_unfinished_run_has_its_end_here() -> None:
    assert sorted(ENDS) == UNFINISHED


def resumed(project: Project, name: str) -> tuple[int, str]:
    """Resumes; a question that only a person answers waits, and is answered from elsewhere."""
    code, said = project.verb("resume", "--yes")
    for answer in ENDS[name][0]:
        assert code == 5, said
        (run,) = project.path.glob("private/[0-9]*")
        ((at, asked),) = read_state(run).questions()
        hand_in(run, "root", Answered(answer), datetime.now(UTC), at=at, question=asked.digest)
        code, said = project.verb("resume", "--yes")
    return code, said


@pytest.mark.parametrize("project", [case(name) for name in UNFINISHED], indirect=True)
def test_a_run_of_the_older_version_is_resumed_to_its_end(
    project: Project, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["project"][0]
    _, expected, ledgers, sentence = ENDS[name]
    for event in project.hosts.in_flight:
        project.hosts.end(event)
    code, said = resumed(project, name)
    assert code == expected, said
    assert project.hosts.read("/root/ledger") == ledgers
    assert sentence in project.page
    for event in project.hosts.events:
        assert (getattr(event.body, "entry", None) or "") in project.page
    assert "In progress" not in project.page
    assert "in doubt" not in project.page
    code, said = project.verb("verify", "last")
    assert code == 0, said
    assert project.verb("status")[0] == 0


IN_FLIGHT = ["change-in-flight", "two-hosts", "clearing-up"]


@pytest.mark.parametrize("project", [case(name) for name in IN_FLIGHT], indirect=True)
def test_a_change_that_never_reached_its_host_is_sent_once(
    project: Project, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["project"][0]
    assert project.hosts.in_flight
    code, said = resumed(project, name)
    assert code == ENDS[name][1], said
    assert project.hosts.read("/root/ledger") == ENDS[name][2]


@pytest.mark.parametrize(
    "project", [case(name, rebooted=True) for name in IN_FLIGHT[:2]], indirect=True
)
def test_a_change_whose_host_was_restarted_is_in_doubt_and_not_sent(project: Project) -> None:
    code, said = project.verb("resume", "--yes")
    assert code == 5, said
    sent = [word for words in project.hosts.read("/root/ledger").values() for word in words]
    assert sent == []


@pytest.mark.parametrize("project", [case("refused/evaluated-value")], indirect=True)
def test_a_run_whose_runbook_is_refused_today_goes_on_with_a_corrected_one(
    project: Project,
) -> None:
    """Fails if a stricter version leaves such a run with no way on but a cancel."""
    book = project.path / "evaluated.yml"
    (kept,) = project.path.glob("private/*/runbook.yml")
    book.write_bytes(kept.read_bytes())
    code, said = project.verb("resume", "--yes")
    assert code == 2
    assert "evaluated.yml:8:22" in said
    assert "--accept-changes" in said
    code, _ = project.verb("resume", "--yes", "--accept-changes")
    assert code == 2, "nothing was corrected yet"
    book.write_text(
        kept.read_text().replace("sh -c {{ program }}", "echo named >> /root/ledger")
    )
    code, said = project.verb("resume", "--yes", "--accept-changes")
    assert code == 0, said
    assert "not valid for this version" in said
    assert project.hosts.read("/root/ledger") == {"target": ["before", "named"]}
    assert "The mail server has a name." in project.page
    assert project.verb("verify", "last")[0] == 0


def test_the_records_name_nothing_of_the_machine_they_were_made_on() -> None:
    for path in DATA.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            text = path.read_bytes()
            for word in (b"/work", b"/tmp", b"not-a-real-one"):
                assert word not in text or path.name == "README.md", path
