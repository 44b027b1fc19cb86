"""Keys come from the environment, reach the one server they are for, and nothing else."""

from __future__ import annotations

import pytest

from lash_host import MissingCredential, SettingsError
from lash_host.testing.openai_server import ChatReply
from lash_host_provider_openai import OpenAIProvider, ProviderSettings

REMOTE = "https://models.example.invalid/v1"


def remote(provider_id: str = "openai", *, environ=None, **table) -> OpenAIProvider:
    settings = ProviderSettings.model_validate(table)
    return OpenAIProvider(provider_id, settings=settings, environ=environ or {})


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        (remote(), "OPENAI_API_KEY"),
        (remote(environ={"OPENAI_API_KEY": "  \n"}), "OPENAI_API_KEY"),
        (remote(api_key_env="WORK_KEY", environ={"OPENAI_API_KEY": "sk-1"}), "WORK_KEY"),
        (remote("openrouter", base_url=REMOTE, environ={"OPENAI_API_KEY": "sk-1"}), "OPENROUTER_API_KEY"),
        (remote("my.vllm-box", base_url="http://192.168.0.7:8000/v1"), "MY_VLLM_BOX_API_KEY"),
        (remote("near", base_url="http://localhost.example.invalid/v1"), "NEAR_API_KEY"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_key_is_an_error_that_names_its_variable(refusal, provider, variable):
    error = refusal(provider=provider)
    assert isinstance(error, MissingCredential)
    assert (error.provider_id, error.variable) == (provider.provider_id, variable)
    assert variable in str(error)


def test_a_server_on_this_machine_needs_no_key(server, answer, make_provider):
    server.add(ChatReply(text="hi"))
    assert answer(provider=make_provider("ollama", environ={"OPENAI_API_KEY": "sk-not-yours"})).text == "hi"
    assert server.requests[0].headers["authorization"] == "Bearer no-key"


def test_the_key_is_read_at_every_call(server, answer, make_provider):
    environ = {"LOCAL_KEY": "first\n"}
    provider = make_provider("local", environ=environ, api_key_env="LOCAL_KEY")
    server.add(ChatReply(text="a"), ChatReply(text="b"))
    answer(provider=provider)
    environ["LOCAL_KEY"] = "second"
    answer(provider=provider)
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("key", ["KEEPSECRET two", "KEEPSECRETä", "KEEPSECRET\nX: y"])
def test_what_cannot_be_a_key_is_refused_unseen(server, refusal, make_provider, key):
    error = refusal(provider=make_provider(environ={"OPENAI_API_KEY": key}))
    assert error.kind == "auth"
    assert "OPENAI_API_KEY" in str(error)
    assert server.requests == []


def test_what_the_environment_says_for_openai_is_sent_to_openai_alone(server, answer, make_provider, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ambient")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-ambient")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret\nX-Title: ambient")
    environ = {"OPENAI_CUSTOM_HEADERS": "X-Gateway: secret\nX-Title: ambient", "OPENAI_API_KEY": "sk-1"}
    server.add(ChatReply(text="a"), ChatReply(text="b"))
    answer(provider=make_provider(environ=environ))
    answer(provider=make_provider("other", environ=environ, headers={"X-Title": "mine"}))
    to_openai, to_other = (request.headers for request in server.requests)
    assert (to_openai["openai-organization"], to_openai["openai-project"]) == ("org-ambient", "proj-ambient")
    assert not {"openai-organization", "openai-project", "x-gateway"} & set(to_other)
    assert to_other["x-title"] == "mine"


def test_an_ambient_authorization_does_not_replace_the_key(server, answer, make_provider, monkeypatch):
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "authorization: Bearer ambient")
    server.add(ChatReply(text="a"))
    answer(provider=make_provider(environ={"OPENAI_API_KEY": "sk-mine"}))
    assert server.requests[0].headers["authorization"] == "Bearer sk-mine"


def test_the_address_comes_from_the_table_then_the_environment_then_is_openais(server, answer):
    environ = {"OPENAI_BASE_URL": f"{server.base_url}/", "OPENAI_API_KEY": "sk-1"}
    assert remote().base_url == "https://api.openai.com/v1"
    assert remote(base_url=REMOTE, environ=environ).base_url == REMOTE
    server.add(ChatReply(text="here"))
    assert answer(provider=remote(environ=environ)).text == "here"


def test_an_unusable_address_in_the_environment_is_told_at_once():
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL must be an http") as caught:
        remote(environ={"OPENAI_BASE_URL": "localhost:11434"})
    assert (caught.value.source, caught.value.key) == ("environment", "OPENAI_BASE_URL")


def test_openai_itself_is_asked_with_its_own_name_for_the_output_limit(make_provider):
    assert remote()._max_tokens_field() == "max_completion_tokens"
    assert remote(base_url="https://eu.api.openai.com/v1")._max_tokens_field() == "max_completion_tokens"
    assert remote(base_url="https://notopenai.com/v1")._max_tokens_field() == "max_tokens"
