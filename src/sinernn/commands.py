"""How words on the command line are taken: typer's own ways, where they do not serve."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from typer.core import TyperCommand, TyperGroup

from sinernn.errors import ConfigError, Place, Problem, printable


class Commands(TyperGroup):
    """All commands; what is told of words that were typed wrongly is harmless to a terminal."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the words before the command."""
        with _harmless():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Parse the words behind the command, and run it."""
        with _harmless():
            return super().invoke(ctx)


@contextmanager
def _harmless() -> Generator[None]:
    """Escape control codes in the message of whatever error comes from typer."""
    try:
        yield
    except Exception as error:  # typer's classes have no public names
        message = getattr(error, "message", None)
        if isinstance(message, str):
            cast("Any", error).message = printable(message, 1000)
        raise


class TakesOverrides(TyperCommand):
    """A command whose users may write a setting as an option, by habit."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words behind the command.

        Raises:
            ConfigError: An option is a setting.
        """
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # typer's class for an unknown option has no public name
            option = getattr(error, "option_name", None)
            if option is not None:
                _explain_setting(option, words)
            raise


def _explain_setting(option: str, words: list[str]) -> None:
    from sinernn.config import Config, setting_paths
    from sinernn.config.overrides import override_for_option

    for at, word in enumerate(words):
        if word.split("=")[0] != option:
            continue
        if meant := override_for_option(words[at:], list(setting_paths(Config))):
            message = f"is no option; settings are written without dashes: {meant}"
            raise ConfigError([Problem(Place(word), (), message)])
