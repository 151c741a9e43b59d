"""How programs that install Python packages are told of an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from entrepot.core.setups import Block, integration_of_connect, netrc, netrc_of_image, netrc_of_workflow


def _pip(url: str) -> list[Block]:
    return [
        Block("pip, for a user", "", "shell", f"pip config set global.index-url {url}"),
        Block("pip, for all users", "/etc/pip.conf", "ini", f"[global]\nindex-url = {url}"),
    ]


def _uv(url: str) -> list[Block]:
    return [
        Block("uv, for all users; in a project the same in pyproject.toml below tool.uv", "/etc/uv/uv.toml", "toml",
              f'[[index]]\nurl = "{url}"\ndefault = true'),
    ]  # fmt: skip


def _poetry(url: str) -> list[Block]:
    lines = ["[[tool.poetry.source]]", 'name = "packages"', f'url = "{url}"', 'priority = "primary"']
    return [
        Block("Poetry, in a project", "", "shell", f"poetry source add --priority=primary packages {url}"),
        Block("What that writes", "pyproject.toml", "toml", "\n".join(lines)),
    ]


def _conda(url: str) -> list[Block]:
    lines = ["dependencies:", "  - python", "  - pip", "  - pip:", f"      - --index-url {url}"]
    return [Block("Packages that conda installs with pip", "environment.yml", "yaml", "\n".join(lines))]


def _connect(url: str) -> list[Block]:
    lines = ["[Python]", "PackageRepositoryResolution = strict", "", '[PythonPackageRepository "PyPI"]', f"URL = {url}"]
    return [
        Block("Connect, with no other index besides", "/etc/rstudio-connect/rstudio-connect.gcfg", "ini",
              "\n".join(lines)),
        *(Block(f"Instead: {each.title}", each.file, each.language, each.text) for each in (_uv(url)[0], _pip(url)[1])),
    ]  # fmt: skip


def _workbench(url: str) -> list[Block]:
    return [_pip(url)[1], _uv(url)[0]]


def _dockerfile(url: str) -> list[Block]:
    text = f"ENV PIP_INDEX_URL={url} \\\n    UV_DEFAULT_INDEX={url}"
    return [Block("pip and uv in an image", "Dockerfile", "dockerfile", text)]


def _github_actions(url: str) -> list[Block]:
    lines = ["env:", f"  PIP_INDEX_URL: {url}", f"  UV_DEFAULT_INDEX: {url}"]
    return [Block("pip and uv in a workflow", ".github/workflows/*.yml", "yaml", "\n".join(lines))]


ENVIRONMENTS: Mapping[str, Callable[[str], list[Block]]] = {
    "pip": _pip,
    "uv": _uv,
    "poetry": _poetry,
    "conda": _conda,
    "workbench": _workbench,
    "connect": _connect,
    "dockerfile": _dockerfile,
    "github-actions": _github_actions,
}
"""Environment -> what is pasted there, of the URL of an index."""


def authentication(environment: str, host: str, address: str) -> list[Block]:
    """What is pasted besides where the index is closed; `address` is the server's URL, `host` the name in it."""
    match environment:
        case "connect":
            return [integration_of_connect(address)]
        case "dockerfile":
            return [netrc_of_image(host, "pip install -r requirements.txt")]
        case "github-actions":
            return [netrc_of_workflow(host)]
        case "poetry":
            title = "The token, which Poetry asks for and keeps in the keyring"
            return [Block(title, "", "shell", "poetry config http-basic.packages __token__")]
        case _:
            return [netrc(host)]
