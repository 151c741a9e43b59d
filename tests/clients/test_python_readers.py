"""Libraries that read indexes, and a mirror made from us: pypi-simple, simple-repository, bandersnatch."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support import pages
from tests.support.fake_pypi import FakePypi
from tests.support.python import Tools, index
from tests.support.server import Live, eventually

READ = Path(__file__).parents[1] / "support" / "read_index.py"


@pytest.fixture
def listed(stocked: Live) -> Live:
    """The site with its list of names."""
    job = stocked.api("POST", "/sources/pypi/sync", {})[1]["id"]
    eventually(lambda: stocked.api("GET", f"/jobs/{job}")[1]["state"], lambda state: state == "done")
    return stocked


def read(tools: Tools, url: str, form: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tools.run("python", "-W", "ignore", str(READ), url, form).splitlines()[-1])
    return found


@pytest.mark.parametrize("snapshot", ["latest", "2023-05-01"])
def test_other_libraries_find_the_same(listed: Live, pypi: FakePypi, tools: Tools, snapshot: str) -> None:
    """Names and each file's hash, metadata, Python and yank are the same in JSON and HTML, to both, and upstream's."""
    for upload in pypi.uploads("leaf"):
        # Upstream offers no metadata of one of these: it is told once the file was fetched.
        pages.download(listed, "leaf", upload.name)
    by_form = {form: read(tools, index(listed, snapshot), form) for form in ("json", "html")}
    assert by_form["json"] == by_form["html"]
    found = by_form["json"]
    assert found["pypi-simple"]["names"] == found["simple-repository"]["names"] == pypi.names
    for name, files in found["pypi-simple"]["files"].items():
        expected = {
            upload.name: {
                "sha256": upload.sha256,
                "requires-python": upload.requires_python,
                "yanked": upload.yanked or False,
                "metadata": upload.metadata_hash if upload.name.endswith(".whl") else None,
            }
            for upload in pypi.uploads(name)
            if snapshot == "latest" or (upload.uploaded and upload.uploaded.date().isoformat() <= snapshot)
        }
        assert found["simple-repository"]["files"][name] == expected
        assert {file: {**facts, **expected[file]} for file, facts in files.items()} == files
        assert set(files) == set(pages.files(listed, name, snapshot)) == set(expected)


# --- bandersnatch --------------------------------------------------------------------------------------------------


@contextmanager
def front(live: Live) -> Iterator[str]:
    """What bandersnatch needs in front of a repository: it takes files from `/packages/` at the root of a host alone.

    So this hands `/...` on to `/pypi/latest/...`, as a proxy does, and names files in documents accordingly.
    """
    pool = urllib3.PoolManager(retries=False)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = {name: value for name, value in self.headers.items() if name.lower() in ("accept", "user-agent")}
            answer = pool.request("GET", f"{live.address}/pypi/latest{self.path}", headers=sent, redirect=False)
            here = f"http://{self.headers['Host']}"
            body = answer.data
            if "json" in answer.headers.get("Content-Type", ""):
                body = body.replace(f"{live.address}/pypi/latest/".encode(), f"{here}/".encode())
            self.send_response(answer.status)
            for name in ("Content-Type", "X-PyPI-Last-Serial", "ETag"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            if "Location" in answer.headers:
                self.send_header("Location", answer.headers["Location"].replace("/pypi/latest/", "/"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests have enough to say."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            pool.clear()


def test_bandersnatch_mirrors_from_us(listed: Live, pypi: FakePypi, tools: Tools) -> None:
    """All projects with all their files, byte for byte."""
    with front(listed) as master:
        folder = tools.folder / "mirror"
        config = tools.folder / "bandersnatch.conf"
        config.write_text(
            f"[mirror]\ndirectory = {folder}\nmaster = {master}\nallow-non-https = true\napi-method = simple\n"
            "json = true\ntimeout = 10\nworkers = 2\nhash-index = false\nstop-on-error = true\nverifiers = 1\n"
            "storage-backend = filesystem\nsimple-format = ALL\ncompare-method = hash\n"
        )
        # It knows of proxies, but of no exceptions from them.
        direct = {f"{scheme}_proxy": "" for scheme in ("http", "https", "all")}
        tools.run("bandersnatch", "-c", str(config), "mirror", env=direct)
    got = {path.name: path.read_bytes() for path in (folder / "web" / "packages").rglob("*") if path.is_file()}
    assert got == {upload.name: upload.data for name in pypi.names for upload in pypi.uploads(name)}
    assert sorted(path.name for path in (folder / "web" / "simple").iterdir() if path.is_dir()) == pypi.names
