"""The client's methods for binary packages of R."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, cast

from entrepot.client.calls import Calls, given, part


class BinaryPlatform(TypedDict):
    os: str
    distribution: str
    r_version: str
    arch: str
    binary_tag: str


class Binary(TypedDict):
    """`transaction` is None if the binary was there before."""

    name: str
    version: str
    platform: BinaryPlatform
    transaction: int | None


class BinaryCalls(Calls):
    """A part of `Client`."""

    def add_binary(
        self,
        source: str,
        file: Path,
        *,
        distribution: str | None = None,
        replace: bool = False,
        comment: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Binary:
        """Send a built package from disk; `on_progress(sent, total)` hears of the bytes.

        Raises:
            OSError: the file can't be read.
        """
        fields = given(distribution=distribution, replace="true" if replace else None, comment=comment)
        return cast(Binary, self._upload(f"/sources/{part(source)}/binaries", fields, [file], on_progress))

    def remove_binary(
        self,
        source: str,
        name: str,
        *,
        version: str,
        distribution: str,
        r_version: str,
        comment: str | None = None,
    ) -> list[Binary]:
        """Take the binaries of one version for a distribution and a version of R back; those that were."""
        body = {"name": name, "version": version, "distribution": distribution, "r_version": r_version}
        path = f"/sources/{part(source)}/binaries/remove"
        return cast(list[Binary], self._call("POST", path, body={**body, "comment": comment or ""}))
