"""Commands for binary packages of R: given to a source beside its source packages, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.session import Session
from entrepot.core.errors import Invalid

if TYPE_CHECKING:
    from entrepot.client import Binary

Source = Annotated[str, typer.Option("--source", metavar="NAME", help="Name of the local or git source.")]
Comment = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Why; it is kept with the transaction.")]
_SYSTEMS = {"windows": "Windows", "macosx": "macOS"}


def add_binary(
    session: Session,
    *,
    source: Source,
    path: Annotated[
        str,
        typer.Option("--path", metavar="FILE", help="The file that R CMD INSTALL --build made: .tar.gz, .tgz or .zip."),
    ],
    distribution: Annotated[
        str | None,
        typer.Option(
            "--distribution",
            metavar="NAME",
            help="Linux: the distribution that it was built on, such as bookworm, or internal. macOS: the folder, such "
            "as big-sur-arm64, where the file doesn't tell it.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a binary that is there already.")] = False,
    comment: Comment = None,
) -> None:
    """Add a binary package to a version that a local or git source has.

    System, version of R and architecture are read in the file.
    """
    from entrepot.cli.progress import upload_progress

    file = Path(path)
    try:
        file.open("rb").close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Invalid(f"can't read '{file}': {reason}", path=str(file)) from error
    with session.connect() as (client, _), upload_progress(session.out) as on_progress:
        added = client.add_binary(
            source, file, distribution=distribution, replace=replace, comment=comment, on_progress=on_progress
        )
    is_new = added["transaction"] is not None
    session.out.result(added, [f"Added {_shown(added)}" if is_new else "Nothing changed"])
    if session.verbose and is_new:
        session.out.info(f"Transaction {added['transaction']}")


def remove_binary(
    session: Session,
    *,
    source: Source,
    name: Annotated[str, typer.Option("--name", metavar="PACKAGE@VERSION", help="Package and version as demo@1.2.3.")],
    distribution: Annotated[
        str,
        typer.Option(
            "--distribution", metavar="NAME", help="The distribution, the folder of macOS (or macosx), or windows."
        ),
    ],
    r_version: Annotated[str, typer.Option("--r-version", metavar="X.Y", help="The version of R, such as 4.4.")],
    comment: Comment = None,
) -> None:
    """Take back the binaries of one version, of all architectures.

    The source package stays. Snapshots from before keep the binaries.
    """
    package, _, version = name.strip().partition("@")
    if not package or not version:
        raise UsageFault(f"'{name}' does not name a version of a package", hint="give --name=PACKAGE@1.2.3")
    with session.connect() as (client, _):
        removed = client.remove_binary(
            source, package, version=version, distribution=distribution, r_version=r_version, comment=comment
        )
    session.out.result(removed, [f"Removed {_shown(binary)}" for binary in removed])


def _shown(binary: Binary) -> str:
    """`demo with version 1.0.0 for bookworm and R 4.2 for any architecture`."""
    platform = binary["platform"]
    where = platform["distribution"]
    if platform["os"] in _SYSTEMS:
        where = _SYSTEMS[platform["os"]] + (f" ({where})" if where else "")
    arch = f" for {'any architecture' if platform['arch'] == 'any' else platform['arch']}"
    told = arch if platform["os"] == "linux" else ""
    return f"{binary['name']} with version {binary['version']} for {where} and R {platform['r_version']}{told}"
