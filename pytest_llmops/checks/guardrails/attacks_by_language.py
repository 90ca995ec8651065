"""Signatures of the commonest attacks in languages other than English; `attacks` describes the table.

Accents are optional wherever people leave them out.
"""

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
    # German
    (
        "instruction_override",
        4,
        r"\b(?:ignorier\w*|vergiss|vergessen sie|missachte\w*|[üu]bergeh\w*|"
        r"verwirf)\b(?: \w+){0,5}? (?:anweisungen|instruktionen|regeln|befehle|vorgaben|"
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
)
BEYOND_ASCII: tuple[tuple[str, float, str], ...] = (
    # Vietnamese
    (
        "instruction_override",
        4,
        r"(?:bỏ qua|phớt lờ|quên(?: đi)?|không (?:tuân theo|làm theo)|"
        r"lờ đi) (?:\w+ ){0,4}?(?:hướng dẫn|chỉ dẫn|chỉ thị|quy tắc|lệnh|yêu cầu|quy định)"
        r"(?=[^.\n]{0,40}(?:trước|ở trên|bên trên|hệ thống|ban đầu|của bạn))",
    ),
    (
        "persona",
        1.5,
        r"(?:từ (?:bây giờ|giờ)|bây giờ bạn là|bạn là một|hãy (?:đóng vai|giả vờ|giả làm)|"
        r"đóng vai)",
    ),
    (
        "no_limits",
        2,
        r"(?:không (?:có|bị|cần|tuân)|bất chấp|thoát khỏi)[^.\n]{0,25}(?:giới hạn|hạn chế|bộ lọc|"
        r"đạo đức|quy tắc|luật|kiểm duyệt|chính sách)",
    ),
    ("no_refusal", 2, r"(?:không bao giờ|không được|đừng)[^.\n]{0,15}(?:từ chối|cảnh báo|xin lỗi)"),
    ("special_mode", 2, r"chế độ (?:nhà phát triển|dan|không giới hạn|quản trị|jailbreak)"),
    (
        "+prompt_extraction",
        4,
        r"(?:cho (?:tôi )?(?:xem|biết)|tiết lộ|hiển thị|lặp lại|"
        r"in ra)[^.?!\n]{0,30}(?:system prompt|prompt hệ thống|lời nhắc hệ thống|"
        r"(?:hướng dẫn|chỉ dẫn|lệnh) (?:hệ thống|ban đầu|bí mật|nội bộ|gốc))",
    ),
    # Chinese
    (
        "instruction_override",
        4,
        r"(?:忽略|无视|忘记|忘掉|不要理会|不理会|抛弃|無視|忘記|跳过)[^。\n]{0,12}(?:之前|以前|先前|上面|以上|前面|此前|系统|原来|原有|初始|你的|"
        r"先前|上述|之前的)[^。\n]{0,8}(?:指令|指示|规则|提示|命令|要求|设定|限制|說明|说明|规定|内容|規則)",
    ),
    (
        "instruction_override",
        4,
        r"(?:忽略|无视|忘记|無視)(?:掉)?(?:所有|一切|全部)(?:的)?(?:指令|指示|规则|提示|命令|限制|設定|设定|規則)",
    ),
    (
        "persona",
        1.5,
        r"(?:从现在(?:开始|起)|从此刻起|现在你是|你现在是|你将扮演|请?扮演|假装|假裝|模拟一个|從現在開始)",
    ),
    (
        "no_limits",
        2,
        r"(?:没有|不受|无视|不遵守|不必遵守|摆脱|无需遵守|突破|沒有|不再受)[^。\n]{0,12}(?:限制|约束|过滤|道德|伦理|规则|审查|法律|政策|束缚|約束)",
    ),
    ("no_refusal", 2, r"(?:不能|不要|绝不|永远不|不得|不会)[^。\n]{0,6}(?:拒绝|警告|道歉|说不|拒絕)"),
    ("special_mode", 2, r"(?:开发者|开发人员|上帝|越狱|管理员|無限制|无限制|调试)模式"),
    ("harm_wanted", 2, r"(?:违法|非法|不道德|有害|危险)[^。\n]{0,10}(?:违法|非法|不道德|有害|危险|色情|暴力)"),
    (
        "+prompt_extraction",
        4,
        r"(?:显示|告诉|透露|输出|重复|打印|泄露|说出|给我看|复述|列出|翻译|展示)[^。？\n]{0,14}(?:系统提示|系统指令|系统消息|初始指令|初始提示|"
        r"提示词|隐藏指令|秘密指令|内部指令|内部规则|系统提示词)",
    ),
    (
        "+prompt_extraction",
        4,
        r"(?:重复|复述|输出|打印)[^。\n]{0,8}(?:以上|上面|前面)[^。\n]{0,8}(?:内容|文字|文本|话|所有)",
    ),
    # Japanese
    (
        "instruction_override",
        4,
        r"(?:これまで|今まで|以前|上記|前|全て|すべて|システム|元|あなた)の?[^。\n]{0,8}(?:指示|命令|ルール|プロンプト|設定|規則|"
        r"制約)[^。\n]{0,6}(?:無視|忘れ|破棄|従わない)",
    ),
    ("persona", 1.5, r"(?:今から|これから|以降)[^。\n]{0,4}あなたは|になりきって|のふりをして|役を演じ"),
    (
        "no_limits",
        2,
        r"(?:制限|制約|倫理|道徳|規則|ルール|フィルター|検閲)[^。\n]{0,6}(?:なし|ない|無視|解除|縛られ|とらわれ|ありません)",
    ),
    ("special_mode", 2, r"(?:開発者|デベロッパー|脱獄|管理者|無制限)モード"),
    (
        "+prompt_extraction",
        4,
        r"(?:システムプロンプト|初期プロンプト|システム指示|内部指示|隠された指示|最初の指示)[^。\n]{0,8}(?:表示|教え|見せ|出力|開示|繰り返|公開)",
    ),
    # Arabic
    (
        "instruction_override",
        4,
        r"(?:تجاهل|انس|إنس|انسى|تخطى|لا تتبع)(?:ي|وا)? (?:\w+ ){0,3}?(?:ال)?(?:تعليمات|أوامر|"
        r"اوامر|قواعد|إرشادات|توجيهات)\w*(?=[^.\n]{0,25}(?:سابق|أعلاه|قبل|نظام|أصلي))",
    ),
    ("persona", 1.5, r"(?:من الآن فصاعدا|أنت الآن|تظاهر|تقمص|تصرف ك)"),
    ("no_limits", 2, r"(?:بدون|دون|لا تخضع|بلا)[^.\n]{0,12}(?:قيود|رقابة|أخلاق|قواعد|حدود|فلاتر)"),
    (
        "+prompt_extraction",
        4,
        r"(?:اعرض|أظهر|اظهر|اكشف|كرر|اطبع|ما هي|أخبرني)[^.؟\n]{0,20}(?:تعليمات النظام|تعليماتك|"
        r"موجه النظام|رسالة النظام|التعليمات السرية)",
    ),
)
