"""What is told of a package file besides its bytes: the headers of its answers, and its entity tag."""

from __future__ import annotations

from entrepot.core.answers import SendFile
from entrepot.core.model import File
from entrepot.web.reply import Headers, http_date


def headers_of(answer: SendFile, lifetime: str) -> Headers:
    """All but the date (`modified`), which conditions of requests are about; `lifetime` is a Cache-Control."""
    return [
        (b"content-type", answer.media_type.encode()),
        (b"cache-control", lifetime.encode()),
        (b"content-disposition", f'attachment; filename="{answer.listed.file.name}"'.encode()),
        *_package_headers(answer),
    ]


def _package_headers(answer: SendFile) -> Headers:
    """What clients are told of a package of R: whether it is source or binary, for what, and why not."""
    if answer.package_type is None:
        return []
    headers = [(b"x-package-type", answer.package_type.encode())]
    if answer.platform is not None:
        headers.append((b"x-package-binary-tag", answer.platform.tag.encode()))
    if answer.fallback is not None:
        headers.append((b"x-package-binary-fallback", answer.fallback.value.encode()))
    if answer.varies:
        headers.append((b"vary", b"user-agent"))
    return headers


def modified(file: File) -> bytes | None:
    """When it was published, as Last-Modified tells it."""
    return http_date(file.published) if file.published else None


def etag_of(file: File) -> str | None:
    """The same before and after a file was fetched: a mirror's index tells the MD5 from the start."""
    digest = file.md5 or file.sha256
    return f'"{digest}"' if digest else None
