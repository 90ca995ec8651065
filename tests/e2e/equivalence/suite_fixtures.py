import pytest
from conftest import pause, tenant

pytestmark = pytest.mark.llm_eval


@pytest.mark.parametrize("i", range(6))
def test_owns_its_fixture(own, i):
    own["left"] = i
    pause()
    assert own["left"] == i


def test_own_fixture_left_dirty(own):
    own["other"] = 1


@pytest.mark.parametrize("i", range(4))
def test_is_its_own_tenant(as_tenant, i):
    pause()
    assert tenant.get() == as_tenant == f"test_is_its_own_tenant[{i}]"


def test_is_nobody():
    pause()
    assert tenant.get() == "nobody"


@pytest.mark.parametrize("i", range(3))
def test_shares_an_open_module_fixture(shared, i):
    pause()
    assert shared["open"]


def test_with_three_colours(colour):
    pause()
    assert colour != "green"


@pytest.mark.parametrize("i", range(2))
def test_with_sizes(size, i):
    pause()
    name, events = size
    assert events == [f"set up {name}"]


def test_with_other_sizes(size):
    pause()
    assert size[0] in ("small", "large")


def test_asks_dynamically(request):
    pause()
    assert request.getfixturevalue("dynamic") == "by name"


def test_asks_dynamically_for_nothing(request):
    request.getfixturevalue("there_is_no_such_fixture")


def test_adds_a_finalizer(request):
    request.addfinalizer(lambda: print("finalized"))
    pause()


def test_knows_its_node(request):
    pause()
    assert request.node.name == "test_knows_its_node"


@pytest.mark.parametrize("i", range(2))
def test_has_a_folder_of_its_own(tmp_path, i):
    (tmp_path / "file").write_text(str(i))
    pause()
    assert [path.read_text() for path in tmp_path.iterdir()] == [str(i)]


@pytest.fixture
def overriding(dynamic):
    return dynamic.upper()


@pytest.fixture(name="dynamic")
def dynamic_here(dynamic):
    return dynamic + " here"


def test_overrides(overriding):
    pause()
    assert overriding == "BY NAME HERE"


@pytest.mark.usefixtures("broken")
def test_uses_a_broken_fixture():
    raise AssertionError


@pytest.mark.parametrize("dynamic", ["direct"])
def test_overrides_by_parameter(dynamic, overriding):
    pause()
    assert overriding == "DIRECT"


def test_patches(monkeypatch):
    monkeypatch.setenv("PATCHED", "yes")
    pause()


def test_sees_no_patch():
    import os

    pause()
    assert "PATCHED" not in os.environ
