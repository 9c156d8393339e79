"""Commands with two pages of help, and with global options at any place."""

import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from transformer.model_names import check_spelled_name

from ..console import print_notice
from ..errors import USAGE
from ..options.groups import MODEL_METAVARS
from . import install
from .mistakes import reword, too_many, unknown_command
from .render import full_page, short_page, shown_on
from .repeated import repeated_notices

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
        write_page(page(context), sys.stdout)
        raise typer.Exit


def write_page(page: str, stream: TextIO) -> None:
    """Write a page as far as a stream can show it."""
    encoding = stream.encoding or "utf-8"
    text = f"{shown_on(stream, page).encode(encoding, 'replace').decode(encoding)}\n"
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:  # which does not know its stream
        error.filename = error.filename or "stdout"
        raise


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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; a mistake is told in the program's own words.

        So is a value that is ignored since the same option is given again.
        """
        try:
            rest: list[str] = super().parse_args(ctx, [*args])  # type: ignore[misc]
        except typer.TyperException as error:
            if not hasattr(error, "format_message"):
                raise
            ctx.fail(reword(error, ctx, args))
        for notice in repeated_notices(ctx, args):
            print_notice(notice)
        return rest


class HelpCommand(_Helpful, TyperCommand):
    """A command with two pages of help and the global options."""

    allow_extra_args = True  # which are refused here

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, which may hold no more arguments than the command takes."""
        if more := super().parse_args(ctx, args):
            ctx.fail(too_many(more, self))
        return more

    def invoke(self, ctx: Any) -> Any:
        """Run the command, quietly where an outer command was asked for that."""
        if ctx.meta.get(_QUIET) and "quiet" in ctx.params:
            ctx.params["quiet"] = True
        for name in _named_models(self, ctx):
            check_spelled_name(name)
        return super().invoke(ctx)


def _named_models(command: Any, context: Any) -> Iterator[str]:
    """Yield the names of models on a command line, as they are spelled there."""
    for parameter in command.params:
        if str(parameter.metavar).rstrip(".") in MODEL_METAVARS:
            values = context.params.get(parameter.name)
            yield from [values] if isinstance(values, str) else values or ()


class HelpGroup(_Helpful, TyperGroup):
    """A group of commands with two pages of help and the global options.

    Without a command it shows the short page on stderr, as a mistake, whatever its options are.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "no_args_is_help": False, "invoke_without_command": True})

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is named."""
        answer = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            write_page(short_page(ctx), sys.stderr)
            raise typer.Exit(USAGE)
        return answer

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, of which `help COMMAND` means `COMMAND --help`."""
        word = next((i for i, word in enumerate(args) if not word.startswith("-")), None)
        if word is not None and args[word] == "help":  # as in --debug help train
            args = [*args[:word], *args[word + 1 :], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named; an unknown one is an error that names the likely."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(unknown_command(args[0], ctx))
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
