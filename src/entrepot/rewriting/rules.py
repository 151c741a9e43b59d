"""The five modes in which URLs are rewritten, as Connect's setting for them has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from entrepot.rewriting.served import Served
from entrepot.rewriting.urls import Repository, parse

Mode = Literal["auto", "force-source", "force-binary", "force-portable", "none"]
MODES: tuple[Mode, ...] = get_args(Mode)
PORTABLE = "manylinux_2_28"
"""The name of binary packages that fit every distribution."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a URL becomes and why; `warning` where the server could not be asked."""

    original: str
    url: str
    reason: str
    warning: str | None = None

    @property
    def is_rewritten(self) -> bool:
        return self.url != self.original


def rewrite(url: str, mode: Mode, distribution: str | None, served: Served | None) -> str:
    """The URL that a machine should use. See `decide`."""
    repository = next(parse(url), None)
    return decide(repository, mode, distribution, served).url if repository is not None and served else url


def needs_asking(repository: Repository, mode: Mode) -> bool:
    """Whether anything about the server can change what becomes of a URL."""
    return mode != "none" and not (mode == "auto" and repository.distribution is None)


def decide(repository: Repository, mode: Mode, distribution: str | None, served: Served) -> Decision:
    """What becomes of a URL that is one of a package manager.

    Args:
        distribution: the name below `/__linux__/` of the machine's, None if nobody knows it: then no distribution's
            binary packages are known to fit.
        served: what the server serves.
    """
    there = repository.distribution
    is_portable = there == PORTABLE
    fits = is_portable or (there is not None and there == distribution)
    has_fitting = distribution is not None and distribution in served.binaries
    match mode:
        case "none":
            return _same(repository, "nothing is rewritten")
        case "force-source":
            return _to_source(repository, "source packages are wanted")
        case "force-portable":
            return _to(repository, PORTABLE, "portable binary packages are wanted")
        case "auto" if there is None:
            return _same(repository, "it installs source packages")
        case "auto" if fits:
            return _same(repository, "it installs compatible binary packages")
        case "force-binary" if is_portable:
            return _same(repository, "it installs portable binary packages")
    if distribution is not None and has_fitting:
        return _to(repository, distribution, f"the server has binary packages for {distribution}")
    whom = f"the server has no binary packages for {distribution}" if distribution else "the distribution isn't known"
    return _to_source(repository, whom)


def _same(repository: Repository, reason: str) -> Decision:
    return Decision(repository.text, repository.text, reason)


def _to_source(repository: Repository, reason: str) -> Decision:
    return Decision(repository.text, repository.of_source().text, reason)


def _to(repository: Repository, distribution: str, reason: str) -> Decision:
    return Decision(repository.text, repository.of_binaries(distribution).text, reason)
