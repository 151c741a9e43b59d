"""`/bootstrap`: the first token, for whoever has the private half of the configured key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response, status
from pydantic import BaseModel, Field

from entrepot.operations import bootstrap
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep

router = APIRouter(tags=["tokens"])


class BootstrapRequest(schemas.In):
    """`request` is a JSON Web Token that the private key signed; good once, and for minutes."""

    request: Annotated[str, Field(max_length=bootstrap.LONGEST_REQUEST)]


class BootstrapAnswer(BaseModel):
    """`answer` is encrypted (RFC 7516), so that the private key alone can read the token in it."""

    answer: str
    guid: str


@router.post("/bootstrap", status_code=status.HTTP_201_CREATED)
def make_first_token(app: AppDep, body: BootstrapRequest, response: Response) -> BootstrapAnswer:
    response.headers["Cache-Control"] = "no-store"
    made = bootstrap.bootstrap(app, body.request)
    return BootstrapAnswer(answer=made.answer, guid=made.guid)
