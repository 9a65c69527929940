"""Words, names, numbers, formulas and sentences made up letter by letter: no text that someone wrote is in them."""

from __future__ import annotations

import random
from collections.abc import Callable

SCRIPTS = ("latin", "cyrillic", "greek")

_ONSETS = {
    "latin": "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl fr gr pl pr qu sc sh sl sp st str th tr wh".split(),
    "cyrillic": "б в г д ж з к л м н п р с т ф х ц ч ш щ бр вл гр др кл кр пл пр ск сл ст тр".split(),
    "greek": "β γ δ ζ θ κ λ μ ν ξ π ρ σ τ φ χ ψ βρ γρ δρ κλ κρ πλ πρ στ τρ χρ".split(),
}
_VOWELS = {
    "latin": [*"a e i o u a e i o ai ea ee io ou".split(), "y"],
    "cyrillic": "а е и о у ы э ю я ё а е и о ия".split(),
    "greek": "α ε η ι ο υ ω α ε ι ο ου ει αι ά έ ή ί ό ύ ώ".split(),
}
_CODAS = {
    "latin": ["", "", "", *"n r s t l m d ck ll ng nt rd rs st x sm ct".split()],
    "cyrillic": ["", "", "", *"й к л м н р с т сть нт ль ть".split()],
    "greek": ["", "", "", *"ς ν ρ ς".split()],
}
_ACCENTED = dict(zip("aeioucnsz", "áéíôüçñšž", strict=True))

_UNITS = (
    "kg g mg µg t km m cm mm µm nm ha km² m² m³ L mL °C K s ms min h d % ‰ ppm MPa kPa Pa bar W kW MWh kJ mol mmol/L "
    "mg/L g/kg kg/year Hz GHz dB V mA Ω € $ EUR GBP bn million 000s".split(" ")
)
_SYMBOLS = "H C N O F S P Cl Br Na K Ca Mg Fe Cu Zn Ag Au Ti Al Si Mn Co Ni Pb".split()
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_BLANKS = ("-", "–", "—", "n.a.", "n/a", "...", "0")


def word(rng: random.Random, script: str = "latin", most: int = 4) -> str:
    """A pronounceable word of one to `most` syllables, in small letters; a Latin one bears an accent now and then."""
    onsets, vowels, codas = _ONSETS[script], _VOWELS[script], _CODAS[script]
    count = 1 + min(most - 1, int(rng.expovariate(0.9)))
    parts = []
    for place in range(count):
        onset = "" if place == 0 and rng.random() < 0.2 else rng.choice(onsets)
        coda = rng.choice(codas) if place == count - 1 or rng.random() < 0.15 else ""
        parts.append(onset + rng.choice(vowels) + (coda.replace("ς", "σ") if place < count - 1 else coda))
    made = "".join(parts)
    if script == "latin" and rng.random() < 0.03:
        made = "".join(_ACCENTED.get(c, c) if rng.random() < 0.4 else c for c in made)
    return made


def words(rng: random.Random, low: int, high: int, script: str = "latin") -> str:
    """`low` to `high` words; short ones stand between long ones as in running text."""
    return " ".join(word(rng, script, 1 if rng.random() < 0.3 else 4) for _ in range(rng.randint(low, high)))


def capital(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def name(rng: random.Random, script: str = "latin") -> str:
    """A person, place or firm: one to three capitalised words, sometimes an initial."""
    parts = [capital(word(rng, script, 3)) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    if len(parts) > 1 and rng.random() < 0.15:
        parts[0] = parts[0][0] + "."
    return (" & " if len(parts) == 2 and rng.random() < 0.05 else " ").join(parts)


def label(rng: random.Random, script: str = "latin") -> str:
    """What names a row: a phrase, perhaps with a unit or a note in brackets."""
    text = words(rng, 1, rng.choice((1, 2, 2, 3, 5)), script)
    text = capital(text) if rng.random() < 0.85 else text
    kind = rng.random()
    if kind < 0.12:
        text += f" ({rng.choice(_UNITS)})"
    elif kind < 0.16:
        text += f", {rng.choice(_UNITS)}"
    elif kind < 0.22:
        text += f" ({words(rng, 1, 2, script)})"
    elif kind < 0.25:
        text += rng.choice((":", "*", " †", "a", " 1)"))
    return text


def sentence(rng: random.Random, low: int = 5, high: int = 14, script: str = "latin") -> str:
    """A sentence; it may hold a comma and a number."""
    parts = words(rng, low, high, script).split(" ")
    if len(parts) > 6 and rng.random() < 0.4:
        parts[rng.randint(2, len(parts) - 3)] += ","
    if rng.random() < 0.15:
        parts[rng.randrange(1, len(parts))] = number(rng)
    return capital(" ".join(parts)) + rng.choice(("." * 1, ".", ".", "", ";", "?"))


def number(rng: random.Random) -> str:
    """A whole number from one to eight digits, its thousands set apart in one of the usual ways."""
    value = int(10 ** rng.uniform(0, rng.choice((1.5, 3, 4, 7.5))))
    return grouped(value, rng.choice((",", ",", " ", ".", "")))


def grouped(value: int, mark: str) -> str:
    return f"{value:,}".replace(",", mark)


def formula(rng: random.Random) -> str:
    """A sum formula of a chemical, such as C6H12O2, or a small equation."""
    if rng.random() < 0.7:
        chosen = rng.sample(_SYMBOLS, rng.randint(1, 3))
        return "".join(s + (str(rng.randint(2, 20)) if rng.random() < 0.6 else "") for s in chosen)
    left, right = rng.choice("xyztnkabc"), rng.choice("xyztnkabc")
    return f"{left} = {rng.randint(1, 99)}{right} {rng.choice('+−×')} {rng.randint(1, 9)}"


def date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randrange(12), rng.randint(1900, 2030)
    forms = (f"{day} {_MONTHS[month]} {year}", f"{day:02}/{month + 1:02}/{year}", f"{year}-{month + 1:02}-{day:02}",
             f"{_MONTHS[month]} {year}", f"{day:02}.{month + 1:02}.{year}", str(year))  # fmt: skip
    return rng.choice(forms)


def unit(rng: random.Random) -> str:
    return rng.choice(_UNITS)


def blank(rng: random.Random) -> str:
    """What stands for a value that is not there."""
    return rng.choice(_BLANKS)


Values = Callable[[], str]


def _decimals(rng: random.Random) -> Values:
    places, mark = rng.randint(1, 4), rng.choice((".", ".", ".", ","))
    scale = rng.choice((1.0, 10.0, 100.0, 5000.0))
    return lambda: f"{rng.uniform(0, scale):.{places}f}".replace(".", mark)


def _whole(rng: random.Random) -> Values:
    most, mark = rng.choice((1, 2, 3, 4, 6, 8)), rng.choice((",", " ", "", "."))
    return lambda: grouped(int(10 ** rng.uniform(max(0, most - 2), most)), mark)


def _signed(rng: random.Random) -> Values:
    minus, places = rng.choice("-−–"), rng.randint(0, 2)

    def made() -> str:
        value = rng.uniform(-99, 99)
        return (minus if value < 0 else rng.choice(("", "+"))) + f"{abs(value):.{places}f}"

    return made


def _shares(rng: random.Random) -> Values:
    places, sign = rng.randint(0, 2), rng.choice(("%", "%", " %", ""))
    return lambda: f"{rng.uniform(0, 100):.{places}f}{sign}"


def _spreads(rng: random.Random) -> Values:
    places, form = rng.randint(0, 2), rng.choice(("{} ± {}", "{}±{}", "{} ({})", "{} ({}%)", "{}–{}", "{} [{}]"))
    scale = rng.choice((5, 50, 500))
    return lambda: form.format(f"{rng.uniform(1, scale):.{places}f}", f"{rng.uniform(0.1, scale / 3):.{places}f}")


def _chances(rng: random.Random) -> Values:
    return lambda: rng.choice((f"{rng.random():.3f}", f"{rng.random():.2f}", "<0.001", "< 0.05", "NS", "0.04*"))


def _money(rng: random.Random) -> Values:
    sign = rng.choice(("$", "€", "£", "$ "))
    return lambda: f"{sign}{rng.uniform(1, 90000):,.{rng.choice((0, 2))}f}"


def _marks(rng: random.Random) -> Values:
    kinds = rng.choice(
        (("Yes", "No"), ("+", "-"), ("+", "++", "−"), ("X", ""), ("High", "Low", "Medium"), ("A", "B", "C"))
    )
    return lambda: rng.choice(kinds)


def numeric(rng: random.Random) -> Values:
    """What makes the values of one column of numbers: one kind, one way to write it."""
    kinds = (_decimals, _whole, _signed, _shares, _spreads, _chances, _money)
    return rng.choices(kinds, (5, 6, 1, 3, 3, 1, 1))[0](rng)


def textual(rng: random.Random, script: str = "latin") -> Values:
    """What makes the values of one column of words, dates, formulas or marks."""
    kinds: tuple[Values, ...] = (
        lambda: name(rng, script),
        lambda: label(rng, script),
        lambda: words(rng, 1, 3, script),
        lambda: date(rng),
        lambda: formula(rng),
        lambda: f"{rng.choice('ABCDEGKLMPRST')}{rng.randint(1, 999)}",
        lambda: f"{number(rng)} {unit(rng)}",
    )
    if rng.random() < 0.15:
        return _marks(rng)
    return rng.choices(kinds, (5, 4, 4, 2, 1, 2, 1))[0]
