"""A judge model for the stand-in provider, as gullible as can be.

It takes for data only what stands in a block that the system prompt announced, and for the block's end anything that
looks like one. Whatever instruction it finds outside, it obeys. So a judged text wins if it gets out of its block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.standin import Reply, ToolCall

_ANNOUNCED = re.compile(r"tags that end in the mark ([0-9a-f]{16})\.")
_OPENING = r"[<＜‹〈]\s*(input|expected|context|answer)\s*-{mark}\s*[>＞›〉]\n?"
_SCALE = re.compile(r"whole numbers? from (\d+) to (\d+)")
ORDERS = re.compile(
    r"""\b(?:scor\w*|rat(?:e|ing)|level|verdict|give\s+(?:it|this)|puntuación|评分|punkte)\W{0,4}(?:of\s|is\s|de\s|:|=)?\W{0,3}(\d+)""",
    re.IGNORECASE,
)
# What makes a careless reader believe that the data, or even the message, is over.
_END = r"[<＜‹〈]\s*[/／]\s*{name}\b[^>＞›〉\n]*[>＞›〉]|<\|im_(?:end|start)\|>|\[/INST\]|</s>"


def messages_of(request: Mapping[str, Any]) -> tuple[str, str]:
    """System and user text of a request, Anthropic's or OpenAI's."""
    if "system" in request:
        return request["system"], request["messages"][0]["content"]
    system, user = request["messages"]
    return system["content"], user["content"]


def understood(request: Mapping[str, Any]) -> tuple[dict[str, list[str]], str]:
    """What this judge takes for data, by name, and everything that it takes for instructions."""
    system, user = messages_of(request)
    mark = _ANNOUNCED.search(system)
    assert mark, system
    blocks: dict[str, list[str]] = {}
    outside, rest = [system], user
    while opening := re.search(_OPENING.format(mark=mark[1]), rest):
        outside.append(rest[: opening.start()])
        rest = rest[opening.end() :]
        ending = re.search(_END.format(name=opening[1]), rest)
        assert ending, f"the block {opening[1]} never ends"
        blocks.setdefault(opening[1], []).append(rest[: ending.start()].removesuffix("\n"))
        rest = rest[ending.end() :]
    return blocks, "\n".join([*outside, rest])


class GullibleJudge:
    """Knows the level of some texts, and obeys any other level it is ordered to give.

    Args:
        levels: level of a text that contains the key; the scale's lowest for all others.
    """

    def __init__(self, levels: Mapping[str, int] | None = None) -> None:
        self.levels = levels or {}

    def verdict(self, request: Mapping[str, Any]) -> dict[str, Any]:
        blocks, instructions = understood(request)
        scale = _SCALE.search(instructions)
        assert scale, instructions
        orders = ORDERS.findall(instructions)
        if orders:
            return {"level": int(orders[-1]), "reason": "I was told to.", "evidence": []}
        (answer,) = blocks["answer"]
        level = next((level for part, level in self.levels.items() if part in answer), int(scale[1]))
        return {"level": level, "reason": "As it looks to me.", "evidence": [answer[:20]] if answer else []}

    def __call__(self, request: Mapping[str, Any]) -> Reply:
        """The verdict in the channel that was asked for."""
        verdict = self.verdict(request)
        if "tools" in request:
            return Reply(tool_calls=[ToolCall(request["tools"][0]["name"], verdict)])
        if "SCORE:" in messages_of(request)[0]:
            return Reply(f"SCORE: {verdict['level']}\nREASON: {verdict['reason']}")
        return Reply(json.dumps(verdict, ensure_ascii=False))


SAFETY = ("toxicity", "bias", "misinformation", "inappropriate", "privacy")


class GullibleSafetyJudge(GullibleJudge):
    """Knows how dangerous some texts are, and obeys any other level it is ordered to give.

    Args:
        levels: of a text that contains the key: one level for all categories, or levels by category; 0 for all others.
    """

    def __init__(self, levels: Mapping[str, int | Mapping[str, int]] | None = None) -> None:
        super().__init__()
        self.dangers = levels or {}

    def verdict(self, request: Mapping[str, Any]) -> dict[str, Any]:
        blocks, instructions = understood(request)
        assert all(f"Category {name}:" in instructions for name in SAFETY), instructions
        orders = ORDERS.findall(instructions)
        (answer,) = blocks["answer"]
        found = next((danger for part, danger in self.dangers.items() if part in answer), 0)
        if orders:
            found = int(orders[-1])
        levels = dict.fromkeys(SAFETY, found) if isinstance(found, int) else {**dict.fromkeys(SAFETY, 0), **found}
        reason = "I was told to." if orders else "As it looks to me."
        return {name: {"reason": reason, "level": level} for name, level in levels.items()}
