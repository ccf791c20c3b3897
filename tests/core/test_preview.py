"""The dry run: what it shows of each step, and that it cannot send a change."""

from __future__ import annotations

import pytest

from tastyops.engine.links import needs_sudo
from tastyops.model.inventory import Host
from tests.core.driving import dry, plan_of
from tests.core.fake import FakeHost


def verdicts(text: str, host: FakeHost) -> list[str]:
    return [
        f"{s.step.address} {s.verdict}{f' ({s.because})' if s.because else ''}"
        for s in dry(plan_of(text, "web1"), web1=host).steps
    ]


def test_a_change_is_shown_and_not_sent() -> None:
    host = FakeHost()
    found = dry(
        plan_of(
            "{title: T, hosts: web1, works: [{work: W, steps: [{run: rm -rf /tmp/x}]}]}", "web1"
        ),
        web1=host,
    )
    assert [(s.verdict, s.commands) for s in found.steps] == [
        ("would run", ["sh -c 'rm -rf /tmp/x'"])
    ]
    assert host.sent == []
    assert not found.incomplete
    assert dry(
        plan_of("{title: T, hosts: web1, works: [{work: W, steps: [{run: x}]}]}", "web1"),
        web1=FakeHost(refuse=9),
    ).unreachable


def test_what_a_withheld_change_would_tell_is_not_made_up() -> None:
    text = """
        title: T
        hosts: web1
        works:
          - work: W
            steps:
              - {run: build, register: b, log: "Built in {{ b.seconds }} seconds."}
              - {run: "install {{ b.stdout }}"}
              - {run: rest, when: b.rc == 0}
              - {run: look, reads: true, register: l}
              - {run: skipped, when: l.rc != 0}
    """
    host = FakeHost({"look": (0, "")})
    assert verdicts(text, host) == [
        "1.1 would run",
        "1.2 cannot know (until step 1.1 has run)",
        "1.3 cannot know (until step 1.1 has run)",
        "1.4 would read (the author says that it only reads)",
        "1.5 would skip (its `when:` is false)",
    ]
    assert host.sent == []
    found = dry(plan_of(text, "web1"), web1=host)
    assert next(entry for step in found.steps for entry in step.entries) == "Built in … seconds."


def test_waiting_ends_a_steps_preview() -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{watch: {command: look}}, {run: after}]}]}"
    found = dry(plan_of(text, "web1"), web1=FakeHost({"look": (0, "10%")}))
    assert [(s.verdict, s.commands) for s in found.steps] == [
        ("would run", ["wait for the next look"]),
        ("would run", ["sh -c after"]),
    ]


def test_a_step_that_would_be_refused_fails_the_dry_run() -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: look, reads: true}, {run: after}]}]}"
    found = dry(plan_of(text, "web1"), web1=FakeHost({"look": (3, "")}))
    assert [s.verdict for s in found.steps] == ["would fail", "not reached"]
    assert found.incomplete


def test_an_unreachable_host() -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: look, reads: true}]}]}"
    found = dry(plan_of(text, "web1"), web1=FakeHost(refuse=9))
    assert found.unreachable


def test_questions_are_shown_and_not_asked() -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{manual: Swap the disk}, {run: it, confirm: Sure?}]}]}"
    found = dry(plan_of(text, "web1"), web1=FakeHost())
    assert [(s.verdict, s.commands) for s in found.steps] == [
        ("would ask", ["ask the operator: Swap the disk"]),
        ("would ask", ["ask the operator: Sure?", "sh -c it"]),
    ]


@pytest.mark.parametrize(
    ("uid", "host", "wishes", "wanted"),
    [
        (1000, False, (None, None), False),
        (1000, True, (None, None), True),
        (1000, True, (None, False), False),
        (1000, False, (None, True), True),
        (1000, False, (True, False), True),
        (1000, True, (False, True), False),
        (None, False, (True, None), True),
        (0, True, (True, True), False),
    ],
)
def test_whether_sudo_is_needed(
    uid: int | None, host: bool, wishes: tuple[bool | None, ...], wanted: bool
) -> None:
    assert needs_sudo(Host("web1", sudo=host), uid, *wishes) is wanted


def test_sudo_is_shown_and_used_as_in_a_real_run() -> None:
    text = """
        title: T
        hosts: web1
        works:
          - work: W
            steps:
              - {run: look, reads: true, sudo: true}
              - {run: touch x, sudo: true}
              - {run: touch y}
    """
    host = FakeHost({"look": (0, "")}, uid=1000)
    found = dry(plan_of(text, "web1"), web1=host)
    assert [command for step in found.steps for command in step.commands] == [
        "sh -c look", "sudo sh -c 'touch x'", "sh -c 'touch y'",
    ]
    assert host.elevated == ["sh -c look"]
    as_root = dry(plan_of(text, "web1"), web1=FakeHost({"look": (0, "")}))
    assert as_root.steps[1].commands == ["sh -c 'touch x'"]


def test_what_fails_only_because_changes_were_withheld_cannot_be_known() -> None:
    text = """
        title: T
        hosts: web1
        works:
          - work: W
            steps:
              - {run: prepare}
              - {run: look, reads: true, on_failure: {run: never}}
              - {run: after}
    """
    host = FakeHost({"look": (1, "")})
    assert verdicts(text, host) == [
        "1.1 would run",
        "1.2 cannot know (until step 1.1 has run; as the host is now, it would fail: it ended with status 1)",
        "1.3 would run (as the host is now, before step 1.1)",
    ]
    assert host.sent == []
    assert not dry(plan_of(text, "web1"), web1=host).incomplete


def test_a_failure_before_any_change_fails_the_dry_run() -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: look, reads: true}, {run: x}]}]}"
    host = FakeHost({"look": (1, "")})
    assert verdicts(text, host) == ["1.1 would fail (it ended with status 1)", "1.2 not reached"]
