"""Portuguese or Spanish: what only one of them writes, for texts that a model of letters takes for the other."""

from __future__ import annotations

import re

_SPANISH_WORDS = """
el los las la lo un una unos unas y del al en con sin es son fue fueron eres soy su sus más pero sino cuando donde
quien quién hay ya hasta muy ese esa esos esas aquel sí si ni le les usted ustedes cómo qué cuál aquí ahora hoy ayer
mañana siempre todavía entonces mientras según otro otra otros otras uno tres cuatro siete ocho nueve diez mi tu yo
ellos nosotros puede pueden debe tiene tienen están hace hacer haga hecho han había archivo archivos fichero ficheros
nombre nombres error tamaño clave usuario usuarios contraseña pantalla mensaje mensajes carpeta línea líneas ayuda
gracias hola buenos buenas cuenta dirección correo siguiente cerrar
"""
_PORTUGUESE_WORDS = """
os as um uma uns umas e do da das na nas ao aos à às em com sem é são foi foram sou seu sua seus suas mais mas quando
onde quem há já até muito esse essa isso isto aquele sim nem lhe lhes você vocês aqui agora hoje ontem amanhã ainda
então enquanto outro outra outros outras dois duas três quatro sete oito nove dez meu minha teu eu eles nós pode podem
deve tem têm estão faz fazer faça feito havia não num numa pelo pela pelos pelas arquivo arquivos ficheiro ficheiros
nome nomes erro erros tamanho senha chave usuário usuários utilizador tela ecrã mensagem mensagens pasta linha linhas
ajuda obrigado obrigada olá bom boa conta endereço correio seguinte fechar
"""
_SPANISH = frozenset(_SPANISH_WORDS.split()) - frozenset(_PORTUGUESE_WORDS.split())
_PORTUGUESE = frozenset(_PORTUGUESE_WORDS.split()) - frozenset(_SPANISH_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+")
_SPANISH_SIGNS = re.compile(r"[ñ¿¡]|(?:ción|ciones|sión|siones|dad|dades|aje|ajes|umbre|ón)\b")
_PORTUGUESE_SIGNS = re.compile(r"[ãõâêôç]|(?:ção|ções|são|sões|dade|agem|agens)\b|[aeiou]nh[aeoã]|lh[aeoõ]")


def sooner(text: str, code: str) -> str:
    """``pt`` or ``es``: the one that more in the text speaks for; `code`, the model's word, where that is even."""
    lower = text.lower()
    words = _WORD.findall(lower)
    spanish = sum(word in _SPANISH for word in words) + len(_SPANISH_SIGNS.findall(lower))
    portuguese = sum(word in _PORTUGUESE for word in words) + len(_PORTUGUESE_SIGNS.findall(lower))
    if spanish == portuguese:
        return code
    return "es" if spanish > portuguese else "pt"
