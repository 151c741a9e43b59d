"""What is pasted into clients: one text each, with URLs that the server has; wrong combinations say what goes."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrepot.app import App
from entrepot.core.access import ANONYMOUS, Access, Scope
from entrepot.core.errors import EntrepotError, Invalid, RepositoryNotFound, SnapshotNotFound, WrongType
from entrepot.core.model import RepositoryType
from entrepot.core.setups import Block
from entrepot.ecosystems.python import setups as python
from entrepot.ecosystems.r import setups as r
from entrepot.ecosystems.r.setups import USER_AGENT
from entrepot.operations import bioconductor, repositories
from entrepot.operations.clientsetup import Wish, client_setup

AT = "https://packages.example.org"
CRAN, JAMMY, PYPI = f"{AT}/cran/latest", f"{AT}/cran/__linux__/jammy/latest", f"{AT}/pypi/latest/simple"
OPTION = f'options(repos = c(CRAN = "{JAMMY}"))'
pytestmark = pytest.mark.one_shape


def texts(app: App, repo: str, environment: str | None = None, **wish: Any) -> dict[str, str]:
    """File, or title of what is typed, -> text."""
    setup = client_setup(app, repo, Wish(environment, **wish), address=AT)
    return {block.file or block.title: block.text for block in setup.blocks}


def test_r_with_source_packages(app: App) -> None:
    """One option, the same on every system."""
    for os in ("linux", "windows", "macos"):
        assert texts(app, "cran", os=os) == {r.PROFILE: f'options(repos = c(CRAN = "{CRAN}"))'}


def test_r_with_binary_packages_for_linux(app: App) -> None:
    """R has to say which version it is; aliases of distributions become the name in URLs."""
    assert texts(app, "cran", "r", distribution="jammy") == {r.PROFILE: f"{OPTION}\n{USER_AGENT}"}
    setup = client_setup(app, "cran", Wish("r", distribution="rocky9"), address=AT)
    assert setup.repository_url == f"{AT}/cran/__linux__/rhel9/latest"


def test_renv_chooses_by_itself(app: App) -> None:
    """Its lock file holds everywhere, so it names the repository of sources."""
    found = texts(app, "cran", "renv", distribution="jammy")
    assert found[".Rprofile of the project"] == f'options(repos = c(CRAN = "{CRAN}"))'
    assert json.loads(found["renv.lock"]) == {"R": {"Repositories": [{"Name": "CRAN", "URL": CRAN}]}}


def test_pak(app: App) -> None:
    found = texts(app, "cran", "pak", distribution="jammy")
    assert found["For a session alone"] == f'pak::repo_add(CRAN = "{JAMMY}")'
    assert OPTION in found[r.PROFILE]


def test_rstudio_and_workbench(app: App) -> None:
    """A dialog and a file; what they can't hold goes into a profile of R, where there is any of it."""
    dialog = "RStudio: Tools, Global Options, Packages, Primary CRAN repository, Change, Custom"
    assert texts(app, "cran", "rstudio") == {dialog: CRAN}
    assert texts(app, "cran", "rstudio", distribution="jammy") == {dialog: JAMMY, r.PROFILE: f"{OPTION}\n{USER_AGENT}"}
    assert texts(app, "cran", "workbench") == {"/etc/rstudio/repos.conf": f"CRAN={CRAN}"}
    assert set(texts(app, "pypi", "workbench")) == {"/etc/pip.conf", "/etc/uv/uv.toml"}


def test_connect_for_r(app: App) -> None:
    """The section of its documents, and how it treats other URLs."""
    blocks = client_setup(app, "cran", Wish("connect", distribution="jammy"), address=AT).blocks
    assert {block.file for block in blocks} == {"/etc/rstudio-connect/rstudio-connect.gcfg"}
    assert [block.text for block in blocks] == [
        f'[RPackageRepository "CRAN"]\nURL = "{JAMMY}"',
        "[R]\nPositPackageManagerURLRewriting = auto",
    ]


def test_connect_for_python(app: App) -> None:
    """Strict resolution, as its documents recommend it; uv and pip instead."""
    found = texts(app, "pypi", "connect")
    assert found["/etc/rstudio-connect/rstudio-connect.gcfg"] == (
        f'[Python]\nPackageRepositoryResolution = strict\n\n[PythonPackageRepository "PyPI"]\nURL = {PYPI}'
    )
    assert tomllib.loads(found["/etc/uv/uv.toml"]) == {"index": [{"url": PYPI, "default": True}]}
    assert found["/etc/pip.conf"] == f"[global]\nindex-url = {PYPI}"


def test_pip_uv_poetry_and_conda(app: App) -> None:
    """Each in its own file, and pip if nothing is named."""
    assert texts(app, "pypi") == texts(app, "pypi", "pip")
    assert texts(app, "pypi", "pip")["pip, for a user"] == f"pip config set global.index-url {PYPI}"
    assert list(texts(app, "pypi", "uv")) == ["/etc/uv/uv.toml"]
    poetry = tomllib.loads(texts(app, "pypi", "poetry")["pyproject.toml"])
    assert poetry["tool"]["poetry"]["source"] == [{"name": "packages", "url": PYPI, "priority": "primary"}]
    conda = yaml.safe_load(texts(app, "pypi", "conda")["environment.yml"])
    assert conda["dependencies"][2] == {"pip": [f"--index-url {PYPI}"]}


def test_dockerfiles(app: App, tmp_path: Path) -> None:
    """What a shell makes of the line for R is what the profile is to say; Python takes variables."""
    text = texts(app, "cran", "dockerfile", distribution="jammy")["Dockerfile"]
    (tmp_path / "etc").mkdir()
    script = text.removeprefix("RUN ").replace("$(R RHOME)", str(tmp_path))
    subprocess.run(["/bin/sh", "-c", script], check=True)
    assert (tmp_path / "etc" / "Rprofile.site").read_text() == f"{OPTION}\n{USER_AGENT}\n"
    assert texts(app, "pypi", "dockerfile")["Dockerfile"] == f"ENV PIP_INDEX_URL={PYPI} \\\n    UV_DEFAULT_INDEX={PYPI}"


def test_github_actions(app: App) -> None:
    blocks = client_setup(app, "cran", Wish("github-actions", distribution="jammy"), address=AT).blocks
    (setup,), (profile,) = (yaml.safe_load(block.text) for block in blocks)
    assert setup["with"] == {"use-public-rspm": False, "cran": JAMMY}
    assert f'cat(r"---(\n{OPTION}\n{USER_AGENT}\n)---", file = profile, append = TRUE)' in profile["run"]
    variables = yaml.safe_load(texts(app, "pypi", "github-actions")[".github/workflows/*.yml"])["env"]
    assert variables == {"PIP_INDEX_URL": PYPI, "UV_DEFAULT_INDEX": PYPI}


@pytest.mark.r
def test_r_reads_what_is_pasted(app: App, rscript: Path, tmp_path: Path) -> None:
    """Real R takes the options, and its User-Agent says which R it is."""
    file = tmp_path / "profile.R"
    file.write_text(
        texts(app, "cran", "r", distribution="jammy")[r.PROFILE]
        + '\ncat(getOption("repos"), getOption("HTTPUserAgent"), sep = "\\n")\n'
    )
    done = subprocess.run([rscript, "--vanilla", file], capture_output=True, text=True, check=True)
    url, agent = done.stdout.splitlines()
    assert url == JAMMY
    assert agent.startswith("R/4.")
    assert " R (4." in agent


@pytest.fixture
def bioc(app: App, monkeypatch: pytest.MonkeyPatch) -> App:
    """An installation that knows two versions of Bioconductor."""
    versions = [
        {"bioc_version": "3.19", "r_version": "4.4", "cran_snapshot": "latest"},
        {"bioc_version": "3.18", "r_version": "4.3", "cran_snapshot": "2024-05-01"},
    ]
    monkeypatch.setattr(bioconductor, "status_versions", lambda _: versions)
    repositories.create_repository(app, "bioconductor", type_=RepositoryType.BIOCONDUCTOR, succeed_on_existing=True)
    return app


def test_bioconductor_with_its_cran(bioc: App) -> None:
    """The mirror, its configuration, and CRAN of the day that goes with the version."""
    found = texts(bioc, "bioconductor", "r", bioc_version="3.18", distribution="jammy")
    assert found[r.PROFILE].splitlines()[:3] == [
        f'options(BioC_mirror = "{AT}/bioconductor")',
        f'options(BIOCONDUCTOR_CONFIG_FILE = "{AT}/bioconductor/config.yaml")',
        f'options(repos = c(CRAN = "{AT}/cran/__linux__/jammy/2024-05-01"))',
    ]
    assert found["Then, once"] == 'install.packages("BiocManager")\nBiocManager::install(version = "3.18")'
    newest = texts(bioc, "bioconductor")
    assert f'options(repos = c(CRAN = "{CRAN}"))' in newest[r.PROFILE]
    sections = texts(bioc, "bioconductor", "connect", bioc_version="3.18")
    assert "/etc/rstudio-connect/rstudio-connect.gcfg" in sections
    gcfg = client_setup(bioc, "bioconductor", Wish("connect", bioc_version="3.18"), address=AT).blocks[0].text
    assert f'[RPackageRepository "BioCann"]\nURL = "{AT}/bioconductor/packages/3.18/data/annotation"' in gcfg


def test_every_environment_has_a_text(bioc: App) -> None:
    """For each repository; none is empty, and all name the server."""
    for repo, environments in (("cran", r), ("bioconductor", r), ("pypi", python)):
        for environment in environments.ENVIRONMENTS:
            blocks = client_setup(bioc, repo, Wish(environment), address=AT).blocks
            assert all(block.text and block.title and not block.text.endswith("\n") for block in blocks)
            assert any(AT in block.text for block in blocks), (repo, environment)


@pytest.mark.parametrize(
    ("repo", "wish", "error", "hint"),
    [
        ("cran", Wish("pip"), WrongType, "for 'cran' there are r, renv, pak"),
        ("pypi", Wish("renv"), WrongType, "for 'pypi' there are pip, uv, poetry"),
        ("cran", Wish("emacs"), Invalid, "for 'cran' there are r, renv, pak"),
        ("cran", Wish(os="plan9"), Invalid, "systems are linux, windows, macos"),
        ("cran", Wish(distribution="plan9"), Invalid, "distributions are "),
        ("cran", Wish(os="macos", distribution="jammy"), Invalid, "leave out the distribution"),
        ("pypi", Wish(distribution="jammy"), Invalid, "clients of Python choose wheels"),
        ("cran", Wish(bioc_version="3.18"), Invalid, "name a repository of type bioconductor"),
        ("bioconductor", Wish(bioc_version="1.0"), Invalid, "there are 3.19, 3.18"),
        ("cran", Wish(snapshot="9999"), SnapshotNotFound, ""),
        ("cran", Wish(snapshot="soon"), SnapshotNotFound, ""),
        ("nothere", Wish(), RepositoryNotFound, ""),
    ],
)
def test_what_does_not_go_together(bioc: App, repo: str, wish: Wish, error: type[EntrepotError], hint: str) -> None:
    """A clear error each, with what goes."""
    with pytest.raises(error) as raised:
        client_setup(bioc, repo, wish, address=AT)
    assert (raised.value.hint or "").startswith(hint)


def closed(app: App, repo: str, type_: RepositoryType) -> None:
    repositories.create_repository(app, repo, type_=type_, is_closed=True)


def closed_and_open(app: App, environment: str, type_: RepositoryType) -> tuple[list[Block], list[Block]]:
    """What is told of the closed repository `vault`, and of the open one `free`."""
    closed(app, "vault", type_)
    repositories.create_repository(app, "free", type_=type_)
    found, plain = (client_setup(app, repo, Wish(environment), address=AT).blocks for repo in ("vault", "free"))
    assert "@packages" not in str(found)
    return found, plain


def check_says_how(environment: str, text: str, **special: str) -> None:
    """See that a text has the line by which a token is sent: `special` where that isn't the line of ~/.netrc."""
    wanted = {"connect": f'"ppm_url": "{AT}"', "dockerfile": "--mount=type=secret,id=netrc", **special}
    assert wanted.get(environment, "machine packages.example.org login __token__ password ") in text


@pytest.mark.parametrize("environment", r.ENVIRONMENTS)
def test_a_closed_repository_of_r_tells_how_to_send_a_token(app: App, environment: str) -> None:
    """Before the rest, which is as of an open one; no text has a token, or a login in a URL."""
    found, plain = closed_and_open(app, environment, RepositoryType.R)
    more = found[: len(found) - len(plain)]
    assert [block.text for block in found[len(more) :]] == [block.text.replace("free", "vault") for block in plain]
    assert more
    check_says_how(environment, "\n".join(block.text for block in more), renv="PACKAGES_TOKEN=TOKEN")


@pytest.mark.parametrize("environment", python.ENVIRONMENTS)
def test_a_closed_index_tells_how_to_send_a_token(app: App, environment: str) -> None:
    """As of R; Poetry keeps logins by itself."""
    found, plain = closed_and_open(app, environment, RepositoryType.PYTHON)
    assert len(found) == len(plain) + 1
    check_says_how(environment, found[0].text, poetry="poetry config http-basic.packages __token__")


def test_an_image_and_a_workflow_can_be_read(app: App) -> None:
    """The texts are what they say: a step of a Dockerfile on two lines, a step of a workflow in YAML."""
    closed(app, "vault", RepositoryType.PYTHON)
    image = client_setup(app, "vault", Wish("dockerfile"), address=AT).blocks[0].text
    assert image.splitlines()[0].endswith(" \\")
    assert len(image.splitlines()) == 2
    step = client_setup(app, "vault", Wish("github-actions"), address=AT).blocks[0].text
    (told,) = yaml.safe_load(step)
    assert told["env"] == {"PACKAGES_TOKEN": "${{ secrets.PACKAGES_TOKEN }}"}
    assert "packages.example.org" in told["run"]


def test_setup_of_bioconductor_names_a_cran_that_one_may_read(app: App) -> None:
    """A closed repository of CRAN is named to those who may read it alone, with how to send a token."""
    repositories.create_repository(app, "bioc", type_=RepositoryType.BIOCONDUCTOR)
    assert f"{AT}/cran/latest" in str(client_setup(app, "bioc", Wish(), address=AT, access=ANONYMOUS))
    id_ = repositories.edit_repository(app, "cran", is_closed=True).repository.id
    assert "cran" not in str(client_setup(app, "bioc", Wish(), address=AT, access=ANONYMOUS))
    told = client_setup(app, "bioc", Wish(), address=AT, access=Access("ann", {Scope.REPOS_READ: frozenset({id_})}))
    assert f"{AT}/cran/latest" in str(told)
    assert "password TOKEN" in str(told)
