"""Sources, and the packages that commands put into them and take out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub

Make = Callable[..., Path]


def test_create_source(entrepot: Entrepot) -> None:
    """`create source` makes a local one unless told otherwise."""
    assert entrepot.said("create", "source", "--name=internal") == ["Source 'internal':", "  Type:  Local"]
    made = entrepot.json("create", "source", "--name=other", "--type=Local")
    assert (made["name"], made["type"], made["mirror"]) == ("other", "local", False)


def test_create_source_twice(entrepot: Entrepot) -> None:
    """A taken name is a conflict (5), unless success was asked for."""
    entrepot.said("create", "source", "--name=internal")
    assert entrepot.failed("create", "source", "--name=internal")[0] == 5
    assert entrepot.said("create", "source", "--name=internal", "--succeed-on-existing")[0] == "Source 'internal':"


def test_edit_source(entrepot: Entrepot) -> None:
    """`edit source` renames."""
    entrepot.said("create", "source", "--name=internal")
    assert entrepot.said("edit", "source", "--name=internal", "--new-name=own") == ["Source 'own':", "  Type:  Local"]
    assert entrepot.json("edit", "source", "--name=own", "--new-name=ours")["name"] == "ours"


def test_delete_source(entrepot: Entrepot) -> None:
    """A source that is subscribed to stays (5); a free one goes."""
    entrepot.said("create", "repo", "--name=demo")
    entrepot.said("create", "source", "--name=internal")
    entrepot.said("create", "source", "--name=free")
    entrepot.said("subscribe", "--repo=demo", "--source=internal")
    assert entrepot.failed("delete", "source", "--name=internal")[0] == 5
    assert entrepot.said("delete", "source", "--name=free") == ["Deleted source 'free'"]
    entrepot.said("unsubscribe", "--repo=demo", "--source=internal")
    assert entrepot.json("delete", "source", "--name=internal") == {"source": "internal", "deleted": True}


@pytest.fixture
def internal(entrepot: Entrepot) -> Entrepot:
    """The command line for a server with the local source `internal`."""
    entrepot.said("create", "source", "--name=internal")
    return entrepot


def test_add_by_list(internal: Entrepot, package: Make) -> None:
    """`add` takes a comma list and repetition, and says a line per file."""
    paths = [package(name, "1.0") for name in ("aa", "bb", "cc")]
    said = internal.said("add", "--source=internal", f"--path={paths[0]},{paths[1]}", "--path", str(paths[2]))
    assert said == [f"Added package '{path.name}'" for path in paths]


def test_add_as_json(internal: Entrepot, package: Make) -> None:
    """JSON is the transaction's number and its changes."""
    done = internal.json("add", "--source=internal", f"--path={package('aa', '1.0')}", "--comment=first")
    assert done["changes"] == [{"change": "added", "name": "aa", "version": "1.0", "previous": None}]
    assert isinstance(done["transaction"], int)


def test_add_from_a_list_of_files(internal: Entrepot, package: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--file-in` reads a path per line, relative to the working directory, and skips blanks and comments."""
    folder = package("aa", "1.0").parent
    package("bb", "1.0")
    (folder / "lists").mkdir()
    (folder / "lists" / "new.txt").write_text("# ours\n\naa_1.0.tar.gz\n  bb_1.0.tar.gz  \n")
    monkeypatch.chdir(folder)
    said = internal.said("add", "--source=internal", "--file-in=lists/new.txt")
    assert said == ["Added package 'aa_1.0.tar.gz'", "Added package 'bb_1.0.tar.gz'"]


def test_add_from_standard_input(internal: Entrepot, package: Make) -> None:
    """`--file-in=-` reads the list from standard input."""
    result = internal("add", "--source=internal", "--file-in=-", stdin=f"{package('aa', '1.0')}\n")
    assert (result.exit_code, result.stdout) == (0, "Added package 'aa_1.0.tar.gz'\n")


def test_a_quoted_path_keeps_its_comma(internal: Entrepot, package: Make, tmp_path: Path) -> None:
    """A path with a comma can be given in quotes, as in Cobra."""
    (tmp_path / "a,b").mkdir()
    path = package("aa", "1.0").rename(tmp_path / "a,b" / "aa_1.0.tar.gz")
    assert internal.said("add", "--source=internal", f'--path="{path}"') == ["Added package 'aa_1.0.tar.gz'"]


def test_add_replaces_on_demand(internal: Entrepot, package: Make) -> None:
    """A version that exists is a conflict (5) without `--replace`."""
    path = package("aa", "1.0")
    internal.said("add", "--source=internal", f"--path={path}")
    changed = package("aa", "1.0", "Another Title")
    assert internal.failed("add", "--source=internal", f"--path={changed}")[0] == 5
    assert internal.said("add", "--source=internal", f"--path={changed}", "--replace") == [
        "Added package 'aa_1.0.tar.gz'"
    ]


def test_add_lists_all_missing_files_and_sends_nothing(stubbed: Entrepot, stub: Stub, package: Make) -> None:
    """Missing files are told together, before a byte was sent (2)."""

    args = ("add", "--source=internal", f"--path={package('aa', '1.0')},no-b.tar.gz,no-c.tar.gz")
    assert stubbed.failed(*args) == (
        2,
        [
            "Error: 2 faults, nothing was changed:",
            "  can't read 'no-b.tar.gz': no such file or directory",
            "  can't read 'no-c.tar.gz': no such file or directory",
        ],
    )
    error = json.loads(stubbed(*args, "-o", "json").stderr)
    assert [fault["subject"] for fault in error["payload"]["faults"]] == ["no-b.tar.gz", "no-c.tar.gz"]
    assert stub.seen == []


def test_add_refuses_a_folder(internal: Entrepot, tmp_path: Path) -> None:
    """A single file that can't be read is told as it is (2)."""
    code, said = internal.failed("add", "--source=internal", f"--path={tmp_path}")
    assert (code, said) == (2, [f"Error: can't read '{tmp_path}': is a directory"])


def test_add_without_files(internal: Entrepot) -> None:
    """`add` without a file is a usage error (2)."""
    said = internal.failed("add", "--source=internal")
    assert said == (2, ["Error: no files to add", "Hint: give --path=FILE or --file-in=FILE"])


def test_add_with_a_list_that_is_not_there(internal: Entrepot) -> None:
    """A missing `--file-in` is told by name (2)."""
    said = internal.failed("add", "--source=internal", "--file-in=no.txt")
    assert said == (2, ["Error: can't use 'no.txt': no such file or directory"])


def test_add_with_a_list_that_is_not_text(internal: Entrepot, package: Make) -> None:
    """A package given as the list is told to be none (2)."""
    path = package("aa", "1.0")
    code, said = internal.failed("add", "--source=internal", f"--file-in={path}")
    assert (code, said[0]) == (2, f"Error: '{path}' is not a text file")


def test_add_tells_the_servers_faults_one_per_line(internal: Entrepot, tmp_path: Path) -> None:
    """Several faults of a batch come one per line (2)."""
    paths = [tmp_path / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text("no package")
    code, said = internal.failed("add", "--source=internal", f"--path={paths[0]},{paths[1]}")
    assert (code, said[0]) == (2, "Error: 2 faults, nothing was changed:")
    assert [(line.count(path.name), line[:2]) for line, path in zip(said[1:], paths, strict=True)] == [(1, "  ")] * 2


def test_archive(internal: Entrepot, package: Make) -> None:
    """`archive` says what became archived."""
    internal.said("add", "--source=internal", f"--path={package('aa', '1.0')},{package('bb', '2.0')}")
    said = internal.said("archive", "--name=aa", "--source=internal", "--comment=old")
    assert said == ["Archived package 'aa' 1.0"]
    done = internal.json("archive", "--name=bb", "--source=internal")
    assert done["changes"] == [{"change": "archived", "name": "bb", "version": "2.0", "previous": None}]


def test_remove_package(internal: Entrepot, package: Make) -> None:
    """`remove package` takes all versions, the current one or a named one."""
    for version in ("1.0", "1.1", "1.2"):
        internal.said("add", "--source=internal", f"--path={package('aa', version)}")
    assert internal.said("remove", "package", "--name=aa@1.1", "--source=internal") == ["Removed package 'aa' 1.1"]
    done = internal.json("remove", "package", "--name=aa@all", "--source=internal", "--comment=over")
    assert {(change["change"], change["version"]) for change in done["changes"]} == {
        ("removed", "1.0"),
        ("removed", "1.2"),
    }
    assert internal.failed("remove", "package", "--name=aa@current", "--source=internal")[0] == 4


@pytest.mark.parametrize("name", ["a", "a@", "@all", ""])
def test_remove_needs_a_scope(entrepot: Entrepot, name: str) -> None:
    """A name without a scope is a usage error that lists the scopes (2)."""
    code, said = entrepot.failed("remove", "package", f"--name={name}", "--source=internal")
    known = name.partition("@")[0] or "PACKAGE"
    assert (code, said) == (
        2,
        [
            f"Error: '{name}' does not say what of the package to remove",
            f"Hint: give --name={known}@all (every version), {known}@current or {known}@1.2.3 (that version)",
        ],
    )
