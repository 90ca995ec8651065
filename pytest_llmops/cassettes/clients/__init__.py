"""Interception of the HTTP clients: each is patched when it is imported, while marked tests run.

vcrpy's own patcher imports every client library that is installed (0.5 s CPU and more in a full environment, for
libraries the application never uses), so the handlers are put in place here, one library at a time; vcrpy reads its
cassettes (`cassettes.foreign`).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, ClassVar

from pytest_llmops.cassettes import guard
from pytest_llmops.cassettes.clients import aiohttp_client, httpx_client, lm15_client, urllib3_client, urllib_client
from pytest_llmops.errors import CassetteError

Patch = tuple[Any, str, Any]
"""(owner, attribute, replacement)."""

PATCHES: dict[str, Callable[[ModuleType], list[Patch]]] = {
    "httpx": httpx_client.patches,
    "httpx2": httpx_client.patches,
    "urllib3": urllib3_client.patches,
    "aiohttp": aiohttp_client.patches,
    "urllib.request": urllib_client.patches,
    "lm15.transports": lm15_client.patches,
    "dspy._vendor.lm15.transports": lm15_client.patches,
}


class Interception(importlib.abc.MetaPathFinder):
    """Patches the clients that are imported, now and later, until `uninstall`.

    Args:
        guard: also refuse what is not HTTP on replay (`cassettes.guard`).
    """

    _standing: ClassVar[list[Interception]] = []

    def __init__(self, *, guard: bool = False) -> None:
        self._guard = guard
        self._undo: list[Patch] = []
        self._pending: set[str] = set()

    def install(self) -> None:
        """Patch what is imported already, and watch for the rest; nothing to do where that is done."""
        if self in sys.meta_path:
            return
        while self._standing:  # of an earlier session in this process, kept for a thread that one of its tests left
            self._standing[-1].uninstall()
        self._standing.append(self)
        self._patches = dict(PATCHES)
        if self._guard:
            self._patches |= {"grpc": guard.grpc_patches, "concurrent.futures.thread": guard.pool_patches}
            self._apply(guard.patches())
        for name in self._patches:
            module = sys.modules.get(name)
            if module is not None:
                self._apply(self._made(name, module))
            else:
                self._pending.add(name)
        sys.meta_path.insert(0, self)

    def _made(self, name: str, module: ModuleType) -> list[Patch]:
        try:
            return self._patches[name](module)
        except (AttributeError, KeyError) as error:
            version = getattr(module, "__version__", "of unknown version")
            raise CassetteError(
                f"{name} {version} cannot be recorded: it has moved what is intercepted ({error})\n"
                "  pip install -U pytest-llmops, or hold the client back"
            ) from None

    def uninstall(self) -> None:
        """Put everything back."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            self._standing.remove(self)
        while self._undo:
            owner, attribute, original = self._undo.pop()
            if original is None:  # it was inherited
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)

    def _apply(self, patches: list[Patch]) -> None:
        for owner, attribute, replacement in patches:
            self._undo.append((owner, attribute, owner.__dict__.get(attribute)))
            setattr(owner, attribute, replacement)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Let the other finders find a client library, and patch it once it has run."""
        if fullname not in self._pending:
            return None
        self._pending.discard(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            self._pending.add(fullname)
            return None
        spec.loader = _Loader(spec.loader, lambda module: self._apply(self._made(fullname, module)))
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, inner: Any, after: Callable[[ModuleType], None]) -> None:
        self._inner, self._after = inner, after

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        self._after(module)

    def __getattr__(self, name: str) -> Any:  # resources, get_data, is_package …
        return getattr(self._inner, name)
