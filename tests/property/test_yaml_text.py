"""Our reading of YAML against ruamel's own: the same values of whatever it writes, and only one error for any text."""

from contextlib import suppress
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from provisioning.adapters.yaml_text import NotYaml, content_of, lines_of

# Spellings that YAML 1.1 and 1.2 take for other things than text, among them.
WORDS = st.sampled_from(
    [
        "on",
        "off",
        "yes",
        "null",
        "~",
        "1",
        "012",
        "1_000",
        "0x1F",
        "1.5",
        ".inf",
        "2026-11-21",
        "2026-13-45",
        "<<",
        "- a",
        "a: b",
        "#",
    ]
) | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.datetimes()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
SYNTAX = st.text(st.sampled_from(list("ab:-?[]{},&*!|>'\"%@#<~ \n\t1.")), max_size=40)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, item in inside for each in paths(item, (*path, key)))]


@given(VALUES, st.booleans())
def test_what_ruamel_writes_is_read_as_ruamel_reads_it(value: Any, flow: bool) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    text = StringIO()
    yaml.dump(value, text)
    read = content_of(text.getvalue())
    assert read.value == YAML(typ="safe", pure=True).load(text.getvalue())
    assert read.repeated == ()


@given(VALUES)
def test_every_path_has_a_line_and_lines_do_not_fall(value: Any) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    text = StringIO()
    yaml.dump(value, text)
    content = content_of(text.getvalue()).value
    wanted = paths(content)
    lines = lines_of(text.getvalue(), wanted)
    told = [lines[path] for path in wanted]
    assert told == sorted(told)
    assert told[-1] <= text.getvalue().count("\n") + 1


@given(SYNTAX)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(NotYaml):
        lines_of(text, paths(content_of(text).value))
