"""Which R asks, as its User-Agent tells it: `R (4.2.2 x86_64-pc-linux-gnu x86_64 linux-gnu)`, anywhere in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from entrepot.core.platforms import BinaryAsk, Fallback, architecture, r_minor
from entrepot.ecosystems.r import distributions

LOOKED_AT = 512
"""Characters of a User-Agent that are looked at."""
_R = re.compile(
    r"\bR \((?P<version>[0-9]+\.[0-9]+(?:\.[0-9]+)?) (?P<platform>[^ ()]+) (?P<arch>[^ ()]+) (?P<os>[^ ()]+)\)"
)
_BRIEF = re.compile(r"\bR/(?P<version>[0-9]+\.[0-9]+(?:\.[0-9]+)?)\b")


@dataclass(frozen=True, slots=True)
class Agent:
    """What a User-Agent tells of R: its minor version and the architecture (`core.platforms`), each None where not."""

    r: str | None = None
    arch: str | None = None


_NOTHING = Agent()


def read(user_agent: str) -> Agent:
    """What a User-Agent tells of R; of one that is absurdly long only the beginning is read."""
    return _read(user_agent[:LOOKED_AT])


@lru_cache(maxsize=1024)
def _read(user_agent: str) -> Agent:
    found = _R.search(user_agent)
    if found is not None:
        return Agent(r_minor(found["version"]), architecture(found["arch"]))
    brief = _BRIEF.search(user_agent)
    return Agent(r_minor(brief["version"])) if brief is not None else _NOTHING


def binary_ask(segment: str, user_agent: str, *, r: str | None = None, arch: str | None = None) -> BinaryAsk:
    """What is asked for below `__linux__/{segment}`.

    Args:
        r, arch: as the query has them, `?r_version=4.4&arch=x86_64`; they count more than the User-Agent.
    """
    distribution = distributions.find(segment)
    agent = read(user_agent)
    r_asked = r_minor(r) if r else agent.r
    arch_asked = architecture(arch) if arch else agent.arch
    fallback: Fallback | None = None
    if distribution is None:
        fallback = Fallback.UNKNOWN_DISTRIBUTION
    elif r and r_asked is None:
        fallback = Fallback.UNKNOWN_R_VERSION
    elif r_asked is None:
        fallback = Fallback.NO_R_VERSION
    elif arch_asked is None:
        fallback = Fallback.UNKNOWN_ARCHITECTURE
    return BinaryAsk(distribution.url if distribution else segment, r_asked, arch_asked, fallback)
