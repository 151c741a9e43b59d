"""What holds for every command: persistent flags, Cobra's ways to write flags, help, errors and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entrepot import __version__
from entrepot.cli.main import EXIT_CODES, GRAMMAR, exit_code
from entrepot.cli.options import split_list
from entrepot.cli.reference import reference
from entrepot.cli.session import Session, remote
from entrepot.client import ApiError
from entrepot.core import errors
from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        "-a {a} --token {t} -o json create repo --name=demo",
        "create -a {a} --token={t} --output-format JSON repo --name=demo",
        "create repo --name=demo --address {a} --token={t} -ojson",
        "--address=http://127.0.0.1:1 --token=no -o human create repo --name demo -a={a} --token={t} -o=json",
    ],
)
def test_persistent_flags_in_every_place(stub: Stub, bare: Entrepot, words: str) -> None:
    """Persistent flags work before the verb, after it and after the noun; the last place wins."""
    result = bare(*words.format(a=stub.address, t=stub.token).split())
    assert (result.exit_code, json.loads(result.stdout)["name"]) == (0, "demo")


def test_address_and_token_from_the_environment(stub: Stub, bare: Entrepot) -> None:
    """`ENTREPOT_*` are read, `PACKAGEMANAGER_*` where they are not set."""
    for product in ("ENTREPOT", "PACKAGEMANAGER"):
        env = {f"{product}_ADDRESS": stub.address, f"{product}_TOKEN": stub.token}
        result = bare("create", "source", f"--name={product}", env=env)
        assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("session", "env", "found"),
    [
        (Session(), {}, (None, None)),
        (Session(), {"ENTREPOT_ADDRESS": "e", "PACKAGEMANAGER_ADDRESS": "p"}, ("e", None)),
        (Session(), {"ENTREPOT_ADDRESS": "", "PACKAGEMANAGER_ADDRESS": "p"}, ("p", None)),
        (Session(address="a"), {"ENTREPOT_ADDRESS": "e", "ENTREPOT_TOKEN": "et"}, ("a", "et")),
        (Session(address="a", token="t"), {"ENTREPOT_TOKEN": "et", "PACKAGEMANAGER_TOKEN": "pt"}, ("a", "t")),
        (Session(address="a"), {"PACKAGEMANAGER_TOKEN": "pt"}, ("a", "pt")),
        (Session(), {"ENTREPOT_ADDRESS": "e", "PACKAGEMANAGER_TOKEN": "pt"}, ("e", None)),
    ],
)
def test_where_address_and_token_come_from(
    session: Session, env: dict[str, str], found: tuple[str | None, str | None]
) -> None:
    """Flags win over `ENTREPOT_*`, these over `PACKAGEMANAGER_*`; the other product's token stays with it."""
    assert remote(session, env) == found


@pytest.mark.parametrize(
    ("flags", "is_fine"),
    [
        (("--succeed-on-existing=true",), True),
        (("--succeed-on-existing=1",), True),
        (("--succeed-on-existing=false",), False),
        (("--succeed-on-existing", "--succeed-on-existing=F"), False),
        (("--succeed-on-existing=false", "--succeed-on-existing"), True),
    ],
)
def test_booleans_in_the_manner_of_cobra(stubbed: Entrepot, flags: tuple[str, ...], is_fine: bool) -> None:
    """An on/off flag takes `=true` and `=false`; the last one wins."""
    stubbed.said("create", "repo", "--name=demo")
    assert (stubbed("create", "repo", "--name=demo", *flags).exit_code == 0) is is_fine


def test_a_boolean_that_is_neither(stubbed: Entrepot) -> None:
    """Another value of an on/off flag is a usage error (2)."""
    code, said = stubbed.failed("create", "repo", "--name=demo", "--succeed-on-existing=maybe")
    assert (code, said) == (2, ["Error: '--succeed-on-existing' is either true or false, not 'maybe'"])


def test_an_unknown_output_format(bare: Entrepot) -> None:
    """Another output format is a usage error (2)."""
    assert bare.failed("list", "-o", "yaml") == (2, ["Error: '--output-format' is either human or json, not 'yaml'"])


def test_a_value_that_looks_like_a_flag(stubbed: Entrepot) -> None:
    """The word after a flag that takes a value is its value, whatever it looks like."""
    said = stubbed.said("create", "repo", "--name", "demo", "--description", "--succeed-on-existing=maybe")
    assert said == ["Repository: demo - --succeed-on-existing=maybe - R"]


@pytest.mark.parametrize(
    ("values", "entries"),
    [
        (None, []),
        (["a,b", "c"], ["a", "b", "c"]),
        (["a, b,"], ["a", "b"]),
        (['"a,b",c'], ["a,b", "c"]),
        ([""], []),
    ],
)
def test_list_flags(values: list[str] | None, entries: list[str]) -> None:
    """A list takes commas, repetition and quotes."""
    assert split_list(values) == entries


@pytest.mark.parametrize("args", [("-V",), ("--version",)])
def test_version(bare: Entrepot, args: tuple[str, ...]) -> None:
    """The version needs no server; `-o json` may come after it."""
    assert bare.said(*args) == [f"entrepot {__version__}"]
    assert json.loads(bare(*args, "-o", "json").stdout) == {"version": __version__}


@pytest.mark.parametrize("args", [(), ("-h",), ("--help",), ("help",)])
def test_help(bare: Entrepot, args: tuple[str, ...]) -> None:
    """No words, `-h`, `--help` and `help` all show every verb."""
    said = bare.said(*args)
    assert said[0] == "Usage: entrepot [OPTIONS] COMMAND [ARGS]..."
    shown = [line.split()[0] for line in said[said.index("Commands:") + 1 :]]
    assert shown == list(dict.fromkeys(words.split()[0] for words in GRAMMAR))


@pytest.mark.parametrize("words", GRAMMAR)
def test_help_of_every_command(bare: Entrepot, words: str) -> None:
    """Each command's help shows the persistent flags; `help VERB NOUN` is the same as `-h`."""
    said = bare.said(*words.split(), "-h")
    assert bare.said("help", *words.split()) == said
    text = "\n".join(said)
    for flag in (
        "-a, --address",
        "--token",
        "-c, --config",
        "--insecure-ssl-skip-verify",
        "-o, --output-format",
        "-v,",
    ):
        assert flag in text


@pytest.mark.parametrize(
    ("args", "message", "command"),
    [
        (("create",), "Missing command", "entrepot create"),
        (("create", "repos"), "No such command 'repos'. Did you mean 'repo'?", "entrepot create"),
        (("create", "repo"), "Missing option '--name'", "entrepot create repo"),
        (("list", "packages", "--count=0"), "Invalid value for '--count'", "entrepot list packages"),
        (("list", "--no-such"), "No such option: --no-such", "entrepot list"),
        (("info", "-o"), "Option '-o' requires an argument", "entrepot"),
        (("info", "more"), "Got unexpected extra argument", "entrepot info"),
    ],
)
def test_usage_errors(bare: Entrepot, args: tuple[str, ...], message: str, command: str) -> None:
    """A wrong command line is one line and a hint (2)."""
    code, said = bare.failed(*args)
    assert (code, len(said)) == (2, 2)
    assert said[0].startswith(f"Error: {message}")
    assert said[1] == f"Hint: '{command} --help' tells what it takes"


@pytest.mark.parametrize("flags", [("-o", "json"), ("-o=json",), ("-ojson",), ("--output-format=JSON",)])
def test_usage_errors_as_json(bare: Entrepot, flags: tuple[str, ...]) -> None:
    """A wrong command line is a JSON document where JSON was asked for, wherever that stands."""
    for args in ((*flags, "create", "repo"), ("create", "repo", *flags)):
        code, said = bare.failed(*args)
        assert (code, json.loads("\n".join(said))) == (
            2,
            {
                "code": "usage",
                "error": "Missing option '--name'",
                "hint": "'entrepot create repo --help' tells what it takes",
                "payload": None,
            },
        )


def test_the_servers_error_as_people_read_it(stubbed: Entrepot) -> None:
    """An error of the server is its message and its hint; nothing on standard output."""
    stubbed.said("create", "repo", "--name=demo")
    code, said = stubbed.failed("create", "repo", "--name=demo")
    assert (code, said) == (
        5,
        ["Error: a repository named 'demo' exists", "Hint: choose another name, or use --succeed-on-existing"],
    )


def test_the_servers_error_as_json(stubbed: Entrepot) -> None:
    """As JSON it is the server's own document."""
    code, said = stubbed.failed("info", "--repo=no", "-o", "json")
    document = json.loads("\n".join(said))
    assert (code, document["code"], sorted(document)) == (
        4,
        "repository-not-found",
        ["code", "error", "hint", "payload"],
    )


def test_a_missing_token(stubbed: Entrepot) -> None:
    """Writing without the token exits with 3."""
    stubbed.token = "wrong"
    assert stubbed.failed("create", "repo", "--name=demo")[0] == 3


def test_a_server_that_is_not_there(bare: Entrepot) -> None:
    """No server at the address is 6, with the address and how to set it."""
    assert bare.failed("list", "-a", "http://127.0.0.1:1") == (
        6,
        [
            "Error: can't reach http://127.0.0.1:1: connection refused",
            "Hint: set the server's address with --address or ENTREPOT_ADDRESS, and see that the server runs",
        ],
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (401, 3), (403, 3), (404, 4), (409, 5), (422, 2), (500, 1), (502, 6), (503, 6), (507, 8)],
)
def test_exit_codes_of_the_servers_answers(stubbed: Entrepot, stub: Stub, status: int, code: int) -> None:
    """The exit code follows the HTTP status."""
    stub.canned["GET", "/__api__/repos"] = (status, b'{"code": "odd", "error": "so it is", "hint": null}', {})
    assert stubbed.failed("list", "repos") == (code, ["Error: so it is"])


def test_exit_codes_of_all_errors() -> None:
    """Every error of the tree that a command can meet has an exit code of its kind, as itself and as a job's."""
    spared = {"NotAcceptable", "RangeNotSatisfiable"}
    for name, kind in errors.KINDS.items():
        if name in spared:
            continue
        for cls in (kind, *kind.__subclasses__()):
            assert exit_code(cls("x")) == EXIT_CODES[name]
            assert exit_code(ApiError("x", code=cls.code, status=None)) == EXIT_CODES[name]


def test_an_unexpected_error(stubbed: Entrepot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is one line (1), and a traceback only with `--verbose`."""

    def broken(self: object) -> None:
        raise RuntimeError("what now")

    monkeypatch.setattr("entrepot.client.Client.list_repositories", broken)
    assert stubbed.failed("list", "repos") == (
        1,
        [
            "Error: unexpected RuntimeError: what now",
            "Hint: this is a bug in entrepot; --verbose shows where it happened",
        ],
    )
    assert "Traceback" in "\n".join(stubbed.failed("list", "repos", "-v")[1])


def test_verbose_tells_the_requests_without_the_token(stubbed: Entrepot, caplog: pytest.LogCaptureFixture) -> None:
    """`--verbose` logs each request, never the token."""
    stubbed("list", "repos", "--verbose=true")
    assert "GET" in caplog.text
    assert str(stubbed.token) not in caplog.text


def test_the_reference_is_up_to_date() -> None:
    """`docs/commands.md` is what `python -m entrepot.cli.reference` writes."""
    assert (ROOT / "docs" / "commands.md").read_text("utf-8") == reference()
