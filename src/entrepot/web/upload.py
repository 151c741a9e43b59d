"""`POST /upload/pypi/{source}`: the legacy upload API (PyPA: "Upload API"), as twine, uv and the others speak it."""

from __future__ import annotations

import hashlib
import logging
import secrets
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from entrepot.core.access import ANONYMOUS, Access
from entrepot.core.errors import EntrepotError, Invalid, TooLarge, Unauthenticated
from entrepot.core.model import Sha256
from entrepot.core.room import needs_room
from entrepot.ecosystems.python import upload as forms
from entrepot.operations import packages
from entrepot.operations.access import HOW_TO_ASK, admit_to_write
from entrepot.operations.packages import Digests, Upload
from entrepot.web.audit import note_refusal, written_down
from entrepot.web.context import UPLOADS, Context
from entrepot.web.errors import plain, status_of
from entrepot.web.reply import NOT_KEPT, Headers, Receive, Reply, Request, Scope, Send
from entrepot.web.streams import in_thread

_log = logging.getLogger(__name__)
PREFIX = "/upload"
UPLOAD = "upload"
"""What it is called in the audit log."""
_PLACE = "/upload/pypi/"
_MOST_PARTS = 20_000
_FORM = 32 << 20
"""Bytes of a form besides the file: descriptions may be long."""
_AT_ONCE = 1 << 20
"""Bytes that are taken apart and written at once."""


class Uploads:
    """The door as an ASGI application."""

    def __init__(self, context: Context) -> None:
        self._app, self._door = context.app, context.door
        self._limit = context.app.settings.python.max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        reply = Reply(request, receive, send)
        try:
            await self._respond(scope, request, reply, receive)
        except _Gone:
            return
        except EntrepotError as error:
            await _refuse(reply, error)
        except Exception:
            id_ = uuid.uuid4().hex[:12]
            _log.exception("request %s: %s %s", id_, request.method, request.path)
            await reply.text(500, f"an error of the server (request {id_}); its log has the details\n")

    async def _respond(self, scope: Scope, request: Request, reply: Reply, receive: Receive) -> None:
        source = unquote(request.path.removeprefix(_PLACE).rstrip("/"))
        if not request.path.startswith(_PLACE) or not source or "/" in source or "+" in source:
            await reply.text(404, f"there is nothing here; Python packages are uploaded to {_PLACE}SOURCE\n")
            return
        if request.method != "POST":
            told = "Python packages are uploaded here with POST; they are read from /REPOSITORY/latest/simple/\n"
            await reply.text(405, told, [(b"allow", b"POST")])
            return
        access = await self._admitted(scope, source)
        await in_thread(packages.check_takes_python, self._app, source)
        boundary = _boundary(request)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit + _FORM:
            raise _too_large(self._limit)
        received = _Received(self._app.settings.server.data_dir / "tmp", boundary, self._limit)
        try:
            await _receive(receive, received)
            subject = f"source={source} file={received.file_name}"
            async with written_down(self._app, scope, UPLOAD, access=access, subject=subject):
                told = await in_thread(self._add, source, received, access.actor)
        finally:
            await in_thread(received.remove)
        await reply.text(200, told, [(b"cache-control", NOT_KEPT.encode())])

    async def _admitted(self, scope: Scope, source: str) -> Access:
        """Who may upload. Raises Unauthenticated, Forbidden, TooMany."""
        access = ANONYMOUS
        try:
            access = (await self._door.entrant(scope)).access
            if access.is_session:
                raise Unauthenticated("uploads need a token, not a browser's session", hint=HOW_TO_ASK)
            await in_thread(admit_to_write, self._app, access, source)
        except EntrepotError as error:
            note_refusal(self._app, scope, UPLOAD, error, access=access, subject=f"source={source}")
            raise
        return access

    def _add(self, source: str, received: _Received, actor: str) -> str:
        """What to tell of the upload that was received."""
        upload = received.finish()
        outcome = packages.add_files(self._app, source, [upload], actor=actor)
        if outcome.transaction is None:
            return f"{upload.name} is in source {source} already, with the same bytes\n"
        return f"added {upload.name} to source {source}\n"


class _Gone(Exception):
    """The client broke off."""


async def _receive(receive: Receive, received: _Received) -> None:
    """Take the body as it comes, in pieces large enough to be worth a thread."""
    pieces: list[bytes] = []
    waiting = 0
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        pieces.append(message.get("body", b""))
        waiting += len(pieces[-1])
        has_more = message.get("more_body", False)
        if waiting >= _AT_ONCE or not has_more:
            await in_thread(received.feed, b"".join(pieces))
            pieces, waiting = [], 0


class _Received:
    """One upload on its way to the disk: the form's fields, and the file under a name of our own.

    Blocks; used by one thread at a time.
    """

    def __init__(self, folder: Path, boundary: bytes, limit: int) -> None:
        self._folder = folder / f"{UPLOADS}{secrets.token_hex(8)}"
        self._limit = limit
        self._fields: dict[str, bytes] = {}
        self._file_name: str | None = None
        self._file: BinaryIO | None = None
        self._hashes: dict[str, Any] = {}
        self._size = self._rest = self._parts = 0
        self._is_whole = False
        self._header = self._value = b""
        self._disposition: dict[bytes, bytes] = {}
        self._field = ""
        callbacks: dict[str, Callable[..., None]] = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finished,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        except FormParserError as error:
            raise _malformed(error) from error

    @property
    def file_name(self) -> str:
        """What the client calls the file."""
        return self._file_name or ""

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            Invalid, TooLarge, OutOfSpace
        """
        with needs_room("the upload could not be received"):
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise _malformed(error) from error

    def finish(self) -> Upload:
        """The file that came, which is what the form says it is.

        Raises:
            Invalid: the body was cut short, has no file, or the two disagree.
        """
        if not self._is_whole:
            raise Invalid("the upload was cut short: its last part has no end", hint="upload it again")
        form = forms.read_form({name: value.decode("utf-8", "replace") for name, value in self._fields.items()})
        if self._file is None or self._file_name is None:
            raise Invalid("the upload has no file", hint=f"the file is the field {forms.CONTENT!r} of the form")
        with needs_room("the upload could not be received"):
            self._file.close()
        digests = {name: found.hexdigest() for name, found in self._hashes.items()}
        if not self._size:
            raise Invalid(f"{self._file_name[:200]} is empty", hint="upload the file that the build tool made")
        forms.check_agrees(form, file_name=self._file_name, digests=digests)
        known = Digests(digests["md5"], Sha256(digests["sha256"]))
        return Upload(self._file_name, self._folder / "file", known)

    def remove(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise Invalid(f"the form has more than {_MOST_PARTS:,} parts")
        self._disposition, self._field = {}, ""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = parse_options_header(self._value)[1]
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        self._field = self._disposition.get(b"name", b"").decode("utf-8", "replace")
        if not self._field:
            raise Invalid("a part of the form has no name")
        if self._field == forms.CONTENT:
            self._open()
        elif self._field in forms.WANTED:
            if self._field in self._fields:
                raise Invalid(f"the form has the field {self._field} twice")
            self._fields[self._field] = b""

    def _open(self) -> None:
        if self._file is not None:
            raise Invalid("the form has several files", hint="upload one after the other")
        self._file_name = self._disposition.get(b"filename", b"").decode("utf-8", "replace")
        self._folder.mkdir()
        self._file = (self._folder / "file").open("wb")
        self._hashes = {
            "md5": hashlib.md5(usedforsecurity=False),
            "sha256": hashlib.sha256(),
            "blake2_256": hashlib.blake2b(digest_size=32),
        }

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field == forms.CONTENT and self._file is not None:
            self._size += end - start
            if self._size > self._limit:
                raise _too_large(self._limit)
            piece = memoryview(data)[start:end]
            self._file.write(piece)
            for found in self._hashes.values():
                found.update(piece)
            return
        self._rest += end - start
        if self._rest > _FORM:
            raise TooLarge(f"the form has more than {_FORM} bytes besides the file")
        if self._field in self._fields:
            value = self._fields[self._field] + data[start:end]
            if len(value) > forms.LONGEST:
                raise Invalid(f"the field {self._field} is longer than {forms.LONGEST} characters")
            self._fields[self._field] = value

    def _end(self) -> None:
        self._field = ""

    def _finished(self) -> None:
        self._is_whole = True


async def _refuse(reply: Reply, error: EntrepotError) -> None:
    """The upload API knows 400 for what is wrong with an upload: some clients show a person the words of no other."""
    status = status_of(error)
    headers: Headers = [(b"cache-control", NOT_KEPT.encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="entrepot", charset="UTF-8"'))
    if status >= 500:
        _log.warning("%s: %s", reply.request.path, error)
    await reply.text(400 if status == 422 else status, plain(error), headers)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Invalid(
            "the upload is not a form (multipart/form-data)",
            hint="use twine, uv publish or the like, or `entrepot add`",
        )
    return boundary


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the file is larger than {limit} bytes", hint="[python] max_upload is the limit of uploads")


def _malformed(error: FormParserError) -> Invalid:
    return Invalid(f"the form can't be read: {error}", hint="upload it again")
