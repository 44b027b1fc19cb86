"""The plugin as the host meets it: entry point, registration, settings."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import lash_host_provider_openai
from lash_host import Settings, SettingsError
from lash_host_provider_openai import lash_register_providers
from lash_host_provider_openai.settings import is_loopback


def register(**tables):
    return {provider.provider_id: provider for provider in lash_register_providers(Settings(providers=tables))}


def refused(**tables) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        register(**tables)
    return caught.value


def test_the_entry_point_loads_the_package():
    (entry,) = entry_points(group="lash_host.plugins", name="provider_openai")
    assert entry.load() is lash_host_provider_openai


def test_registering_neither_imports_the_sdk_nor_needs_a_key():
    script = (
        "import sys, lash_host_provider_openai as p; from lash_host.settings import Settings;"
        "p.lash_register_providers(Settings())[0].model('gpt-5.2');"
        "sys.exit('openai' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={})


def test_openai_is_there_without_any_settings():
    (provider,) = register().values()
    assert (provider.provider_id, provider.base_url) == ("openai", "https://api.openai.com/v1")


def test_every_table_of_this_kind_is_a_provider_and_others_are_left_alone():
    providers = register(
        ollama={"kind": "openai", "base_url": "http://localhost:11434/v1/"},
        vllm={"kind": "openai", "base_url": "http://gpu:8000/v1", "api_key_env": "VLLM_KEY"},
        anthropic={"kind": "anthropic", "whatever": 1},
        offline={},
    )
    assert {id_: provider.base_url for id_, provider in providers.items()} == {
        "openai": "https://api.openai.com/v1",
        "ollama": "http://localhost:11434/v1",
        "vllm": "http://gpu:8000/v1",
    }


def test_the_id_openai_can_be_left_to_another_plugin():
    assert register(openai={"kind": "responses"}) == {}


def test_any_model_is_accepted_and_settings_say_more_of_some():
    known = {
        "context_window_tokens": 400_000,
        "output_tokens_limit": 64_000,
        "reasoning_efforts": ["low", "high"],
        "reasoning_effort": "high",
    }
    provider = register(openai={"models": {"gpt-5.2": known}})["openai"]
    spec = provider.model("gpt-5.2")
    assert (spec.context_window_tokens, spec.output_tokens_limit) == (400_000, 64_000)
    assert (spec.reasoning_efforts, spec.reasoning_effort) == (("low", "high"), "high")
    other = provider.model("team/of-tomorrow")
    assert str(other) == "openai/team/of-tomorrow"
    assert (other.context_window_tokens, other.output_tokens_limit, other.reasoning_efforts) == (128_000, None, ())


@pytest.mark.parametrize(
    ("table", "key", "problem"),
    [
        ({"base_ur": "x"}, "providers.openai.base_ur", "did you mean base_url?"),
        ({"zzz": 1}, "providers.openai.zzz", "unknown key"),
        ({"models": {"m": {"context": 1}}}, "providers.openai.models.m.context", "unknown key"),
        ({"models": {"m": {"output_token_limit": 1}}}, "providers.openai.models.m.output_token_limit", "output_tokens"),
        ({"request_timeout_s": 0}, "providers.openai.request_timeout_s", "greater than 0"),
        ({"request_timeout_s": "inf"}, "providers.openai.request_timeout_s", "finite"),
        ({"models": {"m": {"context_window_tokens": "big"}}}, "providers.openai.models.m.context_window_tokens", "int"),
        (
            {"models": {"m": {"reasoning_efforts": ["low"], "reasoning_effort": "max"}}},
            "providers.openai.models.m",
            "must be one of low",
        ),
        ({"base_url": "localhost:11434"}, "providers.openai.base_url", "http or https address"),
        ({"base_url": "http://[::1"}, "providers.openai.base_url", "http or https address"),
        ({"base_url": "https://u:KEEPSECRET@h/v1"}, "providers.openai.base_url", "no user, password"),
        ({"base_url": "https://h/v1?key=KEEPSECRET"}, "providers.openai.base_url", "query"),
        ({"api_key_env": "sk-KEEPSECRET"}, "providers.openai.api_key_env", "name of an environment variable"),
        ({"api_key": "KEEPSECRET"}, "providers.openai.api_key", "api_key_env"),
        ({"headers": {"Authorization": "KEEPSECRET"}}, "providers.openai.headers", "api_key_env"),
        ({"headers": {"X-A": "KEEPSECRET\n"}}, "providers.openai.headers", "no header"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(table, key, problem):
    error = refused(openai=table)
    assert error.key == key
    assert key in str(error)
    assert problem in str(error)
    assert "KEEPSECRET" not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


def test_a_provider_id_that_cannot_be_written_before_a_slash_is_refused():
    assert refused(**{"a/b": {"kind": "openai"}}).key == "providers.a/b"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://localhost:1/v1", True),
        ("http://models.localhost/v1", True),
        ("http://127.8.9.1/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://0.0.0.0/v1", False),
        ("http://192.168.1.2/v1", False),
        ("https://localhost.evil.example/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_what_counts_as_this_machine(address, expected):
    assert is_loopback(address) is expected
