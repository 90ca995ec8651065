"""GitHub's REST API: pages, artifacts, and what a refusal means."""

from __future__ import annotations

import io
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_llmops.errors import ArtifactError, GitHubError

if TYPE_CHECKING:
    import httpx

LARGEST_DOWNLOAD = 256 * 2**20
"""Bytes of an artifact's zip file, which is held in memory."""
LARGEST_MEMBER = 512 * 2**20
ATTEMPTS = 4
PATIENCE = 60.0
"""Seconds that a client waits in all, for rate limits and passing faults."""
WITHOUT_WORD = 60.0
"""Seconds that GitHub wants waited where it names none."""
MOST_MOVES = 3
MOST_PAGES = 100
_HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}


class Client:
    """Asks the API of one GitHub.

    Args:
        api_url: without a trailing slash.
        token: empty: asks without one.
        sleep: how to wait.
    """

    def __init__(self, api_url: str, token: str = "", *, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            import httpx
        except ImportError:
            raise GitHubError("httpx is not installed: pip install 'pytest-llmops[github]'") from None
        self._api, self.anonymous = api_url.rstrip("/"), not token
        self._sleep, self._patience = sleep, PATIENCE
        headers = dict(_HEADERS) | ({"authorization": f"Bearer {token}"} if token else {})
        # Redirects are followed by hand: the token is for this host only.
        self._http = httpx.Client(headers=headers, timeout=30, follow_redirects=False)

    def get(self, path: str, *, needs: str = "contents: read", **query: str | int) -> Any:
        """The JSON at a path (``/repos/…``); `needs` is the permission it takes, for the message of a refusal.

        Raises:
            GitHubError: refused, missing, or out of reach.
        """
        return _document(self._sent("GET", f"{self._api}{path}", needs, params=query))

    def pages(
        self, path: str, key: str | None = None, *, needs: str = "contents: read", **query: str | int
    ) -> Iterator[Any]:
        """The entries of a list, over all its pages; they are in the field `key` where the answer is no list itself.

        Raises:
            GitHubError: as `get`.
        """
        url, params = f"{self._api}{path}", {"per_page": 100, **query}
        for page in range(1, MOST_PAGES + 1):
            response = self._sent("GET", url, needs, params=params if "per_page" in params else None)
            document = _document(response)
            entries = document.get(key) or [] if key and isinstance(document, dict) else document
            following = response.links.get("next", {}).get("url")
            if following and not self._own(following):
                raise GitHubError(f"the next page of {path} is on another host; not asked, it would get the token")
            if not isinstance(entries, list):
                raise GitHubError(f"GET {path}: GitHub answered with no list")
            yield from entries
            if following:
                url, params = following, {}
            elif len(entries) == 100 and "per_page" in params:
                params["page"] = page + 1
            else:
                return

    def send(self, method: str, path: str, body: Mapping[str, Any], *, needs: str) -> Any:
        """POST or PATCH JSON; the answer's JSON.

        Raises:
            GitHubError: as `get`.
        """
        return _document(self._sent(method, f"{self._api}{path}", needs, json=body))

    def graphql(self, query: str) -> Any:
        """Ask GraphQL, for the little that REST does not tell.

        Raises:
            GitHubError: as `get`.
        """
        url = f"{self._api.removesuffix('/v3')}/graphql"  # an Enterprise server has /api/v3 and /api/graphql
        return _document(self._sent("POST", url, "contents: read", json={"query": query}))

    def download(self, path: str, *, limit: int = LARGEST_DOWNLOAD) -> bytes:
        """The file that a path redirects to; the host it lies on does not get the token.

        Raises:
            GitHubError: as `get`, or more bytes than the limit.
        """
        import httpx

        response = self._sent("GET", f"{self._api}{path}", "actions: read", elsewhere=True)
        if not response.has_redirect_location:
            _check_size(len(response.content), limit)
            return response.content
        target = str(response.url.join(response.headers["location"]))
        if urlsplit(target).scheme != "https" and urlsplit(self._api).scheme == "https":
            raise GitHubError(f"{path} is kept where it cannot be fetched safely ({urlsplit(target).scheme}://)")
        content = bytearray()
        try:
            with httpx.stream("GET", target, timeout=60, follow_redirects=True) as stored:
                if stored.status_code != 200:
                    raise GitHubError(f"{path}: its storage answered {stored.status_code}", stored.status_code)
                for chunk in stored.iter_bytes():
                    content += chunk
                    _check_size(len(content), limit)
        except httpx.HTTPError as error:
            raise GitHubError(f"{path}: its storage cannot be reached: {error}") from None
        return bytes(content)

    def _own(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self._api)[:2]

    def _sent(self, method: str, url: str, needs: str, *, elsewhere: bool = False, **how: Any) -> httpx.Response:
        """The answer, wherever the API itself has moved to; a file's other place only where `elsewhere` allows it."""
        for _ in range(MOST_MOVES + 1):
            response = self._patiently(method, url, needs, **how)
            if not response.has_redirect_location or (elsewhere and response.status_code in (302, 303)):
                return response
            target = response.url.join(response.headers["location"])
            if method != "GET" or not self._own(str(target)):
                break
            if target.query:
                how.pop("params", None)
            url = str(target)
        raise GitHubError(
            f"{method} {urlsplit(url).path}: has moved to {target}, which was not asked. Was the repository renamed? "
            "Bring the git remote or --repository up to date; in the action, run the workflow anew",
            response.status_code,
        )

    def _patiently(self, method: str, url: str, needs: str, **how: Any) -> httpx.Response:
        """An answer that is no refusal; after a few tries, as long as the client has patience."""
        import httpx

        for attempt in range(1, ATTEMPTS + 1):
            wait = 0.5 * 2 ** (attempt - 1)
            try:
                response = self._http.request(method, url, **how)
            except httpx.HTTPError as error:
                refused = GitHubError(f"{method} {urlsplit(url).path}: GitHub cannot be reached: {error}")
                done = method == "POST"
            else:
                if response.status_code < 400:
                    return response
                refused = _refusal(method, url, response, needs)
                limited = _is_limited(response)
                wait = _asked_to_wait(response) if limited else wait
                # A POST may have been done all the same; twice it would be two comments. One over a limit was not.
                done = not limited and (response.status_code < 500 or method == "POST")
            if done or attempt == ATTEMPTS or wait > self._patience:
                raise refused from None
            self._patience -= wait
            self._sleep(wait)
        raise AssertionError("unreachable")


def _document(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise GitHubError(f"{response.request.method} {response.url.path}: GitHub answered with no JSON") from None


def _is_limited(response: httpx.Response) -> bool:
    """Whether it is refused for now only: the hourly limit, or a secondary one."""
    if response.status_code == 429:
        return True
    headers = response.headers
    said = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return response.status_code == 403 and (said or "rate limit" in _said(response).lower())


def _asked_to_wait(response: httpx.Response) -> float:
    """Seconds until GitHub wants to be asked again."""
    try:
        if "retry-after" in response.headers:
            return max(0.0, float(response.headers["retry-after"]))
        if response.headers.get("x-ratelimit-remaining") == "0":
            return max(0.0, float(response.headers["x-ratelimit-reset"]) - time.time()) + 1
    except (KeyError, ValueError):
        pass
    return WITHOUT_WORD


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ArtifactError(f"the file is larger than {limit / 2**20:.0f} MiB; left where it is")


def _refusal(method: str, url: str, response: httpx.Response, needs: str) -> GitHubError:
    what, status = f"{method} {urlsplit(url).path}", response.status_code
    said = _said(response)
    if _is_limited(response):
        wait = _asked_to_wait(response)
        return GitHubError(f"{what}: the token's rate limit is used up; try again in {wait:.0f} s ({said})", 429)
    advice = {
        401: "the token is not valid (input github-token)",
        403: f"the token may not do that ({said}); the job's permissions need `{needs}`",
        404: f"not found, or the token may not see it (`{needs}`)",
        422: f"GitHub refused what was sent: {said}",
    }.get(status, f"GitHub answered {status}: {said}")
    return GitHubError(f"{what}: {advice}", status)


def _said(response: httpx.Response) -> str:
    """GitHub's own words, in one line."""
    try:
        document = response.json()
        errors = [error.get("message") or error.get("code") for error in document.get("errors", ())]
        words = ": ".join([str(document.get("message", "")), *filter(None, errors)])
    except (ValueError, AttributeError):
        words = response.text
    return re.sub(r"\s+", " ", words)[:300]


_UNREADABLE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    struct.error,
)
"""What `zipfile` raises of a file that is none, is cut, encrypted or corrupt."""


def member(archive: bytes, name: str, *, limit: int = LARGEST_MEMBER) -> bytes | None:
    """One file of a zip archive, read in memory; None where it has none of that name.

    Raises:
        GitHubError: no zip archive, or a file larger than the limit, whatever its header says.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if name not in opened.namelist():
                return None
            if opened.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{name} is compressed as upload-artifact never does")
            with opened.open(name) as file:
                content = file.read(limit + 1)
    except _UNREADABLE as error:
        raise ArtifactError(f"the artifact is no zip archive that can be read: {error}") from None
    if len(content) > limit:
        raise ArtifactError(f"{name} in the artifact is larger than {limit / 2**20:.0f} MiB; not read")
    return content
