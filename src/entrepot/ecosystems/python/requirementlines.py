"""pip's requirements and constraints files, a requirement a line (pip: "Requirements File Format"; PEP 508)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache

from packaging.markers import Marker
from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet

from entrepot.core.errors import EntrepotError, Invalid
from entrepot.core.model import Sha256
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.python import names

LONGEST = 10_000
"""Characters of one requirement without its hashes; far more than any has."""
_SHOWN = 100

_COMMENT = re.compile(r"(?:^|\s)#.*")
_OPTIONS = re.compile(r"(?:^|\s)-")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_EXTRAS = re.compile(rf"\[[ \t]*({_NAME.pattern}(?:[ \t]*,[ \t]*{_NAME.pattern})*)[ \t]*\][ \t]*")
_BOUND = re.compile(r"(==|>=|<=|!=|<|>|~=(?=[ \t]*(?:[0-9]+!)?[0-9]+\.[0-9]))[ \t]*([0-9a-z.!]+)")
_SHA256 = re.compile(r"--hash[= ]sha256:([0-9a-fA-F]{64})")
_ONLY_SHA256 = re.compile(r"(?:\s*--hash[= ]sha256:[0-9a-fA-F]{64}(?=\s|$))+\s*")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"[a-z+]+://|file:|[~./\\]|[A-Za-z]:\\|[^\s;]*[/\\]")
_FILES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz", ".tar.xz", ".tar")
"""What ends so is a file for pip, though PEP 508 allows it as a name."""
_SINGLE_EQUALS = re.compile(r"([A-Za-z0-9._-]+)[ \t]*=[ \t]*([A-Za-z0-9.!+]+)")

_AN_EXAMPLE = "a line is such as numpy, numpy>=1.26,<3 or uvicorn[standard]==0.34.0"
_FROM_AN_INDEX = "packages of an index only, by name and version: neither addresses nor paths"

_WHERE_TO_LOOK = frozenset(
    {
        "-i",
        "--index-url",
        "--pypi-url",
        "--extra-index-url",
        "--no-index",
        "-f",
        "--find-links",
        "--trusted-host",
        "--pre",
        "--all-releases",
        "--only-final",
        "--no-binary",
        "--only-binary",
        "--prefer-binary",
        "--require-hashes",
        "--use-feature",
        "--process-dependency-links",
    }
)
"""Options of a file that say where and how pip is to look, which is the source's business here."""
_HOW_TO_BUILD = frozenset({"-C", "--config-settings", "--config-setting", "--global-option", "--install-option"})
"""Options of a requirement that say nothing of which files are wanted."""
_INCLUDED = frozenset({"-r", "--requirement", "-c", "--constraint"})
_EDITABLE = frozenset({"-e", "--editable"})


def requirements(text: str) -> Iterator[tuple[int, Requirement | EntrepotError]]:
    """What each line asks for, or what is wrong with it, with its number; lines that ask for nothing are left out.

    A line that goes on after a backslash has the number of its first part.
    """
    for number, line in _lines(text):
        try:
            wanted = _of_line(line, number)
        except Invalid as error:
            yield number, error
        else:
            if wanted is not None:
                yield number, wanted


def requirement(text: str, *, hashes: tuple[Sha256, ...] = (), line: int | None = None) -> Requirement:
    """A requirement as PEP 508 writes it, its bounds sorted, its marker as `packaging` writes it.

    Raises:
        Invalid: none; or one that is not drawn from an index, but from an address.
    """
    if len(text) > LONGEST:
        raise Invalid(f"{text[:_SHOWN]!r}... is too long", hint=_AN_EXAMPLE)
    return _plain(text, hashes=hashes, line=line) or _any(text, hashes=hashes, line=line)


def specifier(text: str) -> str:
    """Bounds as PEP 440 writes them, sorted, each once.

    Raises:
        Invalid: not bounds, or of a version that is longer than any.
    """
    try:
        bounds = SpecifierSet(text)
        too_long = any(len(bound.version) > names.LONGEST for bound in bounds)
    except ValueError as error:
        raise Invalid(f"{text[:_SHOWN]!r} is no bound of a version", hint="such as >=1.26,<3") from error
    if too_long:
        raise Invalid(f"{text[:_SHOWN]!r}: a version has at most {names.LONGEST} characters")
    return joined(",".join(map(str, bounds)))


def joined(*specifiers: str) -> str:
    """The bounds of all specifiers, sorted, each once."""
    return ",".join(sorted({bound for one in specifiers if one for bound in one.split(",")}))


@lru_cache(maxsize=4096)
def marker(text: str) -> str:
    """A marker as `packaging` writes it, so that equal ones look alike (PEP 508).

    Raises:
        Invalid: none.
    """
    try:
        return str(Marker(text))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{text[:_SHOWN]!r} is not a marker: {_reason(error)}") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined at backslashes, without comments and empty ones; a comment ends what goes on, as in pip."""
    parts: list[str] = []
    begun = 0
    for number, line in enumerate(text.splitlines(), 1):
        is_comment = "#" in line and line.lstrip().startswith("#")
        if not parts:
            begun = number
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
            continue
        # The blank keeps the comment one after the parts are joined.
        parts.append(f" {line}" if is_comment else line)
        yield from _whole(begun, parts)
        parts = []
    yield from _whole(begun, parts)


def _whole(number: int, parts: list[str]) -> Iterator[tuple[int, str]]:
    line = "".join(parts)
    line = (_COMMENT.sub("", line) if "#" in line else line).strip()
    if line:
        yield number, line


def _of_line(line: str, number: int) -> Requirement | None:
    options = _OPTIONS.search(line)
    if options is None:
        return requirement(line, line=number)
    if options.start() == 0:
        _check_options(line)
        return None
    hashes = _hashes(line[options.start() :])
    return requirement(line[: options.start()].rstrip(), hashes=hashes, line=number)


def _check_options(line: str) -> None:
    """Let pass what says where to look; refuse what would make the list another one."""
    for word in _words(line):
        name = _option(word)
        if not name or name in _WHERE_TO_LOOK:
            continue
        if name in _INCLUDED:
            raise Invalid(
                f"{line[:_SHOWN]!r} names another file, which isn't sent with this one",
                hint="put all into one file; give constraints beside it, with --constraints",
            )
        if name in _EDITABLE:
            raise Invalid(f"{line[:_SHOWN]!r} isn't drawn from an index", hint=_FROM_AN_INDEX)
        raise Invalid(f"{name[:_SHOWN]!r} is not an option of a requirements file")


def _hashes(options: str) -> tuple[Sha256, ...]:
    """The SHA-256 among the options of a requirement, each once, in lower case."""
    if _ONLY_SHA256.fullmatch(options):
        return tuple(dict.fromkeys(Sha256(digest.lower()) for digest in _SHA256.findall(options)))
    found: dict[Sha256, None] = {}
    words = iter(_words(options))
    for word in words:
        name = _option(word)
        if name == "--hash":
            found[_hash(word.partition("=")[2] if "=" in word else next(words, ""))] = None
        elif name and name not in _HOW_TO_BUILD:
            raise Invalid(f"{name[:_SHOWN]!r} is not an option of a requirement")
    return tuple(found)


def _hash(text: str) -> Sha256:
    algorithm, _, digest = text.partition(":")
    if algorithm != "sha256":
        raise Invalid(f"{text[:_SHOWN]!r} is not a SHA-256", hint="files are known by --hash=sha256:... here")
    if not _DIGEST.fullmatch(digest):
        raise Invalid(f"{text[:_SHOWN]!r} is not a SHA-256", hint="it has 64 hexadecimal digits")
    return Sha256(digest.lower())


def _words(options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        raise Invalid(f"{options[:_SHOWN]!r}: a quotation mark is missing") from error


def _option(word: str) -> str:
    """The option that a word names: `--hash=x`, `-rother.txt`; empty: it is the value of one."""
    if not word.startswith("-"):
        return ""
    return word.partition("=")[0] if word.startswith("--") else word[:2]


def _plain(text: str, *, hashes: tuple[Sha256, ...], line: int | None) -> Requirement | None:
    """What nearly all lines are, read without a parser; None: `packaging` has to look at it.

    Name, extras, bounds of canonical versions without a local part, marker; read as `packaging` does.
    """
    told, semicolon, environment = text.partition(";")
    name = _NAME.match(told)
    if name is None or len(name[0]) > names.LONGEST or name[0].endswith(_FILES):
        return None
    rest = told[name.end() :].strip(" \t")
    extras: tuple[str, ...] = ()
    if rest[:1] == "[":
        match = _EXTRAS.match(rest)
        if match is None:
            return None
        extras, rest = _extras(match[1]), rest[match.end() :]
    bounds = _bounds(rest)
    if bounds is None:
        return None
    try:
        when = marker(environment.strip(" \t")) if semicolon else ""
    except Invalid:
        return None
    return Requirement(names.normalize(name[0]), bounds, extras, hashes, when, line)


@lru_cache(maxsize=4096)
def _extras(text: str) -> tuple[str, ...]:
    return tuple(sorted({names.normalize(extra.strip(" \t")) for extra in text.split(",")}))


def _bounds(text: str) -> str | None:
    if not text:
        return ""
    bounds = set()
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip(" \t"))
        if match is None or not names.is_canonical(match[2]):
            return None
        bounds.add(match[1] + match[2])
    return bounds.pop() if len(bounds) == 1 else ",".join(sorted(bounds))


def _any(text: str, *, hashes: tuple[Sha256, ...], line: int | None) -> Requirement:
    try:
        read = Pep508(text)
    except (ValueError, RecursionError) as error:
        raise _no_requirement(text, error) from error
    if read.name.endswith(_FILES):
        raise Invalid(f"{text[:_SHOWN]!r} isn't drawn from an index", hint=_FROM_AN_INDEX)
    if read.url is not None:
        raise Invalid(f"{text[:_SHOWN]!r} isn't drawn from an index, but from an address", hint=_FROM_AN_INDEX)
    if not names.is_name(read.name):
        raise Invalid(f"{read.name[:_SHOWN]!r} is not the name of a project")
    return Requirement(
        names.normalize(read.name),
        specifier(",".join(map(str, read.specifier))),
        tuple(sorted(set(map(names.normalize, read.extras)))),
        hashes,
        str(read.marker) if read.marker else "",
        line,
    )


def _no_requirement(text: str, error: Exception) -> Invalid:
    shown = repr(text[:_SHOWN])
    if _ADDRESS.match(text):
        return Invalid(f"{shown} isn't drawn from an index", hint=_FROM_AN_INDEX)
    single = _SINGLE_EQUALS.match(text)
    if single is not None:
        return Invalid(f"{shown}: '=' is not an operator", hint=f"for this version alone: {single[1]}=={single[2]}")
    if "${" in text:
        return Invalid(f"{shown}: variables aren't filled in", hint=_AN_EXAMPLE)
    return Invalid(f"{shown} is not a requirement: {_reason(error)}", hint=_AN_EXAMPLE)


def _reason(error: Exception) -> str:
    """The first line of what `packaging` says; those after it point at the place."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
