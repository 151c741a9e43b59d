"""`/audit`: who did what, and whether what is written of it still is as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel

from entrepot.core.audit import Outcome, Row
from entrepot.core.errors import Invalid
from entrepot.db.audit import Wanted
from entrepot.operations import audit
from entrepot.web.api import schemas
from entrepot.web.api.deps import LARGEST_ID, AppDep, Ascending, PageDep
from entrepot.web.api.repos import counted

Text = Annotated[str | None, Query(max_length=200, pattern=schemas.NO_NUL)]


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("that time is in no year from 1 to 9999") from None


Time = Annotated[
    Annotated[AwareDatetime, AfterValidator(_in_utc)] | None, Query(description="ISO 8601 with an offset or Z")
]

router = APIRouter(prefix="/audit", tags=["audit"])


class ActShape(BaseModel):
    """An act. `token` is the guid of the token that was sent; `outcome` is done, refused, failed, or begun where none
    is known; `status` is 0 then. `began` is the row that said that it began; `hash` is of this row with `previous`."""

    id: int
    time: datetime
    actor: str
    token: str | None
    address: str
    action: str
    subject: str
    outcome: str
    status: int
    detail: str
    began: int | None
    previous: str
    hash: str

    @classmethod
    def of(cls, row: Row) -> ActShape:
        entry = row.entry
        return cls(
            id=row.id,
            time=entry.time,
            actor=entry.actor,
            token=entry.token,
            address=entry.address,
            action=entry.action,
            subject=entry.subject,
            outcome=entry.outcome.value,
            status=entry.status,
            detail=entry.detail,
            began=entry.began,
            previous=row.previous,
            hash=row.hash,
        )


class BreakShape(BaseModel):
    id: int
    reason: str


class Verification(BaseModel):
    """`rows` are those from the first on that hold; `id` and `hash` are of the last of them: noted elsewhere they show
    later whether rows at the end were taken away."""

    intact: bool
    rows: int
    id: int
    hash: str
    broken: BreakShape | None


@router.get("")
def list_acts(
    app: AppDep,
    page: PageDep,
    ascending: Ascending,
    response: Response,
    since: Time = None,
    until: Time = None,
    actor: Text = None,
    action: Text = None,
    outcome: Annotated[Outcome | None, Query()] = None,
) -> list[ActShape]:
    """Acts from `since` to before `until`, the newest first."""
    wanted = Wanted(since, until, actor, action, outcome)
    rows, total = audit.list_acts(app, wanted, ascending=bool(ascending), page=page)
    return counted([ActShape.of(row) for row in rows], total, response)


@router.get("/verify")
def verify(
    app: AppDep,
    known_id: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    known_hash: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
) -> Verification:
    """Walk all rows; `known_id` and `known_hash` are of a row that somebody noted."""
    if (known_id is None) != (known_hash is None):
        raise Invalid("a row is known by its id and its hash", hint="give both or none")
    known = audit.Known(known_id, known_hash) if known_id is not None and known_hash is not None else None
    found = audit.verify(app, known)
    last = found.last
    return Verification(
        intact=found.broken is None,
        rows=found.rows,
        id=last.id if last is not None else 0,
        hash=last.hash if last is not None else "",
        broken=BreakShape(id=found.broken.id, reason=found.broken.reason) if found.broken is not None else None,
    )
