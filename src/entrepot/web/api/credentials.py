"""`/git-credentials`: what Git endpoints are asked with, without their secrets; `/encrypt` and `/rotate-key`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Response, status
from pydantic import BaseModel, Field, SecretStr

from entrepot.operations import credentials
from entrepot.operations.credentials import CredentialInfo, Kind
from entrepot.web.api import schemas
from entrepot.web.api.deps import Actor, AppDep, ShortPageDep
from entrepot.web.api.repos import paged

router = APIRouter(tags=["git credentials"])


class NewSshKey(schemas.In):
    """`key` is the text of a private key's file; `passphrase` may be encrypted."""

    kind: Literal["ssh"]
    name: str
    key: SecretStr
    passphrase: SecretStr | None = None
    succeed_on_existing: bool = False


class NewHttps(schemas.In):
    """`password` is a password or an access token; it may be encrypted."""

    kind: Literal["https"]
    name: str
    username: str
    password: SecretStr
    succeed_on_existing: bool = False


class CredentialEdit(schemas.In):
    """What is not given stays; `key` and `passphrase` are of SSH keys, `username` and `password` of the others."""

    name: str | None = None
    key: SecretStr | None = None
    passphrase: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None


class Plain(schemas.In):
    text: SecretStr


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
def import_credential(
    app: AppDep,
    _: Actor,
    body: Annotated[NewSshKey | NewHttps, Body(), Field(discriminator="kind")],
    response: Response,
) -> CredentialShape:
    if isinstance(body, NewSshKey):
        info, is_new = credentials.import_ssh_key(
            app,
            body.name,
            key=body.key.get_secret_value(),
            passphrase=_plain(body.passphrase),
            succeed_on_existing=body.succeed_on_existing,
        )
    else:
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
