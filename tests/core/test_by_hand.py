"""A host with neither ssh nor a console: a person types the shown commands and reports results."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tastyops.engine.drive import Drive
from tastyops.engine.run_context import RunContext
from tastyops.errors import WaitsForPerson
from tastyops.journal.events import Address, Answered, CancelAsked, StopAsked
from tastyops.journal.state import RunState
from tastyops.plan.plan import Plan
from tastyops.ports import Operator, OperatorKind
from tastyops.protocol.framing import Fate
from tastyops.protocol.serial_mux import cksum
from tastyops.records.runs import RunJournal, hand_in, read_events, read_state, taken
from tastyops.redact import Masker
from tastyops.ui.prompts import Unattended
from tests.core.driving import Ran, drive, dry, plan_of
from tests.core.fake import FakeClock, FakeDialer, FakeHost, FakeSession, lost
from tests.core.outside import FakeWays

BOOT = "11111111-1111-1111-1111-111111111111"
SUM = f"{cksum(BOOT.encode() + bytes([10]))} 37"
HELLO = f"0\n0\nweb1 6.1.0-18-amd64\n{BOOT}\n{SUM}"
HELLO_LINE = (
    "cd /; export LC_ALL=C; id -u; uname -nr; cat /proc/sys/kernel/random/boot_id; "
    "cksum </proc/sys/kernel/random/boot_id"
)
READ, WRITE = "{run: look, reads: true}", "{run: touch}"
LOOK, TOUCH = "sh -c look", "sh -c touch"
GONE = "gone"
"""What a typist says whose terminal is no more."""

Said = str | Callable[[Callable[[], bool]], str | None]


class Typist:
    """A person at the host. ``says`` has answers for each line, one after the other."""

    kind = OperatorKind.PERSON

    def __init__(self, *menu: str, **says: Said) -> None:
        self.menu = list(menu) or ["by-hand"]
        self.says: dict[str, list[Said]] = {HELLO_LINE: [HELLO]}
        for word, said in says.items():
            self.answers({"look": LOOK, "touch": TOUCH}[word], said)
        self.asked: list[dict[str, Any]] = []

    def answers(self, line: str, *said: Said) -> Typist:
        self.says[line] = list(said)
        return self

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        self.asked.append(dict(question))
        if question["question"] == "failure":
            return self.menu.pop(0), "ncm"
        told = self.says[question["line"]]
        said = told.pop(0) if len(told) > 1 else told[0]
        value = said(over) if callable(said) else said
        return None if value in (None, GONE) else (str(value), "ncm")

    @property
    def lines(self) -> list[str]:
        return [each["line"] for each in self.asked if "line" in each]

    def texts_of(self, line: str) -> list[str]:
        return [str(each["text"]) for each in self.asked if each.get("line") == line]

    @property
    def menus(self) -> list[list[str]]:
        return [each["choices"] for each in self.asked if each["question"] == "failure"]


def book(*steps: str) -> Plan:
    text = f"{{title: T, hosts: web1, works: [{{work: W, steps: [{', '.join(steps)}]}}]}}"
    return plan_of(text, "web1")


def ran(
    tmp_path: Path, typist: Operator, *steps: str, host: FakeHost | None = None, **more: Any
) -> Ran:
    dark = host or FakeHost(refuse=999)
    return drive(book(*steps), tmp_path, operators=[typist], web1=dark, **more)


def go_on(tmp_path: Path, operator: Operator, *steps: str, host: FakeHost) -> RunState:
    """Another process takes the run up."""
    journal, state, _ = RunJournal.reopen(tmp_path / "runs" / "r1", Masker())
    context = RunContext(
        run="r1", journal=journal, dialer=FakeDialer(web1=host),
        clock=FakeClock(), who="dwm", operators=[operator], epoch=journal.epoch,
    )  # fmt: skip
    try:
        return Drive(book(*steps), state, context).run()
    finally:
        journal.close()


def left_open(tmp_path: Path, typist: Typist, *steps: str) -> None:
    with pytest.raises(WaitsForPerson):
        ran(tmp_path, typist, *steps)


def bodies(tmp_path: Path, kind: str) -> list[Any]:
    return [event.body for event in read_events(tmp_path / "runs" / "r1") if event.kind == kind]


def ends(found: Ran) -> list[tuple[str, str]]:
    return [(body.outcome, body.why) for body in found.bodies("step-ended")]


def code(state: RunState) -> int:
    assert state.closed is not None
    return state.closed.exit_code


# -- how it begins -----------------------------------------------------------------------------


def test_a_person_who_says_so_types_and_tells(tmp_path: Path) -> None:
    typist = Typist(look="0\nall is well\nhere\n", touch="0")
    host = FakeHost(refuse=999)
    found = ran(tmp_path, typist, READ, WRITE, host=host)
    assert typist.lines == [HELLO_LINE, LOOK, TOUCH]
    assert (host.probed, host.sent) == ([], [])
    assert [body.outcome for body in found.bodies("step-ended")] == ["unreachable", "done", "done"]
    assert code(found.state) == 0
    assert found.transcript == [
        "Step 1.1 (run) failed: the host could not be reached.",
        "Step 1.1 (run) is tried again.",
        "Steps on web1 are typed by hand: no ssh, no shell on a console.",
        "Step 1.1 (run) completed.",
        "Step 1.2 (run) completed.",
    ]
    connected = found.bodies("connected")
    assert [body.over for body in connected] == ["hands", "hands"], "ssh is tried at every step"
    assert (connected[0].boot_id, connected[0].kernel) == (BOOT, "6.1.0-18-amd64")
    assert (connected[0].hostname, connected[0].uid) == ("web1", 0)


def test_the_journal_says_that_a_person_told_it(tmp_path: Path) -> None:
    found = ran(tmp_path, Typist("by-hand", "abort", look="3\nall is well\n"), READ)
    (settled,) = (body for body in found.bodies("settled") if body.how == "output")
    assert settled.by == "ncm"
    assert (settled.result["status"], settled.result["out"]["head"]) == (3, "all is well\n")
    assert [body.value for body in found.bodies("answered")] == ["by-hand", "0", "3", "abort"]
    (asked, *_) = (body for body in found.bodies("asked") if body.question == "typed")
    assert "Nothing keeps another controller off that machine." in asked.text
    assert not found.state.questions()


def test_nobody_is_asked_to_type_who_did_not_say_so(tmp_path: Path) -> None:
    typist = Typist("abort")
    found = ran(tmp_path, typist, WRITE)
    assert typist.menus == [["retry", "skip", "cancel-work", "abort", "by-hand"]]
    assert typist.lines == []
    assert code(found.state) == 4


def test_where_nobody_is_nothing_is_typed(tmp_path: Path) -> None:
    found = ran(tmp_path, Unattended("dwm", yes=True, answers={}), WRITE)
    assert code(found.state) == 4
    assert not [body for body in found.bodies("asked") if body.question == "typed"]


def test_what_failed_for_another_reason_is_not_offered(tmp_path: Path) -> None:
    typist = Typist("abort")
    ran(tmp_path, typist, WRITE, host=FakeHost({"touch": (1, "")}))
    assert typist.menus == [["retry", "skip", "cancel-work", "abort"]]


def test_a_console_that_cannot_be_had_is_nothing_to_type_for(tmp_path: Path) -> None:
    typist = Typist("abort")
    ran(tmp_path, typist, "{console.run: reboot}")
    assert typist.menus == [["retry", "skip", "cancel-work", "abort"]]


def test_a_dry_run_never_has_anybody_type(tmp_path: Path) -> None:
    host = FakeHost(refuse=999)
    preview = dry(book(READ, WRITE), web1=host)
    assert preview.unreachable
    assert not any(step.asked for step in preview.steps)


def test_a_shell_on_the_console_comes_first(tmp_path: Path) -> None:
    there = FakeHost({"touch": (0, "")})
    ways = FakeWays(says=["login: ", "root@web1:~# "], shell=lambda run: FakeSession(there))
    typist = Typist(touch="0")
    ran(tmp_path, typist, "{console.look: }", WRITE, ways=ways)
    assert there.sent == ["touch"]
    assert typist.asked == []


# -- what the host is --------------------------------------------------------------------------


def hello(tmp_path: Path, *said: str) -> tuple[Typist, Ran]:
    typist = Typist(look="0\nok").answers(HELLO_LINE, *said)
    return typist, ran(tmp_path, typist, READ)


def test_what_cannot_be_told_is_not_known(tmp_path: Path) -> None:
    _, found = hello(tmp_path, "cannot tell")
    (connected,) = found.bodies("connected")
    assert (connected.boot_id, connected.kernel, connected.hostname) == ("", "", "")
    assert (connected.uid, connected.directory) == (-1, "")


def test_a_boot_id_that_was_mistyped_is_asked_for_again(tmp_path: Path) -> None:
    typist, found = hello(tmp_path, HELLO.replace("1111-1", "1111-7", 1), HELLO)
    assert "do not fit" in typist.texts_of(HELLO_LINE)[1]
    assert found.bodies("connected")[0].boot_id == BOOT


def test_one_line_that_cannot_be_read(tmp_path: Path) -> None:
    typist, found = hello(tmp_path, "0\nbla", f"0\n-\nweb1 6.1.0\n-\n{SUM}")
    assert "four lines" in typist.texts_of(HELLO_LINE)[1]
    (connected,) = found.bodies("connected")
    assert (connected.boot_id, connected.uid, connected.kernel) == ("", -1, "6.1.0")


@pytest.mark.parametrize("then", [HELLO, HELLO.replace("web1 ", "fake ")])
def test_the_wrong_keyboard_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Where the run knows what the host calls itself; the same answer again is a word."""
    monkeypatch.setattr("tastyops.engine.links.RECONNECT_PATIENCE", 0.0)
    host = FakeHost({"touch": (0, "")})  # it calls itself `fake`
    typist = Typist(look="0\nok").answers(HELLO_LINE, HELLO, then)
    host.answers["look"] = went_down(host)
    found = ran(tmp_path, typist, WRITE, READ, host=host)
    assert code(found.state) == 0
    first, second = typist.texts_of(HELLO_LINE)
    assert "calls itself web1, and web1 called itself fake" in second
    assert "calls itself" not in first


def went_down(host: FakeHost) -> Callable[[], Any]:
    def down() -> Any:
        host.refuse = 999
        return lost()

    return down


def test_somebody_else_than_root_types_sudo(tmp_path: Path) -> None:
    typist = Typist().answers(HELLO_LINE, HELLO.replace("0\n0\n", "0\n1000\n"))
    typist.answers("sudo sh -c look", "0\nok")
    found = ran(tmp_path, typist, "{run: look, reads: true, sudo: true}")
    assert code(found.state) == 0


def test_a_boot_id_that_a_step_reads_comes_with_its_checksum(tmp_path: Path) -> None:
    line = "cat /proc/sys/kernel/random/boot_id; cksum </proc/sys/kernel/random/boot_id"
    typist = Typist("by-hand", "abort")
    typist.answers(line, f"0\n{BOOT[:-1]}7\n{SUM}", f"0\n{BOOT}\n{SUM}").answers("uname -n", "leave")
    found = ran(tmp_path, typist, "{shutdown: {at: '23:55'}}")
    assert typist.lines.count(line) == 2
    read = [body.result["out"]["head"] for body in found.bodies("settled") if body.how == "output"]
    assert read == [f"{BOOT}\n"]


# -- what may be said of a command -------------------------------------------------------------


def test_what_a_probe_printed_cannot_be_told(tmp_path: Path) -> None:
    found = ran(tmp_path, Typist("by-hand", "abort", look="cannot tell"), READ)
    assert ends(found)[1] == ("failed", "the person could not tell what it printed")
    assert found.bodies("settled")[-1].how == "untold"
    assert code(found.state) == 1


def test_a_change_that_was_not_typed_was_not_made(tmp_path: Path) -> None:
    typist = Typist("by-hand", "abort", touch="not typed")
    found = ran(tmp_path, typist, WRITE)
    assert ends(found)[1] == ("failed", "it was not typed")
    assert typist.menus[1] == ["retry", "skip", "cancel-work", "abort"]


def test_a_change_nobody_knows_of_is_in_doubt(tmp_path: Path) -> None:
    typist = Typist("by-hand", "done", touch="Not  known")
    found = ran(tmp_path, typist, WRITE)
    assert ends(found)[1][0] == "in doubt"
    assert "done" in typist.menus[1]
    assert "Step 1.1 (run) was done, as an operator found." in found.transcript


def test_what_is_no_answer_is_asked_again(tmp_path: Path) -> None:
    typist = Typist().answers(TOUCH, "256", "perhaps", "0")
    found = ran(tmp_path, typist, WRITE)
    assert [text.startswith("That was no answer.") for text in typist.texts_of(TOUCH)] == [
        False, True, True,
    ]  # fmt: skip
    assert code(found.state) == 0


def test_what_no_key_gives_cannot_be_typed(tmp_path: Path) -> None:
    typist = Typist("by-hand", "abort")
    found = ran(tmp_path, typist, '{run: "printf \\"\\u0001\\" >it"}')
    assert "cannot be typed by hand: it holds a character that no key gives" in ends(found)[1][1]
    assert typist.lines == [HELLO_LINE]


def test_standard_input_is_a_here_document(tmp_path: Path) -> None:
    line = "sh -c cat <<'END-OF-INPUT'\none\ntwo\nEND-OF-INPUT"
    typist = Typist().answers(line, "0\none\ntwo")
    assert code(ran(tmp_path, typist, '{run: {command: cat, stdin: "one\\ntwo\\n"}}').state) == 0


def test_whoever_leaves_is_asked_no_more(tmp_path: Path) -> None:
    typist = Typist("by-hand", "abort", touch="leave")
    found = ran(tmp_path, typist, WRITE)
    assert ends(found)[1] == ("unreachable", "nothing more is typed at it by hand")
    assert typist.menus[1][-1] == "by-hand", "and may come back"
    assert code(found.state) == 4
    assert found.state.by_hand == set()


def test_whoever_leaves_at_once_was_asked_once(tmp_path: Path) -> None:
    typist = Typist("by-hand", "abort").answers(HELLO_LINE, "leave")
    found = ran(tmp_path, typist, WRITE)
    assert typist.lines == [HELLO_LINE]
    assert "nothing more is typed at it by hand" in ends(found)[1][1]
    assert not found.bodies("connected")
    assert not any("typed by hand" in line for line in found.transcript)


def test_a_step_goes_over_ssh_again_once_it_is_back(tmp_path: Path) -> None:
    typist = Typist(look="0\nok")
    host = FakeHost({"touch": (0, ""), "after": (0, "")}, refuse=2)
    found = ran(tmp_path, typist, READ, WRITE, "{run: after}", host=host)
    assert typist.lines == [HELLO_LINE, LOOK]
    assert host.sent == ["touch", "after"]
    assert "Steps on web1 go over ssh again." in found.transcript
    assert found.state.by_hand == set(), "and is never by hand again without a word"


def test_a_console_is_not_tried_again_before_every_step(tmp_path: Path) -> None:
    ways = FakeWays(says=["login: "] * 9)
    typist = Typist(touch="0", look="0\nok")
    found = ran(tmp_path, typist, "{console.look: }", WRITE, READ, ways=ways)
    assert typist.lines == [HELLO_LINE, TOUCH, LOOK]
    assert ways.asked == [False, False], "before the word, and after it"
    assert code(found.state) == 0


def test_whoever_left_may_find_the_console_of_use(tmp_path: Path) -> None:
    there = FakeHost({"touch": (0, "")})
    shells: list[FakeSession | None] = [None, None, FakeSession(there)]
    ways = FakeWays(says=["login: "] * 9)
    ways.shell = lambda run: shells.pop(0)  # type: ignore[assignment,return-value]
    typist = Typist("by-hand", "retry", touch="leave")
    found = ran(tmp_path, typist, "{console.look: }", WRITE, ways=ways)
    assert there.sent == ["touch"]
    assert found.transcript[-2:] == [
        "Steps on web1 go over its console again.", "Step 1.2 (run) completed.",
    ]  # fmt: skip


# -- secrets -----------------------------------------------------------------------------------


def written(tmp_path: Path, words: str) -> list[str]:
    files = (path for path in tmp_path.rglob("*") if path.is_file())
    return [path.name for path in files if words.encode() in path.read_bytes()]


def test_a_secret_is_shown_nowhere(tmp_path: Path) -> None:
    typist = Typist().answers("sh -c 'login s3cr3t-word'", "0\nwelcome s3cr3t-word")
    found = ran(tmp_path, typist, "{run: login s3cr3t-word, reads: true}", secrets=["s3cr3t-word"])
    assert code(found.state) == 0
    (text,) = typist.texts_of("sh -c 'login s3cr3t-word'")
    assert "login ********" in text
    assert "type the secret itself" in text
    assert written(tmp_path, "s3cr3t-word") == ["runbook.yml"], "which has it from its author"


def test_no_log_keeps_what_was_seen_out(tmp_path: Path) -> None:
    ran(tmp_path, Typist(look="0\nhidden words"), "{run: look, reads: true, no_log: true}")
    assert written(tmp_path, "hidden words") == []


# -- other terminals, stopping -----------------------------------------------------------------


def test_the_answer_may_come_from_another_terminal(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "r1"

    def elsewhere(over: Callable[[], bool]) -> None:
        (at, asked), *_ = read_state(run).questions()
        assert (asked.question, at) == ("typed", Address("web1", "1.1", 2, 0))
        hand_in(run, "root", Answered("0\nfrom afar"), FakeClock().now(), at=at)
        deadline = time.monotonic() + 30
        while not over():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    found = ran(tmp_path, Typist(look=elsewhere), READ)
    (settled,) = (body for body in found.bodies("settled") if body.how == "output")
    assert (settled.by, settled.result["out"]["head"]) == ("root", "from afar")


def test_an_answer_to_an_earlier_line_is_none_to_the_next(tmp_path: Path) -> None:
    run, now = tmp_path / "runs" / "r1", FakeClock().now()

    def late(over: Callable[[], bool]) -> str:
        (at, _), *_ = read_state(run).questions()
        told = hand_in(run, "root", Answered("0"), now, at=at, question="of the reading before")
        assert taken(told, 30)
        return "not typed"

    found = ran(tmp_path, Typist("by-hand", "abort", touch=late), WRITE)
    assert ends(found)[1] == ("failed", "it was not typed")


def until_over(run: Path, body: CancelAsked | StopAsked) -> Callable[[Callable[[], bool]], None]:
    def wait(over: Callable[[], bool]) -> None:
        hand_in(run, "dwm", body, FakeClock().now())
        deadline = time.monotonic() + 30
        while not over():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait


@pytest.mark.parametrize("body", [CancelAsked("enough"), StopAsked("enough")])
def test_a_change_that_was_shown_when_the_run_stopped_is_in_doubt(
    tmp_path: Path, body: CancelAsked | StopAsked
) -> None:
    wait = until_over(tmp_path / "runs" / "r1", body)
    found = ran(tmp_path, Typist("by-hand", "abort", touch=wait), WRITE)
    assert ends(found)[1] == (
        "in doubt", "the run was stopped before anybody said what became of it",
    )  # fmt: skip
    assert code(found.state) == 5


def test_a_probe_that_was_shown_when_the_run_stopped_is_stopped(tmp_path: Path) -> None:
    wait = until_over(tmp_path / "runs" / "r1", CancelAsked("enough"))
    found = ran(tmp_path, Typist(look=wait), READ)
    assert ends(found)[1] == ("cancelled", "it was stopped")
    assert code(found.state) == 3


def test_what_the_host_is_was_not_told_when_the_run_stopped(tmp_path: Path) -> None:
    wait = until_over(tmp_path / "runs" / "r1", StopAsked("enough"))
    typist = Typist("by-hand", "retry", touch="0").answers(HELLO_LINE, wait, HELLO)
    found = ran(tmp_path, typist, WRITE)
    assert [outcome for outcome, _ in ends(found)] == ["unreachable", "unreachable", "done"]
    assert typist.menus[1] == ["retry", "skip", "cancel-work", "abort"], "it is by hand already"
    assert len(found.bodies("intended")) == 1


# -- another process goes on -------------------------------------------------------------------


def test_a_change_that_was_shown_stays_a_question(tmp_path: Path) -> None:
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    state = read_state(tmp_path / "runs" / "r1")
    ((at, asked),) = state.questions()
    assert (at.host, at.step, asked.question) == ("web1", "1.1", "typed")
    with pytest.raises(WaitsForPerson):
        go_on(tmp_path, Unattended("dwm", yes=True, answers={}), WRITE, host=FakeHost(refuse=99))
    assert len(bodies(tmp_path, "intended")) == 1


def test_a_change_that_was_shown_is_asked_about_and_not_asked_for(tmp_path: Path) -> None:
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    typist = Typist(touch="0\nas seen")
    state = go_on(tmp_path, typist, WRITE, host=FakeHost(refuse=99))
    assert typist.lines == [HELLO_LINE, TOUCH]
    assert "Do not type it now" in typist.texts_of(TOUCH)[0]
    assert code(state) == 0
    assert bodies(tmp_path, "settled")[-1].result["out"]["head"] == "as seen"


def test_what_was_certainly_not_typed_is_asked_for_then(tmp_path: Path) -> None:
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    typist = Typist().answers(TOUCH, "not typed", "0")
    assert code(go_on(tmp_path, typist, WRITE, host=FakeHost(refuse=99))) == 0
    became, typed = typist.texts_of(TOUCH)
    assert "Do not type it now" in became
    assert "it may change the host" in typed


@pytest.mark.parametrize("said", ["not known", "leave", "cannot tell"])
def test_what_nobody_knows_of_is_in_doubt(tmp_path: Path, said: str) -> None:
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    typist = Typist("abort", touch=said)
    assert code(go_on(tmp_path, typist, WRITE, host=FakeHost(refuse=99))) == 5
    assert len(typist.texts_of(TOUCH)) == 1


def test_whoever_takes_it_up_may_leave_and_what_was_shown_is_in_doubt(tmp_path: Path) -> None:
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    typist = Typist("abort").answers(HELLO_LINE, "leave")
    assert code(go_on(tmp_path, typist, WRITE, host=FakeHost(refuse=99))) == 5
    assert typist.lines == [HELLO_LINE]


def test_a_change_nobody_had_seen_yet_is_simply_asked_for(tmp_path: Path) -> None:
    """Its intent is in the journal, and the question is not: the process ended in between."""
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    path = tmp_path / "runs" / "r1" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["kind"] == "asked"
    path.write_bytes(b"".join(lines[:-1]))
    typist = Typist(touch="0")
    assert code(go_on(tmp_path, typist, WRITE, host=FakeHost(refuse=99))) == 0
    (text,) = typist.texts_of(TOUCH)
    assert "it may change the host" in text


def test_a_change_that_was_shown_is_in_doubt_where_ssh_is_back(tmp_path: Path) -> None:
    left_open(tmp_path, Typist(touch=GONE), WRITE)
    host = FakeHost({"touch": (0, "")}, fates={"1.1.2.1": Fate("never")})
    state = go_on(tmp_path, Typist("abort"), WRITE, host=host)
    assert host.sent == [], "it may have been typed, so it is not sent"
    assert code(state) == 5
    why = "it was to be typed by hand, and nobody has said what became of it"
    assert bodies(tmp_path, "step-ended")[-1].why == why


def test_a_probe_that_was_shown_is_shown_again(tmp_path: Path) -> None:
    left_open(tmp_path, Typist(look=GONE), READ)
    typist = Typist(look="0\nok")
    assert code(go_on(tmp_path, typist, READ, host=FakeHost(refuse=99))) == 0
    assert typist.lines == [HELLO_LINE, LOOK]


def test_two_at_once(tmp_path: Path) -> None:
    """Each host has its own question; nobody's answer is taken for the other's."""
    text = "{title: T, hosts: [web1, web2], works: [{work: W, steps: [{run: look, reads: true}]}]}"
    both = threading.Barrier(2)

    class Two(Typist):
        def answer(
            self, question: Mapping[str, Any], *, over: Callable[[], bool]
        ) -> tuple[str, str] | None:
            found = super().answer(question, over=over)
            if question.get("line") != LOOK:
                return found
            both.wait(30)
            return f"0\nof {question['host']}", "ncm"

    found = drive(
        plan_of(text, "web1", "web2"), tmp_path, operators=[Two(look="0")],
        web1=FakeHost(refuse=99), web2=FakeHost(refuse=99),
    )  # fmt: skip
    seen = {
        event.at.host: event.body.result["out"]["head"]  # type: ignore[attr-defined]
        for event in found.events
        if event.kind == "settled" and event.body.how == "output"  # type: ignore[attr-defined]
    }
    assert seen == {"web1": "of web1", "web2": "of web2"}
