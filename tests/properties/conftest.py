"""Reports at the end how many inputs the property tests tried; docs/promises.md quotes it."""

from __future__ import annotations

import pytest

from tests.properties.mutations import TRIED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        each = ", ".join(f"{count} {what}" for what, count in sorted(TRIED.items()))
        total = sum(TRIED.values())
        terminalreporter.write_line(f"property tests tried {total} inputs: {each}")
