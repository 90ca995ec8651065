"""What the reviewer has to know besides the numbers: what they were measured with, and what was accepted."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import PurePosixPath

from pytest_llmops.acceptance import DEFAULT_NAME, Accepted
from pytest_llmops.compare.cases import GONE
from pytest_llmops.records import Comparison
from pytest_llmops.reports.pull_request.findings import Findings
from pytest_llmops.reports.pull_request.fitting import Section
from pytest_llmops.reports.pull_request.neutral import code, inline, preformatted
from pytest_llmops.reports.pull_request.quantities import plural
from pytest_llmops.reports.pull_request.view import NeedsRecording, View, root

NAMED = 5
NOTES = 12
PROMPTS = 5
RECORDINGS = 20
FOREIGN = "\n> ⚠️ **Measured by a run of the fork's own code**: its numbers and words are as trustworthy as that.\n"
SETTINGS = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")


def origin(view: View) -> list[Section]:
    """Whose code measured this, where it is a stranger's; nothing that the stranger wrote can push it out."""
    return [Section(FOREIGN, weight=-2)] if view.foreign else []


def recording(view: View, found: Findings) -> list[Section]:
    """What only a maintainer can record: told as one thing, with the command."""
    if not view.needs_recording:
        return []
    count = len(found.unrecorded) or len(view.needs_recording)
    asks = f"{plural(count, 'case')} {'asks its model' if count == 1 else 'ask their models'} something"
    opening = (
        f"\n{asks} that is not recorded, and this pull request cannot record: it has no provider's key. **That is no "
        "fault of the pull request.** A maintainer who has read its changes records the answers once, and the checks "
        "go on; the command runs the pull request's code with the maintainer's key.\n\n"
    )
    comparison = view.run.comparison if view.run else None
    changed = {change.after for change in (comparison.prompt_changes if comparison else ())}
    rows = (_unrecorded(one, changed) for one in view.needs_recording)
    return [Section(opening, rows, len(view.needs_recording), weight=1, most=RECORDINGS)]


def _unrecorded(one: NeedsRecording, changed: set[str]) -> str:
    prompt = f": prompt {code(one.prompt)} changed" if one.prompt and one.prompt in changed else ""
    prompt += " (such a name can be no part of a command, which records every test)" if one.whole else ""
    blocks = [preformatted(text, most) for text, most in ((one.changed, 1_500), (one.command, 600)) if text]
    return "\n".join([f"- {code(one.test)}{prompt}\n", *(f"{block}\n" for block in blocks)])


def notes(view: View) -> list[Section]:
    """The caller's remarks, and the comparison's."""
    comparison = view.run.comparison if view.run else None
    told = {
        one for change in (comparison.prompt_changes if comparison else ()) for one in (change.before, change.after)
    }
    found = [*view.notes]
    for note in comparison.notes if comparison else ():
        if not (note.startswith("prompt ") and any(repr(name) in note for name in told)):  # these are shown as diffs
            found.append(note)
    rows = [f"- {words}\n" for note in found if (words := inline(note, 400))]
    opening = "\nThe fork's run remarks:\n\n" if view.foreign else "\n"
    return [Section(opening, rows, len(rows), weight=1, most=NOTES)] if rows else []


def ways_out(view: View, found: Findings) -> list[Section]:
    """What to do about a regression that is meant."""
    if view.updated or not (found.metrics or found.broken or found.missing):
        return []
    words = (
        f"\nIs it meant? Accept it in {code(DEFAULT_NAME)}, with a reason and an end, "
        f"or store a run as the baseline and commit the file: {code(view.storing)}\n"
    )
    return [Section(words)]


def changed(view: View) -> list[Section]:
    """A warning where this pull request changes what it is measured with; and how its prompts changed."""
    kinds = measured_with(view)
    found = []
    if kinds:
        rows = [f"> - {_files(kind, paths)}\n" for kind, paths in kinds.items()]
        opening = "\n> ⚠️ **This pull request also changes what these numbers hang on**; review it, too:\n>\n"
        found.append(Section(opening, rows, len(rows), weight=1, more=lambda left: f"> - … and {left:,} more\n"))
    comparison = view.run.comparison if view.run else None
    return found + (_prompts(comparison) if comparison and comparison.prompt_changes else [])


def _files(kind: str, paths: Sequence[str]) -> str:
    named = ", ".join(code(path, 160) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return f"{kind}: {named}{more}"


def measured_with(view: View) -> dict[str, list[str]]:
    """Paths that this pull request changes and that its numbers hang on, by what they are."""
    used = {test.dataset for test in view.run.tests if test.dataset} if view.run else set()
    datasets = {_in_repository(file, view) for file in used}
    baseline = _baseline_names(view)
    found: dict[str, list[str]] = {}
    for path in view.changed:
        kind = _kind(PurePosixPath(path), datasets, baseline)
        if kind:
            found.setdefault(kind, []).append(path)
    return {kind: found[kind] for kind in _KINDS if kind in found}


def _in_repository(dataset: str, view: View) -> str:
    return posixpath.normpath(posixpath.join(root(view.directory, view.run), dataset))


_KINDS = ("baseline", "accepted changes", "recordings", "datasets", "prompts", "judge's calibration", "settings")


def _kind(path: PurePosixPath, datasets: set[str], baseline: set[str]) -> str:
    if path.name in baseline:
        return "baseline"
    if path.name == DEFAULT_NAME:
        return "accepted changes"
    if path.name == "judge-calibration.json":
        return "judge's calibration"
    if path.suffix in (".json", ".yaml", ".yml") and any(part.startswith("cassettes") for part in path.parts[:-1]):
        return "recordings"
    if "prompts" in path.parts[:-1] and path.suffix != ".py":
        return "prompts"
    if str(path) in datasets:
        return "datasets"
    return "settings" if path.name in SETTINGS else ""


def _baseline_names(view: View) -> set[str]:
    comparison = view.run.comparison if view.run else None
    given = {
        comparison.baseline if comparison else None,
        view.baseline.path if view.baseline else None,
        "baseline.json",
    }
    names = {PurePosixPath(one.replace("\\", "/")).name for one in given if one}
    return names | {f"{name.removesuffix('.json')}.answers.jsonl.gz" for name in names}


def _prompts(comparison: Comparison) -> list[Section]:
    rows = []
    for change in comparison.prompt_changes[:PROMPTS]:
        name = code(change.after, 120)
        if change.before != change.after:
            name += f" in the place of {code(change.before, 120)}"
        diff = preformatted("\n".join(change.diff), 3_000, language="diff") if change.diff else ""
        rows.append(f"{name}\n\n{diff}\n\n" if diff else f"{name}\n\n")
    count = len(comparison.prompt_changes)
    opening = f"\n<details><summary>{plural(count, 'prompt')} changed since the baseline</summary>\n\n"
    return [Section(opening, rows, count, "</details>\n", weight=3)]


def accepted(view: View) -> list[Section]:
    """What was accepted: what, why, by whom and until when."""
    comparison = view.run.comparison if view.run else None
    words = [GONE, *(str(one) for one in view.accepted)]
    rows = [_entry(one, comparison) for one in view.accepted] + _taken_out(view, comparison)
    heading = "| accepted | because | by | until | covers now |\n|---|---|---|---|---|\n"
    found = []
    if rows:
        title = f"{plural(len(rows), 'accepted change')}"
        opening = f"\n<details open><summary>{title}</summary>\n\n{heading}"
        more = "| … and {:,} more | | | | |\n".format
        found.append(Section(opening, rows, len(rows), "\n</details>\n", weight=2, most=50, more=more))
    others = [one for one in (comparison.accepted if comparison else ()) if not one.endswith(tuple(words))]
    if others:
        lines = [f"- {inline(one, 400)}\n" for one in others]
        opening = f"\n<details open><summary>{len(lines)} accepted</summary>\n\n"
        found.append(Section(opening, lines, len(lines), "\n</details>\n", weight=2, most=50))
    return found


def _entry(one: Accepted, comparison: Comparison | None) -> str:
    said = str(one)
    covered = 0
    if comparison is not None:
        covered = sum(line.endswith(said) for line in comparison.accepted)
    what = f"metric {code(one.metric)}" if one.metric else f"case {code(one.case or '')}"
    now = plural(covered, "change") if covered else "nothing"
    return f"| {what} | {inline(one.reason, 300)} | {inline(one.by or '', 80) or '?'} | {one.expires} | {now} |\n"


def _taken_out(view: View, comparison: Comparison | None) -> list[str]:
    """Cases that a dataset goes without: by this pull request, or by one before it that left them in the baseline."""
    rows = []
    for one in comparison.findings if comparison else ():
        if one.taken_out_of and one.accepted == GONE:
            here = _in_repository(one.taken_out_of, view) in view.changed
            by = "this pull request" if here else "an earlier change"
            because = f"taken out of {code(one.taken_out_of, 160)}"
            rows.append(f"| case {code(one.case)} | {because} | {by} | the baseline is made anew | 1 change |\n")
    return rows
