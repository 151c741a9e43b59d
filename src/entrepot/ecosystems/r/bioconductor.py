"""Answers a client of a Bioconductor repository: config.yaml, and below `packages/` a repository like CRAN for each
part of each version."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from entrepot.core.answers import Answer, Ask, Document, Index, View
from entrepot.core.bioconductor import PARTS
from entrepot.core.errors import FileNotListed
from entrepot.core.model import File
from entrepot.ecosystems.r import cran

CONFIG = "config.yaml"
FOLDER = "packages/"
_PART = re.compile(rf"packages/(?P<version>[^/]+)/(?P<part>{'|'.join(map(re.escape, PARTS))})/(?P<tail>(?:src|bin)/.+)")
_YAML = "text/yaml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """What of Bioconductor is asked for: a version (by its number, or as `release` or `devel`), and a part of it or,
    with None, all of them."""

    version: str
    part: str | None = None


def asked(tail: str) -> Asked | None:
    """What part of Bioconductor a path below a snapshot is in; None where it is in none."""
    found = _PART.fullmatch(tail)
    return Asked(found["version"], found["part"]) if found is not None else None


def answer(ask: Ask, view: View, *, told: Callable[[File], bool], config: bytes = b"") -> Answer:
    """What is at `ask.tail`; `view` shows the one part that `asked` says, `config` is upstream's configuration.

    Raises:
        FileNotListed: there is no such path, or no such version of the package in that part.
    """
    if ask.tail == CONFIG and config:
        return Document(CONFIG, _YAML, lambda: Index(config), compress=True)
    found = _PART.fullmatch(ask.tail)
    if found is None:
        raise FileNotListed(
            f"a Bioconductor repository has nothing at {ask.tail[:200]!r}",
            hint=f"it has {CONFIG}, and packages/VERSION/PART/src/contrib/ where PART is one of {', '.join(PARTS)}",
        )
    return cran.answer(replace(ask, tail=found["tail"]), view, told=told)
