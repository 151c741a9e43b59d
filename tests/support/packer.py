"""Stands in for R where only the road from an endpoint to the index is tried: packs what DESCRIPTION says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import BuildFailed, EntrepotError
from entrepot.core.jobs import Log
from entrepot.core.model import PackageName, SourceType
from entrepot.ecosystems.r import build as r_build
from entrepot.ecosystems.r.dcf import parse_one
from entrepot.operations import building
from entrepot.operations.building import Language
from entrepot.operations.builds import Ask, Built
from entrepot.sandbox.box import Sandbox
from entrepot.sandbox.task import Check, Limits
from tests.support.archives import make_source_package


class Packer:
    """Knows what it built, and fails where the test wants it."""

    def __init__(self) -> None:
        self.built: list[tuple[str, str]] = []
        self.failing: Callable[[Ask], EntrepotError | None] = lambda _: None

    def name(self, ask: Ask) -> PackageName | None:
        return PackageName(self._fields(ask)["Package"])

    def build(self, _: App, __: Sandbox, ask: Ask, folder: Path, *, log: Log, check: Check) -> Built:
        check()
        log("packing")
        fields = self._fields(ask)
        if error := self.failing(ask):
            raise error
        package, version = fields["Package"], fields["Version"]
        if ask.name not in (None, package):
            raise BuildFailed(f"the package is {package!r}, not {ask.name!r}")
        if ask.tag is None:
            version = r_build.commit_version(version, ask.stamp, ask.newest)
        else:
            r_build.check_tag(ask.tag, version)
        path = folder / f"{package}_{version}.tar.gz"
        path.write_bytes(make_source_package(package, version))
        self.built.append((package, version))
        return Built(PackageName(package), version, (path,))

    def _fields(self, ask: Ask) -> dict[str, str]:
        folder = f"{ask.sub_dir}/" if ask.sub_dir else ""
        text = ask.checkout.read(f"{folder}DESCRIPTION")
        if text is None:
            raise BuildFailed(f"there is no DESCRIPTION in {ask.sub_dir or 'the root'}")
        return parse_one(text)


def packing(monkeypatch: pytest.MonkeyPatch) -> Packer:
    """Let R packages be packed by a new `Packer`, as long as the test lasts."""
    packer = Packer()
    language = Language(packer.name, packer.build, lambda _: None)  # type: ignore[arg-type, return-value]
    monkeypatch.setitem(building.LANGUAGES, SourceType.GIT, language)  # type: ignore[arg-type]
    monkeypatch.setattr(building, "check_can_build", lambda *_: "a test")
    monkeypatch.setattr(building, "sandbox_of", lambda _: Sandbox(Limits(1, 1, 1, 1), is_isolated=True))
    return packer
