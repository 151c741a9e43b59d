"""`login`, `login sso`, `logout`, the file of tokens that clients share, and identities from a file."""

from __future__ import annotations

import json
import logging
import stat
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.cli.session import Session
from entrepot.client import tokenfile
from entrepot.client.login import DeviceLogin, LoginCalls
from entrepot.client.shapes import ApiError
from entrepot.core.access import Scope, TokenKind
from entrepot.core.errors import IdentityRefused, Invalid
from entrepot.operations import devices, tokens
from entrepot.settings import Settings
from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub
from tests.support.fake_issuer import FakeIssuer, federated
from tests.support.server import Clock, Live

CREATE = ("create", "token", "--scope=repos:read", "--repos=*", "--description=CI", "-q")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder without anything in it."""
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def person(live: Live, home: Path) -> Entrepot:
    """Somebody who has the address of a server and no token."""
    return Entrepot(env={"HOME": str(home), "ENTREPOT_ADDRESS": live.address})


@pytest.fixture
def token(live: Live) -> str:
    """A token that reads all repositories."""
    (made,) = Entrepot(live.address, live.token).said(*CREATE)
    return made


def kept(home: Path) -> list[dict[str, Any]]:
    """The entries of the file as posit-keyring reads them."""
    found: list[dict[str, Any]] = tomllib.loads((home / ".ppm" / "tokens.toml").read_text())["connections"]
    return found


# --- login and logout ----------------------------------------------------------------------------------------------


def test_login_and_logout(person: Entrepot, live: Live, home: Path, token: str) -> None:
    """The token is kept in the shared file, later commands send it, and after the logout there is none."""
    assert person.failed("whoami")[0] == 3
    result = person("login", stdin=f"{token}\n")
    assert (result.exit_code, result.stdout) == (0, f"Logged in to {live.address} as admin\n")
    assert kept(home) == [{"address": live.address, "token": token, "auth_type": "token"}]
    assert person.said("whoami")[1] == "  Scopes: repos:read:*"
    assert person("whoami", env={"ENTREPOT_ADDRESS": f"{live.address}/"}).exit_code == 0
    assert person.said("logout") == [f"Logged out of {live.address}"]
    assert person.failed("whoami")[0] == 3
    assert live.api("GET", "/whoami", token=token)[0] == 200  # a token that somebody gave stays good
    assert person("logout").stderr == f"There is no token for {live.address}\n"


def test_the_file_is_its_owners(person: Entrepot, home: Path, token: str) -> None:
    """Nobody else reads the file or its folder, also if the file could be read before."""
    (home / ".ppm").mkdir(mode=0o700)
    (home / ".ppm" / "tokens.toml").touch(0o644)
    assert person("login", stdin=token).exit_code == 0
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home / ".ppm", home / ".ppm" / "tokens.toml")]
    assert modes == [0o700, 0o600]


@pytest.mark.one_shape
@pytest.mark.parametrize("text", ["", "\n", "entrepot_wrong", "a b\nc\x00", "ü", "x" * 5000])
def test_a_wrong_token_is_not_kept(person: Entrepot, home: Path, text: str) -> None:
    """What the server doesn't take, or what can be no token, is refused and written nowhere."""
    result = person("login", stdin=text)
    assert (result.exit_code in (2, 3), result.stdout) == (True, "")
    assert not text.strip() or text.strip() not in result.stderr
    assert not (home / ".ppm").exists()


@pytest.mark.one_shape
def test_a_login_to_nothing(bare: Entrepot) -> None:
    """Without an address there is no server to log in to."""
    for words in (("login",), ("login", "sso"), ("logout",)):
        assert bare.failed(*words) == (
            2,
            ["Error: no server is named", "Hint: give its address: --address or ENTREPOT_ADDRESS"],
        )


def test_a_token_that_ended(person: Entrepot, live: Live, home: Path, token: str) -> None:
    """Who sends the token of an old login is told where it is and how to get another one."""
    person("login", stdin=token)
    live.api("POST", "/tokens/revoke", {"token": token})
    code, said = person.failed("list", "repos")
    path = home / ".ppm" / "tokens.toml"
    assert (code, said[1]) == (
        3,
        f"Hint: the token in {path} is not good any more: `entrepot login` or `entrepot login sso`",
    )


def test_a_token_of_the_environment_goes_first(person: Entrepot, live: Live, token: str) -> None:
    """`--token` and ENTREPOT_TOKEN win over the file."""
    person("login", stdin=token)
    assert person("whoami", env={"ENTREPOT_TOKEN": live.token}).stdout.startswith("admin\n  Scopes: global:admin")
    assert person("whoami", f"--token={live.token}").stdout.startswith("admin\n  Scopes: global:admin")


def test_no_token_in_what_is_told(person: Entrepot, home: Path, token: str, caplog: pytest.LogCaptureFixture) -> None:
    """`--verbose`, errors and results don't show it."""
    caplog.set_level(logging.DEBUG)
    said = [person("login", "-v", stdin=token), person("list", "tokens", "-v"), person("logout", "-v", "-o", "json")]
    assert "POST" in caplog.text or "GET" in caplog.text
    assert token not in caplog.text + "".join(result.output for result in said)


@pytest.mark.one_shape
def test_a_token_without_encryption(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """Once a run it is said that a token goes over the network as it is; on loopback nobody listens."""
    session = Session()
    for _ in range(2):
        with session.connect_to("http://packages.example.org:4242", "the-token"):
            pass
    warned = capsys.readouterr().err
    assert warned == "Warning: the token goes to packages.example.org without encryption; use https\n"
    for address, sent in ((stub.address, "x"), ("https://packages.example.org", "x"), ("http://example.org", None)):
        with Session().connect_to(address, sent):
            pass
    assert capsys.readouterr().err == ""


# --- login sso -----------------------------------------------------------------------------------------------------


@pytest.fixture
def answering(live: Live, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], object]], None]:
    """Lets a person do something with the code, once, while the program waits."""

    def arrange(act: Callable[[str], object]) -> None:
        wait = LoginCalls.wait_for_person

        def waiting(self: LoginCalls, login: DeviceLogin) -> str:
            acts = [act]
            return wait(self, login, sleep=lambda _: acts.pop()(login.user_code) if acts else None)  # type: ignore[func-returns-value]

        monkeypatch.setattr(LoginCalls, "wait_for_person", waiting)

    return arrange


def decide(live: Live, *, allow: bool) -> Callable[[str], object]:
    """What a person does who signed in as ann with a browser."""
    session = tokens.issue(
        live.app,
        kind=TokenKind.SESSION,
        actor="ann",
        grants={Scope.REPOS_READ: None},
        created_by="ann",
        lifetime=3600,
        via="openid_connect",
    )
    return lambda code: devices.decide(live.app, code, session=session.token.guid, is_allowed=allow)


def test_a_sign_in_with_a_browser(person: Entrepot, live: Live, home: Path, answering: Any) -> None:
    """The page and the code are shown; who allowed it is who the kept token is of; a logout ends it for good."""
    answering(decide(live, allow=True))
    result = person("login", "sso")
    assert (result.exit_code, result.stdout) == (
        0,
        f"Logged in to {live.address} as ann, until 2024-03-01 13:00 UTC\n",
    )
    (entry,) = kept(home)
    assert (entry["address"], entry["auth_type"], entry["token"] in result.output) == (live.address, "sso", False)
    assert f"  {live.address}/" in result.stderr
    assert person.said("whoami")[:2] == ["ann", "  Scopes: repos:read:*"]
    assert person.json("logout") == {"address": live.address, "dropped": 1, "revoked": 1}
    assert live.api("GET", "/whoami", token=entry["token"])[0] == 401


def test_a_sign_in_that_is_denied(person: Entrepot, live: Live, home: Path, answering: Any) -> None:
    """One line says that somebody denied it (3), and nothing is kept."""
    answering(decide(live, allow=False))
    result = person("login", "sso")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1] == "Error: the sign-in was denied in the browser"
    assert not (home / ".ppm").exists()


def test_a_sign_in_that_nobody_allows(person: Entrepot, clock: Clock, home: Path, answering: Any) -> None:
    """After five minutes it has ended (3)."""
    answering(lambda _: clock.wait(seconds=301))
    result = person("login", "sso")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-2].startswith("Error: the sign-in has ended: nobody allowed it in time")
    assert not (home / ".ppm").exists()


class _Busy(LoginCalls):
    """A server that never has an answer."""

    def __init__(self, word: str) -> None:
        self.word = word

    def _form(self, *_: Any) -> Any:
        raise ApiError("not yet", code=self.word, status=400)


@pytest.mark.parametrize(("word", "waits"), [("authorization_pending", [5.0] * 5), ("slow_down", [10.0, 15.0])])
def test_how_long_a_program_waits(word: str, waits: list[float]) -> None:
    """It asks as often as it is told, more slowly if it is told so (RFC 8628, 3.5), and gives up at the end."""
    slept: list[float] = []
    login = DeviceLogin("d", "v", "u", "http://x", 5.0, 30.0)
    with pytest.raises(IdentityRefused, match="in time"):
        _Busy(word).wait_for_person(login, sleep=slept.append, clock=lambda: sum(slept))
    assert slept == waits


# --- an identity from a file ---------------------------------------------------------------------------------------


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    """Who vouches for a job of a forge."""
    with FakeIssuer("", clock) as server:
        yield server


@pytest.fixture
def job(settings: Settings, clock: Clock, issuer: FakeIssuer, home: Path) -> Iterator[Entrepot]:
    """A job with the ID token of a trusted issuer in a file."""
    path = home / "id_token"
    path.write_text(issuer.token(sub="job", aud="packages") + "\n")
    forge = {"issuer": issuer.issuer, "audience": "packages", "subject": "job", "scope": ["repos:read:*"]}
    with federated(settings, clock, {"forge": forge}) as live:
        env = {"HOME": str(home), "PACKAGEMANAGER_ADDRESS": live.address}
        yield Entrepot(env={**env, "PACKAGEMANAGER_IDENTITY_TOKEN_FILE": str(path)}, token=live.token)


def test_an_identity_is_exchanged(job: Entrepot, home: Path) -> None:
    """Each command gets a token of its own for the identity in the file, and keeps none."""
    first, second = job.json("whoami"), job.json("whoami")
    assert (first["kind"], first["scopes"], first["guid"] != second["guid"]) == ("federation", ["repos:read:*"], True)
    assert not (home / ".ppm").exists()


def test_a_token_goes_before_an_identity(job: Entrepot) -> None:
    """Who gives a token means that one."""
    assert job("whoami", env={"PACKAGEMANAGER_TOKEN": str(job.token)}).stdout.startswith("admin\n")


@pytest.mark.one_shape
@pytest.mark.parametrize(("text", "code"), [(None, 2), ("", 2), ("x" * 70_000, 2), ("\x00ü", 2), ("a.b.c", 3)])
def test_an_identity_that_is_none(job: Entrepot, home: Path, text: str | None, code: int) -> None:
    """A file that isn't there, has no token, or one that the server doesn't trust: one line, without the token."""
    path = home / "other"
    if text is not None:
        path.write_text(text)
    result = job("whoami", env={"ENTREPOT_IDENTITY_TOKEN_FILE": str(path)})
    assert (result.exit_code, result.stdout, result.stderr.startswith("Error: ")) == (code, "", True)
    assert len(result.stderr.splitlines()) <= 2
    assert not text or text not in result.stderr


@pytest.mark.one_shape
def test_an_identity_for_the_other_product(job: Entrepot, stub: Stub) -> None:
    """What was set for the other product is not sent to an address that was set for Entrepot."""
    job("list", "repos", env={"ENTREPOT_ADDRESS": stub.address})
    assert stub.seen
    assert "/__api__/token" not in str(stub.seen)


# --- the file ------------------------------------------------------------------------------------------------------

HERE = "https://packages.example.org"
OLD = """\
# mine
top = "keep me"

[[connection]]
url = "https://packages.example.org"
token = "old-pak"
method = "sso"
more = 1

[meta]
version = 1
"""
NEW = """\
[[connections]]
address = "https://other.example.org"
token = "other"
auth_type = "sso"

[[connections]]
address = "https://packages.example.org/"
token = "now"
auth_type = "sso"
user = "ann"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".ppm" / "tokens.toml"


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_both_shapes_are_read(file: Path) -> None:
    """What posit-keyring and pak write now, and what pak wrote before; the newer shape goes first."""
    assert tokenfile.find(file, HERE) is None
    assert tokenfile.find(written(file, OLD), HERE) == (HERE, "old-pak", "sso")
    assert tokenfile.find(written(file, OLD + NEW), f"{HERE}/") == (f"{HERE}/", "now", "sso")
    assert tokenfile.find(file, "https://else.example.org") is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://a.example", "https://a.example/", True),
        ("https://A.example:443/x/", "https://a.example/x", True),
        ("http://a.example:80", " http://a.example", True),
        ("http://a.example", "https://a.example", False),
        ("http://a.example:4242", "http://a.example", False),
        ("http://a.example/x", "http://a.example", False),
        ("http://a.example.org", "http://a.example", False),
        ("", "", False),
        ("http://[", "http://[", False),
    ],
)
def test_addresses_of_one_server(one: str, other: str, is_same: bool) -> None:
    """A slash at the end, capitals and a usual port make no difference; all else does."""
    assert tokenfile.is_same_address(one, other) is is_same


def test_what_others_wrote_stays(file: Path) -> None:
    """Comments, unknown keys and other entries are as before; all entries of the address have the new token."""
    tokenfile.store(written(file, OLD + NEW), HERE, "fresh", "sso")
    document = tomllib.loads(file.read_text())
    assert (document["top"], document["meta"], file.read_text().startswith("# mine\n")) == (
        "keep me",
        {"version": 1},
        True,
    )
    assert document["connection"] == [{"url": HERE, "token": "fresh", "method": "sso", "more": 1}]
    assert document["connections"] == [
        {"address": "https://other.example.org", "token": "other", "auth_type": "sso"},
        {"address": f"{HERE}/", "token": "fresh", "auth_type": "sso", "user": "ann"},
        {"address": HERE, "token": "fresh", "auth_type": "sso"},
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "connections = []\n", 'connections = [{address = "x"}]\n', OLD])
def test_a_first_entry(file: Path, text: str) -> None:
    """It is written in the shape that posit-keyring reads, with the three keys that it knows, as it is addressed."""
    tokenfile.store(written(file, text), f" {HERE} ", "fresh", "token")
    assert tomllib.loads(file.read_text())["connections"][-1] == {
        "address": HERE,
        "token": "fresh",
        "auth_type": "token",
    }


def test_what_is_dropped(file: Path) -> None:
    """All entries of the address, in both shapes; the others stay, and what was dropped is told."""
    dropped = tokenfile.forget(written(file, OLD + NEW), HERE)
    assert [entry.token for entry in dropped] == ["now", "old-pak"]
    assert tomllib.loads(file.read_text()) == {
        "top": "keep me",
        "meta": {"version": 1},
        "connections": [{"address": "https://other.example.org", "token": "other", "auth_type": "sso"}],
    }
    assert tokenfile.forget(file, HERE) == []
    tokenfile.forget(file, "https://other.example.org")
    assert tokenfile.find(file, "https://other.example.org") is None
    tokenfile.store(file, HERE, "again", "sso")
    assert tokenfile.find(file, HERE) == (HERE, "again", "sso")


@pytest.mark.parametrize(
    "data", [b"token = 'secret", b"\xff\xfe", b"a = 1\na = 2", b"x" * 1_100_000, b"[[connections]]\nx = [[[[", b"\0"]
)
def test_a_file_that_is_garbage(file: Path, data: bytes) -> None:
    """It is one error that names the file, not what is in it, and the file stays as it is."""
    written(file, "").write_bytes(data)
    calls: list[Callable[[], object]] = [
        lambda: tokenfile.find(file, HERE),
        lambda: tokenfile.store(file, HERE, "t", "sso"),
        lambda: tokenfile.forget(file, HERE),
    ]
    for call in calls:
        with pytest.raises(Invalid) as caught:
            call()
        assert (caught.value.message, caught.value.__cause__) == (f"the token file {file} is no TOML", None)
    assert file.read_bytes() == data


@pytest.mark.parametrize("text", ["connections = 1", "[connections]\nx = 1", "[[connections]]\naddress = 1\ntoken = 2"])
def test_a_file_of_something_else(file: Path, text: str) -> None:
    """TOML that means something else has no tokens."""
    assert tokenfile.find(written(file, text), HERE) is None


def test_the_command_with_a_garbage_file(live: Live, home: Path) -> None:
    """A command that would need the file ends with one line (2); with a token it doesn't look at it."""
    written(home / ".ppm" / "tokens.toml", "token = 'secret")
    bare = Entrepot(env={"HOME": str(home)})
    code, said = bare.failed("list", "repos", f"--address={live.address}")
    assert (code, len(said), "secret" in str(said)) == (2, 2, False)
    assert bare("list", "repos", f"--address={live.address}", f"--token={live.token}").exit_code == 0


def test_several_write_at_once(file: Path) -> None:
    """No entry is lost, and whoever reads meanwhile reads a whole file."""
    ready = threading.Barrier(6)
    faults: list[Exception] = []

    def write(number: int) -> None:
        ready.wait(10)
        try:
            for round_ in range(5):
                tokenfile.store(file, f"https://host{number}.example.org", f"token-{round_}", "sso")
                assert tokenfile.find(file, f"https://host{number}.example.org")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    entries = tomllib.loads(file.read_text())["connections"]
    assert {entry["address"]: entry["token"] for entry in entries} == {
        f"https://host{number}.example.org": "token-4" for number in range(6)
    }
    assert len(entries) == 6
    assert [path.name for path in sorted(file.parent.iterdir())] == [".tokens.toml.lock", "tokens.toml"]


def test_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    """Who keeps the file elsewhere finds the new token there."""
    elsewhere = written(tmp_path / "elsewhere.toml", NEW)
    file.parent.mkdir()
    file.symlink_to(elsewhere)
    tokenfile.store(file, HERE, "fresh", "sso")
    assert (file.is_symlink(), tokenfile.find(elsewhere, HERE)) == (True, (HERE, "fresh", "sso"))


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """Where the folder's place is taken by a file the error says so."""
    (tmp_path / ".ppm").write_text("")
    with pytest.raises(Invalid, match="can't be written"):
        tokenfile.store(tmp_path / ".ppm" / "tokens.toml", HERE, "t", "sso")


def test_another_place(tmp_path: Path) -> None:
    """The variable that pak knows names another file."""
    assert tokenfile.place({"PACKAGEMANAGER_SSO_TOKEN_FILE": str(tmp_path / "x")}) == tmp_path / "x"
    assert tokenfile.place({}) == Path.home() / ".ppm" / "tokens.toml"


def test_json_of_a_login(person: Entrepot, live: Live, home: Path, token: str) -> None:
    """For programs: whom the server takes one for, until when, and where the token is; not the token."""
    result = person("login", "-o", "json", stdin=token)
    document = json.loads(result.stdout)
    assert document == {
        "address": live.address,
        "actor": "admin",
        "expires": None,
        "file": str(home / ".ppm" / "tokens.toml"),
    }
