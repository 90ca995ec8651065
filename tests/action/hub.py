"""A fake of GitHub's REST API on loopback, with another host that keeps the artifacts."""

from __future__ import annotations

import io
import itertools
import json
import re
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

REPOSITORY = "octo/shop"
OWN = "ghs_workflow"
READ_ONLY = "ghs_fork"
APP = "ghs_app"
WRITES = {"pull-requests", "issues", "contents", "statuses", "actions"}


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: dict[str, str]
    token: str | None
    body: Any = None


@dataclass
class Refusal:
    """What the fake answers instead, so many times."""

    method: str
    pattern: str
    status: int
    body: Any
    headers: dict[str, str]
    times: int


@dataclass
class Token:
    login: str
    write: set[str] = field(default_factory=set)
    is_user: bool = False


class Hub:
    """As a context manager; its state is plain data that tests set up and look at.

    The token `OWN` may write to pull requests, `READ_ONLY` (a fork's) may not, `APP` may write everything.
    """

    def __init__(self) -> None:
        self.tokens = {
            OWN: Token("github-actions[bot]", {"pull-requests", "issues"}),
            READ_ONLY: Token("github-actions[bot]"),
            APP: Token("octo-recorder[bot]", set(WRITES)),
        }
        self.pulls: dict[int, dict[str, Any]] = {}
        self.files: dict[int, list[str]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.issues: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.artifacts: dict[int, list[dict[str, Any]]] = {}
        self.merged: dict[str, list[int]] = {}
        self.commits: list[dict[str, Any]] = []
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.branches: dict[str, str] = {}
        self.trees: dict[str, Any] = {}
        self.blobs: dict[str, str] = {}
        self.requests: list[Received] = []
        self.at_storage: list[dict[str, str]] = []
        self._refusals: list[Refusal] = []
        self._ids = itertools.count(1000)
        self._contents: dict[int, bytes] = {}
        self._lock = threading.RLock()
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(self._answer))
        # Another host name and port: what must not see the token.
        self._storage = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(self._stored))

    def __enter__(self) -> Hub:
        for server in (self._api, self._storage):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self._api, self._storage):
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._api.server_port}"

    # -- setting up -------------------------------------------------------------------------------------------------

    def pull(self, number: int, branch: str, *, head: str = REPOSITORY, sha: str, **more: Any) -> dict[str, Any]:
        """An open pull request to main."""
        self.pulls[number] = {
            "number": number,
            "state": "open",
            "user": {"login": "ana"},
            "merged_at": None,
            "head": {"ref": branch, "sha": sha, "repo": {"full_name": head, "owner": {"login": head.split("/")[0]}}},
            "base": {"ref": "main", "sha": "b" * 40, "repo": {"full_name": REPOSITORY}},
            **more,
        }
        return self.pulls[number]

    def merge(self, number: int, at: str) -> None:
        """Merge a pull request, at an hour and minute of the day."""
        moment = f"2026-11-20T{at}:00Z"
        self.pulls[number] |= {"state": "closed", "merged_at": moment, "updated_at": moment}

    def run(
        self,
        id: int,
        *,
        event: str,
        branch: str,
        sha: str,
        head: str = REPOSITORY,
        conclusion: str | None = "success",
        at: str = "10:00",
    ) -> dict[str, Any]:
        """A run of the workflow, newer than those before it."""
        entry = {
            "id": id,
            "event": event,
            "head_branch": branch,
            "head_sha": sha,
            "status": "completed" if conclusion else "in_progress",
            "conclusion": conclusion,
            "created_at": f"2026-11-20T{at}:00Z",
            "head_repository": {"full_name": head},
            "path": ".github/workflows/llm.yml",
        }
        self.runs = [entry, *(run for run in self.runs if run["id"] != id)]
        return entry

    def artifact(self, run: int, name: str, files: Mapping[str, bytes | str], *, expired: bool = False) -> int:
        """Upload an artifact for a run."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        return self.raw_artifact(run, name, buffer.getvalue(), expired=expired)

    def raw_artifact(self, run: int, name: str, content: bytes, *, expired: bool = False) -> int:
        number = next(self._ids)
        self._contents[number] = content
        self.artifacts.setdefault(run, []).append(
            {"id": number, "name": name, "expired": expired, "size_in_bytes": len(content)}
        )
        return number

    def raw(self, run: int, name: str) -> bytes:
        """An artifact's zip file."""
        return self._contents[max(entry["id"] for entry in self.artifacts[run] if entry["name"] == name)]

    def members(self, run: int, name: str) -> dict[str, bytes]:
        """The files of an artifact that a run uploaded."""
        with zipfile.ZipFile(io.BytesIO(self.raw(run, name))) as archive:
            return {path: archive.read(path) for path in archive.namelist()}

    def comment(self, number: int, login: str, body: str) -> dict[str, Any]:
        entry = {
            "id": next(self._ids),
            "user": {"login": login},
            "body": body,
            "html_url": f"https://github.com/{REPOSITORY}/pull/{number}#issuecomment-{len(self.comments)}",
        }
        self.comments.setdefault(number, []).append(entry)
        return entry

    def refuse(
        self, method: str, pattern: str, status: int, message: str = "", *, times: int = 1_000, **headers: str
    ) -> None:
        """Answer requests whose path matches with an error."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._refusals.append(Refusal(method, pattern, status, {"message": message}, named, times))

    # -- answering --------------------------------------------------------------------------------------------------

    @staticmethod
    def _handler(answer: Callable[[BaseHTTPRequestHandler, bytes], None]) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                answer(self, self.rfile.read(length))

            do_GET = do_POST = do_PATCH = do_DELETE = handle_one

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def _stored(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.at_storage.append({name.lower(): value for name, value in handler.headers.items()})
        self._send(handler, 200, self._contents[int(handler.path.rpartition("/")[2])])

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        given = handler.headers.get("authorization", "")
        request = Received(
            handler.command,
            unquote(parts.path),
            dict(parse_qsl(parts.query)),
            given.removeprefix("Bearer ") or None,
            json.loads(body) if body else None,
        )
        with self._lock:
            self.requests.append(request)
            for refusal in self._refusals:
                if refusal.times and refusal.method == request.method and re.search(refusal.pattern, request.path):
                    refusal.times -= 1
                    return self._send(handler, refusal.status, refusal.body, refusal.headers)
            token = self.tokens.get(request.token or "")
            if request.token and token is None:
                return self._send(handler, 401, {"message": "Bad credentials"})
            status, answer, headers = self._route(request, token)
        return self._send(handler, status, answer, headers)

    @staticmethod
    def _send(
        handler: BaseHTTPRequestHandler, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def _route(self, request: Received, token: Token | None) -> tuple[int, Any, dict[str, str]]:
        if request.path == "/user":
            allowed = token is not None and token.is_user
            return (
                (200, {"login": token.login}, {})
                if allowed and token
                else (403, {"message": "Resource not accessible by integration"}, {})
            )
        if request.path == "/graphql":
            return (200, {"data": {"viewer": {"login": token.login if token else ""}}}, {})
        for method, pattern, needs, answer in self._routes():
            match = re.fullmatch(f"/repos/{REPOSITORY}{pattern}", request.path)
            if match and method == request.method:
                if method != "GET" and (token is None or needs not in token.write):
                    return 403, {"message": "Resource not accessible by integration"}, {}
                return self._paged(request, answer(request, *match.groups()))
        return 404, {"message": "Not Found"}, {}

    def _paged(self, request: Received, answer: Any) -> tuple[int, Any, dict[str, str]]:
        if isinstance(answer, tuple):
            return answer[0], answer[1], answer[2] if len(answer) > 2 else {}
        key = next(
            (name for name in ("workflow_runs", "artifacts") if isinstance(answer, dict) and name in answer), None
        )
        entries = answer[key] if key else answer
        if not isinstance(entries, list):
            return 200, answer, {}
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        part = entries[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(entries):
            query = "&".join(f"{k}={v}" for k, v in {**request.query, "page": page + 1}.items())
            headers["link"] = f'<{self.url}{request.path}?{query}>; rel="next"'
        return 200, {key: part, "total_count": len(entries)} if key else part, headers

    def _routes(self) -> list[tuple[str, str, str, Callable[..., Any]]]:
        return [
            ("GET", r"/pulls", "", self._list_pulls),
            ("GET", r"/pulls/(\d+)", "", lambda _, n: self.pulls.get(int(n)) or (404, {"message": "Not Found"})),
            ("GET", r"/pulls/(\d+)/files", "", lambda _, n: [{"filename": f} for f in self.files.get(int(n), [])]),
            ("GET", r"/compare/.*", "", self._compare),
            ("GET", r"/issues/(\d+)/comments", "", lambda _, n: self.comments.get(int(n), [])),
            ("POST", r"/issues/(\d+)/comments", "pull-requests", self._post_comment),
            ("PATCH", r"/issues/comments/(\d+)", "pull-requests", self._patch_comment),
            ("GET", r"/issues", "", self._list_issues),
            ("POST", r"/issues", "issues", self._post_issue),
            ("PATCH", r"/issues/(\d+)", "issues", self._patch_issue),
            ("GET", r"/actions/(?:workflows/llm\.yml/)?runs", "", self._list_runs),
            ("GET", r"/actions/runs/(\d+)/artifacts", "", self._list_artifacts),
            ("GET", r"/actions/artifacts/(\d+)/zip", "", self._redirect),
            ("GET", r"/commits/([^/]+)/pulls", "", lambda _, sha: [self.pulls[n] for n in self.merged.get(sha, [])]),
            ("POST", r"/statuses/([^/]+)", "statuses", self._post_status),
            ("GET", r"/git/commits/([^/]+)", "", lambda _, sha: {"sha": sha, "tree": {"sha": f"tree-of-{sha}"}}),
            ("POST", r"/git/blobs", "contents", self._post_blob),
            ("POST", r"/git/trees", "contents", self._post_tree),
            ("POST", r"/git/commits", "contents", self._post_commit),
            ("PATCH", r"/git/refs/heads/(.+)", "contents", self._patch_ref),
        ]

    def _compare(self, request: Received) -> dict[str, Any]:
        """As GitHub does: 300 files at most, whatever page is asked for."""
        return {"files": [{"filename": f} for f in self.files.get(0, [])][:300], "commits": self.commits}

    def _list_pulls(self, request: Received) -> list[dict[str, Any]]:
        owner, _, branch = request.query.get("head", "").partition(":")
        found = [
            pull
            for pull in self.pulls.values()
            if pull["state"] == request.query.get("state", "open")
            and pull["base"]["ref"] == request.query.get("base", pull["base"]["ref"])
            and (not owner or pull["head"]["repo"]["full_name"].split("/")[0] == owner)
            and (not branch or pull["head"]["ref"] == branch)
        ]
        newest_first = request.query.get("direction", "desc") == "desc"
        by = {"updated": "updated_at"}.get(request.query.get("sort", ""), "number")
        return sorted(found, key=lambda pull: pull.get(by) or "", reverse=newest_first)

    def _post_comment(self, request: Received, number: str) -> Any:
        if len(request.body["body"]) > 65_536:
            return 422, {"message": "Validation Failed", "errors": [{"message": "body is too long"}]}
        assert request.token
        return 201, self.comment(int(number), self.tokens[request.token].login, request.body["body"])

    def _patch_comment(self, request: Received, number: str) -> Any:
        for comments in self.comments.values():
            for comment in comments:
                if comment["id"] == int(number):
                    comment["body"] = request.body["body"]
                    return 200, comment
        return 404, {"message": "Not Found"}

    def _list_issues(self, request: Received) -> list[dict[str, Any]]:
        return [
            issue
            for issue in self.issues
            if issue["state"] == request.query.get("state", "open")
            and issue["user"]["login"] == request.query.get("creator", issue["user"]["login"])
        ]

    def _post_issue(self, request: Received) -> Any:
        assert request.token
        issue = {
            **request.body,
            "number": 50 + len(self.issues),
            "state": "open",
            "user": {"login": self.tokens[request.token].login},
            "html_url": f"https://github.com/{REPOSITORY}/issues/{50 + len(self.issues)}",
        }
        self.issues.append(issue)
        return 201, issue

    def _patch_issue(self, request: Received, number: str) -> Any:
        issue = next(issue for issue in self.issues if issue["number"] == int(number))
        issue.update(request.body)
        return 200, issue

    def _list_runs(self, request: Received) -> dict[str, Any]:
        wanted = {"head_branch": "branch", "event": "event", "conclusion": "status"}
        found = [
            run
            for run in self.runs
            if all(q not in request.query or run[name] == request.query[q] for name, q in wanted.items())
        ]
        return {"workflow_runs": found}

    def _list_artifacts(self, request: Received, run: str) -> dict[str, Any]:
        found = self.artifacts.get(int(run), [])
        return {"artifacts": [a for a in found if a["name"] == request.query.get("name", a["name"])]}

    def _redirect(self, request: Received, number: str) -> Any:
        if request.token is None:
            return 401, {"message": "Requires authentication"}
        return 302, {}, {"location": f"http://localhost:{self._storage.server_port}/kept/{number}"}

    def _post_status(self, request: Received, sha: str) -> Any:
        self.statuses.setdefault(sha, []).append(request.body)
        return 201, request.body

    def _post_blob(self, request: Received) -> Any:
        sha = f"blob{next(self._ids)}"
        self.blobs[sha] = request.body["content"]
        return 201, {"sha": sha}

    def _post_tree(self, request: Received) -> Any:
        sha = f"tree{next(self._ids)}"
        self.trees[sha] = request.body
        return 201, {"sha": sha}

    def _post_commit(self, request: Received) -> Any:
        sha = f"{next(self._ids):040x}"
        self.trees[sha] = {**self.trees[request.body["tree"]], "commit": request.body}
        return 201, {"sha": sha}

    def _patch_ref(self, request: Received, branch: str) -> Any:
        made = self.trees[request.body["sha"]]["commit"]
        if self.branches.get(branch, made["parents"][0]) != made["parents"][0]:
            return 422, {"message": "Update is not a fast forward"}
        self.branches[branch] = request.body["sha"]
        return 200, {"ref": branch}
