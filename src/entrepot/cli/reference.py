"""Writes the command reference: `python -m entrepot.cli.reference > docs/commands.md`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from entrepot.cli.main import EXIT_CODES, GRAMMAR, INTERRUPTED, PROGRAM, build
from entrepot.cli.options import SHARED

INTRODUCTION = """\
# Commands

<!-- Written by `python -m entrepot.cli.reference > docs/commands.md`; change the commands, not this page. -->

A command is a verb, for some a noun, and flags: `entrepot create repo --name=cran`. A flag's value follows after `=`
or a space; an on/off flag also takes `=true` or `=false`. A flag for a list takes commas or is repeated:
`--path=a.tar.gz,b.tar.gz` is `--path=a.tar.gz --path=b.tar.gz`; quotes keep a comma (`--path='"a,b.tar.gz"'`).
`entrepot help VERB NOUN` and `-h` show help.

With an address the command speaks to that server; writing needs its token. Without one it speaks to the server of this
machine, and if none runs on the configured data folder, it does the work itself, as the user who may read that folder.

Results go to standard output, everything else to standard error. With `--output-format=json` standard output gets
exactly one JSON document, and an error is `{"code", "error", "hint", "payload"}` on standard error.
"""
EXITS = {
    "NotFound": "what was named does not exist",
    "Conflict": "it collides with what is there: a name is taken, a version exists, a sync runs",
    "Invalid": "the command line, a file or a value is wrong",
    "Unauthenticated": "the token is missing or wrong, or may not do this",
    "UpstreamUnavailable": "the server, or the upstream of a mirror, can't be reached or answers nonsense",
    "BuildFailed": "a build failed",
    "OutOfSpace": "the disk of the server is full; nothing was changed",
}


def reference() -> str:
    """The whole page, in Markdown."""
    root = typer.main.get_command(build())
    parts = [INTRODUCTION, *_exits(), *_shared(root)]
    for words in GRAMMAR:
        parts += _command(words, _find(root, words))
    return "\n".join(parts).rstrip() + "\n"


def _find(root: Any, words: str) -> Any:
    command = root
    for word in words.split():
        command = command.commands[word]
    return command


def _exits() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | means |\n| --- | --- |\n| 0 | done |\n| 1 | an error that nobody expected |"
    for kind, meaning in sorted(EXITS.items(), key=lambda item: EXIT_CODES[item[0]]):
        yield f"| {EXIT_CODES[kind]} | {meaning} |"
    yield f"| {INTERRUPTED} | stopped with Ctrl-C |\n"


def _shared(root: Any) -> Iterator[str]:
    yield "## Flags of every command\n\nBefore the verb or after it; after it wins.\n"
    yield from _table([option for option in root.params if option.name in SHARED])
    yield f"\n`{PROGRAM} -V` or `{PROGRAM} --version` prints the version.\n"


def _command(words: str, command: Any) -> Iterator[str]:
    own = [option for option in command.params if option.name not in SHARED]
    yield f"## {PROGRAM} {words}\n"
    yield inspect.cleandoc(GRAMMAR[words].__doc__ or "") + "\n"
    if own:
        yield from _table(own)
        yield ""


def _table(options: list[Any]) -> Iterator[str]:
    yield "| flag | meaning |\n| --- | --- |"
    for option in options:
        yield f"| `{_flag(option)}` | {_meaning(option)} |"


def _flag(option: Any) -> str:
    if option.param_type_name == "argument":
        return str(option.metavar)
    names = ", ".join([*sorted(option.opts, key=len), *option.secondary_opts])
    return names if option.is_flag else f"{names}={option.metavar}".replace("|", "\\|")


def _meaning(option: Any) -> str:
    default = option.default
    notes = "required" if option.required else "" if default in (None, "", False) else f"default: {default}"
    if getattr(option, "is_flag", False) and default:
        notes = f"default: {option.opts[0]}"
    text = (option.help or "").replace("|", "\\|")
    return f"{text} ({notes})" if notes else text


if __name__ == "__main__":
    print(reference(), end="")
