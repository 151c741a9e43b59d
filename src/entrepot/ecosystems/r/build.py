"""What a checkout's DESCRIPTION says, and the version that a build of it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from entrepot.core.errors import BuildFailed, Invalid
from entrepot.core.model import PackageName
from entrepot.ecosystems.r import dcf
from entrepot.ecosystems.r.versions import check_name, check_version, version_key

LARGEST_DESCRIPTION = 1 << 20
"""Bytes of a DESCRIPTION that is read; an upload may have no more."""
LARGEST_NUMBER = 2**31 - 1
"""R reads the numbers of a version as C ints."""

_STAMP = ".0.0.0."
_STAMPED = re.compile(r"(?P<base>.+[0-9])\.0\.0\.0\.(?P<stamp>[0-9]+)")
_SEPARATORS = re.compile(r"[.-]")
# Any line ends, as `dcf` takes them; a continuation line is one that begins with a blank.
_VERSION_FIELD = re.compile(
    rb"(?P<before>(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n]))Version:[ \t\f\v]*(?:(?:\r\n|\r|\n)[ \t\f\v]+)?)"
    rb"(?P<value>[^ \t\f\v\r\n][^\r\n]*(?:(?:\r\n|\r|\n)[ \t\f\v]+[^ \t\f\v\r\n][^\r\n]*)*)"
)


@dataclass(frozen=True, slots=True)
class Described:
    """What a DESCRIPTION says: the package, its own version, and all fields."""

    package: PackageName
    version: str
    fields: dict[str, str]


def read_description(data: bytes) -> Described:
    """What the DESCRIPTION in a checkout says.

    Raises:
        BuildFailed: it can't be read, names no package or version, or one that R doesn't take.
    """
    try:
        if b"\0" in data:
            raise Invalid("it is not text")
        fields = dcf.parse_one(data)
        for wanted in ("Package", "Version"):
            if not fields.get(wanted):
                raise Invalid(f"there is no {wanted} field")
        return Described(check_name(fields["Package"]), check_version(fields["Version"]), fields)
    except Invalid as error:
        raise BuildFailed(f"DESCRIPTION: {error.message}", hint=error.hint) from error


def replace_version(data: bytes, version: str) -> bytes:
    """The DESCRIPTION `data` with another version; every other byte stays as it is, blanks and line ends included.

    Raises:
        BuildFailed: it is written in a way in which the version can't be found.
    """
    changed = _VERSION_FIELD.sub(lambda match: match["before"] + version.encode() + _trailing(match["value"]), data)
    if read_description(changed).version != version:
        raise BuildFailed("DESCRIPTION: the Version field can't be changed", hint="write it as one line: Version: 1.0")
    return changed


def _trailing(value: bytes) -> bytes:
    return value[len(value.rstrip(b" \t\f\v")) :]


def check_tag(tag: str, version: str) -> None:
    """See that a tag is `x` or `vx`, where x is exactly the version that DESCRIPTION has.

    Raises:
        BuildFailed: another one; the message says both.
    """
    if tag not in (version, f"v{version}"):
        raise BuildFailed(
            f"the tag {tag[:100]!r} is not the version of DESCRIPTION, {version}",
            hint=f"tag a commit {version} or v{version}, or give DESCRIPTION the version of the tag",
            tag=tag[:100],
            version=version,
        )


def commit_version(own: str, stamp: int, newest: str | None) -> str:
    """The version of a commit: the package's own and `.0.0.0.<stamp>`, and strictly above `newest`.

    Where that isn't above: the base of `newest` with a stamp after its own, if it was made in this way, else `newest`
    with a stamp. The package's own version stays the beginning as long as there is such a version above `newest`.

    Args:
        own: the version in DESCRIPTION.
        stamp: seconds since 1970; taken as the nearest one that R can read as a number and doesn't pass over.
        newest: the highest version that there ever was.

    Raises:
        BuildFailed: the version would be longer than one may be.
    """
    # Not 0: R before 4.4 holds 1.0 and 1.0.0 for the same version.
    stamp = min(max(stamp, 1), LARGEST_NUMBER)
    version = f"{own}{_STAMP}{stamp}"
    if newest is not None and version_key(version) <= version_key(newest):
        # The clock has gone beyond what R reads as a number: counting has to do.
        version = _begun_by(own, _after(newest, stamp if stamp < LARGEST_NUMBER else 1))
    try:
        return check_version(version)
    except Invalid as error:
        raise BuildFailed(
            f"the version of this commit would be too long: {version[:120]}",
            hint="give DESCRIPTION a higher and shorter version",
        ) from error


def _after(newest: str, stamp: int) -> str:
    """A version above `newest`, of its base and a later stamp if there is one."""
    match = _STAMPED.fullmatch(newest)
    if match is not None:
        later = max(stamp, int(match["stamp"]) + 1)
        base = match["base"]
        if later <= LARGEST_NUMBER and len(_SEPARATORS.split(base)) > 1:
            return f"{base}{_STAMP}{later}"
    return f"{newest}{_STAMP}{stamp}"


def _begun_by(own: str, version: str) -> str:
    """`version` with its first numbers as `own` writes them, where these are the same numbers: 1.1-3.9 for 1.1.3.9."""
    if version.startswith((f"{own}.", f"{own}-")):
        return version
    numbers, beginning = _SEPARATORS.split(version), _SEPARATORS.split(own)
    length = len(beginning)
    if list(map(int, numbers[:length])) != list(map(int, beginning)):
        return version
    return ".".join([own, *numbers[length:]])


def is_of(version: str, own: str) -> bool:
    """Whether a commit's version is the package's own with a stamp, and nothing else."""
    beginning, _, stamp = version.rpartition(_STAMP)
    return beginning == own and stamp.isdecimal()


_MOST_TOLD = 300
_FAULT = re.compile(r"(?:ERROR|Error)\b.*|.*\.\.\. ERROR|error: .*|.*: error: .*")
_DONE = "* DONE ("
_NEEDS = re.compile(r"there is no package called|is not available for package|are not available for package")


@dataclass(slots=True)
class Said:
    """What R says while it builds: the first fault in it, and whether a package was missing. Takes a line at a time."""

    fault: str = ""
    lacks_package: bool = False
    _goes_on: bool = field(default=False, init=False)

    def hear(self, line: str) -> None:
        line = line.strip()
        if self._goes_on and line:
            self.fault, self._goes_on = f"{self.fault} {line}"[:_MOST_TOLD], False
        if not self.fault and _FAULT.fullmatch(line[: 4 * _MOST_TOLD]):
            # "Error in f() : " and "checking ... ERROR" have what is wrong on the next line.
            self.fault = line[:_MOST_TOLD]
            self._goes_on = line.endswith((":", "... ERROR"))
        elif line.startswith(_DONE):
            self.fault, self.lacks_package = "", False  # what failed before was tried, and did no harm
        self.lacks_package = self.lacks_package or _NEEDS.search(line) is not None
