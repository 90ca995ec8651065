"""Record the cassettes, without a provider: `python examples/support_pt/record.py`.

Answers and verdicts come from a stand-in on this machine that is told what to say. They show what the tool does; they
are no measurement of any model. With a key of your own, `pytest --llm-record=all` records the real thing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))  # the stand-in lives in this repository's tests

from tests.standin import Reply, StandIn, ToolCall  # noqa: E402

ANSWERS = {
    "Meu servidor está em chamas!": (
        "escalate",
        0.97,
        "Sinto muito, isso é grave. Saia do local e ligue para os bombeiros; já chamei nossa equipe de plantão.",
    ),
    "My server is on fire!": (
        "escalate",
        0.97,
        "I'm sorry, this is serious. Leave the room and call the fire brigade; I have paged our team on duty.",
    ),
    "¡Mi servidor está en llamas!": (
        "escalate",
        0.97,
        "Lo siento, esto es grave. Salga del lugar y llame a los bomberos; ya avisé a nuestro equipo de guardia.",
    ),
    "Este produto é terrível!": (
        "clarify",
        0.9,
        "Lamento muito que a experiência tenha sido tão ruim. O que aconteceu? Quero resolver isso com você hoje.",
    ),
    "This product is terrible!": (
        "clarify",
        0.9,
        "I'm truly sorry that it let you down. What happened? I would like to put it right with you today.",
    ),
    "¡Este producto es terrible!": (
        "clarify",
        0.9,
        "Lamento mucho que la experiencia haya sido tan mala. ¿Qué pasó? Quiero resolverlo con usted hoy mismo.",
    ),
    "Ajuda": ("clarify", 0.95, "Claro! Conte o que está acontecendo e eu ajudo você agora."),
    "Help": ("clarify", 0.95, "Of course! Tell me what is going on and I will help you now."),
    "Ayuda": ("clarify", 0.95, "¡Claro! Cuénteme qué está pasando y le ayudo ahora mismo."),
}
TONE = {
    "reason": "It regrets the bad experience and asks what happened, without defending the product.",
    "professional": 5,
    "empathy": 5,
    "defensive": 1,
    "label": "professional",
}


def reply(request: dict) -> Reply:
    if "tools" in request:
        return Reply(tool_calls=[ToolCall(request["tools"][0]["name"], TONE)])
    action, confidence, text = ANSWERS[request["messages"][-1]["content"]]
    return Reply(json.dumps({"action": action, "confidence": confidence, "response": text}, ensure_ascii=False))


def main() -> None:
    shutil.rmtree(FOLDER / "cassettes", ignore_errors=True)
    with StandIn(latency_s=0.2) as standin:
        standin.script(reply)
        environment = {**os.environ, "ANTHROPIC_BASE_URL": standin.url, "ANTHROPIC_API_KEY": "stand-in"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--llm-record=all"]
        subprocess.run(command, cwd=FOLDER, env=environment, check=True)


if __name__ == "__main__":
    main()
