import logging
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import pause

pytestmark = pytest.mark.llm_eval
log = logging.getLogger("app.output")


@pytest.mark.parametrize("i", range(5))
def test_prints_and_fails(i):
    print(f"line {i} before")
    print(f"error {i}", file=sys.stderr)
    pause()
    print(f"line {i} after")
    assert i % 2 == 0


@pytest.mark.parametrize("i", range(4))
def test_logs_and_fails(i):
    log.debug("debug %s", i)
    log.warning("before %s", i)
    pause()
    log.error("after %s", i)
    assert i % 2 == 0


@pytest.mark.parametrize("i", range(3))
def test_prints_in_all_phases(printing, i):
    print("in the body")
    pause()
    log.warning("in the body")
    assert i != 1


@pytest.mark.parametrize("i", range(3))
def test_prints_in_threads(i):
    thread = threading.Thread(target=print, args=(f"thread {i}",))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(print, f"pool {i}").result()
    pause()
    assert i != 1


def test_writes_lines():
    sys.stdout.writelines(["one\n", "two\n"])
    pause()
    raise AssertionError


def test_captures_its_output(capsys):
    print("captured")
    pause()
    assert capsys.readouterr().out == "captured\n"


def test_captures_its_logs(caplog):
    log.warning("logged")
    pause()
    assert caplog.messages == ["logged"]


@pytest.mark.parametrize("i", range(3))
def test_warns(warned, i):
    warnings.warn(f"warning {i}", UserWarning, stacklevel=1)
    pause()
    warnings.warn(f"deprecated {i}", DeprecationWarning, stacklevel=1)


@pytest.mark.filterwarnings("error")
def test_warning_is_an_error():
    warnings.warn("an error here", UserWarning, stacklevel=1)


def test_warning_is_caught():
    with pytest.warns(UserWarning, match="caught"):  # noqa: PT031
        warnings.warn("caught", UserWarning, stacklevel=1)
        pause()


@pytest.mark.parametrize("i", range(3))
def test_records_properties(record_property, i):
    record_property("index", i)
    pause()
    record_property("later", i * 10)


def test_records_measurements(llm_eval):
    llm_eval.record("words", 3)
    pause()
    assert llm_eval.calls == []


@pytest.mark.parametrize("i", range(3))
def test_asks_a_provider(llm_eval, i):
    import os

    import httpx

    def ask():
        url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"question {i}"}]}
        return httpx.post(url, json=body).json()["choices"][0]["message"]["content"]

    result = llm_eval.run(ask)
    assert f"question {i}" in result.text
    assert len(llm_eval.calls) == 1


@pytest.mark.parametrize("i", range(3))
def test_asks_a_provider_from_threads(llm_eval, i):
    import os

    import httpx

    def ask(n):
        url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"question {i} {n}"}]}
        return httpx.post(url, json=body).json()["choices"][0]["message"]["content"]

    with llm_eval.capture(), ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, range(3)))
    assert len(answers) == len(llm_eval.calls) == 3
