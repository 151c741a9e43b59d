"""`/git-credentials`: what Git endpoints are asked with, without their secrets; `/encrypt` and `/rotate-key`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response, status
from pydantic import AfterValidator, BaseModel, SecretStr
from pydantic_core import PydanticCustomError

from entrepot.core.errors import Invalid
from entrepot.operations import credentials
from entrepot.operations.credentials import CredentialInfo, Kind
from entrepot.web.api import schemas
from entrepot.web.api.deps import Actor, AppDep, ShortPageDep
from entrepot.web.api.repos import paged

router = APIRouter(tags=["git credentials"])


def _text(secret: SecretStr) -> SecretStr:
    # A str of pydantic can't hold half a character of UTF-16; its SecretStr can.
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("text", "not text that can be written as UTF-8") from None
    return secret


Secret = Annotated[SecretStr, AfterValidator(_text)]


class NewCredential(schemas.In):
    """ssh: `key`, the text of a private key's file, and its `passphrase` if it has one; https: `username` and
    `password`, which may be an access token. Passphrases and passwords may be encrypted."""

    kind: Kind
    name: str
    key: Secret | None = None
    passphrase: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    succeed_on_existing: bool = False


class CredentialEdit(schemas.In):
    """What is not given stays; `key` and `passphrase` are of SSH keys, `username` and `password` of the others."""

    name: str | None = None
    key: Secret | None = None
    passphrase: Secret | None = None
    username: str | None = None
    password: Secret | None = None


class Plain(schemas.In):
    text: Secret


class Encrypted(BaseModel):
    encrypted: str


class Rotated(BaseModel):
    """How many credentials are now encrypted with the new key."""

    credentials: int


class UseShape(BaseModel):
    """A builder that uses a credential; without a name as long as its package's isn't known."""

    source: str
    name: str | None
    url: str


class CredentialShape(BaseModel):
    name: str
    kind: str
    username: str | None
    fingerprint: str | None
    created: datetime
    changed: datetime
    builders: list[UseShape]

    @classmethod
    def of(cls, info: CredentialInfo) -> CredentialShape:
        row = info.credential
        return cls(
            name=row.name,
            kind=row.kind,
            username=row.username,
            fingerprint=row.fingerprint,
            created=row.created,
            changed=row.changed,
            builders=[UseShape(source=use.source, name=use.name, url=use.url) for use in info.builders],
        )


@router.get("/git-credentials")
def list_credentials(app: AppDep, _: Actor, page: ShortPageDep, response: Response) -> list[CredentialShape]:
    """For the administrator alone: user names and fingerprints are of no use to anybody else."""
    return paged([CredentialShape.of(info) for info in credentials.list_credentials(app)], page, response)


@router.post("/git-credentials", status_code=status.HTTP_201_CREATED)
def import_credential(app: AppDep, _: Actor, body: NewCredential, response: Response) -> CredentialShape:
    if body.kind == "ssh":
        if body.key is None or body.username is not None or body.password is not None:
            raise Invalid("an SSH key is imported by its key and perhaps a passphrase", hint="give these alone")
        info, is_new = credentials.import_ssh_key(
            app,
            body.name,
            key=body.key.get_secret_value(),
            passphrase=_plain(body.passphrase),
            succeed_on_existing=body.succeed_on_existing,
        )
    else:
        if body.username is None or body.password is None or body.key is not None or body.passphrase is not None:
            raise Invalid("an HTTPS credential is imported by a user name and a password", hint="give these alone")
        info, is_new = credentials.import_https(
            app,
            body.name,
            username=body.username,
            password=body.password.get_secret_value(),
            succeed_on_existing=body.succeed_on_existing,
        )
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return CredentialShape.of(info)


@router.put("/git-credentials/{kind}/{name}")
def edit_credential(app: AppDep, _: Actor, kind: Kind, name: str, body: CredentialEdit) -> CredentialShape:
    info = credentials.edit(
        app,
        kind,
        name,
        new_name=body.name,
        key=_plain(body.key),
        passphrase=_plain(body.passphrase),
        username=body.username,
        password=_plain(body.password),
    )
    return CredentialShape.of(info)


@router.delete("/git-credentials/{kind}/{name}", status_code=status.HTTP_204_NO_CONTENT)
def delete_credential(app: AppDep, _: Actor, kind: Kind, name: str) -> None:
    credentials.delete(app, name, kind)


@router.post("/encrypt")
def encrypt(app: AppDep, _: Actor, body: Plain) -> Encrypted:
    return Encrypted(encrypted=credentials.encrypt(app, body.text.get_secret_value()))


@router.post("/rotate-key")
def rotate_key(app: AppDep, _: Actor) -> Rotated:
    return Rotated(credentials=credentials.rotate_key(app))


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
