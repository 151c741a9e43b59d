"""What `Storage` promises, on whichever store `--storage` names; and what holds for a local folder only."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entrepot.core.errors import InvalidSettings, NotFound, StorageFailed
from entrepot.core.model import Sha256
from entrepot.storage import Key, Storage

MIB = 2**20


@pytest.fixture
def storage(storage_url: str) -> Storage:
    return Storage.open(storage_url)


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    return Storage.open(f"file://{tmp_path}/store")


def sha256(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def blob(data: bytes) -> Key:
    return Key.blob(sha256(data))


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("big") / "file"
    path.write_bytes(os.urandom(MIB) * 40)
    yield path
    path.unlink()


# --- any store -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000])
def test_bytes_come_back(storage: Storage, data: bytes) -> None:
    """What was put is what is got, with its size, whole or in pieces."""
    storage.put_bytes(blob(data), data)
    assert storage.get_bytes(blob(data)) == data
    assert storage.size(blob(data)) == len(data)
    assert b"".join(storage.stream(blob(data))) == data


def test_large_file_comes_back(storage: Storage, big_file: Path) -> None:
    """A file of many parts is put and streamed whole."""
    data = big_file.read_bytes()
    storage.put_file(blob(data), big_file)
    assert storage.size(blob(data)) == len(data)
    pieces = list(storage.stream(blob(data), chunk=MIB))
    assert hashlib.sha256(b"".join(pieces)).hexdigest() == sha256(data)
    assert big_file.exists()


def test_range_is_half_open(storage: Storage) -> None:
    """A stream is the bytes [start, end), clipped to the object."""
    data = bytes(range(200))
    storage.put_bytes(blob(data), data)

    def part(start: int, end: int | None) -> bytes:
        return b"".join(storage.stream(blob(data), start=start, end=end))

    assert [part(0, 1), part(10, 20), part(190, None), part(190, 999)] == [
        data[:1],
        data[10:20],
        data[190:],
        data[190:],
    ]
    assert [part(200, None), part(500, 600), part(5, 5)] == [b"", b"", b""]


def test_missing_object_is_none_or_not_found(storage: Storage) -> None:
    """A missing object is None to ask for, and NotFound before the first byte to stream."""
    key = blob(b"never put")
    assert storage.get_bytes(key) is None
    assert storage.size(key) is None
    with pytest.raises(NotFound):
        storage.stream(key)


def test_put_again_replaces(storage: Storage) -> None:
    """The last put under a key wins."""
    key = Key.index("0123456789abcdef")
    storage.put_bytes(key, b"old and long")
    storage.put_bytes(key, b"new")
    assert storage.get_bytes(key) == b"new"


def test_delete_is_repeatable(storage: Storage) -> None:
    """A deleted object is gone; deleting it again is no error."""
    storage.put_bytes(blob(b"a"), b"a")
    storage.delete(blob(b"a"))
    storage.delete(blob(b"a"))
    assert storage.size(blob(b"a")) is None


def test_keys_are_listed_by_folder(storage: Storage) -> None:
    """Listing gives the keys below a prefix, more than one page of them."""
    index = Key.index("fedcba9876543210")
    storage.put_bytes(index, b"i")
    blobs = [str(number).encode() for number in range(30)]
    for data in blobs:
        storage.put_bytes(blob(data), data)
    assert sorted(storage.list_keys("blobs")) == sorted(map(blob, blobs))
    assert sorted(storage.list_keys()) == sorted([index, *map(blob, blobs)])
    assert list(storage.list_keys("nothing")) == []


def test_sixteen_writers_of_one_key(storage: Storage) -> None:
    """Many threads that put the same file at once leave it whole."""
    data = os.urandom(MIB)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: storage.put_bytes(blob(data), data), range(32)))
    assert storage.get_bytes(blob(data)) == data


def test_put_of_a_missing_file_fails(storage: Storage, tmp_path: Path) -> None:
    """A file that can't be read is StorageFailed, in one line, and leaves nothing."""
    with pytest.raises(StorageFailed) as caught:
        storage.put_file(blob(b"x"), tmp_path / "missing")
    assert "\n" not in str(caught.value)
    assert storage.size(blob(b"x")) is None


def test_object_that_vanishes_while_streaming(storage: Storage) -> None:
    """A stream gives the whole object or an error, never a short body that looks complete."""
    data = os.urandom(4 * MIB)
    storage.put_bytes(blob(data), data)
    pieces = storage.stream(blob(data), chunk=64 * 1024)
    got = [next(pieces)]
    storage.delete(blob(data))
    try:
        got.extend(pieces)
    except StorageFailed:
        return
    assert b"".join(got) == data


# --- keys and URLs -------------------------------------------------------------------------------------------------


def test_key_paths() -> None:
    """Keys are spread over two levels of folders and say what they are."""
    digest = "ab12" + 60 * "0"
    assert Key.blob(Sha256(digest)).path == f"blobs/ab/12/{digest}"
    assert Key.index("ab12" + 12 * "0").path == "indexes/ab/12/ab12000000000000"


@pytest.mark.parametrize("wrong", ["", "../../etc/passwd", "AB" * 32, "a" * 63, "a" * 64 + "/.."])
def test_key_takes_only_digests(wrong: str) -> None:
    """No other text becomes a path."""
    with pytest.raises(ValueError, match="not a"):
        Key.blob(Sha256(wrong))


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "/srv/files", "http://host/x", "ftp://host/x", "memory:///", "s3://", "gs://"),
        *("file://relative/path", "file://host/abs", "file:///proc/nothing/here", "file:///etc/passwd/x"),
    ],
)
def test_wrong_url_is_a_setting(url: str) -> None:
    """A URL that names no usable place is InvalidSettings with a hint."""
    with pytest.raises(InvalidSettings) as caught:
        Storage.open(url)
    assert caught.value.hint


def test_message_has_no_password() -> None:
    """Credentials in a wrong URL don't reach the message."""
    with pytest.raises(InvalidSettings) as caught:
        Storage.open("https://user:secret@host/x")
    assert "secret" not in str(caught.value)


def test_missing_bucket_is_a_setting(request: pytest.FixtureRequest) -> None:
    """A bucket that is not there is found at start, not taken for an empty store."""
    request.getfixturevalue("s3_server")
    with pytest.raises(InvalidSettings) as caught:
        Storage.open("s3://no-such-bucket/x")
    assert caught.value.hint


# --- a local folder ------------------------------------------------------------------------------------------------


def test_folder_is_made(tmp_path: Path) -> None:
    """A missing folder is made; its name may need percent-encoding."""
    storage = Storage.open(f"file://{tmp_path}/not%20there/yet")
    storage.put_bytes(blob(b"x"), b"x")
    assert (tmp_path / "not there/yet" / blob(b"x").path).read_bytes() == b"x"


def test_local_path_is_the_file(local: Storage) -> None:
    """A server may send the file itself."""
    local.put_bytes(blob(b"x"), b"x")
    path = local.local_path(blob(b"x"))
    assert path is not None
    assert path.read_bytes() == b"x"


WRITER = """
import sys
from pathlib import Path
from entrepot.storage import Key, Storage
storage = Storage.open(sys.argv[1])
print("ready", flush=True)
while True:
    storage.put_file(Key.blob(sys.argv[2]), Path(sys.argv[3]))
    print("put", flush=True)
    storage.delete(Key.blob(sys.argv[2]))
"""


def test_killed_writer_leaves_whole_or_absent(tmp_path: Path, big_file: Path) -> None:
    """kill -9 at any moment of a put leaves the file whole or absent, and nothing half-written in listings."""
    url = f"file://{tmp_path}/store"
    digest = sha256(big_file.read_bytes())
    storage = Storage.open(url)
    leftovers = 0
    for number in range(8):
        storage.delete(Key.blob(digest))
        command = [sys.executable, "-c", WRITER, url, digest, str(big_file)]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.005 + number * 0.012)
            writer.send_signal(signal.SIGKILL)
        kept = list(storage.list_keys())
        assert kept in ([], [Key.blob(digest)])
        if kept:
            assert hashlib.sha256(b"".join(storage.stream(Key.blob(digest)))).hexdigest() == digest
        leftovers += sum("#" in path.name for path in (tmp_path / "store").rglob("*"))
    assert leftovers, "no kill hit a put: the test proves nothing"


def test_sweep_removes_only_stale_leftovers(tmp_path: Path, local: Storage) -> None:
    """Half-written files go when they are older than a day; what may be written to now, and whole files, stay."""
    local.put_bytes(blob(b"x"), b"x")
    path = local.local_path(blob(b"x"))
    assert path is not None
    stale, fresh = path.with_name(path.name + "#1"), path.with_name(path.name + "#2")
    for each in (stale, fresh):
        each.write_bytes(b"half")
    old = time.time() - 25 * 3600
    for each in (stale, path):
        os.utime(each, (old, old))
    assert local.sweep() == 1
    assert sorted(path.parent.iterdir()) == [path, fresh]


def test_full_disk_is_one_line(local: Storage, tmp_path: Path) -> None:
    """A write that the system refuses is StorageFailed with the reason, and leaves nothing."""
    source = tmp_path / "file"
    source.write_bytes(b"x" * MIB)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB // 2, hard))
    try:
        with pytest.raises(StorageFailed, match="File too large") as caught:
            local.put_file(blob(b"x"), source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert local.size(blob(b"x")) is None


MEASURE = """
import re, sys
from pathlib import Path
from entrepot.storage import Key, Storage

def peak():  # ru_maxrss would begin with that of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

storage = Storage.open(sys.argv[1])
key = Key.blob("0" * 64)
storage.put_bytes(key, b"warm")
before = peak()
storage.put_file(key, Path(sys.argv[2]))
assert sum(map(len, storage.stream(key))) == Path(sys.argv[2]).stat().st_size
print(peak() - before)
"""


def test_memory_is_bounded(storage_url: str, tmp_path: Path) -> None:
    """Putting and streaming 200 MiB takes a few parts of memory, not the file's size."""
    file = tmp_path / "large"
    with file.open("wb") as out:
        for _ in range(200):
            out.write(os.urandom(MIB))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MEASURE, storage_url, str(file)]
    grown = int(subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout) // 1024
    assert grown < 100
