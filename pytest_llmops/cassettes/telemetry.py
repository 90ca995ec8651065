"""What an SDK tells its provider about the application: neither recorded nor missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmops.cassettes.keys import Request, clean_url
from pytest_llmops.cassettes.transfer import Transfer

if TYPE_CHECKING:
    from pytest_llmops.cassettes.tape import Tape


def acknowledged(tape: Tape, method: str, url: str) -> Transfer | None:
    """The provider's "thank you" where nothing leaves the machine; None where such a request may go out.

    It is sent from a thread, seconds later, in whichever test runs then, and is another one every time: no recording of
    it would ever be found. The tape does not count it among its requests.
    """
    if tape.mode not in ("none", "once") or not tape.offline:
        return None
    request = Request(method, clean_url(url), "", None, None, None, "")
    stored = {"method": method, "url": request.url, "content_type": ""}
    answer = {"key": "", "request": stored, "response": {"status": 204, "headers": {}}, "timing": {}}
    return Transfer(tape, request, 0, None, answer)
