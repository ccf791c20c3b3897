"""The kernel upgrade from end to end, and honest records after accidents."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.project import Project, finish
from tests.sshd.server import Sshd

UPGRADE = "runbooks/kernel-upgrade.yml"
WORKS = (
    "Install linux-image-amd64 and set it as default", "Reboot to start the new kernel",
    "Verify that services run normally",
)


@pytest.fixture
def copied(upgraded: Project, project: Project) -> Project:
    """The upgraded project's records in a project of the test's own, to be harmed at will."""
    shutil.copytree(upgraded.path / "practice", project.path / "practice")
    return project


# -- the kernel upgrade ------------------------------------------------------------------------


def test_the_kernel_upgrade_completes_and_writes_its_log(upgraded: Project) -> None:
    assert upgraded.first is not None
    assert upgraded.first.code == 0
    assert upgraded.first.err == ""
    (page,) = upgraded.pages()
    assert page.name == "001-emergency-kernel-upgrade.md"
    text = page.read_text()
    year = page.parent.name
    assert text.startswith(rf"# [AT RISK {year}/001] PRACTICE - ")
    assert re.search(r"^- \*\*Status:\*\* Completed at \d\d:\d\dhrs, \w+ \d+\w\w \d{4}\.$", text, re.M)
    for work in WORKS:
        assert f"  - {work} (Completed)\n" in text
    entries = re.findall(r"^- \[(\d{4})\] (.+)$", text, re.M)
    assert [entry for _, entry in entries] == [
        "Services verified as running normally.",
        "Machine rebooted successfully, running kernel 6.1.0-49-amd64.",
        "Reboot ordered; the machine goes down in 1 minute.",
        "Message written to the terminals of all logged-in users.",
        "Kernel 6.1.0-49-amd64 installed; the next boot starts it.",
    ]


def test_it_was_told_line_by_line_without_a_terminal(upgraded: Project) -> None:
    assert upgraded.first is not None
    lines = upgraded.first.out.splitlines()
    head = r"\d\d:\d\d:\d\d Emergency kernel upgrade on kalimdor; practice log 20\d\d/001"
    assert re.fullmatch(head, lines[0])
    assert re.fullmatch(rf"\d\d:\d\d:\d\d Work 1: {WORKS[0]}", lines[1])
    page = upgraded.page()
    entries = [line.partition("  log: ")[2] for line in lines if "  log: " in line]
    assert entries == re.findall(r"^- \[\d{4}\] (.*)$", page, re.M)[::-1]
    for work in WORKS:
        assert sum(f"{work} (Completed)" in line for line in lines) == 1
    assert lines[-3].startswith("[AT RISK ")
    assert "\x1b" not in upgraded.first.out


def test_what_it_left_is_private(upgraded: Project) -> None:
    (directory,) = upgraded.runs()
    assert directory.stat().st_mode & 0o777 == 0o700
    names = {path.name for path in directory.iterdir()}
    assert names == {"journal.jsonl", "runbook.yml", "blobs", "spool"}
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not list((upgraded.path.parent / "tmp").iterdir())


def test_a_dry_run_then_takes_no_number_and_the_next_run_the_next(
    copied: Project, run: Run
) -> None:
    before = sorted(path for path in copied.path.rglob("*") if path.is_file())
    assert run("run", UPGRADE, "--dry-run").code == 0
    assert sorted(path for path in copied.path.rglob("*") if path.is_file()) == before
    result = run("run", UPGRADE, "--yes", "--attending", "dwm, ncm", "--var", "grace=3m")
    assert result.code == 0
    assert re.search(r"^# \[AT RISK \d{4}/002\]", copied.page(), re.M)
    assert "- **Attending:** dwm, ncm\n" in copied.page()


def test_the_third_work_is_cancelled_when_the_second_fails(run: Run, project: Project) -> None:
    book = project.write(
        "book.yml",
        """\
        title: Three works
        hosts: kalimdor
        works:
          - work: First
            steps: [{run: echo one}]
          - work: Second
            steps: [{run: "echo PRIVATE; exit 7", name: Do it}]
          - work: Third
            steps: [{run: echo three}]
        """,
    )
    assert run("run", book).code == 1
    page = project.page()
    assert "  - First (Completed)\n" in page
    assert "  - Second (Not completed: step 2.1 'Do it' failed)\n" in page
    assert "  - Third (Cancelled: step 2.1 'Do it' failed)\n" in page
    assert "PRIVATE" not in page
    assert "PRIVATE" in (project.runs()[0] / "journal.jsonl").read_text()
    assert "three" not in (project.runs()[0] / "journal.jsonl").read_text()


# -- verify ------------------------------------------------------------------------------------


def test_verify_finds_a_sound_journal_sound(copied: Project, run: Run) -> None:
    count = len(copied.events())
    assert re.search(rf": {count} events unchanged; head [0-9a-f]{{32}}\.$", run("verify", "last").out)


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.9])
def test_verify_names_the_event_a_flipped_byte_is_in(
    share: float, copied: Project, run: Run
) -> None:
    journal = copied.runs()[0] / "journal.jsonl"
    data = bytearray(journal.read_bytes())
    at = int(len(data) * share)
    data[at] ^= 1
    journal.write_bytes(data)
    line = data[:at].count(b"\n") + 1
    result = run("verify", "last")
    assert result.code == 1
    assert f"{journal.relative_to(copied.path)}:{line}: " in result.err
    assert "fault(s) in" in result.err


def test_verify_finds_a_tail_that_was_cut_off(copied: Project, run: Run) -> None:
    journal = copied.runs()[0] / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    result = run("verify", copied.runs()[0].name)
    assert result.code == 1
    assert f"the log knows event {len(lines)}" in result.err


def test_verify_finds_an_altered_output_and_an_edited_page(copied: Project, run: Run) -> None:
    page = copied.pages()[0]
    page.write_text(page.read_text().replace("Services verified", "Services not verified"))
    assert "was edited by hand" in run("verify", "last").err
    blob = min((copied.runs()[0] / "blobs").iterdir())
    blob.write_bytes(blob.read_bytes() + b"x")
    result = run("verify", "last")
    assert result.code == 1
    assert f"The output {blob.name} was altered" in result.err


# -- a record that cannot be kept --------------------------------------------------------------




@pytest.mark.parametrize("size", [300, 4_000])
def test_a_full_disk_stops_the_run_and_says_so(size: int, project: Project, run: Run) -> None:
    """A limit on file sizes fails writes as a full disk does, here before and during the run."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
    result = finish(project.start("invoke", "run", UPGRADE, "--yes", before=limit))
    assert result.code == 1
    assert "cannot be written: File too large." in result.err
    assert "Completed" not in result.out
    if size == 300:
        assert "No host was touched." in result.err
        assert not project.runs()
    else:
        assert "no further step was begun" in result.err
        found = run("verify", "last")
        assert found.code == 1
        assert "the line is torn" in found.err
        assert "1 fault(s)" in found.err


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 KiB, where we may mount one."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a tiny file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up(tiny_disk: Path, run: Run, project: Project) -> None:
    places = ["--logs", f"{tiny_disk}/logs", "--runs", f"{tiny_disk}/runs"]
    steps = [f"run: 'printf %9000s {n}'" for n in range(8)]
    result = run("run", project.runbook(*steps), *places)
    assert result.code == 1
    assert "cannot be written: No space left on device." in result.err
    assert "In progress, last event" in run("list", *places).out or "torn" in run("list", *places).out


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("which", ["logs", "runs"])
def test_an_unwritable_directory(which: str, run: Run, project: Project) -> None:
    project.write("file", "")
    result = run("run", project.runbook("run: x"), f"--{which}", "file")
    assert result.code == 1
    assert re.search(r"^file\S* cannot be written: ", result.err)
    assert "No host was touched." in result.err
    assert not project.runs()
    assert not project.pages()


@pytest.mark.usefixtures("untouched")
def test_runs_and_logs_lie_apart(run: Run, project: Project) -> None:
    book = project.runbook("run: x")
    for runs, logs in (("a", "a"), ("a/b", "a"), ("a", "a/b")):
        result = run("run", book, "--runs", runs, "--logs", logs)
        assert (result.code, "they must lie apart" in result.err) == (2, True)
    assert not (project.path / "a").exists()


@pytest.mark.usefixtures("untouched")
def test_a_practice_may_not_stand_among_public_logs(run: Run, project: Project) -> None:
    project.write("logs/2026/001-real.jsonl", "")
    result = run("run", project.runbook("run: x"), "--logs", "logs")
    assert result.code == 2
    assert "logs holds public logs; a practice log may not stand among them." in result.err
    assert not project.runs()
    assert len(list((project.path / "logs").rglob("*"))) == 2


# -- looking at records ------------------------------------------------------------------------


def test_list(copied: Project, run: Run) -> None:
    copied.write("runbooks/bad.yml", "title: x\ntitle: y\n")
    copied.write("runbooks/untitled.yml", "works: []\n")
    copied.write("runbooks/odd.yaml", 'title: "\\e[31mOdd"\nhosts: none\nworks: [{work: W, steps: [{manual: x}]}]\n')
    out = run("list").out
    assert "  runbooks/kernel-upgrade.yml Emergency kernel upgrade\n" in out
    assert "  runbooks/bad.yml (not valid: 1 problem(s), see `tastyops check runbooks/bad.yml`)\n" in out
    assert "  runbooks/untitled.yml (not valid: 1 problem(s), see `tastyops check" in out
    assert "  runbooks/odd.yaml Odd\n" in out
    assert re.search(r"  \S+ \[\d{4}/001\] PRACTICE Emergency kernel upgrade: Completed\n", out)


@pytest.mark.usefixtures("untouched")
def test_an_empty_project_lists_nothing(run: Run, project: Project) -> None:
    shutil.rmtree(project.path / "runbooks")
    assert run("list").out == "Runbooks:\n  none\nRuns:\n  none\n"


def test_show_by_id_its_beginning_last_and_number(copied: Project, run: Run) -> None:
    name = copied.runs()[0].name
    number = f"{copied.pages()[0].parent.name}/001"
    shown = [run("show", wanted) for wanted in (name, name[:12], "last", number, number[:5] + "1")]
    assert {result.code for result in shown} == {0}
    assert len({result.out for result in shown}) == 1
    out = shown[0].out
    assert f"[AT RISK {number}] PRACTICE - " in out
    assert f"Run {name}: Completed, practice/runs/{name}" in out
    assert "apt-get" not in out


def test_show_commands_and_events(copied: Project, run: Run) -> None:
    out = run("show", "last", "--commands").out
    assert re.search(r"^kalimdor 1\.1#1/\d+  \$ env DEBIAN_FRONTEND=\S+ .*apt-get .* → 0$", out, re.M)
    assert "kalimdor 2.1: done" in out
    events = [json.loads(line) for line in run("show", "last", "--json").out.splitlines()]
    assert events == copied.events()
    assert run("show", "last", "--json").out.isascii()


def test_a_run_s_events_as_json_lines(run: Run, project: Project) -> None:
    result = run("run", project.runbook("run: echo ä", "run: exit 3"), "--json")
    assert result.code == 1
    assert [json.loads(line) for line in result.out.splitlines()] == project.events()


def test_one_damaged_log_does_not_hide_the_others(copied: Project, run: Run) -> None:
    year = copied.pages()[0].parent
    (year / "000-other.jsonl").write_text("not a log\n")
    assert run("show", "last").code == 0
    assert run("verify", "last").code == 0


def test_a_torn_journal_is_shown_as_far_as_it_goes(copied: Project, run: Run) -> None:
    journal = copied.runs()[0] / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    result = run("show", "last")
    assert result.code == 0
    assert "damaged (" in result.out
    assert "the line is torn" in result.out
    assert "kalimdor 3.1: done" in run("show", "last", "--commands").out
    assert "damaged: " in run("list").out


def test_hosts(run: Run, project: Project) -> None:
    project.write(
        "inventory.yml",
        """\
        timezone: Europe/London
        hosts:
          web1: {address: "2001:db8::1", port: 2222, user: ops, sudo: true}
          web2:
          kalimdor: {connection: practice}
        groups: {web: [web1, web2]}
        """,
    )
    lines = [line.split(maxsplit=1) for line in run("hosts").out.splitlines()]
    assert lines == [
        ["inventory.yml", "(times in Europe/London)"],
        ["web1", "ops@[2001:db8::1]:2222 (sudo)"],
        ["web2", "web2"],
        ["kalimdor", "practice host, started when it is used"],
        ["web", "group: web1, web2"],
    ]


def test_an_inventory_by_its_known_name(run: Run, project: Project, tmp_path: Path) -> None:
    place = tmp_path / "config" / "tastyops" / "inventories"
    place.mkdir(parents=True)
    (place / "away.yml").write_text("hosts:\n  far: {}\n")
    assert "far" in run("hosts", "--inventory", "away").out
    assert "id you mean 'away'?" in run("hosts", "--inventory", "awy").err


@pytest.mark.usefixtures("untouched")
def test_trust_wants_one_host(run: Run, project: Project) -> None:
    project.write("inventory.yml", "hosts:\n  a: {}\n  b: {}\ngroups: {both: [a, b]}\n")
    result = run("trust", "both")
    assert (result.code, "both is a group; a key belongs to one host." in result.err) == (2, True)


@pytest.mark.sshd
def test_trust_shows_a_key_and_records_it_only_when_told_to(
    sshd: Sshd, run: Run, project: Project
) -> None:
    project.write("inventory.yml", f"""\
        hosts:
          box: {{address: 127.0.0.1, port: {sshd.port}, known_hosts: known, identity_file: {sshd.key}}}
    """)
    known = project.path / "known"
    public = str(sshd.folder / "host_ed25519.pub")
    listed = subprocess.run(["ssh-keygen", "-lf", public], capture_output=True, encoding="utf-8")
    fingerprint = listed.stdout.split()[1]
    book = project.runbook("run: echo hi", hosts="box")
    assert run("run", book).code == 4
    nobody = run("trust", "box")
    assert nobody.code == 2
    assert f"ssh-ed25519 {fingerprint}" in nobody.out
    assert "Nobody is here to say whether that is the right key." in nobody.err
    wrong = run("trust", "box", "--fingerprint", "SHA256:wrong")
    assert (wrong.code, "That is not the fingerprint you gave" in wrong.err) == (3, True)
    assert run("trust", "box", "--fingerprint", fingerprint, dry=True).code == 0
    assert not known.exists()
    assert run("trust", "box", "--fingerprint", fingerprint).out.endswith("Recorded in known.\n")
    assert known.read_text().count("\n") == 1
    assert run("trust", "box").out.endswith(f"ssh-ed25519 {fingerprint} is on record.\n")
    assert run("run", book).code == 0
