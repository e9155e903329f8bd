"""docs/configuration.md, written from the settings models: ``python -m tests.house.configuration_page``."""

from collections.abc import Callable

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from cloud_api.config import Settings as CloudSettings
from edge_agent.config import Settings as AgentSettings
from provisioning.config import HqSettings, UpSettings
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "configuration.md"

_INTRODUCTION = """\
# Configuration

Written by `python -m tests.house.configuration_page` from the settings models; a test keeps the two equal. A wrong value ends
the program with code 2 and a line that names the key, its value and what is allowed.
"""

_UP = """\
## `beckon up` and `make run`

Read from the environment.

"""

_HQ = """\
## `beckon plan`, `apply`, `campaign` and other commands that ask HQ

Read from the environment, where the call does not say it.

"""

_AGENT = """\
## `beckon-agent`

`beckon-agent run --config FILE` reads a TOML file with these keys; environment variables named `BECKON_AGENT_` and the key in
capitals outrank it. `beckon up` writes that file for its own agent; for the keys that it writes, variables do not count.

"""

_CLOUD = """\
## `beckon-cloud`

`beckon-cloud run --config FILE` reads a TOML file with these keys; environment variables named `BECKON_CLOUD_` and the key in
capitals outrank it. `beckon up` writes that file for its own cloud; for the keys that it writes, variables do not count.

"""

_TESTS = """\
## Tests

| variable | default | meaning |
|---|---|---|
| `BECKON_REQUIRE_ALL` | unset | With `1`, a test whose tool is missing fails instead of being skipped. |
| `BECKON_DATA` | `../shared/data` | Folder of recordings that some tests measure against; those are skipped without it. |
"""


def page() -> str:
    return "\n".join(
        (
            _INTRODUCTION,
            _UP + _table(UpSettings, "variable", lambda key: f"BECKON_{key.upper()}"),
            _HQ + _table(HqSettings, "variable", lambda key: f"BECKON_{key.upper()}"),
            _AGENT + _table(AgentSettings, "key", lambda key: key),
            _CLOUD + _table(CloudSettings, "key", lambda key: key),
            _TESTS,
        )
    )


def _table(settings: type[BaseSettings], heading: str, shown: Callable[[str], str]) -> str:
    lines = [f"| {heading} | default | meaning |", "|---|---|---|"]
    for key, field in settings.model_fields.items():
        assert field.description, f"{settings.__name__}.{key} has no description"
        lines.append(f"| `{shown(key)}` | {_default(field.default)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
