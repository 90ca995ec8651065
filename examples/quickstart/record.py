"""Record both sets of cassettes and the baseline, without a provider: `python examples/quickstart/record.py`.

The answers come from a stand-in on this machine that is told what to say. They show what the tool does; they are no
measurement of any model. With a key of your own, `pytest --llm-record=all` records the real thing.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1]))  # the stand-in lives in this repository's tests

from tests.standin import Reply, StandIn  # noqa: E402

FULL = {
    "refund": "You can return unworn shoes within 30 days of delivery. Open My orders, choose Return, and print the "
    "free return label.",
    "refund-pt": "Você pode devolver os sapatos sem uso em até 30 dias após a entrega. Abra Meus pedidos e imprima a "
    "etiqueta de devolução gratuita.",
    "refund-es": "Puede devolver los zapatos sin usar en un plazo de 30 días desde la entrega. Abra Mis pedidos e "
    "imprima la etiqueta de devolución gratuita.",
    "shipping": "Orders arrive in 3 to 5 working days. The tracking link is in the e-mail we sent when it left us.",
    "shipping-vi": "Đơn hàng đến trong vòng 3 đến 5 ngày làm việc. Bạn xem liên kết theo dõi trong email xác nhận.",
    "warranty": "Yes, our two-year warranty covers a sole that comes off. Reply with a photo and we send a new pair.",
    "exchange": "Yes, a free exchange is possible within 30 days. Open My orders and choose the size you need.",
    "invoice": "Open My orders, choose Invoice and enter your VAT number; the PDF comes by e-mail at once.",
    "invoice-zh": "请打开“我的订单”，选择“发票”并填写税号，PDF会立即发送到您的邮箱。",
    "gift-card": "No, a gift card never expires. You can see its balance under My account.",
    "store": "Yes, on Sundays we are open from 11 am to 5 pm.",
    "complaint": "I'm sorry, three damaged parcels are not acceptable. A replacement leaves today by courier, and you "
    "don't need to send anything back.",
}
SHORT = {
    "refund": "You have 30 days.",
    "refund-pt": "Você tem 30 dias.",
    "refund-es": "Tiene 30 días.",
    "shipping": "It should arrive this week.",
    "shipping-vi": "Đơn hàng sẽ đến trong tuần này.",
    "warranty": "Yes, the two-year warranty covers it.",
    "exchange": "Yes, within 30 days.",
    "invoice": "You find it under My orders.",
    "invoice-zh": "请查看“我的订单”。",
    "gift-card": "No, it never expires.",
    "store": "Yes, on Sundays, too.",
    "complaint": "I'm sorry about that.",
}


def main() -> None:
    cases = [json.loads(line) for line in (FOLDER / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    names = {case["input"]: case["id"] for case in cases}
    asked: Counter[tuple[bool, str]] = Counter()

    def reply(request: dict) -> Reply:
        name = names[request["messages"][-1]["content"]]
        short = "one short sentence" in request["system"]
        asked[short, name] += 1
        text = (SHORT if short else FULL)[name]
        # Models do not say the same thing twice: a trial here and there leaves its last sentence out.
        if not short and asked[short, name] == 2 and name in ("refund", "shipping", "invoice"):
            text = text.partition(". ")[0] + "."
        return Reply(text=text)

    with StandIn(latency_s=0.4) as standin:
        standin.script(reply)
        for prompt, cassettes, baseline in (
            ("support.txt", "cassettes", ["--llm-baseline=baseline.json", "--llm-update-baseline", "--llm-force"]),
            ("shorter.txt", "cassettes-shorter", []),
        ):
            shutil.rmtree(FOLDER / cassettes, ignore_errors=True)
            environment = {
                **os.environ,
                "ANTHROPIC_BASE_URL": standin.url,
                "ANTHROPIC_API_KEY": "stand-in",
                "SUPPORT_PROMPT": prompt,
            }
            command = [sys.executable, "-m", "pytest", "-q", "--llm-record=all", f"--llm-cassette-dir={cassettes}"]
            subprocess.run([*command, *baseline], cwd=FOLDER, env=environment, check=True)


if __name__ == "__main__":
    main()
