"""The forms that pages send: few short fields."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from entrepot.core.errors import Invalid, TooLarge

LARGEST = 16 * 1024
_KIND = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of several with one name the last.

    Raises:
        Invalid, TooLarge
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise Invalid("that is no form of this server", hint="load the page again")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise TooLarge(f"the form is larger than {LARGEST} bytes")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise Invalid("the form can't be read", hint="load the page again") from None
