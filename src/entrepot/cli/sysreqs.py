"""What packages need of a Linux system: `list requirements`; the rules that tell it: `sync --type=sysreqs`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import counted
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import Job
    from entrepot.client.sysreqs import PackageRequirements, Step


def list_requirements(
    session: Session,
    *,
    repo: Annotated[str, typer.Option("--repo", metavar="NAME", help="Name of an R or Bioconductor repository.")],
    packages: Annotated[
        list[str], typer.Option("--packages", metavar="NAME,...", help="Packages by their names; '*' for all.")
    ],
    distribution: Annotated[
        str, typer.Option("--distribution", metavar="NAME", help="Such as ubuntu, debian, redhat, opensuse.")
    ],
    release: Annotated[str, typer.Option("--release", metavar="RELEASE", help="Such as 22.04, 12, 9, 15.6.")],
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Version of Bioconductor, such as 3.18.")
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option("--snapshot", metavar="WHEN", help="latest, a date (YYYY-MM-DD) or a transaction's number."),
    ] = None,
) -> None:
    """List what packages need of a Linux system, with all that they depend on.

    Standard output is what to run there: commands before the installation, the installation, commands after it.
    """
    names = split_list(packages)
    if not names:
        raise UsageFault("'--packages' names no package", hint="give names with commas, or '*' for all")
    wanted = None if "*" in names else names
    with session.connect() as (client, _):
        found = client.system_requirements(
            repo, wanted, distribution=distribution, release=release, snapshot=snapshot, bioc_version=version
        )
    rows = found["requirements"]
    session.out.result(found, commands(rows))
    if not rows:
        session.out.info("Nothing is needed")
    for row in rows[:_MOST_TOLD]:
        session.out.info(f"{row['name']}: {', '.join(row['requirements']['packages'])}")
    if len(rows) > _MOST_TOLD:
        session.out.info(f"... and {counted(len(rows) - _MOST_TOLD, 'package')} more")
    if found["unread"]:
        some = ", ".join(found["unread"][:_MOST_TOLD])
        session.out.info(f"Not known of {counted(len(found['unread']), 'package')}: {some}")


_MOST_TOLD = 40


def commands(rows: Sequence[PackageRequirements]) -> list[str]:
    """What to run: each step once (again after something new), and one installation of all system packages."""
    needs = [row["requirements"] for row in rows]
    before = _steps(each["pre_install"] for each in needs)
    after = _steps(each["post_install"] for each in needs)
    return [*before, *_together(script for each in needs for script in each["install_scripts"]), *after]


def _steps(sequences: Iterable[Sequence[Step]]) -> list[str]:
    found: list[str] = []
    for sequence in sequences:
        is_new = False
        for step in sequence:
            command = step.get("command") or f"sh {shlex.quote(step.get('script', ''))}"
            is_new = is_new or command not in found
            if is_new:
                found.append(command)
    return found


def _together(scripts: Iterable[str]) -> list[str]:
    """Commands that differ in the last word alone, as one with all these words."""
    words: dict[str, dict[str, None]] = {}
    for script in scripts:
        command, _, package = script.rpartition(" ")
        words.setdefault(command, {})[package] = None
    return [f"{command} {' '.join(packages)}".strip() for command, packages in words.items()]


def rules_summary(job: Job) -> str:
    """What reading the rules brought."""
    result: dict[str, Any] = job["result"] or {}
    state = "read" if result.get("changed") else "are as before"
    faults = result.get("faults") or []
    left_out = f"; {counted(len(faults), 'fault')}" if faults else ""
    return f"Rules of system requirements: {result.get('rules') or 0} from {result.get('origin')} {state}{left_out}"
