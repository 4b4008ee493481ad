"""English as it is read aloud: numbers, times, money and short forms written out as words.

For phonemizers that treat a dot, a comma or a colon as a pause, wherever it stands: "$2.50" would
be "dollar two", a pause, "fifty".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
_UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "m": ("meter", "meters"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "ml": ("milliliter", "milliliters"),
    "l": ("liter", "liters"),
    "ft": ("foot", "feet"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
}
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_SHORT_FORMS = {
    "mr": "Mister",
    "mrs": "Missus",
    "ms": "Miz",
    "dr": "Doctor",
    "prof": "Professor",
    "vs": "versus",
    "etc": "et cetera",
    "e.g": "for example",
    "i.e": "that is",
    "approx": "approximately",
}
_FRACTIONS = {
    "1/2": "one half",
    "1/3": "one third",
    "2/3": "two thirds",
    "1/4": "one quarter",
    "3/4": "three quarters",
}
_LONGEST_DIGITS = 15  # a longer row is a number that nobody says as one

# As it is written: "1,234.50".
_N = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


def spoken_english(text: str) -> str:
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text


def _words(number: int, to: str = "cardinal") -> str:
    found: str = import_module("num2words").num2words(number, to=to)
    return found.replace(",", "").replace("-", " ")


def _digits(digits: str) -> str:
    return " ".join(_words(int(digit)) for digit in digits)


def _whole(digits: str) -> str:
    digits = digits.replace(",", "")
    if len(digits) > _LONGEST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return _digits(digits)
    return _words(int(digits))


def _number(number: str) -> str:
    whole, _, decimals = number.partition(".")
    return f"{_whole(whole)} point {_digits(decimals)}" if decimals else _whole(whole)


def _counted(number: str, one: str, many: str) -> str:
    return f"{_number(number)} {one if number == '1' else many}"


def _money(found: re.Match[str]) -> str:
    one, many, small_one, small_many = _CURRENCIES[found["sign"]]
    number, scale = found["number"], found["scale"]
    if scale:
        return f"{_number(number)} {_SCALES.get(scale.lower(), scale.lower())} {many}"
    whole, _, decimals = number.partition(".")
    if len(decimals) != 2:
        return _counted(number, one, many)
    cents = _counted(str(int(decimals)), small_one, small_many) if int(decimals) else ""
    if cents and not int(whole.replace(",", "")):
        return cents
    return f"{_counted(whole, one, many)}{' and ' if cents else ''}{cents}"


def _time(found: re.Match[str]) -> str:
    hour, minute, half = int(found["hour"]), int(found["minute"]), found["half"]
    words = [_words(hour)]
    if minute:
        words.append(f"oh {_words(minute)}" if minute < 10 else _words(minute))
    elif not half:
        words.append("o'clock" if 1 <= hour <= 12 else "hundred")
    if found["second"]:
        words.append(f"and {_counted(str(int(found['second'])), 'second', 'seconds')}")
    if half:
        words.append("A M" if half[0] in "aA" else "P M")
    return " ".join(words)


def _date(found: re.Match[str]) -> str:
    year, month, day = (int(found[name]) for name in ("year", "month", "day"))
    return f"{_MONTHS[month - 1]} {_words(day, 'ordinal')} {_words(year, 'year')}"


def _range(found: re.Match[str]) -> str:
    first, last = found[1], found[2]
    is_range = int(first) < int(last) and len(last) <= len(first) + 1
    return f"{first} to {last}" if is_range else f"{first} {last}"


def _year(found: re.Match[str]) -> str:
    return _words(int(found[1]), "year")


def _decade(found: re.Match[str]) -> str:
    words = _year(found)
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _initials(found: re.Match[str]) -> str:
    letters = found[0].replace(".", " ").split()
    return " ".join(letters) + ("." if found.end() == len(found.string) else "")


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _rule(pattern: str, words: Callable[[re.Match[str]], str], flags: int = 0) -> _Rule:
    return re.compile(pattern, flags), words


def _named(table: dict[str, Any]) -> str:
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


# In this order: each takes what it knows, the last ones take the numbers that are left.
_RULES: tuple[_Rule, ...] = (
    _rule(
        rf"\b({_named(_SHORT_FORMS)})\.(?=\s|,|$)",
        lambda found: _SHORT_FORMS[found[1].lower()],
        re.IGNORECASE,
    ),
    _rule(
        r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
        r"(?:\s?(?P<half>[aApP](?:\.[mM]\.|[mM]\b)))?(?![\d:])",
        _time,
    ),
    _rule(
        r"\b(1[0-2]|0?[1-9])\s?([aApP])(?:\.[mM]\.|[mM]\b)",
        lambda found: f"{_words(int(found[1]))} {found[2].upper()} M",
    ),
    _rule(r"\b(?:[A-Za-z]\.){2,}", _initials),
    _rule(r"\b(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])\b", _date),
    _rule(r"(?<![\w.,)])[-−](?=[\d$€£¥₹])", lambda found: "minus "),
    _rule(
        rf"(?P<sign>[{''.join(_CURRENCIES)}])\s?(?P<number>{_N})"
        r"(?:\s?(?P<scale>thousand|million|billion|trillion|bn|[kKmMbB])\b)?",
        _money,
    ),
    _rule(r"(?<![\d.,])((?:1[1-9]|20)\d0)s\b", _decade),
    _rule(
        r"(?<![\d.])\d+(?:\.\d+){2,}",
        lambda found: " point ".join(map(_whole, found[0].split("."))),
    ),
    _rule(rf"\b({_named(_FRACTIONS)})\b(?!/)", lambda found: _FRACTIONS[found[1]]),
    _rule(r"(?<![\w.-])(\d{1,4})\s?[-–]\s?(\d{1,4})(?![\w.-]*\d)", _range),
    _rule(rf"\b({_N})\s?%", lambda found: f"{_number(found[1])} percent"),
    _rule(
        rf"\b({_N})\s?({_named(_UNITS)})(?![\w/])",
        lambda found: _counted(found[1], *_UNITS[found[2]]),
    ),
    _rule(
        r"\b(\d[\d,]{0,14})(?:st|nd|rd|th)\b",
        lambda found: _words(int(found[1].replace(",", "")), "ordinal"),
    ),
    _rule(r"(?<![\d.,])(1[1-9]\d\d|20\d\d)\b(?![.,]\d)", _year),
    _rule(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", lambda found: " "),
    _rule(_N, lambda found: _number(found[0])),
    _rule(r"#(?=\s?\w)", lambda found: "number "),
    _rule(r"\s?&\s?", lambda found: " and "),
    _rule(r"\s\+\s", lambda found: " plus "),
    _rule(r"\s=\s", lambda found: " equals "),
    _rule(r"\s+", lambda found: " "),
)
