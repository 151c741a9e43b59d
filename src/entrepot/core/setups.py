"""What people paste into the settings of a client, so that it uses a repository."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text for one place.

    Attributes:
        title: what it does, on one line.
        file: where it goes; empty where it is typed somewhere.
        language: for highlighting: r, toml, ini, yaml, json, dockerfile, shell, text.
        text: without a line end at its end.
    """

    title: str
    file: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Setup:
    """All blocks for one environment, and the URL of the repository that they lead to."""

    repository_url: str
    blocks: tuple[Block, ...]


TOKEN = "TOKEN"
"""Stands where people put their own: nobody is shown one here."""

VARIABLE = "PACKAGES_TOKEN"
"""Of the environment, where a client reads no ~/.netrc."""


def netrc(host: str, *, title: str = "The token, in a file that you alone can read (chmod 600)") -> Block:
    """The line by which most programs find a login for a host, whatever its port."""
    return Block(title, "~/.netrc", "text", f"machine {host} login __token__ password {TOKEN}")


def netrc_of_image(host: str, install: str) -> Block:
    """A token for one step of a build, which the image doesn't keep; `install` is what needs it."""
    text = f"RUN --mount=type=secret,id=netrc,target=/root/.netrc \\\n    {install}"
    title = f"The token for {host}, of a ~/.netrc: docker build --secret id=netrc,src=$HOME/.netrc"
    return Block(title, "Dockerfile", "dockerfile", text)


def netrc_of_workflow(host: str) -> Block:
    """A step that puts a secret of the workflow's repository where programs look for it."""
    lines = [
        "- run: |",
        f'    echo "machine {host} login __token__ password ${VARIABLE}" >> ~/.netrc',
        "    chmod 600 ~/.netrc",
        "  env:",
        f"    {VARIABLE}: ${{{{ secrets.{VARIABLE} }}}}",
    ]
    title = "A step before it; identity federation gives a token without a secret"
    return Block(title, ".github/workflows/*.yml", "yaml", "\n".join(lines))


def integration_of_connect(address: str) -> Block:
    """How Connect comes by tokens of its own."""
    title = "Connect gets its tokens by itself: an integration of the template ppm, and identity federation here"
    return Block(title, "", "json", f'{{"ppm_url": "{address}", "scopes": "repos:read:*"}}')
