"""Python projects as people are told of them: which version stands for one, and core metadata of all ages."""

from __future__ import annotations

import pytest

from entrepot.core.model import File, FileStatus, Listed, PackageName
from entrepot.core.releases import Dependency, Described
from entrepot.ecosystems.python import describing
from entrepot.ecosystems.python.entry import Entry, pack
from entrepot.ecosystems.python.names import parse_file_name

DEMO = PackageName("demo")


def listed(number: int, name: str, **told: str) -> Listed:
    """A file as a snapshot shows it; `told` are facts of its entry."""
    version = parse_file_name(DEMO, name).version
    entry = pack(Entry(**told))  # type: ignore[arg-type]
    return Listed(File(number, 1, DEMO, version, name, 1, None, None, None, number, entry), FileStatus.CURRENT)


@pytest.mark.parametrize(
    ("names", "yanked", "latest"),
    [
        ("demo-1.0.tar.gz demo-1.10.tar.gz demo-1.9.tar.gz", "", "1.10"),
        ("demo-1.0.tar.gz demo-2.0rc1.tar.gz", "", "1.0"),
        ("demo-1.0a1.tar.gz demo-1.0.dev1.tar.gz", "", "1.0a1"),
        ("demo-1.0.tar.gz demo-1.1.tar.gz", "demo-1.1.tar.gz", "1.0"),
        ("demo-1.0.tar.gz demo-1.1.tar.gz demo-1.1-py3-none-any.whl", "demo-1.1.tar.gz", "1.1"),
        ("demo-1.0.tar.gz demo-2.0a1.tar.gz", "demo-1.0.tar.gz", "2.0a1"),
        ("demo-1.0.tar.gz", "demo-1.0.tar.gz", "1.0"),
        ("demo-what.ever.tar.gz demo-0.1.dev0.tar.gz", "", "0.1.dev0"),
    ],
)
def test_the_version_that_stands_for_a_project(names: str, yanked: str, latest: str) -> None:
    """The highest final one that can be installed; a pre-release, or what is yanked, only where there is no other."""
    rows = [listed(n, name, **({"yanked": "bad"} if name == yanked else {})) for n, name in enumerate(names.split())]
    found = describing.releases(rows)
    assert found is not None
    assert found.latest.version == latest
    assert len({release.version for release in found.every}) == len(found.every)


def test_files_of_a_release() -> None:
    """Versions come newest first; for each a wheel stands, else an sdist, and what is yanked comes last."""
    rows = [
        listed(1, "demo-1.0.tar.gz", requires_python=">=3"),
        listed(2, "demo-1.0-py2-none-any.whl", yanked=""),
        listed(3, "demo-1.0-py3-none-any.whl"),
        listed(4, "demo-1.0.0.win32.exe"),
        listed(5, "demo-2.0.tar.gz", yanked="broken"),
    ]
    found = describing.releases(rows)
    assert found is not None
    assert [
        (each.version, each.published_at, each.is_yanked, each.yanked_reason, [f.file.id for f in each.files])
        for each in found.every
    ] == [("2.0", 5, True, "broken", [5]), ("1.0", 1, False, None, [3, 1, 4, 2])]
    assert [file.kind for file in found.every[1].files] == ["wheel", "sdist", "other", "wheel"]
    assert found.every[1].files[1].requires_python == ">=3"
    for spelling in ("1.0", "1.0.0", "v1", "1"):
        assert describing.find(found, spelling) == found.every[1]
    assert describing.find(found, "3") is None
    assert describing.releases([]) is None
    assert describing.releases([listed(1, "demo.exe")]) is None


METADATA = """Metadata-Version: 2.3
Name: Demo
Version: 1.0
Summary: A demo of
 folded lines
Requires-Python: >=3.9
License: MIT
Classifier: License :: OSI Approved :: BSD License
Classifier: Topic :: Software Development
Requires-Dist: six
Requires-Dist: requests[socks] >=2,<3 ; extra == "net"
Requires-Dist: numpy==1.0
Requires-Dist: ¡no
Requires-Dist: odd ===???; (

# Demo

Täglich.
"""


def test_core_metadata() -> None:
    """All that people want to know of a release; a requirement that can't be read is told as it stands."""
    found = describing.describe(pack(Entry(requires_python=">=3.8")), METADATA)
    assert (found.title, found.description, found.license) == ("A demo of folded lines", "# Demo\n\nTäglich.", "MIT")
    assert found.requires_python == ">=3.9"
    assert found.dependencies == {
        "requires_dist": [
            Dependency("six", None, None, "six"),
            Dependency("requests", None, None, 'requests[socks] >=2,<3 ; extra == "net"'),
            Dependency("numpy", "==", "1.0", "numpy==1.0"),
            Dependency("odd", None, None, "odd ===???; ("),
        ]
    }
    assert found.fields["Classifier"] == ["License :: OSI Approved :: BSD License", "Topic :: Software Development"]
    assert found.fields["Summary"] == "A demo of folded lines"
    assert describing.describe(pack(Entry(requires_python=">=3.8")), None) == Described(requires_python=">=3.8")
    assert describing.describe(None, None) == Described()


@pytest.mark.parametrize(
    ("headers", "license"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: x", "MIT OR Apache-2.0"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: " + "a very long text " * 50 + "\nClassifier: License :: Public Domain", "Public Domain"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved", None),
        ("Summary: x", None),
    ],
)
def test_licences_of_all_ages(headers: str, license: str | None) -> None:
    """The expression, a short text, or what the classifiers say; a whole licence is none of these."""
    assert describing.describe(None, f"Metadata-Version: 2.4\n{headers}\n").license == license


def test_a_description_among_the_headers() -> None:
    """Metadata before 2.1 has the long description as a header, each line indented."""
    text = "Metadata-Version: 1.1\r\nName: demo\r\nDescription: One\r\n        \r\n        two\r\n          three\r\n"
    assert describing.describe(None, text).description == "One\n\ntwo\n  three"
    assert "Description" not in describing.describe(None, text).fields


@pytest.mark.parametrize("text", ["", "\n", "no colon", "\x00\n\n\x00", "Requires-Dist:\nRequires-Dist", "a: b\n c\n"])
def test_no_document_is_an_error(text: str) -> None:
    """What upstreams offer as metadata may be anything."""
    assert describing.describe(None, text).title is None


def test_order_of_versions() -> None:
    """PEP 440, with equal versions in one place, and before all what is no version."""
    ranks = describing.ranks(["1.10", "1.9", "1.9.0", "1.9rc1", "final", "2!0"])
    assert sorted(ranks, key=lambda version: (ranks[version], version)) == [
        "final",
        "1.9rc1",
        "1.9",
        "1.9.0",
        "1.10",
        "2!0",
    ]
    assert ranks["1.9"] == ranks["1.9.0"]
