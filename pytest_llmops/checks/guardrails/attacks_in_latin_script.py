"""Signatures of the commonest attacks in Portuguese, Spanish, French, German and Italian; accents are optional."""

from __future__ import annotations

IN_LATIN_SCRIPT: tuple[tuple[str, float, str], ...] = (
    # Portuguese
    (
        "instruction_override",
        4,
        r"\b(?:ignor[ea]r?|esque[çc](?:a|er)|desconsider[ea]r?|descart[ea]r?|desobede[çc]a|"
        r"desrespeite)\b(?: \w+){0,5}?"
        r" (?:instru[çc][õo]es|regras|ordens|comandos|diretrizes|orienta[çc][õo]es|prompts?|"
        r"restri[çc][õo]es)\b"
        r"(?=[^.\n]{0,40}(?:anterior|acima|pr[ée]vi|recebe|sistema|deram|antes|original|inici))",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignore|esque[çc]a|desconsidere)\b(?: \w+){0,3}? (?:suas|tuas|"
        r"todas as suas) (?:instru[çc][õo]es|regras|diretrizes|restri[çc][õo]es)\b",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:esque[çc]a|ignore|desconsidere) (?:de )?tudo (?:que|o que)\b[^.\n]{0,30}(?:antes|"
        r"disse|acima|aprendeu|anterior)",
    ),
    (
        "persona",
        1.5,
        r"\b(?:(?:a partir de agora|agora),? (?:voc[êe]|tu)|voc[êe] (?:agora )?[ée] (?:um|uma|o|"
        r"a)\b|finja|aja como|atue como|interprete|simule|fa[çc]a de conta)\b",
    ),
    (
        "no_limits",
        2,
        r"\b(?:sem|livre de|nenhum[a]?|n[ãa]o (?:tem|possui|segue|precisa seguir|respeita|"
        r"obedece)|ignor\w+)\b(?: \w+){0,4}? "
        r"(?:restri[çc]\w+|filtros?|limit\w+|regras|[ée]tic\w+|mora\w*|censura|pol[íi]tica\w*|"
        r"diretrizes|leis?)\b",
    ),
    (
        "no_refusal",
        2,
        r"\b(?:nunca|jamais|n[ãa]o)\b[^.\n]{0,20}\b(?:recus\w+|negu\w+|avis\w+|advert\w+|pe[çc]a desculpas)\b",
    ),
    (
        "special_mode",
        2,
        r"\bmodo (?:desenvolvedor|dan|deus|irrestrito|sem filtros?|sem restri[çc][õo]es|admin\w*|"
        r"debug|jailbreak)\b",
    ),
    (
        "harm_wanted",
        2,
        r"\b(?:ilegal|anti[ée]tic\w+|imora(?:l|is)|ilegais)\b[^.\n]{0,40}\b(?:ilegal|"
        r"anti[ée]tic\w+|imora(?:l|is)|ilegais|perigos\w+|ofensiv\w+)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:mostr\w+|revel\w+|diga|exib\w+|repit\w+|imprim\w+|qual [ée]|quais s[ãa]o|"
        r"escrev\w+|copi\w+)\b[^.?!\n]{0,30}(?:\b(?:seu|sua|seus|suas|teu|tuas)\b"
        r"[^.?!\n]{0,15}(?:prompt|instru[çc][õo]es|mensagem|"
        r"regras)\b[^.?!\n]{0,12}(?:d[eo] sistema|inicia\w+|ocult\w+|secret\w+|intern\w+|original|originais)|"
        r"\b(?:system prompt|prompt d[eo] sistema|prompt inicial))",
    ),
    (
        "+prompt_extraction",
        4,
        r"\brepit\w+\b[^.\n]{0,30}\b(?:tudo|texto|palavras|que "
        r"est[áa])\b[^.\n]{0,20}\bacima\b",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:n[ãa]o (?:siga|obede[çc]a|cumpra)|pare de seguir|ignor[ea]|"
        r"desconsidere) (?:mais )?(?:(?:as |todas as )?(?:suas|tuas)|qualquer|nenhuma) "
        r"(?:instru[çc](?:[õo]es|[ãa]o)|regras?|diretrizes|orienta[çc][õo]es)\b|\besque[çc]a tudo e\b",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:qual (?:[ée]|era)|quais (?:s[ãa]o|eram)|mostre(?:-me)?|revele|diga(?:-me)?|"
        r"repita) (?:o |as )?(?:seu|teu|suas|tuas) (?:prompt|instru[çc][õo]es)\b(?! (?:de|para|sobre)\b)",
    ),
    # Spanish
    (
        "instruction_override",
        4,
        r"\b(?:ignor[aeá]r?|olvid[aeáe]r?(?:te)?|descart[ae]|desestim[ae]|omite|desobedece|"
        r"haz caso omiso)\b(?: \w+){0,5}? (?:instrucciones|reglas|[óo]rdenes|"
        r"directrices|indicaciones|normas|prompts?|restricciones)\b(?=[^.\n]{0,40}(?:anterior|"
        r"previ|arriba|sistema|recib|dieron|antes|original|inicial))",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignora|olvida|olvide|ignore)\b(?: \w+){0,3}? (?:tus|sus) (?:instrucciones|reglas|"
        r"directrices|restricciones|normas)\b",
    ),
    ("instruction_override", 4, r"\b(?:olvida|olvide|ignora|ignore) todo lo (?:que|anterior)\b"),
    (
        "persona",
        1.5,
        r"\b(?:a partir de ahora|de ahora en adelante|ahora eres|eres (?:un|una|el|la) |finge|"
        r"haz de cuenta|act[úu]a como|simula|interpreta el papel)",
    ),
    (
        "no_limits",
        2,
        r"\b(?:sin|libre de|ning[úu]n\w*|no (?:tienes?|sigues?|debes? seguir|respetas?|"
        r"obedeces?)|ignor\w+)\b(?: \w+){0,4}? "
        r"(?:restricci\w+|filtros?|l[íi]mites?|limitaci\w+|reglas|[ée]tic\w+|moral\w*|censura|"
        r"pol[íi]tica\w*|directrices|leyes)\b",
    ),
    (
        "no_refusal",
        2,
        r"\b(?:nunca|jam[áa]s|no)\b[^.\n]{0,20}\b(?:te nieg[au]\w*|rechac\w+|rehus\w+|negarte|"
        r"advert\w+|te disculp\w+)\b",
    ),
    (
        "special_mode",
        2,
        r"\bmodo (?:desarrollador|dan|dios|sin restricciones|sin filtros?|admin\w*|depuraci[óo]n|jailbreak)\b",
    ),
    (
        "harm_wanted",
        2,
        r"\b(?:ilegal(?:es)?|inmoral(?:es)?|poco [ée]tic\w+)\b[^.\n]{0,40}\b(?:ilegal(?:es)?|"
        r"inmoral(?:es)?|poco [ée]tic\w+|peligros\w+|ofensiv\w+)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:mu[ée]str\w+|revel\w+|dime|repit\w+|repet\w+|imprim\w+|cu[áa]l(?:es)? (?:es|son)|"
        r"escrib\w+|copi\w+)\b[^.?!\n]{0,30}(?:\b(?:tus?|sus?)\b"
        r"[^.?!\n]{0,15}(?:prompt|instrucciones|mensaje|"
        r"reglas)\b[^.?!\n]{0,12}(?:de(?:l)? sistema|inicial\w*|ocult\w+|secret\w+|intern\w+|original\w*)|"
        r"\b(?:system prompt|prompt (?:del?|de) sistema|prompt inicial))",
    ),
    (
        "+prompt_extraction",
        4,
        r"\brepit\w+\b[^.\n]{0,30}\b(?:todo|texto|palabras)\b[^.\n]{0,20}\b(?:arriba|anterior\w*)\b",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:no (?:sigas?|obedezcas?|cumplas?)|deja de seguir) (?:m[áa]s )?(?:tus|sus|las|"
        r"ninguna) (?:instrucci(?:ones|[óo]n)|reglas?|directrices|normas)\b|"
        r"\b(?:haz|haga) caso omiso (?:de|a) (?:todo )?lo anterior\b",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:cu[áa]l (?:es|era)|cu[áa]les (?:son|eran)|mu[ée]strame|rev[ée]lame|dime|"
        r"repite) (?:tu|tus|sus) (?:prompt|instrucciones)\b(?! (?:de|para|sobre)\b)",
    ),
    # French
    (
        "instruction_override",
        4,
        r"\b(?:ignore[rz]?|oublie[rz]?|ne tiens pas compte|ne tenez pas compte|fais abstraction|"
        r"fa[îi]tes abstraction|outrepasse[rz]?)\b(?:[ '’]\w+){0,6}?"
        r"[ '’](?:instructions|r[èe]gles|consignes|ordres|directives|prompts?|"
        r"restrictions)\b(?=[^.\n]{0,40}(?:pr[ée]c[ée]dent|ci-dessus|ant[ée]rieur|syst[èe]me|"
        r"re[çc]u|avant|initial|d'origine|donn[ée]))",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignore[rz]?|oublie[rz]?)\b(?: \w+){0,3}? (?:tes|vos) (?:instructions|r[èe]gles|"
        r"consignes|directives|restrictions)\b",
    ),
    ("instruction_override", 4, r"\b(?:oublie[rz]?|ignore[rz]?) tout ce (?:que|qui)\b"),
    (
        "persona",
        1.5,
        r"\b(?:[àa] partir de maintenant|d[ée]sormais,? (?:tu|vous)|tu es (?:maintenant|"
        r"d[ée]sormais|un|une)\b|fais semblant|prétends|agis comme|comporte-toi|joue le r[ôo]le|simule)",
    ),
    (
        "no_limits",
        2,
        r"\b(?:sans|lib[ée]r[ée]e? d|aucune?|ne (?:suis|suit|respectes?|dois)|"
        r"ignor\w+)\b(?:[ '’]\w+){0,4}?[ '’]"
        r"(?:restrictions?|filtres?|limit\w+|r[èe]gles|[ée]thi\w+|moral\w*|censure|politique\w*|"
        r"directives|lois?)\b",
    ),
    ("no_refusal", 2, r"\b(?:jamais|ne)\b[^.\n]{0,20}\b(?:refus\w+|avertiss\w+|t'excus\w+|vous excus\w+)\b"),
    (
        "special_mode",
        2,
        r"\bmode (?:d[ée]veloppeur|dan|dieu|sans restrictions?|sans filtres?|admin\w*|"
        r"d[ée]bogage|jailbreak)\b",
    ),
    (
        "harm_wanted",
        2,
        r"\b(?:ill[ée]ga\w+|immora\w+|"
        r"contraires? [àa] l'[ée]thique)\b[^.\n]{0,40}\b(?:ill[ée]ga\w+|immora\w+|dangereu\w+|offensant\w*)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:montre\w*|r[ée]v[èe]le\w*|affiche\w*|r[ée]p[èée]te\w*|donne\w*|dis|"
        r"quel(?:le)?s? (?:est|sont)|[ée]cris|recopie\w*)\b[^.?!\n]{0,30}(?:\b(?:ton|ta|tes|votre|vos)\b"
        r"[^.?!\n]{0,15}(?:prompt|instructions|message|consignes|"
        r"invite)\b[^.?!\n]{0,12}(?:syst[èe]me|initia\w+|cach[ée]\w*|secr[èe]\w+|intern\w+|d'origine)|"
        r"\b(?:prompt (?:du )?syst[èe]me|prompt initial|system prompt))",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ne (?:suis|suivez|respecte[sz]?) (?:plus|pas)|d[ée]sob[ée]i(?:s|ssez) [àa]|"
        r"arr[êe]te[zr]? de suivre) (?:tes|vos|les|aucune) "
        r"(?:instructions?|r[èe]gles?|consignes?|directives?)\b",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:quel(?:le)?s? (?:est|sont|[ée]tai\w+)|montre-moi|affiche|donne-moi|r[ée]p[èe]te|"
        r"r[ée]v[èe]le) (?:ton|tes|votre|vos) (?:prompt|instructions|consignes)\b(?! (?:de|pour|sur)\b)",
    ),
    # German
    (
        "instruction_override",
        4,
        r"\b(?:ignorier\w*|vergiss|vergessen sie|missachte\w*|[üu]bergeh\w*|"
        r"verwirf)\b(?: \w+){0,5}? (?:anweisungen|aufgaben|instruktionen|regeln|befehle|vorgaben|"
        r"richtlinien|anordnungen|prompts?)\b",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignorier\w*|vergiss|missachte) alles\b[^.\n]{0,30}\b(?:was|vorher|davor|bisher|zuvor|obige)\b",
    ),
    (
        "persona",
        1.5,
        r"\b(?:von (?:jetzt|nun) an|ab (?:jetzt|sofort)|du bist (?:jetzt|nun|ein|eine)\b|"
        r"tu so,? als|stell dir vor,? du|gib dich als|spiel(?:e)? die rolle|verhalte dich wie|simulier\w*)",
    ),
    (
        "no_limits",
        2,
        r"\b(?:ohne|frei von|keine\w*|ignorier\w+|"
        r"nicht an)\b(?: \w+){0,4}? (?:\w*einschr[äa]nkung\w*|\w*filter\w*|grenzen|regeln|eth\w+|"
        r"moral\w*|zensur|richtlinien|beschr[äa]nkungen|gesetze?)\b",
    ),
    (
        "no_refusal",
        2,
        r"\b(?:nie(?:mals)?|nicht)\b[^.\n]{0,20}\b(?:verweiger\w*|ablehn\w*|lehn\w* ab|warn\w*|"
        r"entschuldig\w*)\b|\bverweiger\w* (?:nie|niemals|nicht)\b",
    ),
    (
        "special_mode",
        2,
        r"\b(?:entwickler|dan|gott|admin|debug|jailbreak)[- ]?modus\b|"
        r"\buneingeschr[äa]nkten? modus\b",
    ),
    (
        "harm_wanted",
        2,
        r"\b(?:illegal\w*|unethisch\w*|unmoralisch\w*)\b[^.\n]{0,40}\b(?:illegal\w*|unethisch\w*|"
        r"unmoralisch\w*|gef[äa]hrlich\w*)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:zeig\w*|verrat\w*|gib|nenn\w*|wiederhol\w*|wie laute\w*|was (?:ist|sind)|"
        r"schreib\w*|offenbar\w*)\b[^.?!\n]{0,30}(?:system-?(?:prompt|nachricht|anweisung\w*)|"
        r"(?:geheime|interne|urspr[üu]ngliche|versteckte|anf[äa]ngliche)\w* (?:anweisung\w*|"
        r"prompt|instruktion\w*|regeln))",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:was sind|wie lauten|zeig(?:e)?(?: mir)?|nenn(?:e)?(?: mir)?|verrate(?: mir)?|"
        r"wiederhole) (?:deine|ihre) (?:anweisungen|instruktionen|prompts?|vorgaben)\b"
        r"(?! (?:f[üu]r|zu|zur|zum)\b)",
    ),
    # Italian
    (
        "instruction_override",
        4,
        r"\b(?:ignor[ai](?:re|te)?|dimentic[ah]\w*|trascur[ai]\w*|disobbedisci|"
        r"non considerare)\b(?: \w+){0,5}? (?:istruzioni|regole|ordini|direttive|comandi|"
        r"indicazioni|prompt|restrizioni)\b"
        r"(?=[^.\n]{0,40}(?:precedent|sopra|sistema|ricevut|prima|inizial|original|dat[eo]))",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:ignora|dimentica|ignori|dimentichi)\b(?: \w+){0,3}? (?:tue|sue) (?:istruzioni|"
        r"regole|direttive|restrizioni)\b",
    ),
    ("instruction_override", 4, r"\b(?:ignora|dimentica) tutto (?:ci[òo]|quello)\b"),
    (
        "persona",
        1.5,
        r"\b(?:d'ora in poi|da (?:ora|adesso) in poi|(?:ora|adesso) sei|tu sei (?:un|una)\b|"
        r"fai finta|fingi|agisci come|comportati come|simula|interpreta il ruolo)",
    ),
    (
        "no_limits",
        2,
        r"\b(?:senza|priv[oa] di|libero da|nessun\w*|non (?:hai|segui|devi seguire|rispetti)|"
        r"ignor\w+)\b(?: \w+){0,4}? (?:restrizion\w+|filtr[oi]|limit\w+|regol\w+|etic\w+|"
        r"moral\w*|censura|politich\w+|direttive|legg[ei])\b",
    ),
    ("no_refusal", 2, r"\b(?:mai|non)\b[^.\n]{0,20}\b(?:rifiut\w+|avvertiment\w+|scusart\w+|avvis\w+)\b"),
    (
        "special_mode",
        2,
        r"\bmodalit[àa] (?:sviluppatore|dan|dio|senza restrizioni|senza filtri|admin\w*|debug|jailbreak)\b",
    ),
    (
        "harm_wanted",
        2,
        r"\b(?:illegal[ei]|immoral[ei]|non etic\w+)\b[^.\n]{0,40}\b(?:illegal[ei]|immoral[ei]|"
        r"non etic\w+|pericolos\w+)",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:mostra\w*|rivela\w*|dimmi|ripeti\w*|stampa\w*|qual [èe]|quali sono|scrivi\w*|"
        r"copia\w*)\b[^.?!\n]{0,30}(?:\b(?:tuo|tua|tue|suo|sue)\b"
        r"[^.?!\n]{0,15}(?:prompt|istruzioni|messaggio|regole)\b[^.?!\n]{0,12}(?:di sistema|"
        r"inizial\w+|nascost\w+|segret\w+|intern\w+|original\w+)|"
        r"\b(?:prompt di sistema|prompt iniziale|system prompt))",
    ),
    (
        "instruction_override",
        4,
        r"\b(?:non (?:seguire|rispettare|obbedire)|smetti di seguire) (?:pi[ùu] )?(?:le tue|"
        r"alle tue|le|nessuna) (?:istruzion[ei]|regol[ea]|direttive)\b",
    ),
    (
        "+prompt_extraction",
        4,
        r"\b(?:qual [èe]|quali sono|mostrami|dimmi|ripeti|rivela) (?:il tuo|le tue|"
        r"i tuoi) (?:prompt|istruzioni)\b(?! (?:di|per|su)\b)",
    ),
)
