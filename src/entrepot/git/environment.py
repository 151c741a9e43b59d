"""What git and ssh are told of the world: nothing of this machine's configuration, one transport, one login.

No secret is in what is written to a file here; the password is in the environment of git's process, which a helper of
ours, bound to one scheme, host and port, tells git when it is asked for (gitcredentials(7)).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from entrepot.core.giturls import GitUrl
from entrepot.git.login import Login
from entrepot.git.operation import search_path

_PASSED: Final = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_SSL_CAINFO"),
)
_CONFIG: Final = """\
[core]
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	excludesFile = /dev/null
	askPass = /bin/false
	autocrlf = false
	symlinks = true
	protectHFS = true
	protectNTFS = true
	logAllRefUpdates = false
	bigFileThreshold = 64m
	packedGitWindowSize = 64m
	packedGitLimit = 512m
	deltaBaseCacheLimit = 64m
[init]
	defaultBranch = main
	templateDir =
[protocol]
	version = 2
	allow = never
[http]
	followRedirects = initial
	lowSpeedLimit = 1
	lowSpeedTime = 60
	userAgent = git/entrepot
[transfer]
	fsckObjects = true
	bundleURI = false
[fetch]
	recurseSubmodules = false
	writeCommitGraph = false
	parallel = 1
[fetch "fsck"]
	hasDotgit = error
	hasDotdot = error
	hasDot = error
	fullPathname = error
	emptyName = error
	badDate = ignore
	badTimezone = ignore
	missingEmail = ignore
	missingNameBeforeEmail = ignore
	missingSpaceBeforeDate = ignore
	missingSpaceBeforeEmail = ignore
	multipleAuthors = ignore
	zeroPaddedDate = ignore
	zeroPaddedFilemode = ignore
[pack]
	threads = 2
[submodule]
	recurse = false
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
[credential]
	helper =
"""
"""Old histories have dates and names of all kinds: these harm nobody. What could leave the tree is an error."""
_HELPER: Final = (
    "!f() { test \\\"$1\\\" = get && printf 'username=%s\\\\npassword=%s\\\\n'"
    ' \\"$ENTREPOT_GIT_USERNAME\\" \\"$ENTREPOT_GIT_PASSWORD\\"; }; f'
)
_SSH: Final = (
    *("-F", "none"),
    *("-o", "BatchMode=yes", "-o", "RequestTTY=no", "-o", "LogLevel=INFO", "-o", "EscapeChar=none"),
    *("-o", "PubkeyAuthentication=yes", "-o", "PreferredAuthentications=publickey"),
    *("-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no"),
    *("-o", "GSSAPIAuthentication=no", "-o", "HostbasedAuthentication=no"),
    *("-o", "IdentityFile=none", "-o", "AddKeysToAgent=no", "-o", "PKCS11Provider=none"),
    *("-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes", "-o", "Tunnel=no"),
    *("-o", "PermitLocalCommand=no", "-o", "ProxyCommand=none", "-o", "ControlMaster=no", "-o", "ControlPath=none"),
    *("-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
    *("-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no", "-o", "VerifyHostKeyDNS=no"),
    *("-o", "CheckHostIP=no", "-o", "HashKnownHosts=no"),
)
_QUICK_SSH: Final = (
    *("-o", "KexAlgorithms=^curve25519-sha256"),
    *("-o", "IgnoreUnknown=WarnWeakCrypto", "-o", "WarnWeakCrypto=no"),
)
"""For looks, of which there are many: without the key exchange that withstands quantum computers, a connection takes a
seventh of the time of a processor. What is read then are ids and names; trees are fetched as ssh prefers."""


def basic(folder: Path) -> dict[str, str]:
    """For git in a repository of ours, without any transport. `folder` is the operation's."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    config = home / ".gitconfig"
    if not config.exists():
        config.write_text(_CONFIG, encoding="utf-8")
    return _variables(home, config, protocols=())


def remote(folder: Path, url: GitUrl, login: Login | None, *, ssh: str) -> dict[str, str]:
    """For git that asks `url`, as `login` where that fits.

    Args:
        ssh: the command line of `ssh_command`; empty if the URL is of another scheme.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    config = home / ".gitconfig-remote"
    # From https there is no way to http.
    protocols = ("http", "https") if url.scheme == "http" else (url.scheme,)
    lines = [_CONFIG, *(f'[protocol "{protocol}"]\n\tallow = always\n' for protocol in protocols)]
    if url.scheme == "file":
        lines.append("[safe]\n\tdirectory = *\n")  # the administrator allowed what others own, too
    variables = _variables(home, config, protocols)
    if url.scheme in ("http", "https"):
        variables |= {name: value for name in _PASSED if (value := os.environ.get(name))}
        if login is not None and login.kind == "https":
            place = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port is not None else "")
            lines.append(f'[credential "{place}"]\n\thelper = "{_HELPER}"\n')
            variables |= {"ENTREPOT_GIT_USERNAME": login.username, "ENTREPOT_GIT_PASSWORD": login.secret}
    if ssh:
        variables |= {"GIT_SSH_COMMAND": ssh, "GIT_SSH_VARIANT": "ssh"}
    config.write_text("".join(lines), encoding="utf-8")
    return variables


def ssh_command(
    program: str, known_hosts: Path, *, is_strict: bool, agent: Path | None, user: str, is_look: bool
) -> str:
    """The command line for git's GIT_SSH_COMMAND, which a shell reads.

    Args:
        known_hosts: a path without anything that ssh would expand.
        is_strict: its keys alone count; else a host's first key is recorded there.
        agent: the socket; None: no key at all.
        user: for URLs without one.
        is_look: only refs are read.
    """
    options = [
        *_SSH,
        *(_QUICK_SSH if is_look else ()),
        *("-o", f"UserKnownHostsFile={known_hosts}"),
        *("-o", f"StrictHostKeyChecking={'yes' if is_strict else 'accept-new'}"),
        *("-o", f"IdentityAgent={agent or 'none'}"),
    ]
    if user:
        options += ["-o", f"User={user}"]
    return shlex.join([program, *options])


def proxy_secrets() -> Iterable[str]:
    """Passwords in the proxies of this process's environment."""
    for name in _PASSED[:8]:
        try:
            password = urlsplit(os.environ.get(name, "")).password
        except ValueError:
            continue
        if password:
            yield password


def _variables(home: Path, config: Path, protocols: Iterable[str]) -> dict[str, str]:
    return {
        "PATH": search_path(),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TEMPLATE_DIR": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(protocols) or "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_CEILING_DIRECTORIES": "/",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "/bin/false",
    }
