"""An installation whose downloads are counted, and what is written of them."""

from __future__ import annotations

import random

from sqlalchemy import select

from entrepot.app import App, open_app
from entrepot.db.usageschema import downloads, package_downloads
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.server import Clock, Live, eventually

R42 = "R (4.2.2 x86_64-pc-linux-gnu x86_64 linux-gnu)"
R44 = "R (4.4.1 x86_64-pc-linux-gnu x86_64 linux-gnu)"
DEMO = make_source_package("demo", "1.0")
LARGE = make_source_package("large", "1.0", files={"inst/noise": random.Random(1).randbytes(3_000_000)})
CONTRIB = "/mine/latest/src/contrib/"
FILE = CONTRIB + "demo_1.0.tar.gz"
Row = tuple[str, str, str, str, str, int]


def stock(live: Live) -> None:
    """Repository `mine` with demo and large, of R."""
    for path, given in (
        ("/sources", {"name": "internal"}),
        ("/repos", {"name": "mine"}),
        ("/repos/mine/sources", {"source": "internal"}),
    ):
        assert live.api("POST", path, given)[0] in (200, 201)
    answer = live.upload("internal", ("demo_1.0.tar.gz", DEMO), ("large_1.0.tar.gz", LARGE))
    assert answer[0] == 200


def rows(app: App) -> list[Row]:
    """(package, version, kind, client, language, number) of all that is written, after what waits was."""
    assert app.usage.flush()
    table = downloads.c
    query = select(table.package, table.version, table.kind, table.client, table.language, table.number)
    with app.db.read() as connection:
        return sorted(tuple(row) for row in connection.execute(query))


def sums(app: App) -> dict[str, int]:
    """Package -> its number in the table of sums."""
    with app.db.read() as connection:
        found = connection.execute(select(package_downloads.c.package, package_downloads.c.number))
        return {row.package: row.number for row in found}


def counted(app: App, expected: list[Row]) -> list[Row]:
    """The rows once they are those: an answer is counted just after its last byte."""
    return eventually(lambda: rows(app), lambda found: found == expected)


class Node:
    """Another node on the database of a test."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        data_dir = settings.server.data_dir / "other"
        server = settings.server.model_copy(update={"data_dir": data_dir})
        database = settings.database.model_copy(update={"url": settings.database_url})
        self._app = open_app(settings.model_copy(update={"server": server, "database": database}), clock)

    def __enter__(self) -> App:
        return self._app

    def __exit__(self, *_: object) -> None:
        self._app.close()
