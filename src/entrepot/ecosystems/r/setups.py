"""How programs that install R packages are told of a repository."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from entrepot.core.setups import (
    TOKEN,
    VARIABLE,
    Block,
    integration_of_connect,
    netrc,
    netrc_of_image,
    netrc_of_workflow,
)

USER_AGENT = (
    'options(HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(),\n'
    '  paste(getRversion(), R.version["platform"], R.version["arch"], R.version["os"])))'
)
"""R itself doesn't say which version it is; without that it gets source packages."""
NETRC = 'options(download.file.method = "curl", download.file.extra = "--netrc --fail --location")'
"""R's own downloads look into no ~/.netrc; the program curl does, and without --fail it keeps a refusal as a file."""
BIOCONDUCTOR_PARTS = {
    "BioCsoft": "bioc",
    "BioCann": "data/annotation",
    "BioCexp": "data/experiment",
    "BioCworkflows": "workflows",
    "BioCbooks": "books",
}
"""What R calls the repositories of a version of Bioconductor, and where they are below it."""
PROFILE = 'Rprofile.site in the folder R.home("etc"), or ~/.Rprofile'
_WORKFLOW = ".github/workflows/*.yml"
_CONNECT = "/etc/rstudio-connect/rstudio-connect.gcfg"


@dataclass(frozen=True, slots=True)
class Places:
    """The URLs that are set.

    Attributes:
        cran: of a repository of R packages; None: there is none to go with Bioconductor.
        plain: the same for source packages, for clients that choose binary packages by themselves.
        is_binary: `cran` gives binary packages for Linux.
        bioconductor: of a repository of Bioconductor, with its snapshot if it has one.
        bioc_version: the version of Bioconductor.
    """

    cran: str | None
    plain: str | None
    is_binary: bool = False
    bioconductor: str | None = None
    bioc_version: str | None = None


def options(places: Places, *, plain: bool = False) -> str:
    """The lines of R that set all of it."""
    lines = []
    if places.bioconductor is not None:
        lines += [
            f'options(BioC_mirror = "{places.bioconductor}")',
            f'options(BIOCONDUCTOR_CONFIG_FILE = "{places.bioconductor}/config.yaml")',
        ]
    url = places.plain if plain else places.cran
    if url is not None:
        lines.append(f'options(repos = c(CRAN = "{url}"))')
    if places.is_binary and not plain:
        lines.append(USER_AGENT)
    return "\n".join(lines)


def _r(places: Places) -> list[Block]:
    blocks = [Block("R", PROFILE, "r", options(places))]
    if places.bioconductor is not None:
        version = f'version = "{places.bioc_version}"' if places.bioc_version else ""
        blocks.append(Block("Then, once", "", "r", f'install.packages("BiocManager")\nBiocManager::install({version})'))
    return blocks


def _renv(places: Places) -> list[Block]:
    """renv chooses binary packages by itself, so that a lock file holds on every system."""
    blocks = [Block("renv, before renv::init()", ".Rprofile of the project", "r", options(places, plain=True))]
    if places.plain is not None:
        repositories = [{"Name": "CRAN", "URL": places.plain}]
        lock = json.dumps({"R": {"Repositories": repositories}}, indent=2)
        blocks.append(Block("In a lock file that is there already", "renv.lock", "json", lock))
    return blocks


def _pak(places: Places) -> list[Block]:
    """pak tells R's version by itself."""
    blocks = [Block("pak", PROFILE, "r", options(places))]
    if places.cran is not None:
        blocks.append(Block("For a session alone", "", "r", f'pak::repo_add(CRAN = "{places.cran}")'))
    return blocks


def _rstudio(places: Places) -> list[Block]:
    blocks = []
    if places.cran is not None:
        title = "RStudio: Tools, Global Options, Packages, Primary CRAN repository, Change, Custom"
        blocks.append(Block(title, "", "text", places.cran))
    if places.is_binary or places.bioconductor is not None:
        blocks.append(Block("What the dialog doesn't know", PROFILE, "r", options(places)))
    return blocks


def _workbench(places: Places) -> list[Block]:
    blocks = []
    if places.cran is not None:
        blocks.append(Block("Workbench", "/etc/rstudio/repos.conf", "ini", f"CRAN={places.cran}"))
    if places.is_binary or places.bioconductor is not None:
        blocks.append(Block("For every version of R", PROFILE, "r", options(places)))
    return blocks


def _connect(places: Places) -> list[Block]:
    urls = {"CRAN": places.cran} if places.cran is not None else {}
    if places.bioconductor is not None and places.bioc_version is not None:
        base = f"{places.bioconductor}/packages/{places.bioc_version}"
        urls |= {name: f"{base}/{part}" for name, part in BIOCONDUCTOR_PARTS.items()}
    sections = [f'[RPackageRepository "{name}"]\nURL = "{url}"' for name, url in urls.items()]
    rewriting = "[R]\nPositPackageManagerURLRewriting = auto"
    return [
        Block("Connect", _CONNECT, "ini", "\n\n".join(sections)),
        Block(
            "What becomes of other URLs of this server in content: auto is the default; force-source, force-binary, "
            "force-portable, none",
            _CONNECT,
            "ini",
            rewriting,
        ),
    ]


def _dockerfile(places: Places) -> list[Block]:
    lines = " \\\n    ".join(f"'{line}'" for line in options(places).splitlines())
    text = f"RUN printf '%s\\n' \\\n    {lines} \\\n    >> \"$(R RHOME)/etc/Rprofile.site\""
    return [Block("R in an image", "Dockerfile", "dockerfile", text)]


def _github_actions(places: Places) -> list[Block]:
    blocks = []
    if places.cran is not None:
        inputs = ["use-public-rspm: false", f"cran: {places.cran}"]
        lines = ["- uses: r-lib/actions/setup-r@v2", "  with:", *(f"    {line}" for line in inputs)]
        blocks.append(Block("R in a workflow", _WORKFLOW, "yaml", "\n".join(lines)))
    if places.is_binary or places.bioconductor is not None:
        code = [
            'profile <- file.path(R.home("etc"), "Rprofile.site")',
            'cat(r"---(',
            *options(places).splitlines(),
            ')---", file = profile, append = TRUE)',
        ]
        lines = ["- shell: Rscript {0}", "  run: |", *(f"    {line}" for line in code)]
        blocks.append(Block("A step after it", _WORKFLOW, "yaml", "\n".join(lines)))
    return blocks


ENVIRONMENTS: Mapping[str, Callable[[Places], list[Block]]] = {
    "r": _r,
    "renv": _renv,
    "pak": _pak,
    "rstudio": _rstudio,
    "workbench": _workbench,
    "connect": _connect,
    "dockerfile": _dockerfile,
    "github-actions": _github_actions,
}
"""Environment -> what is pasted there."""


def authentication(environment: str, host: str, address: str) -> list[Block]:
    """What is pasted besides where a repository is closed; `address` is the server's URL, `host` the name in it."""
    use = Block("R, with the program curl, which reads that file", PROFILE, "r", NETRC)
    headers = [
        "options(renv.download.headers = function(url) {",
        f'  if (startsWith(url, "{address}/"))',
        f'    c(Authorization = paste("Bearer", Sys.getenv("{VARIABLE}")))',
        "})",
    ]
    match environment:
        case "renv":
            return [
                Block(
                    "The token, in a file that you alone can read (chmod 600)",
                    "~/.Renviron",
                    "text",
                    f"{VARIABLE}={TOKEN}",
                ),
                Block("renv, for all projects of yours", "~/.Rprofile", "r", "\n".join(headers)),
            ]
        case "connect":
            return [integration_of_connect(address)]
        case "dockerfile":
            return [netrc_of_image(host, f"Rscript -e '{NETRC}' -e 'install.packages(\"NAME\")'")]
        case "github-actions":
            return [netrc_of_workflow(host), use]
        case "pak":  # it has curl in itself
            return [netrc(host)]
        case _:
            return [netrc(host), use]
