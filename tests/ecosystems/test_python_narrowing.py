"""Which files of a project are wanted."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging import tags
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename

from entrepot.core.errors import Invalid
from entrepot.ecosystems.python.narrowing import Narrowing, keeps, narrowing

EVERYTHING = Narrowing()


def of(*platforms: str, pythons: tuple[str, ...] = (), only_binary: bool = False) -> Narrowing:
    return narrowing(only_binary=only_binary, platforms=platforms, python_versions=pythons)


def kept(limits: Narrowing, names: list[str], *, requires_python: str | None = None) -> list[str]:
    return [name for name in names if keeps(limits, name, requires_python)]


def wheels(*endings: str) -> list[str]:
    return [f"a-1.0-{ending}.whl" for ending in endings]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("linux", "linux"),
        ("Linux-AMD64", "linux-x86_64"),
        ("linux_x86_64", "linux-x86_64"),
        ("linux-arm64", "linux-aarch64"),
        ("manylinux-x86_64", "manylinux-x86_64"),
        ("musllinux-arm64", "musllinux-aarch64"),
        ("musllinux", "musllinux"),
        (" macos ", "macos"),
        ("macos-aarch64", "macos-arm64"),
        ("macos-x86_64", "macos-x86_64"),
        ("windows-x86_64", "windows-amd64"),
        ("windows-arm64", "windows-arm64"),
        ("win_amd64", "windows-amd64"),
        ("win32", "windows-x86"),
        ("x86_64-unknown-linux-gnu", "manylinux-x86_64"),
        ("aarch64-unknown-linux-musl", "musllinux-aarch64"),
        ("x86_64-manylinux_2_28", "manylinux_2_28_x86_64"),
        ("aarch64-manylinux2014", "manylinux_2_17_aarch64"),
        ("aarch64-apple-darwin", "macos-arm64"),
        ("x86_64-pc-windows-msvc", "windows-amd64"),
        ("i686-pc-windows-msvc", "windows-x86"),
        ("manylinux_2_17_x86_64", "manylinux_2_17_x86_64"),
        ("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
        ("manylinux1_i686", "manylinux_2_5_i686"),
        ("musllinux_1_2_x86_64", "musllinux_1_2_x86_64"),
        ("macosx_11_0_arm64", "macosx_11_0_arm64"),
    ],
)
def test_a_platform(written: str, normal: str) -> None:
    """The words of people, compilers and wheels come to one form, which stands for itself."""
    assert of(written) == Narrowing(False, (normal,), ())
    assert of(normal) == of(written)


def test_equal_narrowings_look_alike() -> None:
    """Neither order, repetition nor spelling makes a difference."""
    assert of("windows", "linux-amd64", "linux-x86_64", pythons=("312", "3.9", "3.10", "39", "3.13T")) == Narrowing(
        False, ("linux-x86_64", "windows"), ("3.9", "3.10", "3.12", "3.13t")
    )
    assert of() == EVERYTHING


@pytest.mark.parametrize(
    "name",
    ["", "amiga", "linux-", "linux-z80", "macos-s390x", "any", "macosx_11_0_z80", "x86_64-unknown-linux", "win_x"],
)
def test_no_platform(name: str) -> None:
    """What isn't a platform is told with what is known."""
    with pytest.raises(Invalid) as caught:
        of(name)
    assert caught.value.message == f"{name!r} is not a platform"
    assert "linux-x86_64" in (caught.value.hint or "")


@pytest.mark.parametrize("version", ["", "3", "3.", "3.10.1", ">=3.10", "cp310", "x", "4.0", "3.1234", "3.١"])
def test_no_version_of_python(version: str) -> None:
    """Versions of Python have two numbers."""
    with pytest.raises(Invalid) as caught:
        of(pythons=(version,))
    assert "is not a version of Python" in caught.value.message


def test_nothing_narrowed() -> None:
    """Without limits every file is wanted, whatever it is."""
    names = ["a-1.0.tar.gz", "a-1.0-py3-none-any.whl", "a-1.0.exe", "x.whl", "a-1.0-py2.7.egg", "nonsense"]
    assert kept(EVERYTHING, names, requires_python="<2") == names


def test_only_binary() -> None:
    """Wheels of all kinds, and nothing else."""
    names = ["a-1.0-cp27-cp27mu-win32.whl", "a-1.0-pp310-pypy310_pp73-any.whl", "a-1.0.tar.gz", "a-1.0.exe", "a.whl"]
    assert kept(of(only_binary=True), names) == names[:2]


def test_sdists_fit_every_platform() -> None:
    """An sdist is wanted wherever it can be built, installers of other kinds nowhere."""
    names = ["a-1.0.tar.gz", "a-1.0.zip", "a-1.0.win32-py2.7.exe", "a-1.0-py2.7.egg"]
    assert kept(of("windows"), names) == names[:2]
    assert kept(of(pythons=("3.10",)), names, requires_python=">=3.9") == names[:2]
    assert kept(of(pythons=("3.10",)), names, requires_python=">=3.11") == []
    assert kept(of("windows"), names, requires_python=">=3.11") == names[:2]


ALL = (
    "py3-none-any",
    "cp312-cp312-linux_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp312-cp312-manylinux_2_34_x86_64",
    "cp312-cp312-manylinux_2_17_aarch64",
    "cp312-cp312-manylinux_2_17_mips64",
    "cp312-cp312-musllinux_1_2_x86_64",
    "cp312-cp312-macosx_10_9_x86_64",
    "cp312-cp312-macosx_10_9_universal2",
    "cp312-cp312-macosx_14_0_arm64",
    "cp312-cp312-macosx_10_6_intel",
    "cp312-cp312-macosx_10_6_i386",
    "cp312-cp312-win32",
    "cp312-cp312-win_amd64",
    "cp312-cp312-win_arm64",
    "cp312-cp312-ios_13_0_arm64_iphoneos",
    "cp312-cp312-pyodide_2024_0_wasm32",
)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", [0, 1, 2, 3, 4, 5, 6]),
        ("linux-x86_64", [0, 1, 2, 3, 6]),
        ("linux-aarch64", [0, 4]),
        ("manylinux-x86_64", [0, 1, 2, 3]),
        ("manylinux_2_28_x86_64", [0, 1, 2]),
        ("manylinux1_x86_64", [0, 1]),
        ("musllinux", [0, 1, 6]),
        ("musllinux_1_1_x86_64", [0, 1]),
        ("macos", [0, 7, 8, 9, 10, 11]),
        ("macos-x86_64", [0, 7, 8, 10]),
        ("macos-arm64", [0, 8, 9]),
        ("macosx_11_0_arm64", [0, 8]),
        ("windows", [0, 12, 13, 14]),
        ("win_amd64", [0, 13]),
        ("windows-x86", [0, 12]),
    ],
)
def test_wheels_of_a_platform(platform: str, expected: list[int]) -> None:
    """A wheel is wanted if one of its tags is one that the platform takes."""
    names = wheels(*ALL)
    assert kept(of(platform), names) == [names[place] for place in expected]


def test_several_platforms() -> None:
    """What fits one of them is wanted."""
    names = wheels(*ALL)
    limits = of("macos-arm64", "windows-arm64")
    assert kept(limits, names) == [names[place] for place in (0, 8, 9, 14)]


def test_wheels_of_a_python() -> None:
    """Its own ABI, the stable ABI of it or an older one, pure ones; other implementations have no version here."""
    good = wheels(
        "cp310-cp310-win32",
        "cp310-none-win32",
        "cp310-abi3-win32",
        "cp37-abi3-win32",
        "py3-none-any",
        "py2.py3-none-any",
        "py310-none-any",
        "py36-none-win32",
        "cp39.cp310-cp39.cp310-win32",
        "1build-py3-none-any",
    )
    bad = wheels(
        "cp311-cp311-win32",
        "cp310-cp310t-win32",
        "cp310-cp39-win32",
        "cp39-none-any",
        "cp311-abi3-win32",
        "py2-none-any",
        "py311-none-any",
        "py3-cp310-win32",
        "pp310-pypy310_pp73-win32",
        "cp3-none-any",
    )
    assert kept(of(pythons=("3.10",)), good + bad) == good


def test_old_and_free_threaded_pythons() -> None:
    """Before 3.8 an ABI tells how Python was built; a free-threaded one takes no stable ABI but its own."""
    names = wheels("cp27-cp27mu-any", "cp37-cp37m-any", "cp313-cp313t-any", "cp313-cp313-any", "cp39-abi3-any")
    assert kept(of(pythons=("2.7",)), names) == names[:1]
    assert kept(of(pythons=("3.7",)), names) == names[1:2]
    assert kept(of(pythons=("3.13t",)), names) == names[2:3]
    assert kept(of(pythons=("3.13",)), names) == names[3:]


@pytest.mark.parametrize(
    ("requires_python", "is_kept"),
    [
        (None, True),
        ("", True),
        (">=3.10", True),
        (">=3.10.1", True),
        ("<3.10.5", True),
        ("==3.10.7", True),
        (">3.10.3,<3.10.5", True),
        ("<3.10", False),
        (">=3.11", False),
        ("!=3.10.*", False),
        ("<3.10.0", False),
        (">3.10.3,<3.10.4", False),
        (">=3.6.*", True),
        ("nonsense", True),
    ],
)
def test_bounds_of_python(requires_python: str | None, is_kept: bool) -> None:
    """3.10 is any release of 3.10; bounds that can't be read limit nothing."""
    limits = of(pythons=("3.10",))
    assert keeps(limits, "a-1.0-py3-none-any.whl", requires_python) is is_kept
    assert keeps(limits, "a-1.0.tar.gz", requires_python) is is_kept


def test_one_python_has_to_fit_both() -> None:
    """Tags of one version and bounds of another don't add up."""
    limits = of(pythons=("3.9", "3.12"))
    assert not keeps(limits, "a-1.0-cp39-cp39-win32.whl", ">=3.10")
    assert keeps(limits, "a-1.0-cp312-cp312-win32.whl", ">=3.10")
    assert keeps(limits, "a-1.0-py3-none-any.whl", ">=3.10")


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(8, 12), st.integers(0, 12), st.integers(0, 12))
def test_bounds_of_python_one_by_one(compare: str, minor: int, micro: int, other: int) -> None:
    """A file is kept if trying each release finds one within the bounds."""
    bounds = f"{compare}3.{minor}.{micro},!=3.10.{other}"
    tried = any(SpecifierSet(bounds).contains(f"3.10.{number}") for number in range(20))
    assert keeps(of(pythons=("3.10",)), "a-1.0.tar.gz", bounds) is tried


MINORS = st.integers(6, 14)
LINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(17, 4, -1)]
SYSTEMS = {
    "manylinux_2_17_x86_64": [*LINUX, "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"],
    "linux-x86_64": [*LINUX, "musllinux_1_2_x86_64", "linux_x86_64"],
    "x86_64-unknown-linux-gnu": ["manylinux_2_35_x86_64", *LINUX, "linux_x86_64"],
    "macos-arm64": list(tags.mac_platforms((14, 0), "arm64")),
    "macosx_12_0_arm64": list(tags.mac_platforms((12, 0), "arm64")),
    "macos-x86_64": list(tags.mac_platforms((14, 0), "x86_64")),
    "macosx_10_15_x86_64": list(tags.mac_platforms((10, 15), "x86_64")),
    "windows-amd64": ["win_amd64"],
    "windows": ["win32"],
}
OTHERS = ["manylinux_2_36_s390x", "musllinux_2_0_i686", "macosx_26_0_ppc", "win_ia64", "any"]
EVERY_PLATFORM = sorted({tag for told in SYSTEMS.values() for tag in told} | set(OTHERS))


def taken(minor: int, platforms: list[str]) -> frozenset[tags.Tag]:
    """The tags that `packaging` says a CPython takes."""
    own = f"cp3{minor}" + ("m" if minor < 8 else "")
    return frozenset(tags.cpython_tags((3, minor), abis=[own], platforms=platforms)) | frozenset(
        tags.compatible_tags((3, minor), f"cp3{minor}", platforms=platforms)
    )


@given(st.sampled_from(sorted(SYSTEMS)), MINORS, st.data())
def test_packaging_takes_nothing_that_is_dropped(system: str, minor: int, data: st.DataObject) -> None:
    """A wheel that an installer on a wanted machine may choose is kept."""
    tag = data.draw(st.sampled_from(sorted(map(str, taken(minor, SYSTEMS[system])))))
    (name,) = wheels(tag)
    assert keeps(of(system, pythons=(f"3.{minor}",)), name, None)


@given(
    st.sampled_from(["manylinux_2_17_x86_64", "macosx_12_0_arm64", "macosx_10_15_x86_64", "windows-amd64"]),
    MINORS,
    st.tuples(
        st.sampled_from(["cp{}", "py{}", "py3", "py2", "py2.py3", "pp{}", "cp{}.cp{}"]),
        st.sampled_from(["none", "abi3", "cp{}", "cp{}m", "cp{}t", "pypy{}_pp73"]),
        st.lists(st.sampled_from(EVERY_PLATFORM), min_size=1, max_size=3, unique=True),
    ),
    st.tuples(*[st.integers(36, 39) | st.integers(310, 314)] * 3),
)
def test_what_is_kept_is_what_packaging_takes(
    system: str, minor: int, tag: tuple[str, str, list[str]], numbers: tuple[int, int, int]
) -> None:
    """Where a platform is told to its version, no other wheel is kept (but for tags that no build tool writes)."""
    interpreter, abi, platforms = tag
    assume(abi == "none" or "any" not in platforms)
    (name,) = wheels(f"{interpreter.format(*numbers[:2])}-{abi.format(numbers[2])}-{'.'.join(platforms)}")
    *_, told = parse_wheel_filename(name)
    theirs = [*SYSTEMS[system], "linux_x86_64"] if "linux" in system else SYSTEMS[system]
    expected = not told.isdisjoint(taken(minor, theirs))
    assert keeps(of(system, pythons=(f"3.{minor}",)), name, None) is expected
