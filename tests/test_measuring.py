"""How much a store holds: measured behind whoever asks, on whichever store, and not more often than it is worth."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot import measuring
from entrepot.core.errors import StorageFailed
from entrepot.core.model import Sha256
from entrepot.measuring import Measure, Meter
from entrepot.storage import Key, Storage, room_at
from tests.support.server import Clock, eventually

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def storage(storage_url: str) -> Storage:
    return Storage.open(storage_url)


@pytest.fixture
def meter(storage: Storage, clock: Clock) -> Iterator[Meter]:
    made = Meter(storage, clock)
    yield made
    made.close()


def put(storage: Storage, *texts: str) -> None:
    for text in texts:
        data = text.encode()
        storage.put_bytes(Key.blob(Sha256(hashlib.sha256(data).hexdigest())), data)


def test_files_are_counted(storage: Storage, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Number and bytes of all files that are kept, and of nothing else; again once the measure is old."""
    assert meter.look(patience=10) == Measure(0, 0, NOON)
    put(storage, "one", "three", *map(str, range(1500)))
    storage.put_bytes(Key.index("ab" * 16), b"no file of a package")
    assert meter.look(patience=10) == Measure(0, 0, NOON), "it is good for a while"
    monkeypatch.setattr(meter, "_due", 0.0)
    size = 8 + sum(len(str(n)) for n in range(1500))
    eventually(meter.look, lambda found: found == Measure(1502, size, NOON))


def test_nobody_waits_for_it(storage: Storage, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is measured for the first time there is no answer; of several who ask one measures."""
    gate, calls = threading.Event(), []
    amounts = storage.amounts

    def slow() -> Iterator[tuple[int, int]]:
        calls.append(1)
        assert gate.wait(10)
        return amounts()

    monkeypatch.setattr(storage, "amounts", slow)
    assert [meter.look(patience=0.01) for _ in range(3)] == [None, None, None]
    gate.set()
    assert meter.look(patience=10) == Measure(0, 0, NOON)
    assert calls == [1]


def test_a_long_measure_is_good_for_longer(storage: Storage, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a store of a million files is not read all the time."""
    monkeypatch.setattr(measuring, "AGAIN_AFTER", 0.0)
    for share, is_anew in ((0, True), (10**9, False)):
        monkeypatch.setattr(measuring, "SHARE", share)
        meter = Meter(storage, clock)
        first = meter.look(patience=10)
        clock.wait(days=1)
        if is_anew:
            eventually(meter.look, lambda found, first=first: found is not None and found != first)
        else:
            assert [meter.look() for _ in range(5)] == [first] * 5
        meter.close()


@pytest.mark.one_shape
def test_a_store_that_fails(meter: Meter, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no measure then; the next one is tried when it is time."""

    def broken() -> Iterator[tuple[int, int]]:
        raise StorageFailed("it is away")

    whole: Callable[[], Iterator[tuple[int, int]]] = storage.amounts
    monkeypatch.setattr(storage, "amounts", broken)
    assert meter.look(patience=10) is None
    monkeypatch.setattr(storage, "amounts", whole)
    assert meter.look(patience=10) is None, "not at once"
    monkeypatch.setattr(meter, "_due", 0.0)
    assert meter.look(patience=10) == Measure(0, 0, NOON)


def test_the_room_of_a_disk(storage: Storage, tmp_path: Path) -> None:
    """A local folder's disk has some; of another store nobody knows, nor of a folder that isn't there."""
    room = storage.room()
    assert (room is not None) == (storage.kind == "file")
    assert room is None or 0 < room.free <= room.total
    assert room_at(tmp_path / "none") is None
