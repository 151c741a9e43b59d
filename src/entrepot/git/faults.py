"""What went wrong, by what git and ssh said of it: who can do what about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from entrepot.core.errors import BuildFailed, EndpointRefused, EndpointUnavailable, EntrepotError, OutOfSpace
from entrepot.core.urls import shown


class Unadvertised(BuildFailed):
    """The endpoint gives out what its refs name, and nothing else."""


class Gone(BuildFailed):
    """The endpoint doesn't have that commit any more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for.

    Attributes:
        login: the kind of the login that was offered; empty: none was.
        hosts: the administrator's file of host keys, if there is one; else empty.
        recorded: the file of recorded host keys.
    """

    url: str
    scheme: str
    login: str
    hosts: str
    recorded: str

    @property
    def where(self) -> str:
        return shown(self.url)


_IMPORT: Final = {
    "ssh": "import the key that it knows (entrepot import ssh-key) and give it with --credential",
    "https": "import a login that it knows (entrepot import https-credential) and give it with --credential",
}


def fault(lines: Sequence[str], status: int, asked: Asked) -> EntrepotError:
    """The error for a run of git that ended with `status` (below 0: by that signal) and said `lines`."""
    text = "\n".join(line for line in lines if not line.startswith("remote:"))  # which may say anything
    for pattern, made in _KNOWN:
        if found := pattern.search(text):
            return made(asked, found)
    if status == -signal.SIGPIPE:
        return EndpointUnavailable(f"{asked.where} broke off the connection")
    ended = f"git was ended by signal {-status}" if status < 0 else f"git ended with status {status} and said nothing"
    return BuildFailed(f"{asked.where}: {_telling(lines) or ended}")


def _telling(lines: Sequence[str]) -> str:
    """The last line that says what happened."""
    for prefix in ("fatal:", "error:", "remote:", ""):
        for line in reversed(lines):
            if line.startswith(prefix):
                return line.removeprefix(prefix).strip()[:500]
    return ""


def _host_key_changed(asked: Asked, _: re.Match[str]) -> EntrepotError:
    return EndpointRefused(
        f"{asked.where}: the host's ssh key is another one than it was: it may be somebody else's machine",
        hint=f"if the host did get a new key, take its old one out of {asked.hosts or asked.recorded}",
    )


def _host_key_unknown(asked: Asked, _: re.Match[str]) -> EntrepotError:
    if not asked.hosts:
        return EndpointRefused(f"{asked.where}: the host's ssh key could not be checked or recorded")
    return EndpointRefused(
        f"{asked.where}: the host's ssh key is not known, and only those of [git] known_hosts count",
        hint=f"add the host's key to {asked.hosts}, for example with ssh-keyscan, once you have checked it",
    )


def _ssh_denied(asked: Asked, _: re.Match[str]) -> EntrepotError:
    if asked.login:
        return EndpointRefused(
            f"{asked.where}: the ssh key of the credential, or the user in the URL, was refused",
            hint="give the public key to the endpoint, or another credential with --credential",
        )
    return EndpointRefused(f"{asked.where} wants an ssh key, and the builder has none", hint=_IMPORT["ssh"])


def _asked_for_login(asked: Asked, found: re.Match[str]) -> EntrepotError:
    """The credential helper answers for the URL's own place alone, and there it always answers."""
    if asked.login:
        return EndpointRefused(
            f"{asked.where} leads to {shown(found[1])}, which wants a login; the credential is not offered there",
            hint="give the builder the URL that it leads to, with a credential for it",
        )
    return _http_denied(asked, found)


def _http_denied(asked: Asked, _: re.Match[str]) -> EntrepotError:
    if asked.login:
        return EndpointRefused(
            f"{asked.where}: user and password of the credential were refused",
            hint="change the credential: entrepot edit https-credential",
        )
    return EndpointRefused(f"{asked.where} wants user and password, and the builder has none", hint=_IMPORT["https"])


def _forbidden(asked: Asked, _: re.Match[str]) -> EntrepotError:
    who = "the user of the credential" if asked.login else "anybody without a login"
    return EndpointRefused(f"{asked.where} does not let {who} read it (403)", hint=_IMPORT["https"])


def _certificate(asked: Asked, found: re.Match[str]) -> EntrepotError:
    return EndpointRefused(
        f"{asked.where}: the server's certificate is not trusted: {found[0][:200]}",
        hint="add the authority that signed it to the system's certificates, or name its file in SSL_CERT_FILE",
    )


def _away(reason: str) -> Callable[[Asked, re.Match[str]], EntrepotError]:
    return lambda asked, _: EndpointUnavailable(f"{asked.where} {reason}")


def _server_error(asked: Asked, found: re.Match[str]) -> EntrepotError:
    return EndpointUnavailable(f"{asked.where} answered with status {found[1]}")


def _redirected(asked: Asked, _: re.Match[str]) -> EntrepotError:
    return BuildFailed(f"{asked.where} leads to a URL with another scheme, which is not followed")


def _missing(asked: Asked, _: re.Match[str]) -> EntrepotError:
    hint = None if asked.login or asked.scheme == "file" else "if it is there for some users only, give --credential"
    return BuildFailed(f"there is no Git repository at {asked.where}", hint=hint)


def _no_ref(asked: Asked, found: re.Match[str]) -> EntrepotError:
    ref = found[1]
    for prefix, what in (("refs/heads/", "branch"), ("refs/tags/", "tag")):
        if ref.startswith(prefix):
            return BuildFailed(f"{asked.where} has no {what} {ref.removeprefix(prefix)}")
    return Gone(f"{asked.where} has no {'commit yet' if ref == 'HEAD' else ref}")


def _shallow(asked: Asked, _: re.Match[str]) -> EntrepotError:
    return BuildFailed(
        f"{asked.where} is served without Git's own protocol, and can be had as a whole only",
        hint="edit the builder: --clone-depth=0",
    )


def _suspect(asked: Asked, found: re.Match[str]) -> EntrepotError:
    return BuildFailed(
        f"{asked.where} holds what git does not accept: {found[1][:200]}",
        hint="with less history (--clone-depth) an old commit may not come with it",
    )


def _memory(asked: Asked, _: re.Match[str]) -> EntrepotError:
    return BuildFailed(f"{asked.where}: git needs more memory for it than it may have")


def too_large(url: str, limit: int) -> BuildFailed:
    """The tree with its history has more bytes than are allowed."""
    return BuildFailed(
        f"{shown(url)}: the checkout has more than {limit:,} bytes",
        hint="raise max_checkout in the section [git] of the settings, or fetch less history with --clone-depth",
    )


_KNOWN: Final[Sequence[tuple[re.Pattern[str], Callable[[Asked, re.Match[str]], EntrepotError]]]] = [
    (re.compile(pattern), made)
    for pattern, made in (
        (r"No space left on device|Disk quota exceeded", lambda a, _: OutOfSpace(f"no room to fetch {a.where}")),
        (r"REMOTE HOST IDENTIFICATION HAS CHANGED|Offending .* key in", _host_key_changed),
        (r"Host key verification failed|host key is known for", _host_key_unknown),
        (r"Permission denied \(|Too many authentication failures|no mutual signature", _ssh_denied),
        (r"could not read (?:Username|Password) for '([^'\n]*)'", _asked_for_login),
        (r"Authentication failed|returned error: 401", _http_denied),
        (r"returned error: 403", _forbidden),
        (r"SSL certificate problem[^\n]*|certificate verif[^\n]*|no alternative certificate[^\n]*", _certificate),
        (r"Could not resolve|Name or service not known|unable to look up|name resolution", _away("can't be found")),
        (r"Operation too slow|timed out|Timeout|timeout", _away("does not answer in time")),
        (
            r"Connection refused|Failed to connect|Couldn't connect|unable to connect|No route to host|is unreachable",
            _away("can't be reached"),
        ),
        (r"returned error: (408|429|5\d\d)", _server_error),
        (r"[Pp]rotocol \S* (?:not supported|disabled)|transport '\S*' not allowed", _redirected),
        (r"not our ref", lambda a, _: Gone(f"{a.where} does not have that commit any more")),
        (
            r"not allow request for unadvertised object",
            lambda a, _: Unadvertised(f"{a.where} gives out commits of its branches and tags only"),
        ),
        (r"couldn't find remote ref (\S+)", _no_ref),
        (r"does not support shallow", _shallow),
        (r"error: object [0-9a-f]{40,64}: (\w+: [^\n]*)", _suspect),
        (
            r"does not appear to be a git repository|repository '[^\n]*' not found|repository not exported"
            r"|Repository not found|returned error: 4(?:04|10)|No such file or directory|not a git repository",
            _missing,
        ),
        (r"[Oo]ut of memory|malloc failed|mmap failed|unable to create thread", _memory),
        (
            r"hung up unexpectedly|early EOF|unexpected disconnect|RPC failed|Connection (?:closed|reset)"
            r"|kex_exchange_identification|Broken pipe|Empty reply",
            _away("broke off the connection"),
        ),
    )
]
"""In the order of what is the cause of what: a refused login also ends the connection."""
