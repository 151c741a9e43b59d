"""Error kind -> HTTP status; the only place that knows statuses of errors. The first kind that fits counts."""

from __future__ import annotations

from entrepot.core import errors

STATUS: dict[type[errors.EntrepotError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedSystem: 400,
    errors.Invalid: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.TooMany: 429,
    errors.NotAcceptable: 406,
    errors.RangeNotSatisfiable: 416,
    errors.UpstreamUnavailable: 503,
    errors.UpstreamInvalid: 502,
    errors.Unavailable: 503,
    errors.BuildFailed: 422,
    errors.OutOfSpace: 507,
}

INTERNAL = {
    "code": "internal",
    "error": "an error of the server; its log has the details",
    "hint": None,
    "payload": None,
}


def status_of(error: errors.EntrepotError) -> int:
    """The HTTP status of an error, by its kind."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def plain(error: errors.EntrepotError) -> str:
    """What a package client gets to show: one readable line."""
    return error.message + (f" ({error.hint})" if error.hint else "") + "\n"
