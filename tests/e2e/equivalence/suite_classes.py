import pytest
from conftest import pause

pytestmark = pytest.mark.llm_eval
order = []


class TestState:
    @classmethod
    def setup_class(cls):
        cls.state = "set up"

    @classmethod
    def teardown_class(cls):
        cls.state = "torn down"

    def setup_method(self, method):
        self.method = method.__name__

    def teardown_method(self, method):
        assert self.method == method.__name__

    @pytest.mark.parametrize("i", range(3))
    def test_keeps_its_class(self, i):
        pause()
        assert self.state == "set up"
        self.i = i
        pause()
        assert self.i == i

    def test_knows_its_method(self):
        pause()
        assert self.method == "test_knows_its_method"

    def test_fails_in_a_class(self):
        pause()
        assert self.state == "torn down"


class TestFixture:
    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls):
        order.append("open")
        yield order
        order.append("closed")

    @pytest.fixture
    def method_fixture(self, request):
        self.mine = request.node.name
        return self.mine

    @pytest.mark.parametrize("i", range(3))
    def test_is_open(self, opened, i):
        pause()
        assert opened[-1] == "open"

    def test_has_its_instance(self, method_fixture):
        pause()
        assert self.mine == method_fixture == "test_has_its_instance"


class TestAfterwards:
    def test_class_fixture_is_closed(self):
        pause()
        assert order == ["open", "closed"]


@pytest.mark.parametrize("language", ["de", "fr"], scope="class")
class TestParameters:
    def test_first(self, language):
        pause()
        assert language

    def test_second(self, language):
        pause()
        assert language == "de"


class TestBroken:
    @classmethod
    def setup_class(cls):
        raise ValueError("the class cannot be set up")

    def test_one(self):
        raise AssertionError

    def test_two(self):
        raise AssertionError


class TestOuter:
    class TestInner:
        def test_nested(self):
            pause()

    def test_beside(self):
        pause()
