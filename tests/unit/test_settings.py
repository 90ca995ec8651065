"""Every setting's value is parsed, and refused with where it stood; flag over environment over ini."""

from __future__ import annotations

import re

import pytest

from pytest_llmops.errors import SettingsError
from pytest_llmops.options import BY_NAME, SETTINGS, find_pyproject, resolve, under_ci
from pytest_llmops.settings import MetricSettings, Price, ProjectSettings, load_project


def test_toxicity_moderation_and_detector(tmp_path):
    file = tmp_path / "pyproject.toml"

    def load(text):
        file.write_text(f"[tool.pytest-llmops]\n{text}\n", encoding="utf-8")
        return load_project(file)

    project = load('toxicity = "words"\nlanguage_detector = "lingua"\nmoderation = {model = "openai:omni"}')
    assert (project.toxicity, project.language_detector) == ("words", "lingua")
    assert (project.moderation.model, project.moderation.base_url) == ("openai:omni", None)
    assert (load("").toxicity, load("").moderation, load("").language_detector) == ("auto", None, "py3langid")
    for text, message in (
        ('toxicity = "word"', r"toxicity: 'word'\. Did you mean 'words'"),
        ('language_detector = "langua"', "Did you mean 'lingua'"),
        ('moderation = {modl = "x"}', r"\[tool.pytest-llmops.moderation\]: unknown key 'modl'"),
        ('moderation = {model = "x", base_url = "host"}', "does not begin with http"),
        ('moderation = "openai:omni"', "expected a table"),
    ):
        with pytest.raises(SettingsError, match=message):
            load(text)


def test_names_follow_from_one_word():
    setting = BY_NAME["update_baseline"]
    assert (setting.flag, setting.ini, setting.environment) == (
        "--llm-update-baseline",
        "llm_update_baseline",
        "PYTEST_LLM_UPDATE_BASELINE",
    )
    assert len(BY_NAME) == len(SETTINGS)


@pytest.mark.parametrize(
    ("option", "environ", "ini", "value"),
    [
        ("all", "none", "live", "all"),
        (None, "none", "live", "none"),
        (None, None, "live", "live"),
        (None, "", "live", "live"),
        (None, None, "", None),
    ],
)
def test_flag_over_environment_over_ini(option, environ, ini, value):
    variables = {} if environ is None else {"PYTEST_LLM_RECORD": environ}
    assert resolve("record", option=option, ini=ini, environ=variables) == value


def test_a_switch_given_on_the_command_line_is_true_and_else_read_from_elsewhere():
    def force(option=False, ini="", **environ):
        return resolve("force", option=option, ini=ini, environ=environ)

    assert force(option=True, PYTEST_LLM_FORCE="no") is True
    assert force(PYTEST_LLM_FORCE="yes") is True
    assert force(ini="on", PYTEST_LLM_FORCE="0") is False
    assert force(ini="true") is True
    assert force() is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("trials", "5", 5),
        ("trials", "1000", 1000),
        ("alpha", ".01", 0.01),
        ("inconclusive", "fail", "fail"),
        ("store_text", "False", False),
        ("store_text", " YES ", True),
        ("baseline", "base line.json", "base line.json"),
    ],
)
def test_values(name, text, value):
    assert resolve(name, option=text, ini="", environ={}) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("record", "onse", "'onse' is not one of: none, once, new_episodes, refresh, all, live. Did you mean 'once'?"),
        ("record", "NONE", "'NONE' is not one of: none, once"),
        ("inconclusive", "maybe", "'maybe' is not one of: pass, fail."),
        ("trials", "0", "'0' is not between 1 and 1000"),
        ("trials", "1001", "'1001' is not between 1 and 1000"),
        ("trials", "three", "'three' is not a whole number"),
        ("trials", "2.5", "'2.5' is not a whole number"),
        ("alpha", "0", "'0' is not between 0 and 1"),
        ("alpha", "1", "'1' is not between 0 and 1"),
        ("alpha", "nan", "'nan' is not between 0 and 1"),
        ("alpha", "5%", "'5%' is not a number"),
        ("store_text", "maybe", "'maybe' is neither true nor false"),
    ],
)
@pytest.mark.parametrize("source", ["flag", "environment", "ini"])
def test_a_bad_value_is_refused_naming_where_it_stood(name, text, message, source):
    setting = BY_NAME[name]
    given = {
        "flag": (text, "", {}, f"{setting.flag}: "),
        "environment": (None, "", {setting.environment: text}, f"environment variable {setting.environment}: "),
        "ini": (None, text, {}, f"ini setting {setting.ini}: "),
    }
    option, ini, environ, where = given[source]
    with pytest.raises(SettingsError, match=re.escape(where + message)):
        resolve(name, option=option, ini=ini, environ=environ)


def test_a_shadowed_bad_value_does_not_matter():
    assert resolve("trials", option="2", ini="many", environ={"PYTEST_LLM_TRIALS": "?"}) == 2


@pytest.mark.parametrize("value", ["1", "true", "True", "woodpecker", " yes "])
def test_under_ci(value):
    assert under_ci({"CI": value})


@pytest.mark.parametrize("value", ["", "0", "false", "No", " "])
def test_not_under_ci(value):
    assert not under_ci({"CI": value})
    assert not under_ci({})


def pyproject(tmp_path, text):
    path = tmp_path / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_pyproject_counts(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    outer = pyproject(tmp_path, "")
    assert find_pyproject(inner) == outer
    nearer = pyproject(tmp_path / "a", "")
    assert find_pyproject(inner) == nearer
    assert find_pyproject(tmp_path / "a") == nearer


@pytest.mark.parametrize("text", ["", "[tool.ruff]\nline-length = 100\n", "[tool.pytest-llmops]\n"])
def test_defaults(tmp_path, text):
    assert load_project(pyproject(tmp_path, text)) == ProjectSettings()
    assert load_project(None) == ProjectSettings()


def test_all_there_is_to_set(tmp_path):
    path = pyproject(
        tmp_path,
        r"""
        [tool.pytest-llmops]
        scrub = ['acct-\d+']
        scrub_fields = ["customer_id"]
        ignore_fields = ["user"]
        min_cases = 5
        [tool.pytest-llmops.hosts]
        "gateway.example:8080" = "anthropic"
        [tool.pytest-llmops.prices."openai_compatible:house-model"]
        input = 1
        output = 2.5
        cache_read = 0.1
        [tool.pytest-llmops.metrics.politeness]
        direction = "higher"
        kind = "score"
        tolerance = 0
        margin = 0.1
        gate = true
        scale = [1, 10]
        """,
    )
    assert load_project(path) == ProjectSettings(
        hosts={"gateway.example:8080": "anthropic"},
        prices={"openai_compatible:house-model": Price(1.0, 2.5, cache_read=0.1)},
        metrics={
            "politeness": MetricSettings("higher", "score", tolerance=0.0, margin=0.1, gate=True, scale=(1.0, 10.0))
        },
        scrub=(r"acct-\d+",),
        scrub_fields=("customer_id",),
        ignore_fields=("user",),
        min_cases=5,
    )


TOP = "[tool.pytest-llmops]"
METRIC = "[tool.pytest-llmops.metrics.tone]"
PRICE = '[tool.pytest-llmops.prices."a:b"]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool", "pyproject.toml: cannot be read: "),
        ("[tool]\npytest-llmops = 3", "[tool.pytest-llmops]: expected a table, got 3."),
        (f"{TOP}\nhots = {{}}", "[tool.pytest-llmops]: unknown key 'hots'. Did you mean 'hosts'?"),
        (f"{TOP}\nzzz = 1", "unknown key 'zzz'. Known: "),
        (
            f"{TOP}\nrecord_hosts = ['x']",
            "[tool.pytest-llmops]: 'record_hosts' is an option of pytest's: llm_record_hosts in "
            "[tool.pytest.ini_options] or pytest.ini, or --llm-record-hosts on the command line.",
        ),
        (f"{TOP}\nllm_record = 'none'", "'llm_record' is an option of pytest's: llm_record in "),
        (f"{TOP}\nhosts = []", "[tool.pytest-llmops.hosts]: expected a table, got []."),
        (f"{TOP}\nhosts = {{a = 1}}", "[tool.pytest-llmops.hosts] 'a': expected str, got 1."),
        (f"{TOP}\nscrub = 'x'", "[tool.pytest-llmops] scrub: expected list, got 'x'."),
        (f"{TOP}\nscrub = ['x', 1]", "[tool.pytest-llmops] scrub: expected str, got 1."),
        (f"{TOP}\nscrub = ['(']", "[tool.pytest-llmops] scrub: '(' is no regular expression: "),
        (f"{TOP}\nignore_fields = [true]", "ignore_fields: expected str, got True."),
        (f"{TOP}\nmin_cases = true", "[tool.pytest-llmops] min_cases: expected int, got True."),
        (f"{TOP}\nmin_cases = 2.5", "min_cases: expected int, got 2.5."),
        (f"{TOP}\nmin_cases = 0", "min_cases: 0 is not at least 2."),
        (f"{TOP}\nmetrics = 1", "[tool.pytest-llmops.metrics]: expected a table, got 1."),
        (f"{TOP}\nmetrics = {{tone = 1}}", "[tool.pytest-llmops.metrics.tone]: expected a table, got 1."),
        (f"{METRIC}\ngates = true", "[tool.pytest-llmops.metrics.tone]: unknown key 'gates'. Did you mean 'gate'?"),
        (f"{METRIC}\ngate = 'yes'", "[tool.pytest-llmops.metrics.tone] gate: expected bool, got 'yes'."),
        (f"{METRIC}\ndirection = 'up'", "direction: 'up' is none of higher, lower."),
        (f"{METRIC}\nkind = 'speed'", "kind: 'speed' is none of score, pass, rate, latency, cost, count."),
        (f"{METRIC}\nkind = []", "kind: [] is none of score, pass"),
        (f"{METRIC}\ntolerance = '5%'", "tolerance: expected int or float, got '5%'."),
        (f"{METRIC}\ntolerance = true", "tolerance: expected int or float, got True."),
        (f"{METRIC}\ntolerance = -0.1", "tolerance: -0.1 is not a number ≥ 0."),
        (f"{METRIC}\nmargin = inf", "margin: inf is not a number ≥ 0."),
        (f"{METRIC}\nmargin = nan", "margin: nan is not a number ≥ 0."),
        (f"{METRIC}\nscale = [10, 1]", "scale: expected [lowest, highest], for example [1, 10]."),
        (f"{METRIC}\nscale = [1]", "scale: expected [lowest, highest]"),
        (f"{METRIC}\nscale = [nan, 1]", "scale: expected [lowest, highest]"),
        (f"{METRIC}\nscale = [1, inf]", "scale: expected [lowest, highest]"),
        (f"{METRIC}\nscale = 10", "scale: expected list, got 10."),
        (f"{PRICE}\ninput = 1", "[tool.pytest-llmops.prices.'a:b']: output missing (USD a million tokens)."),
        (PRICE, "input and output missing"),
        (f"{PRICE}\ninput = 1\noutput = '2'", "prices.'a:b'] output: expected int or float, got '2'."),
        (f"{PRICE}\ninput = -1\noutput = 2", "prices.'a:b'] input: -1 is not a number ≥ 0."),
        (f"{PRICE}\ninput = nan\noutput = 2", "prices.'a:b'] input: nan is not a number ≥ 0."),
        (f"{PRICE}\ninput = 1\noutput = 2\ncached = 1", "unknown key 'cached'."),
        (
            "[tool.pytest-llmops.prices.gpt]",
            "prices.'gpt']: expected provider:model, for example \"openai_compatible:gpt\".",
        ),
        ("[tool.pytest-llmops.prices.'gpt:']", "prices.'gpt:']: expected provider:model"),
    ],
)
def test_every_bad_value_is_refused_in_place(tmp_path, text, message):
    path = pyproject(tmp_path, text)
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        load_project(path)
    assert str(path) in str(caught.value)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_bytes("[tool.pytest-llmops]\n# café".encode("latin-1"))
    with pytest.raises(SettingsError, match="cannot be read: 'utf-8' codec"):
        load_project(path)
