"""The benchmarks' command line and table; nothing is measured here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import site
from benchmarks.figures import (
    ASYNCSSH,
    CHANGE,
    CONTROL_MASTER,
    FABRIC,
    MASTER_SCRIPT,
    PROBE,
    TASTYOPS,
    TIMES,
    Command,
    CommandRow,
    JournalFigures,
    Measured,
    Row,
    Scenario,
    Spread,
    Startup,
)
from benchmarks.order import Order, Target, inventory, runbook
from benchmarks.table import TO, render
from tastyops.app.registry import registry
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.validation import validate

ONE, MANY = Scenario(1, 30), Scenario(40, 5)


def row(contender: str, scenario: Scenario, wall: float) -> Row:
    """A contender whose three repeats took ``wall`` ms a step, a tenth more, and a fifth more."""
    steps = Spread((wall, wall * 1.1, wall * 1.2))
    return Row("/bin/sh", scenario, contender, steps, steps, steps)


def command(contender: str, scenario: Scenario, wall: float) -> CommandRow:
    """A contender whose two whole commands took ``wall`` seconds each."""
    return CommandRow.of(scenario, contender, [Command(wall, wall / 2, 50.0)] * 2)


def measured(**changes: object) -> Measured:
    rows = [
        row(name, scenario, wall)
        for scenario in (ONE, MANY)
        for name, wall in (
            (PROBE, 1.0),
            (CHANGE, 4.0),
            (FABRIC, 50.0),
            (CONTROL_MASTER, 6.0),
        )
    ]
    commands = [
        command(name, scenario, wall)
        for scenario in (ONE, MANY)
        for name, wall in ((TASTYOPS, 1.2), (MASTER_SCRIPT, 1.0), (ASYNCSSH, 0.6))
    ]
    fields: dict[str, object] = {
        "machine": {"cores": "2", "kernel": "6.1.0"},
        "repeats": 3,
        "rows": rows,
        "startup": Startup(Spread((60.0, 61.0)), Spread((50.0, 50.0))),
        "journal": JournalFigures(Spread((0.2,)), Spread((0.01,)), 40, Spread((0.1,))),
        "commands": commands,
        "verbs": {"`import paramiko`": Spread((0.2,)), "`tastyops check`": Spread((0.3,))},
        "notes": ("Not measured: a login shell /bin/bash.",),
    }
    return Measured(**(fields | changes))  # type: ignore[arg-type]


def page_of(figures: Measured) -> str:
    """The page with its dashes and crosses as a keyboard has them."""
    return render(figures).replace(TO, "-").replace(TIMES, "x")


def cells(page: str, beginning: str) -> list[list[str]]:
    """The table rows whose first cell begins so."""
    found = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    return [each for each in found if each[0].startswith(beginning)]


def test_targets_stand_beside_results() -> None:
    page = page_of(measured())
    probe, change = (cells(page, f"{name}, ms a step: 1 host")[0] for name in (PROBE, CHANGE))
    assert probe[1:] == ["≤ 2", "1.10 (1.00-1.20)", "reached"]
    assert change[1:] == ["≤ 3", "4.40 (4.00-4.80)", "**missed**"]
    assert cells(page, "Fabric over a change: 1 host")[0][1:] == [
        "≥ 15x",
        "12.5 (12.5-12.5)",
        "**missed**",
    ]
    assert cells(page, "Fabric over a change: 40 hosts")[0][1] == "≥ 1x"
    assert cells(page, "whole command over OpenSSH") == [
        ["whole command over OpenSSH, ControlMaster script: 1 host x 30 steps", "≤ 1.3",
         "1.20 (1.20-1.20)", "reached"],
    ]  # fmt: skip
    assert [row[-1] for row in cells(page, "whole command over asyncssh")] == ["**missed**"]
    assert cells(page, "CPU, `tastyops check`")[0][1:] == ["≤ 1.25", "1.50 (1.50-1.50)", "**missed**"]
    assert cells(page, "`invoke --list` over")[0][2:] == ["1.21 (1.20-1.22)", "reached"]


def test_ratios_are_of_one_run_each() -> None:
    slow, fast = Spread((10.0, 20.0, 30.0)), Spread((1.0, 2.0, 3.0))
    assert slow.over(fast).values == (10.0, 10.0, 10.0)
    rows = cells(page_of(measured()), "Fabric")
    assert any(row[-2:] == ["50.0 (50.0-50.0)", "12.5 (12.5-12.5)"] for row in rows)


def test_every_table_is_whole() -> None:
    page = page_of(measured())
    widths: list[set[int]] = []
    for line in page.splitlines():
        if line.startswith("### "):
            widths.append(set())
        elif line.startswith("|"):
            widths[-1].add(line.count(" | "))
    assert [len(each) for each in widths] == [1] * len(widths)
    assert "### 40 hosts x 5 steps, login shell /bin/sh" in page
    assert page.count("| `tastyops run` |") == 2
    assert cells(page, "asyncssh script")[-1][1:] == [
        "0.60 (0.60-0.60)", "0.50 (0.50-0.50)", "0.30 (0.30-0.30)", "15.0", "7.50", "50.0 (50.0-50.0)",
    ]  # fmt: skip
    assert page.endswith("Not measured: a login shell /bin/bash.\n")


def test_figures_go_to_json() -> None:
    found = json.loads(json.dumps(measured().to_json()))
    assert found["rows"][0]["wall"]["values"] == [1.0, 1.1, 1.2]


def test_arguments() -> None:
    args = program.parser().parse_args(["--quick", "--json", "out.json"])
    assert args.quick
    assert args.json == Path("out.json")
    assert not program.parser().parse_args([]).quick


def test_an_unknown_argument_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as error:
        program.main(["--fast"])
    assert error.value.code == 2


def test_without_sshd_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(site, "SSHD", None)
    assert program.main([]) == 2
    assert "openssh-server" in capsys.readouterr().err


@pytest.mark.parametrize("reads", [True, False])
def test_what_tastyops_is_given_is_valid(reads: bool) -> None:
    targets = [Target(f"sh{n:02}", 22, "bench", "/tmp/key") for n in range(2)]
    order = Order(PROBE, targets, 3, "/tmp/known_hosts", "/tmp/config", "/tmp/run", "/tmp/s")
    assert Order.from_json(order.to_json()) == order
    hosts = read_inventory(inventory(order).encode(), "inventory.yml")
    book = validate(
        runbook(3, reads=reads).encode(),
        "bench.yml",
        registry(),
        {**hosts.hosts, **hosts.groups},
        frozenset(),
    )
    assert [step.reads for step in book.steps()] == [reads] * 3
    assert len(hosts.select(["everywhere"])) == 2
