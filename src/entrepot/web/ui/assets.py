"""The stylesheet, the modules and the icon: read once, sent whole, kept by browsers for good under their digest."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from entrepot.core.errors import NotFound
from entrepot.web.ui.paths import STATIC

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by name, each with its bytes as they are and with gzip; `digest` changes with any of them."""

    digest: str
    files: Mapping[str, tuple[bytes, bytes]]


@lru_cache(maxsize=1)
def assets() -> Assets:
    found = {file.name: file.read_bytes() for file in sorted(_FOLDER.iterdir()) if file.suffix in _KINDS}
    whole = hashlib.sha256()
    for name, content in found.items():
        whole.update(f"{name} {len(content)} ".encode() + content)
    packed = {name: (content, gzip.compress(content, 9, mtime=0)) for name, content in found.items()}
    return Assets(whole.hexdigest()[:16], packed)


def address(name: str) -> str:
    """The path of a file; of modules those that they import are beside them."""
    return f"{STATIC}/{assets().digest}/{name}"


async def give(request: Request) -> Response:
    """`GET /__static__/{digest}/{name}`. Under another digest, as another version of the server names it, it is
    ours for the moment."""
    known, name = assets(), request.path_params["name"]
    if name not in known.files:
        raise NotFound("there is no such file")
    content, packed = known.files[name]
    is_ours = request.path_params["digest"] == known.digest
    headers = {
        "Cache-Control": _FOR_GOOD if is_ours else "no-store",
        "Content-Type": _KINDS[Path(name).suffix],
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers={**headers, "Content-Encoding": "gzip"})
    return Response(content, headers=headers)
