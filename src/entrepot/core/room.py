"""What the system says when a disk or a quota is full, in our own words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from entrepot.core.errors import OutOfSpace

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_HINT = "make room on the server's disk, then try again; what was there before is served as ever"


def is_no_room(error: BaseException | None) -> bool:
    """Whether `error` is the system's word for a full disk or an exceeded quota."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def out_of_space(what: str) -> OutOfSpace:
    """The error for `what` could not be done ("x could not be stored")."""
    return OutOfSpace(f"{what}: there is no space left", hint=_HINT)


@contextmanager
def needs_room(what: str) -> Iterator[None]:
    """Turn a full disk within into OutOfSpace; other errors stay as they are."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise out_of_space(what) from error
        raise
