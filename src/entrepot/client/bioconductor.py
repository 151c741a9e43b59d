"""The client's methods for Bioconductor."""

from __future__ import annotations

from typing import TypedDict, cast

from entrepot.client.calls import Calls


class BioconductorVersion(TypedDict):
    """`packages` and `errors` are by part, such as data/annotation."""

    bioc_version: str
    r_version: str
    cran_snapshot: str
    is_release: bool
    is_devel: bool
    packages: dict[str, int]
    last_success: str | None
    errors: dict[str, str]


class BioconductorCalls(Calls):
    def bioconductor_versions(self) -> list[BioconductorVersion]:
        """All that upstream knows from 3.1 on, the newest first; none before the first sync."""
        return cast(list[BioconductorVersion], self._call("GET", "/bioconductor/versions"))
