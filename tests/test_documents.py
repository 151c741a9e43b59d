"""The cache of rendered indexes: made once, bounded, kept over restarts, and never a wrong answer."""

from __future__ import annotations

import gzip
import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from entrepot.documents import LARGE, Documents, Draft, OnDisk, Rendered


class Maker:
    def __init__(self, body: bytes = b"x" * 1000, incomplete: int = 0) -> None:
        self.body, self.incomplete, self.calls = body, incomplete, 0

    def __call__(self) -> Draft:
        self.calls += 1
        return Draft(self.body, compress=True, incomplete=self.incomplete)


def test_made_once_even_by_many_at_once_and_over_a_restart(tmp_path: Path) -> None:
    """Twenty callers at once, and a new process later, make one rendering."""
    documents, maker = Documents(tmp_path, version="1"), Maker()
    threads = [threading.Thread(target=lambda: documents.get("k", filled=0, make=maker)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Documents(tmp_path, version="1").get("k", filled=0, make=maker)
    assert (maker.calls, again.body) == (1, maker.body)
    assert sorted(again.twins) == ["gzip", "zstd"]
    assert all(len(twin) < len(again.body) for twin in again.twins.values())
    assert gzip.decompress(again.form("gzip")) == zstandard.decompress(again.form("zstd")) == again.form("")


def test_an_incomplete_one_counts_until_more_is_known(tmp_path: Path) -> None:
    """Complete documents are kept whatever is learnt; incomplete ones are made again once something was."""
    documents, whole, partial = Documents(tmp_path, version="1"), Maker(), Maker(incomplete=3)
    for filled in (0, 0, 1, 1):
        documents.get("whole", filled=filled, make=whole)
        documents.get("partial", filled=filled, make=partial)
    assert (whole.calls, partial.calls) == (1, 2)


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    """A cut or changed file on disk is not served."""
    Documents(tmp_path, version="1").get("k", filled=0, make=Maker())
    (file,) = tmp_path.glob("*.index")
    for damaged in (b"", b"rubbish", file.read_bytes()[:-5], file.read_bytes().replace(b"xx", b"xy", 1)):
        file.write_bytes(damaged)
        maker = Maker()
        assert Documents(tmp_path, version="1").get("k", filled=0, make=maker).body == maker.body
        assert maker.calls == 1


def test_another_version_of_the_program_makes_its_own(tmp_path: Path) -> None:
    """What an older version rendered is not served by a newer one."""
    Documents(tmp_path, version="1").get("k", filled=0, make=Maker(b"old"))
    assert Documents(tmp_path, version="2").get("k", filled=0, make=Maker(b"new")).body == b"new"


def test_bounded_in_memory_and_on_disk(tmp_path: Path) -> None:
    """Neither grows beyond its limit, and what was dropped is made again."""
    documents = Documents(tmp_path, version="1", memory_limit=50_000, disk_limit=100_000)
    for n in range(60):
        documents.get(str(n), filled=0, make=Maker(bytes([n]) * 5000))
    assert documents._weight <= 50_000
    assert sum(path.stat().st_size for path in tmp_path.glob("*.index")) <= 110_000
    assert documents.get("0", filled=0, make=Maker(b"\0" * 5000)).body == b"\0" * 5000


class Pieces:
    """Pieces that together are large, or not."""

    def __init__(self, count: int) -> None:
        noise = random.Random(count)
        self.pieces = [noise.randbytes(32 * 1024).hex().encode() for _ in range(count)]
        self.calls = 0

    def __call__(self) -> Iterator[bytes]:
        self.calls += 1
        yield from self.pieces

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


def test_a_large_one_is_made_in_pieces_and_stays_on_the_disk(tmp_path: Path) -> None:
    """Many callers, and a new process, make it once; its forms are files that say the same; the memory has none."""
    documents, maker = Documents(tmp_path, version="1"), Pieces(40)
    found: list[Rendered | OnDisk] = []
    threads = [threading.Thread(target=lambda: found.append(documents.get_large("k", maker))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.append(Documents(tmp_path, version="1").get_large("k", maker))
    assert maker.calls == 1
    assert found == found[:1] * 11
    large = found[0]
    assert isinstance(large, OnDisk)
    forms = {encoding: path.read_bytes() for encoding, (path, _) in large.forms.items()}
    assert {encoding: size for encoding, (_, size) in large.forms.items()} == {k: len(v) for k, v in forms.items()}
    unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(forms["zstd"])
    assert forms[""] == gzip.decompress(forms["gzip"]) == unpacked == maker.body
    assert large.digest == hashlib.sha256(maker.body).hexdigest()[:32]
    assert documents.in_memory("k") is None
    assert not list(tmp_path.glob("*.tmp"))


def test_one_in_pieces_that_is_small_is_as_any_other(tmp_path: Path) -> None:
    """Few pieces make an index in memory, found again after a restart."""
    documents, maker = Documents(tmp_path, version="1"), Pieces(2)
    assert len(maker.body) < LARGE
    small = documents.get_large("k", maker)
    assert isinstance(small, Rendered)
    assert documents.get_large("k", maker) is documents.in_memory("k") is small
    assert Documents(tmp_path, version="1").get_large("k", maker) == small
    assert maker.calls == 1


@pytest.mark.parametrize("form", ["large", "large-plain", "large-gzip", "large-zstd"])
def test_a_large_one_that_lost_a_file_is_made_again(tmp_path: Path, form: str) -> None:
    """Whichever of its files is gone or cut, and whether or not this process has seen it whole."""
    documents, maker = Documents(tmp_path, version="1"), Pieces(20)
    documents.get_large("k", maker)
    (file,) = tmp_path.glob(f"*.{form}")
    file.write_bytes(file.read_bytes()[:-1])
    for at in (documents, Documents(tmp_path, version="1")):
        again = at.get_large("k", maker)
        assert isinstance(again, OnDisk)
        assert again.forms[""][0].read_bytes() == maker.body
        file.unlink()
    assert maker.calls == 3 if form == "large" else 2


def test_a_large_one_that_was_changed_is_made_again(tmp_path: Path) -> None:
    """A new process compares the bytes before it gives them out."""
    maker = Pieces(20)
    Documents(tmp_path, version="1").get_large("k", maker)
    (file,) = tmp_path.glob("*.large-plain")
    file.write_bytes(b"x" + file.read_bytes()[1:])
    again = Documents(tmp_path, version="1").get_large("k", maker)
    assert isinstance(again, OnDisk)
    assert (again.forms[""][0].read_bytes(), maker.calls) == (maker.body, 2)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """Pieces that end with an error leave no file; the next caller gets the whole."""

    def failing() -> Iterator[bytes]:
        yield from Pieces(20)()
        raise RuntimeError("a database that went away")

    documents, maker = Documents(tmp_path, version="1"), Pieces(20)
    with pytest.raises(RuntimeError):
        documents.get_large("k", failing)
    assert list(tmp_path.iterdir()) == []
    assert isinstance(documents.get_large("k", maker), OnDisk)


def test_large_ones_go_like_the_others(tmp_path: Path) -> None:
    """On the disk they count with all their files, and go with all of them."""
    documents = Documents(tmp_path, version="1", disk_limit=8 * LARGE)
    for n in range(5):
        documents.get_large(str(n), Pieces(20 + n))
        documents.get(f"small {n}", filled=0, make=Maker())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8 * LARGE
    assert {len(list(tmp_path.glob(f"{path.stem}.*"))) for path in tmp_path.glob("*.large")} == {4}
    assert len(list(tmp_path.glob("*.large-gzip"))) == len(list(tmp_path.glob("*.large")))
