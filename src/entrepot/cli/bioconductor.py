"""Commands on Bioconductor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.output import columns, when
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import BioconductorVersion


def list_bioconductor(
    session: Session,
    *,
    what: Annotated[str, typer.Argument(metavar="versions", help="What there is a list of.")] = "versions",
) -> None:
    """List the versions of Bioconductor that are known, the newest first.

    With each the version of R that it is for, the snapshot of CRAN that goes with it, its packages and its last sync.
    """
    if what != "versions":
        raise UsageFault(f"there is no list of '{what}' of Bioconductor", hint="'entrepot list bioconductor versions'")
    with session.connect() as (client, _):
        versions = client.bioconductor_versions()
    errors = [f"{row['bioc_version']}/{part}: {error}" for row in versions for part, error in row["errors"].items()]
    session.out.result(versions, [*columns([_row(version) for version in versions]), *errors])
    if not versions:
        session.out.info("Nothing is known of Bioconductor yet; 'entrepot sync --type=bioconductor' asks upstream")


def _row(version: BioconductorVersion) -> list[str]:
    word = "release" if version["is_release"] else "devel" if version["is_devel"] else ""
    packages = sum(version["packages"].values())
    mirrored = (
        f"{packages} packages, synced {when(version['last_success'])}" if version["last_success"] else "not mirrored"
    )
    cran = f"CRAN {version['cran_snapshot'] or 'unknown'}"
    return [version["bioc_version"], word, f"R {version['r_version']}", cran, mirrored]
