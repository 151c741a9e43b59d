"""Where mirrors have their packages upstream: the one place that tells it by the type of a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from entrepot.core.model import Source, SourceType
from entrepot.core.platforms import Platform
from entrepot.ecosystems.r import paths
from entrepot.settings import Settings

CONTRIB = "src/contrib"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an upstream has the packages of one mirror.

    Attributes:
        url: the base URL, below which files are.
        contrib: the folder below it with PACKAGES; the documents of a mirror are named as if it were `src/contrib`.
        tells_past: whether it has documents on what it had before (`Meta/archive.rds` and others), which are asked for
            with the list of packages.
        is_optional: whether an upstream without a list of packages just has none there.
        platform: what its packages are binaries for; None for source packages.
        setting: the setting that says where it is, for hints.
    """

    url: str
    contrib: str = CONTRIB
    tells_past: bool = True
    is_optional: bool = False
    platform: Platform | None = None
    setting: str = "[cran] upstream is the base URL of a CRAN mirror, above its src folder"

    def of_document(self, document: str) -> str:
        """The URL of `src/contrib/PACKAGES.gz` or another document."""
        return f"{self.url}/{self.contrib}{document.removeprefix(CONTRIB)}"


def _cran(settings: Settings, _: Source) -> Place:
    return Place(settings.cran.upstream)


def _bioconductor_part(settings: Settings, source: Source) -> Place:
    return Place(
        f"{settings.bioconductor.upstream}/packages/{source.part}",
        tells_past=False,
        setting="[bioconductor] upstream is the base URL of a Bioconductor mirror, above its packages folder",
    )


def _binaries(settings: Settings, source: Source) -> Place:
    platform = Platform.of_path(source.part or "")
    return Place(
        settings.cran.upstream,
        contrib=paths.binary_folder(platform),
        tells_past=False,
        platform=platform,
        setting="[cran] binaries lists the folders that are mirrored",
    )


PLACES: dict[SourceType, Callable[[Settings, Source], Place]] = {
    SourceType.CRAN: _cran,
    SourceType.BIOCONDUCTOR_PART: _bioconductor_part,
    SourceType.MIRRORED_BINARIES: _binaries,
}


def place_of(settings: Settings, source: Source) -> Place:
    """Where the upstream of a mirror is now; only of types that are mirrored by a list of packages."""
    return PLACES[source.type](settings, source)
