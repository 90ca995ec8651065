import contextvars
import logging
import threading
import time
import warnings

import pytest

tenant = contextvars.ContextVar("tenant", default="nobody")
log = logging.getLogger("app")


def pause():
    """What a call of a provider takes, long enough for bodies to overlap."""
    time.sleep(0.02)


@pytest.fixture(scope="session")
def numbered():
    """Values that no two tests share."""
    lock, state = threading.Lock(), {"next": 0}

    def number():
        with lock:
            state["next"] += 1
            return state["next"]

    yield number
    print("session fixture torn down")


@pytest.fixture
def own(numbered):
    value = {"number": numbered()}
    yield value
    assert list(value) == ["number"] or value.pop("left", None) is not None


@pytest.fixture
def printing(request):
    print(f"setup of {request.node.name}")
    log.warning("setup logs for %s", request.node.name)
    yield request.node.name
    print(f"teardown of {request.node.name}")
    log.warning("teardown logs for %s", request.node.name)


@pytest.fixture
def as_tenant(request):
    token = tenant.set(request.node.name)
    yield request.node.name
    tenant.reset(token)


@pytest.fixture
def warned():
    warnings.warn("from a fixture", UserWarning, stacklevel=1)


@pytest.fixture
def broken():
    raise ValueError("setup is broken")


@pytest.fixture
def broken_later():
    yield
    raise ValueError("teardown is broken")


@pytest.fixture
def skipping():
    pytest.skip("skipped by a fixture")


@pytest.fixture(params=["red", "green", "blue"])
def colour(request):
    return request.param


@pytest.fixture(scope="module", params=["small", "large"])
def size(request):
    events = [f"set up {request.param}"]
    yield request.param, events
    events.append("torn down")


@pytest.fixture(scope="module")
def shared(numbered):
    state = {"open": True}
    yield state
    state["open"] = False


@pytest.fixture
def dynamic():
    return "by name"
