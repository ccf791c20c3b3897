"""The command line under Invoke and alone: its traps, its usage errors, its exit codes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tastyops.cli import terminal
from tastyops.practice import kalimdor
from tastyops.practice.server import PracticeHost
from tastyops.ui import failure_menu, prompts
from tests.cli.conftest import Result, Run
from tests.cli.project import Project

UPGRADE = "runbooks/kernel-upgrade.yml"


# -- dry, in every form ------------------------------------------------------------------------


def assert_dry(result: Any, project: Project) -> None:
    assert result.code == 0
    assert result.out.startswith("Dry run of Emergency kernel upgrade: nothing is changed")
    assert project.left_nothing()


@pytest.mark.parametrize("option", ["--dry", "-R", "--dry-run"])
def test_a_dry_run_changes_nothing_on_the_host(
    option: str, run: Run, project: Project, practised: list[PracticeHost]
) -> None:
    result = run("run", UPGRADE, option, "--yes")
    assert_dry(result, project)
    (practice,) = practised
    model = practice.machine
    assert model.boot.kernel == kalimdor.OLD_KERNEL
    assert model.systemd.logind.scheduled is None
    assert not model.files.exists(f"/boot/vmlinuz-{kalimdor.NEW_KERNEL}")
    assert not any("Save your work" in terminal.text for terminal in model.users.terminals.values())


def test_every_step_of_a_dry_run_has_its_label(run: Run) -> None:
    out = run("run", UPGRADE, "--dry-run", "--attending", "dwm,ncm").out
    labels = "would run|would skip|would read|would ask|cannot know"
    for step in ("1.1 kernel.install", "1.2 wall", "2.1 reboot", "3.1 services.verify"):
        assert re.search(rf"^   {re.escape(step)}: ({labels})", out, re.M)
    assert "$ wall -- 'kalimdor reboots in 1m for a kernel upgrade. Save your work.'" in out
    assert re.search(r"^\[AT RISK \d{4}/…\] PRACTICE", out, re.M)
    assert "Attending: dwm, ncm" in out
    assert "Status: Completed." in out


def test_a_command_is_shown_exactly_and_cannot_steer_the_terminal(run: Run, project: Project) -> None:
    book = project.runbook('run: "echo \'a   b\\e[31m\'"')
    assert r"$ sh -c 'echo '\"'\"'a   b\x1b[31m'\"'\"''".replace("\\\"", "\"") in run("run", book, "-R").out


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["run", UPGRADE, "--dry"], {}),
        (["run", UPGRADE, "-R", "--yes"], {}),
        (["--dry", "run", UPGRADE, "--yes"], {}),
        (["-R", "run", UPGRADE], {}),
        (["run", UPGRADE, "--yes"], {"INVOKE_RUN_DRY": "1"}),
    ],
)
def test_any_dry_of_invoke_s_is_dry(
    words: list[str], environment: dict[str, str], project: Project
) -> None:
    assert_dry(project.invoke(*words, **environment), project)


def test_invoke_s_variable_holds_for_the_program_too(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOKE_RUN_DRY", "1")
    assert_dry(run("run", UPGRADE, "--yes"), project)
    monkeypatch.setenv("INVOKE_RUN_DRY", "0")
    assert run("run", project.runbook("run: echo hi")).code == 0
    assert len(project.runs()) == 1


def test_a_dry_run_as_json_has_a_step_a_line(run: Run) -> None:
    import json

    steps = [json.loads(line) for line in run("run", UPGRADE, "--dry-run", "--json").out.splitlines()]
    assert [step["step"] for step in steps] == ["1.1", "1.2", "2.1", "3.1"]
    assert steps[1]["commands"][0].startswith("wall ")


# -- usage -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "the following arguments are required: RUNBOOK"),
        (["run", UPGRADE, "--var"], "argument --var: expected one argument"),
        (["run", UPGRADE, "--host"], "argument --host: expected one argument"),
        (["run", UPGRADE, "--inventory"], "argument --inventory: expected one argument"),
        (["run", UPGRADE, "--var", "-x"], "one that begins with - is given as --var=-…"),
        (["run", UPGRADE, "--var=-x=1"], "--var -x: the runbook has no such input"),
        (["run", UPGRADE, "--var", "package"], "--var package: a name and a value are needed"),
        (["run", UPGRADE, "--var", "=x"], "--var =x: a name and a value are needed"),
        (["run", UPGRADE, "--var", "packge=x"], "id you mean 'package'?"),
        (["run", UPGRADE, "--var", "grace=soon"], "grace: "),
        (["run", UPGRADE, "--host", "kalimdro"], "id you mean 'kalimdor'?"),
        (["run", UPGRADE, "--start-at", "9.9"], "the runbook has no such step"),
        (["run", UPGRADE, "extra"], "unrecognized arguments: extra"),
        (["run", UPGRADE, "--dry-r"], "unrecognized arguments: --dry-r"),
        (["run", UPGRADE, "--inv", "inventory.yml"], "unrecognized arguments: --inv"),
        (["run", "--", UPGRADE, "--yes"], "unrecognized arguments: --yes"),
        (["rum"], "id you mean"),
        (["frobnicate"], "tastyops has no verb 'frobnicate'"),
        ([], ""),
        (["check"], "check takes a FILE, or --host NAME"),
        (["show"], "required: RUN"),
        (["show", "nothing"], "There is no run or log 'nothing'"),
        (["verify", "2026/001"], "There is no run or log '2026/001'"),
        (["trust"], "required: HOST"),
        (["trust", "kalimdor"], "there is nothing to trust"),
        (["trust", "nowhere"], "'nowhere' is not a host or group"),
        (["hosts", "--inventory", "nowhere"], "There is no inventory 'nowhere'"),
    ],
)
def test_usage_errors_end_with_2(words: list[str], said: str, run: Run, project: Project) -> None:
    result = run(*words)
    assert result.code == 2
    assert said in result.err
    assert project.left_nothing()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("option", ["inventory", "logs", "runs", "host", "start-at", "attending"])
def test_an_empty_value_is_a_missing_one(option: str, run: Run) -> None:
    result = run("run", UPGRADE, f"--{option}", "")
    assert result.code == 2
    assert f"argument --{option}: its value is empty" in result.err


@pytest.mark.usefixtures("untouched")
def test_an_empty_runbook_or_run_is_a_missing_one(run: Run) -> None:
    assert [run("run", "").code, run("check", "").code, run("show", "").code] == [2, 2, 2]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("words", [["run", "--help"], ["run", UPGRADE, "--yes", "-h"], ["--help"]])
def test_help_helps_and_runs_nothing(words: list[str], run: Run, project: Project) -> None:
    result = run(*words)
    assert result.code == 0
    assert "usage: tastyops" in result.out
    assert project.left_nothing()


def test_values_may_begin_with_a_dash(run: Run, project: Project) -> None:
    book = project.write(
        "book.yml",
        "title: T\nhosts: kalimdor\ninputs: {word: x}\n"
        "works:\n  - work: W\n    steps:\n      - run: echo {{ word }}\n",
    )
    assert "echo -n" in run("run", book, "--dry-run", "--var", "word=-n").out
    assert "Attending: -ann" in run("run", book, "--dry-run", "--attending=-ann").out


def test_a_repeated_option_adds_and_the_last_value_of_a_name_holds(run: Run, project: Project) -> None:
    project.write("inventory.yml", "hosts:\n  a: {connection: practice}\n  b: {connection: practice}\n"
                  "  c: {connection: practice}\n")
    book = project.write(
        "book.yml",
        "title: T\nhosts: [a, b, c]\ninputs: {one: x, two: y}\n"
        "works:\n  - work: W\n    steps:\n      - run: echo {{ one }} {{ two }}\n",
    )
    result = run(
        "run", book, "--dry-run", "--host", "a", "--host", "c", "--host", "a",
        "--var", "one=1", "--var", "two=2", "--var", "one=3",
    )
    assert re.findall(r"1\.1 (\w): run", result.out) == ["a", "c"]
    assert result.out.count("echo 3 2") == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run"], 2, "the following arguments are required: RUNBOOK"),
        (["run", UPGRADE, "--var"], 2, "expected one argument"),
        (["run", UPGRADE, "--", "--yes"], 2, "invoke takes what follows `--` for itself"),
        (["frobnicate"], 2, "No idea what 'frobnicate' is!"),
        (["run", "--help"], 0, "usage: invoke run"),
        (["run", UPGRADE, "--var", "package=-x", "--dry-run"], 1, "would fail"),
    ],
)
def test_under_invoke_too(words: list[str], code: int, said: str, project: Project) -> None:
    result = project.invoke(*words)
    assert result.code == code
    assert said in result.out + result.err
    assert project.left_nothing()


def test_hints_name_the_program_that_was_typed(run: Run) -> None:
    assert "`tastyops list` shows the runbooks" in run("run", "nowhere.yml", "--yes").err
    invoked = run("run", "nowhere.yml", "--yes", program="invoke").err
    assert "`invoke list` shows the runbooks" in invoked


def test_a_usage_error_is_on_one_line(run: Run) -> None:
    message, usage = run("run").err.splitlines()
    assert message.endswith("RUNBOOK.")
    assert usage.lower().startswith("usage: tastyops run [-h] [--inventory f] [--logs dir]")


def test_an_error_s_text_cannot_steer_the_terminal(run: Run) -> None:
    assert "\x1b" not in run("run", "a\x1b[31mb.yml").err


# -- exit codes --------------------------------------------------------------------------------


def ran(result: Result, project: Project) -> tuple[int, str]:
    status = re.search(r"\*\*Status:\*\* (.*?)(?: at .*)?\.$", project.page(), re.M)
    return result.code, status[1] if status else ""


def test_exit_0_completed(run: Run, project: Project) -> None:
    assert ran(run("run", project.runbook("run: echo hi")), project) == (0, "Completed")


def test_exit_1_failed(run: Run, project: Project) -> None:
    result = run("run", project.runbook("run: 'echo out; echo why >&2; exit 7'"))
    assert ran(result, project) == (1, "Ended without completion")
    assert "| why" in result.out
    assert "status 7" in result.out
    assert "why" not in project.page()


@pytest.mark.usefixtures("untouched")
def test_exit_2_a_step_that_nobody_is_here_to_answer(run: Run, project: Project) -> None:
    result = run("run", project.runbook("ask: Which disk?"))
    assert result.code == 2
    assert "book.yml:6:9: step 1.1 asks for a value, and nobody is here to answer." in result.err
    assert project.left_nothing()


@pytest.mark.usefixtures("untouched")
def test_exit_2_an_input_without_a_value(run: Run, project: Project) -> None:
    book = project.write(
        "book.yml", "title: T\nhosts: kalimdor\ninputs: {disk: {help: Which disk}}\n"
        "works:\n  - work: W\n    steps:\n      - run: echo {{ disk }}\n",
    )
    result = run("run", book, "--yes")
    assert (result.code, "Give --var disk=" in result.err) == (2, True)


def test_exit_3_a_person_says_no(
    run: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["no", "abort"])
    monkeypatch.setattr(terminal, "keyboard", lambda **_: terminal.Keyboard())
    for module in (prompts, failure_menu):
        monkeypatch.setattr(module, "typed", lambda *_: next(said))
    assert run("run", project.runbook("confirm: Really?", "run: echo hi")).code == 3
    assert "- The work (Cancelled: step 1.1 (confirm) was cancelled)" in project.page()
    assert not [event for event in project.events() if event["kind"] == "intended"]


def test_exit_4_unreachable(run: Run, project: Project) -> None:
    project.write("inventory.yml", "hosts:\n  gone: {address: 127.0.0.1, port: 1, user: root}\n")
    result = run(
        "run", project.runbook("run: echo hi", hosts="gone"),
        "--logs", "practice/logs", "--runs", "practice/runs",
    )
    assert ran(result, project) == (4, "Ended without completion")
    assert "the connection was refused" in result.out


def test_exit_5_a_reboot_interrupts_a_change(run: Run, project: Project) -> None:
    now = (
        "busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
        " ScheduleShutdown st reboot 1000000"
    )
    result = run("run", project.runbook(f"run: '{now}; sleep 600'"))
    assert ran(result, project)[0] == 5
    assert "in doubt" in result.out
    assert "Step 1.1 (run) is in doubt" in project.page()
    assert "Status:** In progress" in project.page()
    assert "is in doubt" in run("status").out
