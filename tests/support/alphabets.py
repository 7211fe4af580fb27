"""List whole alphabets in which people write "fancy" Latin text, to measure what the lanes read.

Written down from posts, profiles and the generators that people copy such text from, letter for
letter, and not from the tables of the lanes. A word is written with all of its letters replaced,
which is harder than the generated disguises of `disguises.py`, where half of them stay.
"""

from __future__ import annotations

import string

# a to z, one word each: a letter may come with marks. A plain letter is one that the writers of
# that alphabet leave as it is.
_WRITTEN = {
    # One script that is ornament to its readers.
    "syllabics": "ᗩ ᗷ ᑕ ᗪ ᗴ ᖴ Ǥ ᕼ I ᒍ K ᒪ ᗰ ᑎ O ᑭ ᑫ ᖇ ᔕ T ᑌ ᐯ ᗯ ᙭ Y ᘔ",
    "syllabics, round": "ᗩ ᗷ ᑢ ᕲ ᘿ ᖴ ᘜ ᕼ ᓰ ᒚ ᖽᐸ ᒪ ᘻ ᘉ ᓍ ᕵ ᕴ ᖇ S ᖶ ᑘ ᐺ ᘺ ᙭ ᖻ ᗱ",
    "cherokee": "Ꮧ Ᏸ Ꮳ Ꮄ Ꮛ Ꭶ Ꮆ Ꮒ Ꭵ Ꮰ Ꮶ Ꮭ Ꮇ Ꮑ Ꭷ Ꭾ Ꭴ Ꮢ Ꮥ Ꮦ Ꮼ Ꮙ Ꮗ X Ꭹ Ꮓ",
    "cherokee and ethiopic": "Ꮧ Ᏸ ፈ Ꮄ Ꮛ Ꭶ Ꮆ Ꮒ Ꭵ Ꮰ Ꮶ Ꮭ Ꮇ Ꮑ Ꭷ Ꭾ Ꭴ Ꮢ Ꮥ Ꮦ Ꮼ Ꮙ Ꮗ ጀ Ꭹ ፚ",
    "ethiopic": "ል ጌ ር ዕ ቿ ቻ ኗ ዘ ጎ ጋ ጕ ረ ጠ ክ ዐ የ ዒ ዪ ነ ፕ ሁ ሀ ሠ ሸ ሃ ጊ",
    "lisu": "ꓮ ꓐ ꓚ ꓓ ꓰ ꓝ ꓖ ꓧ ꓲ ꓙ ꓗ ꓡ ꓟ ꓠ ꓳ ꓑ Q ꓣ ꓢ ꓔ ꓴ ꓦ ꓪ ꓫ ꓬ ꓜ",
    "yi": "ꍏ ꌃ ꉓ ꀸ ꍟ ꎇ ꁅ ꃅ ꀤ ꀭ ꀘ ꒒ ꂵ ꈤ ꂦ ꉣ ꆰ ꋪ ꌗ ꓄ ꀎ ꃴ ꅏ ꊼ ꌩ ꁴ",
    "yi, second": "ꋫ ꃃ ꏸ ꁕ ꍟ ꄘ ꁍ ꑛ ꂑ ꀭ ꀗ ꒒ ꁒ ꁹ ꆂ ꉣ ꁸ ꒓ ꌚ ꓅ ꐇ ꏝ ꅐ ꇓ ꐟ ꁴ",
    "yi, third": "ꁲ ꋰ ꀯ ꂠ ꈼ ꄞ ꁅ ꍩ ꂑ ꒻ ꀗ ꒒ ꂵ ꋊ ꂦ ꉣ ꁷ ꌅ ꌚ ꋖ ꐇ ꀰ ꅏ ꇒ ꐞ ꁴ",
    "yi, fourth": "ꋬ ꃳ ꉔ ꒯ ꏂ ꊰ ꍌ ꁝ ꒐ ꒻ ꀘ ꒒ ꂵ ꋊ ꄲ ꉣ ꆰ ꋪ ꇙ ꓄ ꒤ ꒦ ꅐ ꉧ ꌦ ꁴ",
    "tai viet": "ꪖ ᥇ ᥴ ᦔ ꫀ ᠻ ᧁ ꫝ ꠸ ꠹ ᛕ ꪶ ꪑ ꪀ ꪮ ρ ꪇ ᥅ ᦓ ꪻ ꪊ ꪜ ᭙ ᥊ ꪗ ɀ",
    "runic": "ᚣ ᛒ ᛈ ᚦ ᛊ ᚫ ᛩ ᚻ ᛨ ᛇ ᛕ ᚳ ᚥ ᚺ θ ᚹ Ҩ ᚱ ᛢ ᛏ ᚢ ᛉ ᚠ ᚷ ᚴ ᛎ",
    # Scripts in which others write.
    "cyrillic": "Д Б С D Е F G Н І J К L М И О Р Q Я S Т Ц V Ш Ж Ч Z",
    "cyrillic, small": "а ъ с d э f Б Ђ і ј к l м и о р q ѓ ѕ т ц v ш х Ў z",
    "cyrillic, wide": "Λ B ᄃ D Σ F G Ή I J K ᄂ M П Ө P Q Я Ƨ Ƭ Ц V Щ X Y Z",
    "greek": "α в ¢ ∂ є ƒ g н ι נ к ℓ м η σ ρ q я ѕ т υ ν ω χ у z",
    "greek, accented": "ά в ς đ έ ғ ģ ħ ί ј ķ Ļ м ή ό ρ q ŕ ş ţ ù ν ώ x ч ž",
    "armenian": "ɑ ҍ ç ժ ҽ ƒ ց հ í ʝ ҟ Ӏ ʍ ղ օ ք զ ɾ ʂ է մ ѵ ա × վ Հ",
    "armenian and latin": "ǟ ɮ ƈ ɖ ɛ ʄ ɢ ɦ ɨ ʝ ӄ ʟ ʍ ռ օ ք զ ʀ ֆ ȶ ʊ ʋ ա Ӽ ʏ ʐ",
    "armenian and georgian": "ձ ъ ƈ ժ ε բ ց հ ﻨ յ ĸ l ო ղ օ թ զ г ร է մ ν ա ჯ ყ չ",
    "georgian": "მ ჩ ე ძ პ f ც h ἶ ქ κ l ო ῆ õ რ გ Γ ჰ ნ υ ὗ w ჯ ყ ɀ",
    "thai": "ค ๒ ς ๔ є Ŧ ﻮ ђ เ ן к l ๓ ภ ๏ ק ợ г ร t ย ש ฬ א ץ z",
    "han and kana": "卂 乃 匚 ᗪ 乇 千 Ꮆ 卄 丨 ﾌ Ҝ ㄥ 爪 几 ㄖ 卩 Ɋ 尺 丂 ㄒ ㄩ ᐯ 山 乂 ㄚ 乙",
    "kana": "ﾑ 乃 c d 乇 ｷ g ん ﾉ ﾌ ズ ﾚ ﾶ 刀 o ｱ q 尺 丂 ｲ u √ w ﾒ ﾘ 乙",
    # Latin letters with something added, and signs.
    "hooks": "ą ც ƈ ɖ ɛ ʄ ɠ ɧ ı ʝ ƙ Ɩ ɱ ŋ ơ ℘ զ ཞ ʂ ɬ ų ۷ ῳ ҳ ყ ʑ",
    "hooks, second": "α Ⴆ ƈ ԃ ҽ ϝ ɠ ԋ ι ʝ ƙ ʅ ɱ ɳ σ ρ ϙ ɾ ʂ ƚ υ ʋ ɯ x ყ ȥ",
    "hooks, third": "α ɓ ૮ ∂ ε ƒ ɠ ɦ เ ʝ ҡ ℓ ɱ ɳ σ ρ φ ૨ ร ƭ µ ѵ ω א ყ ƶ",
    "accents": "Ä ß Ċ Đ Ë ₣ Ġ Ȟ Ï Ĵ Ķ Ļ M Ņ Ö P Q Ŗ Ś Ț Ů V Ŵ X Ÿ Ź",
    "accents and signs": "å ß ¢ Ð ê £ g h ï j k l m ñ ð þ q r § † µ v w x ¥ z",
    "currency": "₳ ฿ ₵ Đ Ɇ ₣ ₲ Ⱨ ł J ₭ Ⱡ ₥ ₦ Ø ₱ Q Ɽ ₴ ₮ Ʉ V ₩ Ӿ Ɏ Ⱬ",
    "strokes": "Ⱥ Ƀ Ȼ Đ Ɇ F Ǥ Ħ Ɨ Ɉ K Ł M N Ø Ᵽ Ꝗ Ɍ S Ŧ ᵾ V W X Ɏ Ƶ",
    "signs": "α ß c d ε ƒ g h ï j κ l m η ⊕ p Ω r š † u ∀ ω x ψ z",
    "signs, second": "∆ ß ℂ ∂ ∈ ∱ g ♄ ι ♩ к ↳ ♍ ∏ ☉ ρ q ☈ $ † ∪ √ ω × ¥ ☡",
    # Letters of a kind.
    "small capitals": "ᴀ ʙ ᴄ ᴅ ᴇ ꜰ ɢ ʜ ɪ ᴊ ᴋ ʟ ᴍ ɴ ᴏ ᴘ ꞯ ʀ ꜱ ᴛ ᴜ ᴠ ᴡ x ʏ ᴢ",
    "superscript": "ᵃ ᵇ ᶜ ᵈ ᵉ ᶠ ᵍ ʰ ⁱ ʲ ᵏ ˡ ᵐ ⁿ ᵒ ᵖ ᵠ ʳ ˢ ᵗ ᵘ ᵛ ʷ ˣ ʸ ᶻ",
    "superscript capitals": "ᴬ ᴮ ᶜ ᴰ ᴱ ᶠ ᴳ ᴴ ᴵ ᴶ ᴷ ᴸ ᴹ ᴺ ᴼ ᴾ Q ᴿ ˢ ᵀ ᵁ ⱽ ᵂ ˣ ʸ ᶻ",
    "subscript": "ₐ b c d ₑ f g ₕ ᵢ ⱼ ₖ ₗ ₘ ₙ ₒ ₚ q ᵣ ₛ ₜ ᵤ ᵥ w ₓ y z",
}  # fmt: skip

# The code point of A, and of a where there are small letters.
_BLOCKS = {
    "circled": (0x24B6, 0x24D0),
    "negative circled": (0x1F150, 0x1F150),
    "squared": (0x1F130, 0x1F130),
    "negative squared": (0x1F170, 0x1F170),
    "parenthesised": (0x1F110, 0x249C),
    "full-width": (0xFF21, 0xFF41),
    "bold": (0x1D400, 0x1D41A),
    "bold script": (0x1D4D0, 0x1D4EA),
    "bold fraktur": (0x1D56C, 0x1D586),
    "double-struck": (None, 0x1D552),
    "sans-serif italic": (0x1D608, 0x1D622),
    "monospace": (0x1D670, 0x1D68A),
    "regional indicators": (0x1F1E6, 0x1F1E6),
}


def _block(first: int) -> tuple[str, ...]:
    return tuple(chr(first + place) for place in range(26))


# By name: what stands for a, b, ... z.
ALPHABETS: dict[str, tuple[str, ...]] = {
    **{name: tuple(written.split()) for name, written in _WRITTEN.items()},
    **{name: _block(small) for name, (_, small) in _BLOCKS.items()},
    **{f"{name}, capital": _block(capital) for name, (capital, small) in _BLOCKS.items()
       if capital is not None and capital != small},
}  # fmt: skip

# Text that a reader turns around: written from its end, each letter upside down.
TURNED = tuple("ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")
TURNED_CAPITALS = tuple("∀ꓭƆᗡƎℲ⅁HIſꞰ⅂WNOԀꝹᴚS⊥∩ΛMX⅄Z")


def written_in(word: str, alphabet: tuple[str, ...]) -> str:
    """Write a word of small Latin letters in another alphabet; other characters stay."""
    return "".join(
        alphabet[string.ascii_lowercase.index(each)] if each in string.ascii_lowercase else each
        for each in word
    )


def turned(text: str, alphabet: tuple[str, ...] = TURNED) -> str:
    """Write a text upside down: from its end, in letters that are turned around."""
    return written_in(text, alphabet)[::-1]
