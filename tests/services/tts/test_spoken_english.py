"""English as it is read aloud."""

import pytest

pytest.importorskip("num2words", reason="num2words is not installed")

from services.tts.spoken_english import spoken_english


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("no number here", "no number here"),
        ("I have 3. You have 42.", "I have three. You have forty two."),
        (
            "1,234,567",
            "one million two hundred and thirty four thousand five hundred and sixty seven",
        ),
        ("3.14", "three point one four"),
        ("0.05", "zero point zero five"),
        ("version 3.11.2", "version three point eleven point two"),
        ("v2.1", "v two point one"),
        ("mp3", "mp three"),
        ("007", "zero zero seven"),
        ("-5 or −7", "minus five or minus seven"),
        ("a well-known 5-star place", "a well-known five-star place"),
        ("$5, $1 and €20", "five dollars, one dollar and twenty euros"),
        ("$2.50", "two dollars and fifty cents"),
        ("$1.01", "one dollar and one cent"),
        ("£0.99", "ninety nine pence"),
        ("$3.00", "three dollars"),
        ("-$5", "minus five dollars"),
        ("$1,234.05", "one thousand two hundred and thirty four dollars and five cents"),
        ("$2.5 million or $10k", "two point five million dollars or ten thousand dollars"),
        ("12.5% of 50 %", "twelve point five percent of fifty percent"),
        ("3:30", "three thirty"),
        ("at 3:05 pm.", "at three oh five P M."),
        ("7 a.m. or 7:00", "seven A M or seven o'clock"),
        ("15:00 and 00:10", "fifteen hundred and zero ten"),
        ("12:30:15", "twelve thirty and fifteen seconds"),
        ("1st, 22nd and 103rd", "first, twenty second and one hundred and third"),
        ("1999, 2005, 2026", "nineteen ninety nine, two thousand and five, twenty twenty six"),
        ("the 1990s and 1980s", "the nineteen nineties and nineteen eighties"),
        ("2026-11-22", "November twenty second twenty twenty six"),
        ("3-5 days, 10–20 times", "three to five days, ten to twenty times"),
        ("it ended 2-1", "it ended two one"),
        ("20°C at 100 km/h", "twenty degrees Celsius at one hundred kilometers per hour"),
        ("5GB in 200 ms", "five gigabytes in two hundred milliseconds"),
        ("3/4 and 1/2", "three quarters and one half"),
        ("Dr. Smith vs. Mrs. Jones", "Doctor Smith versus Missus Jones"),
        ("fruit, e.g. apples", "fruit, for example apples"),
        ("in the U.S. today", "in the U S today"),
        ("in the U.S.", "in the U S."),
        ("me & you + #5", "me and you plus number five"),
    ],
)
def test_what_is_written_is_said(written, spoken):
    assert spoken_english(written) == spoken


@pytest.mark.parametrize(
    "text",
    [
        *("9" * 5000, "9" * 400 + "th", "$" + "9" * 400 + ".99", "$" * 3000, "٣ ½ x² Ⅷ"),
        *("1." * 3000, "1,234," * 2000, "1-" * 3000, "a." * 3000, "3:" * 3000, "$ 1" * 3000),
        *(" " * 5000, "-" * 5000, "#" * 5000),
    ],
)
def test_no_row_of_marks_or_digits_is_too_much(text):
    assert not set(spoken_english(text)) & set("0123456789")
