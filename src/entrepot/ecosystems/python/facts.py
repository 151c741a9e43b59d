"""The facts of an index entry as upstreams write them, each read or refused by itself (PEP 503, 592, 658, 691, 700)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from entrepot.core.model import Sha256

LONGEST_TEXT = 2000
"""Characters of a reason or of a condition on Python's version."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_EXACT_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?Z")
_ALGORITHM = re.compile(r"[a-z][a-z0-9_]{1,19}")
_DIGEST = re.compile(r"[0-9a-f]{8,256}")
_LENGTHS = {"md5": 32, "sha256": 64}
_COMMON = frozenset({"md5", "sha256", "blake2b_256"})


def as_dict(told: object) -> Mapping[str, Any]:
    """What should be an object; an empty one in place of anything else."""
    return told if isinstance(told, dict) else {}


def read_hashes(told: object) -> dict[str, str]:
    """Algorithm -> digest, in lower case.

    Raises:
        ValueError: one of them is none; the file can't be trusted then.
    """
    hashes: dict[str, str] = {}
    if not isinstance(told, dict):
        return hashes
    for name, digest in told.items():
        algorithm = name.lower()
        checked = read_digest(digest, algorithm)
        if checked is None or not (algorithm in _COMMON or _ALGORITHM.fullmatch(algorithm)):
            raise ValueError(f"its {name[:20]!r} is no hash")
        hashes[algorithm] = checked
    return hashes


def read_digest(told: object, algorithm: str) -> str | None:
    """A hexadecimal digest in lower case; None if it is none of that algorithm."""
    if not isinstance(told, str):
        return None
    length = len(told)
    if length % 2 or length != _LENGTHS.get(algorithm, length):
        return None
    digest = told.lower()
    return digest if _DIGEST.fullmatch(digest) else None


def read_metadata_hash(told: Mapping[str, Any]) -> Sha256 | None:
    """The SHA-256 of an entry's metadata document: what has no hash can't be checked, so it isn't offered.

    `data-dist-info-metadata` is what an index wrote for years by mistake (PEP 714).
    """
    for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
        document = told.get(key)
        digest = read_digest(document.get("sha256"), "sha256") if isinstance(document, dict) else None
        if digest is not None:
            return Sha256(digest)
    return None


def read_yanked(told: object) -> str | None:
    """The reason, empty where none is given; None: not yanked. It is true, or a text that isn't empty (PEP 691)."""
    if isinstance(told, str):
        return told[:LONGEST_TEXT] or None
    return "" if told is True else None


def read_text(told: object) -> str | None:
    return told if isinstance(told, str) and 0 < len(told) <= LONGEST_TEXT else None


def read_number(told: object) -> int | None:
    return told if type(told) is int and 0 <= told < 2**63 else None


def read_time(told: object) -> tuple[str, int]:
    """(the time as PEP 700 writes it, seconds since 1970); one without an offset is taken to be UTC, as it is meant.

    Raises:
        ValueError: it is none, or before 1970.
    """
    is_exact = isinstance(told, str) and _EXACT_TIME.fullmatch(told) is not None
    if not isinstance(told, str) or not (is_exact or _TIME.fullmatch(told)):
        raise ValueError(f"{str(told)[:40]!r} is no time")
    try:
        time = datetime.fromisoformat(told)
        if not is_exact:
            time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{told!r} is no time") from error
    seconds = time.timestamp()
    if seconds < 0:
        raise ValueError(f"{told!r} is before 1970")
    return told if is_exact else time.replace(tzinfo=None).isoformat() + "Z", int(seconds)
