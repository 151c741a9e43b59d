"""The form of an upload: what it may say, and whether it agrees with its file."""

from __future__ import annotations

import pytest

from entrepot.core.errors import Invalid, InvalidArchive
from entrepot.ecosystems.python.upload import Form, check_agrees, read_form

MD5, SHA256, BLAKE2 = "a" * 32, "b" * 64, "c" * 64
LEAST = {":action": "file_upload", "name": "demo", "version": "1.0"}
DIGESTS = {"md5": MD5, "sha256": SHA256, "blake2_256": BLAKE2}


def test_what_a_form_says() -> None:
    """Empty fields say nothing, as pdm sends them; digests may be in capitals."""
    assert read_form(LEAST) == Form("demo", "1.0", "", {})
    more = {"protocol_version": "1", "filetype": "sdist", "md5_digest": "", "sha256_digest": SHA256.upper()}
    assert read_form({**LEAST, **more}) == Form("demo", "1.0", "sdist", {"sha256": SHA256})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({":action": ""}, "there is no :action"),
        ({":action": "submit"}, ":action is 'submit'; only file_upload is served"),
        ({"protocol_version": "2"}, "protocol_version is '2', not 1"),
        ({"name": " "}, "the form has no name"),
        ({"version": ""}, "the form has no version"),
        ({"sha256_digest": "abc"}, "sha256_digest is not a digest of 64 hexadecimal digits: 'abc'"),
        ({"md5_digest": "x" * 32}, "md5_digest is not a digest"),
    ],
)
def test_what_a_form_may_not_say(fields: dict[str, str], message: str) -> None:
    """The message names the field."""
    with pytest.raises(Invalid, match=message):
        read_form({**LEAST, **fields})


@pytest.mark.parametrize(
    ("form", "file_name"),
    [
        (Form("Demo.Pkg", "1.0.0", "bdist_wheel", DIGESTS), "demo_pkg-1.0-py3-none-any.whl"),
        (Form("demo-pkg", "1.0", "sdist", {}), "demo_pkg-1.0.tar.gz"),
        (Form("demo-pkg", "1.0", "", {}), "Demo.Pkg-1.0.zip"),
        (Form("demo", "1.0", "", {}), "what reading the file will refuse"),
    ],
)
def test_forms_that_agree(form: Form, file_name: str) -> None:
    """Names and versions in any spelling that means the same."""
    check_agrees(form, file_name=file_name, digests=DIGESTS)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form("other", "1.0", "", {}), "the form says 'other' '1.0', the file's name says demo 1.0"),
        (Form("demo", "1.1", "", {}), "the form says 'demo' '1.1', the file's name says demo 1.0"),
        (Form("demo", "one", "", {}), "the form says 'demo' 'one'"),
        (Form("demo", "1.0", "bdist_wheel", {}), "is not what filetype says: bdist_wheel"),
        (Form("demo", "1.0", "bdist_egg", {}), "filetype is 'bdist_egg'"),
        (Form("demo", "1.0", "", {"sha256": "d" * 64}), "another sha256 digest than the form says"),
        (Form("demo", "1.0", "", {"sha256": SHA256, "blake2_256": "d" * 64}), "another blake2_256 digest"),
    ],
)
def test_forms_that_disagree(form: Form, message: str) -> None:
    """Every digest that is given counts."""
    with pytest.raises(InvalidArchive, match=message):
        check_agrees(form, file_name="demo-1.0.tar.gz", digests=DIGESTS)
