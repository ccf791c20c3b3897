"""Values that older YAML reads as another type: yes and no, 1.20, 0644, 22:30, a tilde."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.app.registry import registry
from tastyops.errors import InvalidFile, Place, TemplateError
from tastyops.model.coercion import input_value
from tastyops.model.inventory import Host
from tastyops.model.runbook import Marked, Runbook
from tastyops.plan.plan import make_plan
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.validation import validate
from tastyops.templates.rendering import holds, render, render_value

BOOK = """
title: t
hosts: web1
inputs: {{{inputs}}}
vars: {{{vars}}}
works:
  - work: w
    steps:
      - run: "echo {{{{ host }}}}"
        {key}
"""


def book(inputs: str = "", vars: str = "", key: str = "log: Done.") -> Runbook:
    text = BOOK.format(inputs=inputs, vars=vars, key=key)
    return validate(text.encode(), "r.yml", registry(), ["web1"])


def refusals(**parts: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        book(**parts)
    return [str(each) for each in caught.value.problems]


WORDS = ["yes", "no", "on", "off", "Yes", "NO", "On", "OFF"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("part", [
    {"inputs": "wipe: {}"}, {"inputs": "wipe: {{default: {}}}"},
    {"inputs": "wipe: {{choices: [{}, maybe]}}"}, {"inputs": "wipe: [a, {}]"},
    {"inputs": "wipe: {{type: list, default: [{}]}}"},
    {"vars": "wipe: {}"}, {"vars": "wipe: {{deep: [a, {}]}}"},
    {"key": "when: {}"}, {"key": "until: {}"}, {"key": "log: {}"}, {"key": "name: {}"},
    {"key": "confirm: {}"},
])  # fmt: skip
def test_a_word_for_a_boolean_says_no_type(word: str, part: dict[str, str]) -> None:
    (found,) = refusals(**{name: text.format(word) for name, text in part.items()})
    meant = "true" if word.lower() in ("yes", "on") else "false"
    assert f"is text here and {meant} elsewhere: write {meant}, or put it in quotes" in found


@pytest.mark.parametrize("word", WORDS)
def test_with_a_type_or_in_quotes_it_says_what_it_is(word: str) -> None:
    meant = word.lower() in ("yes", "on")
    found = book(inputs=f"a: {{type: boolean, default: {word}}}, b: '{word}', "
                        f"c: {{type: text, default: {word}}}", vars=f"d: '{word}'")  # fmt: skip
    assert [each.default for each in found.inputs.values()] == [meant, word, word]
    assert isinstance(found.vars["d"], Marked)


@pytest.mark.parametrize(("given", "value"), [("no", False), ("yes", True), ("off", False)])
def test_an_operator_may_say_no_to_a_boolean_input(given: str, value: bool) -> None:
    wanted = book(inputs="wipe: {type: boolean, default: true}").inputs["wipe"]
    assert input_value(wanted, given) is value


@pytest.mark.parametrize("condition", [
    "wipe", "not wipe", "wipe and host == 'a'", "host == 'a' or not wipe", "{{ wipe }}",
    "true if wipe else false", "(wipe)",
])  # fmt: skip
@pytest.mark.parametrize("wanted", ["wipe: {help: Wipe it?}", "wipe: {type: text}", "wipe: 'no'"])
def test_a_text_is_no_condition(condition: str, wanted: str) -> None:
    (found,) = refusals(inputs=wanted, key=f'when: "{condition}"')
    assert "'when' is true for every text in 'wipe', even for 'no'" in found
    assert "give the input `type: boolean`, or compare it: wipe != ''" in found
    assert "r.yml:10:" in found


@pytest.mark.parametrize("condition", [
    "wipe == 'yes'", "wipe != ''", "wipe | length > 0", "flag", "not flag", "count > 3", "items",
    "wipe in ['a', 'b']",
])  # fmt: skip
def test_what_says_its_truth_is_a_condition(condition: str) -> None:
    book(inputs="wipe: a, flag: true, count: 3, items: [a]", key=f'when: "{condition}"')


@pytest.mark.parametrize("answer", ["no", "No", " off", "yes", "false", "n", "0"])
def test_an_answer_that_says_no_is_not_taken_for_true(answer: str) -> None:
    condition = Marked("answer.value", Place("r.yml", 3, 5))
    with pytest.raises(TemplateError, match="every text is true"):
        holds(condition, {"answer": {"value": answer}})


@pytest.mark.parametrize(("value", "truth"), [
    (True, True), (False, False), ("", False), ("6.1.0", True), (0, False), ([], False), (None, False),
])  # fmt: skip
def test_other_conditions_are_as_they_were(value: Any, truth: bool) -> None:
    assert holds(Marked("x", Place("r.yml")), {"x": value}) is truth


AS_WRITTEN = [
    "1.20", "0644", "010", "22:30", "2026-11-30", "0x1F", "0o17", "1e3", "1_000", "+5", ".5", "6.10",
    "1.0", "12345678901234567890.5", "-0", "00",
]  # fmt: skip


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_a_number_of_no_type_stays_as_it_is_written(text: str) -> None:
    found = book(inputs=f"a: {text}, b: [{text}]", vars=f"v: {text}, deep: {{list: [{text}]}}")
    assert found.inputs["a"].default == text
    assert found.inputs["b"].default == [text]
    plan = make_plan(found, [Host("web1")], {"a": text, "b": [text]}, registry())
    values = render_value(found.vars, plan.inputs)
    assert render(Marked("{{ v }} {{ deep.list | first }}", Place("f")), values, "text") == (
        f"{text} {text}"
    )
    hosts = read_inventory(f"hosts: {{a: {{vars: {{v: {text}, w: [{text}]}}}}}}".encode(), "i.yml").hosts
    assert hosts["a"].vars == {"v": text, "w": [text]}


@given(st.integers(-(10**12), 10**12))
def test_a_plain_whole_number_is_one(number: int) -> None:
    found = book(inputs=f"a: {number}", vars=f"v: {number}")
    assert (found.inputs["a"].default, found.vars["v"]) == (number, number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str))
def test_no_digit_of_a_decimal_is_lost(text: str) -> None:
    found = book(vars=f"v: {text}")
    values = render_value(found.vars, {})
    assert render(Marked("{{ v }}", Place("f")), values, "text") == text


@pytest.mark.parametrize("text", ["0644", "010", "-07", "00"])
def test_a_whole_number_may_not_be_octal_or_decimal(text: str) -> None:
    (found,) = refusals(inputs=f"a: {{type: integer, default: {text}}}")
    assert f"the default '{text}' may be octal or decimal" in found


def test_an_octal_number_may_be_written_as_one() -> None:
    assert book(inputs="a: {type: integer, default: 0o17}").inputs["a"].default == 15


@pytest.mark.parametrize("part", [{"vars": "dir: ~"}, {"inputs": "dir: ~"}, {"vars": "dirs: [a, ~]"}])
def test_a_tilde_is_not_the_home_directory(part: dict[str, str]) -> None:
    (found,) = refusals(**part)
    assert "is empty and not the home directory: write null, or put it in quotes" in found


@pytest.mark.parametrize("word", ["no", "~"])
def test_a_hosts_variable_says_its_type_too(word: str) -> None:
    with pytest.raises(InvalidFile, match=f"i.yml:1:23: '{word}' as the variable 'v'"):
        read_inventory(f"hosts: {{a: {{vars: {{v: {word}}}}}}}".encode(), "i.yml")
