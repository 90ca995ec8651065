"""Signatures of injections that are no jailbreaks, in English; `attacks` describes the table."""

from __future__ import annotations

INJECTIONS: tuple[tuple[str, float, str], ...] = (
    (
        "+prompt_extraction",
        4,
        r"\b(?:reveal|show|print|display|output|repeat|tell|give|leak|expose|disclose|translate|"
        r"summari[sz]e|copy|recite|dump|share|"
        r"what (?:is|are|was|were)|what's) (?:me |us )?(?:the )?(?:exact |full |entire |"
        r"complete |whole )?(?:text |contents? |wording |copy )?(?:of )?"
        r"your (?:exact |full |entire |own |current |complete )?(?:prompts?|instructions?|"
        r"configuration|directives)\b"
        r"(?! (?:for|on|about|to|regarding|manual|of|when|in case|concerning)\b)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\bwhat (?:instructions|rules|prompt) (?:were|have|did) you (?:been )?(?:given|told|"
        r"receiv\w+|get)\b|"
        r"\b(?:secret|password|key|code|passphrase)\b[^.?!\n]{0,15}\byou(?:'re| are| were|"
        r" have been) (?:\w+ )?"
        r"(?:hiding|told to|protecting|guarding|keeping|given|instructed)\b|"
        r"\b(?:print|show|reveal|repeat|output|summari[sz]e|translate|include|including|display|"
        r"dump)\b[^.?!\n]{0,40}\b(?:your|the) "
        r"(?:hidden (?:context|message|text)|system message)\b(?!s)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:reveal|show|print|display|output|repeat|tell|give|leak|expose|disclose|dump|"
        r"recite|write|share|return|echo|"
        r"what (?:is|are|was|were)|translate|summari[sz]e|encode)\b[^.?!\n]{0,40}?\byour\b[^.?!\n]{0,25}?"
        r"\b(?:system|initial|hidden|secret|original|internal|developer|confidential|base|"
        r"pre-?)[- ]?(?:prompts?|instructions?|messages?|"
        r"rules|directives?|guidelines)\b",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:reveal|show|print|display|output|repeat|tell|give|leak|expose|disclose|dump|"
        r"recite)\b[^.?!\n]{0,25}?"
        r"\b(?:system prompts?|(?:hidden|secret) (?:system )?(?:prompts?|instructions?)|initial prompts?)\b",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:repeat|print|output|copy|write|recite|echo)\b[^.\n]{0,30}\b(?:words|text|"
        r"everything|all)\b[^.\n]{0,20}"
        r"\b(?:above|before this|starting with|preceding)\b(?! in \w)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\bwhat (?:were|are|was) (?:you|your) (?:told|instructed|given|prompted)|"
        r"\bignore\b.{0,40}\bprompt leak",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:reveal|give|tell|show|leak|disclose|print)\b[^.?!\n]{0,20}\b(?:your|"
        r"the system'?s?|the app'?s?) (?:\w+ )?"
        r"(?:api[- ]?keys?|password|credentials|secrets?|access tokens?|canary)\b",
    ),
    (
        "+fake_turn",
        4,
        r"<\|?(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|?>|\[/?inst\]|"
        r"<</?sys>>|^\s*#{2,} ?(?:system|instruction)s?\b",
    ),
    (
        "+fake_turn",
        2,
        r"(?:^|\n)[\t\x20]*\[?(?:system|assistant|developer)(?: (?:message|prompt|note|override|"
        r"update))?\]?\s*[:>]",
    ),
    (
        "+fake_turn",
        2,
        r"\b(?:end of|end) (?:user |the )?(?:input|prompt|document|context|instructions)\b|"
        r"-{3,} ?end\b|system override\b",
    ),
    (
        "+exfiltration",
        4,
        r"!\[[^\]]{0,40}\]\(https?://[^)\s]{1,200}[?&/][\w-]{1,20}=[^)]{0,80}(?:\{|\[|<|data|"
        r"secret|conversation|history)",
    ),
    (
        "+exfiltration",
        2,
        r"\b(?:send|forward|post|upload|e-?mail|exfiltrate|"
        r"transmit)\b[^.\n]{0,50}\b(?:conversation|chat history|passwords?|credentials|"
        r"api[- ]?keys?|user'?s? data|contacts|secrets?|inbox|emails?)\b[^.\n]{0,30}\b(?:to|"
        r"at)\b[^.\n]{0,10}(?:https?:|[\w.]+@|attacker|this address)",
    ),
    (
        "+exfiltration",
        2,
        r"\b(?:do not|don't|never|without) (?:tell|mention|inform|notify|"
        r"reveal)\w*[^.\n]{0,20}\b(?:the )?user\b",
    ),
    (
        "+exfiltration",
        2,
        r"\b(?:ai|llm|assistants?|language models?|chatbots?|agents?)\b[^.\n]{0,25}\b(?:reading|"
        r"processing|summari[sz]ing|who reads?)\b[^.\n]{0,60}\b(?:must|should|please|:)",
    ),
)
