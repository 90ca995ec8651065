import pytest

from pytest_llmops.child_runs import kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["tests", "--polite", "--llm-judge=openai:x"], ["--polite", "--llm-judge=openai:x"]),
        (["-x", "-n", "2", "--dist=loadfile", "tests"], []),
        (["-n4", "-k", "one and two", "-m=slow"], []),
        (["-xvs", "-xx", "-p", "no:cov"], ["-vs", "-p", "no:cov"]),
        (["--junitxml", "out.xml", "--cov=app", "--html=report.html", "-c", "other.toml"], ["-c", "other.toml"]),
        (["--lf", "--maxfail=3", "--splits", "3", "--group=1"], []),
    ],
)
def test_what_a_rerun_takes_over_from_the_command_line(given, expected):
    assert kept(given, ["tests"]) == expected
