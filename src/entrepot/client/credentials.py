"""The client's methods for credentials of Git endpoints and for the key that encrypts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict, cast
from urllib.parse import quote

from entrepot.client.calls import Calls, given
from entrepot.core.errors import Conflict, CredentialNotFound
from entrepot.core.model import check_name

Kind = Literal["ssh", "https"]


class CredentialUse(TypedDict):
    source: str
    name: str | None
    url: str


class Credential(TypedDict):
    name: str
    kind: Kind
    username: str | None
    fingerprint: str | None
    created: str
    changed: str
    builders: list[CredentialUse]


class CredentialCalls(Calls):
    """A part of `Client`."""

    def list_credentials(self) -> list[Credential]:
        """All credentials, by name; what is secret of them is never answered."""
        return cast(list[Credential], self._all("/git-credentials"))

    def import_ssh_key(
        self, name: str, *, key: str, passphrase: str | None = None, succeed_on_existing: bool = False
    ) -> Credential:
        """`key` is the text of a private key's file; `passphrase` may be encrypted."""
        body = {"kind": "ssh", "name": name, "key": key, "passphrase": passphrase}
        return self._import(body, succeed_on_existing)

    def import_https_credential(
        self, name: str, *, username: str, password: str, succeed_on_existing: bool = False
    ) -> Credential:
        """`password` is a password or an access token; it may be encrypted."""
        body = {"kind": "https", "name": name, "username": username, "password": password}
        return self._import(body, succeed_on_existing)

    def edit_credential(self, kind: Kind, credential: str, /, **parts: str | None) -> Credential:
        """Change what is not None of `name`, and `key` and `passphrase`, or `username` and `password`."""
        body = given(**parts)
        return cast(Credential, self._call("PUT", _path(kind, credential), body=body))

    def delete_credential(self, name: str, kind: Kind | None = None) -> Kind:
        """Delete the credential of that name; which kind it was.

        Raises:
            CredentialNotFound, Conflict: `kind` is not given, and there is none of that name, or one of each kind.
        """
        found = self.kind_of(name) if kind is None else kind
        self._call("DELETE", _path(found, name))
        return found

    def encrypt(self, text: str) -> str:
        """`text` encrypted, for use as a password or passphrase."""
        return str(self._call("POST", "/encrypt", body={"text": text})["encrypted"])

    def rotate_key(self) -> int:
        """Change the key that credentials are encrypted with; how many there are."""
        return int(self._call("POST", "/rotate-key", body={})["credentials"])

    def _import(self, body: Mapping[str, object], succeed_on_existing: bool) -> Credential:
        sent = {**body, "succeed_on_existing": succeed_on_existing}
        return cast(Credential, self._call("POST", "/git-credentials", body=sent))

    def kind_of(self, name: str) -> Kind:
        """The kind of the one credential of that name. Raises CredentialNotFound, Conflict: there is one of each."""
        kinds = [row["kind"] for row in self.list_credentials() if row["name"] == name]
        if not kinds:
            raise CredentialNotFound(
                f"there is no Git credential named {name!r}",
                hint="'entrepot list git-credentials' lists them",
                name=name,
            )
        if len(kinds) > 1:
            raise Conflict(
                f"there is an SSH key and an HTTPS credential named {name!r}",
                hint="say which one: --type=ssh or --type=https",
                name=name,
            )
        return kinds[0]


def _path(kind: Kind, name: str) -> str:
    return f"/git-credentials/{kind}/{quote(check_name(name, what='credential'), safe='')}"
