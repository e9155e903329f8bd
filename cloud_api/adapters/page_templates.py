"""Renders the console's templates. Everything that is filled in is escaped; nothing that is missing passes unseen."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


class PageTemplates:
    """The templates in ``web/console``."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("cloud_api", "web/console"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def render(self, name: str, facts: Mapping[str, object]) -> str:
        """Errors: jinja2.UndefinedError for a fact that the template names and nobody gave."""
        return self._environment.get_template(name).render(facts)
