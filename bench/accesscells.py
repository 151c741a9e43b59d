"""Closed repositories: what a token costs a request, ten thousand of them, and an issuer of identities that hangs."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from load import Burst, Load, burst, quantile
from loadcell import milli
from rig import Fault, Installation, Site, free_port, program, source_package
from table import Row

if TYPE_CHECKING:
    from cells import Bench

INDEX = "/{repo}/latest/src/contrib/PACKAGES.gz"
FILE = "/{repo}/latest/src/contrib/small_1.0.tar.gz"
MANY = 10_000
ASKED = 500
"""Tokens that are used for the first time."""
TURNS = 31
TURN = 1.0
"""Seconds of load on each of the two repositories in one round."""
ASKING = 8
"""Exchanges at once while the issuer hangs."""
_MAKE = """
import json, sys, uuid
from datetime import timedelta
from pathlib import Path
from entrepot.app import open_app
from entrepot.core import tokens as texts
from entrepot.core.access import Scope, TokenKind
from entrepot.db import repositories, tokens
from entrepot.settings import load_settings
app, made = open_app(load_settings(Path("entrepot.toml"), {})), []
with app.db.write(shows=False) as connection:
    grants = {Scope.REPOS_READ: frozenset({repositories.get(connection, "shut").id})}
    for _ in range(int(sys.argv[1])):
        made.append(texts.make_token())
        tokens.add(connection, guid=str(uuid.uuid4()), digest=texts.digest(made[-1]), start=texts.start_of(made[-1]),
                   kind=TokenKind.API, actor="bench", description="bench", grants=grants, now=app.clock(),
                   created_by="bench", expires=app.clock() + timedelta(days=1))
app.close()
print(json.dumps(made[:int(sys.argv[2])]))
"""


@contextmanager
def _installation(bench: Bench, name: str, settings: str = "") -> Iterator[Installation]:
    """A server with one package in two repositories: `open`, and `shut`, which is closed."""
    folder = bench.rig.work / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    at = bench.rig.installation(name, "/__api__/status")
    with (folder / "entrepot.toml").open("a") as file:
        file.write(settings)
    package = folder / "small_1.0.tar.gz"
    package.write_bytes(source_package("small", 11_000))
    try:
        at.serve()
        at.run("create", "source", "--name=own")
        at.run("add", "--source=own", f"--path={package}")
        for repo in ("open", "shut"):
            closed = ("--authenticated",) if repo == "shut" else ()
            at.run("create", "repo", f"--name={repo}", *closed)
            at.run("subscribe", f"--repo={repo}", "--source=own")
        yield at
    finally:
        at.stop()


def _tokens(at: Installation, number: int, wanted: int) -> list[str]:
    """Make tokens for the closed repository; the texts of some of them."""
    python = Path(program("entrepot")).parent / "python"
    words = [python, "-c", _MAKE, str(number), str(wanted)]
    done = subprocess.run(words, cwd=at.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Fault(f"tokens could not be made: {done.stderr[-300:]}")
    made: list[str] = json.loads(done.stdout)
    return made


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def closed(bench: Bench) -> Iterator[Row]:
    """Warm requests to a closed repository beside the same to an open one, and the first request of a token."""
    with _installation(bench, "closed") as at:
        (token,) = _tokens(at, 1, 1)
        for title, path in (("`PACKAGES.gz`, conditional", INDEX), ("tarball of 11 KB", FILE)):
            yield _beside_open(at.server, title, path, token)
        few = _first_requests(at.server, _tokens(at, ASKED, ASKED))
        (token, *others) = _tokens(at, MANY, ASKED + 1)
        many = _first_requests(at.server, others)
        yield Row(
            "first request of a token",
            f"{milli(statistics.median(many))} median",
            ratio=f"{statistics.median(many) / statistics.median(few):.2f}",
            goal=f"the same with {MANY:,} tokens",
            met=statistics.median(many) <= 1.25 * statistics.median(few),
            besides=f"{milli(statistics.median(few))} with {ASKED}; 90% {milli(quantile(many, 0.9))}, "
            f"{milli(quantile(few, 0.9))} with {ASKED}",
        )
        yield _beside_open(at.server, f"tarball of 11 KB, {MANY:,} tokens", FILE, token)


def _beside_open(site: Site, title: str, path: str, token: str) -> Row:
    loads = {repo: _load(site, path.format(repo=repo), token, "conditional" in title) for repo in ("open", "shut")}
    found: dict[str, list[Burst]] = {repo: [] for repo in loads}
    for round_ in range(TURNS):
        for repo in loads if round_ % 2 else reversed(loads):
            found[repo].append(burst(site, loads[repo], TURN))
    opened, shut = (statistics.median(it.requests for it in found[repo]) for repo in ("open", "shut"))
    cpu = {repo: statistics.median(it.cpu for it in found[repo]) * 1e6 for repo in found}
    # Of neighbours, as what else the machine does makes both of a round faster or slower.
    ratio = statistics.median(a.requests / b.requests for a, b in zip(found["open"], found["shut"], strict=True))
    return Row(
        f"closed repository: {title}",
        f"{shut:,.0f}/s",
        ratio=f"{ratio:.2f} of open",
        goal="costs at most 15% more than open",
        met=ratio <= 1.15,
        besides=f"open {opened:,.0f}/s; CPU {cpu['shut']:.0f} µs, open {cpu['open']:.0f} µs",
    )


def _load(site: Site, path: str, token: str, is_conditional: bool) -> Load:
    """What to ask, as a client does that knows one token for the server."""
    headers = _bearer(token)
    reply = site.ask_well(path, headers)
    if is_conditional:
        headers["If-None-Match"] = reply.headers["etag"]
        reply = site.ask(path, headers)
    return Load(path, headers, reply.status, len(reply.body), 32)


def _first_requests(site: Site, tokens: list[str]) -> list[float]:
    """Seconds of the first request with each."""
    path = INDEX.format(repo="shut")
    return [site.ask_well(path, _bearer(token)).seconds for token in tokens]


def issuer_hangs(bench: Bench) -> Iterator[Row]:
    """Exchanges of identities whose issuer takes connections and says nothing, and packages meanwhile."""
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = f'\n[identity_federation "ci"]\nissuer = "{issuer}"\naudience = "a"\nsubject = "b"\n'
        with _installation(bench, "issuer-hangs", settings) as at:
            (token,) = _tokens(at, 1, 1)
            path, headers = INDEX.format(repo="shut"), _bearer(token)
            usual = [at.server.ask_well(path, headers).seconds for _ in range(500)]
            over = threading.Event()
            askers = [threading.Thread(target=_exchange, args=(at.port, issuer, over)) for _ in range(ASKING)]
            for asker in askers:
                asker.start()
            time.sleep(1)
            meanwhile = [at.server.ask_well(path, headers).seconds for _ in range(500)]
            over.set()
            for asker in askers:
                asker.join()
    ratio = statistics.median(meanwhile) / statistics.median(usual)
    yield Row(
        f"closed repository while {ASKING} exchanges wait for a silent issuer",
        f"{milli(statistics.median(meanwhile))} median",
        ratio=f"{ratio:.2f} of usual",
        goal="slows nobody else",
        met=ratio <= 1.5,
        besides=f"usual {milli(statistics.median(usual))}; 99% {milli(quantile(meanwhile, 0.99))}, "
        f"usual {milli(quantile(usual, 0.99))}",
    )


def _exchange(port: int, issuer: str, over: threading.Event) -> None:
    """Ask for a token with an identity of that issuer, again and again."""
    site = Site("exchange", port)
    header = _encoded(json.dumps({"alg": "RS256", "kid": "1"}))
    claims = _encoded(json.dumps({"iss": issuer, "aud": "a", "sub": "b", "exp": 2**31}))
    body = (
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
        "&subject_token_type=urn:ietf:params:oauth:token-type:id_token"
        f"&subject_token={header}.{claims}.{_encoded('signature')}"
    )
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    while not over.is_set():
        reply = site.ask("/__api__/token", form, method="POST", body=body.encode())
        if reply.status < 400:
            raise Fault(f"an identity that nobody vouched for was taken: {reply.status}")
        time.sleep(0.02)


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


ACCESS_CELLS = {"closed": closed, "issuer-hangs": issuer_hangs}
