"""`git.client` against repositories and servers that mean harm, and its end in every case."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from entrepot.core.errors import BuildFailed, Cancelled, EndpointUnavailable, EntrepotError
from entrepot.git.client import GitClient, Login
from entrepot.git.operation import PREFIX, Operation, sweep
from entrepot.git.said import Mask, Said
from tests.support.git import Link, Module, Repo, git_daemon, gitmodules, program, smart_http, ssh_key, sshd
from tests.support.process import processes_with
from tests.support.server import eventually

SECRET = "correct horse/battery+staple"


class Ours:
    """A client in a folder of its own, with its log."""

    def __init__(self, folder: Path, *, scratch: Path | None = None, max_checkout: int = 1024**3) -> None:
        self.folder, self.log, self._trees = folder, list[str](), 0
        self.scratch = scratch or folder / "scratch"
        self.client = GitClient(
            scratch=self.scratch,
            known_hosts=None,
            recorded_hosts=folder / "known_hosts",
            allow_file=True,
            max_checkout=max_checkout,
        )

    def checkout(self, repo: Repo, url: str = "", login: Login | None = None, **wanted: Any) -> Path:
        """The folder of the tree of the default branch."""
        self._trees += 1
        values = {"branch": None, "tag": None, "depth": 1, "submodules": 0} | wanted
        made = self.client.checkout(
            url or repo.file_url,
            login,
            commit=repo.git("rev-parse", "HEAD"),
            folder=self.folder / f"tree{self._trees}",
            log=self.log.append,
            check=lambda: None,
            **values,
        )
        return made.root


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ours]:
    """In the end no process and no folder of its questions is left."""
    with tempfile.TemporaryDirectory() as short:  # so that it is used
        made = Ours(tmp_path / "ours", scratch=Path(short))
        yield made
        assert processes_with(str(made.scratch)) == []
        assert list(made.scratch.iterdir()) == []


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit({"DESCRIPTION": "Version: 1.0\n"})
    return repo


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def fails(match: str, ask: Callable[[], object]) -> BuildFailed:
    with pytest.raises(BuildFailed, match=match) as caught:
        ask()
    assert "\n" not in caught.value.message
    return caught.value


# --- what a repository may hold ------------------------------------------------------------------------------------


def test_nothing_of_this_machine_counts(
    ours: Ours, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration, hooks, filters, templates and programs of the server's user and environment are not used."""
    marker, home = tmp_path / "marker", tmp_path / "home"
    run = tmp_path / "run"
    run.write_text(f"#!/bin/sh\ntouch {marker}\n")
    run.chmod(0o755)
    (home / "templates/hooks").mkdir(parents=True)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (home / "templates/hooks" / hook).symlink_to(run)
    config = home / ".gitconfig"
    config.write_text(
        f"[init]\n\ttemplateDir = {home}/templates\n[core]\n\thooksPath = {home}/templates/hooks\n\tfsmonitor = {run}\n"
        f'[filter "evil"]\n\tsmudge = {run}\n\tprocess = {run}\n\trequired = true\n'
        f'[url "file:///nonexistent/"]\n\tinsteadOf = {repo.path.parent.as_uri()}/\n'
        f"[uploadpack]\n\tpackObjectsHook = {run}\n"
    )
    for name, value in {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_TEMPLATE_DIR": f"{home}/templates",
        "GIT_EXTERNAL_DIFF": str(run),
        "GIT_SSH_COMMAND": str(run),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": f"{home}/templates/hooks",
        "GIT_DIR": str(home),
    }.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as patch:
        patch.delenv("GIT_DIR")
        repo.commit({".gitattributes": "* filter=evil\n", ".gitconfig": config.read_text()})
    root = ours.checkout(repo, depth=0)
    assert (root / "DESCRIPTION").read_text() == "Version: 1.0\n"
    assert not marker.exists()
    assert sorted(p.name for p in (root / ".git").iterdir() if p.name in ("hooks", "info")) == []


def test_hooks_in_a_repository(ours: Ours, repo: Repo, tmp_path: Path) -> None:
    """Those of the endpoint stay there, also where it is a folder of this machine."""
    marker = tmp_path / "marker"
    (repo.path / "hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "pre-receive", "reference-transaction", "post-upload-pack"):
        path = repo.path / "hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {marker}\n")
        path.chmod(0o755)
    repo.git("config", "uploadpack.packObjectsHook", str(repo.path / "hooks/post-checkout"))
    repo.git("config", "core.fsmonitor", str(repo.path / "hooks/post-checkout"))
    root = ours.checkout(repo)
    assert not (root / ".git/hooks").exists()
    assert not marker.exists()


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".g\u200cit", ".."])
def test_trees_that_lead_into_git(ours: Ours, repo: Repo, name: str) -> None:
    """A tree with a folder that some file system takes for `.git`, or that leads out, is refused."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\n")
    inner = repo.git("mktree", stdin=f"100755 blob {blob}\tpost-checkout\n".encode())
    body = b"40000 " + name.encode() + b"\0" + bytes.fromhex(inner)
    tree = repo.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=body)
    commit = f"tree {tree}\nauthor A <a@example.org> 1 +0000\ncommitter A <a@example.org> 1 +0000\n\nx\n".encode()
    repo.branch("main", repo.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=commit))
    with pytest.raises(BuildFailed):
        ours.checkout(repo)
    assert not list(ours.folder.rglob("post-checkout"))


def test_a_tree_that_is_too_large(tmp_path: Path, repo: Repo) -> None:
    """Small in Git, large when it is written: it isn't written."""
    ours = Ours(tmp_path / "ours", max_checkout=8 * 1024**2)
    repo.commit({f"f{n}": bytes(1024**2) for n in range(9)})
    error = fails("more than 8,388,608 bytes", lambda: ours.checkout(repo))
    assert "max_checkout" in (error.hint or "")
    assert not list(ours.folder.rglob("f1"))


def test_a_tree_in_itself(tmp_path: Path, repo: Repo) -> None:
    """Ten folders, each ten times in the next: a few kilobytes that name ten thousand million files."""
    ours = Ours(tmp_path / "ours", max_checkout=4 * 1024**2)
    kind, sha = "100644 blob", repo.git("hash-object", "-w", "--stdin", stdin=b"")
    for _ in range(10):
        sha = repo.git("mktree", stdin="".join(f"{kind} {sha}\tf{n}\n" for n in range(10)).encode())
        kind = "040000 tree"
    commit = f"tree {sha}\nauthor A <a@example.org> 1 +0000\ncommitter A <a@example.org> 1 +0000\n\nx\n".encode()
    repo.branch("main", repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=commit))
    fails("more than 4,194,304 bytes", lambda: ours.checkout(repo))


def test_a_history_that_is_too_large(tmp_path: Path, repo: Repo) -> None:
    """What comes is watched while it comes."""
    ours = Ours(tmp_path / "ours", max_checkout=1024**2)
    noise = random.Random(0)
    repo.commit({"large": noise.randbytes(3 * 1024**2)})
    with git_daemon(repo.path.parent) as daemon:
        fails("more than 1,048,576 bytes", lambda: ours.checkout(repo, daemon.url("demo.git")))
    assert not (ours.folder / "tree1/large").exists()


# --- submodules ----------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(repo: Repo) -> Repo:
    """A repository beside `repo`, to be a submodule."""
    part = Repo(repo.path.parent / "part.git")
    part.commit({"part": "1"})
    return part


def add_module(repo: Repo, url: str, commit: str, path: str = "libs/part") -> None:
    repo.commit({".gitmodules": gitmodules({path: url}), path: Module(commit)})


def test_submodules(ours: Ours, repo: Repo, parts: Repo) -> None:
    """As many levels as asked for, by absolute and relative URLs, each at its commit; also one that is no tip."""
    leaf = Repo(repo.path.parent / "deep" / "leaf.git")
    old = leaf.commit({"leaf": "old"})
    leaf.commit({"leaf": "new"})
    with git_daemon(repo.path.parent) as daemon:
        add_module(parts, "../deep/leaf.git", old, "inner")
        add_module(repo, daemon.url("part.git"), parts.git("rev-parse", "HEAD"))
        none, one, two = (ours.checkout(repo, daemon.url("demo.git"), submodules=n) for n in (0, 1, 2))
    assert list((none / "libs/part").iterdir()) == []
    assert (one / "libs/part/part").read_text() == "1"
    assert list((one / "libs/part/inner").iterdir()) == []
    assert (two / "libs/part/inner/leaf").read_text() == "old"
    assert (two / "libs/part/.git").is_dir()
    assert any("submodule libs/part/inner" in line for line in ours.log)


@pytest.mark.parametrize("url", ["file://{path}", "{path}", "../part.git", "ext::sh -c touch"])
def test_submodules_on_the_servers_disk(ours: Ours, repo: Repo, parts: Repo, url: str) -> None:
    """Never, though file:// is allowed for the repository itself; nor what is no URL."""
    add_module(repo, url.format(path=parts.path), parts.git("rev-parse", "HEAD"))
    error = fails("submodule libs/part: ", lambda: ours.checkout(repo, submodules=1))
    assert not list(ours.folder.rglob("part/part"))
    assert "allow_file" not in (error.hint or "")


def test_gitmodules_that_mean_harm(ours: Ours, repo: Repo, parts: Repo, tmp_path: Path) -> None:
    """Names that climb, options and commands are refused where they come in; it can be no link; it includes nothing."""
    sha = parts.git("rev-parse", "HEAD")
    with git_daemon(repo.path.parent) as daemon:
        url = daemon.url("part.git")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text(gitmodules({"part": daemon.url("nowhere.git")}))
        text = gitmodules({"part": url})
        repo.commit({".gitmodules": f"{text}[include]\n\tpath = {elsewhere}\n", "part": Module(sha)})
        assert (ours.checkout(repo, daemon.url("demo.git"), submodules=1) / "part/part").read_text() == "1"
        for bad in (
            text.replace('"part"', '"../../x"'),
            text.replace("path = part", "path = -x"),
            f"{text}\tupdate = !touch x\n",
            gitmodules({"part": "--upload-pack=touch x"}),
            gitmodules({"part": "-x"}),
        ):
            repo.commit({".gitmodules": bad})
            fails("git does not accept", lambda: ours.checkout(repo, daemon.url("demo.git"), submodules=1))
        repo.commit({".gitmodules": Link("/etc/passwd")})
        fails("git does not accept", lambda: ours.checkout(repo, daemon.url("demo.git"), submodules=1))
        repo.commit({".gitmodules": None})
        fails("no URL is given", lambda: ours.checkout(repo, daemon.url("demo.git"), submodules=1))


def test_submodules_in_a_circle(ours: Ours, repo: Repo, parts: Repo) -> None:
    """Each in the other: it is told how it goes round, and with which level it ends before."""
    with git_daemon(repo.path.parent) as daemon:
        main, part = daemon.url("demo.git"), daemon.url("part.git")
        add_module(parts, main, repo.git("rev-parse", "HEAD"), "back")
        add_module(repo, part, parts.git("rev-parse", "HEAD"))
        error = fails("circle", lambda: ours.checkout(repo, main, submodules=9))
        assert f"{main} -> {part} -> {main}" in error.message
        assert error.hint == "--recurse-submodules=1 ends before it"
        assert (ours.checkout(repo, main, submodules=1) / "libs/part/part").exists()


def test_a_branch_of_the_same_repository(ours: Ours, repo: Repo) -> None:
    """A repository may have another branch of itself as a submodule; an endless row of itself is a circle."""
    with git_daemon(repo.path.parent) as daemon:
        url = daemon.url("demo.git")
        site = repo.commit({"page": "1"}, branch="site", is_orphan=True)
        add_module(repo, url, site, "site")
        assert (ours.checkout(repo, url, submodules=5) / "site/page").exists()
        repo.commit({"site": None})
        for _ in range(2):
            add_module(repo, url, repo.git("rev-parse", "HEAD"), "again")
        fails("circle", lambda: ours.checkout(repo, url, submodules=5))


def test_too_many_submodules(ours: Ours, repo: Repo, parts: Repo) -> None:
    """A hundred at most, counted before any is fetched."""
    sha = parts.git("rev-parse", "HEAD")
    names = [f"m{n}" for n in range(101)]
    text = gitmodules(dict.fromkeys(names, "git://127.0.0.1:9/x"))
    repo.commit({".gitmodules": text, **{name: Module(sha) for name in names}})
    fails("more than 100 submodules", lambda: ours.checkout(repo, submodules=1))


def test_submodules_get_the_login_of_the_same_place_alone(ours: Ours, repo: Repo, parts: Repo) -> None:
    """Same scheme, host and port: it is offered; another port: it isn't, and the other one's wish is told."""
    login = Login("https", "me", SECRET)
    sha = parts.git("rev-parse", "HEAD")
    with (
        smart_http(repo.path.parent, "me", SECRET) as main,
        smart_http(repo.path.parent, "me", SECRET) as other,
    ):
        add_module(repo, "../part.git", sha)
        root = ours.checkout(repo, main.url("demo.git"), login, submodules=1)
        assert (root / "libs/part/part").exists()
        add_module(repo, other.url("part.git"), sha)
        error = fails("submodule libs/part: ", lambda: ours.checkout(repo, main.url("demo.git"), login, submodules=1))
        assert "wants user and password" in error.message
        assert {asked.authorization for asked in other.asked} == {""}


# --- secrets -------------------------------------------------------------------------------------------------------


class Spy:
    """Looks again and again at all command lines and at all files of folders; a context manager."""

    def __init__(self, folders: list[Path], secrets: list[str]) -> None:
        self._folders, self._secrets = folders, [secret.encode() for secret in secrets]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.found: list[str] = []
        self.looks = 0

    def __enter__(self) -> Spy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.is_set():
            self.looks += 1
            places = [Path("/proc").glob("[0-9]*/cmdline"), *(folder.rglob("*") for folder in self._folders)]
            for place in places:
                with contextlib.suppress(OSError):  # what goes while we look
                    self._look_at(place)

    def _look_at(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                if path.is_file() and any(secret in path.read_bytes() for secret in self._secrets):
                    self.found.append(str(path))


def test_passwords_are_nowhere(ours: Ours, repo: Repo) -> None:
    """Not in a command line, a file or the log, in no form; also not when the server says it back."""
    login = Login("https", "me", SECRET)
    with smart_http(repo.path.parent, "me", SECRET) as server:
        with Spy([ours.folder, ours.scratch], list(login.forms)) as spy:
            for _ in range(3):
                ours.checkout(repo, server.url("demo.git"), login, depth=0)
        assert spy.looks > 3
        assert spy.found == []
        assert "Basic" in server.asked[-1].authorization
        assert not any(form in line for form in login.forms for line in ours.log)
    assert SECRET not in repr(login)
    said: list[str] = []
    words = Said(said.append, Mask(login.forms))
    words.take(b"remote: you are " + SECRET.encode()[:9])
    words.take(SECRET.encode()[9:] + b" or " + quote(SECRET, safe="").encode() + b"\n" + b"x" * 1995)
    words.take(SECRET.encode() + b"\rlast\x1b[31m")
    words.finish()
    assert said == ["remote: you are *** or ***", "x" * 1995 + "***", "last [31m"]


def test_keys_are_nowhere(ours: Ours, repo: Repo, tmp_path: Path) -> None:
    """Not in a command line, a file or the log; the agent's socket is in a folder of ours alone, and goes."""
    key = ssh_key()
    login = Login("ssh", "", key.private)
    with sshd(repo.path.parent, key.public, folder=tmp_path / "sshd") as server:
        with Spy([ours.folder, ours.scratch], list(login.forms)) as spy:
            ours.checkout(repo, server.url("demo.git"), login)
        assert spy.looks > 3
        assert spy.found == []
    assert not any(form in line for form in login.forms for line in ours.log)
    assert key.private not in repr(login)


def test_a_flood_of_words() -> None:
    """What git writes without an end takes neither our memory nor the log."""
    said: list[str] = []
    words = Said(said.append, Mask([]))
    for _ in range(300):
        words.take(b"y" * 10_000)
    for n in range(5000):
        words.take(b"\nline %d" % n)
    words.finish()
    assert len(said) == 2000
    assert max(map(len, said)) == 2000
    assert words.lines[-1] == "line 4999"


# --- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
def test_cancelling(ours: Ours, silent: int, scheme: str) -> None:
    """It ends within a second, with all that git started; the check is asked several times a second."""
    program("ssh")
    began, asked, seen = time.monotonic(), list[float](), list[str]()

    def check() -> None:
        asked.append(time.monotonic())
        if time.monotonic() - began > 1:
            seen.extend(processes_with(str(ours.scratch)))
            raise Cancelled("enough")

    login = Login("ssh", "", ssh_key().private) if scheme == "ssh" else None
    with pytest.raises(Cancelled):
        ours.client.refs(f"{scheme}://127.0.0.1:{silent}/x", login, log=ours.log.append, check=check)
    assert time.monotonic() - began < 3
    assert len(asked) >= 4
    wanted = {"git": ["git ls-remote"], "http": ["remote-http"], "ssh": ["ssh -F none", "ssh-agent -D"]}[scheme]
    assert all(any(word in line for line in seen) for word in wanted), seen


_ASK = """
import sys
from pathlib import Path
from entrepot.git.client import GitClient, Login
folder, hosts, url, key = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.stdin.read()
client = GitClient(scratch=folder, known_hosts=None, recorded_hosts=hosts, allow_file=False,
    max_checkout=10**9)
client.refs(url, Login("ssh", "", key), log=print, check=lambda: None)
"""


def test_a_killed_server_leaves_nothing(ours: Ours, silent: int) -> None:
    """SIGKILL of the process that asks: git, ssh and the agent end, and the folder goes."""
    program("ssh-agent")
    url = f"ssh://git@127.0.0.1:{silent}/x"
    process = subprocess.Popen(
        [sys.executable, "-c", _ASK, str(ours.scratch), str(ours.folder / "hosts"), url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(ssh_key().private.encode())
        process.stdin.close()
        eventually(
            lambda: processes_with(str(ours.scratch)), lambda found: any("ssh -F none" in line for line in found)
        )
        assert list(ours.scratch.iterdir())
        process.send_signal(signal.SIGKILL)
    eventually(lambda: processes_with(str(ours.scratch)), lambda found: not found)
    eventually(lambda: list(ours.scratch.iterdir()), lambda found: not found)


def test_what_a_killed_machine_left(tmp_path: Path) -> None:
    """Folders whose process and keeper are gone are swept; those in use are not."""
    left = tmp_path / f"{PREFIX}left"
    (left / "home").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    with Operation(tmp_path, seconds=9, file_size=1, memory=1024**3, check=lambda: None) as operation:
        assert sweep(tmp_path) == 1
        assert not left.exists()
        assert operation.folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_long_path(tmp_path: Path, repo: Repo, silent: int) -> None:
    """The agent's socket has a path that is short enough, however long and strange that of the data folder is."""
    folder = tmp_path / ("long $HOME %h " * 8)
    ours, key = Ours(folder), ssh_key()
    with sshd(repo.path.parent, key.public, folder=tmp_path / "sshd") as server:
        for _ in range(2):
            refs = ours.client.refs(
                server.url("demo.git"), Login("ssh", "", key.private), log=ours.log.append, check=lambda: None
            )
            assert refs.head == "main"
    assert (folder / "known_hosts").read_text().count("\n") == 1


def test_refs_without_an_end(ours: Ours) -> None:
    """A server that tells refs for ever is given up; our memory does not grow with it."""
    ref = b"%s refs/heads/" % (b"1" * 40)
    line = ref + b"x" * 60 + b"\n"
    packets = (b"%04x" % (len(line) + 4) + line) * 1000
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(packets)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        began = time.monotonic()

        def check() -> None:
            if time.monotonic() - began > 3:
                raise Cancelled("enough")

        url = f"git://127.0.0.1:{listener.getsockname()[1]}/x"
        with pytest.raises(EntrepotError):
            ours.client.refs(url, None, log=ours.log.append, check=check)
        thread.join(5)
        assert not thread.is_alive()


def test_a_connection_that_breaks(ours: Ours) -> None:
    """It is worth trying again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True)
        thread.start()
        url = f"git://127.0.0.1:{listener.getsockname()[1]}/x"
        with pytest.raises(EndpointUnavailable, match="broke off"):
            ours.client.refs(url, None, log=ours.log.append, check=lambda: None)
        thread.join(5)
