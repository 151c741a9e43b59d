"""What a build sees of this machine: options of bubblewrap."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from entrepot.core.errors import SandboxUnavailable
from entrepot.sandbox.running import variables
from entrepot.sandbox.task import Limits, Task

USER = 1000
"""The build's user and group as it sees them: R's tar writes no larger ids than 32767."""
GIVEN = "/given"
"""Where the folders of a task are found inside, each under the name of its variable."""
_SYSTEM = tuple(Path(path) for path in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"))
_RESERVED = ("/", "/dev", "/etc", GIVEN, "/proc", "/run", "/sys", "/tmp", "/usr", "/var")
_ETC = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "os-release"),
    *("debian_version", "fonts", "papersize", "libpaper.d", "mime.types", "magic", "protocols", "services"),
    *("locale.alias", "locale.conf", "perl", "python3", "texmf", "crypto-policies", "host.conf"),
    *("ssl/certs", "ssl/openssl.cnf", "pki/ca-trust", "pki/tls/certs", "pki/tls/openssl.cnf", "pki/tls/cert.pem"),
    *("python3.*", "java-*-openjdk", "R/*"),
)
"""What R, Python and compilers read. Never all of it: it is full of configuration, some of it with passwords."""
_SITE_FILES = ("Renviron.site", "Rprofile.site")
"""Where administrators of R keep tokens; no build needs them."""
_R_FOLDERS = ("etc", "lib/R/etc", "lib64/R/etc")
_DATA = {
    "/etc/passwd": f"build:x:{USER}:{USER}:build:/tmp/home:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n",
    "/etc/group": f"build:x:{USER}:\nroot:x:0:\n",
    "/etc/hosts": "127.0.0.1 localhost build\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_SHARED_MEMORY = 64 * 1024**2


@dataclass(slots=True)
class Options:
    """Options of bwrap, and the open descriptors that they name."""

    words: list[str] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def add(self, *words: str | Path) -> None:
        self.words.extend(str(word) for word in words)

    def add_data(self, option: str, data: bytes, *more: str | Path) -> None:
        """An option that takes a descriptor, from which `data` is read."""
        self.add(option, str(self._readable(data)), *more)

    def as_argv(self) -> list[str]:
        """The options by way of a descriptor: what is on a command line everybody on this machine can read."""
        data = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in self.words)
        return ["--args", str(self._readable(data))]

    def close(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())

    def _readable(self, data: bytes) -> int:
        descriptor = os.memfd_create("entrepot", os.MFD_CLOEXEC)
        self.descriptors.append(descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor


def program() -> str:
    """The path of bwrap.

    Raises:
        SandboxUnavailable: there is none.
    """
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint=INSTALL)
    return found


INSTALL = (
    "install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora, RHEL: dnf install bubblewrap), or let "
    "builds do all that the server can, with [git] allow_unsandboxed = true"
)
ALLOW = (
    "let users make namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container also its seccomp profile), or let builds do all "
    "that the server can, with [git] allow_unsandboxed = true"
)


def describe(options: Options, task: Task, limits: Limits, *, bwrap: str) -> None:
    """Add to `options` all that is inside for `task`.

    Raises:
        SandboxUnavailable: a folder of `programs` would hide what is inside.
    """
    known = _known_options(bwrap)
    options.add("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv")
    options.add("--uid", str(USER), "--gid", str(USER), "--hostname", "build")
    if "--disable-userns" in known:
        options.add("--disable-userns")
    options.add("--ro-bind", "/usr", "/usr")
    for path in _SYSTEM:
        if path.is_symlink():
            options.add("--symlink", path.readlink(), path)
        elif path.is_dir():
            options.add("--ro-bind", path, path)
    _add_etc(options)
    options.add("--proc", "/proc", "--dev", "/dev")
    sized = "--size" in known
    options.add(*(("--size", str(min(_SHARED_MEMORY, limits.disk))) if sized else ()), "--tmpfs", "/dev/shm")
    options.add(*(("--size", str(limits.disk)) if sized else ()), "--tmpfs", "/tmp")
    options.add("--dir", "/tmp/work", "--dir", "/tmp/home")
    for folder in task.programs:
        _add_program(options, folder)
    for name, folder in task.folders.items():
        options.add("--ro-bind", folder.absolute(), f"{GIVEN}/{name}")
    for name, value in _environment(task).items():
        options.add("--setenv", name, value)
    options.add("--chdir", "/tmp/work", "--remount-ro", "/dev", "--remount-ro", "/")


def _environment(task: Task) -> dict[str, str]:
    own = {"HOME": "/tmp/home", "TMPDIR": "/tmp", "WORK": "/tmp/work"}
    return variables(own | {name: f"{GIVEN}/{name}" for name in task.folders}, task.environment)


def _add_etc(options: Options) -> None:
    for path in sorted(_found_in_etc()):
        if path.is_symlink() and not path.is_dir():
            options.add("--ro-bind-try", path.resolve(), path)
        else:
            options.add("--ro-bind-try", path, path)
    for name, text in _DATA.items():
        options.add_data("--ro-bind-data", text.encode(), name)


def _found_in_etc() -> Iterator[Path]:
    etc = Path("/etc")
    for pattern in _ETC:
        for path in etc.glob(pattern):
            if path.exists() and path.name not in _SITE_FILES:
                yield path


def _add_program(options: Options, folder: Path) -> None:
    """The folder at its own path, with what its links lead through, but for the site files of an R."""
    path = folder.absolute()
    if str(path) in _RESERVED:
        raise SandboxUnavailable(
            f"{path} as a whole can't be given to a build", hint="choose an R or Python with a folder of its own"
        )
    options.add("--ro-bind", path, path)
    for inner in _R_FOLDERS:
        for name in _SITE_FILES:
            if os.path.isfile(path / inner / name):  # noqa: PTH113 one that can't be read is none
                options.add_data("--ro-bind-data", b"", path / inner / name)


@cache
def _known_options(bwrap: str) -> Sequence[str]:
    """The options that this version has."""
    said = subprocess.run((bwrap, "--help"), capture_output=True, text=True, timeout=10, check=False)
    return tuple(word for word in (said.stdout + said.stderr).split() if word.startswith("--"))
