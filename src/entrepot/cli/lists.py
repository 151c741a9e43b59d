"""Lists of packages that are read from files or standard input, and sent as text."""

from __future__ import annotations

import sys
from pathlib import Path

from entrepot.core.errors import Invalid, TooLarge

MOST_BYTES = 20_000_000


def read_list(file: str | None) -> str | None:
    """The text of a file, or of standard input for `-`; None where no file is named.

    Raises:
        TooLarge, Invalid: it is no list, by its size or its bytes.
        OSError: it can't be read.
    """
    if file is None:
        return None
    if file == "-":
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with Path(file).open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise TooLarge(f"'{file}' has more than {MOST_BYTES // 10**6} MB", hint="give a list of less")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(f"'{file}' is not a text file", hint="a list is text, in UTF-8") from None
