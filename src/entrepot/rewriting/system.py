"""Which Linux distribution this machine has, as /etc/os-release tells it (os-release(5))."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

OS_RELEASE = (Path("/etc/os-release"), Path("/usr/lib/os-release"))
_CALLED = {
    "rhel": ("redhat",),
    "rocky": ("rockylinux", "redhat"),
    "almalinux": ("redhat",),
    "opensuse-leap": ("opensuse",),
    "sles": ("sle",),
    "sles_sap": ("sle",),
}
"""ID of os-release -> what servers call it."""


@dataclass(frozen=True, slots=True)
class Host:
    """What a machine says of its distribution.

    Attributes:
        ids: what it may be called: ubuntu, redhat; those of the distributions that it is like come last.
        releases: what its release may be called: 9.4, 9.
        codenames: such as jammy, also of the distribution that it is made from.
    """

    ids: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    codenames: tuple[str, ...] = ()


def read_os_release(text: str) -> Host:
    """What a file /etc/os-release says; lines that can't be read are left out."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            try:
                fields[key] = " ".join(shlex.split(value))
            except ValueError:
                continue
    own = fields.get("ID", "").lower()
    likes = fields.get("ID_LIKE", "").lower().split()
    version = fields.get("VERSION_ID", "")
    releases = [version, version.partition(".")[0]] if version else []
    codenames = [fields.get("VERSION_CODENAME", ""), fields.get("UBUNTU_CODENAME", "")]
    ids = [name for each in (own, *likes) if each for name in _CALLED.get(each, (each,))]
    return Host(*(tuple(dict.fromkeys(filter(None, some))) for some in (ids, releases, codenames)))


def this_host() -> Host:
    """What this machine says; nothing where there is no such file."""
    for path in OS_RELEASE:
        try:
            return read_os_release(path.read_text("utf-8", "replace"))
        except OSError:
            continue
    return Host()
