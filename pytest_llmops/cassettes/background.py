"""What is answered in a provider's or a network's place: libraries that tell of the application in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmops.cassettes import miss
from pytest_llmops.cassettes.keys import Request, clean_url
from pytest_llmops.cassettes.origin import in_background
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
    return _answered(tape, method, url, {"status": 204, "headers": {}})


def refused(tape: Tape, method: str, url: str, host: str) -> Transfer:
    """A request that is no LLM call, and may not leave the machine, where it comes from a thread of the background.

    It fails as it does on a machine without a network. Which test runs when such a thread sends something is chance, so
    the test does not fail; its report says what was refused, for a server's thread that the test does depend on.

    Raises:
        CassetteMiss: it is the test's own.
    """
    why = miss.not_ours(method, url, host)
    if not in_background(tape):
        raise tape.missed(why)
    if (note := f"refused in a thread that this test did not start: {why}") not in tape.notes:
        tape.notes.append(note)
    return _answered(tape, method, url, {"error": {"type": "ConnectError", "message": why.partition("\n")[0]}})


def _answered(tape: Tape, method: str, url: str, response: dict[str, Any]) -> Transfer:
    request = Request(method, clean_url(url), "", None, None, None, "")
    stored = {"method": method, "url": request.url, "content_type": ""}
    return Transfer(tape, request, 0, None, {"key": "", "request": stored, "response": response, "timing": {}})
