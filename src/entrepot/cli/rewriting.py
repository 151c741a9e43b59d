"""`rewrite-url`: what a deploy tool should use in the place of a repository's URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.rewriting import Mode


def rewrite_url(
    session: Session,
    *,
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="URLs of R repositories.")],
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="auto|force-source|force-binary|force-portable|none",
            help="auto: only binary packages that don't fit are replaced.",
        ),
    ] = "auto",
    distribution: Annotated[
        str | None,
        typer.Option(
            "--distribution",
            metavar="NAME",
            help="Linux distribution of the machine that installs, such as jammy or rhel9 (default: this machine's).",
        ),
    ] = None,
) -> None:
    """Rewrite URLs of R repositories to packages that fit a machine.

    Prints one URL for each that is given. The servers of the URLs are asked what they serve; --address is not used.
    URLs of other servers, and of servers that can't be asked, stay as they are.
    """
    from entrepot.rewriting import Rewriter

    wanted = _mode(mode)
    with Rewriter(insecure=bool(session.insecure)) as rewriter:
        decisions = [rewriter.rewrite(url, wanted, distribution) for url in urls]
    document = [
        {
            "url": each.original,
            "rewritten": each.url,
            "is_rewritten": each.is_rewritten,
            "reason": each.reason,
            "warning": each.warning,
        }
        for each in decisions
    ]
    session.out.result(document, [each.url for each in decisions])
    session.out.info(*(f"Warning: {each.warning}; the URL stays as it is" for each in decisions if each.warning))


def _mode(text: str) -> Mode:
    from entrepot.rewriting import MODES

    for mode in MODES:
        if mode == text.lower():
            return mode
    raise UsageFault(f"there is no mode '{text}'", hint=f"modes are {', '.join(MODES)}")
