"""The form of the legacy upload API: what clients send beside a file, and whether it agrees with the file.

twine, uv, poetry, pdm, hatch and flit differ in which digests they send, whether an unknown field is left out or
empty, and in the order. What the form says of the project besides its name is of no account: the file says it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import Invalid, InvalidArchive

CONTENT = "content"
"""The field with the file."""
ACTION = "file_upload"
LONGEST = 1000
"""Characters of a field that is looked at."""
DIGESTS = {"md5": 32, "sha256": 64, "blake2_256": 64}
"""Algorithm -> hexadecimal digits; the field is called after it, with `_digest` behind it."""
WANTED = frozenset(
    {":action", "protocol_version", "name", "version", "filetype", *(f"{one}_digest" for one in DIGESTS)}
)
"""The fields that are looked at."""
_FILE_TYPES = {"bdist_wheel": (".whl",), "sdist": (".tar.gz", ".zip")}
_HINT = "send it as twine does: a form with :action=file_upload, name, version and the file as content"


class Form(NamedTuple):
    """What a form says; each is empty where it says nothing. `digests` are in lower case, by their algorithm."""

    name: str
    version: str
    file_type: str
    digests: dict[str, str]


def read_form(fields: Mapping[str, str]) -> Form:
    """The form of an upload, of its fields among `WANTED`.

    Raises:
        Invalid: it asks for something else than an upload, or a field can't be what it has to be.
    """
    told = {name: value.strip() for name, value in fields.items()}
    action = told.get(":action", "")
    if action != ACTION:
        what = f":action is {_shown(action)}" if action else "there is no :action"
        raise Invalid(f"{what}; only {ACTION} is served here", hint=_HINT)
    if told.get("protocol_version", "") not in ("", "1"):
        raise Invalid(f"protocol_version is {_shown(told['protocol_version'])}, not 1", hint=_HINT)
    for field in ("name", "version"):
        if not told.get(field):
            raise Invalid(f"the form has no {field}", hint=_HINT)
    digests = {}
    for algorithm, digits in DIGESTS.items():
        digest = told.get(f"{algorithm}_digest", "").lower()
        if digest and (len(digest) != digits or set(digest) - set("0123456789abcdef")):
            raise Invalid(f"{algorithm}_digest is not a digest of {digits} hexadecimal digits: {_shown(digest)}")
        if digest:
            digests[algorithm] = digest
    return Form(told["name"], told["version"], told.get("filetype", ""), digests)


def check_agrees(form: Form, *, file_name: str, digests: Mapping[str, str]) -> None:
    """See that the form and the file that came with it belong together.

    Args:
        file_name: the file's name; one that is that of no distribution is let pass, as reading the file says more.
        digests: those of the file, by algorithm.

    Raises:
        InvalidArchive: the file is not the one that was sent, or the form is of another project, version or type.
    """
    for algorithm, digest in form.digests.items():
        if digests[algorithm] != digest:
            what = f"{file_name[:200]} has another {algorithm} digest than the form says"
            raise InvalidArchive(f"{what}: {digests[algorithm]}, not {digest}", hint="upload it again")
    if form.file_type not in ("", *_FILE_TYPES):
        raise InvalidArchive(f"filetype is {_shown(form.file_type)}; wheels and sdists are taken", hint=_HINT)
    if form.file_type and not file_name.endswith(_FILE_TYPES[form.file_type]):
        raise InvalidArchive(f"{file_name[:200]} is not what filetype says: {form.file_type}")
    if not file_name.isascii():
        return
    try:
        parse = parse_wheel_filename if file_name.endswith(".whl") else parse_sdist_filename
        name, version = parse(file_name)[:2]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return
    if (canonicalize_name(form.name), _version(form.version)) != (name, version):
        raise InvalidArchive(
            f"the form says {_shown(form.name)} {_shown(form.version)}, the file's name says {name} {version}"
        )


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:100] + "...")
