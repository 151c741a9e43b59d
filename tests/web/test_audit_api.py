"""What is written down of requests: every act before its answer leaves, every refusal, and no secret."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import text

from entrepot.core.tokens import make_token
from entrepot.operations import repositories
from tests.support.distributions import wheel
from tests.support.server import Live

HERE = "127.0.0.1"


def log(live: Live, query: str = "", *, flush: bool = True) -> list[dict[str, Any]]:
    """The acts, the oldest first."""
    if flush:
        live.app.audit.flush()
    status, rows = live.api("GET", f"/audit?_order=asc&{query}")
    assert status == 200, rows
    return list(rows)


def told(row: dict[str, Any]) -> tuple[str, str, str, str, int]:
    return row["actor"], row["action"], row["subject"], row["outcome"], row["status"]


def token_of(live: Live, **wanted: object) -> tuple[str, str]:
    """(text, guid) of a new token."""
    status, made = live.api("POST", "/tokens", {"description": "a test", **wanted})
    assert status == 201, made
    return made["token"], made["guid"]


def test_an_act_is_written_before_its_answer_leaves(live: Live) -> None:
    """Who, from where, what, and how it ended; without waiting for anything."""
    assert live.api("POST", "/repos", {"name": "team", "type": "r"})[0] == 201
    (row,) = log(live, flush=False)
    assert told(row) == ("admin", "create repo", "name=team type=r", "done", 201)
    assert (row["address"], row["token"], row["id"], row["began"]) == (HERE, None, 2, 1)


def test_what_fails_is_written_with_its_reason(live: Live) -> None:
    """A name that is taken, a thing that is not there, a body that is wrong."""
    live.api("POST", "/repos", {"name": "cran"})
    live.api("DELETE", "/repos/nope")
    live.api("POST", "/repos", {"name": ["odd"]})
    rows = log(live)
    assert [told(row)[1:] for row in rows] == [
        ("create repo", "name=cran", "failed", 409),
        ("delete repo", "repo=nope", "failed", 404),
        ("create repo", "name=odd", "failed", 422),
    ]
    assert [row["detail"] for row in rows][:2] == [
        "a repository named 'cran' exists",
        "there is no repository named 'nope'",
    ]


def test_an_act_names_the_token(live: Live) -> None:
    """Of whoever sent one: its guid, never its text, and the actor that it is for."""
    token, guid = token_of(live, scopes=["global:admin"], user="ann")
    live.api("DELETE", "/repos/cran", token=token)
    created, deleted = log(live)
    assert (deleted["actor"], deleted["token"], deleted["outcome"]) == ("ann", guid, "done")
    assert told(created)[:3] == ("admin", "create token", "user=ann description=a test")
    assert created["detail"] == f"guid={guid} global:admin"
    assert token not in str([created, deleted])


def test_who_is_refused_is_written(live: Live) -> None:
    """Writes and reads of administration, with no token, a wrong one, and one that may not."""
    token, guid = token_of(live, scopes=["metadata:read"], user="ben")
    for sent in ("", make_token(), token):
        live.api("DELETE", "/repos/cran", token=sent)
        live.api("GET", "/audit", token=sent)
    rows = log(live, "outcome=refused")
    assert [told(row) for row in rows] == [
        ("anonymous", "delete repo", "repo=cran", "refused", 401),
        ("anonymous", "GET /audit", "", "refused", 401),
        ("ben", "delete repo", "repo=cran", "refused", 403),
        ("ben", "GET /audit", "", "refused", 403),
    ]
    assert [row["token"] for row in rows] == [None, None, guid, guid]
    assert live.api("GET", "/repos/cran")[0] == 200


def test_reads_are_not_written(live: Live) -> None:
    """Nor what is asked with POST and changes nothing."""
    live.api("GET", "/repos")
    live.get("/cran/latest/src/contrib/PACKAGES")
    live.api("POST", "/filter/packages", {"repo": "cran"})
    live.api("POST", "/repos/cran/check", {"list": "x"})
    live.api("POST", "/nowhere", {})
    assert log(live) == []


def test_refused_readers_of_a_closed_repository(live: Live) -> None:
    """A client that asks for hundreds of files is one row."""
    live.api("PATCH", "/repos/cran", {"authenticated": True})
    for n in range(30):
        assert live.get(f"/cran/latest/src/contrib/a_{n}.tar.gz").status == 401
    rows = log(live, "outcome=refused")
    assert [told(row) for row in rows] == [("anonymous", "read repo", "repo=cran", "refused", 401)]


def test_an_act_is_there_while_it_is_at_work(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed in the middle leaves the row that says that it began."""
    at_work, go_on = threading.Event(), threading.Event()
    create = repositories.create_repository

    def slow(*args: Any, **kwargs: Any) -> Any:
        at_work.set()
        go_on.wait(10)
        return create(*args, **kwargs)

    monkeypatch.setattr(repositories, "create_repository", slow)
    asking = threading.Thread(target=live.api, args=("POST", "/repos", {"name": "team"}))
    asking.start()
    assert at_work.wait(10)
    assert [told(row) for row in log(live, flush=False)] == [("admin", "create repo", "name=team", "begun", 0)]
    go_on.set()
    asking.join()
    assert [told(row)[3:] for row in log(live)] == [("done", 201)]


@pytest.mark.one_shape
def test_what_can_not_be_written_is_not_done(live: Live) -> None:
    """Without its row no act is begun and no token is given out."""
    with live.app.db.write(shows=False) as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO elsewhere"))
    assert live.api("POST", "/repos", {"name": "team"})[0] == 503
    assert live.api("POST", "/tokens", {"scopes": ["global:admin"], "description": "x"})[0] == 503
    assert live.api("GET", "/repos/team")[0] == 404
    assert live.api("GET", "/tokens")[1] == []
    assert live.api("GET", "/status", token="")[0] == 200


def test_no_secret_is_written(live: Live) -> None:
    """Passwords in bodies, tokens in the place of names, in paths and as what is to be ended."""
    secret, token = "correct horse battery", make_token()
    body = {"kind": "https", "name": "git", "username": "ann", "password": secret}
    assert live.api("POST", "/git-credentials", body)[0] == 201
    live.api("DELETE", f"/repos/{token}")
    live.api("POST", "/repos", {"name": token})
    live.api("POST", "/tokens/revoke", {"token": token})
    rows = log(live)
    assert [row["subject"] for row in rows] == ["kind=https name=git", "repo=[secret]", "name=[secret]", ""]
    with live.app.db.read() as connection:
        whole = str(connection.execute(text("SELECT * FROM audit")).all())
    assert secret not in whole
    assert token not in whole


def test_uploads_are_acts(live: Live) -> None:
    """With the file's name; also one that fails, and one of somebody who may not."""
    live.api("POST", "/sources", {"name": "local", "type": "local-python"})
    for token in (live.token, make_token()):
        for name, data in (wheel("demo", "1.0"), ("demo-1.0.zip", b"x")):
            fields = {":action": "file_upload", "name": "demo", "version": "1.0", "content": (name, data)}
            headers = {"Authorization": f"Bearer {token}"}
            live.pool.request("POST", f"{live.address}/upload/pypi/local", headers=headers, fields=fields)
    rows = log(live, "action=upload")
    assert [told(row) for row in rows] == [
        ("admin", "upload", f"source=local file={wheel('demo', '1.0')[0]}", "done", 200),
        ("admin", "upload", "source=local file=demo-1.0.zip", "failed", 422),
        ("anonymous", "upload", "source=local", "refused", 401),
    ]


def test_an_exchange_of_nonsense_is_a_refusal(live: Live) -> None:
    """Somebody who is nobody gets no token; it is written, but for what is no request at all."""
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    type_ = "urn:ietf:params:oauth:token-type:id_token"
    form = {"grant_type": grant, "subject_token": "eyJ.eyJ.x", "subject_token_type": type_}
    response = live.pool.request("POST", f"{live.address}/__api__/token", fields=form, encode_multipart=False)
    assert response.status == 400
    rows = log(live)
    assert [told(row) for row in rows] == [("anonymous", "exchange identity", "", "refused", 400)]


def test_the_log_is_for_administrators(live: Live) -> None:
    """Both routes; a token for something else will not do."""
    token, _ = token_of(live, scopes=["metadata:admin"])
    for path in ("/audit", "/audit/verify"):
        assert [live.api("GET", path, token=sent)[0] for sent in ("", token)] == [401, 403]


def test_the_log_is_asked_in_parts(live: Live) -> None:
    """By time, actor, action and outcome, in pages with the number of all."""
    for name in ("a", "b", "c"):
        live.api("POST", "/repos", {"name": name})
    assert [row["subject"] for row in live.api("GET", "/audit")[1]] == ["name=c", "name=b", "name=a"]
    response = live.get("/__api__/audit?_limit=1&_page=2", Authorization=f"Bearer {live.token}")
    assert (response.headers["X-Total-Count"], response.json()[0]["subject"]) == ("3", "name=b")
    assert log(live, "actor=ann") == []
    assert len(log(live, "actor=admin&action=create%20repo&outcome=done")) == 3
    assert log(live, "since=2024-03-01T12:00:01Z") == []
    assert len(log(live, "since=2024-03-01T13:00:00%2B01:00&until=2024-03-01T12:00:01Z")) == 3


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "since=2024-03-01T12:00:00", "until=0001-01-01T00:00:00%2B14:00", "outcome=odd", "actor=%00"],
)
def test_questions_that_make_no_sense(live: Live, query: str) -> None:
    """A time without a zone, one before all times, an outcome that is none: 422."""
    assert live.api("GET", f"/audit?{query}")[0] == 422


def test_the_chain_is_verified(live: Live) -> None:
    """It holds and says where it ends; a row that was noted must be there."""
    assert live.api("GET", "/audit/verify")[1] == {"intact": True, "rows": 0, "id": 0, "hash": "", "broken": None}
    live.api("POST", "/repos", {"name": "team"})
    found = live.api("GET", "/audit/verify")[1]
    assert (found["intact"], found["rows"], found["broken"]) == (True, 2, None)
    known = f"known_id={found['id']}&known_hash={found['hash']}"
    assert live.api("GET", f"/audit/verify?{known}")[1] == found
    wrong = live.api("GET", f"/audit/verify?known_id=1&known_hash={found['hash']}")[1]
    assert (wrong["intact"], wrong["rows"], wrong["broken"]["id"]) == (False, 0, 1)
    assert live.api("GET", "/audit/verify?known_id=1")[0] == 422
