"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.figures import (
    CHANGE,
    COMMAND_CHANGE,
    COMMAND_PROBE,
    CONTROL_MASTER,
    FABRIC,
    PROBE,
    TIMES,
    TITLES,
    Measured,
    Row,
    Scenario,
    Spread,
)

TO = "\N{EN DASH}"

PROBE_MS, CHANGE_MS, JOURNAL_MS, STARTUP_RATIO, FABRIC_RATIO = 2.0, 3.0, 1.0, 1.5, 15.0
"""The targets. A miss is shown, never a failure."""

_OURS = (PROBE, CHANGE)
_OTHERS = (FABRIC, CONTROL_MASTER)
_ONLY_WHOLE = (COMMAND_PROBE, COMMAND_CHANGE)


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
    yield from _titled("The whole command, connecting included", _whole(measured))
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
            if row.contender not in _ONLY_WHOLE
        ],
    )


def _ratio(row: Row | None, to: Row | None) -> Spread | None:
    if row is None or to is None or row.wall is None or to.wall is None:
        return None
    return row.wall.over(to.wall)


def _times(row: Row, to: Row | None) -> str:
    return "1" if row is to else spread(_ratio(row, to))


def _whole(measured: Measured) -> list[str]:
    names = (*_ONLY_WHOLE, *_OTHERS)
    head = ("", "wall, s", "CPU, s")
    rows = [
        (
            f"{TITLES[row.contender]}: {row.scenario.title}, {row.shell}",
            spread(row.whole),
            spread(row.whole_cpu),
        )
        for shell in measured.shells()
        for scenario in measured.scenarios()
        for row in _rows(measured, shell, scenario)
        if row.contender in names
    ]
    return _table(head, rows)


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
    yield _at_most("journal, ms an event", JOURNAL_MS, measured.journal.single)
    ratio = measured.startup.here.over(measured.startup.empty)
    yield _at_most("`invoke --list` over an empty collection's", STARTUP_RATIO, ratio)


def _step_targets(
    where: str, rows: dict[str, Row], fabric: float
) -> Iterator[tuple[str, str, str, str]]:
    for name, limit in ((PROBE, PROBE_MS), (CHANGE, CHANGE_MS)):
        row = rows.get(name)
        if row is None or row.wall is None:
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
