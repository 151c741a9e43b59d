"""Debian-control-style text, the form of PACKAGES and DESCRIPTION, as R's `read.dcf` and `write.dcf` take it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from entrepot.core.errors import Invalid

# ASCII only: a no-break space is a part of the value, as it is for R.
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_BLANK = " \t\r\f\v"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def parse(data: bytes) -> Iterator[dict[str, str]]:
    """The stanzas of `data`, each field's whitespace runs collapsed to one space; a repeated field's last value holds.

    UTF-8, or Latin-1 for a stanza that isn't; any line ends. As in `read.dcf`, a continuation line of a lone dot
    stands for an empty one.

    Raises:
        Invalid: a line that is neither field nor continuation, with its number; an HTML page. Raised when reached.
    """
    text, is_mixed = _decode(data)
    if text.lstrip()[:1] == "<":
        raise Invalid("this is an HTML or XML page, not a list of fields", line=1)
    for stanza in _stanzas(text):
        yield _repair(stanza) if is_mixed else stanza


def parse_one(text: str | bytes) -> dict[str, str]:
    """The first stanza of a text such as DESCRIPTION; what follows it is checked and not returned, as R does.

    Raises:
        Invalid: as `parse`, or there is no field at all.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    stanzas = parse(data)
    first = next(stanzas, None)
    if first is None:
        raise Invalid("there are no fields in it")
    for _ in stanzas:
        pass
    return first


def write_fields(fields: Mapping[str, str]) -> str:
    """`Key: value` lines, one a field; whitespace collapsed, control characters removed, empty fields left out."""
    lines = []
    for key, value in fields.items():
        clean = collapse(value)
        if not clean.isprintable():
            clean = _CONTROL.sub("", clean)
        if clean:
            lines.append(f"{key}: {clean}\n")
    return "".join(lines)


def collapse(value: str) -> str:
    """`value` without whitespace at its ends and with one space for each run of it."""
    value = value.strip(_BLANK + "\n")
    if "  " in value or not value.isprintable():
        return _SPACES.sub(" ", value)
    return value


def decode(data: bytes) -> str:
    """UTF-8 without a byte order mark, or Latin-1 where it isn't UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decode(data: bytes) -> tuple[str, bool]:
    """The text with `\\n` line ends, and whether some of it is not UTF-8 (those bytes are then surrogates)."""
    try:
        text, is_mixed = data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        text, is_mixed = data.decode("utf-8-sig", "surrogateescape"), True
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, is_mixed


def _repair(stanza: dict[str, str]) -> dict[str, str]:
    """A stanza with bytes that aren't UTF-8, all of it read as Latin-1."""
    raw = {k.encode("utf-8", "surrogateescape"): v.encode("utf-8", "surrogateescape") for k, v in stanza.items()}
    try:
        for key, value in raw.items():
            key.decode()
            value.decode()
    except UnicodeDecodeError:
        return {key.decode("latin-1"): value.decode("latin-1") for key, value in raw.items()}
    return stanza


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    # One flat loop of string operations: an index of 22,000 stanzas has some 250,000 lines.
    stanza: dict[str, str] = {}
    key = ""
    parts: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line[:1] in (" ", "\t", "\f", "\v"):
            part = line.strip(_BLANK)
            if part and not key:
                raise Invalid(f"line {number} continues nothing: {line[:60]!r}", line=number)
            if part:
                parts.append("" if part == "." else part)
                continue
            line = ""  # blanks alone: the stanza ends here, as for R
        if key:
            value = parts[0] if len(parts) == 1 else " ".join(parts)
            stanza[key] = collapse(value)
            key = ""
        if line:
            key, colon, value = line.partition(":")
            if not colon or not key:
                raise Invalid(f"line {number} is neither a field nor a continuation: {line[:60]!r}", line=number)
            parts = [value]
        elif stanza:
            yield stanza
            stanza = {}
    if key:
        stanza[key] = collapse(parts[0] if len(parts) == 1 else " ".join(parts))
    if stanza:
        yield stanza
