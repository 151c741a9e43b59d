"""The forms that pages send: few short fields."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from entrepot.core.errors import Invalid, TooLarge

LARGEST = 16 * 1024
_MOST_FIELDS = 2000
_KIND = "application/x-www-form-urlencoded"


class Fields(dict[str, str]):
    """The fields of a form by name; of several with one name the last, all of them by `every`."""

    def __init__(self, sent: list[tuple[str, str]]) -> None:
        super().__init__(sent)
        self._sent = sent

    def every(self, name: str) -> list[str]:
        """All values of a field, in the order of the form."""
        return [value for key, value in self._sent if key == name]


async def read_form(request: Request, *, largest: int = LARGEST) -> Fields:
    """The fields of a form of at most so many bytes.

    Raises:
        Invalid, TooLarge
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise Invalid("that is no form of this server", hint="load the page again")
    pieces, came = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        came += len(piece)
        if came > largest:
            raise TooLarge(f"the form is larger than {largest} bytes")
    try:
        return Fields(parse_qsl(b"".join(pieces).decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise Invalid("the form can't be read", hint="load the page again") from None
