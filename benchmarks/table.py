"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.figures import (
    ASYNCSSH,
    CHANGE,
    COMMAND_TITLES,
    CONTROL_MASTER,
    FABRIC,
    MASTER_SCRIPT,
    PROBE,
    PYINFRA,
    TASTYOPS,
    TIMES,
    TITLES,
    CommandRow,
    Measured,
    Row,
    Scenario,
    Spread,
)

TO = "\N{EN DASH}"

PROBE_MS, CHANGE_MS, JOURNAL_MS, STARTUP_RATIO, FABRIC_RATIO = 2.0, 3.0, 1.0, 1.5, 15.0
"""The targets. A miss is shown, never a failure."""

VERB_RATIO = 1.25
"""A short verb's processor time over that of a bare ``import paramiko``."""

COMMAND_RATIOS = {1: {MASTER_SCRIPT: 1.3}, 40: {ASYNCSSH: 1.5, FABRIC: 1.0, PYINFRA: 1.0}}
"""By number of hosts: the whole command over each peer's."""

_OURS = (PROBE, CHANGE)


def render(measured: Measured) -> str:
    """The whole report."""
    return "\n".join(_lines(measured)) + "\n"


def _lines(measured: Measured) -> Iterator[str]:
    yield "Machine: " + "; ".join(f"{key} {value}" for key, value in measured.machine.items()) + "."
    yield f"Every figure is the median of {measured.repeats} repeats, with (smallest{TO}largest)."
    yield from _titled(
        "Targets",
        _table(
            ("target", "aim", "result", ""),
            list(_targets(measured)),
        ),
    )
    for shell in measured.shells():
        for scenario in measured.scenarios():
            rows = _rows(measured, shell, scenario)
            if rows:
                yield from _titled(f"{scenario.title}, login shell {shell}", _steps(rows))
    for scenario in measured.command_scenarios():
        title = f"The whole command, connecting included: {scenario.title}"
        yield from _titled(title, _commands(measured, scenario))
    yield from _titled("Short verbs", _verbs(measured))
    yield from _titled("Journal and start-up", _rest(measured))
    if measured.notes:
        yield ""
        yield from measured.notes


def _titled(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield from ("", f"### {title}", "", *lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; every column but the first is a figure's."""
    rule = ["---", *("---:" for _ in head[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def number(value: float) -> str:
    """Three digits that matter, or all of the whole part."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(figure: Spread | None) -> str:
    """The median, and in brackets the smallest and the largest."""
    if figure is None:
        return TO
    low, high = min(figure.values), max(figure.values)
    return f"{number(figure.median)} ({number(low)}{TO}{number(high)})"


def _rows(measured: Measured, shell: str, scenario: Scenario) -> list[Row]:
    found = (measured.row(shell, scenario, name) for name in TITLES)
    return [row for row in found if row is not None]


# -- steps -----------------------------------------------------------------------------------------


def _steps(rows: Sequence[Row]) -> list[str]:
    ours = {row.contender: row for row in rows}
    ratios = (f"{TIMES} a probe", f"{TIMES} a change")
    head = ("", "wall, ms a step", "CPU, ms a step", "peak, MB", *ratios)
    return _table(
        head,
        [
            (
                TITLES[row.contender],
                spread(row.wall),
                spread(row.cpu),
                spread(row.peak),
                *(_times(row, ours.get(name)) for name in _OURS),
            )
            for row in rows
        ],
    )


def _ratio(row: Row | CommandRow | None, to: Row | CommandRow | None) -> Spread | None:
    if row is None or to is None:
        return None
    return row.wall.over(to.wall)


def _times(row: Row, to: Row | None) -> str:
    return "1" if row is to else spread(_ratio(row, to))


# -- whole commands --------------------------------------------------------------------------------


def _commands(measured: Measured, scenario: Scenario) -> list[str]:
    ours = measured.command(scenario, TASTYOPS)
    rows = [measured.command(scenario, name) for name in COMMAND_TITLES]
    return _table(
        (
            "",
            "wall, s",
            f"{TIMES} tastyops",
            "CPU, s",
            "wall, ms a host",
            "CPU, ms a host",
            "peak, MB",
        ),
        [
            (
                COMMAND_TITLES[row.contender],
                spread(row.wall),
                "1" if row is ours else spread(_ratio(row, ours)),
                spread(row.cpu),
                number(row.wall.median / scenario.hosts * 1000),
                number(row.cpu.median / scenario.hosts * 1000),
                spread(row.peak),
            )
            for row in rows
            if row is not None
        ],
    )


def _verbs(measured: Measured) -> list[str]:
    bare = next(iter(measured.verbs.values()))
    return _table(
        ("", "CPU, s", f"{TIMES} import paramiko"),
        [
            (name, spread(figure), "1" if figure is bare else spread(figure.over(bare)))
            for name, figure in measured.verbs.items()
        ],
    )


# -- the rest --------------------------------------------------------------------------------------


def _rest(measured: Measured) -> list[str]:
    journal, startup = measured.journal, measured.startup
    return _table(
        ("", "ms"),
        [
            ("journal: an event, one at a time", spread(journal.single)),
            (f"journal: an event, {journal.batch} to a commit", spread(journal.batched)),
            ("the disk: 300 bytes written and fdatasync", spread(journal.disk)),
            ("`invoke --list` here", spread(startup.here)),
            ("`invoke --list`, empty collection", spread(startup.empty)),
        ],
    )


def _targets(measured: Measured) -> Iterator[tuple[str, str, str, str]]:
    for shell in measured.shells():
        for scenario in measured.scenarios():
            rows = {row.contender: row for row in _rows(measured, shell, scenario)}
            # Many at once, Fabric's waiting overlaps: there the aim is only to be no slower.
            fabric = FABRIC_RATIO if scenario.hosts == 1 else 1.0
            yield from _step_targets(f"{scenario.title}, {shell}", rows, fabric)
    yield from _command_targets(measured)
    yield _at_most("journal, ms an event", JOURNAL_MS, measured.journal.single)
    ratio = measured.startup.here.over(measured.startup.empty)
    yield _at_most("`invoke --list` over an empty collection's", STARTUP_RATIO, ratio)


def _command_targets(measured: Measured) -> Iterator[tuple[str, str, str, str]]:
    scenarios = measured.command_scenarios()
    for scenario in scenarios:
        ours = measured.command(scenario, TASTYOPS)
        for peer, most in COMMAND_RATIOS.get(scenario.hosts, {}).items():
            ratio = _ratio(ours, measured.command(scenario, peer))
            if ratio is not None:
                what = f"whole command over {COMMAND_TITLES[peer]}: {scenario.title}"
                yield _at_most(what, most, ratio)
    bare, *verbs = measured.verbs.items()
    for name, figure in verbs:
        yield _at_most(f"CPU, {name} over {bare[0]}", VERB_RATIO, figure.over(bare[1]))


def _step_targets(
    where: str, rows: dict[str, Row], fabric: float
) -> Iterator[tuple[str, str, str, str]]:
    for name, limit in ((PROBE, PROBE_MS), (CHANGE, CHANGE_MS)):
        row = rows.get(name)
        if row is None:
            continue
        yield _at_most(f"{name}, ms a step: {where}", limit, row.wall)
        for other, least in ((CONTROL_MASTER, 1.0), (FABRIC, fabric)):
            ratio = _ratio(rows.get(other), row)
            if ratio is not None:
                yield _at_least(f"{TITLES[other]} over a {name}: {where}", least, ratio)


def _at_most(what: str, limit: float, figure: Spread) -> tuple[str, str, str, str]:
    return what, f"≤ {limit:g}", spread(figure), _verdict(figure.median <= limit)


def _at_least(what: str, least: float, figure: Spread) -> tuple[str, str, str, str]:
    return what, f"≥ {least:g}{TIMES}", spread(figure), _verdict(figure.median >= least)


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"
