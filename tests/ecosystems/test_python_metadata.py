"""Core metadata of uploads: what installers and indexes depend on is checked, the rest is let pass."""

from __future__ import annotations

import pytest
from packaging.version import Version

from entrepot.core.errors import InvalidArchive
from entrepot.ecosystems.python.metadata import Distribution, distribution
from tests.support.distributions import make_metadata


def read(data: bytes, *, name: str = "demo", version: str = "1.0") -> Distribution:
    return distribution(data, kind="wheel", name=name, version=Version(version), folder=f"{name}-{version}")


@pytest.mark.parametrize("format", ["1.0", "1.2", "2.1", "2.3", "2.5", "2.9"])
def test_every_version_of_the_format_is_read(format: str) -> None:
    """Later minor versions add fields and change none."""
    data = make_metadata("demo", "1.0", fields={"Metadata-Version": format, "License-File": "LICENSE"})
    assert read(data).version == "1.0"


def test_what_nobody_depends_on_is_let_pass() -> None:
    """A wrong classifier or URL, a field of a later format and one that nobody knows stop no release."""
    fields = {"Classifier": ["No :: Such"], "Home-page": "none", "License-Expression": "??", "X-Thing": "y"}
    assert read(make_metadata("demo", "1.0", fields=fields, description="Hello.\n")).name == "demo"


def test_line_ends_of_windows_are_read() -> None:
    """They stay in the document as they stand."""
    data = make_metadata("demo", "1.0", requires=["a", "b"]).replace(b"\n", b"\r\n")
    assert read(data).metadata == data


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Metadata-Version": "2"}, "Metadata-Version '2'"),
        ({"Name": "../demo"}, "the name '../demo', which none can have"),
        ({"Name": "dеmo"}, "which none can have"),
        ({"Name": "x" * 500}, "which none can have"),
        ({"Name": ["demo", "demo"]}, "several fields Name"),
        ({"Version": "1.0-one-two"}, "which is none (PEP 440)"),
        ({"Version": "1." * 200 + "0"}, "which is none (PEP 440)"),
        ({"Requires-Python": [">=3", ">=4"]}, "several fields Requires-Python"),
        ({"Requires-Dist": ["a b c"]}, "bad Requires-Dist: 'a b c'"),
    ],
)
def test_what_counts_is_checked(fields: dict[str, str | list[str]], message: str) -> None:
    """The message says which field is wrong, and what it holds."""
    with pytest.raises(InvalidArchive) as raised:
        read(make_metadata("demo", "1.0", fields=fields))
    assert message in raised.value.message


def test_look_alikes_are_other_names() -> None:
    """Versions are the same if PEP 440 says so, names if PEP 503 does."""
    assert read(make_metadata("De_Mo", "1.0.0"), name="de.mo", version="1").project == "de-mo"
    with pytest.raises(InvalidArchive, match=r"says demo 1\.0\.post1"):
        read(make_metadata("demo", "1.0.post1"))
