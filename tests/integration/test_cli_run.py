"""``lash run``."""

from __future__ import annotations

import json
import signal

import pytest


def test_a_turn_answers_on_standard_output_and_tells_the_rest_elsewhere(lash, place):
    (place / "README.md").write_text("# A heading\n\nsome words\n")

    outcome = lash("run", "read README.md")

    assert outcome.status == 0
    assert "A heading" in outcome.out
    assert "read_file" in outcome.err.splitlines()[0]
    assert "tokens" in outcome.err
    assert "session session_" in outcome.err
    assert "lash run -s session_" in outcome.err


def test_a_session_goes_on(lash):
    lash("run", "my colour is blue", "-s", "a")

    outcome = lash("run", "what did I ask before?", "-s", "a")

    assert "my colour is blue" in outcome.out
    assert "continue with" not in outcome.err


def test_the_answer_is_the_text_of_the_result(lash):
    streamed = lash("run", "hello", "-m", "offline/echo")
    settled = lash("run", "hello", "-m", "offline/echo", "--no-stream")

    assert streamed.out == settled.out == "hello\n"


def test_json_is_one_object_and_nothing_else(lash, place):
    (place / "a.txt").write_text("x")

    outcome = lash("run", "list the files", "--json", "-s", "a")

    document = outcome.json
    assert outcome.err == ""
    assert document["session_id"] == "a"
    assert document["is_success"] is True
    assert document["outcome"]["kind"] == "assistant_message"
    assert document["usage"]["total_tokens"] == sum(
        document["usage"][name] for name in ("input_tokens", "output_tokens")
    )
    assert [call["tool_name"] for call in document["tool_calls"]] == ["list_files"]
    assert set(document) >= {
        "text", "children_usage", "issues", "turn_id", "turn_index", "started_at", "duration_ms", "head_revision"
    }  # fmt: skip


def test_a_turn_that_stops_is_one_line_and_status_1(lash, script):
    model = script({"error": {"kind": "auth", "message": "bad key", "status": 401}})

    plain = lash("run", "hi", "-m", model, "-s", "a")
    as_json = lash("run", "hi", "-m", model, "-s", "b", "--json")

    assert plain.status == as_json.status == 1
    assert plain.out == ""
    assert "error [model_call_failed]: bad key (the turn stopped: provider_error)\n" in plain.err
    assert as_json.json["outcome"] == {
        "kind": "stopped", "stop_reason": "provider_error", "value": None, "tool_name": None
    }  # fmt: skip
    assert as_json.err == "error [model_call_failed]: bad key (the turn stopped: provider_error)\n"


def test_the_prompt_comes_from_standard_input(lash_fed):
    outcome = lash_fed("run", "-", "-m", "offline/echo", stdin="grüße\nzwei".encode())

    assert outcome.status == 0
    assert outcome.out == "grüße\nzwei\n"


def test_the_answer_comes_while_the_model_still_speaks(lash_process, script):
    process = lash_process("run", "hi", "-m", script({"text": "first" + " more" * 200, "piece_delay_s": 0.2}))

    first = process.stdout.read(5)

    assert first == b"first"
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_ctrl_c_commits_the_turn_as_cancelled(lash_process, lash, script):
    model = script({"tool_calls": [{"name": "list_files"}]}, {"text": "first second", "piece_delay_s": 60})
    process = lash_process("run", "hi", "-m", model, "-s", "a", "--json", "-v")
    while b"list_files" not in process.stderr.readline():
        pass

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert json.loads(out)["outcome"]["stop_reason"] == "cancelled"
    assert b"error [cancelled]: the turn was cancelled\n" in err
    assert lash("sql", "select turn_index, stop_reason from usage.turns", "--format", "json").json == [
        {"turn_index": 1, "stop_reason": "cancelled"}
    ]


def test_options_reach_their_plugin(lash, place):
    folder = place / "inner"
    folder.mkdir()
    (folder / "only.txt").write_text("x")

    outcome = lash("run", "list the files", "--option", f"tools_files.root={folder}")

    assert "only.txt" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "nobody/x"], "error [unknown_provider]: no model provider 'nobody'; known: "),
        (["-m", "offline/x"], "error [unknown_model]: provider 'offline' has no model 'x'; known: "),
        (["-m", "x"], "error [usage]: a model is written provider/model"),
        (["-s", " "], "error [usage]: a session id must not be blank"),
        (["--option", "frob.a=1"], "error [unknown_plugin]: no plugin 'frob' is installed; installed: "),
        (["--option", "tools_files.frob=1"], "error [invalid_plugin_options]: options of plugin 'tools_files': "),
        (["--option", "frob"], "error [malformed_option]: an option is written plugin.key=value, got 'frob'"),
        (["--config", "none.toml"], "error [invalid_setting]: "),
    ],
)
def test_what_is_not_known_is_one_line_and_status_2(lash, arguments, message):
    outcome = lash("run", "hi", *arguments)

    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith(message)
    assert outcome.err.count("\n") == 1


def test_an_option_of_an_unknown_plugin_is_refused_in_a_resumed_session_too(lash):
    lash("run", "hi", "-s", "a")

    assert lash("run", "hi", "-s", "a", "--option", "frob.a=1").err.startswith("error [unknown_plugin]")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("LASH_MODLE", "x", "error [invalid_setting]: environment variable LASH_MODLE: unknown key 'modle'"),
        ("LASH_LEASE__TTL_MS", "soon", "error [invalid_setting]: environment variable LASH_LEASE__TTL_MS"),
    ],
)
def test_a_wrong_setting_names_its_place(lash, monkeypatch, setting, value, message):
    monkeypatch.setenv(setting, value)

    outcome = lash("run", "hi")

    assert outcome.status == 2
    assert outcome.err.startswith(message)


@pytest.mark.parametrize(
    ("stdin", "status", "code"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", 2, "prompt_not_text"),
        (b"\n", 2, "empty_input"),
        (b"word " * 2_000_000, 1, "input_too_large"),
    ],
)
def test_input_that_is_no_prompt(lash, stdin, status, code):
    outcome = lash("run", "-", stdin=stdin)

    assert outcome.status == status
    assert outcome.out == ""
    assert outcome.err.startswith(f"error [{code}]: ")
    assert "Traceback" not in outcome.err
    assert len(outcome.err) < 1000


def test_binary_input_of_a_process_is_refused(lash_fed):
    outcome = lash_fed("run", "-", stdin=bytes(range(256)))

    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("error [prompt_not_text]: ")


def test_an_empty_prompt_opens_no_store(lash, tmp_path):
    outcome = lash("run", "")

    assert (outcome.status, outcome.err) == (2, "error [empty_input]: the prompt is empty\n")
    assert not (tmp_path / "store.duckdb").exists()


def test_output_that_is_ascii_only_loses_no_turn(lash_fed):
    outcome = lash_fed("run", "grüße", "-m", "offline/echo", environ={"PYTHONIOENCODING": "ascii"})

    assert outcome.status == 0
    assert outcome.out == "gr??e\n"
    assert outcome.err.isascii()
