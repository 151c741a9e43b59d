"""`core.closure`: what a list of R packages brings along, each at one version, by R's own rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.closure import ALL, DEFAULT, Chosen, Closure, Lacking, close
from entrepot.core.errors import Contradiction
from entrepot.core.model import File, FileStatus, Listed, PackageName
from entrepot.core.releases import Dependency
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.r import dependencies, lists
from entrepot.ecosystems.r.base import BASE
from entrepot.ecosystems.r.versions import version_key

CURRENT, ARCHIVED = FileStatus.CURRENT, FileStatus.ARCHIVED
_FIELD = {"imports": "Imports", "depends": "Depends", "linking-to": "LinkingTo", "suggests": "Suggests"}


class Stock:
    """A snapshot in memory: versions are added oldest first, and the last one is current unless it is said otherwise.

    `unread` are versions whose dependencies nobody has read.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[Listed]] = {}
        self.told: dict[int, Mapping[str, Sequence[Dependency]] | None] = {}

    def add(
        self,
        name: str,
        version: str = "1.0",
        fields: Mapping[str, str] | None = None,
        *,
        unread: bool = False,
        archived: bool = False,
        **more: str,
    ) -> None:
        id_ = len(self.told)
        file = File(id_, 1, PackageName(name), version, f"{name}_{version}.tar.gz", 1, None, None, None, None, "")
        rows = self.rows.setdefault(name, [])
        rows[:] = [row._replace(status=ARCHIVED) for row in rows]
        rows.append(Listed(file, ARCHIVED if archived else CURRENT))
        told = dependencies.of_description({**(fields or {}), **more})
        kinds = {"linkingto": "linking-to"}
        self.told[id_] = None if unread else {kinds.get(field, field): needed for field, needed in told.items()}

    def current(self, package: str) -> Listed | None:
        return next((row for row in self.rows.get(package, ()) if row.status is CURRENT), None)

    def every(self, package: str) -> Sequence[Listed]:
        return self.rows.get(package, ())

    def needs(self, file: File) -> Mapping[str, Sequence[Dependency]] | None:
        return self.told[file.id]

    def comes_with_r(self, name: str) -> bool:
        return name in BASE and name not in self.rows

    def satisfies(self, version: str, specifier: str) -> bool:
        return lists.satisfies(version, specifier)

    def newest(self, rows: Iterable[Listed]) -> Listed:
        return max(rows, key=lambda row: version_key(row.file.version))


def stock(**packages: Mapping[str, str]) -> Stock:
    """Packages at 1.0 with these fields."""
    found = Stock()
    for name, fields in packages.items():
        found.add(name, fields=fields)
    return found


def asked(text: str) -> tuple[Requirement, ...]:
    return lists.read(text).requirements


def closed(text: str, shelf: Stock, *, include: Iterable[str] = DEFAULT, barred: str = "") -> Closure:
    return close(asked(text), shelf, include=include, barred=asked(barred) if barred else ())


def versions(found: Closure) -> dict[str, str]:
    return {name: chosen.file.version for name, chosen in found.chosen.items()}


def reasons(found: Closure) -> dict[str, str]:
    """Package -> the chain to it, as people read it."""
    return {name: " > ".join(chosen.why) for name, chosen in found.chosen.items()}


def test_what_is_needed_comes_along() -> None:
    """Depends, Imports and LinkingTo come, theirs too; Suggests and Enhances don't."""
    shelf = stock(
        app={"Depends": "a", "Imports": "b", "LinkingTo": "c", "Suggests": "d", "Enhances": "e"},
        a={"Imports": "deep"},
        b={},
        c={},
        d={},
        e={},
        deep={},
        other={},
    )
    found = closed("app", shelf)
    assert reasons(found) == {"app": "", "b": "app", "a": "app", "c": "app", "deep": "app > a"}
    assert found.chosen[PackageName("deep")] == Chosen(shelf.rows["deep"][0], (PackageName("app"), PackageName("a")))
    assert (found.missing, found.unknown, found.unread, found.unmet, found.needs_r) == ((), (), (), (), None)


def test_a_chain_is_the_shortest_one() -> None:
    """Of several ways to a package the shortest is told, from whichever line it begins."""
    shelf = stock(
        one={"Imports": "x1"},
        x1={"Imports": "x2"},
        x2={"Imports": "goal"},
        two={"Imports": "y1"},
        y1={"Imports": "goal"},
        goal={},
    )
    assert reasons(closed("one\ntwo", shelf))["goal"] == "two > y1"
    assert reasons(closed("two\none", shelf))["goal"] == "two > y1"
    assert reasons(closed("one\ngoal", shelf))["goal"] == ""


@pytest.mark.parametrize(
    ("include", "brought"),
    [
        ((), set()),
        (("imports",), {"i", "ii"}),
        (("linking-to",), {"l"}),
        (("depends", "imports"), {"d", "i", "ii"}),
        (DEFAULT, {"d", "i", "ii", "l"}),
        (ALL, {"d", "i", "ii", "l", "s", "si"}),
        (("suggests",), {"s"}),
    ],
)
def test_only_the_kinds_that_are_included_are_followed(include: tuple[str, ...], brought: set[str]) -> None:
    """A source brings the kinds that it was made for; Suggests of what is asked for alone."""
    shelf = stock(
        app={"Depends": "d", "Imports": "i", "LinkingTo": "l", "Suggests": "s"},
        d={},
        i={"Imports": "ii", "Suggests": "never"},
        ii={},
        l={},
        s={"Imports": "si", "Suggests": "never"},
        si={"Suggests": "never"},
        never={},
    )
    assert set(versions(closed("app", shelf, include=include))) == {"app", *brought}


def test_extras_are_of_their_line_alone() -> None:
    """`[suggests]` brings what this package suggests with its needs, and nothing that others suggest."""
    shelf = stock(
        app={"Imports": "lib", "Suggests": "s"},
        lib={"Suggests": "never"},
        s={"Imports": "si", "Suggests": "never"},
        si={},
        plain={"Suggests": "never"},
        never={},
    )
    assert set(versions(closed("app [suggests]\nplain", shelf))) == {"app", "lib", "s", "si", "plain"}
    assert set(versions(closed("app [imports]\nplain", shelf, include=()))) == {"app", "lib", "plain"}
    assert set(versions(closed("app\napp [suggests]", shelf))) == {"app", "lib", "s", "si"}


def test_what_is_asked_for_and_needed_too_brings_what_it_is_asked_for() -> None:
    """A package that comes along and is asked for with its suggestions brings them, in either order of the lines."""
    shelf = stock(app={"Imports": "lib"}, lib={"Suggests": "s"}, s={})
    for text in ("app\nlib [suggests]", "lib [suggests]\napp"):
        assert reasons(closed(text, shelf)) == {"app": "", "lib": "", "s": "lib"}


def test_a_suggestion_is_followed_by_what_it_needs_where_only_some_kinds_are() -> None:
    """What `[suggests]` brought is itself followed by the kinds of the source."""
    shelf = stock(app={"Suggests": "s"}, s={"Imports": "i", "LinkingTo": "l"}, i={}, l={})
    assert set(versions(closed("app [suggests]", shelf, include=("imports",)))) == {"app", "s", "i"}


def test_cycles_end() -> None:
    """Packages that suggest, or even import, each other are each taken once."""
    shelf = stock(
        aa={"Imports": "bb", "Suggests": "cc"},
        bb={"Imports": "aa", "Suggests": "aa"},
        cc={"Suggests": "aa", "Imports": "aa, cc"},
    )
    assert reasons(closed("aa", shelf, include=ALL)) == {"aa": "", "bb": "aa", "cc": "aa"}


def test_base_packages_are_no_dependencies() -> None:
    """What comes with R is not looked for; recommended packages are packages like any other."""
    shelf = stock(
        app={"Depends": "R (>= 3.5.0), methods", "Imports": "stats, utils, MASS", "LinkingTo": "tools"}, MASS={}
    )
    found = closed("app", shelf)
    assert (versions(found), found.missing) == ({"app": "1.0", "MASS": "1.0"}, ())
    asked_for = closed("app\nstats\nnowhere", shelf)
    assert asked_for.unknown == (
        Lacking("stats", (), "it comes with R itself"),
        Lacking("nowhere", (), "the snapshot has no such package"),
    )


def test_the_highest_r_is_told_with_who_needs_it() -> None:
    """`R (>= x)` of all that comes along, compared as versions; told too where Depends is not followed."""
    shelf = stock(
        app={"Depends": "R (>= 3.10)", "Imports": "lib, old"},
        lib={"Depends": "R (>= 3.9.9)"},
        old={"Depends": "R (>= 3.10.0), R (< 5)"},
        free={"Depends": "R"},
    )
    assert closed("free\napp", shelf).needs_r == ("3.10.0", "old")
    assert closed("app", shelf, include=()).needs_r == ("3.10", "app")
    assert closed("free", shelf).needs_r is None


def test_what_the_snapshot_lacks_is_told_once_with_its_chain() -> None:
    """A missing dependency stops nobody; the first shortest chain to it is told."""
    shelf = stock(app={"Imports": "lib, gone"}, lib={"Imports": "gone, lost"}, other={"Imports": "lost"})
    found = closed("app\nother", shelf)
    why = "the snapshot has no such package"
    assert found.missing == (Lacking("gone", (PackageName("app"),), why), Lacking("lost", (PackageName("other"),), why))
    assert versions(found) == {"app": "1.0", "lib": "1.0", "other": "1.0"}


def test_an_archived_package_is_no_dependency_and_not_asked_for_by_its_name() -> None:
    """What a snapshot has in its archive alone, as R does, comes only if a version of it is asked for."""
    shelf = stock(app={"Imports": "gone"})
    shelf.add("gone", "0.9", archived=True)
    shelf.add("gone", "0.10", archived=True)
    found = closed("app\ngone", shelf)
    assert found.unknown == (
        Lacking("gone", (), "it is archived at this snapshot; ask for a version, such as gone==0.10"),
    )
    assert found.missing == (Lacking("gone", (PackageName("app"),), "the snapshot has no such package"),)
    assert versions(closed("app\ngone==0.10", shelf)) == {"app": "1.0", "gone": "0.10"}
    assert versions(closed("app\ngone>=0.9", shelf)) == {"app": "1.0", "gone": "0.10"}


def three_versions() -> Stock:
    """lib 1.0, 1.5 and the current 2.0, each with other needs."""
    shelf = stock(old={}, mid={}, new={})
    shelf.add("lib", "1.0", Imports="old")
    shelf.add("lib", "1.5", Imports="mid")
    shelf.add("lib", "2.0", Imports="new")
    return shelf


@pytest.mark.parametrize(
    ("line", "brought"),
    [
        ("lib", {"lib": "2.0", "new": "1.0"}),
        ("lib>=1.5", {"lib": "2.0", "new": "1.0"}),
        ("lib<2.0", {"lib": "1.5", "mid": "1.0"}),
        ("lib (<= 1.4)", {"lib": "1.0", "old": "1.0"}),
        ("lib==1-5", {"lib": "1.5", "mid": "1.0"}),
        ("lib>1.0,<2.0", {"lib": "1.5", "mid": "1.0"}),
        ("lib>1.0\nlib!=2.0", {"lib": "1.5", "mid": "1.0"}),
    ],
)
def test_bounds_choose_the_newest_version_within_them(line: str, brought: dict[str, str]) -> None:
    """The current version if it is within the bounds of all lines, else the newest archived one, with its own needs."""
    assert versions(closed(line, three_versions())) == brought


def test_a_bound_that_upstream_does_not_meet_is_a_note() -> None:
    """Where the snapshot itself doesn't fit together, it is told and taken as it is."""
    shelf = three_versions()
    shelf.add("app", Imports="lib (>= 3.0)")
    found = closed("app\nlib", shelf)
    assert versions(found) == {"app": "1.0", "lib": "2.0", "new": "1.0"}
    assert found.unmet == ("app 1.0 needs lib (>= 3.0), the snapshot has 2.0",)


def test_a_version_that_was_asked_for_gives_way_to_who_needs_another() -> None:
    """Within the asked bounds the newest that the others can do with is chosen, whichever line comes first."""
    shelf = three_versions()
    shelf.add("app", Imports="lib (< 1.5)")
    for text in ("app\nlib<2.0", "lib<2.0\napp"):
        assert versions(closed(text, shelf)) == {"app": "1.0", "lib": "1.0", "old": "1.0"}


def contradiction(text: str, shelf: Stock, *, barred: str = "") -> Contradiction:
    with pytest.raises(Contradiction) as caught:
        closed(text, shelf, barred=barred)
    return caught.value


def test_a_contradiction_of_two_lines_names_both_and_nothing_else() -> None:
    """The smallest set of bounds that no version satisfies, with what the snapshot has."""
    error = contradiction("lib>=1.0\nlib<3.0\nlib>1.5\nlib<1.5", three_versions())
    assert error.message == "no version of lib at this snapshot satisfies line 3 (lib>1.5) and line 4 (lib<1.5)"
    assert error.hint == "the snapshot has 3 versions up to 2.0, 2.0 is current"
    assert error.payload == {"package": "lib", "bounds": [">1.5", "<1.5"]}


def test_one_bound_that_nothing_satisfies_is_named_alone() -> None:
    """A version that isn't there contradicts by itself; a line's other bounds are left out of it."""
    error = contradiction("lib>=1.0,==1.7", three_versions())
    assert error.payload == {"package": "lib", "bounds": ["==1.7"]}
    assert error.message == "no version of lib at this snapshot satisfies line 1 (lib>=1.0,==1.7)"


def test_a_contradiction_between_a_line_and_a_need_names_both_with_the_chain() -> None:
    """Who needs another version is named with its own version and the way to it."""
    shelf = three_versions()
    shelf.add("mids", Imports="lib (>= 2.0)")
    shelf.add("app", Imports="mids")
    error = contradiction("app\nlib<2.0", shelf)
    assert error.message == (
        "no version of lib at this snapshot satisfies line 2 (lib<2.0)"
        " and mids 1.0 needs lib (>= 2.0) (by way of app > mids)"
    )


def test_two_needs_that_contradict_each_other_within_a_line() -> None:
    """Three bounds that only together leave nothing are all named, and no fourth."""
    shelf = three_versions()
    shelf.add("low", Imports="lib (<= 1.0)")
    shelf.add("high", Imports="lib (>= 1.5)")
    error = contradiction("low\nhigh\nlib!=9.9,<2.0", shelf)
    assert error.payload == {"package": "lib", "bounds": ["<=1.0", ">=1.5"]}
    error = contradiction("lib!=1.0\nlib!=7.0\nlib!=1.5\nlib!=2.0\nlib>0.5", three_versions())
    assert error.payload == {"package": "lib", "bounds": ["!=1.0", "!=1.5", "!=2.0"]}


def test_contradictions_of_several_packages_come_together() -> None:
    """All packages whose lines contradict are told in one error."""
    shelf = three_versions()
    error = contradiction("lib>2.0\nold>=2.0\nmid", shelf)
    assert error.message == (
        "no version of lib at this snapshot satisfies line 1 (lib>2.0);"
        " no version of old at this snapshot satisfies line 2 (old>=2.0)"
    )
    faults = error.payload["contradictions"]
    assert isinstance(faults, list)
    assert [fault["payload"]["package"] for fault in faults] == ["lib", "old"]


def test_many_bounds_that_contradict_only_together_are_told_soon() -> None:
    """Also where thousands of lines are about one package: those that matter are found, and those alone."""
    shelf = Stock()
    for number in range(6):
        shelf.add("lib", f"1.{number}")
    lines = [f"lib!=2.{number}" for number in range(3000)]
    lines[1000:1000] = [f"lib!=1.{number}" for number in range(5)]
    lines += ["lib<1.5", *["lib>=0.1"] * 3000]
    error = contradiction("\n".join(lines), shelf)
    assert error.payload == {"package": "lib", "bounds": [*(f"!=1.{n}" for n in range(5)), "<1.5"]}


def test_barred_versions_are_never_chosen() -> None:
    """Neither for what is asked for nor for what comes along; of what comes along nothing may be left."""
    shelf = three_versions()
    shelf.add("app", Imports="lib")
    assert versions(closed("lib", shelf, barred="lib!=2.0")) == {"lib": "1.5", "mid": "1.0"}
    assert versions(closed("app", shelf, barred="lib!=2.0")) == {"app": "1.0", "lib": "1.5", "mid": "1.0"}
    gone = closed("app", shelf, barred="lib!=2.0\nlib!=1.5\nlib!=1.0")
    assert versions(gone) == {"app": "1.0"}
    assert gone.missing == (Lacking("lib", (PackageName("app"),), "the snapshot has no such package"),)
    assert versions(closed("app", shelf, barred="elsewhere!=1.0"))["lib"] == "2.0"


def test_barred_versions_can_contradict_who_needs_them() -> None:
    """If all that is left is too old for a package that comes along, that is told with both sides."""
    shelf = three_versions()
    shelf.add("app", Imports="lib (>= 2.0)")
    error = contradiction("app", shelf, barred="lib!=2.0")
    assert error.message == (
        "no version of lib at this snapshot satisfies line 1 (lib!=2.0) and app 1.0 needs lib (>= 2.0)"
    )


def test_unread_versions_are_told_until_they_are_read() -> None:
    """The closure names the versions whose needs nobody knows, and follows them once they are known."""
    shelf = stock(old={})
    shelf.add("lib", "1.0", unread=True)
    shelf.add("app", Imports="lib")
    first = closed("app", shelf)
    unread = shelf.rows["lib"][0].file
    assert (versions(first), first.unread) == ({"app": "1.0", "lib": "1.0"}, (unread,))
    shelf.told[unread.id] = {"imports": [Dependency("old")]}
    whole = closed("app", shelf)
    assert (reasons(whole), whole.unread) == ({"app": "", "lib": "app", "old": "app > lib"}, ())


# --- properties ----------------------------------------------------------------------------------------------------

NAMES = [f"p{n}" for n in range(7)]
NEEDS = st.lists(st.sampled_from([*NAMES, "stats", "nowhere"]), max_size=3, unique=True)
WORLDS = st.fixed_dictionaries({name: st.fixed_dictionaries(dict.fromkeys(_FIELD.values(), NEEDS)) for name in NAMES})
World = Mapping[str, Mapping[str, Sequence[str]]]


def shelf_of(world: World) -> Stock:
    return stock(**{name: {field: ", ".join(needs) for field, needs in told.items()} for name, told in world.items()})


@given(
    WORLDS,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    st.sets(st.sampled_from(sorted(_FIELD))),
)
def test_a_closure_is_closed_and_minimal(world: World, wanted: list[str], include: set[str]) -> None:
    """It has what every package in it needs, and nothing without a chain of such needs from a line."""
    found = closed("\n".join(wanted), shelf_of(world), include=include)
    strong = include - {"suggests"}

    def needed(name: str) -> set[str]:
        kinds = include if name in wanted else strong
        return {need for kind in kinds for need in world[name][_FIELD[kind]]} - {"stats"}

    have = set(versions(found))
    reached = {need for name in have for need in needed(name)}
    assert have == {*wanted, *(reached - {"nowhere"})}
    assert {lacking.name for lacking in found.missing} == reached & {"nowhere"}
    for name, why in reasons(found).items():
        links = [*why.split(" > "), name] if why else [name]
        assert links[0] in wanted
        assert all(after in needed(before) for before, after in pairwise(links))
        assert (not why) == (name in wanted)


@given(WORLDS, st.permutations(NAMES[:4]))
def test_the_order_of_lines_changes_no_set(world: World, order: list[str]) -> None:
    """A list sorted otherwise brings the same packages."""
    shelf = shelf_of(world)
    assert versions(closed("\n".join(order), shelf)) == versions(closed("\n".join(NAMES[:4]), shelf))
