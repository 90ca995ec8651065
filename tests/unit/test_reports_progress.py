import pytest

from pytest_llmops.reports.progress import Standing, line

NOW = Standing(calls=34, flying=3, cost_usd=0.1234, unpriced=1, tests=10, total=40, seconds=50)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, "34 calls + 3  $0.123+  ~2 min left"),
        (36, "34 calls + 3  $0.123+  ~2 min left"),
        (30, "34 calls + 3  $0.123+"),
        (18, "34 calls + 3"),
        (12, ""),
    ],
)
def test_it_fits(width, expected):
    assert line(NOW, width) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Standing(calls=1), "1 call"),
        (Standing(calls=2, tests=4, total=4, seconds=9), "2 calls"),
        (Standing(calls=2, tests=1, total=4, seconds=9), "2 calls  ~27 s left"),
        (Standing(calls=2, tests=1, total=1000, seconds=36), "2 calls  ~10.0 h left"),
    ],
)
def test_what_is_not_known_is_not_said(now, expected):
    assert line(now, 80) == expected
