"""What a CRAN mirror asks of its upstream at a sync: conditional requests for its documents."""

from __future__ import annotations

from dataclasses import dataclass

from entrepot.core.errors import UpstreamInvalid, UpstreamLacksIndex
from entrepot.core.urls import shown
from entrepot.ecosystems.r import upstream
from entrepot.ecosystems.r.upstream import Texts
from entrepot.fetch import Fetch, Fetched
from entrepot.sources.places import CONTRIB, Place
from entrepot.sources.upstreamcopy import UpstreamCopy, digest

INDEX_GZ = "src/contrib/PACKAGES.gz"
INDEX = "src/contrib/PACKAGES"
ARCHIVE = "src/contrib/Meta/archive.rds"
CURRENT = "src/contrib/Meta/current.rds"
COMMENTS = "src/contrib/PACKAGES.in"
SUMMARY = "summary"
"""Beside the documents' validators: the hash of `upstreamcopy.Summary` of these documents."""

DOCUMENT_LIMIT = 256 * 1024**2
UNPACKED_LIMIT = 1024**3

Validators = dict[str, list[str | None]]
"""Document -> [ETag, Last-Modified, SHA-256]."""


@dataclass(frozen=True, slots=True)
class Asked:
    """All documents that upstream has now, as they were sent; at least one of them is new."""

    bodies: dict[str, bytes]
    validators: Validators

    @property
    def texts(self) -> Texts:
        return texts_of(self.bodies)


def ask(fetch: Fetch, place: Place, validators: Validators, copy: UpstreamCopy) -> Asked | None:
    """The documents of upstream and their validators; None if none of them changed.

    Raises:
        UpstreamUnavailable: no answer.
        UpstreamLacksIndex: upstream has no list of packages, and the place is not one where that may be.
        UpstreamInvalid: an upstream that has no archive any more.
    """
    wanted = (INDEX_GZ, ARCHIVE, CURRENT) if place.tells_past else (INDEX_GZ,)
    answers = {path: _get(fetch, place, path, validators.get(path)) for path in wanted}
    if answers[INDEX_GZ] is None:
        answers[INDEX] = _get(fetch, place, INDEX, validators.get(INDEX))
    if place.tells_past:
        answers[COMMENTS] = _get_optional(fetch, place, COMMENTS, validators.get(COMMENTS))
    if validators and all(_is_same(answer, validators.get(path)) for path, answer in answers.items()):
        return None
    bodies: dict[str, bytes] = {}
    fresh: Validators = {}
    for path, answer in answers.items():
        body = answer.body if answer is not None else None
        if answer is not None and answer.body is None:
            # Unchanged itself, but it has to be read together with those that changed.
            body = copy.get(validators[path][2])
            if body is None:
                answer = _get(fetch, place, path, None)
                body = answer.body if answer is not None else None
        if answer is not None and body is not None:
            bodies[path] = body
            fresh[path] = [answer.etag, answer.last_modified, digest(body)]
    _check_complete(bodies, validators, place)
    return Asked(bodies, fresh)


def recall(validators: Validators, copy: UpstreamCopy) -> Texts | None:
    """The documents of these validators as they were kept, None if one is missing."""
    bodies: dict[str, bytes] = {}
    for path, (_, _, sha256) in validators.items():
        body = copy.get(sha256) if path != SUMMARY else b""
        if body is None:
            return None
        bodies[path] = body
    return texts_of(bodies) if INDEX_GZ in bodies or INDEX in bodies else None


def texts_of(bodies: dict[str, bytes]) -> Texts:
    """Raises UpstreamInvalid: the list of packages can't be unpacked."""
    packed = INDEX_GZ in bodies
    if not packed and INDEX not in bodies:
        return Texts(b"")
    index = upstream.decompress_index(bodies[INDEX_GZ if packed else INDEX], gz=packed, limit=UNPACKED_LIMIT)
    return Texts(index, bodies.get(ARCHIVE), bodies.get(CURRENT), bodies.get(COMMENTS))


def _get(fetch: Fetch, place: Place, path: str, known: list[str | None] | None) -> Fetched | None:
    etag, last_modified = (known[0], known[1]) if known else (None, None)
    return fetch.get(place.of_document(path), etag=etag, last_modified=last_modified, limit=DOCUMENT_LIMIT)


def _get_optional(fetch: Fetch, place: Place, path: str, known: list[str | None] | None) -> Fetched | None:
    """As `_get`, None also where upstream refuses it: some stores answer 403 for what they don't have."""
    try:
        return _get(fetch, place, path, known)
    except UpstreamInvalid:
        return None


def _is_same(answer: Fetched | None, known: list[str | None] | None) -> bool:
    if answer is None or known is None:
        return answer is None and known is None
    return answer.body is None or digest(answer.body) == known[2]


def _check_complete(bodies: dict[str, bytes], validators: Validators, place: Place) -> None:
    if INDEX_GZ not in bodies and INDEX not in bodies and not place.is_optional:
        names = (path.replace(CONTRIB, place.contrib, 1) for path in (INDEX_GZ, INDEX))
        raise UpstreamLacksIndex(f"{shown(place.url)} has neither {' nor '.join(names)}", hint=place.setting)
    if ARCHIVE in validators and ARCHIVE not in bodies:
        raise UpstreamInvalid(
            f"{shown(place.url)} no longer has {ARCHIVE}; nothing was changed",
            hint="try again later; without it all archived versions would vanish",
        )
