"""Source is parsed by one thread at a time where CPython mixes up the parsers of several."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let threads wait for one another in ``ast.parse``, on Python 3.11.

    There the depth of the tree under construction is counted for the interpreter as a whole. Where the garbage
    collector runs Python code in between (a callback, a finaliser), another thread may parse meanwhile, and one of them
    gets a SystemError. Frameworks parse the source of their users' functions, pytest that of a failed test: an error
    there ends the run.
    """
    if sys.version_info >= (3, 12):
        yield
        return
    parse, lock = ast.parse, threading.RLock()

    @wraps(parse)
    def parse_alone(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return parse(*args, **kwargs)

    ast.parse = parse_alone
    try:
        yield
    finally:
        ast.parse = parse
