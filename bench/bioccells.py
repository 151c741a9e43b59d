"""Bioconductor: syncs of one version with the packages that it really has."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig import ROOT, Fault, LeftOut
from table import Row

if TYPE_CHECKING:
    from cells import Bench

VERSION = "3.18"
DATA = ROOT.parent / "shared" / "data"
PARTS = {
    "bioc": "bioc",
    "data-annotation": "data/annotation",
    "data-experiment": "data/experiment",
    "workflows": "workflows",
}
GOAL = 5.0
_FIELDS = b"Package|Version|Depends|Imports|LinkingTo|Suggests|Enhances|License|MD5sum|NeedsCompilation"
_KEPT = re.compile(rb"^(?:" + _FIELDS + rb"): ?.*(?:\n[ \t].*)*", re.MULTILINE)
"""Those that an index has, of what VIEWS tells."""


def bioconductor(bench: Bench) -> Iterator[Row]:
    """The first sync of a version, and one of which upstream has nothing new."""
    folder = bench.rig.work / "bioconductor"
    shutil.rmtree(folder, ignore_errors=True)
    packages = _mirror(folder / "upstream")
    at = bench.rig.installation("bioconductor", "/__api__/status")
    with _served(folder / "upstream") as (url, statuses):
        with (at.folder / "entrepot.toml").open("a") as file:
            file.write(f'\n[bioconductor]\nupstream = "{url}"\nsync_schedule = ""\n')
        try:
            at.serve()
            first = at.run("sync", "--type=bioconductor", f"--version={VERSION}").seconds
            reply = at.server.ask_well(f"/bioconductor/packages/{VERSION}/bioc/src/contrib/PACKAGES")
            if reply.body.count(b"\nPackage: ") < 2000:
                raise Fault("the index of Bioconductor has not the packages that it should have")
            statuses.clear()
            again = at.run("sync", "--type=bioconductor", f"--version={VERSION}").seconds
        finally:
            at.stop()
    new = statuses[200]
    yield Row(
        f"first sync of Bioconductor {VERSION}, {packages:,} packages in four parts",
        f"{first:.1f} s",
        goal=f"at most {GOAL:g} s",
        met=first <= GOAL,
        besides="the command's start is part of it",
    )
    yield Row(
        f"sync of Bioconductor {VERSION} without changes",
        f"{again:.1f} s",
        goal="conditional requests only",
        met=new == 0,
        besides=f"{statuses[304]} answers were 304, {statuses[404]} told that there is no such part, {new} had a body",
    )


def _mirror(folder: Path) -> int:
    """A mirror of one version's indexes; how many packages it has."""
    packages = 0
    for name, part in PARTS.items():
        views = DATA / f"bioc-{VERSION}-VIEWS-{name}.xz"
        if not views.exists():
            raise LeftOut("no ../shared/data, which has the packages of Bioconductor")
        stanzas = lzma.decompress(views.read_bytes()).split(b"\n\n")
        entries = [b"\n".join(_KEPT.findall(stanza)) for stanza in stanzas if stanza.strip()]
        packages += len(entries)
        contrib = folder / "packages" / VERSION / part / "src" / "contrib"
        contrib.mkdir(parents=True)
        (contrib / "PACKAGES.gz").write_bytes(gzip.compress(b"\n\n".join(entries) + b"\n"))
    shutil.copy(DATA / f"bioc-config-release-{VERSION}.yaml", folder / "config.yaml")
    return packages


class _Noting(SimpleHTTPRequestHandler):
    """Answers with files and notes the status of each answer."""

    def __init__(self, *args: Any, statuses: Counter[int], **more: Any) -> None:
        self._statuses = statuses
        super().__init__(*args, **more)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:  # noqa: ARG002
        self._statuses[int(code)] += 1

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, Counter[int]]]:
    """The URL of a folder, and how often it was answered with which status."""
    statuses: Counter[int] = Counter()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Noting, directory=str(folder), statuses=statuses)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", statuses
        finally:
            server.shutdown()
            thread.join()


BIOC_CELLS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {"bioconductor": bioconductor}
