"""List letters of other scripts that are read as Latin ones where they stand among Latin letters.

UTS #39 stops at letters of the same shape. People write "p卂ypal", "ς๏๓" and "ᗩᗷᑕ" with letters
that merely recall one, taken from the alphabets that writers of fancy text offer. In their own
words these letters are themselves: they are read so only in a word of which every letter is Latin
or recalls Latin, and which no writer of that script would write (`reference.lookalikes`).
Every line is a reviewed decision; the squeezed lane alone reads this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

RARE = "rare"  # scripts whose letters stand in posts as ornament more often than as writing


class Imitation(NamedTuple):
    """Say what a letter recalls."""

    source: str
    letter: str
    group: str


# Scripts that are written together in one word are one group.
GROUPS = (
    *(RARE, "Cyrillic", "Greek", "Armenian", "Georgian", "Hebrew", "Arabic", "Thaana", "Thai"),
    *("Lao", "Khmer", "Devanagari", "Bengali", "Gujarati", "Gurmukhi", "Tamil"),
    *("Telugu", "Malayalam", "Han and kana", "Bopomofo"),
)

# What each group's letters recall: words `letter:letters of the group`.
_RECALLED: tuple[tuple[str, str], ...] = (
    # Canadian Aboriginal.
    (RARE, "a:ᗩᗄᕱ b:ᗷᗸᗹᙖᙗᙘᙝᙞᙟᕹᕺᖚᒂᔎᗽᗾᗿ c:ᑕᑖᑡᑢᑣᑤᑥᑦᒼᔍᙅ d:ᗪᗟᗠᗫᗬᑰᑱᑼᑽᒄ e:ᗴᕮᙓ f:ᖴᖵᖷ g:ᘜᏀ h:ᕼᑋᗁ i:ᑊ"),
    (RARE, "j:ᒍᒎᒏᒚᒛᒴᒵ l:ᒪᒫᒸᒹᒺᒻ m:ᗰᘻᙏᙢ n:ᑎ o:ᐤᝪ p:ᑭᑬᑮᑸᑹ q:ᑫᑴ r:ᖇᒥᣴ s:ᔕᔖᔑᔡᔢᔣᔤᣵ t:ᐪ u:ᑌᘮᙀ"),
    (RARE, "v:ᐯᘁ w:ᗯᘺᙎᙡ x:᙭᙮ z:ᘔᙆ"),
    # Cherokee.
    (RARE, "a:ᎪᎯᏗ b:ᏰᏴ c:ᏟᏣᏨ d:ᎠᎴ e:ᎬᏋᏛ f:ᎿᎦ g:ᏳᎶ h:ᏂᎻ i:ᏆᎥ j:ᎫᏠ k:ᏦᏥ l:ᏞᏝ m:ᎷᏇ n:ᏁᏐ o:ᎾᎧ"),
    (RARE, "p:ᏢᎮᏈ q:ᎤᏄ r:ᎡᏒᏓᎱ s:ᏚᏕ t:ᎢᏘᏖ u:ᏬᏌ v:ᏙᏉ w:ᏔᏊ y:ᎩᎽ z:ᏃᏍ"),
    # Lisu, Runic, Vai, Coptic, Deseret, Tifinagh.
    (RARE, "a:ꓯꓮ b:ꓐ c:ꓚ e:ꓰꓱ f:ꓞꓝ l:ꓶꓡ n:ꓠ u:ꓵꓴ v:ꓦ b:ᛒ h:ᚺᚻ"),
    (RARE, "r:ᚱ f:ᚠ m:ᛗ n:ᚾ t:ᛏ x:ᚷ f:ꘘ e:ⲉ𐐩 r:ⲅ t:ϯ x:ⲭ"),
    (RARE, "y:ϥ k:ⲕ m:ⲙ n:ⲛ p:ⲣ c:ⲥ o:ⲟ i:ⵏ o:ⵔ e:ⵟ c:ⵎ v:ⴸ a:ⴷ"),
    # Yi.
    (RARE, "a:ꋬꍏ b:ꃳꌃ c:ꉔꉓ꒝ d:꒯ꀸ e:ꏂꍟꂅ f:ꊰꎇ g:ꍌꁅ h:ꁝꃅ"),
    (RARE, "i:꒐ꀤ j:꒻ꀭ k:ꀘ l:꒒ m:ꂵ n:ꋊꈤ o:ꄲꂦ p:ꉣ"),
    (RARE, "q:ꆰ r:ꋪ s:ꇙꌗ t:꓄ u:꒤ꀎ v:꒦ w:ꅐꅏ x:ꉧꊼ y:ꌩ z:ꁴ"),
    # Tai Le, New Tai Lue.
    (RARE, "c:ᥴ e:ᥱ i:ᥣ l:ᥧᥨ n:ᥒᥢᥥ o:ᥲ r:ᥬ u:ᥔᥙᥩ w:ᥕ c:᧚ e:ᧉ g:ᧁ m:᧕᧗ o:ᦞ᧐"),
    ("Cyrillic", "a:д b:ъб c:ҁ d:ԁԃ e:єэҿԑ f:ғ h:ђћһҥԋ k:ҝҡӄқ"),
    ("Cyrillic", "n:илйҋԉ o:фѻ p:ҏ q:ԛ r:яг u:џц w:ѡѿ x:жҳӽӿ y:ч"),
    ("Greek", "a:λ d:δ b:βϐ e:εϵξ f:ϝ j:ϳ k:ϗκ l:ι m:ϻ"),
    ("Greek", "n:η o:φϙθσ p:ρ t:τ u:μυ w:ωψ x:χ y:γ z:ζ v:ν"),
    ("Armenian", "a:ձ c:շ d:ժ f:բ h:ի j:յ l:լւ n:ողռդ o:ծփօ p:րք s:ֆ t:եէ u:ամս y:վ g:ց q:զգ w:ա"),
    ("Georgian", "a:მ b:ჩც c:ⴀ j:ⴑ m:ო x:ჯ d:ძ h:ჰ y:ყ n:ი s:ს"),
    ("Hebrew", "j:נ n:החת p:קפ v:ע x:א y:ץ w:ש o:ם l:ך t:ז u:ט d:ד r:ר i:ו"),
    ("Arabic", "g:و j:ل q:۹ i:ا c:ح u:ن s:س"),
    ("Thaana", "s:ގ"),
    ("Thai", "a:คล b:๒๖ d:๔ h:ห i:เ j:ว m:๓ n:กทภ o:๏๐ s:ร u:นยปม v:ง w:ฝฬพฟ"),
    ("Lao", "n:ຖ o:໐ s:ຮ w:ຟ"),
    ("Khmer", "i:៸ m:៳ n:៷ o:៰ v:៴"),
    (RARE, "a:ል b:ጌ c:ር d:ዕ e:ቿ f:ቻ g:ኗ h:ከኩኪካዘዞ i:ጎ"),
    (RARE, "j:ጋ k:ጕ l:ረ m:ጠ n:በቡቢባቤብቦክ o:ዐ p:የ q:ዒ r:ዪ s:ነ"),
    (RARE, "t:ፕፒጥ u:ሁ v:ሀ w:ሠ x:ሸ y:ሃ z:ጊፚ x:ጀ"),
    ("Devanagari", "c:ट८"),
    ("Bengali", "h:৸"),
    ("Gujarati", "e:૯ g:૭ r:ર u:પ"),
    ("Gurmukhi", "t:੮"),
    ("Tamil", "m:௱"),
    ("Telugu", "o:ఠ s:క v:౮ w:చ"),
    ("Malayalam", "b:ദ m:ന൩൱ s:ട w:ധ"),
    ("Han and kana", "a:卂 b:乃 c:匚亡 n:几刀 e:乇モ巳 f:千 g:呂"),
    ("Han and kana", "h:卄ん i:工エェ丨 j:丿フ k:长 l:乚レᄂ m:爪州冂 o:口ロㇿ"),
    ("Han and kana", "p:尸卩ア q:口 r:尺 s:丂 t:丁七丅下十イナ u:凵 w:山 x:乂メ又 y:丫 z:乙"),
    ("Bopomofo", "c:ㄈ l:ㄥ o:ㄖ t:ㄒ u:ㄩ x:ㄨ y:ㄚ"),
)


def imitations() -> Iterator[Imitation]:
    """Yield what each letter recalls; the first word on a letter counts."""
    seen: set[str] = set()
    for group, words in _RECALLED:
        for word in words.split():
            letter, _, sources = word.partition(":")
            for source in sources:
                if source not in seen:
                    seen.add(source)
                    yield Imitation(source, letter, group)
