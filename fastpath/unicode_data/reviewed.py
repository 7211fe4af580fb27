"""List what Unicode's own tables miss of letters in disguise; every line is a reviewed decision.

The squeezed lane alone reads this. The look-alikes of UTS #39 stop at letters that share a shape;
small capitals, letters on flags and badges, and digits and signs read as letters are not in it.
"""

from __future__ import annotations

# Alphabets of symbols: the code point of A. Regional indicators, negative circled and negative
# squared letters; the circled, squared and full-width ones fold to letters already.
SYMBOL_ALPHABETS = (0x1F1E6, 0x1F150, 0x1F170)

# Letters that stand for another: small capitals, then what the prototypes of Cyrillic and Greek
# letters end in, then turned and open letters.
LETTERS = {
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
    **dict(zip("ĸʍᴎᴙπшщƅғ∂ƨ", "kmnrnwwbfds", strict=True)),
    **dict(zip("ɔǝəɛɜʌɒƛŋþƿðʃʘɧʉɮʄɬↁ", "ceeeeaaanppdfohubftd", strict=True)),
}

# What is a letter only beside letters: in "sc4m", never in "2024" or "$5".
DIGITS = dict(zip("0123456789", "oizeasgtbg", strict=True))
SIGNS = {
    **dict(zip("!|@$+€£¢§¡†©®₿₦₱₮₩₲₴₳₵₣₭₹฿℘", "iiastelcsitcrbnptwgsacfkrbp", strict=True)),
    **dict(zip("∀∆∧▲△☾↻⋴⍷∑∱⅁♓⎳└♏", "aaaaacceeefghiim", strict=True)),
    **dict(zip("∈♄♩↳♍☈₥", "ehjimrm", strict=True)),
    **dict(zip("∩∏℗℞℟⊥‡⏇⏉∪√∨⌄⍵×⅄¥☡", "nnprrttttuvvvwxyyz", strict=True)),
    **dict.fromkeys("○◯⬤◎◉◊⊕⊗⊙⊖⊘⍟⍜⍤⍥⎔⎕⏺⭕⭘❍♡♥❤¤☉⦰⦱⦲⦳⦴⦵⦶⦷⦸⦹⦺⦻⦼⦽⦾⦿⧀⧁⧂⧃🔾🔿", "o"),
    **dict.fromkeys("✕✖✗✘❌🞨🞩🞪🞫🞬", "x"),
}

# One letter for each group of look-alikes that a lower-case text cannot tell apart. `rn` and `vv`
# are merged into `m` and `w` by the lane itself.
GROUPS = {"l": "i"}

# Nonspacing marks that leave the letter under them what it was: diacritics on Latin, Greek and
# Cyrillic letters, enclosing marks, Hebrew points, Arabic harakat (but neither madda nor hamza),
# and tatweel. Vowel signs of Indic scripts, Thai, Khmer and Myanmar are letters of their words.
DETACHED = (
    *((0x300, 0x36F), (0x483, 0x489), (0x1AB0, 0x1ACE), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0)),
    *((0xFE20, 0xFE2F), (0x591, 0x5BD), (0x5BF, 0x5BF), (0x5C1, 0x5C2), (0x5C4, 0x5C5)),
    *((0x5C7, 0x5C7), (0x610, 0x61A), (0x640, 0x640), (0x64B, 0x652), (0x656, 0x65F)),
    *((0x670, 0x670), (0x6D6, 0x6DC), (0x6DF, 0x6E4), (0x6E7, 0x6E8), (0x6EA, 0x6ED)),
    *((0x8CA, 0x8E1), (0x8E3, 0x8FF)),
)
# Precomposed letters of these scripts are read as the letter without its marks.
BARE_SCRIPTS = frozenset({"Latin", "Greek", "Cyrillic"})
