"""``schema``: what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import tastyops
from tests.cli.conftest import Run
from tests.cli.project import Project

SHIPPED = Path(tastyops.__file__).parent / "schema/runbook.json"


def test_the_verb_prints_it_and_with_a_folder_its_own_actions_too(
    run: Run, project: Project
) -> None:
    assert run("schema").out == SHIPPED.read_text("utf-8")
    project.write(
        "runbooks/actions/greet.py",
        """
        from dataclasses import dataclass
        from tastyops.actions import action, param

        @dataclass(frozen=True, kw_only=True)
        class Greet:
            whom: str = param("text", "Whom to greet")

        @action("greet", scalar="whom")
        def greet(params: Greet, facts):
            "Greet somebody."
            yield from ()
        """,
    )
    assert '"greet"' not in run("schema").out
    step = json.loads(run("schema", "runbooks").out)["definitions"]["step"]
    assert step["properties"]["greet"]["description"] == "Greet somebody."
    assert {"required": ["greet"]} in step["oneOf"]
    assert run("schema", "nowhere").code == 2
