from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.errors import SettingsError
from lash_host.settings import PluginSettings, PriceSettings, Settings, load_settings

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def load(folder: Path, /, **environ: str) -> Settings:
    return load_settings(cwd=folder, environ=environ)


def fault(folder: Path, /, *, overrides: dict[str, object] | None = None, **environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(cwd=folder, environ=environ, overrides=overrides)
    assert "\n" not in str(caught.value)
    return caught.value


class TestWhereSettingsComeFrom:
    def test_without_any_there_are_the_defaults(self, tmp_path: Path) -> None:
        settings = load(tmp_path)
        assert settings == Settings()
        assert settings.model == "offline/agent"

    def test_each_source_is_stronger_than_the_one_before(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", 'model = "a/file"\nprotocol = "file"\neffect_host = "file"\n[lease]\nttl_ms = 100')
        write("pyproject.toml", '[tool.lash]\nmodel = "a/project"\nprotocol = "project"\neffect_host = "project"')
        environ = {"LASH_MODEL": "a/environment", "LASH_PROTOCOL": "environment"}
        settings = load_settings(cwd=tmp_path, environ=environ, overrides={"model": "a/argument"})
        assert settings.model == "a/argument"
        assert settings.protocol == "environment"
        assert settings.effect_host == "project"
        assert settings.lease.ttl_ms == 100

    def test_tables_are_merged_key_by_key(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", '[providers.openai]\nbase_url = "https://proxy"\ntimeout = 3\n[plugins]\norder = ["a"]')
        write("pyproject.toml", '[tool.lash.plugins.options.notes]\nmax = 3\n[tool.lash.plugins]\ndisabled = ["b"]')
        settings = load(tmp_path, LASH_PROVIDERS__OPENAI__API_KEY="key", LASH_PLUGINS__OPTIONS__NOTES__MIN="1")
        assert settings.providers == {"openai": {"base_url": "https://proxy", "timeout": 3, "api_key": "key"}}
        assert settings.plugins == PluginSettings(
            order=("a",), disabled=("b",), options={"notes": {"max": 3, "min": "1"}}
        )

    def test_a_price_may_be_spread_over_files(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", '[prices."a/m"]\ninput_per_mtok = 1.5')
        write("pyproject.toml", '[tool.lash.prices."a/m"]\noutput_per_mtok = 6')
        assert load(tmp_path).prices == {"a/m": PriceSettings(input_per_mtok=1.5, output_per_mtok=6)}

    def test_the_nearest_files_above_the_folder_are_read(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", 'model = "far/away"\nprotocol = "far"')
        write("work/lash.toml", 'model = "near/by"')
        write("pyproject.toml", '[tool.lash]\neffect_host = "project"')
        write("work/deep/pyproject.toml", "[tool.other]\nx = 1")
        (tmp_path / "work/deep/er").mkdir()
        settings = load(tmp_path / "work/deep/er")
        assert (settings.model, settings.protocol, settings.effect_host) == ("near/by", None, "project")

    @pytest.mark.parametrize("how", ["argument", "variable", "relative variable"])
    def test_a_named_file_stands_in_place_of_the_others(self, tmp_path: Path, write: Write, how: str) -> None:
        write("lash.toml", 'model = "not/this"\nprotocol = "nor-this"')
        named = write("other/x.toml", 'model = "this/one"')
        if how == "argument":
            settings = load_settings(cwd=tmp_path, config=named, environ={"LASH_CONFIG": "ignored.toml"})
        else:
            settings = load(tmp_path, LASH_CONFIG=str(named) if how == "variable" else "other/x.toml")
        assert (settings.model, settings.protocol) == ("this/one", None)

    def test_a_named_pyproject_is_read_at_its_table(self, tmp_path: Path, write: Write) -> None:
        named = write("other/pyproject.toml", '[project]\nname = "x"\n[tool.lash]\nmodel = "this/one"')
        assert load_settings(cwd=tmp_path, config=named, environ={}).model == "this/one"

    def test_the_process_environment_is_the_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LASH_MODEL", "from/environ")
        monkeypatch.chdir(tmp_path)
        assert load_settings().model == "from/environ"

    def test_an_argument_of_none_was_not_given(self, tmp_path: Path) -> None:
        settings = load_settings(cwd=tmp_path, environ={"LASH_STORE": "a.duckdb"}, overrides={"store": None})
        assert settings.store == "a.duckdb"

    def test_reading_the_model_does_not_import_pydantic_settings(self) -> None:
        script = "import sys, lash_host.settings; print('pydantic_settings' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"


class TestTheEnvironment:
    def test_nested_keys_lists_and_tables(self, tmp_path: Path) -> None:
        settings = load(
            tmp_path,
            LASH_COMPACTION__AUTO_SHARE="0.5",
            LASH_PLUGINS__ENABLED='["a", "b"]',
            LASH_PRICES='{"a/m": {"input_per_mtok": 1, "output_per_mtok": 2}}',
            OTHER_MODEL="not ours",
        )
        assert settings.compaction.auto_share == 0.5
        assert settings.plugins.enabled == ("a", "b")
        assert settings.prices["a/m"].output_per_mtok == 2

    def test_a_key_is_stronger_than_its_table(self, tmp_path: Path) -> None:
        settings = load(tmp_path, LASH_LEASE__TTL_MS="7", LASH_LEASE='{"ttl_ms": 9}')
        assert settings.lease.ttl_ms == 7

    def test_an_empty_variable_is_not_set(self, tmp_path: Path) -> None:
        assert load(tmp_path, LASH_MODEL="", LASH_CONFIG="", LASH_NO_SUCH_KEY="") == Settings()


class TestTheStoresPath:
    @pytest.mark.parametrize("name", ["lash.toml", "pyproject.toml"])
    def test_in_a_file_it_is_relative_to_the_file(self, tmp_path: Path, write: Write, name: str) -> None:
        header = "[tool.lash]\n" if name == "pyproject.toml" else ""
        write(name, header + 'store = "data/x.duckdb"')
        (tmp_path / "sub").mkdir()
        assert load(tmp_path / "sub").store == str(tmp_path / "data/x.duckdb")

    @pytest.mark.parametrize("store", ["/abs/x.duckdb", ":memory:", "duckdb:///x.duckdb", "postgresql+psycopg://h/d"])
    def test_everything_else_stays_as_written(self, tmp_path: Path, write: Write, store: str) -> None:
        write("lash.toml", f'store = "{store}"')
        assert load(tmp_path).store == store

    def test_in_a_variable_it_stays_as_written(self, tmp_path: Path) -> None:
        assert load(tmp_path, LASH_STORE="x.duckdb").store == "x.duckdb"

    def test_a_tilde_is_the_home_folder(self, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/somebody")
        write("lash.toml", 'store = "~/x.duckdb"')
        assert load(tmp_path).store == "/home/somebody/x.duckdb"


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("text", "key", "nearest"),
        [
            ('modle = "a/b"', "modle", "'model'"),
            ("[compaction]\nauto_shar = 1", "compaction.auto_shar", "'compaction.auto_share'"),
            ("ttl_ms = 5", "ttl_ms", "'lease.ttl_ms'"),
            ('[prices."a/m"]\ninput_per_tok = 1', "prices.a/m.input_per_tok", "'prices.a/m.input_per_mtok'"),
            ("[plugin]\nenabled = []", "plugin", "'plugins'"),
        ],
    )
    def test_name_the_file_the_key_and_the_nearest(
        self, tmp_path: Path, write: Write, text: str, key: str, nearest: str
    ) -> None:
        path = write("lash.toml", text)
        error = fault(tmp_path)
        assert (error.source, error.key) == (str(path), key)
        assert str(error) == f"{path}: unknown key {key!r}; did you mean {nearest}?"

    def test_where_none_is_near_the_known_ones_are_listed(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", "[lease]\nzzzzzz = 5")
        assert str(fault(tmp_path)).endswith("unknown key 'lease.zzzzzz'; known there: ttl_ms")

    def test_the_file_at_fault_is_named_among_several(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", 'model = "a/b"')
        path = write("pyproject.toml", "[tool.lash]\nmodell = 1")
        assert fault(tmp_path).source == f"{path} [tool.lash]"

    @pytest.mark.parametrize(
        ("variable", "key", "nearest"),
        [
            ("LASH_MODLE", "modle", "LASH_MODEL"),
            ("LASH_COMPACTION__AUTO_SHAR", "compaction.auto_shar", "LASH_COMPACTION__AUTO_SHARE"),
            ("LASH_STOR__PATH", "stor.path", "known there: none"),
        ],
    )
    def test_a_variable_is_named_as_one(self, tmp_path: Path, variable: str, key: str, nearest: str) -> None:
        error = fault(tmp_path, **{variable: "1"})
        assert (error.source, error.key) == (f"environment variable {variable}", key)
        assert nearest in str(error)

    def test_a_key_below_a_plain_value_is_unknown(self, tmp_path: Path) -> None:
        assert fault(tmp_path, LASH_MODEL__NAME="x").key == "model.name"

    def test_a_key_inside_json_is_written_as_a_key(self, tmp_path: Path) -> None:
        error = fault(tmp_path, LASH_COMPACTION='{"auto_shar": 1}')
        assert str(error).endswith("did you mean 'compaction.auto_share'?")

    def test_arguments_are_checked_too(self, tmp_path: Path) -> None:
        error = fault(tmp_path, overrides={"modle": "a/b"})
        assert str(error) == "arguments: unknown key 'modle'; did you mean 'model'?"

    def test_free_tables_take_any_key(self, tmp_path: Path, write: Write) -> None:
        write("lash.toml", "[providers.x]\nwhat.ever = 1\n[plugins.options.p]\nnested.deep = [1]")
        settings = load(tmp_path)
        assert settings.providers["x"] == {"what": {"ever": 1}}
        assert settings.plugins.options["p"] == {"nested": {"deep": [1]}}


class TestWrongValues:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("model = 3", "model: expected a string"),
            ("[lease]\nttl_ms = 'x'", "lease.ttl_ms: expected a whole number"),
            ("[lease]\nttl_ms = 1", "lease.ttl_ms: expected at least 3"),
            ("[compaction]\nauto_share = 'x'", "compaction.auto_share: expected a number"),
            ("compaction = 3", "compaction: expected a table"),
            ("providers = 'sk-secret'", "providers: expected a table"),
            ("[providers]\nopenai = 'sk-secret'", "providers.openai: expected a table"),
            ("[plugins]\ndisabled = 'a'", "plugins.disabled: expected a list"),
            ("[plugins]\nenabled = 'a'", "plugins.enabled: expected a list"),
            ("[plugins]\ndisabled = [1]", "plugins.disabled.0: expected a string"),
            ("[prices.'a/m']\noutput_per_mtok = 1", "prices.a/m.input_per_mtok: is missing"),
        ],
    )
    def test_name_file_key_and_expectation(self, tmp_path: Path, write: Write, text: str, problem: str) -> None:
        path = write("lash.toml", text)
        assert str(fault(tmp_path)) == f"{path}: {problem}"

    @pytest.mark.parametrize(
        ("variable", "value", "problem"),
        [
            ("LASH_LEASE__TTL_MS", "soon", "lease.ttl_ms: expected a whole number"),
            ("LASH_PLUGINS__DISABLED", "a,b", "plugins.disabled: expected a value written as JSON"),
            ("LASH_PLUGINS__ENABLED", "a,b", "plugins.enabled: expected a list, written as JSON"),
            ("LASH_COMPACTION", "3", "compaction: expected a table, written as JSON"),
        ],
    )
    def test_of_variables(self, tmp_path: Path, variable: str, value: str, problem: str) -> None:
        assert str(fault(tmp_path, **{variable: value})) == f"environment variable {variable}: {problem}"

    @pytest.mark.parametrize(
        "environ",
        [
            {"LASH_PROVIDERS": "sk-secret"},
            {"LASH_PROVIDERS": '"sk-secret"'},
            {"LASH_PROVIDERS__OPENAI": "sk-secret"},
            {"LASH_PROVIDERS__OPENAI": '["sk-secret"]'},
        ],
    )
    def test_secrets_are_never_shown(self, tmp_path: Path, environ: dict[str, str]) -> None:
        error = fault(tmp_path, **environ)
        assert "sk-secret" not in str(error)
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__


class TestFilesThatCannotBeRead:
    def test_malformed_toml_names_the_line(self, tmp_path: Path, write: Write) -> None:
        path = write("lash.toml", 'model = "a/b"\n\nlease = =\n')
        error = fault(tmp_path)
        assert error.source == str(path)
        assert "not a TOML file" in str(error)
        assert "line 3" in str(error)

    def test_a_broken_pyproject_names_the_file(self, tmp_path: Path, write: Write) -> None:
        path = write("pyproject.toml", "[tool.lash")
        assert fault(tmp_path).source == str(path)

    def test_bytes_that_are_not_text(self, tmp_path: Path) -> None:
        (tmp_path / "lash.toml").write_bytes(b"model = '\xff'")
        assert "not UTF-8" in str(fault(tmp_path))

    def test_a_named_file_must_exist(self, tmp_path: Path) -> None:
        error = fault(tmp_path, LASH_CONFIG="gone.toml")
        assert str(error) == f"{tmp_path / 'gone.toml'}: there is no such file"

    def test_a_named_pyproject_must_have_the_table(self, tmp_path: Path, write: Write) -> None:
        write("pyproject.toml", "[project]\nname = 'x'")
        assert "no table [tool.lash]" in str(fault(tmp_path, LASH_CONFIG="pyproject.toml"))

    def test_the_table_must_be_one(self, tmp_path: Path, write: Write) -> None:
        write("pyproject.toml", "[tool]\nlash = 3")
        error = fault(tmp_path)
        assert (error.key, error.problem) == ("tool.lash", "expected a table")
