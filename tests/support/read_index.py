"""What other libraries read of an index: `python read_index.py URL json|html`, as JSON; run with the clients' Python.

{"pypi-simple": ..., "simple-repository": ...}, each {"names": [...], "files": {project: {file name: facts}}}; what
pypi-simple finds is downloaded as well, with its metadata, and checked by its digests.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pypi_simple
from simple_repository.components.http import HttpRepository

JSON, HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"


def with_pypi_simple(url: str, accept: str) -> dict[str, Any]:
    files: dict[str, Any] = {}
    with pypi_simple.PyPISimple(url, accept=accept) as client, tempfile.TemporaryDirectory() as folder:
        names = client.get_index_page().projects
        for name in names:
            files[name] = {}
            for package in client.get_project_page(name).packages:
                client.download_package(package, Path(folder, package.filename))
                if package.has_metadata:
                    document = client.get_package_metadata_bytes(package)
                    assert (package.metadata_digests or {})["sha256"] == hashlib.sha256(document).hexdigest()
                files[name][package.filename] = {
                    "sha256": package.digests["sha256"],
                    "requires-python": package.requires_python,
                    "yanked": package.yanked_reason or package.is_yanked,
                    "metadata": (package.metadata_digests or {}).get("sha256"),
                    "version": package.version,
                }
    return {"names": names, "files": files}


async def with_simple_repository(url: str, accept: str) -> dict[str, Any]:
    async with httpx.AsyncClient(follow_redirects=True) as client:
        repository = HttpRepository(url, http_client=client)
        repository.downstream_content_types = accept
        names = sorted(project.normalized_name for project in (await repository.get_project_list()).projects)
        files: dict[str, Any] = {}
        for name in names:
            page = await repository.get_project_page(name)
            files[name] = {
                file.filename: {
                    "sha256": file.hashes["sha256"],
                    "requires-python": file.requires_python,
                    "yanked": file.yanked or False,
                    "metadata": (file.dist_info_metadata or {}).get("sha256")
                    if isinstance(file.dist_info_metadata, dict)
                    else None,
                }
                for file in page.files
            }
    return {"names": names, "files": files}


if __name__ == "__main__":
    address, form = sys.argv[1:]
    wanted = JSON if form == "json" else HTML
    found = {
        "pypi-simple": with_pypi_simple(address, wanted),
        "simple-repository": asyncio.run(with_simple_repository(address, wanted)),
    }
    print(json.dumps(found))
