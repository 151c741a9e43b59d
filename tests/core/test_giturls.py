"""`core.giturls`: what may be given to git, and what would be taken for something else."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid
from entrepot.core.giturls import GitUrl, check_branch, check_sub_dir, check_tag, parse_git_url
from tests.support.git import program


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://git.example.org/a/b.git", ("https", "git.example.org", None, "", "/a/b.git")),
        ("HTTPS://git.example.org:8443/a", ("https", "git.example.org", 8443, "", "/a")),
        ("http://me@git.example.org/a", ("http", "git.example.org", None, "me", "/a")),
        ("https://me%40corp@git.example.org/a%20b", ("https", "git.example.org", None, "me@corp", "/a%20b")),
        ("ssh://git@git.example.org:2222/~me/x", ("ssh", "git.example.org", 2222, "git", "/~me/x")),
        ("ssh://[::1]:22/srv/x", ("ssh", "[::1]", 22, "", "/srv/x")),
        ("git://git.example.org/x", ("git", "git.example.org", None, "", "/x")),
        ("file:///srv/git/x y".replace(" ", "%20"), ("file", "", None, "", "/srv/git/x%20y")),
        ("git@git.example.org:team/x.git", ("ssh", "git.example.org", None, "git", "team/x.git")),
        ("git@[::1]:x", ("ssh", "[::1]", None, "git", "x")),
    ],
)
def test_urls(text: str, expected: tuple[object, ...]) -> None:
    """All forms of the five schemes, in their parts."""
    url = parse_git_url(text, allow_file=True)
    assert (url.scheme, url.host, url.port, url.user, url.path) == expected
    assert url.text.lower() == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--upload-pack=touch /x",
        "--upload-pack=x",
        "-oProxyCommand=x",
        "ext::sh -c x",
        "ext::sh",
        "fd::3",
        "https::https://git.example.org/x",
        "ssh://-oProxyCommand=x/y",
        "ssh://%2DoProxyCommand=x/y",
        "ssh://-x@git.example.org/y",
        "ssh://%2Dx@git.example.org/y",
        "-x@git.example.org:y",
        "git@-oProxyCommand=x:y",
        "git@git.example.org:-y",
        "git@git.example.org:%2Dy",
        "git@git.example.org:",
        "git://git.example.org:-1/x",
        "git://git.example.org/--upload-pack=x",
        "ssh://git.example.org:0/x",
        "ssh://git.example.org:65536/x",
        "https:///x",
        "https://git.example.org",
        "https://git.example.org/",
        "https://git.example.org/x?y",
        "https://git.example.org/x#y",
        "https://git.example.org/x y",
        "https://git.example.org/x\ny",
        "https://git.example.org/x%0ay",
        "https://git.example.org/x%00",
        "https://git.example.org/%zz",
        "https://git%0a.example.org/x",
        "https://@git.example.org/x",
        "https://git.example.org\\x/y",
        "https://a@b@git.example.org/y",
        "ftp://git.example.org/x",
        "rsync://git.example.org/x",
        "file://git.example.org/x",
        "file:x",
        "file://",
        "file:///srv/../etc",
        "file:///srv/%2e%2e/etc",
        "git://me@git.example.org/x",
        "/srv/git/x",
        "../x",
        "x/y",
        "git.example.org:x",
        "C:\\x",
        "https://git.example.org/" + "x" * 2000,
    ],
)
def test_refused_urls(text: str) -> None:
    """Options, transport programs, paths, other schemes and what hides one of these."""
    with pytest.raises(Invalid):
        parse_git_url(text, allow_file=True)


def test_files_are_taken_where_they_are_allowed() -> None:
    """The error names the setting."""
    with pytest.raises(Invalid, match="not allowed") as caught:
        parse_git_url("file:///srv/git/x", allow_file=False)
    assert "allow_file" in (caught.value.hint or "")
    assert "[git]" in (caught.value.hint or "")


def test_a_password_is_not_taken_and_not_told() -> None:
    """Neither a login of user and password nor one with an empty user."""
    for text in ("https://me:hunter2@git.example.org/x", "https://:hunter2@git.example.org/x"):
        with pytest.raises(Invalid, match="password") as caught:
            parse_git_url(text, allow_file=True)
        assert "hunter2" not in str(caught.value.as_json())
        assert "import https-credential" in (caught.value.hint or "")
    for text in ("me:hunter2@git.example.org:x", "https:/me:hunter2@git.example.org/x", "ftp://me:hunter2@x/y"):
        with pytest.raises(Invalid) as caught:
            parse_git_url(text, allow_file=True)
        assert "hunter2" not in str(caught.value.as_json())


def test_a_place_is_the_same_however_it_is_written() -> None:
    """A login for a host is for its usual port, in any case of letters, but for no other port or scheme."""

    def place(text: str) -> tuple[str, str, int | None]:
        return parse_git_url(text, allow_file=True).place

    assert place("https://git.example.org/x") == place("https://GIT.example.org:443/y")
    assert place("git@git.example.org:x") == place("ssh://git.example.org:22/x")
    assert place("https://git.example.org/x") != place("https://git.example.org:8443/x")
    assert place("https://git.example.org/x") != place("http://git.example.org/x")


@given(
    st.text(alphabet="abz-:/@.%2dD[]?#\\~ \n\x00ext", max_size=40), st.sampled_from(["", "ssh://", "https://", "a@"])
)
def test_what_is_taken_is_harmless(text: str, before: str) -> None:
    """Whatever passes begins no part with a dash, has no control character, and no `::` before its host."""
    try:
        url = parse_git_url(before + text, allow_file=True)
    except Invalid:
        return
    assert isinstance(url, GitUrl)
    assert url.text.isprintable()
    assert " " not in url.text
    assert not any(part.startswith("-") for part in (url.text, url.host, url.user, url.path))


NAMES = [
    *("main", "feature/x", "v1.0", "ümlaut", "a@b", "1", "x.y", "HEADs", "a-", "refs/heads/x"),
    *("", "-x", "/x", "x/", "x//y", "x..y", "x.lock", "x.lock/y", ".x", "x/.y", "x.", "a b", "a~1", "a^", "a:b", "a?"),
    *("a*", "a[b", "a\\b", "a@{1}", "HEAD", "a\x7f", "a\nb", "--branch"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_branches(name: str) -> None:
    """What is taken is what git itself takes."""
    asked = subprocess.run([program("git"), "check-ref-format", "--branch", name], capture_output=True, check=False)
    if asked.returncode == 0:
        assert check_branch(name) == name
    else:
        with pytest.raises(Invalid):
            check_branch(name)


@pytest.mark.parametrize("name", ["x" * 300, "a\x00b", "-v1", "\udcff", "@"])
def test_names_that_never_are(name: str) -> None:
    """Also those that can't be given to git to ask."""
    with pytest.raises(Invalid):
        check_tag(name)
    with pytest.raises(Invalid):
        check_branch(name)


@pytest.mark.parametrize(
    ("text", "expected"), [("", ""), (".", ""), ("a/b", "a/b"), ("./a//b/", "a/b"), ("a.git", "a.git")]
)
def test_sub_dirs(text: str, expected: str) -> None:
    """One spelling for one folder."""
    assert check_sub_dir(text) == expected


@pytest.mark.parametrize("text", ["/a", "..", "a/../b", ".git", "a/.GIT/x", "a\x00b", "a\nb", "a\\b", "x" * 256])
def test_refused_sub_dirs(text: str) -> None:
    """None leads out of the repository or into Git's own folder."""
    with pytest.raises(Invalid):
        check_sub_dir(text)
