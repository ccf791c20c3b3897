"""The framing, against the real shells it has to run in (local processes, no network)."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.protocol import framing
from tastyops.protocol.host_lock import Holder, Lock, parse_holder, parse_lock

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


@dataclass
class Speaker:
    """A bootstrap running in a local shell."""

    process: subprocess.Popen[bytes]
    hello: framing.Hello
    count: int = 0

    def ask(self, verb: str, *words: str) -> tuple[bytes, bytes, str]:
        self.count += 1
        nonce = f"n{self.count:06d}"
        assert self.process.stdin
        self.process.stdin.write(framing.request(verb, nonce, words))
        self.process.stdin.flush()
        return self._answer(nonce)

    def tell(self, verb: str, *words: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(framing.request(verb, "none", words))
        self.process.stdin.flush()

    def end(self) -> None:
        """Hangs up, and waits until the shell has ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def _answer(self, nonce: str) -> tuple[bytes, bytes, str]:
        reader = framing.AnswerReader(nonce)
        got = {"out": b"", "err": b"", "end": b""}
        assert self.process.stdout
        while not reader.ended:
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, "the shell went away"
            for stream, piece in reader.feed(data):
                got[stream] += piece
        return got["out"], got["err"], got["end"].decode()


def start(
    name: str,
    run: str,
    locks: Path,
    *,
    hold: bool = True,
    nonce: str = "Hello1",
    user: int | None = None,
    **more: str,
) -> Speaker:
    """A bootstrap in that shell; it keeps the lock in ``locks``, and with ``hold`` holds it.

    ``user`` and ``more`` of an environment: that account's.
    """
    argv = SHELLS[name]
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is not installed")
    process = subprocess.Popen(
        [*argv, "-c", 'echo hi; IFS= read -r b; eval "$b"'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "TASTYOPS_LOCKS": str(locks), **more},
        user=user,
        cwd="/",
    )
    assert process.stdin
    assert process.stdout
    assert os.read(process.stdout.fileno(), 3) == b"hi\n"
    process.stdin.write(framing.bootstrap(run, nonce).encode())
    process.stdin.flush()
    speaking = Speaker(process, framing.parse_hello(_greeting(process, nonce)))
    if hold:
        assert speaking.ask("l", "", "1", "here", "")[0].startswith(b"taken\n")
    return speaking


def _greeting(process: subprocess.Popen[bytes], nonce: str) -> str:
    assert process.stdout
    data = b""
    while not data.endswith(b"\n"):
        data += os.read(process.stdout.fileno(), 4096)
    return data.decode().partition(f"\0{nonce} ")[2].rstrip("\n")


@pytest.fixture(params=list(SHELLS))
def speaker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Speaker]:
    run = f"test-{os.getpid()}-{request.param}-{time.monotonic_ns()}"
    speaking = start(request.param, run, tmp_path)
    yield speaking
    speaking.tell("z")
    speaking.end()
    assert not os.path.exists(speaking.hello.directory)


def test_a_probe_gives_both_streams_apart_and_the_exact_status(speaker: Speaker) -> None:
    assert speaker.hello.problem == ""
    answer = speaker.ask("p", "sh", "-c", "printf 'a\\0b'; printf err >&2; exit 7")
    assert answer == (b"a\0b", b"err", "7")


def test_words_arrive_as_they_are(speaker: Speaker) -> None:
    words = ["", " ", "a'b", 'c"d', "new\nline\n", "$HOME `id` $(id) \\ * ~", "é", "-n", "tab\t"]
    out, _, status = speaker.ask("p", "printf", "[%s]", *words)
    assert out.decode() == "".join(f"[{word}]" for word in words)
    assert status == "0"


def test_a_builtin_name_cannot_end_the_shell(speaker: Speaker) -> None:
    assert speaker.ask("p", "exit", "3")[2] == "127"
    assert speaker.ask("h")[2] == "0"


def test_a_change_keeps_its_fate(speaker: Speaker) -> None:
    assert speaker.ask("c", "s1.1", "sh", "-c", "echo done; exit 5") == (b"done\n", b"", "5")
    fate = framing.parse_fate(speaker.ask("q", "s1.1")[0].decode())
    assert fate == framing.Fate("ended", 5)
    assert speaker.ask("f", "s1.1") == (b"done\n", b"", "5")


def test_a_change_begun_once_is_not_begun_again(speaker: Speaker, tmp_path: Path) -> None:
    count = tmp_path / "count"
    assert speaker.ask("c", "s1", "sh", "-c", f"echo x >>{count}")[2] == "0"
    assert speaker.ask("c", "s1", "sh", "-c", f"echo x >>{count}")[2] == "claimed"
    assert count.read_text() == "x\n"


def test_standard_input_reaches_a_change_and_only_it(speaker: Speaker) -> None:
    import base64

    data = bytes(range(256)) * 100
    for start_at in range(0, len(data), framing.UPLOAD_BYTES):
        chunk = base64.b64encode(data[start_at : start_at + framing.UPLOAD_BYTES]).decode()
        speaker.tell("u", "s1", chunk)
    assert speaker.ask("c", "s1", "cat") == (data, b"", "0")
    assert speaker.ask("c", "s2", "cat") == (b"", b"", "0")
    assert speaker.ask("p", "cat") == (b"", b"", "0")


def test_commands_hold_nothing_of_the_shell_open(speaker: Speaker) -> None:
    listing = ("sh", "-c", "for f in /proc/$$/fd/*; do echo ${f##*/}; done")
    for _ in range(2):
        for answer in (speaker.ask("c", f"s{speaker.count}", *listing), speaker.ask("p", *listing)):
            assert set(answer[0].split()) <= {b"0", b"1", b"2", b"3", b"10", b"255"}, answer


def test_the_waiting_wrapper_ends_with_its_shell(tmp_path: Path) -> None:
    speaking = start("dash", f"wait-{time.monotonic_ns()}", tmp_path)
    speaking.ask("c", "s1", "true")
    deadline = time.monotonic() + 60
    waiting: list[int] = []
    while not waiting:
        pids = {int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()}
        waiting = [pid for pid in pids if _cwd_argument(pid, speaking.hello.directory)]
        assert time.monotonic() < deadline
    os.kill(speaking.process.pid, 9)  # not even an orderly end
    while any(_cwd_argument(pid, speaking.hello.directory) for pid in waiting):
        assert time.monotonic() < deadline
    speaking.end()
    subprocess.run(["rm", "-rf", speaking.hello.directory], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="to become another account needs root")
@pytest.mark.parametrize("name", SHELLS)
def test_an_account_whose_runtime_directory_is_no_use_has_another_place(name: str) -> None:
    """logind removes it as an account's last session ends, also while the next one begins."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # pytest's own is closed to others
        Path(place).chmod(0o777)
        Path(place, "tastyops").touch()
        run = f"other-{name}-{time.monotonic_ns()}"
        speaking = start(name, run, Path(place), user=65534, XDG_RUNTIME_DIR=place)
        assert speaking.hello.problem == ""
        assert speaking.hello.directory.startswith("/dev/shm/tastyops-65534/")
        assert speaking.ask("c", "s1", "sh", "-c", "exit 3")[2] == "3"
        speaking.tell("z")
        speaking.end()
        assert not Path(speaking.hello.directory).exists()


def _cwd_argument(pid: int, directory: str) -> bool:
    try:
        return directory.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.skipif(os.getuid() != 0, reason="a tiny file system needs root")
def test_no_room_for_the_record_of_a_change_is_said_and_nothing_is_begun(tmp_path: Path) -> None:
    speaking = start("dash", f"full-{time.monotonic_ns()}", tmp_path)
    place = speaking.hello.directory
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=True)
    try:
        Path(place, "filler").write_bytes(b"x" * 65536)
        assert speaking.ask("c", "s1", "touch", str(tmp_path / "mark"))[2] == "full"
        assert not (tmp_path / "mark").exists()
        Path(place, "filler").unlink()
        assert speaking.ask("c", "s1", "touch", str(tmp_path / "mark"))[2] == "0"
    finally:
        speaking.end()
        subprocess.run(["umount", "--lazy", place], check=True)
        subprocess.run(["rm", "-rf", place], check=True)


def test_never_and_forgotten(speaker: Speaker) -> None:
    assert framing.parse_fate(speaker.ask("q", "s9")[0].decode()) == framing.Fate("never")
    speaker.ask("c", "s1", "true")
    speaker.tell("d", "s1")
    assert framing.parse_fate(speaker.ask("q", "s1")[0].decode()) == framing.Fate("never")


def test_a_killed_change_is_lost(speaker: Speaker) -> None:
    answer = speaker.ask("c", "s1", "sh", "-c", "kill -s KILL 0")
    assert answer[2] == "lost"
    assert framing.parse_fate(speaker.ask("q", "s1")[0].decode()) == framing.Fate("lost")
    record = Path(speaker.hello.directory, "s1.pid").read_text()
    assert not _alive(int(record.split()[0]))


def _alive(group: int) -> list[str]:
    """The processes of that group; not what process 1 has still to reap."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = place.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(place.parent.name)
    return found


def test_late_output_of_a_daemon_stays_out_of_the_next_answer(speaker: Speaker) -> None:
    assert speaker.ask("p", "sh", "-c", "(sleep 0.3; echo late) & echo now")[0] == b"now\n"
    assert speaker.ask("p", "sh", "-c", "sleep 0.6; echo next")[0] == b"next\n"


def test_the_password_line_reaches_the_command(speaker: Speaker) -> None:
    speaker.tell("s", "it's $ecret")
    assert speaker.ask("P", "cat") == (b"it's $ecret\n", b"", "0")
    assert speaker.ask("C", "s1", "cat") == (b"it's $ecret\n", b"", "0")


def test_tail_and_kill_from_a_second_shell(speaker: Speaker, tmp_path: Path) -> None:
    run = speaker.hello.directory.rpartition("/")[2].partition(".")[0]
    second = start("dash", run, tmp_path)
    assert speaker.process.stdin
    speaker.process.stdin.write(
        framing.request("c", "nMain", ["s1", "sh", "-c", "echo up; sleep 60"])
    )
    speaker.process.stdin.flush()
    deadline = time.monotonic() + 60
    while second.ask("t", "s1")[0] != b"up\n":
        assert time.monotonic() < deadline
    assert framing.parse_fate(second.ask("q", "s1")[0].decode()) == framing.Fate("running")
    second.ask("k", "TERM", "s1")
    assert speaker._answer("nMain") == (b"up\n", b"", "lost")
    while second.ask("k", "TERM", "s1")[2] != "1":
        assert time.monotonic() < deadline
    second.end()


# -- an account's runtime directory, which comes and goes with its sessions -------------------


@dataclass
class Account:
    """An account without root whose runtime directory a test makes and takes away."""

    uid: int
    runtime: Path
    run: str
    locks: Path
    speakers: list[Speaker]

    def open(self, name: str) -> Speaker:
        """Another session of the same run."""
        speaking = start(
            name, self.run, self.locks, hold=False, nonce=f"Hello{len(self.speakers)}",
            user=self.uid, XDG_RUNTIME_DIR=str(self.runtime),
        )  # fmt: skip
        self.speakers.append(speaking)
        return speaking


@pytest.fixture
def account() -> Iterator[Account]:
    """Made for one test; what it leaves in shared memory goes too."""
    if os.getuid() != 0:
        pytest.skip("another account needs root")
    uid = 64_123  # no system gives it to anybody
    place = Path(tempfile.mkdtemp(prefix="tastyops-runtime-"))
    place.chmod(0o755)
    for name in ("user", "locks"):
        (place / name).mkdir()
        os.chown(place / name, uid, -1)
    made = Account(uid, place / "user", f"run{time.monotonic_ns()}", place / "locks", [])
    yield made
    for speaking in made.speakers:
        speaking.end()
    shutil.rmtree(place)
    shutil.rmtree(f"/dev/shm/tastyops-{uid}", ignore_errors=True)


def in_runtime(account: Account, speaking: Speaker) -> bool:
    return speaking.hello.directory.startswith(f"{account.runtime}/tastyops/")


@pytest.mark.parametrize("name", SHELLS)
def test_where_there_is_no_runtime_directory_the_fates_are_in_shared_memory(
    account: Account, name: str
) -> None:
    shutil.rmtree(account.runtime)
    first = account.open(name)
    assert first.hello.problem == ""
    assert first.hello.directory.startswith(f"/dev/shm/tastyops-{account.uid}/")
    account.runtime.mkdir()
    os.chown(account.runtime, account.uid, -1)
    again = account.open(name)  # it has come since, and the run is found where it began
    assert (again.hello.directory, again.hello.record) == (
        first.hello.directory,
        first.hello.record,
    )


@pytest.mark.parametrize("name", SHELLS)
def test_a_directory_that_went_with_the_last_session_is_another_one_afterwards(
    account: Account, name: str
) -> None:
    first = account.open(name)
    assert in_runtime(account, first)
    shutil.rmtree(account.runtime)
    second = account.open(name)
    assert second.hello.problem == ""
    assert second.hello.record != first.hello.record  # what was begun there is in doubt
    account.runtime.mkdir()
    os.chown(account.runtime, account.uid, -1)
    third = account.open(name)
    assert third.hello.record == second.hello.record


@pytest.mark.parametrize("name", SHELLS)
def test_a_directory_is_not_taken_from_another_account(account: Account, name: str) -> None:
    shutil.rmtree(account.runtime)
    theirs = Path(f"/dev/shm/tastyops-{account.uid}")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (theirs / f"{account.run}.{boot}").mkdir(parents=True)
    (theirs / f"{account.run}.{boot}" / ".born").write_text("forged\n")
    assert account.open(name).hello.problem == "no_room"


# -- the lock ----------------------------------------------------------------------------------


@pytest.fixture(params=list(SHELLS))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Speaker]]:
    """Opens shells that share one place for the lock, and do not hold it."""
    (tmp_path / "locks").mkdir()
    stem, speakers = f"test-{os.getpid()}-{time.monotonic_ns()}", list[Speaker]()

    def open_shell(run: str) -> Speaker:
        speakers.append(start(request.param, f"{stem}-{run}", tmp_path / "locks", hold=False))
        return speakers[-1]

    yield open_shell
    for speaking in speakers:
        speaking.end()
        shutil.rmtree(speaking.hello.directory, ignore_errors=True)


def take(speaker: Speaker, epoch: int = 1, *, name: str = "web1", over: bool = False) -> Lock:
    out, _, status = speaker.ask("l", *Holder("", epoch, name, "dwm").claim(take_over=over))
    assert status == "0"
    return parse_lock(out.decode("utf-8", "replace"))


def test_the_lock_is_one_small_file_that_everybody_may_read(
    opened: Callable[[str], Speaker], tmp_path: Path
) -> None:
    first = opened("a")
    assert first.hello.lock == str(tmp_path / "locks" / "tastyops.lock")
    assert take(first).state == "taken"
    (lock,) = (tmp_path / "locks").iterdir()
    run = first.hello.directory.rpartition("/")[2].partition(".")[0]
    assert lock.read_text() == f"{run} 1 web1\nwho dwm\n"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o644
    first.tell("L")
    first.ask("h")
    assert not lock.exists()


def test_a_lock_that_went_away_fences(opened: Callable[[str], Speaker]) -> None:
    first = opened("a")
    take(first)
    assert first.ask("c", "s1", "true")[2] == "0"
    Path(first.hello.lock).unlink()
    assert first.ask("c", "s2", "true")[2] == "fenced"
    assert first.ask("C", "s3", "true")[2] == "fenced"
    assert take(first).state == "taken"
    assert first.ask("c", "s2", "true")[2] == "0"


@pytest.mark.parametrize(
    "forge",
    [
        lambda lock: lock.write_bytes(b""),
        lambda lock: lock.write_bytes(b"* $(touch /nowhere) `id` \\\n\0\xff"),
        lambda lock: lock.write_bytes(b"x" * 1_000_000),
        lambda lock: lock.mkdir(),
        lambda lock: os.mkfifo(lock),
        lambda lock: lock.symlink_to("/etc/hostname"),
        lambda lock: lock.symlink_to("/nowhere"),
    ],
    ids=["empty", "odd", "large", "directory", "fifo", "link", "dangling link"],
)
def test_what_somebody_put_there_is_refused_and_harms_nobody(
    opened: Callable[[str], Speaker], forge: Callable[[Path], object]
) -> None:
    first = opened("a")
    forge(Path(first.hello.lock))
    refused = take(first)
    assert refused.state in ("held", "denied", "full")
    assert refused.holder is None
    assert first.ask("c", "s1", "true")[2] == "fenced"
    assert sorted(p.name for p in Path(first.hello.lock).parent.iterdir()) == ["tastyops.lock"]


def test_what_somebody_forged_can_be_taken_over(opened: Callable[[str], Speaker]) -> None:
    first = opened("a")
    Path(first.hello.lock).write_bytes(b"rubbish")
    assert take(first, over=True).state == "taken"
    assert first.ask("c", "s1", "true")[2] == "0"


def test_no_place_for_the_lock(opened: Callable[[str], Speaker]) -> None:
    first = opened("a")
    Path(first.hello.lock).parent.rmdir()
    assert take(first).state == "full"
    assert first.ask("c", "s1", "true")[2] == "fenced"


@given(st.text(), st.integers(0, 999_999_999), st.text(), st.integers(0, 999_999_999))
def test_a_holder_reads_back_on_its_lines(who: str, epoch: int, since: str, pid: int) -> None:
    holder = Holder("r1", epoch, "web1", who=who, since=since, pid=pid)
    text = f"r1 {epoch} web1\n{holder.rest}\n"
    back = parse_holder(text)
    assert back is not None
    assert (back.run, back.epoch, back.name, back.pid) == ("r1", epoch, "web1", pid)
    assert back.who.isprintable() or not back.who
    assert len(text.splitlines()) <= 4


@given(st.text())
def test_any_text_is_a_lock_or_none(text: str) -> None:
    found = parse_holder(text)
    assert found is None or (found.run.isprintable() and found.who.isprintable())


@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))))
def test_a_request_reads_back(words: list[str]) -> None:
    line = framing.request("p", "nX", words)
    assert line.count(b"\n") == 1
    assert framing.parse_request(line) == framing.Request("p", "nX", tuple(words))


@given(st.binary(), st.binary(), st.integers(1, 50))
def test_an_answer_reads_back_at_any_boundaries(out: bytes, err: bytes, size: int) -> None:
    wire = framing.answer("nQ7", out, err, "42")
    reader = framing.AnswerReader("nQ7")
    got = {"out": b"", "err": b"", "end": b""}
    for at in range(0, len(wire), size):
        for stream, piece in reader.feed(wire[at : at + size]):
            got[stream] += piece
    assert reader.ended
    assert (got["out"], got["err"], got["end"]) == (out, err, b"42")


def test_a_process_with_a_reused_pid_is_not_ours() -> None:
    stat = "77 (sh) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 {} 1 1"
    same = f"rc \npid {stat.format(500)}\nnow {stat.format(500)}\n"
    other = f"rc \npid {stat.format(500)}\nnow {stat.format(900)}\n"
    assert framing.parse_fate(same).state == "running"
    assert framing.parse_fate(other).state == "lost"
