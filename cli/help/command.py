"""Commands with two pages of help, and with global options at any place."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from transformer.registry import suggest

from . import install
from .mistakes import reword
from .render import full_page, short_page

_QUIET = "transduce.quiet"  # in a context's `meta`, which inner commands share


def add_pages(app: typer.Typer, kind: type["HelpGroup"]) -> None:
    """Give an app, all its commands and groups their help pages and global options."""
    app.info.cls = kind
    for group in app.registered_groups:
        group.cls = HelpGroup
        if group.typer_instance is not None:
            add_pages(group.typer_instance, HelpGroup)
    for command in app.registered_commands:
        command.cls = HelpCommand


def _show_page(context: Any, parameter: Any, value: bool) -> None:
    """Print a page and exit: the short one for -h."""
    if value and not context.resilient_parsing:
        page = short_page if parameter.opts == ["-h"] else full_page
        encoding = sys.stdout.encoding or "utf-8"
        text = page(context).encode(encoding, "replace").decode(encoding)
        sys.stdout.write(f"{text}\n")
        raise typer.Exit


def _show_version(context: Any, parameter: Any, value: bool) -> None:
    """Print the version and exit."""
    del parameter
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        sys.stdout.write(f"transduce {version('transduce')}\n")
        raise typer.Exit


def _set_debug(context: Any, parameter: Any, value: bool) -> None:
    """Ask for tracebacks with errors."""
    del parameter
    if value and not context.resilient_parsing:
        os.environ["TRANSDUCE_DEBUG"] = "1"


def _set_quiet(context: Any, parameter: Any, value: bool) -> None:
    """Ask the command that follows for no progress."""
    del parameter
    if value:
        context.meta[_QUIET] = True


def _flag(names: str, callback: Any, text: str, *, eager: bool = True) -> TyperOption:
    return TyperOption(
        param_decls=names.split(),
        is_flag=True,
        default=False,
        expose_value=False,
        is_eager=eager,
        callback=callback,
        help=text,
        rich_help_panel="Help and errors",
    )


def _global_options(own: list[Any]) -> list[Any]:
    """Return the options that every command has, but for those that it has itself."""
    options = [
        _flag("-q --quiet", _set_quiet, "Write no progress and no summary to stderr."),
        _flag("--debug", _set_debug, "Show a traceback with an error."),
        _flag("-V --version", _show_version, "Show the version and exit."),
        _flag("-h", _show_page, "Show what is used daily and exit."),
        _flag("--help", _show_page, "Show all options and exit."),
    ]
    taken = {name for parameter in own for name in parameter.opts}
    return [option for option in options if not taken & {*option.opts}]


class _Helpful:
    """Help and global options, which commands and groups of them share."""

    params: list[Any]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "add_help_option": False})
        self.params += _global_options(self.params)

    def get_help(self, ctx: Any) -> str:
        """Return the page of --help."""
        return full_page(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; a mistake is told in the program's own words."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc, no-any-return]
        except typer.TyperException as error:
            if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
                raise
            message = reword(error, self)
        return ctx.fail(message)  # type: ignore[no-any-return]


class HelpCommand(_Helpful, TyperCommand):
    """A command with two pages of help and the global options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, quietly where an outer command was asked for that."""
        if ctx.meta.get(_QUIET) and "quiet" in ctx.params:
            ctx.params["quiet"] = True
        return super().invoke(ctx)


class HelpGroup(_Helpful, TyperGroup):
    """A group of commands with two pages of help and the global options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, of which `help COMMAND` means `COMMAND --help`."""
        word = next((i for i, word in enumerate(args) if not word.startswith("-")), None)
        if word is not None and args[word] == "help":  # as in --debug help train
            args = [*args[:word], *args[word + 1 :], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named; an unknown one is an error that names the likely."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"no command is called {args[0][:100]!r}; {suggest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


class Program(HelpGroup):
    """The whole program, which shells learn to complete."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.params += [
            _flag(
                "--install-completion",
                install.install,
                "Let a shell complete: bash, zsh or fish, if named behind it, else this one.",
            ),
            _flag(
                "--show-completion",
                install.show,
                "Show the script for that, to install it otherwise.",
            ),
        ]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; behind the options of completion a shell may be named."""
        for i, word in enumerate(args):
            name, equals, shell = word.partition("=")
            if name in ("--install-completion", "--show-completion"):
                after = args[i + 1 :]
                if not equals and after and not after[0].startswith("-"):
                    shell, *after = after
                ctx.meta[install.SHELL_NAME] = shell
                args = [*args[:i], name, *after]
                break
            if not word.startswith("-"):
                break
        return super().parse_args(ctx, args)
