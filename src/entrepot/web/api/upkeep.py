"""`/storage` and `/queue`: what those who run an installation look at."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from entrepot.operations import upkeep
from entrepot.storage import Room
from entrepot.web.api.deps import AppDep, Caller

router = APIRouter(tags=["service"])


class RoomShape(BaseModel):
    free: int
    total: int

    @classmethod
    def of(cls, room: Room | None) -> RoomShape | None:
        return None if room is None else cls(free=room.free, total=room.total)


class DatabaseShape(BaseModel):
    kind: str
    bytes: int | None


class StorageShape(BaseModel):
    """How much is held; `files` and `bytes` are null while they are counted for the first time."""

    kind: str = Field(description="file, s3, gs or az")
    files: int | None
    bytes: int | None
    measured: datetime | None
    room: RoomShape | None = Field(description="of the disk that a local store is on")
    data_room: RoomShape | None = Field(description="of the disk that the data folder is on")
    database: DatabaseShape


class WorkerShape(BaseModel):
    name: str
    jobs: int
    seen: datetime | None


class QueueShape(BaseModel):
    """`waits_since` is the time from which the oldest job waits that could be begun; `processes` are all that take up
    jobs, null where that is the server alone."""

    jobs: dict[str, int] = Field(description="state -> number")
    waits_since: datetime | None
    workers: list[WorkerShape] = Field(description="those that carry out jobs at the moment")
    processes: int | None


@router.get("/storage")
def get_storage(app: AppDep) -> StorageShape:
    held = upkeep.holdings(app)
    return StorageShape(
        kind=held.kind,
        files=None if held.measure is None else held.measure.files,
        bytes=None if held.measure is None else held.measure.size,
        measured=None if held.measure is None else held.measure.time,
        room=RoomShape.of(held.room),
        data_room=RoomShape.of(held.data_room),
        database=DatabaseShape(kind=held.database, bytes=held.database_size),
    )


@router.get("/queue")
def get_queue(app: AppDep, access: Caller) -> QueueShape:
    found = upkeep.queue(app, access=access)
    workers = [WorkerShape(name=each.name, jobs=each.jobs, seen=each.seen) for each in found.workers]
    return QueueShape(jobs=found.states, waits_since=found.waits_since, workers=workers, processes=found.processes)
