"""Git endpoints on loopback: repositories that a test makes commit by commit, and the servers that give them out.

    repo = Repo(tmp_path / "served" / "demo.git")
    first = repo.commit({"DESCRIPTION": "..."}, time=1_700_000_000)
    repo.tag("v1.0", annotated=True, time=1_700_000_100)
    with git_daemon(tmp_path / "served") as server:
        ... server.url("demo.git") ...

Each server skips its test where the program is missing, and leaves nothing behind.
"""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.server import eventually

Kind = Literal["ed25519", "rsa", "ecdsa"]
START = 1_700_000_000
"""The time of a repository's first commit unless the test says otherwise."""
_PATIENCE = 10.0


def program(name: str, *places: str) -> str:
    """Where a program is; a test that asks for a missing one is skipped."""
    if found := shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places])):
        return found
    pytest.skip(f"no {name} on PATH (make test installs it)")


# --- repositories --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link in a commit."""

    target: str


@dataclass(frozen=True, slots=True)
class Module:
    """A commit of another repository in a commit: what a submodule is, besides its entry in `.gitmodules`."""

    commit: str


@dataclass(frozen=True, slots=True)
class Script:
    """An executable file in a commit."""

    text: str


Content = str | bytes | Link | Module | Script | None
"""What a path holds; None: it is deleted."""


class Repo:
    """A bare repository, made new. Its commits are written into it without a work tree."""

    def __init__(self, path: Path, *, branch: str = "main") -> None:
        self.path, self._clock = path, START
        self._git_program = program("git")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
        self.default = branch

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """What git says of this repository."""
        command = [self._git_program, f"--git-dir={self.path}", *arguments]
        clean = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(command, input=stdin, env=clean, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode().strip()

    def commit(
        self,
        files: Mapping[str, Content] | None = None,
        *,
        time: int | None = None,
        message: str = "a change",
        branch: str | None = None,
        parent: str | None = None,
        is_orphan: bool = False,
    ) -> str:
        """Write a commit on a branch; its id.

        Args:
            files: what differs from the parent.
            time: of author and committer, seconds since 1970; a minute after the one before unless given.
            parent: commit that it follows: the branch's last one unless given, so another one is a force-push.
            is_orphan: follows none, and has no other files: a force-push too.
        """
        self._clock = self._clock + 60 if time is None else time
        ref = f"refs/heads/{branch or self.default}"
        lines = [f"commit {ref}\nmark :1\n".encode(), self._who("committer"), _data(message.encode())]
        before = "" if is_orphan else parent or self._tip(ref) or self._tip(f"refs/heads/{self.default}")
        if before:
            lines.append(f"from {before}\n".encode())
        for path, content in (files or {}).items():
            lines += _change(path, content)
        lines.append(b"get-mark :1\n")
        if is_orphan and self._tip(ref):
            self.git("update-ref", "-d", ref)
        return self.git("fast-import", "--quiet", "--force", stdin=b"".join(lines))

    def tag(self, name: str, commit: str | None = None, *, annotated: bool = False, time: int | None = None) -> str:
        """Make a tag, or move it; the id that the ref has. `time` is the tagger's."""
        ref = f"refs/tags/{name}"
        wanted = commit or self.git("rev-parse", "HEAD")
        if not annotated:
            self.git("update-ref", ref, wanted)
            return wanted
        self._clock = self._clock + 60 if time is None else time
        body = f"object {wanted}\ntype commit\ntag {name}\n".encode() + self._who("tagger") + b"\na release\n"
        sha = self.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=body)
        self.git("update-ref", ref, sha)
        return sha

    def branch(self, name: str, commit: str | None = None) -> None:
        """Make a branch, or let it stand elsewhere (a force-push)."""
        self.git("update-ref", f"refs/heads/{name}", commit or self.git("rev-parse", "HEAD"))

    def delete_tag(self, name: str) -> None:
        self.git("update-ref", "-d", f"refs/tags/{name}")

    def delete_branch(self, name: str) -> None:
        self.git("update-ref", "-d", f"refs/heads/{name}")

    def forget_unreachable(self) -> None:
        """Let commits that no ref leads to be gone for good."""
        self.git("reflog", "expire", "--expire=now", "--all")
        self.git("gc", "--quiet", "--prune=now")

    @property
    def file_url(self) -> str:
        return f"file://{self.path}"

    def _tip(self, ref: str) -> str:
        """The commit of a ref; empty if there is none."""
        return self.git("for-each-ref", "--format=%(objectname)", ref)

    def _who(self, role: str) -> bytes:
        return f"{role} A Person <person@example.org> {self._clock} +0000\n".encode()


def gitmodules(modules: Mapping[str, str]) -> str:
    """The text of `.gitmodules`: path -> URL."""
    return "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in modules.items())


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _change(path: str, content: Content) -> list[bytes]:
    """Commands of git-fast-import(1)."""
    match content:
        case None:
            return [f"D {path}\n".encode()]
        case Module(commit):
            return [f"M 160000 {commit} {path}\n".encode()]
        case Link(target):
            return [f"M 120000 inline {path}\n".encode(), _data(target.encode())]
        case Script(text):
            return [f"M 100755 inline {path}\n".encode(), _data(text.encode())]
        case str() | bytes():
            body = content.encode() if isinstance(content, str) else content
            return [f"M 100644 inline {path}\n".encode(), _data(body)]


# --- git:// --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Daemon:
    """`git daemon`."""

    port: int

    def url(self, name: str) -> str:
        return f"git://127.0.0.1:{self.port}/{name}"


@contextmanager
def git_daemon(path: Path) -> Iterator[Daemon]:
    """All repositories below `path`, without any login."""
    daemon = Path(subprocess.check_output([program("git"), "--exec-path"], text=True).strip(), "git-daemon")
    if not daemon.exists():
        pytest.skip("this git has no daemon")
    for _ in range(5):  # somebody else may take the port first
        port = free_port()
        options = ["--listen=127.0.0.1", f"--port={port}", "--export-all", "--reuseaddr", f"--base-path={path}"]
        with _running([str(daemon), *options, str(path)]) as process:
            if _listens(port, process):
                yield Daemon(port)
                return
    pytest.fail("git daemon does not start")


# --- http:// -------------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A request that came: its path with query, and its header `Authorization`."""

    method: str
    path: str
    authorization: str


@dataclass
class SmartHttp:
    """Git's smart HTTP (gitprotocol-http(5)).

    Attributes:
        asked: all requests until now.
        moved: where all requests are sent on to (URL without the path), once it is set.
        status: what everything is answered with, once it is set.
    """

    port: int
    asked: list[Asked] = field(default_factory=list)
    moved: str = ""
    status: int = 0

    def url(self, name: str, *, user: str = "") -> str:
        return f"http://{user and user + '@'}127.0.0.1:{self.port}/{name}"


@contextmanager
def smart_http(path: Path, user: str = "", password: str = "") -> Iterator[SmartHttp]:
    """All repositories below `path`; with `user`, for that login (Basic) alone."""
    git = program("git")
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
    running: set[subprocess.Popen[bytes]] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self._body()
            authorization = self.headers.get("Authorization", "")
            served.asked.append(Asked(self.command, self.path, authorization))
            if served.moved:
                self._answer(302, [("Location", served.moved + self.path)])
            elif served.status:
                self._answer(served.status, [])
            elif wanted and authorization != wanted:
                self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')])
            else:
                self._backend(body)

        def do_POST(self) -> None:
            self.do_GET()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _backend(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            variables = {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": "/nonexistent",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_PROJECT_ROOT": str(path),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": unquote(parts.path),
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_USER": user,
            }
            process = subprocess.Popen(
                [git, "http-backend"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables
            )
            running.add(process)
            with process:
                answer, _ = process.communicate(body)
            running.discard(process)
            head, _, content = answer.partition(b"\r\n\r\n")
            headers = [(k, v.strip()) for k, _, v in (line.partition(":") for line in head.decode().split("\r\n"))]
            status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
            self._answer(status, [header for header in headers if header[0] != "Status"], content)

        def _answer(self, status: int, headers: Iterable[tuple[str, str]], content: bytes = b"") -> None:
            try:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the client has gone

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test looks at `asked`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served = SmartHttp(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join(_PATIENCE)
            for process in list(running):
                process.kill()


# --- ssh -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SshKey:
    """A key pair, as text: the private one in PEM or OpenSSH form, the public one as a line of `authorized_keys`."""

    private: str
    public: str


def ssh_key(
    passphrase: str | None = None, kind: Kind = "ed25519", *, form: Literal["openssh", "pem"] = "openssh"
) -> SshKey:
    """A new key pair; `pem` is the traditional form (PKCS #8 for Ed25519, which has no other)."""
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    if form == "openssh":
        shape = serialization.PrivateFormat.OpenSSH
    elif kind == "ed25519":
        shape = serialization.PrivateFormat.PKCS8
    else:
        shape = serialization.PrivateFormat.TraditionalOpenSSL
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None and form == "pem":
        lock = serialization.BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(serialization.Encoding.PEM, shape, lock).decode()
    if passphrase is not None and form == "openssh":
        private = _locked(private, passphrase)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private, public.decode())


def _locked(private: str, passphrase: str) -> str:
    """The same key under a passphrase, as OpenSSH makes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key")
        path.touch(mode=0o600)
        path.write_text(private)
        change = [program("ssh-keygen"), "-q", "-p", "-f", str(path), "-P", "", "-N", passphrase]
        subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
        return path.read_text()


class Sshd:
    """OpenSSH's server, which lets the user of the tests in by one key."""

    def __init__(self, folder: Path, repositories: Path, authorized: Sequence[str]) -> None:
        self._program, self._folder, self._repositories = program("sshd", "/usr/sbin"), folder, repositories
        program("ssh")
        program("ssh-agent")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation asks for it
        account = pwd.getpwuid(os.geteuid())
        if Path(account.pw_shell).name in ("nologin", "false"):
            pytest.skip(f"the user {account.pw_name} may not log in")
        self.user = account.pw_name
        self.port = 0
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text("".join(f"{line}\n" for line in authorized))
        self._process: subprocess.Popen[bytes] | None = None
        self.change_host_key()

    def url(self, name: str) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self._repositories}/{name}"

    @property
    def known_hosts(self) -> str:
        """The line of a `known_hosts` file for this server."""
        return f"[127.0.0.1]:{self.port} {self._host.public}\n"

    def change_host_key(self) -> None:
        """Go on under the same address as another host."""
        self.stop()
        self._host = ssh_key()
        key = self._folder / "host_key"
        key.touch(mode=0o600)
        key.write_text(self._host.private)
        for _ in range(5):  # somebody else may take the port first
            self._process = self._start(self.port or free_port())
            if self._process is not None:
                return
        pytest.fail(f"sshd does not start: {(self._folder / 'said').read_text()}")

    def stop(self) -> None:
        """End it, and all connections."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _start(self, port: int) -> subprocess.Popen[bytes] | None:
        config = self._folder / "config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{port}\n"
            f"HostKey {self._folder / 'host_key'}\n"
            f"AuthorizedKeysFile {self._folder / 'authorized_keys'}\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "AcceptEnv GIT_PROTOCOL\nMaxStartups 100\nUseDNS no\nPrintMotd no\n"
        )
        with (self._folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [self._program, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        if _listens(port, process):
            self.port = port
            return process
        _end(process)
        return None


@contextmanager
def sshd(path: Path, authorized_key: str, *, folder: Path) -> Iterator[Sshd]:
    """All that the user of the tests may read, by that public key; `url` is of repositories below `path`.

    Args:
        folder: for its own files; made if it is missing.
    """
    server = Sshd(folder, path, [authorized_key])
    try:
        yield server
    finally:
        server.stop()


# --- processes -----------------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether the program takes connections, once it is clear."""

    def told() -> bool | None:
        if process.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return None
        return True

    return bool(eventually(told, lambda answer: answer is not None, seconds=_PATIENCE))


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, and its end with all that it started."""
    clean = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    process = subprocess.Popen(
        command,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
