"""Requests made from the API's own description, right and wrong ones: nothing breaks, and without a token nothing
changes.

`EXAMPLES_PER_OPERATION=200 pytest tests/web/test_schemathesis.py` tries more of each.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import urllib3
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from sqlalchemy import select

from entrepot.app import App
from entrepot.core.access import INSIDE, Scope
from entrepot.db.schema import metadata
from entrepot.operations.tokens import create_token
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live, installed, running, sync

# Hypothesis looks whether the numbers of `random` move while it makes a request, and takes the server's threads, which
# run in this process, for its own strategies.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
EXAMPLES = int(os.environ.get("EXAMPLES_PER_OPERATION", "4"))
SAFE = ("GET", "HEAD", "OPTIONS")
ANSWERS_ALL = frozenset(
    {
        ("POST", "/__api__/token"),
        ("POST", "/__api__/device"),
        ("POST", "/__api__/device_access"),
        ("POST", "/__api__/filter/packages"),
        ("POST", "/__api__/repos/{repo}/sysreqs"),
        ("POST", "/__api__/repos/{repo}/check"),
    }
)
"""What is asked by POST and changes nothing but what it is about: an exchange, a sign-in on its way."""
COUNTED_APART = frozenset({"audit", "device_logins", "sign_ins", "used_once"})
"""Tables that strangers' requests may write to: refusals, sign-ins that nobody approved."""
KNOWN: dict[str, list[str]] = {
    "repo": ["cran", "pub", "pubpy", "vault", "1", "pypi", "nobody's"],
    "source": ["cran", "team", "teampy", "curated", "git", "1", "2", "9"],
    "name": ["demo", "other", "builder", "main"],
    "id": ["1", "2", "3", "7"],
    "kind": ["https", "ssh"],
}
"""Parts of paths that lead somewhere."""


@pytest.fixture
def settings(settings: Settings, cran: FakeCran, tmp_path: Path) -> Settings:
    """One in which nothing is asked of other machines."""
    rules = tmp_path / "rules"
    rules.mkdir()
    return settings.model_copy(
        update={
            "cran": settings.cran.model_copy(update={"upstream": cran.url}),
            "sysreqs": settings.sysreqs.model_copy(update={"rules": str(rules)}),
        }
    )


@pytest.fixture
def site(settings: Settings, cran: FakeCran, clock: Clock) -> Iterator[Live]:
    """An installation with something of everything: `vault` is closed, the mirror is synced."""
    cran.add("demo", "1.0", make_source_package("demo", "1.0", fields={"SystemRequirements": "libxml2"}))
    cran.publish()
    with installed(settings, clock) as app:
        sync(app)
        with running(app) as live:
            _fill(live)
            yield live


def _fill(live: Live) -> None:
    made: list[tuple[str, Any]] = [
        ("/sources", {"name": "team"}),
        ("/sources", {"name": "teampy", "type": "local-python"}),
        ("/sources", {"name": "git", "type": "git"}),
        ("/sources", {"name": "curated", "type": "curated-cran", "snapshot": "latest"}),
        ("/repos", {"name": "pub"}),
        ("/repos", {"name": "pubpy", "type": "python"}),
        ("/repos", {"name": "vault", "authenticated": True}),
        ("/repos/pub/sources", {"source": "team"}),
        ("/repos/pub/sources", {"source": "curated"}),
        ("/repos/pubpy/sources", {"source": "teampy"}),
        ("/repos/vault/sources", {"source": "team"}),
    ]
    for path, body in made:
        status, told = live.api("POST", path, body)
        assert status in (200, 201), told
    live.upload("team", ("demo_2.0.tar.gz", make_source_package("demo", "2.0")))
    live.upload("team", ("other_1.0.tar.gz", make_source_package("other", "1.0", fields={"Imports": "demo"})))
    live.upload("teampy", wheel("demo", "1.0"))


def rows(app: App) -> dict[str, list[tuple[Any, ...]]]:
    """All that the database has."""
    with app.db.read() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in metadata.tables.items()
            if name not in COUNTED_APART
        }


def operations(site: Live) -> list[APIOperation]:
    """What the API can do; what takes things away comes last."""
    status, document = site.api("GET", "/openapi.json")
    assert status == 200
    found = [each.ok() for each in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(found) > 70
    return sorted(
        found, key=lambda each: (["GET", "POST", "PUT", "PATCH", "DELETE"].index(each.method.upper()), each.path)
    )


def cases(operation: APIOperation) -> st.SearchStrategy[Case]:
    """Requests that the description allows, and such that it doesn't; many of them name something that is there."""
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    named = st.fixed_dictionaries({name: st.none() | st.sampled_from(known) for name, known in KNOWN.items()})

    def lead(drawn: tuple[Case, dict[str, str | None]]) -> Case:
        case, names = drawn
        for name in case.path_parameters or {}:
            if names.get(name) is not None:
                case.path_parameters[name] = names[name]
        return case

    return st.tuples(st.one_of(right, right, wrong), named).map(lead)


def send(site: Live, session: requests.Session, case: Case, token: str | None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = case.call(base_url=site.address, session=session, headers=headers, allow_redirects=False, timeout=30)
    said = f"{case.as_curl_command()}: {response.status_code} {response.content[:300]!r}"
    assert response.status_code not in (500, 501, 505), said
    if response.status_code >= 500:  # an upstream that is away, a mirror that was never synced: that is said
        told = response.json()
        assert told.get("code") not in (None, "internal") or "error_description" in told, said
    return response


def run(site: Live, token: str | None, *, number: int, leave_out: Collection[str] = ()) -> list[tuple[str, str, int]]:
    """Try every operation; tells which statuses there were."""
    seen: list[tuple[str, str, int]] = []
    faults: list[str] = []
    with requests.Session() as session:
        for operation in operations(site):
            name = operation.method.upper(), operation.path
            if name[0] in leave_out:
                continue
            try:
                for status in _tried(site, session, operation, token, number):
                    seen.append((*name, status))
            except Exception as error:
                faults.append(f"{' '.join(name)}: {error}")
    assert not faults, "\n\n".join(faults)
    return seen


def _tried(site: Live, session: requests.Session, operation: APIOperation, token: str | None, number: int) -> list[int]:
    """The statuses of the answers to some requests, the same ones each time that they are made of the same number."""
    statuses = []

    @seed(number)
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(operation))
    def attempt(case: Case) -> None:
        response = send(site, session, case, token)
        statuses.append(response.status_code)
        case.validate_response(response, checks=[content_type_conformance, response_schema_conformance])

    attempt()
    return statuses


def test_nothing_breaks_for_an_administrator(site: Live) -> None:
    """No request makes an error of the server, and answers are what the API's description says."""
    seen = run(site, site.token, number=1)
    assert {status for _, _, status in seen} >= {200, 404, 422}


def test_nothing_breaks_and_nothing_changes_without_a_token(site: Live) -> None:
    """No request makes an error of the server, none that changes something succeeds, and the database is as before."""
    before = rows(site.app)
    seen = run(site, None, number=2)
    allowed = [each for each in seen if each[0] not in SAFE and each[2] < 400 and each[:2] not in ANSWERS_ALL]
    assert allowed == []
    assert rows(site.app) == before
    assert {status for _, _, status in seen} >= {200, 401}


def test_nothing_changes_for_a_token_that_may_read_all(site: Live) -> None:
    """The same for somebody who may read every repository, and no more."""
    issued = create_token(site.app, scopes=[Scope.REPOS_READ], repos=None, description="reader", by=INSIDE)
    before = rows(site.app)
    seen = run(site, issued.text, number=3, leave_out=SAFE)
    own = {("POST", "/__api__/tokens/revoke")}
    allowed = [each for each in seen if each[2] < 400 and each[:2] not in ANSWERS_ALL | own]
    assert allowed == []
    assert {status for _, _, status in seen} >= {403, 422}
    after = rows(site.app)
    assert {name: after[name] for name in after if name != "tokens"} == {
        name: before[name] for name in before if name != "tokens"
    }


ODD = {
    "\0": "%00",
    "\ud800": "%ED%A0%80",
    "\uffff\U0010ffff": "%EF%BF%BF%F4%8F%BF%BF",
    "\x1b[31m\r\nX: y": "%1B%5B31m%0D%0AX:%20y",
    "9" * 400: "9" * 400,
    "٣": "%D9%A3",
}
"""Texts that break things -> as a part of a URL. Of the one that is no text in UTF-8, JSON can have the half."""


def test_no_odd_text_breaks_anything(site: Live) -> None:
    """Characters that databases, headers or logs can't take, wherever a text is taken: refused or taken as text."""
    status, document = site.api("GET", "/openapi.json")
    assert status == 200
    headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/json"}
    faults = []
    for odd in ODD:
        for method, url, body in _odd_requests(document, odd):
            try:
                response = site.pool.request(method, site.address + url, headers=headers, body=body, timeout=20)
            except urllib3.exceptions.HTTPError as error:
                faults.append(f"{method} {url[:200]} {(body or '')[:200]}: {error}")
                continue
            if response.status >= 500 and response.json().get("code") in (None, "internal"):
                faults.append(f"{method} {url[:200]} {(body or '')[:200]}: {response.status}")
    assert faults == []


def _odd_requests(document: dict[str, Any], odd: str) -> Iterator[tuple[str, str, str | None]]:
    """For each operation: the text in its path, in each parameter of its query, and in each field of its body."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            known = path
            for name, values in KNOWN.items():
                known = known.replace(f"{{{name}}}", values[1 if name == "source" else 0])
            known = re.sub(r"\{.*?\}", "x", known)
            fields = _fields(document, described)
            asked = [each for each in described.get("parameters", ()) if each["in"] == "query"]
            whole = json.dumps({name: given("x") for name, given in fields.items()})
            yield method.upper(), re.sub(r"\{.*?\}", ODD[odd], path), whole if fields else None
            for each in asked:
                needed = "".join(f"&{other['name']}=1" for other in asked if other.get("required") and other != each)
                yield method.upper(), f"{known}?{each['name']}={ODD[odd]}{needed}", whole if fields else None
            for name, value in fields.items():
                filled = {other: given("x") for other, given in fields.items() if other in _needed(document, described)}
                yield method.upper(), known, json.dumps({**filled, name: value(odd)})


def _schema(document: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"].get(name, {})
    return found


def _needed(document: dict[str, Any], described: dict[str, Any]) -> list[str]:
    found: list[str] = _schema(document, described).get("required", [])
    return found


def _fields(document: dict[str, Any], described: dict[str, Any]) -> dict[str, Callable[[str], Any]]:
    """The fields of a JSON body that hold texts, and how a text is put in each."""
    found: dict[str, Callable[[str], Any]] = {}
    for name, schema in _schema(document, described).get("properties", {}).items():
        kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
        if "string" in kinds:
            found[name] = lambda text: text
        elif "array" in kinds:
            found[name] = lambda text: [text]
    return found
