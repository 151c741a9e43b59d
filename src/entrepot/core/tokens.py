"""Texts of tokens: secret, recognisable, with a checksum, and only ever kept as a hash.

A token is `entrepot_`, forty random letters and digits and a checksum of six, as secret scanners look for it. One that
ends soon is written in three parts with its end in the second: R's pak reads the claim `exp` of what looks like a JSON
Web Token (RFC 7519) and asks for a new one in time. Nothing in it is signed, as its header says: the server reads none
of it and looks the whole text up. It is short, because R names a file after a URL with the token in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import zlib
from datetime import datetime

PREFIX = "entrepot_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET = 40
_CHECKSUM = 6
_DATED = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
_PATTERN = re.compile(rf"(?:{_DATED}\.[A-Za-z0-9_-]{{10,40}}\.)?{PREFIX}[0-9A-Za-z]{{{_SECRET + _CHECKSUM}}}", re.ASCII)
LONGEST = 200


def make_token(end: datetime | None = None) -> str:
    """A new token, written with its end where it has one that clients are to know."""
    start = ""
    if end is not None:
        claims = json.dumps({"exp": int(end.timestamp())}, separators=(",", ":")).encode()
        start = f"{_DATED}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}."
    body = start + PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET))
    return body + _checksum(body)


def is_token(text: str) -> bool:
    """Whether a text is a token as `make_token` writes them, by its form and its checksum."""
    if len(text) > LONGEST or _PATTERN.fullmatch(text) is None:
        return False
    return _checksum(text[:-_CHECKSUM]) == text[-_CHECKSUM:]


def digest(text: str) -> str:
    """What is kept of a token, or of another secret of as much chance: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def start_of(text: str) -> str:
    """The first characters of a token's secret, by which its owner may recognise it in a list."""
    return text[text.index(PREFIX) :][: len(PREFIX) + 4]


def _checksum(body: str) -> str:
    value, result = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        value, digit = divmod(value, len(_ALPHABET))
        result = _ALPHABET[digit] + result
    return result
