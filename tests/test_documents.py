"""The cache of rendered indexes: made once, bounded, kept over restarts, and never a wrong answer."""

from __future__ import annotations

import threading
from pathlib import Path

from entrepot.documents import Documents, Draft


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
    assert again.compressed is not None
    assert len(again.compressed) < len(again.body)


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
