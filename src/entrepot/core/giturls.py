"""Where a Git endpoint is, and names in it, as people give them: only what git can't take for something else.

git(1) takes much for a URL: a path, a transport program (`ext::`), and what begins with a dash for an option, in places
also after decoding `%xx` (gitnamespaces(7) and git-clone(1), "GIT URLS"). All of that is refused here, so that what has
passed may be given to git and ssh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from entrepot.core.errors import Invalid, InvalidName
from entrepot.core.urls import shown

LONGEST: Final = 2000
"""Characters of a URL."""
_LONGEST_NAME: Final = 200
"""Bytes of the name of a branch or tag: a file's name has 255, and git adds to it."""
_SCHEMES: Final = ("https", "http", "ssh", "git", "file")
_TAKEN: Final = "https://, ssh://, git:// and http:// URLs, and USER@HOST:PATH"
_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<login>[^/@]*)@)?(?P<host>\[[^]/]*\]|[^/:@]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?"
)
_SCP = re.compile(r"(?P<user>[^@:/]+)@(?P<host>\[[^]/]*\]|[^:/@]+):(?P<path>.*)")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~@-]*")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_REFS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A URL that git may be given.

    Attributes:
        text: as it was given, with the scheme in lower case.
        scheme: http, https, ssh, git or file; `user@host:path` is ssh.
        host: as it was given, in brackets if it is an IPv6 address; empty for files.
        port: None: the scheme's own.
        user: decoded; empty if there is none.
        path: as it was given.
    """

    text: str
    scheme: str
    host: str
    port: int | None
    user: str
    path: str

    @property
    def place(self) -> tuple[str, str, int | None]:
        """(scheme, host, port): what a login is for."""
        usual = {"https": 443, "http": 80, "ssh": 22, "git": 9418}.get(self.scheme)
        return self.scheme, self.host.lower().rstrip("."), self.port or usual


def parse_git_url(text: str, *, allow_file: bool) -> GitUrl:
    """The URL, if it is one that may be given to git.

    Raises:
        Invalid: it isn't; the message says why, without what may be a password.
    """
    if not text:
        raise Invalid("a Git URL is missing", hint=f"taken are {_TAKEN}")
    if len(text) > LONGEST:
        raise Invalid(f"a Git URL has at most {LONGEST} characters, this one has {len(text)}")
    if any(c.isspace() or not c.isprintable() or c in "\\?#" for c in text):
        raise _bad(text, "it has spaces, control characters, a backslash, a query or a fragment")
    if text.startswith("-"):
        raise _bad(text, "it begins with a dash, as options do")
    if re.match(r"[^/]*::", text.partition("[")[0]):
        raise _bad(text, "it names a transport program", hint=f"taken are {_TAKEN}")
    found = _SHAPE.fullmatch(text)
    url = _with_scheme(text, found, allow_file=allow_file) if found else _like_scp(text)
    _check_path(url)
    return url


def _with_scheme(text: str, found: re.Match[str], *, allow_file: bool) -> GitUrl:
    scheme = found["scheme"].lower()
    if scheme not in _SCHEMES:
        raise _bad(text, f"{scheme}:// is not a scheme that is taken", hint=f"taken are {_TAKEN}")
    text = scheme + text[len(scheme) :]
    login, path = found["login"], found["path"] or ""
    if scheme == "file":
        if not allow_file:
            raise _bad(
                text, "file:// is not allowed", hint="set allow_file = true in the section [git] of the settings"
            )
        if login is not None or found["host"] or found["port"] is not None:
            raise _bad(text, "a file:// URL has no host", hint="write file:///the/path")
        return GitUrl(text, scheme, "", None, "", path)
    if login is not None and ":" in login:
        raise _bad(text, "it has a password in it", hint="take it out, and import it: entrepot import https-credential")
    if login is not None and scheme == "git":
        raise _bad(text, "git:// knows no users")
    return GitUrl(text, scheme, _host(text, found["host"]), _port(text, found["port"]), _user(text, login), path)


def _like_scp(text: str) -> GitUrl:
    found = _SCP.fullmatch(text)
    if not found:
        raise _bad(text, "it is no URL", hint=f"taken are {_TAKEN}")
    if not found["path"] or found["path"].startswith("-"):
        raise _bad(text, "its path is missing or begins with a dash")
    return GitUrl(text, "ssh", _host(text, found["host"]), None, _user(text, found["user"]), found["path"])


def _host(text: str, host: str) -> str:
    if not _HOST.fullmatch(host):
        raise _bad(text, "its host is missing or no host's name")
    return host


def _port(text: str, port: str | None) -> int | None:
    if port is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= 65535:
        raise _bad(text, "its port is no number from 1 to 65535")
    return int(port)


def _user(text: str, login: str | None) -> str:
    user = unquote(login or "")
    if login is not None and not _USER.fullmatch(user):
        raise _bad(text, "its user is missing or no user's name")
    return user


def _check_path(url: GitUrl) -> None:
    decoded = unquote(url.path, errors="replace")
    if url.path.strip("/") == "":
        raise _bad(url.text, "it has no path")
    if _PERCENT.search(url.path) or not all(c.isprintable() for c in decoded) or decoded.lstrip("/").startswith("-"):
        raise _bad(url.text, "its path begins with a dash or has characters in it that no path has")
    if url.scheme == "file" and ".." in PurePosixPath(decoded).parts:
        raise _bad(url.text, "its path climbs")


def _bad(text: str, reason: str, *, hint: str | None = None) -> Invalid:
    # What is before "@" may be a password in any form that is no URL, too.
    told = shown(text) if "//" in text or "@" not in text else "***@" + text.rpartition("@")[2]
    return Invalid(f"the Git URL {told[:200]} can't be used: {reason}", hint=hint)


# --- names ---------------------------------------------------------------------------------------------------------


def check_branch(name: str) -> str:
    """The name of a branch, if git would take it (git-check-ref-format(1), `--branch`).

    Raises:
        InvalidName: it would not.
    """
    if name == "HEAD":
        raise _bad_name("branch", name)
    return _check_ref(name, "branch")


def check_tag(name: str) -> str:
    """The name of a tag, by the same rules.

    Raises:
        InvalidName: git would not take it.
    """
    return _check_ref(name, "tag")


def _check_ref(name: str, what: str) -> str:
    parts = name.split("/")
    if (
        not name
        or name == "@"
        or name[0] in "-/"
        or name[-1] in "./"
        or _NOT_IN_REFS.search(name)
        or len(name.encode(errors="surrogatepass")) > _LONGEST_NAME
        or any(part.startswith(".") or part.endswith(".lock") for part in parts)
        or any("\ud800" <= c <= "\udfff" for c in name)
    ):
        raise _bad_name(what, name)
    return name


def _bad_name(what: str, name: str) -> InvalidName:
    return InvalidName(f"{name[:200]!r} can't be the name of a {what} in Git")


def check_sub_dir(text: str) -> str:
    """A folder or file within a repository: the path with `/`, without `.` and doubled slashes; empty: its root.

    Raises:
        Invalid: it leads out of the repository or into `.git`, or can't be a path.
    """
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/"):
        raise _bad_dir(text, "is not relative to the repository's root")
    if ".." in parts:
        raise _bad_dir(text, "leads out of the repository")
    if any(part.lower() == ".git" for part in parts):
        raise _bad_dir(text, "leads into Git's own folder")
    if not text.isprintable() or "\\" in text or len(text) > LONGEST or any(len(part) > 255 for part in parts):
        raise _bad_dir(text, "has characters in it that no path has, or is too long")
    return "/".join(parts)


def _bad_dir(text: str, reason: str) -> Invalid:
    return Invalid(f"the folder {text[:200]!r} {reason}", hint="give a path such as packages/one")
