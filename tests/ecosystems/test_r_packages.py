"""PACKAGES in its three forms, against `tools::write_PACKAGES` and `available.packages`."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.model import File, Listed
from entrepot.ecosystems.r import dcf, packages, paths, rds, tarball
from entrepot.ecosystems.r.rdsvalues import RVector
from tests.ecosystems.views import listed
from tests.support.archives import make_source_package
from tests.support.r import run_r


def always(_: File) -> bool:
    return True


def never(_: File) -> bool:
    return False


GOLDEN = b"""\
Package: A3
Version: 1.0.0
Depends: R (>= 2.15.0), xtable, pbapply
License: GPL (>= 2)
NeedsCompilation: no
MD5sum: 027ebdd8affce8f0effaecfcd5f5ade2
SHA256: 1111111111111111111111111111111111111111111111111111111111111111
Filesize: 45252

Package: unread
Version: 0.1-2

"""


def test_the_index_as_text() -> None:
    """Name, version, the file's fields, then what is known of its bytes; one empty line after each."""
    fields = "Depends: R (>= 2.15.0), xtable, pbapply\nLicense: GPL (>= 2)\nNeedsCompilation: no\n"
    files = [
        listed("A3", "1.0.0", fields=fields, size=45252, md5="027ebdd8affce8f0effaecfcd5f5ade2"),
        listed("unread", "0.1-2", fields=None, size=None, md5=None, sha256=None),
    ]
    assert packages.render(files, always) == GOLDEN
    assert packages.render(files, never) == GOLDEN.replace(b"SHA256: " + b"1" * 64 + b"\n", b"")
    assert packages.render([], always) == b""


def test_the_sha_256_is_told_of_those_files_only_that_the_caller_says() -> None:
    """The choice is made file by file."""
    files = [listed("aa", "1.0"), listed("bb", "1.0")]
    text = packages.render(files, lambda file: file.package == "bb")
    assert [("SHA256" in stanza) for stanza in dcf.parse(text)] == [False, True]


_VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(dcf.collapse).filter(bool)
_FIELDS = st.dictionaries(st.sampled_from(["Depends", "Suggests", "Odd", "Ödd", "License"]), _VALUES)


@given(st.lists(_FIELDS, max_size=4), st.booleans())
def test_the_three_forms_agree(all_fields: list[dict[str, str]], tell: bool) -> None:
    """PACKAGES, PACKAGES.gz and PACKAGES.rds say the same, field for field."""
    files = [listed(f"p{n}", "1.0", fields=dcf.write_fields(fields)) for n, fields in enumerate(all_fields)]
    text = packages.render(files, lambda _: tell)
    assert gzip.decompress(packages.gz(text)) == text
    stanzas = list(dcf.parse(text))
    assert entries(packages.render_rds(files, lambda _: tell)) == stanzas


def entries(data: bytes) -> list[dict[str, str]]:
    """The rows of a PACKAGES.rds, each without what is NA."""
    matrix = rds.read(data)
    assert isinstance(matrix, RVector)
    dim, dimnames = matrix.attributes["dim"], matrix.attributes["dimnames"]
    assert isinstance(dim, RVector)
    assert isinstance(dimnames, RVector)
    columns = dimnames.values[1]
    assert isinstance(columns, RVector)
    count = int(str(dim.values[0]))
    rows = [dict(zip(columns.values, matrix.values[row::count], strict=True)) for row in range(count)]
    return [{str(key): str(value) for key, value in row.items() if value is not None} for row in rows]


def test_the_bytes_are_the_same_every_time() -> None:
    """Two nodes that render one snapshot give one ETag."""
    files = [listed("aa", "1.0"), listed("bb", "1.0")]
    text = packages.render(files, always)
    assert packages.gz(text) == packages.gz(text)
    assert packages.render_rds(files, always) == packages.render_rds(iter(files), always)


def test_the_fields_of_a_description_are_those_that_clients_read() -> None:
    """Those of write_PACKAGES in its order and SystemRequirements, on one line each; nothing of the rest."""
    description = {
        "Package": "demo",
        "SystemRequirements": "libcurl",
        "License": "GPL-3",
        "Title": "x",
        "Depends": "R (>= 3.5),\n  methods",
        "Enhances": "",
        "MD5sum": "of another file",
        "OS_type": "unix",
    }
    want = "Depends: R (>= 3.5), methods\nLicense: GPL-3\nOS_type: unix\n{}SystemRequirements: libcurl\n"
    compiled = {True: "NeedsCompilation: yes\n", False: "NeedsCompilation: no\n", None: ""}
    for has_src_folder, line in compiled.items():
        fields = packages.fields_of_description(description, has_src_folder=has_src_folder)
        assert fields == want.format(line)
    said = packages.fields_of_description({"NeedsCompilation": "no"}, has_src_folder=True)
    assert said == "NeedsCompilation: no\n"


def test_the_fields_of_an_upstream_stanza_are_all_kept() -> None:
    """In their order, but for those that tell of the file."""
    stanza = {"Package": "a", "Version": "1", "Zeta": "1", "Depends": "R", "MD5sum": "x", "Filesize": "1", "Path": "p"}
    assert packages.fields_of_stanza(stanza) == "Zeta: 1\nDepends: R\n"


TARBALLS = {
    "plain_1.0.tar.gz": make_source_package("plain", "1.0"),
    "folded_0.1-2.tar.gz": make_source_package(
        "folded", "0.1-2", fields={"Depends": "R (>= 3.5),\nmethods", "Imports": "\nutils,\n  stats", "Suggests": ""}
    ),
    "compiled_1.0.tar.gz": make_source_package(
        "compiled", "1.0", fields={"NeedsCompilation": None}, files={"src/a.c": b"int a;\n"}
    ),
    "pure_1.0.tar.gz": make_source_package("pure", "1.0", fields={"NeedsCompilation": None}),
    "deepsrc_1.0.tar.gz": make_source_package(
        "deepsrc", "1.0", fields={"NeedsCompilation": None}, files={"inst/src/a.c": b""}
    ),
    "srcfile_1.0.tar.gz": make_source_package("srcfile", "1.0", fields={"NeedsCompilation": None}, files={"src": b""}),
    "all.of.them_1.0.tar.gz": make_source_package(
        "all.of.them",
        "1.0",
        fields={
            "Priority": "optional",
            "LinkingTo": "Rcpp",
            "Enhances": "MASS",
            "License_is_FOSS": "yes",
            "License_restricts_use": "no",
            "OS_type": "unix",
            "Archs": "i386, x64",
            "SystemRequirements": "libcurl",
        },
    ),
}


def read_all(folder: Path) -> list[Listed]:
    """The source packages of a folder as we would list them."""
    files = []
    for path in sorted(folder.glob("*.tar.gz")):
        data = path.read_bytes()
        found = tarball.read_source_package(io.BytesIO(data), file_name=path.name, compressed_size=len(data))
        fields = packages.fields_of_description(found.description, has_src_folder=found.has_src_folder)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        files.append(listed(found.name, found.version, fields=fields, size=None, md5=md5))
    return files


def assert_as_written_by_r(folder: Path) -> None:
    """Ours and `write_PACKAGES` (into `folder`) say the same of all its packages, licences as their authors wrote them.

    R writes known licences in a standard spelling; we leave that to who reads them.
    """
    run_r(f"""x <- tools::write_PACKAGES("{folder}", latestOnly = FALSE)""")
    theirs = by_file(dcf.parse((folder / "PACKAGES").read_bytes()))
    ours = by_file(dcf.parse(packages.render(read_all(folder), never)))
    assert ours.keys() == theirs.keys()
    for name, stanza in ours.items():
        stanza.pop("SystemRequirements", None)
        licence = stanza.pop("License", ""), theirs[name].pop("License", "")
        assert licence[1].replace(" ", "") in (licence[0].replace(" ", ""), "")
        assert stanza == theirs[name]


def by_file(stanzas: Iterable[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {paths.file_name(stanza["Package"], stanza["Version"]): stanza for stanza in stanzas}


@pytest.mark.r
def test_r_indexes_the_same(rscript: Path, tmp_path: Path) -> None:
    """`tools::write_PACKAGES` on the same tarballs gives the same fields with the same values."""
    for name, data in TARBALLS.items():
        (tmp_path / name).write_bytes(data)
    assert_as_written_by_r(tmp_path)


@pytest.mark.r
def test_r_indexes_real_packages_the_same(rscript: Path, tmp_path: Path) -> None:
    """The same with real packages of CRAN, where TEST_CRAN_TREE names a tree of them."""
    tree = os.environ.get("TEST_CRAN_TREE")
    if not tree:
        pytest.skip("TEST_CRAN_TREE names no CRAN-like tree")
    for path in Path(tree).glob("src/contrib/**/*.tar.gz"):
        (tmp_path / path.name).symlink_to(path)
    assert_as_written_by_r(tmp_path)


AVAILABLE = """
    read <- function(folder) available.packages(paste0("file://", folder), filters = list(),
                                                fields = c("SHA256", "SystemRequirements"))
    same <- function(x, y) identical(x[, colnames(x) != "Repository"], y[, colnames(y) != "Repository"])
"""


@pytest.mark.r
def test_r_reads_the_three_forms_alike(rscript: Path, tmp_path: Path) -> None:
    """`available.packages` gives the same matrix from .rds, .gz and plain text, with real values in it."""
    files = [listed("aa", "1.0", fields="Depends: R (>= 3.5)\nSystemRequirements: libcurl\n"), listed("bb", "2.0")]
    text = packages.render(files, always)
    bodies = {"plain": ("PACKAGES", text), "rds": ("PACKAGES.rds", packages.render_rds(files, always))}
    for folder, (name, body) in bodies.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(body)
    # From a file: URL R reads .rds or plain text; `read.dcf` unpacks by itself.
    (tmp_path / "gz").mkdir()
    (tmp_path / "gz" / "PACKAGES").write_bytes(packages.gz(text))
    done = run_r(f"""{AVAILABLE}
        setwd("{tmp_path}")
        plain <- read("{tmp_path}/plain"); gz <- read("{tmp_path}/gz"); rds <- read("{tmp_path}/rds")
        stopifnot(same(plain, gz), same(plain, rds), identical(rownames(rds), c("aa", "bb")))
        cat(rds["aa", c("Version", "Depends", "SystemRequirements", "MD5sum")], sep = "|")""")
    assert done.stdout == f"1.0|R (>= 3.5)|libcurl|{'0' * 32}"


@pytest.mark.r
def test_r_reads_an_empty_index(rscript: Path, tmp_path: Path) -> None:
    """A repository without packages is one to R, in each form, without a warning."""
    text = packages.render([], always)
    bodies = {"plain": text, "gz": packages.gz(text), "rds": packages.render_rds([], always)}
    for folder, body in bodies.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ("PACKAGES.rds" if folder == "rds" else "PACKAGES")).write_bytes(body)
    done = run_r(f"""{AVAILABLE}
        options(warn = 2)
        for (form in c("plain", "gz", "rds")) cat(dim(read(file.path("{tmp_path}", form))), "")
        x <- readRDS("{tmp_path}/rds/PACKAGES.rds")
        cat(length(x), is.character(x), is.matrix(x), identical(colnames(x),
            tools:::.get_standard_repository_db_fields("source")))""")
    assert done.stdout == "0 19 0 19 0 19 0 TRUE TRUE TRUE"
