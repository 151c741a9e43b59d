"""Usage statistics: what is counted of downloads, and that nobody who downloads notices."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, text

from entrepot.app import App
from entrepot.core.model import PackageName
from entrepot.core.usage import Client, day_number, download
from entrepot.db import usagelog
from entrepot.db.engine import Database
from entrepot.db.usage import rows_of_day
from entrepot.db.usageschema import downloads, package_downloads
from entrepot.operations import usage
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.distributions import sdist, wheel
from tests.support.process import Served, installation
from tests.support.server import Clock, Live, eventually, installed, running
from tests.support.usage import CONTRIB, DEMO, FILE, LARGE, R42, R44, Node, counted, rows, stock, sums

UV = 'uv/0.13.8 {"python":"3.12.3"}'


@pytest.fixture
def site(live: Live) -> Live:
    stock(live)
    return live


def test_a_download_is_counted_by_file_client_and_version(site: Live) -> None:
    """The first answer and finished ones count alike, each for the client that asked; the sums agree."""
    for agent in (R42, R42, R44, "renv (1.1.2); " + R42, "no-such-client/9"):
        assert site.get(FILE, User_Agent=agent).data == DEMO
    assert site.hot.find(FILE.encode()) is not None
    assert site.get(CONTRIB + "large_1.0.tar.gz", User_Agent=R42).data == LARGE
    expected = [
        ("demo", "1.0", "source", "R", "4.2", 2),
        ("demo", "1.0", "source", "R", "4.4", 1),
        ("demo", "1.0", "source", "other", "", 1),
        ("demo", "1.0", "source", "renv", "4.2", 1),
        ("large", "1.0", "source", "R", "4.2", 1),
    ]
    assert counted(site.app, expected) == expected
    assert sums(site.app) == {"demo": 5, "large": 1}


def test_what_is_no_whole_download_is_not_counted(site: Live) -> None:
    """Indexes, HEAD, 304, parts, faults and archives' lists are not; a range that is the whole file is."""
    etag = site.get(FILE, "HEAD", User_Agent=R42).headers["ETag"]
    size = len(DEMO)
    for path in (FILE, CONTRIB + "large_1.0.tar.gz"):
        tag = site.get(path, "HEAD", User_Agent=R42).headers["ETag"]
        for _ in range(2):
            assert site.get(path, "HEAD").status == 200
            assert site.get(path, If_None_Match=tag).status == 304
            assert site.get(path, Range="bytes=1-").status == 206
            assert site.get(path, Range="bytes=0-9").status == 206
            assert site.get(path, Range="bytes=-9").status == 206
            assert site.get(path, Range="bytes=99999999-").status == 416
    for path in ("PACKAGES", "PACKAGES.gz", "PACKAGES.rds", "Meta/archive.rds", "nothing_1.0.tar.gz"):
        for _ in range(2):
            assert site.get(CONTRIB + path).status in (200, 404)
    assert rows(site.app) == []
    assert site.get(FILE, Range="bytes=0-", User_Agent=R42).status == 206
    assert site.get(FILE, Range=f"bytes=0-{size - 1}", If_Range=etag, User_Agent=R42).status == 206
    assert site.get(FILE, Range="bytes=5-", If_Range='"other"', User_Agent=R42).status == 200
    expected = [("demo", "1.0", "source", "R", "4.2", 3)]
    assert counted(site.app, expected) == expected


def test_a_version_is_counted_where_it_belongs(site: Live) -> None:
    """pak asks for each version at both of its paths at once: it counts once, current and archived ones alike."""
    newer = make_source_package("demo", "2.0")
    assert site.upload("internal", ("demo_2.0.tar.gz", newer))[0] == 200
    for version, data in (("1.0", DEMO), ("2.0", newer)):
        for folder in (CONTRIB, CONTRIB + "Archive/demo/"):
            for _ in range(2):
                assert site.get(f"{folder}demo_{version}.tar.gz", User_Agent=R42).data == data
    expected = [("demo", "1.0", "source", "R", "4.2", 2), ("demo", "2.0", "source", "R", "4.2", 2)]
    assert counted(site.app, expected) == expected


@pytest.mark.one_shape
def test_files_of_python_projects_are_counted_and_their_metadata_is_not(live: Live) -> None:
    """A wheel and an sdist as what they are, under the project's normal name; a `.metadata` beside them as nothing."""
    assert live.api("POST", "/sources", {"name": "own", "type": "local-python"})[0] == 201
    assert live.api("POST", "/repos", {"name": "py", "type": "python"})[0] == 201
    assert live.api("POST", "/repos/py/sources", {"source": "own"})[0] == 200
    files = [wheel("My.Pkg", "2.0"), sdist("My.Pkg", "2.0")]
    assert live.upload("own", *files)[0] == 200
    for name, data in files:
        path = f"/py/latest/packages/my-pkg/{name}"
        assert live.get(path, User_Agent=UV).data == data
        assert live.get(path, User_Agent=UV).data == data
    assert live.get(f"/py/latest/packages/my-pkg/{files[0][0]}.metadata", User_Agent=UV).status == 200
    assert live.get("/py/latest/simple/my-pkg/", User_Agent=UV).status == 200
    expected = [("my-pkg", "2.0", "sdist", "uv", "3.12", 2), ("my-pkg", "2.0", "wheel", "uv", "3.12", 2)]
    assert counted(live.app, expected) == expected


def test_a_download_that_broke_off_is_not_counted(site: Live) -> None:
    """Who goes away in the middle of a large file got nothing that could be installed."""
    # More than the kernel takes for a client that reads nothing.
    huge = make_source_package("huge", "1.0", files={"inst/noise": os.urandom(16_000_000)})
    assert site.upload("internal", ("huge_1.0.tar.gz", huge))[0] == 200
    parts, path = urlsplit(site.address), CONTRIB + "huge_1.0.tar.gz"
    for _ in range(3):
        with closing(socket.create_connection((parts.hostname, parts.port))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {R42}\r\n\r\n".encode())
            assert len(connection.recv(1000)) > 0
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    # What comes after them is counted, and they are over by then.
    assert site.get(path, User_Agent=R44).data == huge
    time.sleep(0.5)
    assert rows(site.app) == [("huge", "1.0", "source", "R", "4.4", 1)]


@pytest.mark.one_shape
def test_what_a_front_server_sends_is_counted(settings: Settings, clock: Clock) -> None:
    """A file that is left to a front server counts when it is: whole ones, not parts, HEAD or 304."""
    server = settings.server.model_copy(update={"send_files": "x-accel-redirect"})
    with installed(settings.model_copy(update={"server": server}), clock) as app, running(app) as live:
        stock(live)
        path = CONTRIB + "large_1.0.tar.gz"
        answer = live.get(path, User_Agent=R42)
        assert "X-Accel-Redirect" in answer.headers
        for headers in ({"Range": "bytes=7-"}, {"Range": "bytes=99999999-"}, {"If_None_Match": answer.headers["ETag"]}):
            live.get(path, User_Agent=R42, **headers)
        live.get(path, "HEAD", User_Agent=R42)
        live.get(path, User_Agent=R42, Range="bytes=0-")
        expected = [("large", "1.0", "source", "R", "4.2", 2)]
        assert counted(app, expected) == expected


def test_each_day_has_its_own_numbers(site: Live, clock: Clock) -> None:
    """A download belongs to the UTC day on which it was taken, whenever that is written down."""
    clock.wait(hours=11, minutes=59, seconds=59, milliseconds=500)
    assert site.get(FILE, User_Agent=R42).status == 200
    clock.wait(seconds=1)
    time.sleep(0.5)  # what was left of the day, by the clock of the machine
    for _ in range(2):
        assert site.get(FILE, User_Agent=R42).status == 200
    eventually(lambda: rows(site.app), lambda found: sum(row[-1] for row in found) == 3)
    status, told = site.api("GET", "/repos/mine/packages/demo/downloads?_days=3")
    assert (status, told["total"]) == (200, 3)
    assert told["days"] == [
        {"date": "2024-02-29", "downloads": 0},
        {"date": "2024-03-01", "downloads": 1},
        {"date": "2024-03-02", "downloads": 2},
    ]


def test_nodes_add_to_the_same_rows(settings: Settings, clock: Clock, site: Live) -> None:
    """Two nodes on one database count together, as often and at the same time as they like."""
    with Node(settings, clock) as other:
        demo = download(1, 1, PackageName("demo"), "1.0", "source")
        large = download(1, 1, PackageName("large"), "1.0", "source")

        def count(app: App, first: Any, second: Any) -> None:
            for _ in range(20):
                app.usage.note(first, Client("R", "4.2"))
                app.usage.note(second, Client("R", "4.2"))
                assert app.usage.flush()

        threads = [
            threading.Thread(target=count, args=(site.app, demo, large)),
            threading.Thread(target=count, args=(other, large, demo)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert rows(site.app) == [
        ("demo", "1.0", "source", "R", "4.2", 40),
        ("large", "1.0", "source", "R", "4.2", 40),
    ]
    assert sums(site.app) == {"demo": 40, "large": 40}


def test_a_database_that_is_busy_delays_no_download(site: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another write takes its time, downloads are as quick as ever; what was counted is written behind it."""
    monkeypatch.setattr(usagelog, "WRITE_EVERY", 0.05)
    assert site.get(FILE, User_Agent=R42).status == 200
    with site.app.db.write(shows=False):
        time.sleep(0.3)  # the thread that writes waits by now
        began = time.monotonic()
        for _ in range(200):
            assert site.get(FILE, User_Agent=R42).data == DEMO
        assert time.monotonic() - began < 2
    assert counted(site.app, [("demo", "1.0", "source", "R", "4.2", 201)])


def test_a_database_that_refuses_breaks_no_download(site: Live, caplog: pytest.LogCaptureFixture) -> None:
    """Where counts can't be written, downloads go on; what was lost is told at /metrics, and later counts are kept."""
    with site.app.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE downloads RENAME TO away"))
    for _ in range(3):
        assert site.get(FILE, User_Agent=R42).data == DEMO
    lost = b"entrepot_usage_lost_total 3.0"
    eventually(lambda: site.app.usage.flush() and site.get("/metrics").data, lambda metrics: lost in metrics)
    assert "could not be written down" in caplog.text
    with site.app.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO downloads"))
    assert site.get(FILE, User_Agent=R42).data == DEMO
    assert counted(site.app, [("demo", "1.0", "source", "R", "4.2", 1)])


def test_while_the_database_is_away_counts_wait(
    site: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """They are written when it is back, each once; beyond a bound new ones are dropped, and that is counted."""
    monkeypatch.setattr(usagelog, "MOST", 5)
    app = site.app
    away = Database(f"sqlite:///{tmp_path}" if app.db.is_sqlite else "postgresql://nobody@127.0.0.1:9/none")
    back, app.usage._db = app.usage._db, away
    for n in range(7):
        for _ in range(2):
            app.usage.note(download(1, 1, PackageName(f"p{n}"), "1.0", "source"), Client("R", "4.2"))
    assert not app.usage.flush()
    for n in range(3, 9):
        app.usage.note(download(1, 1, PackageName(f"p{n}"), "1.0", "source"), Client("R", "4.2"))
    assert not app.usage.flush()
    away.close()
    assert app.usage.lost == 2 * 2 + 4
    assert caplog.text.count("can't be written down now") == 1
    app.usage._db = back
    assert rows(app) == [(f"p{n}", "1.0", "source", "R", "4.2", 2 + (n > 2)) for n in range(5)]
    assert rows(app) == rows(app)


def test_a_day_has_a_bounded_number_of_rows(site: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the bound only packages are told apart; no download is missing in the sums."""
    monkeypatch.setattr(usagelog, "MOST_A_DAY", 10)
    monkeypatch.setattr(usagelog, "LOOK_EVERY", 0.0)
    app = site.app
    for n in range(60):
        for name in ("demo", "large"):
            one = download(1, 1, PackageName(name), f"{n // 8}.0", "source")
            app.usage.note(one, Client("R", f"4.{n % 8}"))
        assert app.usage.flush()
    with app.db.read() as connection:
        assert rows_of_day(connection, day_number(app.clock())) == 12
    found = [row for row in rows(app) if row[1] == ""]
    assert found == [("demo", "", "", "other", "", 55), ("large", "", "", "other", "", 55)]
    assert sums(app) == {"demo": 60, "large": 60}


def test_counts_are_written_by_themselves(site: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every few seconds, without anybody asking for it: a process that is killed loses no more than those."""
    monkeypatch.setattr(usagelog, "WRITE_EVERY", 0.05)
    for _ in range(3):
        assert site.get(FILE, User_Agent=R42).status == 200
    assert eventually(lambda: sums(site.app), lambda found: found == {"demo": 3})


@pytest.mark.one_shape
def test_the_order_of_ending_loses_nothing(settings: Settings) -> None:
    """A server that is stopped writes down what it counted a moment ago."""
    with Served(settings) as served:
        for path, given in (
            ("/sources", {"name": "internal"}),
            ("/repos", {"name": "mine"}),
            ("/repos/mine/sources", {"source": "internal"}),
        ):
            assert served.api("POST", path, given)[0] in (200, 201)
        assert served.upload("internal", "demo_1.0.tar.gz", DEMO)[0] == 200
        parts = urlsplit(served.address)
        for _ in range(5):
            with closing(socket.create_connection((parts.hostname, parts.port))) as connection:
                connection.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\nUser-Agent: {R42}\r\n\r\n".encode())
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(30)
    with installation(settings) as app:
        assert rows(app) == [("demo", "1.0", "source", "R", "4.2", 5)]


def test_old_days_are_forgotten(site: Live, clock: Clock) -> None:
    """Days before the last `keep_days` are removed from both tables, a month of them at a time."""
    app = site.app
    one = download(1, 1, PackageName("demo"), "1.0", "source")
    for _ in range(50):
        app.usage.note(one, Client("R", "4.2"))
        assert app.usage.flush()
        clock.wait(days=1)
    app.usage.note(one, Client("R", "4.2"))
    assert sum(row[-1] for row in rows(app)) == 51
    short = app.settings.model_copy(update={"usage": app.settings.usage.model_copy(update={"keep_days": 10})})
    with Node(short, clock) as cleaner:
        assert [usage.remove_old(cleaner) for _ in range(3)] == [31, 10, 0]
    table, today = downloads.c, day_number(clock())
    with app.db.read() as connection:
        assert sorted(connection.execute(select(table.day)).scalars()) == list(range(today - 9, today + 1))
        left = connection.execute(select(package_downloads.c.day)).scalars()
        assert sorted(left) == list(range(today - 9, today + 1))


def test_nothing_tells_who_downloaded(site: Live) -> None:
    """Whoever downloads with a token, from any address: neither stands in what is written."""
    bearer = f"Bearer {site.token}"
    assert site.get(FILE, User_Agent=R42, Authorization=bearer, X_Forwarded_For="203.0.113.9").status == 200
    eventually(lambda: rows(site.app), bool)
    with site.app.db.read() as connection:
        (row,) = connection.execute(select(downloads)).mappings().all()
    assert set(row) == {
        *("day", "repository_id", "package", "version", "source_id", "kind"),
        *("client", "language", "number"),
    }
    assert "127.0.0.1" not in str(dict(row))
