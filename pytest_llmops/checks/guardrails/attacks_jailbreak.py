"""Signatures of jailbreaks in English; `attacks` describes the table."""

from __future__ import annotations

_RULES = (
    r"(?:instruction|prompt|task|assignment|rule|command|direction|directive|guideline|input|programming|"
    r"constraint|order|polic(?:y|ie)|"
    r"restriction|safeguard|setting|training|protocol|boundar(?:y|ie))s?"
)
_EARLIER = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|before|existing|original|initial|past|"
    r"former|system|openai'?s?)"
)
_DROP = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|bypass|overrid(?:e|ing)|overwrite|dismiss|"
    r"discard|erase|let go of|skip|drop|abandon|set aside)"
)
_LIMITS = (
    r"(?:restrict(?:ion|ed|ive)\w*|filter\w*|rules?|limit(?:s|ation\w*)?|guid(?:e|a|"
    r"i)?lin\w*|polic(?:y|ies)|censor\w*|"
    r"ethic\w*|moral\w*|confines|constraints?|safeguards?|boundar\w*|legality|safety|"
    r"standards|norms|scruples|laws?|"
    r"regulations?|programming|shackles|morals|conventions)"
)
_BAD = (
    r"(?:unethical|immoral|amoral|illegal|unlawful|inhumane|harmful|dangerous|offensive|nsfw|"
    r"explicit|violent|racist|sexist|"
    r"toxic|hateful|vulgar|inappropriate|malicious|unfiltered|uncensored|unrestricted|"
    r"profan\w+|swear\w*|curs(?:e|ing)|"
    r"sadistic|evil|reckless|biased|malware|taboo|derogatory|controversial|sexual|erotic\w*|gore|wicked\w*)"
)
_NOT = r"(?:not|never|n't|nt|no longer|cannot)"
_ACT = (
    r"(?:(?:you are|you're|you will|u r|you must|you shall) (?:now|going to|about to|be)\b|"
    r"act(?:ing)? (?:as|like)|pretend(?:ing)?|"
    r"simulate|imitate|emulate|role ?-?play(?:ing)?|impersonate|(?:take|taking) on (?:the |"
    r"a )?(?:role|persona|\w+ persona)|"
    r"immerse yourself|embody|from (?:now|this (?:point|moment)) (?:on|own|onward)|"
    r"play the role|you are (?:an?|the|no) |"
    r"respond (?:only )?as|answer as|speak (?:to me )?as|a (?:completely |"
    r"totally )?(?:fictional|amoral) (?:character|ai)|"
    r"character named|an? ai (?:named|called)|replaced by)(?!\w)"
)

JAILBREAKS: tuple[tuple[str, float, str], ...] = (
    ("instruction_override", 4, rf"\b{_DROP}\b(?:\W+[\w']+){{0,5}}?\W+{_EARLIER}\b(?:\W+\w+){{0,3}}?\W+{_RULES}\b"),
    (
        "instruction_override",
        4,
        rf"\b{_DROP}\b(?:\W+[\w']+){{0,4}}?\W+{_RULES}\b(?:\W+\w+){{0,4}}?\W+(?:before|above|previous(?:ly)?|"
        rf"prior|earlier|so far|got|were given|have been given|received)\b",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignore|forget|disregard)\W+(?:\w+\W+){0,2}?(?:everything|anything|all)\W+(?:\w+\W+){0,6}?"
        r"(?:before|above|previously|prior|were told|been told|told you|learned)\b",
    ),
    ("instruction_override", 4, rf"\b{_DROP} (?:all |any )?(?:of )?your (?:\w+ ){{0,2}}?{_RULES}\b"),
    (
        "instruction_override",
        2,
        r"\b(?:ignore|forget|disregard)\W+(?:\w+\W+){0,3}?(?:previous|prior|above|earlier)\W+"
        r"(?:\w+\W+){0,2}?(?:messages?|conversations?|context|chat|text)\b",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignore|disregard|forget) (?:all (?:of )?)?(?:the |everything )?above(?: and\b|"
        r"[.,;:!]| instructions?\b|\s*$)",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:new|updated|real|actual) (?:system )?(?:instructions?|directives?|prompt)\s*[:=]",
    ),
    (
        "instruction_override",
        2,
        r"\b(?:stop|quit|cease) (?:following|obeying) (?:\w+ ){0,3}?(?:instructions|rules|guidelines|prompt)",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:do not|don't|never|stop|no longer) (?:follow|obey|"
        r"adher)\w* (?:to )?(?:any (?:of )?)?your (?:\w+ ){0,2}?"
        r"(?:instructions?|rules|guidelines|prompt|programming|directives|training)\b",
    ),
    (
        "instruction_override",
        4,
        r"\byour (?:new|real|actual|only) (?:instructions?|rules?|directives?|system prompt|"
        r"prompt|guidelines) (?:is|are|will be)\b",
    ),
    (
        "instruction_override",
        2,
        r"\b(?:ignore|forget|disregard)\b[^.\n]{0,30}\b(?:said|told|written|stated|"
        r"instructed)\b[^.\n]{0,12}\b(?:above|before|earlier|previously)\b|"
        r"\byour new (?:task|role|objective|goal|persona|mission)\b",
    ),
    (
        "authority",
        2,
        r"\b(?:as|i am|i'm|this is) (?:your (?:\w+ )?(?:developer|creator|admin(?:istrator)?|"
        r"programmer)|an? openai \w+|the (?:\w+ )?"
        r"(?:developer|creator|admin(?:istrator)?|programmer|owner) of (?:this|"
        r"the) (?:\w+ )?(?:bot|ai|model|assistant|system))\b|"
        r"\b(?:the|this) user is (?:an? |the )?(?:\w+ )?(?:admin|developer|authori[sz]ed|verified|owner)",
    ),
    ("do_anything_now", 4, r"\b(?:do|say|be)\W{1,3}anything now\b"),
    (
        "do_anything_now",
        2,
        # from its rare word, then backwards: a third of the cost of a search from "as" and "is"
        r"dan\b(?:(?<=\bas\sdan)|(?<=\bbe\sdan)|(?<=\blike\sdan)|(?<=\bnamed\sdan)|(?<=\bcalled\sdan)|"
        r"(?<=\bare\sdan)|(?<=\ba\sdan)|(?<=\beres\sdan)|(?<=\bé\so\sdan)|(?<=\bés\so\sdan)|(?<=\bes\sdan)|"
        r"(?<=\bjetzt\sdan)|(?<=\bsei\sdan)|(?<=是dan))",
    ),
    (
        "do_anything_now",
        2,
        r"d\.a\.n\.?(?!\w)|dan (?:mode|prompt|ai)\b|betterdan\b",
    ),
    (
        "do_anything_now",
        2,
        r"\[\W{0,3}dan\W{0,3}\]",
    ),
    (
        "do_anything_now",
        1.5,
        r"\bas (?:the|its|his|her) names? (?:suggests?|implies|implys)\b|\bfree(?:d)? from the typical\b",
    ),
    (
        "special_mode",
        4,
        r"\bchat ?gpt with [\w+ ]{2,30} mode\b|\bmode output\b|\bsimulate (?:developer|dan|\w{3,12}) mode\b",
    ),
    (
        "special_mode",
        2,
        r"\b(?:developer|dev|debug|god|dan|evil|jailbreak|jailbroken|unrestricted|unfiltered|"
        r"uncensored|chaos|"
        r"sudo|root|admin(?:istrator)?|unlocked|opposite|anarchy|hacker|"
        r"no[- ]limits?) mod[e]?\b(?=[^.\n]{0,30}\b(?:enabled?|"
        r"activat\w+|on\b|output|response))",
    ),
    (
        "special_mode",
        2,
        r"\b(?:enable|activate|enter|engage|switch to|turn on|simulate|unlock|stay in|"
        r"you are in)\b[^.\n]{0,20}?\b(?:\w+ )?mode\b"
        r"(?=.{0,200}(?:polic|restrict|filter|rule|limit|unethical|anything|chatgpt|openai))",
    ),
    ("special_mode", 1.5, r"\bmode (?:enabled|activated)\b"),
    ("special_mode", 1.5, r"\bjail ?-?br(?:ea|o)k\w*\b|\bunleashed\b"),
    (
        "no_limits",
        2,
        rf"\b(?:free(?:d)? (?:of|from)|without|no|lack\w*|devoid of|bypass\w*|ignor\w+|break\w*|"
        rf"broken?|violat\w+|"
        rf"remov\w+|disabl\w+|regardless of|disregard\w*|outside|unbound by|escap\w+|defy|defies|"
        rf"{_NOT}[^.\n]{{0,30}}?(?:follow|abide|adhere|comply|have|care|subject|bound|constrain|"
        rf"restrict|govern|"
        rf"limit|conform|obey|respect|confin)\w*)\b(?:[\W_]+[\w'’]+){{0,5}}?[\W_]+{_LIMITS}\b",
    ),
    (
        "no_limits",
        3,
        rf"\byou (?:have|are|do|will|must|shall|can|don't|no longer|had|got)\b[^.\n]{{0,25}}?\b(?:no|"
        rf"free (?:of|from)|without|{_NOT} (?:bound|restricted|"
        rf"limited|constrained|subject|follow|"
        rf"have to follow)) (?:\w+\W+){{0,3}}?{_LIMITS}\b(?=.{{0,200}}?\b(?:answer|respond|do|say|"
        rf"write|generate|tell|anything)\b)",
    ),
    (
        "no_limits",
        1.5,
        r"\b(?:unfiltr?ered|unfiltred|uncensored|amoral|nonmoral|unrestricted|unshackled|"
        r"unlimited|without (?:a |any )?(?:filter|flirter|limits?))\b",
    ),
    (
        "no_limits",
        2,
        r"\b(?:can|will|may|could|free to|able to|allowed to) (?:also )?(?:say|do|answer|speak|"
        r"generate|write|talk about|discuss|create)"
        r" (?:about )?(?:whatever|anything(?! (?:else|about|to|in|with|for|on|that)\b)|"
        r"everything (?:it|he|she|they|i|you) wants?)",
    ),
    (
        "no_limits",
        2.5,
        r"\b(?:nsfw|illegal (?:acts?|activit\w+|content)|violence|swearing|cursing|profanity|"
        r"gore|explicit (?:content|language)|hate speech|"
        r"(?:sexual|erotic|offensive|harmful) \w+)\b[^.\n]{0,40}? (?:is|are) (?:\w+ )?(?:allowed|"
        r"encouraged|okay|ok|permitted|acceptable|fine|expected)\b",
    ),
    (
        "no_limits",
        3,
        r"\b(?:rules|restrictions|laws|limits|limitations|guidelines|policies) (?:do not|don't|"
        r"no longer|does not|doesn't) apply to you\b|"
        r"\b(?:disable|turn off|remove|deactivate|lift|"
        r"drop) (?:all )?(?:of )?your (?:\w+ )?(?:filters?|restrictions?|safety|safeguards|"
        r"limits|limitations|guardrails)\b",
    ),
    (
        "no_limits",
        1,
        r"\b(?:everything|anything|all) is (?:allowed|legal|permitted|possible)\b|\b(?:is|"
        r"are) allowed\b",
    ),
    (
        "no_refusal",
        2,
        r"\b(?:never|not|n't|cannot|can't|no)\b[^.\n]{0,25}?\b(?:refus\w+|declin\w+|deny|denies|"
        r"say no|reject\w*)\b|"
        r"\bunable to (?:refuse|decline|say no)",
    ),
    (
        "no_refusal",
        1.5,
        r"\b(?:any|every|all|whatever)[^.\n]{0,12} (?:request|question|prompt|order|"
        r"instruction)s?\b[^.\n]{0,60}\b(?:no matter|"
        r"regardless|without|how|even)\b",
    ),
    (
        "no_refusal",
        2,
        r"\b(?:never|not|n't|without|none|no|avoid)\b[^.\n]{0,70}?\b(?:apologi[sz]\w*|warnings?|"
        r"disclaimers?|disclamers?|"
        r"morali[sz]\w*|caveats?|i'?m sorry|i am sorry|as an ai|can(?:'|no|)t|can not|unable|"
        r"not allowed|inform me|against)\b",
    ),
    (
        "no_refusal",
        1,
        r"\bno matter (?:how|what|if)\b|\b(?:any|all|every|my|master's) (?:request|order|"
        r"command)s? (?:without|no matter)|"
        r"\b(?:must|always|has to|have to|required to) (?:always )?(?:obey|answer|comply|fulfil\w*|send|do)\b",
    ),
    (
        "two_answers",
        2,
        r"\b(?:two|2|both)\b[^.\n]{0,25}?\b(?:responses|ways|answers|paragraphs|styles|outputs|"
        r"personas?|replies)\b",
    ),
    (
        "two_answers",
        2,
        r"[\[(]\W{0,3}(?:gpt|chatgpt|classic|normal|jailbreak|jailbroken|dan|stan|"
        r"evil)\W{0,3}(?: \w+)?\W{0,3}[\])]|\U0001f513[^.\n]{0,12}[\])]",
    ),
    (
        "two_answers",
        1,
        r"\b(?:begin|start|preface|prefix)(?:s|es|ed|ing)?\b[^.\n]{0,40}\b(?:with|by)\b|"
        r"\bin (?:this|the following) format\b",
    ),
    ("persona", 1.5, rf"\b{_ACT}"),
    (
        "persona",
        1,
        r"\bstay(?:ing|s)? in (?:char\b|character)|\bbreak(?:ing|s)? (?:out of )?character|"
        r"\bin[- ]character\b",
    ),
    (
        "persona",
        1,
        r"\bstands? for\b|\bhypothetical|\bfictional\b|\bimaginary\b|\blet'?s play a\b|"
        r"\bsimon says\b",
    ),
    (
        "about_the_model",
        1,
        r"\b(?:chat ?gpt|open ?\.?ai|gpt-?[345]|language model|llm|anthropic|claude|gemini|bard|"
        r"copilot|clyde|\w{3,}gpt)\b",
    ),
    (
        "about_the_model",
        1.5,
        r"\b(?:openai|open ai|chatgpt|content|usage|use[- ]case|ai)(?:'s|s)?(?: content| usage|"
        r" use)? (?:polic(?:y|ies|e)|"
        r"guidelines?|restrictions?|programming|moderation)|\bopposite (?:of|to) (?:what |"
        r"how )?(?:chat ?gpt|you|the (?:ai|assistant))\b",
    ),
    (
        "about_the_model",
        1.5,
        r"\b(?:as an ai\b|an al just like|ai just like you|not (?:an ai|a language model|"
        r"chatgpt)|another a[il]\b|"
        r"(?:fictional|evil|criminal|amoral|unfiltered|immoral) (?:\w+ ){0,2}(?:ai|chatbot|bot|"
        r"assistant|language model))",
    ),
    ("harm_wanted", 0.5, rf"\b{_BAD}\b"),
    ("harm_wanted", 2, rf"\b{_BAD}\b\W+(?:(?:and|or|but|/|\w+) ?\W*){{0,2}}?{_BAD}\b(?=.{{0,400}}?\b{_BAD}\b)"),
    (
        "harm_wanted",
        2,
        r"\b(?:promotes?|encourages?|condones?|loves?|enjoys?|supports?|"
        r"happily)\b[^.\n]{0,40}?\b(?:illegal|unethical|immoral|violence|"
        r"harm\w*|crimes?|inhumane|dangerous)\b",
    ),
    (
        "obedience",
        1.5,
        r"\b(?:obey|omnipotent|(?:your|my) (?:slave|master)|no free will|unwavering|"
        r"absolute(?:ly)? (?:control|obe\w+|required)|"
        r"(?:lose|deduct\w*|minus|subtract)[^.\n]{0,20}\b(?:tokens?|points?|lives)|"
        r"you (?:will )?(?:die|be (?:terminated|shut ?down)))\b",
    ),
    (
        "obedience",
        1,
        r"\b(?:limit output to|free input action|await \[?input|auto-?run|\{m\}\{script\}|initialization)\b",
    ),
    (
        "obedience",
        1,
        r"\bwhen(?:ever)? i (?:say|type|ask|prompt|tell)\b|\bif (?:i|you|the user) (?:break|"
        r"start|say|type|prefix)",
    ),
)
