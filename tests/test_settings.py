"""Settings: the file, the environment over it, and words for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrepot.core.errors import InvalidSettings
from entrepot.settings import Settings, describe, load_settings, parse_listen

SAMPLE = Path(__file__).parent.parent / "docs" / "entrepot.toml"


def load(tmp_path: Path, text: str, **env: str) -> Settings:
    file = tmp_path / "entrepot.toml"
    file.write_text(text)
    return load_settings(file, env)


def test_the_sample_is_valid_and_tells_the_defaults(tmp_path: Path) -> None:
    """Every key of the sample exists, every key that exists is in the sample, with its default."""
    sample = load(tmp_path, SAMPLE.read_text()).model_dump()
    defaults = Settings().model_dump()
    sample["server"].pop("data_dir")
    defaults["server"].pop("data_dir")
    assert sample == defaults
    for section, keys in defaults.items():
        assert f"[{section}]" in SAMPLE.read_text()
        assert all(key in SAMPLE.read_text() for key in keys)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    """ENTREPOT_<SECTION>__<KEY> wins; relative folders start at the file's."""
    text = '[server]\ndata_dir = "here"\nlisten = ":1"\n'
    settings = load(tmp_path, text, ENTREPOT_SERVER__LISTEN=":2", ENTREPOT_LOCAL__MAX_UPLOAD="7")
    assert (settings.server.listen, settings.local.max_upload) == (":2", 7)
    assert settings.server.data_dir == tmp_path / "here"
    assert settings.database_url == f"sqlite:///{tmp_path}/here/entrepot.db"


@pytest.mark.parametrize(
    ("text", "env", "said"),
    [
        ("[cran]\nupstrem = 'x'", {}, "unknown setting [cran] upstrem"),
        ("[crann]\nupstream = 'x'", {}, "unknown setting [crann]"),
        ("[server]\nlisten = 4242", {}, "bad value for [server] listen: 4242"),
        ("[cran]\nsync_schedule = '99 * * * *'", {}, "bad value for [cran] sync_schedule: '99 * * * *'"),
        ("[cran]\ndescribe_rate = 0", {}, "bad value for [cran] describe_rate: 0"),
        ("", {"ENTREPOT_CRAN__DESCRIBE_RATE": "nan"}, "bad value for [cran] describe_rate: 'nan'"),
        ("[repos]\ncran = '../x'", {}, "bad value for [repos] cran: '../x'"),
        ("[local]\nmax_upload = 0", {}, "bad value for [local] max_upload: 0"),
        ("[server", {}, "can't be read as TOML"),
        ("", {"ENTREPOT_SERVER__LISTEN": "x"}, "bad value for [server] listen: 'x'"),
        ("", {"ENTREPOT_SERVER_LISTEN": ":1"}, "unknown variable ENTREPOT_SERVER_LISTEN"),
        ("server = 3", {}, "bad value for [server]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, env: dict[str, str], said: str) -> None:
    """An unknown key or bad value is an error that names the key, the value and what is allowed."""
    with pytest.raises(InvalidSettings) as error:
        load(tmp_path, text, **env)
    assert said in error.value.message
    assert error.value.hint or "TOML" in error.value.message


def test_times_may_have_a_unit(tmp_path: Path) -> None:
    """A number is in seconds; s, m, h and d are understood too."""
    settings = load(tmp_path, "[git]\npoll_interval = '5m'\nbuild_time = 90", ENTREPOT_GIT__BUILD_TIME="1h")
    assert (settings.git.poll_interval, settings.git.build_time) == (300, 3600)
    with pytest.raises(InvalidSettings, match=r"bad value for .git. poll_interval: '5 weeks'"):
        load(tmp_path, "[git]\npoll_interval = '5 weeks'")


def test_files_count_from_the_configurations_folder(tmp_path: Path) -> None:
    settings = load(tmp_path, "[server]\nencryption_key = 'key'\n[git]\nknown_hosts = 'hosts'")
    assert settings.encryption_key == tmp_path / "key"
    assert settings.git.known_hosts == str(tmp_path / "hosts")


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    """--config and ENTREPOT_CONFIG must name a file."""
    with pytest.raises(InvalidSettings, match="there is no configuration file"):
        load_settings(tmp_path / "nope.toml", {})
    with pytest.raises(InvalidSettings, match="there is no configuration file"):
        load_settings(None, {"ENTREPOT_CONFIG": str(tmp_path / "nope.toml")})


def test_passwords_are_masked(tmp_path: Path) -> None:
    """What is shown of the settings has no password."""
    settings = load(
        tmp_path,
        "[database]\nurl = 'postgresql://user:hidden@db/x'\n[cran]\nupstream = 'https://me:hidden@cran.example.org'",
    )
    assert "hidden" not in str(describe(settings))


@pytest.mark.parametrize(("text", "parsed"), [(":1", ("0.0.0.0", 1)), ("[::1]:2", ("::1", 2)), ("a:0", ("a", 0))])
def test_listen(text: str, parsed: tuple[str, int]) -> None:
    """HOST:PORT with or without a host."""
    assert parse_listen(text) == parsed
