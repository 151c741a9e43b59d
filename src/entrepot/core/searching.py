"""Search in names and titles of packages: which rows match a query, how well, and in which order they are told.

A row is a number. What is searched is in columns beside each other, ordered by name: plain lists of texts, in which
some ten thousand rows are looked through in a millisecond or two.
"""

from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import NamedTuple

from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName

LONGEST = 200
"""Characters of a query."""
BEHIND = "\n"
"""Between the name and the title of a row; in no query."""
MOST_FOUND = 1000
"""Names of a long list that are found by one query; others are not looked for."""
_AT_ONCE = 20_000
_MOST_LOOKED_AT = 5000

Form = Callable[[str], str]
"""Makes of a folded text the form in which an ecosystem compares names."""


def fold(text: str) -> str:
    """A text without what a search looks past: case, accents, and other forms of the same letters (NFKD)."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, folded: `name` is the whole as a name would be, `words` the different words in it.

    A word is looked for as it stands and, in names, in the form of one.
    """

    name: str
    words: tuple[tuple[str, str], ...]

    @property
    def is_empty(self) -> bool:
        return not self.words


def query_of(text: str, form: Form) -> Query:
    """Read what somebody typed; everything in it stands for itself.

    Raises:
        Invalid: it is longer than `LONGEST`.
    """
    if len(text) > LONGEST:
        raise Invalid(f"a search of {len(text)} characters is too long", hint=f"search for up to {LONGEST} characters")
    blanked = "".join(letter if letter.isprintable() else " " for letter in text)
    words = dict.fromkeys(word for part in blanked.split() if (word := fold(part)).strip())
    return Query(form(" ".join(fold(blanked).split())), tuple((word, form(word)) for word in words))


class Matches(NamedTuple):
    """The rows that match, each in the best class that it is in: its name is the query, begins with it, has it in it;
    or all words are in name and title. In the order of rows."""

    exact: list[int]
    beginning: list[int]
    within: list[int]
    words: list[int]


def text_of(name: str, title: str | None) -> str:
    """The text of a row in which words are looked for; `name` is folded already."""
    return name + BEHIND + fold(title) if title else name


def match(query: Query, names: Sequence[str], texts: Sequence[str]) -> Matches:
    """The rows that match.

    Args:
        names: folded, in the form of names.
        texts: `text_of` each.
    """
    if query.is_empty:
        return Matches([], [], [], list(range(len(names))))
    wanted = query.name
    rows = _with_words(query.words, texts)
    if query.words == ((wanted, wanted),):
        having = [row for row in rows if wanted in names[row]]
    else:
        # No name has a blank in it.
        having = [row for row, name in enumerate(names) if wanted in name] if wanted and " " not in wanted else []
    exact = [row for row in having if names[row] == wanted]
    beginning = [row for row in having if names[row].startswith(wanted) and names[row] != wanted]
    within = [row for row in having if not names[row].startswith(wanted)]
    in_name = set(having)
    return Matches(exact, beginning, within, [row for row in rows if row not in in_name])


def _with_words(words: Sequence[tuple[str, str]], texts: Sequence[str]) -> list[int]:
    # The longest word first: after it few rows are left.
    (first, as_name), *rest = sorted(words, key=lambda word: -len(word[0]))
    if first == as_name:
        rows = [row for row, text in enumerate(texts) if first in text]
    else:
        rows = [row for row, text in enumerate(texts) if first in text or _is_in_name(as_name, text)]
    for word, as_name in rest:
        rows = [row for row in rows if word in texts[row] or (word != as_name and _is_in_name(as_name, texts[row]))]
    return rows


def _is_in_name(as_name: str, text: str) -> bool:
    return bool(as_name) and as_name in text and as_name in text.partition(BEHIND)[0]


def places(names: Sequence[PackageName], downloads: Mapping[PackageName, int], needed: Mapping[str, int]) -> array[int]:
    """The place of each row by use: by its downloads, then by how many packages need it, then by its name."""
    folded = [name.casefold() for name in names]
    rows = sorted(
        range(len(names)),
        key=lambda row: (-downloads.get(names[row], 0), -needed.get(names[row], 0), folded[row], names[row]),
    )
    found = array("I", bytes(4 * len(rows)))
    for place, row in enumerate(rows):
        found[row] = place
    return found


def best_first(matches: Iterable[Sequence[int]], place: Sequence[int]) -> list[int]:
    """The rows of all classes, class after class, in each by their places."""
    return [row for rows in matches for row in sorted(rows, key=place.__getitem__)]


class LongNames:
    """Very many names, ordered, as one text: a tenth of the memory that they take one by one.

    The names are in their own normal form, ASCII and without blanks.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Some are taken at a time, so that they are never all there one by one."""
        texts: list[str] = []
        starts = array("I", [0])
        rest = iter(names)
        while some := list(islice(rest, _AT_ONCE)):
            lengths = (len(name) + 1 for name in some)
            starts.extend(islice(accumulate(lengths, initial=starts[-1]), 1, None))
            texts.append("\n".join(some) + "\n")
        # Each name is between two ends of lines.
        self._text = "\n" + "".join(texts)
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> str:
        return self._text[self._starts[row] + 1 : self._starts[row + 1]]

    @property
    def total(self) -> int:
        return len(self)

    def piece(self, start: int, count: int) -> list[PackageName]:
        """As `core.namelists.Names`."""
        return [PackageName(self[row]) for row in range(start, min(start + count, len(self)))]

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        return len(self._text) + len(self._starts) * self._starts.itemsize

    def row_of(self, name: str) -> int | None:
        """The row of a name; None if it isn't there."""
        row = self._bisect(name)
        return row if row < len(self) and self[row] == name else None

    def beginning(self, start: str) -> range:
        """The rows of all names that begin with `start`, which isn't empty."""
        return range(self._bisect(start), self._bisect(start[:-1] + chr(ord(start[-1]) + 1)))

    def found(self, query: Query, but: Collection[str]) -> list[list[PackageName]]:
        """The names that match a query, in classes as `Matches`; without those of `but`, and `MOST_FOUND` at most."""
        whole = query.name
        forms = [form for _, form in query.words]
        same = self.row_of(whole)
        classes: tuple[Iterable[int], ...] = (
            () if same is None else (same,),
            (row for row in self.beginning(whole) if row != same),
            (row for row in self.having([whole]) if not self[row].startswith(whole)),
            (row for row in self.having(forms) if whole not in self[row]) if forms != [whole] else (),
        )
        found: list[list[PackageName]] = []
        left = MOST_FOUND
        for rows in classes:
            names = (PackageName(self[row]) for row in rows)
            found.append(list(islice((name for name in names if name not in but), left)))
            left -= len(found[-1])
        return found

    def having(self, parts: Sequence[str]) -> Iterator[int]:
        """The rows of names with all of these parts in them, in order; behind `_MOST_LOOKED_AT` names that have one of
        them it ends."""
        longest = max(parts, key=len, default="")
        if not longest or any(part.isspace() or BEHIND in part for part in parts):
            return
        at = self._text.find(longest, 1)
        looked_at = 0
        while at >= 0 and looked_at < _MOST_LOOKED_AT:
            row = bisect_right(self._starts, at - 1) - 1
            if len(parts) == 1 or all(part in self[row] for part in parts):
                yield row
            at = self._text.find(longest, self._starts[row + 1])
            looked_at += 1

    def _bisect(self, name: str) -> int:
        return bisect_left(range(len(self)), name, key=self.__getitem__)


@dataclass(frozen=True, slots=True)
class Followed:
    """`core.namelists.Names`: some names, and behind them those of a long list but for the rows `but`, ascending."""

    first: Sequence[PackageName]
    long: LongNames
    but: Sequence[int]

    @property
    def total(self) -> int:
        return len(self.first) + len(self.long) - len(self.but)

    def piece(self, start: int, count: int) -> list[PackageName]:
        some = list(self.first[start : start + count])
        # How many of those that are left are before each one that is left out.
        before = [row - number for number, row in enumerate(self.but)]
        behind = max(0, start - len(self.first))
        numbers = range(behind, min(behind + count - len(some), len(self.long) - len(self.but)))
        return some + [PackageName(self.long[number + bisect_right(before, number)]) for number in numbers]
