"""The documentation names everything there is: verbs, actions, keys, errors, events."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tastyops import errors
from tastyops.app.registry import registry
from tastyops.cli.verbs import VERBS
from tastyops.errors import ExitCode, TastyopsError
from tastyops.journal.envelope import KINDS
from tastyops.journal.public_events import KINDS as PUBLIC_KINDS
from tastyops.model.action import Param
from tastyops.model.duration import format_duration
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.steps import KEYS as STEP_KEYS
from tastyops.runbook.validation import KEYS, LATER_KEYS, WORK_KEYS, validate

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text()


def section(page: str, heading: str) -> str:
    """What stands under the heading, to the next of its level or above."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}\n", page, re.MULTILINE)
    assert found, f"there is no heading {heading}"
    rest = page[found.end() :]
    following = re.search(rf"^#{{1,{len(level)}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def table(page: str, head: str) -> dict[str, list[str]]:
    """The table whose first heading that is: each name its first cells define, and the other cells."""
    _, found, rest = page.partition(f"\n| {head} |")
    assert found, f"there is no table of {head}"
    rows: dict[str, list[str]] = {}
    for line in itertools.takewhile(lambda line: line.startswith("|"), rest.splitlines()[1:]):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for name in re.findall(r"`([^`]+)`", cells[0]):
            assert name not in rows, f"{name} twice in the table of {head}"
            rows[name] = cells[1:]
    assert all("".join(cells) for cells in rows.values()), "a name without a word"
    return rows


def kinds_of_error() -> list[type[TastyopsError]]:
    found: list[type[TastyopsError]] = []
    waiting = [TastyopsError]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            found.append(cls)
            waiting.append(cls)
    return [cls for cls in found if cls.__module__ == errors.__name__]


def test_every_error_is_documented_with_its_code_and_ids_are_unique() -> None:
    page = text("docs/errors.md")
    ids = [cls.id for cls in kinds_of_error()]
    assert len(ids) == len(set(ids))
    for cls in kinds_of_error():
        assert f"| `{cls.id}` | {int(cls.exit_code)} |" in page, cls.id
    documented = re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(ids)


def test_every_exit_code_is_documented() -> None:
    page = text("docs/errors.md")
    for code in ExitCode:
        assert re.search(rf"^\| {int(code)} \|", page, re.MULTILINE), code
    (line,) = re.findall(r"^Exit codes: ((?:.+\n)+)", text("README.md"), re.MULTILINE)
    listed = [int(each) for each in re.findall(r"(?:^|· ?\n?)(\d) [a-z]", line)]
    assert listed == sorted(map(int, ExitCode))


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"^\| `{verb}\b", text("README.md"), re.MULTILINE)


def test_every_event_is_documented() -> None:
    page = text("docs/journal.md")
    assert table(page, "kind | what happened").keys() == set(KINDS)
    assert table(page, "kind | what the log learned").keys() == set(PUBLIC_KINDS)


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_action_is_documented_with_all_it_takes_and_registers(name: str) -> None:
    spec, page = registry()[name], section(text("docs/runbooks.md"), f"### `{name}`")
    assert re.match(r"\n[A-Z]", page), f"docs/runbooks.md does not say what {name} does"
    documented = table(page, "parameter") if spec.params else {}
    assert documented.keys() == set(spec.params)
    for param in spec.params.values():
        assert documented[param.name][:2] == [param.type, default_of(param)], param.name
    registers = [part for part in page.split("\n\n") if "Registers " in part]
    assert bool(registers) == bool(spec.returns)
    for part in registers:
        defined = re.findall(r"`([^`]+)`", part.partition("Registers ")[2])
        assert set(spec.returns) <= set(defined)


def default_of(param: Param) -> str:
    """The default as the table shows it."""
    if param.required:
        return "required"
    if isinstance(param.default, bool):
        return str(param.default).lower()
    if param.type == "duration" and param.default is not None:
        return format_duration(param.default)
    if isinstance(param.default, tuple):
        return ", ".join(map(str, param.default))
    if param.default in (None, ""):
        return ""
    return f"`{param.default}`" if isinstance(param.default, str) else str(param.default)


@pytest.mark.parametrize(
    ("head", "keys"),
    [("runbook", {*KEYS}), ("work item", {*WORK_KEYS}), ("step", {*STEP_KEYS})],
)
def test_every_key_is_documented(head: str, keys: set[str]) -> None:
    assert table(text("docs/runbooks.md"), f"key of a {head}").keys() == keys - set(LATER_KEYS)


def test_every_key_that_is_not_available_yet_is_said_to_be() -> None:
    (said,) = re.findall(r"^(.+) are known and not available yet", text("docs/runbooks.md"), re.M)
    assert set(re.findall(r"`(\w+)`", said)) == set(LATER_KEYS)


@pytest.mark.parametrize(
    "broken",
    [
        "| kind | what happened |\n|---|---|\n| `a` | |\n",
        "| kind | what happened |\n|---|---|\n| `a` | x |\n| `b` | |\n",
        "| kind | what happened |\n|---|---|\n| `a` | x |\n| `a` | y |\n",
        "`a` | and | kind | in a sentence\n",
    ],
)
def test_a_table_that_defines_nothing_is_found(broken: str) -> None:
    with pytest.raises(AssertionError):
        table(f"\n{broken}", "kind")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.strip().lower()).replace(" ", "-") for each in headings}


def test_links_in_the_documentation_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^):]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            goal = page.parent / path if path else page
            assert goal.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(goal), f"{page.name}: {target}"


def test_whom_wall_does_not_reach_is_said_with_the_cure() -> None:
    section = text("docs/runbooks.md").partition("### `wall`")[2].partition("\n### ")[0]
    assert "`mesg n`" in section
    assert "`sudo: true`" in section


def test_every_promise_names_tests_that_exist() -> None:
    promises = text("docs/promises.md").partition("\n## Last results")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row.split("|")[-2])
        assert named, row
        for file, name in named:
            assert f"\ndef {name}(" in text(f"tests/{file}"), f"{file}::{name}"


@cache
def cases_of(file: str) -> set[str]:
    known = yaml.load(text(f"tests/actions/{file}.yml"), yaml.CSafeLoader)
    return {each["case"] for each in known}


def test_every_guard_names_cases_and_tests_that_exist() -> None:
    page = text("docs/guards.md")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")][1:]
    assert rows
    for refused, _, cases, _ in rows:
        named = re.findall(r"`(\w+): ([^`]+)`", cases)
        assert named, refused
        for file, case in named:
            assert case in cases_of(file), f"{file}: {case}"
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", page):
        assert f"\ndef {name}(" in text(f"tests/{file}"), f"{file}::{name}"


def test_every_operation_names_what_does_it_and_a_test_that_exists() -> None:
    page = text("docs/operations.md")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if re.match(r"\| [0-9]", line)]
    assert len(rows) == 101
    verbs = {verb.name for verb in VERBS}
    for when, _, by, shown in rows:
        for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", by):
            words = {"background", "kernel", "at", "publish"}  # keys and parameters
            assert name in verbs | set(registry()) | words, f"{when}: {name}"
        for path in re.findall(r"`(runbooks/[^`]+)`", by):
            assert (ROOT / path).exists(), f"{when}: {path}"
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert tests or "open" in by, f"{when}: no test shows it"
        for file, name in tests:
            assert f"\ndef {name}(" in text(f"tests/{file}"), f"{when}: {file}::{name}"


def test_the_index_of_decisions_has_each_with_its_number_and_its_title() -> None:
    pages = sorted(path for path in (DOCS / "decisions").glob("[0-9]*.md"))
    listed = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+?) \| .+ \|$", text("docs/decisions/README.md"), re.M
    )
    assert [name for _, name, _ in listed] == [path.name for path in pages]
    for number, name, title in listed:
        heading = text(f"docs/decisions/{name}").partition("\n")[0]
        assert name.startswith(f"{number}-"), name
        assert heading == f"# {int(number)}. {title}"


def examples(page: str, language: str = "yaml") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def test_the_readmes_runbooks_and_inventory_are_valid() -> None:
    shipped, inventory, own = examples("README.md")
    assert text("runbooks/kernel-upgrade.yml").startswith(shipped)
    hosts = read_inventory(inventory.encode(), "inventory.yml").hosts
    assert validate(own.encode(), "restart-web.yml", registry(), {*hosts}).steps()


@pytest.mark.parametrize("page", ["docs/inventory.md", "docs/practice.md", "docs/publishing.md"])
def test_the_inventories_of_the_documentation_are_valid(page: str) -> None:
    for number, example in enumerate(examples(page), 1):
        assert read_inventory(example.encode(), f"{page}, example {number}").hosts


@pytest.mark.parametrize("name", sorted(registry()))
def test_the_log_sentences_of_every_action_are_documented(name: str) -> None:
    page = " ".join(section(text("docs/runbooks.md"), f"### `{name}`").split())
    for ending, sentence in registry()[name].endings.items():
        assert f"“{' '.join(sentence.split())}”" in page, f"{name}, {ending}"
