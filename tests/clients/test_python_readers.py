"""Libraries that read indexes, and a mirror made from us: pypi-simple, simple-repository, bandersnatch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import pages
from tests.support.fake_pypi import FakePypi
from tests.support.python import Tools, index
from tests.support.server import Live, eventually

pytestmark = pytest.mark.one_shape

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


def test_bandersnatch_mirrors_from_us(listed: Live, pypi: FakePypi, tools: Tools) -> None:
    """All projects with all their files, byte for byte."""
    folder = tools.folder / "mirror"
    config = tools.folder / "bandersnatch.conf"
    config.write_text(
        f"[mirror]\ndirectory = {folder}\nmaster = {listed.address}/pypi/latest\nallow-non-https = true\n"
        "api-method = simple\njson = true\ntimeout = 10\nworkers = 2\nhash-index = false\nstop-on-error = true\n"
        "verifiers = 1\nstorage-backend = filesystem\nsimple-format = ALL\ncompare-method = hash\n"
    )
    # It knows of proxies, but of no exceptions from them.
    direct = {f"{scheme}_proxy": "" for scheme in ("http", "https", "all")}
    tools.run("bandersnatch", "-c", str(config), "mirror", env=direct)
    got = {path.name: path.read_bytes() for path in (folder / "web" / "packages").rglob("*") if path.is_file()}
    assert got == {upload.name: upload.data for name in pypi.names for upload in pypi.uploads(name)}
    assert sorted(path.name for path in (folder / "web" / "simple").iterdir() if path.is_dir()) == pypi.names
