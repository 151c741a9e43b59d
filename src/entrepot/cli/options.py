"""Flags: the persistent ones that every command takes, lists, and Cobra's ways to write a flag."""

from __future__ import annotations

import csv
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from entrepot.cli.session import OutputFormat, Session
from entrepot.core.errors import Invalid

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        "-a",
        metavar="URL",
        help="Server to use; else ENTREPOT_ADDRESS or PACKAGEMANAGER_ADDRESS; without either, this machine's.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="Token for that server; else ENTREPOT_TOKEN or PACKAGEMANAGER_TOKEN, else that of 'entrepot login'.",
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Configuration file of this machine's server; else ENTREPOT_CONFIG."
    ),
]
Insecure = Annotated[
    bool | None,
    typer.Option("--insecure-ssl-skip-verify", help="Don't check the server's certificate."),
]
Output = Annotated[
    str | None,
    typer.Option("--output-format", "-o", metavar="human|json", help="Form of the output (default: human)."),
]
Verbose = Annotated[
    bool | None,
    typer.Option("--verbose", "-v", help="More about what happens, on standard error."),
]

SHARED: dict[str, Any] = {
    "address": Address,
    "token": Token,
    "config": Config,
    "insecure": Insecure,
    "output_format": Output,
    "verbose": Verbose,
}
"""The persistent flags: field of the session -> annotation."""


class UsageFault(Invalid):
    """The command line itself is wrong."""

    code = "usage"


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """`function(session, ...)` as a Typer command that also takes the persistent flags.

    The flags given to a command win over those given before it. A verb with a noun only takes its flags.
    """
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]

    @functools.wraps(function)
    def command(ctx: typer.Context, **values: Any) -> None:
        session = ctx.ensure_object(Session)
        shared = {name: values.pop(name) for name in SHARED}
        session.update({**shared, "output_format": _output_format(shared["output_format"])})
        if not ctx.resilient_parsing and ctx.invoked_subcommand is None:
            function(session, **values)

    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    shared = [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in SHARED.items()]
    parameters = [context, *own, *shared]
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    vars(command)["__signature__"] = signature.replace(parameters=parameters)
    return command


def _output_format(text: str | None) -> OutputFormat | None:
    if text is None:
        return None
    try:
        return OutputFormat(text.lower())
    except ValueError:
        raise UsageFault(f"'--output-format' is either human or json, not '{text}'") from None


def split_list(values: Iterable[str] | None) -> list[str]:
    """The entries of a list flag: given once with commas, or repeatedly; a quoted entry may hold a comma."""
    rows = csv.reader(values or [], skipinitialspace=True)
    return [entry.strip() for row in rows for entry in row if entry.strip()]


class Command(TyperCommand):
    """A command whose flags may be written in Cobra's ways."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = self.get_params(ctx)
        convert_only_numbers(options)
        return super().parse_args(ctx, from_cobra(options, args))


class Group(TyperGroup):
    """A verb with nouns, whose own flags may be written in Cobra's ways; with a noun it needs none of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = self.get_params(ctx)
        convert_only_numbers(options)
        words, rest = _flags(options, args)
        if rest and rest[0] in self.commands:
            ctx.meta[_WITH_NOUN] = ctx  # the contexts of its commands have the same `meta`
        return super().parse_args(ctx, [*words, *rest])


def convert_only_numbers(options: Iterable[Any]) -> None:
    """Let text, defaults and flags that were not given pass as they are.

    Typer converts every value with pydantic, whose import takes longer than all else that most commands do. Here only
    numbers need it (the options with a minimum), and options that act at once.
    """
    for option in options:
        vars(option).setdefault("process_value", functools.partial(_process_value, option, option.process_value))


_WITH_NOUN = "entrepot.with_noun"


def _process_value(option: Any, convert: Callable[..., Any], ctx: Any, value: Any) -> Any:
    if value in (None, ()) or value == option.default:
        is_wanted = option.required and ctx.meta.get(_WITH_NOUN) is not ctx
        return convert(ctx, value) if is_wanted else value
    needs_it = option.callback is not None or getattr(option, "min", None) is not None
    return convert(ctx, value) if needs_it else value


_TRUTH = {
    **dict.fromkeys(("1", "t", "true", "yes"), True),
    **dict.fromkeys(("0", "f", "false", "no"), False),
}


def from_cobra(options: Sequence[Any], args: Sequence[str]) -> list[str]:
    """`args` with `--flag=true|false` and `-f=value` written in the way that Typer reads.

    Raises:
        UsageFault: a boolean flag has another value.
    """
    words, rest = _flags(options, args)
    return words + rest


def _flags(options: Sequence[Any], args: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the flags at the beginning as `from_cobra` writes them, the rest); the rest begins with the first word that is
    no flag, the name of a command."""
    by_name = {name: option for option in options for name in (*option.opts, *option.secondary_opts)}
    pieces: list[tuple[object, list[str]]] = []
    position = 0
    while position < len(args) and args[position].startswith("-") and args[position] not in ("-", "--"):
        word, (name, equals, value) = args[position], args[position].partition("=")
        option = by_name.get(name)
        length = 1
        if option is None or not equals:
            takes_next = option is not None and not getattr(option, "is_flag", False)
            length = 2 if takes_next else 1
            pieces.append((option, list(args[position : position + length])))
        elif option.is_flag:
            pieces = _set_flag(pieces, option, name, value)
        else:
            pieces.append((option, [word] if name.startswith("--") else [name, value]))
        position += length
    return [word for _, words in pieces for word in words], list(args[position:])


def _set_flag(
    pieces: list[tuple[object, list[str]]], option: Any, name: str, value: str
) -> list[tuple[object, list[str]]]:
    """`pieces` with the flag on or off; the last mention of a flag wins."""
    truth = _TRUTH.get(value.lower())
    if truth is None:
        raise UsageFault(f"'{name}' is either true or false, not '{value}'")
    others = [piece for piece in pieces if piece[0] is not option]
    if name in option.secondary_opts:
        truth = not truth
    if truth:
        return [*others, (option, [option.opts[0]])]
    return [*others, (option, list(option.secondary_opts[:1]))]
