"""Several processes and one log; notes to a run that is live, ends or was killed; verification."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.errors import JournalDamaged, JournalUnwritable, Locked
from tastyops.journal.chain import GENESIS, seal
from tastyops.journal.events import Address, Noted
from tastyops.journal.public_events import KINDS, Corrected, Entry, PrivateKept, Withdrawn
from tastyops.records import files, public_journal
from tastyops.records.document.build import build
from tastyops.records.document.markdown import render_markdown
from tastyops.records.logs import LogBook, LogFile, LogHead
from tastyops.records.notes import Handed, Notes, hand_over, new_note, notes_of_log
from tastyops.records.runs import (
    RunJournal,
    hand_in,
    is_live,
    read_events,
    run_directories,
    take_back,
    waiting,
)
from tastyops.records.verify import verify_log, verify_run
from tastyops.redact import Masker
from tests.test_store import file_size_limit

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 2, 11, 13, 20, tzinfo=UTC)
RUN = "20260211T132000-abcdef"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path, said: list[str]) -> LogFile:
    head = LogHead("incident", "Corruption", "UTC", False, [], [], ["dwm"], by_hand=True)
    return LogBook(tmp_path / "logs", say=said.append).open(head, NOW, Masker())


def again(log: LogFile) -> LogFile:
    return LogFile(log.journal.with_suffix(""), Masker(), say=lambda _: None)


def start(code: str, *words: str) -> subprocess.Popen[str]:
    """A process that says it is ready and begins when told to."""
    prelude = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from tastyops.journal.public_events import *\n"
        "from tastyops.redact import Masker\n"
        "from tastyops.records.logs import *\n"
        "NOW = datetime(2026, 2, 11, 13, 20, tzinfo=UTC)\n"
        "log = LogFile(Path(sys.argv[1]), Masker(), say=print)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *words], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


def together(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")


# -- two processes, one log --------------------------------------------------------------------


def test_two_processes_write_one_log_and_nothing_is_lost_or_torn(log: LogFile) -> None:
    code = "for n in range(40): log.append(Entry(f'{sys.argv[2]} {n}'), NOW, f'{sys.argv[2]}#{n}')"
    stem = str(log.journal.with_suffix(""))
    together(*(start(code, stem, name) for name in ("a", "b")))
    found = again(log)
    assert [event.seq for event in found.events] == list(range(1, 82))
    for name in ("a", "b"):
        own = [e.body.text for e in found.events if isinstance(e.body, Entry) and e.body.text[0] == name]
        assert own == [f"{name} {n}" for n in range(40)]
    assert log.page.read_text() == render_markdown(build(found.events))
    assert not found.edited()
    assert sorted(path.name for path in log.page.parent.iterdir()) == [
        ".001.lock", "001-corruption.jsonl", "001-corruption.md",
    ]


def test_a_run_writes_its_entries_while_a_person_corrects_and_withdraws_them(log: LogFile) -> None:
    stem = str(log.journal.with_suffix(""))
    run = start(
        "from tastyops.journal.envelope import Event\n"
        "from tastyops.journal.events import Address, StepEnded\n"
        "keeper = LogKeeper(log)\n"
        "for n in range(1, 31):\n"
        "    keeper._written = 0\n"
        "    keeper.event(Event('r1', n, 1, NOW, NOW, '', Address('h', '1.1'), "
        "StepEnded('done', {}, f'machine {n}')))\n"
        "    keeper.caught_up()\n",
        stem,
    )
    person = start(
        "done = set()\n"
        "while len(done) < 20:\n"
        "    def change():\n"
        "        shown = [l for l in log.document().transcript if l.text.startswith('machine')]\n"
        "        new = [l for l in shown if l.number not in done][:1]\n"
        "        done.update(l.number for l in new)\n"
        "        return [Copied(Corrected(l.number, f'person on {l.text}'), NOW) for l in new]\n"
        "    log.change(change)\n",
        stem,
    )
    together(run, person)
    found = again(log)
    texts = [line.text for line in found.document().transcript]
    assert len(texts) == 30
    assert sum(text.startswith("person on machine") for text in texts) == 20
    numbers = [int(text.rpartition(" ")[2]) for text in texts]
    assert numbers == list(range(30, 0, -1))
    assert log.page.read_text() == render_markdown(found.document())


def test_a_process_sees_what_the_other_wrote_before_it_decides(log: LogFile) -> None:
    other = again(log)
    other.append(Entry("one"), NOW)
    other.append(Entry("two"), NOW)
    log.append(Entry("three"), NOW)
    assert [event.seq for event in log.events] == [1, 2, 3, 4]
    other.append(Withdrawn(2), NOW)
    log.append(Corrected(4, "drei"), NOW)
    assert [line.text for line in log.document().transcript] == ["drei", "two"]
    assert not log.edited()


def test_lines_of_another_version_are_kept_and_numbered(log: LogFile) -> None:
    event = log.events[0]
    kept = type("OfTheFuture", (Entry,), {"kind": "of-the-future"})
    log.append(kept("x"), event.happened_at)
    older = again(log)
    assert len(older.events) == 1
    older.append(Entry("after"), NOW)
    assert [e.seq for e in again(log).events] == [1, 3]


def test_a_lock_nobody_lets_go_of_is_an_error_and_no_wait_for_ever(
    log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.locked.__wrapped__, "__defaults__", (0.05, 0o644))
    with (
        files.locked(log.page.with_name(".001.lock")),
        pytest.raises(JournalUnwritable, match="another process keeps it locked"),
    ):
        log.append(Entry("x"), NOW)
    log.append(Entry("y"), NOW)


def test_a_busy_writer_does_not_starve_another(log: LogFile) -> None:
    """One that polls never meets the moment between two writes; one in the kernel's queue does."""
    stem = str(log.journal.with_suffix(""))
    busy = start("for n in range(100000): log.append(Entry(f'busy {n}'), NOW)", stem)
    try:
        assert busy.stdout is not None
        assert busy.stdin is not None
        busy.stdout.readline()
        busy.stdin.write("go\n")
        busy.stdin.flush()
        for n in range(5):
            log.append(Entry(f"patient {n}"), NOW)
        assert busy.poll() is None
    finally:
        busy.kill()
        busy.communicate()
    log.append(Entry("after the kill"), NOW)
    texts = [line.text for line in again(log).document().transcript]
    assert [text for text in texts if text.startswith("patient")] == [
        f"patient {n}" for n in range(4, -1, -1)
    ]
    assert not list(log.page.parent.glob(f".{log.page.name}.*"))


def test_a_lock_given_up_is_not_kept_when_its_turn_comes(log: LogFile) -> None:
    path = log.page.with_name(".001.lock")
    with files.locked(path), pytest.raises(TimeoutError), files.locked(path, 0.05):
        pass
    for _ in range(3):
        with files.locked(path, 5):
            pass


def test_a_full_disk_leaves_no_piece_of_a_line_behind(log: LogFile) -> None:
    before = log.journal.read_bytes()
    with file_size_limit(len(before) + 100), pytest.raises(JournalUnwritable):
        log.append(Entry("x" * 500), NOW)
    assert log.journal.read_bytes() == before
    log.append(Entry("room again"), NOW)
    assert [line.text for line in again(log).document().transcript] == ["room again"]


def test_a_torn_last_line_is_set_aside_aloud_and_the_log_goes_on(
    log: LogFile, said: list[str], tmp_path: Path
) -> None:
    log.append(Entry("whole"), NOW)
    with log.journal.open("ab") as file:
        file.write(b'{"v":1,"seq":3')
    found = again(log)
    assert found.torn
    assert ["the last line is torn" in w for w in verify_log(found, tmp_path)] == [True]
    log.append(Entry("next"), NOW)
    assert [line.text for line in again(log).document().transcript] == ["next", "whole"]
    assert "is kept as 001-corruption.jsonl.torn-1." in said[0]
    assert log.journal.with_name("001-corruption.jsonl.torn-1").read_bytes() == b'{"v":1,"seq":3'
    assert verify_log(again(log), tmp_path) == []


def test_a_log_that_was_cut_or_altered_under_a_writer_is_not_written_on(log: LogFile) -> None:
    log.append(Entry("one"), NOW)
    whole = log.journal.read_bytes()
    log.journal.write_bytes(whole[: whole.index(b"\n") + 1])
    with pytest.raises(JournalDamaged, match="shorter than it was"):
        log.append(Entry("two"), NOW)
    log.journal.write_bytes(whole + whole)
    with pytest.raises(JournalDamaged, match=r"jsonl:3: an event before this one was altered"):
        log.append(Entry("two"), NOW)


# -- notes to a live run -----------------------------------------------------------------------


def make_run(tmp_path: Path) -> RunJournal:
    return RunJournal.create(tmp_path / "runs", RUN, b"", Masker())


def resumed(journal: RunJournal) -> RunJournal:
    """The journal as the next process opens it, after this one was killed as it stands."""
    os.close(journal._fd)
    events = list(read_events(journal.directory))
    last = events[-1] if events else None
    return RunJournal(
        journal.directory, RUN, Masker(), seq=last.seq if last else 0,
        head=last.hash if last else "0" * 32,
    )


def take_in(journal: RunJournal) -> None:
    for handed in journal.spooled():
        journal.append(handed.body, Address(), who=handed.who, happened=NOW)


def test_a_run_is_live_while_its_process_has_the_journal_open(tmp_path: Path) -> None:
    journal = make_run(tmp_path)
    assert is_live(journal.directory)
    with pytest.raises(Locked, match="is live"):
        RunJournal(journal.directory, RUN, Masker(), seq=0, head="")
    journal.close()
    assert not is_live(journal.directory)


def test_a_run_whose_process_was_killed_is_not_live(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tastyops.redact import Masker\n"
        "from tastyops.records.runs import RunJournal, is_live\n"
        f"journal = RunJournal.create(Path(sys.argv[1]), {RUN!r}, b'', Masker())\n"
        "print(is_live(journal.directory), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-9, "True\n")
    assert not is_live(tmp_path / RUN)


@pytest.mark.parametrize("moment", ["before the commit", "after it, before the spool was emptied"])
def test_a_note_is_neither_lost_nor_doubled_by_a_crash(tmp_path: Path, moment: str) -> None:
    journal = make_run(tmp_path)
    hand_in(journal.directory, "ncm", new_note("seen", public=True), NOW)
    spool = journal.directory / "spool"
    shutil.copytree(spool, tmp_path / "kept")
    take_in(journal)
    if moment != "before the commit":
        journal.commit()
        shutil.copytree(tmp_path / "kept", spool, dirs_exist_ok=True)
    journal = resumed(journal)
    take_in(journal)
    journal.commit()
    journal.close()
    texts = [e.body.text for e in read_events(journal.directory) if isinstance(e.body, Noted)]
    assert texts == ["seen"]
    assert list(spool.iterdir()) == []


@contextmanager
def engine(journal: RunJournal) -> Iterator[None]:
    """Takes in what is handed in, as the engine does, in a thread."""
    import threading

    over = threading.Event()

    def turn() -> None:
        while not over.wait(0.01):
            take_in(journal)
            journal.commit()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_note_to_a_live_run_is_in_its_journal_when_the_verb_returns(tmp_path: Path) -> None:
    journal = make_run(tmp_path)
    with engine(journal):
        note = new_note("seen", public=False)
        assert hand_over(journal.directory, "ncm", note, NOW) is Handed.TAKEN
        (event,) = read_events(journal.directory)
    journal.close()
    assert (event.who, event.body) == ("ncm", note)


def test_a_note_that_comes_too_late_is_given_back(tmp_path: Path) -> None:
    journal = make_run(tmp_path)
    journal.close()  # it ended between the look and the note
    note = new_note("late", public=True)
    assert hand_over(journal.directory, "ncm", note, NOW) is Handed.ENDED
    assert waiting(journal.directory) == 0
    assert list(read_events(journal.directory)) == []


def test_a_run_that_is_frozen_gets_its_note_when_it_goes_on(tmp_path: Path) -> None:
    journal = make_run(tmp_path)
    note = new_note("later", public=True)
    assert hand_over(journal.directory, "ncm", note, NOW, patience=0.05) is Handed.WAITING
    assert waiting(journal.directory) == 1
    (path,) = (journal.directory / "spool").iterdir()
    assert not take_back(journal.directory, path, note)  # it is live: the note is its own
    take_in(journal)
    journal.close()
    assert [event.body for event in read_events(journal.directory)] == [note]


# -- private notes to a closed record ----------------------------------------------------------


def private(text: str) -> Noted:
    return new_note(text, public=False)


def test_private_notes_are_a_chain_of_their_own_that_the_log_knows_the_length_of(
    tmp_path: Path, log: LogFile
) -> None:
    make_run(tmp_path).close()
    directory = tmp_path / "runs" / RUN
    notes = Notes(directory, RUN)
    assert notes.events() == []
    for text in ("one", "two", "three"):
        notes.add(private(text), who="ncm", happened=NOW, log=log)
    assert [(e.seq, e.who, e.body.text) for e in notes.events() if isinstance(e.body, Noted)] == [
        (1, "ncm", "one"), (2, "ncm", "two"), (3, "ncm", "three"),
    ]
    assert notes.path.stat().st_mode & 0o777 == 0o600
    assert "two" not in log.journal.read_text() + log.page.read_text()
    assert [e.body.notes for e in log.events if isinstance(e.body, PrivateKept)] == [1, 2, 3]
    assert verify_run(directory, log)[2] == []


@pytest.mark.parametrize(
    ("harm", "wanted"),
    [
        (lambda lines: lines[:-1], "knows of 3 private notes"),
        (lambda lines: [lines[0], lines[2]], "altered, removed or moved"),
        (lambda lines: [lines[0].replace(b"one", b"two"), *lines[1:]], "was altered"),
        (lambda lines: [*lines[:2], lines[2][:-9]], "is torn"),
        (lambda _: [], "knows of 1 private notes"),
    ],
)
def test_verify_covers_the_private_notes(
    tmp_path: Path, log: LogFile, harm: object, wanted: str
) -> None:
    make_run(tmp_path).close()
    notes = Notes(tmp_path / "runs" / RUN, RUN)
    for text in ("one", "two", "three"):
        notes.add(private(text), who="ncm", happened=NOW, log=log)
    lines = notes.path.read_bytes().splitlines(keepends=True)
    notes.path.write_bytes(b"".join(harm(lines)))  # type: ignore[operator]
    wrong = verify_run(notes.directory, log)[2]
    assert any(wanted in sentence for sentence in wrong), wrong


def test_a_crash_between_a_note_and_the_log_is_no_fault(tmp_path: Path, log: LogFile) -> None:
    make_run(tmp_path).close()
    notes = Notes(tmp_path / "runs" / RUN, RUN)
    notes.add(private("one"), who="ncm", happened=NOW, log=log)
    notes.add(private("two"), who="ncm", happened=NOW, log=None)
    assert notes.wrong(log) == []
    notes.add(private("three"), who="ncm", happened=NOW, log=log)
    assert notes.wrong(log) == []


def test_a_log_without_a_run_has_private_notes_too_and_they_are_no_run(
    tmp_path: Path, log: LogFile
) -> None:
    runs = tmp_path / "runs"
    notes = notes_of_log(runs, log.number)
    notes.add(private("one"), who="ncm", happened=NOW, log=log)
    assert notes.directory.stat().st_mode & 0o777 == 0o700
    assert verify_log(log, runs) == []
    assert run_directories(runs) == []
    notes.path.unlink()
    assert "knows of 1 private notes" in verify_log(log, runs)[0]


def test_private_notes_that_are_damaged_are_not_added_to(tmp_path: Path, log: LogFile) -> None:
    notes = notes_of_log(tmp_path / "runs", log.number)
    notes.add(private("one"), who="ncm", happened=NOW, log=log)
    notes.path.write_bytes(notes.path.read_bytes()[:-5])
    with pytest.raises(JournalDamaged, match="torn"):
        notes.add(private("two"), who="ncm", happened=NOW, log=log)


def test_the_torn_piece_is_only_set_aside_by_a_writer(log: LogFile) -> None:
    with log.journal.open("ab") as file:
        file.write(b"{")
    journal = public_journal.PublicJournal(log.journal)
    journal.catch_up()
    journal.catch_up()
    assert journal.torn == 1
    assert log.journal.read_bytes().endswith(b"{")


@given(
    objects=st.lists(
        st.dictionaries(
            st.sampled_from(["seq", "kind", "body", "recorded_at", "happened_at", "page", "x"]),
            st.none() | st.integers() | st.text(max_size=5) | st.dictionaries(st.text(max_size=3), st.none())
            | st.sampled_from([*KINDS, "2026-02-11T13:20:00.000000Z"]),
        ),
        max_size=4,
    ),
    tail=st.binary(max_size=20),
)
def test_any_file_is_a_journal_or_an_error_of_ours(
    objects: list[dict[str, object]], tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "001-x.jsonl"
    head, data = GENESIS, b""
    for each in objects:
        line, head = seal({**each, "prev": head})
        data += line
    path.write_bytes(data + tail)
    with suppress(JournalDamaged):
        public_journal.PublicJournal(path).catch_up()
