"""A small server that keeps the contract of `docs/api.md` in memory, for the client and the command line."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from entrepot.core.errors import (
    AlreadySubscribed,
    Conflict,
    EntrepotError,
    FileExists,
    Invalid,
    InvalidArchive,
    InvalidBatch,
    JobNotFound,
    NameTaken,
    NotFound,
    PackageNotFound,
    RepositoryNotFound,
    SourceInUse,
    SourceNotFound,
    Unauthenticated,
    WrongType,
)

TOKEN = "the-token"
HINT = "choose another name, or use --succeed-on-existing"
TIME = "2026-07-01T10:00:00Z"
MIRRORS = {
    "cran": "https://cran.r-project.org",
    "pypi": "https://pypi.example.org",
    "bioconductor": "https://bioconductor.org",
}
REPOSITORY_TYPES = {"r": "R", "bioconductor": "Bioconductor", "python": "Python"}


class Stub:
    """The state of the server, with source and repository `cran` from the start, and knobs for bad times.

    `canned` answers `(method, path)` with a fixed `(status, body)`; `job_states` are the states that the polls
    of the next jobs see, one after the other; `lines` are every job's log; `seen` is what was asked.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.token = TOKEN
        self.address = ""
        self.repositories: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, list[str]]] = {}
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.job_states: list[dict[str, Any]] = [{"state": "done"}]
        self.lines: list[str] = []
        self.canned: dict[tuple[str, str], tuple[int, bytes, dict[str, str]]] = {}
        self.seen: list[dict[str, Any]] = []
        self.transactions = 0
        self.create_source({"name": "cran", "type": "cran", "succeed_on_existing": False})
        self.create_repository({"name": "cran", "type": "r", "description": "Access CRAN packages"})
        self.subscribe("cran", {"source": "cran"})

    # What the routes do

    def status(self) -> dict[str, Any]:
        return {"version": "0.1.0", "build_date": TIME, "sources": {}}

    def repository(self, name: str) -> dict[str, Any]:
        if name not in self.repositories:
            raise RepositoryNotFound(f"there is no repository named '{name}'", hint="'entrepot list repos' lists them")
        return self.repositories[name]

    def source(self, name: str) -> dict[str, Any]:
        if name not in self.sources:
            raise SourceNotFound(f"there is no source named '{name}'", hint="'entrepot list sources' lists them")
        source = self.sources[name]
        return {**source, "packages": len(self.packages[name])}

    def create_repository(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["name"] in self.repositories:
            if body["succeed_on_existing"]:
                return 200, self.repositories[body["name"]]
            raise NameTaken(f"a repository named '{body['name']}' exists", hint=HINT)
        if body["type"] not in REPOSITORY_TYPES:
            raise WrongType(f"'{body['type']}' is not a type of repository", hint="use r, bioconductor or python")
        made = {
            "id": len(self.repositories) + 1,
            "name": body["name"],
            "type": REPOSITORY_TYPES[body["type"]],
            "description": body["description"],
            "auth": False,
            "created": TIME,
            "sources": [],
            "transaction": None,
        }
        self.repositories[body["name"]] = made
        return 201, made

    def edit_repository(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        changed = self.repository(name) | body
        del self.repositories[name]
        self.repositories[changed["name"]] = changed
        return changed

    def subscribe(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        repository, source = self.repository(name), self.source(body["source"])
        if source["name"] in repository["sources"]:
            if body["succeed_on_existing"]:
                return repository
            raise AlreadySubscribed(f"'{name}' is subscribed to '{source['name']}' already")
        repository["sources"].append(source["name"])
        return repository

    def unsubscribe(self, name: str, source: str) -> dict[str, Any]:
        repository = self.repository(name)
        if source not in repository["sources"]:
            raise NotFound(f"'{name}' is not subscribed to '{source}'")
        repository["sources"].remove(source)
        return repository

    def reorder(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        repository = self.repository(name)
        if sorted(body["sources"]) != sorted(repository["sources"]):
            raise Invalid("the new order must name each source once")
        repository["sources"] = body["sources"]
        return repository

    def create_source(self, body: dict[str, Any]) -> tuple[int, Any]:
        name, type = body["name"], body["type"]
        if name in self.sources:
            if body["succeed_on_existing"]:
                return 200, self.source(name)
            raise NameTaken(f"a source named '{name}' exists", hint="choose another name")
        never = {"state": "never", "last_success": None, "error": None, "next_try": None, "job": None}
        self.sources[name] = {
            "id": len(self.sources) + 1,
            "name": name,
            "type": type,
            "created": TIME,
            "mirror": type in MIRRORS,
            "packages": 0,
            "projects_read": 7 if type == "pypi" else None,
            "transaction": None,
            "upstream": MIRRORS.get(type),
            "sync": never if type in MIRRORS else None,
        }
        self.packages[name] = {}
        return 201, self.sources[name]

    def edit_source(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        source = self.source(name) | body
        self.sources[source["name"]] = self.sources.pop(name) | body
        self.packages[source["name"]] = self.packages.pop(name)
        return source

    def delete_source(self, name: str) -> None:
        self.source(name)
        if any(name in repository["sources"] for repository in self.repositories.values()):
            raise SourceInUse(f"a repository is subscribed to '{name}'", hint="unsubscribe it first")
        del self.sources[name], self.packages[name]

    def add(self, name: str, form: dict[str, list[tuple[str | None, bytes]]]) -> dict[str, Any]:
        self.source(name)
        replace = form.get("replace", [(None, b"false")])[0][1] == b"true"
        changes, faults = [], []
        for filename, _ in form.get("files", []):
            found = re.fullmatch(r"([A-Za-z0-9.]+)_([0-9.-]+)\.tar\.gz", filename or "")
            if not found:
                faults.append((str(filename), InvalidArchive(f"'{filename}' is not a package", hint="use R CMD build")))
                continue
            package, version = found.groups()
            known = self.packages[name].get(package, [])
            if version in known and not replace:
                faults.append((str(filename), FileExists(f"{package} {version} exists", hint="use --replace")))
                continue
            changes.append(self.change("updated" if known else "added", package, version, known[0] if known else None))
        if faults:
            raise InvalidBatch.of(faults)
        for change in changes:
            self.packages[name].setdefault(change["name"], []).insert(0, change["version"])
        return self.outcome(changes)

    def archive(self, name: str, package: str) -> dict[str, Any]:
        versions = self.versions(name, package)
        return self.outcome([self.change("archived", package, versions[0])])

    def remove(self, name: str, package: str, body: dict[str, Any]) -> dict[str, Any]:
        versions = self.versions(name, package)
        scope = body["scope"]
        gone = versions if scope == "all" else versions[:1] if scope == "current" else [scope]
        if not set(gone) <= set(versions):
            raise PackageNotFound(f"'{package}' has no version {scope}")
        self.packages[name][package] = [version for version in versions if version not in gone]
        if not self.packages[name][package]:
            del self.packages[name][package]
        return self.outcome([self.change("removed", package, version) for version in gone])

    def versions(self, name: str, package: str) -> list[str]:
        self.source(name)
        if package not in self.packages[name]:
            raise PackageNotFound(f"source '{name}' has no package '{package}'")
        return self.packages[name][package]

    def summaries(self, sources: list[str], query: dict[str, str]) -> list[dict[str, Any]]:
        part = query.get("name_like", "")
        names = {p: v[0] for source in reversed(sources) for p, v in self.packages[source].items()}
        return [{"name": n, "version": v, "title": f"About {n}"} for n, v in sorted(names.items()) if part in n]

    def sync(self, name: str, kind: str = "sync") -> tuple[int, Any]:
        if not self.source(name)["mirror"]:
            raise WrongType(f"'{name}' is not a mirror")
        id = len(self.jobs) + 1
        idle = {"step": "", "done": 0, "total": 0}
        empty = {"progress": idle, "error": None, "result": None, "started": None, "finished": None, "due": None}
        who = {"actor": "admin", "payload": {}, "attempts": 0, "is_cancelled": False, "worker": None}
        base = {"id": id, "kind": kind, "source": name, "created": TIME, **empty, **who}
        self.jobs[id] = [{**base, **state} for state in self.job_states]
        return 202, {**base, "state": "queued"}

    def job(self, id: int) -> dict[str, Any]:
        if id not in self.jobs:
            raise JobNotFound(f"there is no job {id}")
        states = self.jobs[id]
        return states.pop(0) if len(states) > 1 else states[0]

    def log(self, id: int, after: int) -> list[dict[str, Any]]:
        self.job(id)
        return [{"id": n, "time": TIME, "text": text} for n, text in enumerate(self.lines, 1) if n > after]

    def cancel(self, id: int) -> dict[str, Any]:
        job = self.job(id)
        if job["state"] not in ("queued", "running"):
            raise Conflict(f"job {id} is over: {job['state']}", hint="only what waits or runs can be cancelled")
        state = "cancelled" if job["state"] == "queued" else job["state"]
        fault = {"code": "cancelled", "error": "cancelled by admin", "hint": None}
        self.jobs[id] = [
            {**job, "state": state, "is_cancelled": True, "error": fault if state == "cancelled" else None}
        ]
        return self.jobs[id][0]

    @staticmethod
    def change(word: str, name: str, version: str, previous: str | None = None) -> dict[str, Any]:
        return {"change": word, "name": name, "version": version, "previous": previous}

    def outcome(self, changes: list[dict[str, Any]]) -> dict[str, Any]:
        self.transactions += 1
        return {"transaction": self.transactions, "changes": changes}

    def history(self, name: str) -> list[dict[str, Any]]:
        facts = {"time": TIME, "day": TIME[:10], "completed": TIME, "published_to": f"{TIME[:10]}T00:00:00Z"}
        none = {"added": 0, "updated": 0, "archived": 0, "removed": 0}
        rows = [("added abc", {**none, "added": 2, "updated": 1}), ("subscribed to internal", none)]
        return [
            {
                "id": 9 - n,
                **facts,
                "source": name,
                "repository": None,
                "actor": "admin",
                "message": text,
                "counts": counts,
            }
            for n, (text, counts) in enumerate(rows)
        ]

    # Which route does it

    def route(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match method, *parts:
            case "GET", "status":
                return 200, self.status()
            case "GET", "repos":
                return 200, list(self.repositories.values())
            case "POST", "repos":
                return self.create_repository(body)
            case "GET", "repos", name:
                return 200, self.repository(name)
            case "PATCH", "repos", name:
                return 200, self.edit_repository(name, body)
            case "DELETE", "repos", name:
                del self.repositories[self.repository(name)["name"]]
                return 204, None
            case "GET", "repos", name, "sources":
                return 200, [self.source(source) for source in self.repository(name)["sources"]]
            case "POST", "repos", name, "sources":
                return 200, self.subscribe(name, body)
            case "PUT", "repos", name, "sources":
                return 200, self.reorder(name, body)
            case "DELETE", "repos", name, "sources", source:
                return 200, self.unsubscribe(name, source)
            case "GET", "repos", name, "packages":
                return 200, self.summaries(self.repository(name)["sources"], query)
            case "GET", "repos" | "sources", name, "transactions":
                return 200, self.history(name)
            case "GET", "sources":
                wanted = query.get("type")
                return 200, [self.source(n) for n, s in self.sources.items() if wanted in (None, s["type"])]
            case "POST", "sources":
                return self.create_source(body)
            case "GET", "sources", name:
                return 200, self.source(name)
            case "PATCH", "sources", name:
                return 200, self.edit_source(name, body)
            case "DELETE", "sources", name:
                self.delete_source(name)
                return 204, None
            case "GET", "sources", name, "packages":
                return 200, self.summaries([self.source(name)["name"]], query)
            case "POST", "sources", name, "packages":
                return 200, self.add(name, body)
            case "POST", "sources", name, "packages", package, "archive":
                return 200, self.archive(name, package)
            case "POST", "sources", name, "packages", package, "remove":
                return 200, self.remove(name, package, body)
            case "POST", "sources", name, "sync":
                return self.sync(name)
            case "POST", "sources", name, "describe":
                return self.sync(name, "describe")
            case "GET", "sources", name, "describe":
                return 200, {"from": "2019-01-01", "to": "2019-12-31", **query, "incomplete": 1234, "versions": 56789}
            case "GET", "jobs":
                rows = [states[0] for states in self.jobs.values()]
                return 200, [r for r in reversed(rows) if all(r[k] == v for k, v in query.items() if k[0] != "_")]
            case "GET", "jobs", id, "logs":
                return 200, self.log(int(id), int(query["after"]))
            case "POST", "jobs", id, "cancel":
                return 200, self.cancel(int(id))
            case "GET", "jobs", id:
                return 200, self.job(int(id))
        raise NotFound(f"no such endpoint: {method} {path}")


STATUSES = ((NotFound, 404), (Conflict, 409), (Invalid, 422), (Unauthenticated, 401))


def handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            if len(sent) < length:  # the caller hung up
                self.close_connection = True
                return
            stub.seen.append(
                {"method": self.command, "path": url.path, "query": query, "headers": dict(self.headers), "body": sent}
            )
            canned = stub.canned.get((self.command, url.path))
            if canned:
                self.send(*canned)
                return
            try:
                self.send_rows(*self.routed(url.path, query, sent), query)
            except EntrepotError as error:
                status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
                self.send(status, json.dumps(error.as_json()).encode(), {})

        def routed(self, path: str, query: dict[str, str], sent: bytes) -> tuple[int, Any]:
            start = f"{stub.prefix}/__api__"
            if not path.startswith(start):
                raise NotFound(f"no such page: {path}")
            if self.command != "GET" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Unauthenticated("this needs the administrator's token", hint="give --token")
            body = self.read(sent)
            if self.command != "GET" and isinstance(body, dict) and None in body.values():
                raise Invalid("a field is null")
            return stub.route(self.command, path.removeprefix(start), query, body)

        def read(self, sent: bytes) -> Any:
            kind = self.headers.get("Content-Type", "")
            if kind.startswith("multipart/form-data"):
                return form(kind, sent)
            return json.loads(sent) if sent else None

        def send_rows(self, status: int, document: Any, query: dict[str, str]) -> None:
            headers = {}
            if isinstance(document, list):
                limit, page = min(int(query.get("_limit", "100")), 1000), int(query.get("_page", "1"))
                headers["X-Total-Count"] = str(len(document))
                document = document[(page - 1) * limit : page * limit]
            self.send(status, b"" if status == 204 else json.dumps(document).encode(), headers)

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def form(kind: str, sent: bytes) -> dict[str, list[tuple[str | None, bytes]]]:
    """The fields of a multipart body: name -> (file name, value), read by the standard library."""
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + sent)
    fields: dict[str, list[tuple[str | None, bytes]]] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields.setdefault(str(name), []).append((part.get_filename(), part.get_payload(decode=True)))
    return fields


@contextmanager
def running(prefix: str = "") -> Iterator[Stub]:
    """A stub that listens on loopback."""
    stub = Stub(prefix)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(stub))
    server.daemon_threads = True
    stub.address = f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    listen: Callable[[], None] = lambda: server.serve_forever(poll_interval=0.02)  # noqa: E731
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
