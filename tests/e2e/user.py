"""What the users of these tests have: an application, and a provider to ask."""

from __future__ import annotations

from tests.conftest import Project, Run
from tests.standin import StandIn

APP = '''
    """An application: knows of the provider's address, and nothing of pytest."""
    import json, os, urllib.error, urllib.request

    def post(body, path="/v1/chat/completions"):
        data = json.dumps(body).encode()
        request = urllib.request.Request(os.environ["LLM_BASE"] + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def ask(question, model="gpt-4o-mini"):
        body = {"model": model, "messages": [{"role": "user", "content": question}]}
        return post(body)["choices"][0]["message"]["content"]
'''


def write_app(project: Project) -> None:
    """The application, importable from tests."""
    project.file("conftest.py", "")
    project.file("app.py", APP)


def speaking_to(standin: StandIn, **more: str) -> dict[str, str]:
    """The environment in which the application finds its provider."""
    return {"LLM_BASE": standin.url, **more}


def assert_no_traceback(run: Run) -> None:
    """Nothing of the plugin's inside is shown to a user."""
    for sign in ("INTERNALERROR", "pytest_llmops/", "Traceback (most recent call last)"):
        assert sign not in run.out, run.out
