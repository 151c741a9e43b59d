"""`bootstrap`: the first token of a server that nobody can log in to."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from entrepot.client.bootstrap import make_keys
from entrepot.settings import Settings, load_settings
from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub
from tests.support.server import Clock, Live, installed, running


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key pair."""
    folder, made = tmp_path_factory.mktemp("keys"), make_keys()
    (folder / "bootstrap.key").write_bytes(made.private)
    (folder / "bootstrap.pub").write_bytes(made.public)
    return folder


@pytest.fixture
def server(settings: Settings, keys: Path) -> Iterator[Live]:
    """A server whose settings name the public key; its clock is right."""
    path = str(keys / "bootstrap.pub")
    own = settings.model_copy(update={"bootstrap": settings.bootstrap.model_copy(update={"public_key_file": path})})
    with installed(own, Clock(datetime.now(UTC))) as app, running(app) as site:
        yield site


@pytest.fixture
def person(server: Live) -> Entrepot:
    """Somebody who has the server's address alone."""
    return Entrepot(env={"ENTREPOT_ADDRESS": server.address})


def test_the_keys(bare: Entrepot, tmp_path: Path) -> None:
    """RSA with 3072 bits; the private one is for its owner's eyes alone, and neither is ever written over."""
    keys = tmp_path / "new"
    said = bare.said("bootstrap", "keys", f"--out={keys}")
    assert said == [f"Private key: {keys}/bootstrap.key", f"Public key: {keys}/bootstrap.pub"]
    private = serialization.load_pem_private_key((keys / "bootstrap.key").read_bytes(), None)
    public = serialization.load_pem_public_key((keys / "bootstrap.pub").read_bytes())
    assert isinstance(private, rsa.RSAPrivateKey)
    assert (private.key_size, private.public_key() == public) == (3072, True)
    assert stat.S_IMODE((keys / "bootstrap.key").stat().st_mode) == 0o600
    before = (keys / "bootstrap.key").read_bytes()
    assert bare.failed("bootstrap", "keys", f"--out={keys}")[0] == 5
    assert (keys / "bootstrap.key").read_bytes() == before


def test_the_first_token(person: Entrepot, server: Live, keys: Path) -> None:
    """The token alone is the output; it may do everything; there is no second one."""
    words = ("bootstrap", f"--private-key={keys}/bootstrap.key")
    result = person(*words, "--expires=1h")
    token = result.stdout.strip()
    assert (result.exit_code, result.stderr.splitlines()[1]) == (0, "It is not shown again.")
    assert person("whoami", f"--token={token}").stdout.startswith("bootstrap\n  Scopes: global:admin\n")
    assert server.api("GET", "/tokens")[1][0]["expires"] is not None
    code, said = person.failed(*words)
    assert (code, len(said), said[0]) == (
        5,
        2,
        "Error: somebody has a token with global:admin already: bootstrap is for the first one alone",
    )


def test_quiet(person: Entrepot, keys: Path) -> None:
    """With `-q` nothing but the token is printed."""
    result = person("bootstrap", f"--private-key={keys}/bootstrap.key", "-q")
    assert (result.exit_code, result.stderr, len(result.stdout.split())) == (0, "", 1)


def test_another_key(person: Entrepot, server: Live, tmp_path: Path) -> None:
    """Who has another key gets nothing (3), in one line and a hint."""
    Entrepot().said("bootstrap", "keys", f"--out={tmp_path}")
    code, said = person.failed("bootstrap", f"--private-key={tmp_path}/bootstrap.key")
    assert (code, said[0]) == (3, "Error: the request is not signed with the key of this server's bootstrap")
    assert server.api("GET", "/tokens") == (200, [])


@pytest.mark.one_shape
def test_a_server_whose_clock_is_wrong(settings: Settings, keys: Path) -> None:
    """A request that is too old by the server's clock gets nothing (3), and the hint speaks of clocks."""
    key = (keys / "bootstrap.pub").read_text()
    own = settings.model_copy(update={"bootstrap": settings.bootstrap.model_copy(update={"public_key": key})})
    with installed(own, Clock(datetime.fromtimestamp(time.time() + 3600, UTC))) as app, running(app) as site:
        person = Entrepot(env={"ENTREPOT_ADDRESS": site.address})
        code, said = person.failed("bootstrap", f"--private-key={keys}/bootstrap.key")
    assert (code, "clocks" in said[1]) == (3, True)


@pytest.mark.one_shape
@pytest.mark.parametrize("data", [None, b"", b"rubbish", b"public"])
def test_a_private_key_that_is_none(stub: Stub, keys: Path, tmp_path: Path, data: bytes | None) -> None:
    """A file that isn't there, or holds no private key: one line (2), and the server isn't asked."""
    path = tmp_path / "key"
    if data is not None:
        path.write_bytes((keys / "bootstrap.pub").read_bytes() if data == b"public" else data)
    bare = Entrepot(env={"ENTREPOT_ADDRESS": stub.address})
    code, said = bare.failed("bootstrap", f"--private-key={path}")
    assert (code, len(said) <= 2, stub.seen) == (2, True, [])


@pytest.mark.one_shape
def test_an_answer_for_somebody_else(stub: Stub, keys: Path) -> None:
    """What the private key can't read is no token (6)."""
    stub.canned["POST", "/__api__/bootstrap"] = (201, b'{"answer": "a.b.c.d.e", "guid": "x"}', {})
    bare = Entrepot(env={"ENTREPOT_ADDRESS": stub.address})
    assert bare.failed("bootstrap", f"--private-key={keys}/bootstrap.key")[0] == 6


@pytest.mark.one_shape
def test_no_server(bare: Entrepot, keys: Path) -> None:
    """Bootstrap is for a server elsewhere; here the administrator needs none."""
    assert bare.failed("bootstrap", f"--private-key={keys}/bootstrap.key")[0] == 2


@pytest.mark.one_shape
def test_the_other_products_variable(tmp_path: Path) -> None:
    """PACKAGEMANAGER_BOOTSTRAP_PUBLICKEY is the key where nothing else names one."""
    variable = {"PACKAGEMANAGER_BOOTSTRAP_PUBLICKEY": "theirs"}
    own = {"ENTREPOT_SERVER__DATA_DIR": str(tmp_path)}
    assert load_settings(env={**own, **variable}).bootstrap.public_key == "theirs"
    given = load_settings(env={**own, **variable, "ENTREPOT_BOOTSTRAP__PUBLIC_KEY": "ours"})
    assert given.bootstrap.public_key == "ours"
    named = load_settings(env={**own, **variable, "ENTREPOT_BOOTSTRAP__PUBLIC_KEY_FILE": "file"})
    assert (named.bootstrap.public_key, named.bootstrap.public_key_file.endswith("/file")) == ("", True)
