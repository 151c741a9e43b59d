"""Patterns as R's `grepl(pattern, text, perl = TRUE, ignore.case = TRUE)` takes them, for Python's `re`.

R hands them to PCRE2 without `PCRE2_UCP`: the classes of characters, and with them the borders of words, are those of
ASCII, also in texts that have other letters, while letters are compared without case in all of Unicode. A pattern is
translated piece by piece, and what isn't known to mean the same in both is refused.
"""

from __future__ import annotations

import re
import warnings

from entrepot.core.errors import Invalid

LONGEST_PATTERN = 500
LONGEST_TEXT = 2048
"""Characters of a text that are looked at."""
_MOST_WAYS = LONGEST_TEXT**2 * 256
"""In how many ways the repetitions of a pattern may share a text: two without an end, and a few small ones."""
_MOST_REPEATS = 255

_CLASSES = {name: f"(?a:\\{name})" for name in "bBwWdDsS"}
_IN_SET = {"w": "a-zA-Z0-9_", "d": "0-9", "s": r"\t-\r ", "h": r"\t "}
_SAME = {"n": r"\n", "r": r"\r", "t": r"\t", "f": r"\f", "a": r"\a", "e": r"\x1b"}
_ANCHORS = {"A": r"\A", "z": r"\Z", "Z": r"(?=\n?\Z)"}
_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "a-zA-Z",
    "lower": "a-zA-Z",
    "space": r"\t-\r ",
    "blank": r"\t ",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9a-fA-F",
    "cntrl": r"\x00-\x1f\x7f",
    "print": " -~",
    "graph": "!-~",
    "word": "a-zA-Z0-9_",
}
"""Without case, `upper` and `lower` are any letter."""
_GROUPS = re.compile(r"\((?:\?(?::|=|!|<=|<!|>|i\)))?")
_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})[?+]?")
_HEX = re.compile(r"x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})")
_POSIX_NAME = re.compile(r"\[:(\^?)([a-z]+):\]")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern for `search`.

    Raises:
        Invalid: it is too long, wrong, could take forever, or has something that isn't known here; says which.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise Invalid(f"longer than {LONGEST_PATTERN} characters")
    translated = _Translation(pattern).run()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(translated, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise Invalid(f"not a pattern that is understood here ({error})") from None


def matches(pattern: re.Pattern[str], text: str) -> bool:
    """Whether R would find the pattern in the text, or in its first `LONGEST_TEXT` characters."""
    return pattern.search(text[:LONGEST_TEXT]) is not None


def _bounds(repeat: re.Match[str]) -> tuple[int, int | None]:
    """The fewest and the most times of a repetition; None: without an end."""
    match repeat[0][0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    fewest, comma, most = (part[:6] if part else part for part in repeat.groups())
    if comma is None:
        return int(fewest), int(fewest)
    return int(fewest), int(most) if most else None


class _Translation:
    """One pass over a pattern. `is_long` tells of each open group whether it holds a repetition or alternatives."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = []
        self._is_long = [False]
        self._closed_long = False
        self._ways = 1

    def run(self) -> str:
        while self._at < len(self._pattern):
            self._step()
        return "".join(self._out)

    def _step(self) -> None:
        char = self._pattern[self._at]
        if (repeat := _REPEAT.match(self._pattern, self._at)) is not None:
            self._repeat(repeat)
            return
        self._closed_long = False
        if char == "\\":
            self._escape()
        elif char == "[":
            self._set()
        elif char == "(":
            self._open()
        else:
            if char == ")":
                self._closed_long = self._is_long.pop() if len(self._is_long) > 1 else False
                self._is_long[-1] |= self._closed_long
            elif char == "|":
                self._is_long[-1] = True
            # A brace that begins no repetition is a letter, as is a bracket that closes nothing.
            self._out.append(re.escape(char) if char in "{}]#" else char)
            self._at += 1

    def _repeat(self, found: re.Match[str]) -> None:
        fewest, most = _bounds(found)
        if max(fewest, most or 0) > _MOST_REPEATS:
            raise Invalid(f"repeats something more than {_MOST_REPEATS} times")
        if most is None or most > 1:
            if self._closed_long:
                raise Invalid("repeats a group that itself has repetitions or alternatives, which can take forever")
            self._is_long[-1] = True
        self._ways *= LONGEST_TEXT if most is None else max(1, most - fewest + 1)
        if self._ways > _MOST_WAYS:
            raise Invalid("has so many repetitions that it could take forever")
        self._out.append(found[0])
        self._at = found.end()

    def _open(self) -> None:
        found = _GROUPS.match(self._pattern, self._at)
        assert found is not None
        after = self._pattern[found.end() : found.end() + 1]
        if found[0] == "(" and after in ("?", "*"):
            raise Invalid(f"has a group that is not known here: {self._pattern[self._at :][:12]!r}")
        if found[0] == "(?i)":
            self._at = found.end()  # it is without case anyway
            return
        self._is_long.append(False)
        self._out.append(found[0])
        self._at = found.end()

    def _escape(self) -> None:
        name = self._pattern[self._at + 1 : self._at + 2]
        if name == "Q":
            end = self._pattern.find(r"\E", self._at)
            end = len(self._pattern) if end < 0 else end
            self._out.append(re.escape(self._pattern[self._at + 2 : end]))
            self._at = end + 2
            return
        if name == "h":
            self._out.append(r"[\t \xa0]")
        elif name in _CLASSES:
            self._out.append(_CLASSES[name])
        elif name in _ANCHORS:
            self._out.append(_ANCHORS[name])
        else:
            self._out.append(self._letter())
            return
        self._at += 2

    def _letter(self) -> str:
        """The one character that an escape stands for; the place is behind it then."""
        name = self._pattern[self._at + 1 : self._at + 2]
        if (code := _HEX.match(self._pattern, self._at + 1)) is not None:
            self._at = code.end()
            number = int(code[1] or code[2], 16)
            if number > 0x10FFFF:
                raise Invalid("names a character that there is not")
            return re.escape(chr(number))
        if not name or (name.isascii() and name.isalnum() and name not in _SAME):
            raise Invalid(f"has something that is not known here: {self._pattern[self._at :][:4]!r}")
        self._at += 2
        return _SAME.get(name) or re.escape(name)

    def _set(self) -> None:
        out, start = ["["], self._at
        self._at += 1
        if self._pattern[self._at : self._at + 1] == "^":
            out.append("^")
            self._at += 1
        first = self._at
        while self._pattern[self._at : self._at + 1] != "]" or self._at == first:
            if self._at >= len(self._pattern):
                raise Invalid(f"has a set without an end: {self._pattern[start:][:12]!r}")
            out.append(self._in_set())
        self._at += 1
        self._out += [*out, "]"]

    def _in_set(self) -> str:
        char = self._pattern[self._at]
        if (named := _POSIX_NAME.match(self._pattern, self._at)) is not None:
            if named[1] or named[2] not in _POSIX:
                raise Invalid(f"has something that is not known here: {named[0]!r}")
            self._at = named.end()
            return _POSIX[named[2]]
        if char == "\\":
            name = self._pattern[self._at + 1 : self._at + 2]
            if name in _IN_SET:
                self._at += 2
                return _IN_SET[name]
            return self._letter()
        if self._pattern.startswith("--", self._at) or self._pattern.startswith(("[.", "[="), self._at):
            raise Invalid(f"has something that is not known here: {self._pattern[self._at :][:4]!r}")
        self._at += 1
        return char if char in "-^" or char.isalnum() else re.escape(char)
