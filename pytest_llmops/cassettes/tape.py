"""The recordings of one scope (a test, or a fixture): what is found, what is new, what is written."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from pytest_llmops import clock, providers
from pytest_llmops.cassettes import background, keeping, keying, keys, miss, order, storage
from pytest_llmops.cassettes.holding import Holding
from pytest_llmops.cassettes.journal import Journal, KeepsExchanges, Leftovers
from pytest_llmops.cassettes.recordings import Recordings
from pytest_llmops.cassettes.storage import Interaction
from pytest_llmops.cassettes.tape_options import TapeOptions, host_and_port, host_matches
from pytest_llmops.cassettes.transfer import CANCELLED, Transfer, to_exchange
from pytest_llmops.errors import CassetteError
from pytest_llmops.exchange import Exchange
from pytest_llmops.options import RecordMode
from pytest_llmops.registry import current_role

if TYPE_CHECKING:
    from pytest_llmops.cassettes.foreign import Foreign, Source

JUDGED = "judge:"
"""What keys of judges' calls begin with: hashes of judge, rubric, answer and repeat, not of a request."""


class Tape:
    """A cassette while it is in use; safe to use from several threads.

    Args:
        path: the cassette file; in mode ``live`` what the tape is called in the run's journal, or None.
        mode: the record mode.
        test: the node id it belongs to, without the trial.
        command: the command that records it anew, for messages.
        foreign: finds the cassettes of another recorder, which are replayed where there is none of ours; asked when the
            first request comes, since fixtures of the test may say where they are.
        resume: in mode ``live``, replay what the broken-off run paid for.
        stored: what the cassette held before an attempt of this run that failed; the test is run again, so what that
            attempt recorded does not count.
    """

    def __init__(
        self,
        path: Path | None,
        mode: RecordMode,
        options: TapeOptions,
        *,
        test: str = "",
        command: str = "",
        foreign: Callable[[], Source | None] | None = None,
        resume: bool = False,
        stored: Sequence[Interaction] | None = None,
    ) -> None:
        self.path, self.mode, self.options, self.test, self.command = path, mode, options, test, command
        self.started = clock.counter()
        self.closed = False
        self.abandoned = False
        self.discarded = False
        self.misses: list[miss.CassetteMiss] = []
        self.notes: list[str] = []
        self.refused: list[tuple[str, str]] = []
        self.transfers: list[Transfer] = []
        self.captures: list[object] = []
        self.steps: list[object] = []
        self.owner: object | None = None
        """The evaluation whose test this is."""
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._recordings = Recordings(partial(keying.stored_second_key, self.options))
        self._borrowed = False
        self.holding = Holding()
        self._foreign: Foreign | None = None
        self._find_foreign = foreign
        self._replays = mode != "all" and (mode != "live" or resume)
        self._leftovers: Leftovers | None = None
        self._journal = self._journal_of(path)
        self.existed = False
        if mode != "none":
            keeping.checked_name(test, options.secrets)
        if path is not None:
            self._load(path, stored)
        self.before = list(self._recordings.stored)
        """What the cassette held when the test began."""

    def _journal_of(self, path: Path | None) -> KeepsExchanges | None:
        if path is None or self.mode == "none":
            return None
        if self.mode == "live":
            return self.options.live.part(path) if self.options.live is not None else None
        return Journal(path)

    def _load(self, path: Path, stored: Sequence[Interaction] | None) -> None:
        if self.mode == "live":
            if self._replays and self.options.live is not None:
                self._replayable(self.options.live.left(path))
            return
        self.existed = path.is_file() if stored is None else bool(stored)
        found: Sequence[Interaction] = ()
        if self.existed and self._replays:
            found = storage.load(path, hint=self.record_all) if stored is None else stored
        self._leftovers = Leftovers(path)
        left = self._leftovers.interactions
        if self.mode == "all":  # goes on where it was killed: that much is made again
            self._replays = bool(left)
        if left and self.mode != "none":  # what was killed may have been to replace what the file holds
            found = keeping.newest(found, left)
        self._replayable(found)
        self._replayable(left)

    def _look_abroad(self) -> None:
        """Take up what another recorder keeps for the test, where there is no cassette of ours.

        Raises:
            CassetteMiss: it cannot be read; said so that no SDK takes it for an outage.
        """
        find, self._find_foreign = self._find_foreign, None
        if find is None or self.existed or self.mode in ("live", "all"):
            return
        try:
            source = find()
            if source is None:
                return
            from pytest_llmops.cassettes.foreign import Foreign

            key_of = partial(keying.stored_key, self.options)
            self._foreign = Foreign(source, key_of, self.options.scrub, self.options.ignored_fields)
        except CassetteError as error:
            raise self.missed(str(error)) from None
        self.existed = True
        self._replayable(self._foreign.entries)

    def _replayable(self, entries: Iterable[Interaction]) -> None:
        self._recordings.add(entries)
        for entry in self._recordings.stored:
            if entry["key"].startswith(JUDGED) and entry["response"].get("status") == 200:
                self.options.answers.setdefault(entry["key"], entry)

    # -- a request comes ------------------------------------------------------------------------------------------

    def begin(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        content_type: str = "",
        user_agent: str = "",
        capture: object | None = None,
        key: str | None = None,
    ) -> Transfer | None:
        """Take a request on; None where it is not this tape's business and passes through untouched.

        Raises:
            CassetteMiss: there is no recording, and the mode forbids a call.
        """
        route = providers.detect(method, url, body, hosts=self.options.hosts)
        if route is not None and route.telemetry:
            return background.acknowledged(self, method, url)
        host, port = host_and_port(url)
        if route is None and not host_matches(host, self.options.record_hosts, port):
            if self.mode == "none" and not host_matches(host, self.options.allowed_hosts, port):
                return background.refused(self, method, url, host)
            return None
        if self.abandoned or self.closed:
            became = "was given up" if self.abandoned else "has ended: wait there for the threads it starts"
            raise self.missed(f"{method} {url}: {self.test}, which it belongs to, {became}")
        request = keying.request_of(self.options, method, url, body, content_type, route, key)
        request.sdk = keys.sdk(user_agent)
        with self._lock:
            self._look_abroad()
            number = next(self._numbers)
            hit = self._take(request) if self._replays else None
            if hit is None and self._foreign is not None:
                hit = self._take_altered(self._foreign, request, url, body)
            if hit is None and not self._may_call():
                raise self.missed(self._describe(request, number), unrecorded=True)
            transfer = Transfer(self, request, number, capture, hit)
            if hit is None:
                self._admit(transfer)
            self.transfers.append(transfer)
        return transfer

    def _admit(self, transfer: Transfer) -> None:
        """Ask the watchers whether and when a request may go out."""
        try:
            transfer.hold_s = max((watcher.begins(transfer) for watcher in self.options.watchers), default=0.0)
        except miss.CassetteMiss as refusal:
            self.misses.append(refusal)
            raise

    def readmit(self, transfer: Transfer) -> float:
        """Ask once more whether a request may go out that was held back.

        Returns:
            Seconds to hold it back once more.

        Raises:
            CassetteMiss: the test was given up meanwhile, or a watcher objects.
        """
        try:
            if self.abandoned:
                raise miss.CassetteMiss(
                    f"{transfer.request.method} {transfer.request.url}: the test it belongs to was given up"
                )
            return max((watcher.resumes(transfer) for watcher in self.options.watchers), default=0.0)
        except miss.CassetteMiss as refusal:
            self.misses.append(refusal)
            for watcher in self.options.watchers:  # it has an end: they count it as under way
                watcher.completed(transfer)
            raise

    def recall(self, key: str, *, capture: object | None = None) -> Exchange | None:
        """The answered recording under a key of the caller's own making, without any HTTP; None where there is none.

        Asked again for the same key, the same answer is given: who wants another sample asks under another key.
        """
        with self._lock:
            self._look_abroad()
            for transfer in self.transfers:
                entry = transfer.interaction
                if entry is not None and entry["key"] == key and entry["response"].get("status") == 200:
                    return transfer.exchange()
            request = keys.Request("POST", "", "", None, None, None, key, role=current_role.get())
            while (hit := self._recalled(key)) is not None:
                transfer = Transfer(self, request, next(self._numbers), capture, hit)
                self.transfers.append(transfer)
                if hit["response"].get("status") == 200:
                    return to_exchange(hit)
        return None

    def _recalled(self, key: str) -> Interaction | None:
        found = (self._recordings.take(key) or self._take_adopted(key)) if self._replays else None
        if found is None and self.mode != "none":
            found = self.options.answers.get(key)
            self._borrowed = self._borrowed or found is not None
        return found

    @property
    def offline(self) -> bool:
        """Whether nothing leaves the machine: what is not recorded is missed."""
        return not self._may_call()

    def forget(self, key: str | None = None, *, step: object = None) -> bool:
        """Give up what was replayed under a key or inside a step, so that it is asked for anew; False where none is."""
        with self._lock:
            kept = [t for t in self.transfers if t.live or not (t.request.key == key or step in t.steps)]
            if self.offline or len(kept) == len(self.transfers):
                return False
            self.options.answers.pop(key or "", None)
            self.transfers = kept
        return True

    def _may_call(self) -> bool:
        if self.mode == "once":
            return not self.existed
        return self.mode != "none"

    def _take(self, request: keys.Request) -> Interaction | None:
        found = self._recordings.take(request.key)
        if found is None:
            found = self._recordings.take_second(lambda: keying.second_key(self.options, request))
            if found is not None:
                self.notes.append(f"call {len(self.transfers) + 1}: matched after renaming ids by order")
        return found or self._take_adopted(request.key)

    def _take_altered(self, foreign: Foreign, request: keys.Request, url: str, body: bytes) -> Interaction | None:
        """The other recorder stored requests as the project's own filters left them."""
        try:
            key = foreign.altered_key(request.method, url, body, request.content_type)
        except CassetteError as error:
            raise self.missed(str(error)) from None
        return self._recordings.take(key) if key is not None else None

    def _take_adopted(self, key: str) -> Interaction | None:
        path = self.path
        if path is None or self.existed or self.mode in ("live", "all"):
            return None
        self._recordings.adopt(lambda: self.options.orphans(path))
        return self._recordings.take(key)

    # -- a request went wrong -------------------------------------------------------------------------------------

    def missed(self, message: str, *, unrecorded: bool = False) -> miss.CassetteMiss:
        """A miss to raise; it is raised once more after the test, for an application that swallows it."""
        error = miss.CassetteMiss(message, unrecorded=unrecorded)
        self.misses.append(error)
        return error

    def _describe(self, request: keys.Request, number: int) -> str:
        used = self._recordings.used(request.key)
        return miss.describe(
            request, cassette=self.name, call=number, recorded=self._recordings.stored, used=used, command=self.command
        )

    @property
    def record_all(self) -> str:
        """The command that makes no use of what is recorded already."""
        return self.command.replace("--llm-record=refresh", "--llm-record=all")

    @property
    def name(self) -> str:
        """The cassette's path as a reader would type it."""
        if self.path is None or self.mode == "live":
            return "(live)"
        path = str(self.path)
        return path.removeprefix(self.options.folder) if self.options.folder else path

    # -- a request is done ----------------------------------------------------------------------------------------

    def completed(self, transfer: Transfer) -> None:
        """A live exchange is whole: keep it, unless it must not be kept."""
        for watcher in self.options.watchers:
            watcher.completed(transfer)
        entry = transfer.interaction
        if entry is None:
            return
        status = entry["response"].get("status")
        if keeping.is_refusal_to_serve(entry):
            self.notes.append(
                f"{urlsplit(transfer.request.url).netloc} answered {status}: shown to the test, not recorded"
            )
            return
        keeping.scrub(entry, self.options.scrub)
        found = keeping.secret_in(entry, self.options.secrets, self.options.scrub)
        with self._lock:
            if found is not None:
                self.refused.append(found)
                return
            transfer.kept = True
            if status == 200 and entry["key"].startswith(JUDGED):
                self.options.answers[entry["key"]] = entry
            given_up = (entry["response"].get("error") or {}).get("type") == CANCELLED
            # Who gives up has no answer to lose, and a run that is stopped gives up everything.
            if self._journal is not None and not self._journal.broken and not given_up:
                self._journal.append(entry)

    def finished(self) -> list[Transfer]:
        """The finished transfers, in the order they were begun."""
        with self._lock:
            return [t for t in self.transfers if t.interaction is not None]

    def answered(self, *, capture: object | None = None) -> list[Transfer]:
        """`finished`, and those whose answer is still being read, or was left unread: a replay has them at once.

        Only one capture's where it is given. Those that overlapped come in the order of their recording.
        """
        with self._lock:
            taken = [t for t in self.transfers if t.answered and (capture is None or t.capture is capture)]
        return order.as_recorded(taken)

    def so_far(self, transfer: Transfer) -> Exchange | None:
        """The exchange of an answered transfer, with what has come of it; None where that cannot be read yet."""
        entry = transfer.so_far()
        if entry is None:
            return transfer.exchange()
        keeping.scrub(entry, self.options.scrub)
        return to_exchange(entry, replayed=False)

    def digest(self) -> str | None:
        """Hash of the exchanges used, equal for the recording run and an unchanged replay of it."""
        return storage.digest(t.interaction for t in self.transfers if t.interaction is not None)

    def unused_digest(self) -> str | None:
        """The same hash of the whole recording, where a replay did not use all of it; else None."""
        used = [t for t in self.transfers if not t.live]
        whole = self._foreign.entries if self._foreign is not None else self.before
        if len(used) < len(self.transfers) or len(used) >= len(whole):
            return None
        return storage.digest(whole)

    def discard(self) -> None:
        """Forget, at the end, what was recorded: the test is begun again."""
        self.discarded = True

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, *, passed: bool) -> None:
        """End every open stream and write what is new.

        Args:
            passed: whether the test passed; only then is what it no longer used dropped (modes ``refresh``, ``all``).

        Raises:
            CassetteError: something looks like a secret, or the file cannot be written.
        """
        for transfer in list(self.transfers):
            transfer.end(complete=False)
        self.closed = True
        if self.discarded and self._journal is not None:
            self._journal.discard()
        if self.path is None or self.mode == "none" or self.discarded:
            return
        if self.mode == "live":  # --llm-resume reads the journal; no cassette is made
            return
        if self.refused:
            self._refuse(self.refused[0])
        self._save(self.path, passed=passed)

    def _refuse(self, found: tuple[str, str]) -> NoReturn:
        if self._journal is not None:
            self._journal.close()  # the other exchanges are paid for: the next run takes them up from there
        raise CassetteError(keeping.refusal(self.name, found))

    def _save(self, path: Path, *, passed: bool) -> None:
        kept = [t for t in self.transfers if t.kept]
        if not passed:
            kept, outages = keeping.without_outages(kept)
            if outages:
                self.notes.append(
                    f"{outages} exchange{'s' * (outages != 1)} of this failed test ended in an error of the provider "
                    "or the connection: not recorded"
                )
        drop = passed and self.mode in ("refresh", "all")
        unused = self._recordings.unused
        recovered = self._leftovers is not None and bool(self._leftovers.interactions)
        found_elsewhere = self._borrowed or self._recordings.uses_adopted
        if not (any(t.live for t in kept) or found_elsewhere or recovered or (drop and unused)):
            if self._journal is not None:
                self._journal.discard()
            return
        # What we did not record has not been looked through.
        for entry in self._foreign.entries if self._foreign else ():
            if (found := keeping.secret_in(entry, self.options.secrets, self.options.scrub)) is not None:
                self._refuse(found)
        with storage.locked(path):
            entries = keeping.in_order(kept)
            if not drop:  # what another process wrote meanwhile stays, and so does what this test did not get to
                on_disk = storage.load(path, hint=self.record_all) if path.is_file() else []
                entries = keeping.merged(entries, keeping.newest(on_disk, unused))
            self._write(path, entries)
        if self._journal is not None:
            self._journal.discard()
        if self._leftovers is not None:
            self._leftovers.discard()

    def _write(self, path: Path, entries: list[Interaction]) -> None:
        try:
            storage.save(path, entries, test=self.test)
        except CassetteError as error:
            if self._journal is None or not self._journal.keeps:
                raise
            self._journal.close()
            raise CassetteError(f"{error}; the journal beside it keeps what was recorded for the next run") from None
