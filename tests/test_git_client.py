"""`git.client`: refs and trees of real endpoints, over all four transports, and what is said when they refuse."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from entrepot.core.errors import BuildFailed, EndpointRefused, EndpointUnavailable, EntrepotError, Invalid
from entrepot.git import client as client_module
from entrepot.git.checkout import Checkout
from entrepot.git.client import GitClient, Login, Refs, Tag
from tests.support.git import (
    Daemon,
    Kind,
    Link,
    Repo,
    Script,
    SmartHttp,
    Sshd,
    free_port,
    git_daemon,
    program,
    smart_http,
    ssh_key,
    sshd,
)
from tests.support.process import processes_with

LOGIN = Login("https", "me", "p@ss/w%rd 1")
KEY = ssh_key()


@dataclass
class Ours:
    """A client with what it leaves: its folders, and what it logged."""

    folder: Path
    known_hosts: Path | None = None
    allow_file: bool = True
    max_checkout: int = 1024**3
    log: list[str] = field(default_factory=list)
    check: Callable[[], None] = lambda: None
    count: int = 0

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def recorded(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def client(self) -> GitClient:
        return GitClient(
            scratch=self.scratch,
            known_hosts=self.known_hosts,
            recorded_hosts=self.recorded,
            allow_file=self.allow_file,
            max_checkout=self.max_checkout,
        )

    def refs(self, url: str, login: Login | None = None) -> Refs:
        return self.client.refs(url, login, log=self.log.append, check=self.check)

    def checkout(self, url: str, commit: str, login: Login | None = None, **wanted: Any) -> Checkout:
        self.count += 1
        values = {"branch": None, "tag": None, "depth": 1, "submodules": 0} | wanted
        folder = self.folder / f"tree{self.count}"
        return self.client.checkout(
            url, login, commit=commit, folder=folder, log=self.log.append, check=self.check, **values
        )


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ours]:
    """A client; in the end nothing of its questions is left."""
    made = Ours(tmp_path / "ours")
    yield made
    assert not made.scratch.exists() or list(made.scratch.iterdir()) == []
    assert processes_with(str(made.folder)) == []


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """Two commits on `main`, one on `dev`, an annotated tag and a lightweight one."""
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit({"DESCRIPTION": "Version: 1.0\n", "src/run": Script("#!/bin/sh\n")}, time=1_600_000_000)
    repo.tag("v1.0", annotated=True, time=1_600_000_500)
    repo.commit({"DESCRIPTION": "Version: 1.1\n"}, time=1_600_001_000)
    repo.tag("1.1")
    repo.commit({"NEW": "x"}, branch="dev", time=1_600_002_000)
    return repo


@pytest.fixture
def daemon(repo: Repo) -> Iterator[Daemon]:
    with git_daemon(repo.path.parent) as served:
        yield served


@pytest.fixture
def http(repo: Repo) -> Iterator[SmartHttp]:
    """With `LOGIN` alone."""
    with smart_http(repo.path.parent, LOGIN.username, LOGIN.secret) as served:
        yield served


@pytest.fixture
def ssh(repo: Repo, tmp_path: Path) -> Iterator[Sshd]:
    """With `KEY` alone."""
    with sshd(repo.path.parent, KEY.public, folder=tmp_path / "sshd") as served:
        yield served


def tip(repo: Repo, ref: str) -> str:
    return repo.git("rev-parse", ref)


def files(checkout: Checkout) -> dict[str, str]:
    """Path -> content of the tree's regular files."""
    found = [p for p in checkout.root.rglob("*") if ".git" not in p.relative_to(checkout.root).parts]
    return {str(p.relative_to(checkout.root)): p.read_text() for p in found if p.is_file() and not p.is_symlink()}


def refused(kind: type[EntrepotError], match: str, ask: Callable[[], object]) -> EntrepotError:
    """The error, which is of that very kind."""
    with pytest.raises(kind, match=match) as caught:
        ask()
    assert isinstance(caught.value, EntrepotError)
    return caught.value


# --- what an endpoint has ------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "git", "http", "ssh"])
def endpoint(request: pytest.FixtureRequest, repo: Repo) -> tuple[str, Login | None]:
    """The repository's URL, and the login that it wants, over each transport."""
    if request.param == "file":
        return repo.file_url, None
    if request.param == "git":
        return request.getfixturevalue("daemon").url("demo.git"), None
    if request.param == "http":
        return request.getfixturevalue("http").url("demo.git"), LOGIN
    return request.getfixturevalue("ssh").url("demo.git"), Login("ssh", "", KEY.private)


def test_refs_and_trees(ours: Ours, repo: Repo, endpoint: tuple[str, Login | None]) -> None:
    """Over each transport: all refs, and the tree of a branch, of the default branch and of tags, with their times."""
    url, login = endpoint
    first, second, dev = tip(repo, "main~1"), tip(repo, "main"), tip(repo, "dev")
    assert ours.refs(url, login) == Refs(
        "main",
        {"main": second, "dev": dev},
        {"v1.0": Tag(tip(repo, "refs/tags/v1.0"), first), "1.1": Tag(second, second)},
    )
    made = ours.checkout(url, second, login)
    assert (made.commit, made.time, made.made) == (second, 1_600_001_000, 1_600_001_000)
    assert files(made) == {"DESCRIPTION": "Version: 1.1\n", "src/run": "#!/bin/sh\n"}
    assert os.access(made.root / "src/run", os.X_OK)
    assert "NEW" in files(ours.checkout(url, dev, login, branch="dev", depth=0))
    annotated = ours.checkout(url, first, login, tag="v1.0")
    assert (annotated.time, annotated.made) == (1_600_000_000, 1_600_000_500)
    light = ours.checkout(url, second, login, tag="1.1")
    assert (light.time, light.made) == (1_600_001_000, 1_600_001_000)


def git_in(checkout: Checkout, *arguments: str) -> str:
    command = [program("git"), "-c", "safe.directory=*", "-C", str(checkout.root), *arguments]
    return subprocess.check_output(command, text=True).strip()


def test_history(ours: Ours, repo: Repo, daemon: Daemon) -> None:
    """As deep as asked for; as a whole with all tags, so that a version can be told by them."""
    url, commit = daemon.url("demo.git"), tip(repo, "dev")
    shallow = ours.checkout(url, commit, branch="dev", depth=2)
    assert git_in(shallow, "rev-list", "--count", "HEAD") == "2"
    whole = ours.checkout(url, commit, branch="dev", depth=0)
    assert git_in(whole, "rev-list", "--count", "HEAD") == "3"
    assert git_in(whole, "describe", "--tags") == f"1.1-1-g{commit[:7]}"
    assert git_in(whole, "tag").split() == ["1.1", "v1.0"]
    tagged = ours.checkout(url, tip(repo, "v1.0^{commit}"), tag="v1.0")
    assert git_in(tagged, "describe") == "v1.0"
    assert git_in(tagged, "status", "--porcelain") == ""
    assert (tagged.root / ".git").is_dir()


def test_others_may_read_the_tree(ours: Ours, repo: Repo) -> None:
    """Whatever the server's umask is: builds run as somebody else."""
    before = os.umask(0o077)
    try:
        made = ours.checkout(repo.file_url, tip(repo, "main"))
    finally:
        os.umask(before)
    modes = {path: (made.root / path).stat().st_mode & 0o777 for path in (".", "DESCRIPTION", "src", "src/run")}
    assert modes == {".": 0o755, "DESCRIPTION": 0o644, "src": 0o755, "src/run": 0o755}


def test_a_branch_that_moved_on(ours: Ours, repo: Repo, daemon: Daemon) -> None:
    """The commit that was seen is fetched, also when it was pushed away; not once the endpoint has let it go."""
    url, seen = daemon.url("demo.git"), tip(repo, "main")
    repo.commit({"DESCRIPTION": "Version: 1.2\n"})
    assert files(ours.checkout(url, seen, branch="main"))["DESCRIPTION"] == "Version: 1.1\n"
    repo.delete_tag("1.1")
    repo.delete_branch("dev")
    repo.commit({"DESCRIPTION": "Version: 2\n"}, parent=tip(repo, "v1.0^{commit}"))
    assert files(ours.checkout(url, seen, branch="main"))["DESCRIPTION"] == "Version: 1.1\n"
    repo.forget_unreachable()
    error = refused(BuildFailed, "any more", lambda: ours.checkout(url, seen, branch="main"))
    assert seen in error.message


def test_an_endpoint_of_the_older_protocol(ours: Ours, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives out what its refs name: an older commit comes with the whole branch."""
    from entrepot.git import environment

    monkeypatch.setattr(environment, "_CONFIG", environment._CONFIG.replace("version = 2", "version = 0"))
    with git_daemon(repo.path.parent) as daemon:
        made = ours.checkout(daemon.url("demo.git"), tip(repo, "main~1"), branch="main")
    assert files(made)["DESCRIPTION"] == "Version: 1.0\n"


def test_a_tag_that_was_moved(ours: Ours, repo: Repo) -> None:
    """It isn't built under the name that another commit had."""
    seen = tip(repo, "1.1")
    repo.tag("1.1", tip(repo, "dev"))
    error = refused(BuildFailed, "was moved", lambda: ours.checkout(repo.file_url, seen, tag="1.1"))
    assert tip(repo, "dev") in error.message
    repo.git("update-ref", "refs/tags/tree", tip(repo, "main^{tree}"))
    refused(BuildFailed, "names no commit", lambda: ours.checkout(repo.file_url, seen, tag="tree"))


def test_what_isnt_there(ours: Ours, repo: Repo, daemon: Daemon, http: SmartHttp, ssh: Sshd) -> None:
    """No such repository, branch or tag, in one line each; an empty repository has no refs."""
    login = Login("ssh", "", KEY.private)
    for ask in (
        lambda: ours.refs("file:///nonexistent/x"),
        lambda: ours.refs(daemon.url("x.git")),
        lambda: ours.refs(http.url("x.git"), LOGIN),
        lambda: ours.refs(ssh.url("x.git"), login),
    ):
        refused(BuildFailed, "there is no Git repository", ask)
    seen = tip(repo, "main")
    for wanted, match in (({"branch": "x"}, "has no branch x"), ({"tag": "x"}, "has no tag x")):
        refused(BuildFailed, match, lambda wanted=wanted: ours.checkout(daemon.url("demo.git"), seen, **wanted))
    empty = Repo(repo.path.parent / "empty.git")
    refs = ours.refs(empty.file_url)
    assert (refs.branches, refs.tags) == ({}, {})
    refused(BuildFailed, "has no commit", lambda: ours.checkout(empty.file_url, seen))


def test_an_endpoint_that_is_away(ours: Ours) -> None:
    """Worth trying again, over each transport, and told so."""
    port = free_port()
    for url in (f"git://127.0.0.1:{port}/x", f"http://127.0.0.1:{port}/x", f"ssh://127.0.0.1:{port}/x"):
        refused(EndpointUnavailable, "can't be reached", lambda url=url: ours.refs(url))
    for url in ("git://nowhere.invalid/x", "https://nowhere.invalid/x", "git@nowhere.invalid:x"):
        refused(EndpointUnavailable, "can't be found", lambda url=url: ours.refs(url))


def test_a_server_in_trouble(ours: Ours, http: SmartHttp) -> None:
    """5xx may pass; 403 doesn't by itself."""
    http.status = 503
    refused(EndpointUnavailable, "status 503", lambda: ours.refs(http.url("demo.git"), LOGIN))
    http.status = 403
    refused(EndpointRefused, "403", lambda: ours.refs(http.url("demo.git"), LOGIN))


def test_an_endpoint_that_never_answers(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up in time."""
    import socket

    monkeypatch.setattr(client_module, "LONGEST_LOOK", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        refused(EndpointUnavailable, "more than 0.5 seconds", lambda: ours.refs(url))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_somebody_else(ours: Ours, repo: Repo) -> None:
    """The administrator allowed files: it doesn't matter whose they are."""
    for path in (repo.path, *repo.path.rglob("*")):
        os.chown(path, 65534, 65534)
    assert ours.checkout(repo.file_url, tip_of(ours, repo)).commit == tip_of(ours, repo)


def tip_of(ours: Ours, repo: Repo) -> str:
    return ours.refs(repo.file_url).branches["main"]


def test_repositories_of_sha256(ours: Ours, tmp_path: Path) -> None:
    """Longer ids are ids too."""
    path = tmp_path / "long.git"
    git = program("git")
    made = subprocess.run([git, "init", "-q", "--bare", "--object-format=sha256", str(path)], check=False)
    if made.returncode:
        pytest.skip("this git knows no SHA-256")
    tree = subprocess.check_output([git, "--git-dir", path, "mktree"], stdin=subprocess.DEVNULL, text=True).strip()
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": "1600000000 +0000"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    make = [git, "--git-dir", path, "commit-tree", "-m", "x", tree]
    commit = subprocess.check_output(make, env=os.environ | who, text=True).strip()
    subprocess.run([git, "--git-dir", path, "update-ref", "refs/heads/main", commit], check=True)
    assert len(commit) == 64
    assert ours.refs(f"file://{path}").branches == {"main": commit}
    assert ours.checkout(f"file://{path}", commit, branch="main").time == 1_600_000_000


# --- logins --------------------------------------------------------------------------------------------------------


def test_passwords(ours: Ours, http: SmartHttp) -> None:
    """No login and a wrong one are told apart; what is to be done is in the hint."""
    error = refused(EndpointRefused, "wants user and password", lambda: ours.refs(http.url("demo.git")))
    assert "import https-credential" in (error.hint or "")
    wrong = Login("https", "me", "wrong")
    error = refused(EndpointRefused, "were refused", lambda: ours.refs(http.url("demo.git"), wrong))
    assert "edit https-credential" in (error.hint or "")
    assert ours.refs(http.url("demo.git", user="somebody"), LOGIN).head == "main"
    broken = Login("https", "me", "two\nlines")
    refused(EndpointRefused, "line end", lambda: ours.refs(http.url("demo.git"), broken))


def test_a_redirect_gets_no_password(ours: Ours, repo: Repo, http: SmartHttp) -> None:
    """The login is for one scheme, host and port; where it leads to another, nothing is offered there."""
    with smart_http(repo.path.parent, "other", "login") as other:
        http.moved = f"http://127.0.0.1:{other.port}"
        refused(EndpointRefused, "not offered there", lambda: ours.refs(http.url("demo.git"), LOGIN))
        assert {asked.authorization for asked in other.asked} == {""}
    assert http.asked


def test_a_redirect_is_followed(ours: Ours, repo: Repo, http: SmartHttp) -> None:
    """To where no login is needed."""
    with smart_http(repo.path.parent) as other:
        http.moved = f"http://127.0.0.1:{other.port}"
        assert ours.refs(http.url("demo.git")).head == "main"


@pytest.mark.parametrize("form", ["openssh", "pem"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys(ours: Ours, repo: Repo, tmp_path: Path, kind: Kind, form: Any) -> None:
    """Each usual type, in both forms."""
    key = ssh_key(kind=kind, form=form)
    with sshd(repo.path.parent, key.public, folder=tmp_path / "one") as server:
        assert ours.refs(server.url("demo.git"), Login("ssh", "", key.private)).head == "main"


def test_a_user_of_the_login(ours: Ours, ssh: Sshd) -> None:
    """It counts where the URL names none."""
    url = ssh.url("demo.git").replace(f"{ssh.user}@", "")
    assert ours.refs(url, Login("ssh", ssh.user, KEY.private)).head == "main"
    refused(EndpointRefused, "was refused", lambda: ours.refs(url, Login("ssh", "nobody-here", KEY.private)))


def test_wrong_keys(ours: Ours, ssh: Sshd) -> None:
    """None, another one, one that is locked, and what is none."""
    url = ssh.url("demo.git")
    assert "import ssh-key" in (refused(EndpointRefused, "wants an ssh key", lambda: ours.refs(url)).hint or "")
    other = Login("ssh", "", ssh_key().private)
    refused(EndpointRefused, "was refused", lambda: ours.refs(url, other))
    for text in (ssh_key("passphrase").private, "x", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"):
        bad = Login("ssh", "", text)
        refused(EndpointRefused, "can't be read", lambda bad=bad: ours.refs(url, bad))


def test_logins_of_another_kind(ours: Ours, http: SmartHttp, ssh: Sshd) -> None:
    """A key is no password, and files want neither."""
    key = Login("ssh", "", KEY.private)
    refused(EndpointRefused, "don't take", lambda: ours.refs(http.url("demo.git"), key))
    refused(EndpointRefused, "don't take", lambda: ours.refs(ssh.url("demo.git"), LOGIN))
    refused(EndpointRefused, "don't take", lambda: ours.refs("file:///x", LOGIN))


def test_host_keys_are_recorded(ours: Ours, ssh: Sshd) -> None:
    """The first one counts from then on; another one is refused, and the hint says where the first one is."""
    login = Login("ssh", "", KEY.private)
    ours.refs(ssh.url("demo.git"), login)
    assert ours.recorded.read_text().split()[:2] == [f"[127.0.0.1]:{ssh.port}", "ssh-ed25519"]
    assert ours.recorded.stat().st_mode & 0o777 == 0o600
    ssh.change_host_key()
    error = refused(EndpointRefused, "another one than it was", lambda: ours.refs(ssh.url("demo.git"), login))
    assert str(ours.recorded) in (error.hint or "")
    ours.recorded.unlink()
    assert ours.refs(ssh.url("demo.git"), login).head == "main"


def test_only_the_administrators_host_keys(ours: Ours, ssh: Sshd, tmp_path: Path) -> None:
    """Where there is a file of them, no other host is spoken to, and nothing is recorded."""
    login = Login("ssh", "", KEY.private)
    ours.known_hosts = tmp_path / "keys of hosts"
    ours.known_hosts.write_text("")
    error = refused(EndpointRefused, "not known", lambda: ours.refs(ssh.url("demo.git"), login))
    assert str(ours.known_hosts) in (error.hint or "")
    assert not ours.recorded.exists()
    ours.known_hosts.write_text(ssh.known_hosts)
    assert ours.refs(ssh.url("demo.git"), login).head == "main"
    assert ours.known_hosts.read_text() == ssh.known_hosts
    ssh.change_host_key()
    refused(EndpointRefused, "another one than it was", lambda: ours.refs(ssh.url("demo.git"), login))
    ours.known_hosts.unlink()
    refused(EntrepotError, "can't be read", lambda: ours.refs(ssh.url("demo.git"), login))


# --- URLs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["--upload-pack=touch", "ext::sh -c touch", "-x", "ssh://-oProxyCommand=touch/x"])
def test_urls_that_are_none(ours: Ours, text: str) -> None:
    """They come to no program."""
    refused(Invalid, "can't be used", lambda: ours.refs(text))
    refused(Invalid, "can't be used", lambda: ours.checkout(text, "0" * 40))


def test_files_only_where_they_are_allowed(ours: Ours, repo: Repo) -> None:
    """The error names the setting."""
    ours.allow_file = False
    assert "allow_file" in (refused(Invalid, "not allowed", lambda: ours.refs(repo.file_url)).hint or "")


def test_names_that_are_options(ours: Ours, repo: Repo) -> None:
    """Branches, tags and commits can't be options either."""
    for wanted in ({"branch": "--upload-pack=x"}, {"tag": "-x"}):
        refused(Invalid, "can't be the name", lambda wanted=wanted: ours.checkout(repo.file_url, "0" * 40, **wanted))
    refused(BuildFailed, "no commit's id", lambda: ours.checkout(repo.file_url, "--all"))


def test_a_link_to_the_server_is_not_followed_elsewhere(ours: Ours, repo: Repo, http: SmartHttp) -> None:
    """A redirect can't lead to the server's own files."""
    http.moved = f"file://{repo.path}?"
    with pytest.raises(EntrepotError):
        ours.refs(http.url("demo.git"))


def test_links_in_a_tree_stay_links(ours: Ours, repo: Repo) -> None:
    """They come as they are, and nothing is read through them."""
    repo.commit({"out": Link("/etc/passwd"), "up": Link("../..")})
    made = ours.checkout(repo.file_url, tip(repo, "main"))
    assert (made.root / "out").is_symlink()
    refused(BuildFailed, "no regular file", lambda: made.read("out"))
    refused(BuildFailed, "symbolic link", lambda: made.folder("up"))
