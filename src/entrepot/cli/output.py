"""What the command line prints: the product's words for people, one JSON document for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from entrepot.client import Change, Repository, Source
    from entrepot.core.errors import EntrepotError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SOURCE_TYPES = {
    "cran": "CRAN",
    "cran-snapshot": "CRAN Snapshot",
    "curated-cran": "Curated CRAN",
    "bioconductor": "Bioconductor",
    "pypi": "PyPI",
    "curated-pypi": "Curated PyPI",
    "local": "Local",
    "local-python": "Local Python",
    "git": "Git",
    "git-python": "Git Python",
}
_REPOSITORY_TYPES = {"r": "R", "bioconductor": "Bioconductor", "python": "Python"}


class Out:
    """Where words go: results to standard output, everything else to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: object, lines: Iterable[str]) -> None:
        """The result of a command, once per run: `document` for programs or `lines` for people."""
        if self.as_json:
            _print_json(document, sys.stdout)
        else:
            _print_lines(lines, sys.stdout)

    def info(self, *lines: str) -> None:
        """Words that are not the result; programs don't get them."""
        if not self.as_json:
            _print_lines(lines, sys.stderr)

    def error(self, error: EntrepotError) -> None:
        if self.as_json:
            _print_json(error.as_json(), sys.stderr)
        else:
            _print_lines(error_lines(error), sys.stderr)


def printable(text: str) -> str:
    """`text` on one line and without control characters: what a server sends does not steer the terminal."""
    return _CONTROL.sub(" ", text)


def _print_lines(lines: Iterable[str], stream: TextIO) -> None:
    for line in lines:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(printable(line).encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _print_json(document: object, stream: TextIO) -> None:
    is_unicode = (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
    stream.write(json.dumps(document, indent=2, ensure_ascii=not is_unicode, default=str) + "\n")
    stream.flush()


def error_lines(error: EntrepotError) -> list[str]:
    """`Error:` with one line per fault, and `Hint:` where there is one."""
    faults = error.payload.get("faults")
    if isinstance(faults, list) and faults and all(isinstance(fault, dict) for fault in faults):
        lines = [f"Error: {error.message.split(':', 1)[0]}:", *fault_lines(faults)]
    else:
        lines = [f"Error: {error.message}"]
    return [*lines, f"Hint: {error.hint}"] if error.hint else lines


def fault_lines(faults: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line per fault of a batch, which names its subject once."""
    lines = []
    for fault in faults:
        subject, said = str(fault.get("subject") or ""), str(fault.get("error"))
        hint = f" ({fault['hint']})" if fault.get("hint") else ""
        lines.append(f"  {said}{hint}" if subject in said else f"  {subject}: {said}{hint}")
    return lines


def source_type(source: Source) -> str:
    """`CRAN`, `Curated CRAN - 2024-04-17`: the type, and the snapshot that it is drawn from."""
    kind = _SOURCE_TYPES.get(source["type"], source["type"])
    drawn_from = source.get("snapshot") or source.get("version")
    return f"{kind} - {drawn_from}" if drawn_from else kind


def repository_line(repository: Repository) -> str:
    kind = _REPOSITORY_TYPES.get(repository["type"].lower(), repository["type"])
    closed = "authenticated" if repository.get("auth") else ""
    parts = (repository["name"], repository.get("description") or "", kind, closed)
    return "Repository: " + " - ".join(part for part in parts if part)


def subscription_lines(sources: Iterable[Source]) -> list[str]:
    """The sources of a repository in their order."""
    lines = [f"--{source['name']} ({source_type(source)})" for source in sources]
    return ["Sources:", *lines] if lines else ["Sources: none"]


def source_lines(source: Source) -> list[str]:
    return [f"Source '{source['name']}':", f"  Type:  {source_type(source)}"]


def source_details(source: Source) -> list[str]:
    """Everything that is known about a source."""
    read = source.get("projects_read")
    packages = f"{source['packages']}" if read is None else f"{source['packages']} by name, {read} of them read"
    lines = [*source_lines(source), f"  Packages:  {packages}", f"  Created:  {when(source['created'])}"]
    if source.get("transaction") is not None:
        lines.append(f"  Transaction:  {source['transaction']}")
    include = source.get("include")
    if include:
        lines.append(f"  Dependencies:  {', '.join(include)}")
    if source.get("archived") is False:
        lines.append("  Archive:  only what it listed itself")
    if source.get("upstream"):
        lines.append(f"  Upstream:  {source['upstream']}")
    return [*lines, *sync_lines(source)]


def sync_lines(source: Source) -> list[str]:
    """How the syncs of a mirror stand."""
    sync = source.get("sync")
    if not sync:
        return []
    lines = [f"  Sync:  {sync['state']}"]
    if sync.get("last_success"):
        lines.append(f"  Last success:  {when(sync['last_success'])}")
    if sync.get("error"):
        lines.append(f"  Reason:  {sync['error']}")
    if sync.get("next_try"):
        lines.append(f"  Next try:  {when(sync['next_try'])}")
    if sync.get("job") is not None:
        lines.append(f"  Job:  {sync['job']}")
    return lines


def change_line(change: Change) -> str:
    """One change of a package in a sentence."""
    verb, package = change["change"].capitalize(), f"package '{change['name']}' {change['version']}"
    previous = change.get("previous")
    return f"{verb} {package} (was {previous})" if previous else f"{verb} {package}"


def when(time: str | None) -> str:
    """An ISO 8601 time to the minute, in UTC."""
    from datetime import UTC, datetime

    if not time:
        return "never"
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 package`, `2 packages`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned columns."""
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
