"""Templates: what is refused before anything runs, and how values are rendered."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastyops.errors import CannotKnow, Place, TemplateError
from tastyops.model.commands import Unknown
from tastyops.model.runbook import Marked
from tastyops.templates import rendering

NAMES: rendering.Names = {
    "host": None,
    "kernel": frozenset({"version", "stdout"}),
    "x": None,
    "items": None,
}
PRIVATE = {"kernel": frozenset({"stdout"})}
VALUES: dict[str, Any] = {
    "host": "kalimdor",
    "kernel": {"version": "6.1.0", "stdout": "s3cret"},
    "x": "it's",
    "items": ["a", "b c"],
    "unknown": Unknown("1.2"),
}


def marked(text: str) -> Marked:
    return Marked(text, Place("f.yml", 3, 7))


def problems(text: str, form: rendering.Form = "text") -> list[str]:
    return [str(problem) for problem in rendering.check(marked(text), NAMES, form, PRIVATE)]


REFUSED = {
    "undefined": ("{{ hots }}", "f.yml:3:10: 'hots' is not defined here (did you mean 'host'?)"),
    "second line": ("a\nb {{ y }}", "f.yml:4:6: 'y' is not defined here"),
    "field": ("{{ kernel.versoin }}", "f.yml:3:17: 'kernel' has no field 'versoin' (did you mean"),
    "item": ("{{ kernel['versoin'] }}", "f.yml:3:17: 'kernel' has no field 'versoin'"),
    "class": ("{{ x.__class__ }}", "f.yml:3:12: '__class__' is refused"),
    "class item": ("{{ x['__class__'] }}", "f.yml:3:12: '__class__' is refused"),
    "attr": ("{{ x | attr('__class__') }}", "f.yml:3:14: there is no filter 'attr'"),
    "underscore": ("{{ _x }}", "f.yml:3:10: '_x' is refused"),
    "loop": (
        "{% for i in items %}{% endfor %}",
        "f.yml:3:10: loops are not available in a template",
    ),
    "endless": (
        "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
        "f.yml:3:10: loops are not available in a template (use `| join`)",
    ),
    "macro": ("{% macro m() %}{% endmacro %}", "f.yml:3:10: macros are not available"),
    "set": ("{% set a = 1 %}", "f.yml:3:10: nothing can be set in a template"),
    "include": ("{% include 'x' %}", "f.yml:3:10: a template cannot take in another"),
    "call": ("{{ x.upper() }}", "f.yml:3:17: nothing can be called in a template"),
    "global": ("{{ range(9) }}", "f.yml:3:15: nothing can be called in a template"),
    "power": ("{{ 10 ** 9 }}", "f.yml:3:13: powers are not available"),
    "slice": ("{{ x[1:] }}", "f.yml:3:13: slices are not available"),
    "self": ("{{ self }}", "f.yml:3:10: 'self' is not available"),
    "filter": ("{{ x | uper }}", "f.yml:3:14: there is no filter 'uper' (did you mean 'upper'?)"),
    "test": (
        "{{ x is defind }}",
        "f.yml:3:15: there is no test 'defind' (did you mean 'defined'?)",
    ),
    "open": ("{{ x", "f.yml:3:7: a '{{' or '{%' is not closed"),
    "empty": ("a {{ }}", "f.yml:3:9: an expression is cut short or empty"),
    "deep": (
        f"{{{{ {'(' * 3000}1{')' * 3000} }}}}",
        "f.yml:3:7: this template is nested too deeply",
    ),
    "deep not": ("{{ " + "not " * 3000 + "x }}", "f.yml:3:7: this template is nested too deeply"),
    "long sum": ("{{ " + "+".join("1" * 3000) + " }}", "f.yml:3:7: this is nested too deeply"),
    "dots": ("{{ x" + ".a" * 3000 + " }}", "f.yml:3:7: this is nested too deeply"),
    "digits": ("{{ " + "9" * 5000 + " }}", "f.yml:3:7: a number in this template is too large"),
    "size": ("x" * 20_000, "f.yml:3:7: a template cannot be longer than 16 KiB"),
    "star": ("{{ items | join(*items) }}", "f.yml:3:23: a filter's arguments must be written out"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_with_its_place(text: str, said: str) -> None:
    began = time.process_time()
    found = problems(text)
    assert any(line.startswith(said) for line in found), found
    assert time.process_time() - began < 2


def test_a_refused_template_does_not_run_either() -> None:
    for text, _ in REFUSED.values():
        with pytest.raises(TemplateError):
            rendering.render(marked(text), VALUES, "text")


UNSAFE = {
    "single": ("echo '{{ x }}'", "f.yml:3:13: a value inside quotes in a shell command"),
    "double": ('echo "{{ x }}"', "f.yml:3:13: a value inside quotes in a shell command"),
    "double, escaped": ('echo "a\\"{{ x }}"', "f.yml:3:16: a value inside quotes"),
    "backticks": ("echo `ls {{ x }}`", "f.yml:3:16: a value inside backticks"),
    "in backticks in $(": ("echo `a $(b {{ x }})`", "f.yml:3:19: a value inside backticks"),
    "heredoc": ("cat <<EOF\n{{ x }}\nEOF", "f.yml:4:1: a value inside a here-document"),
    "heredoc, odd end": ("cat <<$A\n{{ x }}\n", "f.yml:4:1: a value inside a here-document"),
    "heredoc with -": ("cat <<-'E F'\n{{ x }}\n", "f.yml:4:1: a value inside a here-document"),
    "comment": ("ls # {{ x }}", "f.yml:3:12: a value in a comment"),
    "dollar": ("echo ${{ x }}", "f.yml:3:13: a value straight after '$'"),
    "backslash": ("echo \\{{ x }}", "f.yml:3:13: a value straight after '\\'"),
    "parameter": ("echo ${a:-{{ x }}}", "f.yml:3:17: a value inside ${ }"),
    "arithmetic": ("echo $((1 + {{ x }}))", "f.yml:3:19: a value inside $(( ))"),
    "ansi": ("echo $'a\\'' {{ x }} '", "f.yml:3:19: a value after $'…'"),
    "branches": ("{% if x %}'{% endif %}{{ x }}'", "f.yml:3:7: the branches of this `if` leave"),
    "inner quotes": ("echo \"$(ls '{{ x }}')\"", "f.yml:3:19: a value inside quotes"),
}


@pytest.mark.parametrize(("text", "said"), UNSAFE.values(), ids=UNSAFE)
def test_where_quoting_would_not_protect(text: str, said: str) -> None:
    assert problems(text, "shell")[0].startswith(said)
    assert problems(text, "text") == []
    raw = text.replace("{{ x }}", "{{ x | raw }}")
    assert "branches" in text or said.endswith("leave") or problems(raw, "shell") == []


SAFE = [
    "echo {{ x }}",
    "echo 'a' {{ x }} \"b\"",
    "echo it\\'s {{ x }}",
    'echo "$(ls {{ x }})"',
    "(cd {{ x }} && ls) # done",
    "cat <<EOF\nhe said 'no\nEOF\necho {{ x }}",
    "cat <<-'EOF'\n\t\"\n\tEOF\necho {{ x }}",
    "cat <<< {{ x }}",
    "# don't\necho {{ x }}",
    "echo a#b' ' {{ x }}",
    "echo $((1 << 2)) {{ x }}",
    "echo $(( (1) + (2) )) {{ x }}",
    "echo ${#a} ${a#b} {{ x }}",
    "a={{ x }}{{ x }}",
    "{% if x %}-v{% endif %} {{ x }}",
]


@pytest.mark.parametrize("text", SAFE)
def test_where_quoting_protects(text: str) -> None:
    assert problems(text, "shell") == []


ARGUMENTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
NASTY = st.text(alphabet="'\"\\$`();|&<> \n\t*?~!#-={}[]a", max_size=30)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(ARGUMENTS | NASTY, min_size=1, max_size=4))
def test_a_value_arrives_in_the_shell_as_it_is(values: list[str]) -> None:
    names = {"one": values[0], "all": values}
    text = "printf '%s\\0' {{ one }} x{{ one }}y \"$(printf %s {{ one }}; echo .)\" {{ all }}"
    assert rendering.check(marked(text), dict.fromkeys(names), "shell") == []
    command = rendering.render(marked(text), names, "shell")
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    wanted = [values[0], f"x{values[0]}y", f"{values[0]}.", *values]
    assert done.stdout.decode().split("\0")[:-1] == wanted


RENDERED = [
    ("{{ host }}: {{ items }}", "kalimdor: a, b c", "kalimdor: a 'b c'"),
    ("{{ x }}", "it's", "'it'\"'\"'s'"),
    ("{{ x | raw }}", "it's", "it's"),
    ("{{ x | quote }}", "'it'\"'\"'s'", "'it'\"'\"'s'"),
    ("{{ x | raw | upper }}", "IT'S", "'IT'\"'\"'S'"),
    ("{{ 1.0 }} {{ true }}", "1 true", "1 true"),
    ("{{ '-v' if false }}", "", ""),
    ("{% if items %}y{% else %}n{% endif %}", "y", "y"),
    ("{{ items | sort(reverse=true) | join('-') }}", "b c-a", "'b c-a'"),
    ("{{ '/etc/fstab' | basename }}", "fstab", "fstab"),
    ("{{ 'a,b' | split(',') | last }}", "b", "b"),
    ("{{ 2.567 | round(1) }} {{ 2.567 | round }}", "2.6 3", "2.6 3"),
    ("{{ '5' | int + 1 }} {{ 7 // 2 }} {{ -7 % 4 }}", "6 3 1", "6 3 1"),
    ("{{ x.nothing | default('d') }} {{ none | default('e') }}", "d e", "d e"),
    ("{{ 'a' in items and x is string and not x is none }}", "true", "true"),
    ("{{ items | length }} {{ items | first }} {{ items[1] | title }}", "2 a B C", "2 a 'B C'"),
    ("{{ 'a' ~ 1 ~ items | unique | list | join }}\n", "a1ab c\n", "'a1ab c'\n"),
]


@pytest.mark.parametrize(("text", "plain", "shell"), RENDERED)
def test_rendered(text: str, plain: str, shell: str) -> None:
    assert rendering.render(marked(text), VALUES, "text") == plain
    assert rendering.render(marked(text), VALUES, "shell") == shell


FAILING = [
    ("{{ nope }}", "'nope' is undefined"),
    ("a {{ kernel.versoin }}", "f.yml:3:9: there is no field 'versoin' (did you mean 'version'?)"),
    ("{{ 1 / 0 }}", "division by zero"),
    ("{{ x + 1 }}", "'+' does not work with these values"),
    ("{{ 'a' * 10 }}", "'*' does not work with these values"),
    ("{{ '%999999999d' % 1 }}", "'%' does not work with these values"),
    ("{{ x < 1 }}", "not supported between"),
    ("{{ 'abc' | int }}", "a value is not a whole number"),
    ("{{ kernel }}", "a mapping cannot stand in a text"),
    ("{{ items[5] }}", "there is no item 5"),
    ("{{ 'a' | replace('', 1) | replace('', big) | replace('', big) }}", "longer than"),
    ("{{ big ~ big }}", "the result is longer than 64 KiB"),
    ("{{ big | join(big) }}", "the result is longer than 1024 KiB"),
    ("{{ 99999999999 * 99999999999 }}", "a number is too large"),
    ("{{ 1e999 | int }}", "a number in this template is too large"),
    ("{{ items | sort(attribute='x') }}", "cannot be worked out"),
]


@pytest.mark.parametrize(("text", "said"), FAILING)
def test_a_failure_is_an_error_with_its_place(text: str, said: str) -> None:
    began = time.process_time()
    with pytest.raises(TemplateError) as caught:
        rendering.render(marked(text), {**VALUES, "big": "y" * 50_000}, "text")
    assert said in str(caught.value)
    assert str(caught.value).startswith("f.yml:3:")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("value", [None, {"a": 1}, [["a"]], "a\0b"])
def test_what_cannot_stand_in_a_shell_command(value: Any) -> None:
    with pytest.raises(TemplateError):
        rendering.render(marked("echo {{ v }}"), {"v": value}, "shell")


@pytest.mark.parametrize(
    "text",
    [
        "{{ unknown }}",
        "{{ unknown.a }}",
        "{{ unknown['a'] }}",
        "{{ unknown is none }}",
        "{{ unknown == 1 }}",
        "{{ unknown | default('x') ~ 'a' }}",
        "{{ unknown | length }}",
    ],
)
def test_what_a_dry_run_cannot_know_passes_through(text: str) -> None:
    for form in ("text", "shell"):
        with pytest.raises(CannotKnow):
            rendering.render(marked(text), VALUES, form)


def test_expressions() -> None:
    assert rendering.evaluate(marked("kernel.version == '6.1.0'"), VALUES) is True
    assert rendering.evaluate(marked(" {{ items }}\n"), VALUES) == ["a", "b c"]
    assert isinstance(rendering.evaluate(marked("unknown"), VALUES), Unknown)
    assert rendering.evaluate(marked("[x, 1]"), VALUES) == ["it's", 1]
    for text in ("nope", "[nope]", "x }} {{ x", "", "{{ x }} == 1", "x >", "x.upper()"):
        with pytest.raises(TemplateError):
            rendering.evaluate(marked(text), VALUES)
    assert problems("hots > 1", "expression")[0].startswith("f.yml:3:7: 'hots' is not defined")
    assert problems("{{ hots }}", "expression")[0].startswith("f.yml:3:10: 'hots' is not")
    assert "without braces" in problems("{{ x }} == 1", "expression")[0]


def test_a_single_expression_keeps_its_type() -> None:
    value = {"a": [marked("{{ unknown }}"), 1], "b": marked("{{ items }} x"), "c": None}
    rendered = rendering.render_value(value, VALUES)
    assert isinstance(rendered["a"][0], Unknown)
    assert rendered["b"] == "a, b c x"
    assert rendered["a"][1] == 1
    assert rendering.render_value(marked("{{ items | length }}\n"), VALUES) == 2


def test_names_used() -> None:
    value = [marked("{{ a.b }} {% if c %}{% endif %}"), {"k": marked("plain")}, 5, None]
    assert rendering.names_used(value) == {"a", "c"}
    assert rendering.names_used(marked("a > b.c"), "expression") == {"a", "b"}


def test_private_fields_are_refused_before_anything_runs() -> None:
    said = "f.yml:3:17: 'kernel.stdout' is private and this text is public"
    assert problems("{{ kernel.stdout }}", "public")[0].startswith(said)
    assert problems("{{ kernel['stdout'] }}", "public")[0].startswith(said)
    assert problems("{{ kernel }}", "public")[0].startswith(
        "f.yml:3:10: 'kernel' is a whole result"
    )
    assert problems("{{ kernel.version }}", "public") == []
    assert problems("{{ kernel.stdout }}", "text") == []


LEAKS = [
    "{{ kernel['std' ~ 'out'] }}",
    "{{ kernel.stdout | default('a') }}",
    "{{ kernel.stdout is none }}",
    "{{ [kernel.stdout] | join }}",
    "{{ [kernel.stdout] | unique | length }}",
    "{{ kernel.stdout in ['a'] }}",
    "{{ 's3cret' == kernel.stdout }}",
    "{{ kernel.stdout ~ 'a' }}",
    "{{ kernel.stdout | length }}",
    "{{ kernel.stdout.x }}",
    "{{ items[kernel.stdout] }}",
    "{{ 'a' if kernel.stdout }}",
    "{{ kernel.stdout | raw }}",
    "{{ kernel.stdout is string }}",
    "{{ kernel.stdout < 'x' }}",
    "{{ {'a': kernel.stdout}.a }}",
    "{{ whole }}",
    "{{ whole.a }}",
]


@pytest.mark.parametrize("text", LEAKS)
def test_nothing_private_leaks_into_a_sentence(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        rendering.render_public(
            marked(text), {**VALUES, "whole": "s3cret"}, {**PRIVATE, "whole": None}
        )
    assert "is private" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_sentence_is_one_line() -> None:
    names = {"v": "a\nb\x1b[31m\u202ec"}
    assert rendering.render_public(marked("v: {{ v }}"), names, {}).text == "v: a bc"


@given(st.text(alphabet="{}%#()[]|.'\"ab1+~*-_ \n,:if", max_size=60))
def test_any_text_is_checked_and_rendered_or_refused(text: str) -> None:
    names = {"a": "x", "b": [1], "if": 1}
    where = set()
    for form in ("text", "shell", "public", "expression"):
        found = rendering.check(marked(text), dict.fromkeys(names), form)
        assert all(problem.place.line >= 3 for problem in found)
        assert all(problem.place.column >= 1 for problem in found)
    for work in (
        lambda: rendering.render(marked(text), names, "text"),
        lambda: rendering.render(marked(text), names, "shell"),
        lambda: rendering.render_public(marked(text), names, {"a": None}),
        lambda: rendering.render_value(marked(text), names),
        lambda: rendering.evaluate(marked(text), names),
    ):
        try:
            work()
        except TemplateError as error:
            where.add(error.problem.place.file)
    assert where <= {"f.yml"}
