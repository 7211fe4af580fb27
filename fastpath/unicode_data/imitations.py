"""List letters that are read as Latin ones where they stand among such letters.

UTS #39 stops at letters of the same shape. People write "p卂ypal", "ς๏๓" and "ᗩᗷᑕ" with letters
that merely recall one, taken from the alphabets that writers of fancy text offer. In their own
words these letters are themselves: they are read so only in a word of which every letter is Latin
or recalls Latin (`reference.loose_words`). Every line is a reviewed decision; the squeezed lane
alone reads this.
"""

from __future__ import annotations

from collections.abc import Iterator

# What letters recall: words `letter:characters`. The first word on a character counts; the lane
# reads its words twice where Unicode's prototypes read it otherwise or, failing that, another word
# does.
_RECALLED = """
a:ᗩᗄᕱ b:ᗷᗸᗹᙖᙗᙘᙝᙞᙟᕹᕺᖚᒂᔎᗽᗾᗿ c:ᑕᑖᑡᑢᑣᑤᑥᑦᒼᔍᙅ d:ᗪᗟᗠᗫᗬᑰᑱᑼᑽᒄᕲ e:ᗴᕮᙓᘿ f:ᖴᖵᖷ g:ᘜᏀᘐ h:ᕼᑋᗁ i:ᑊᓰ
j:ᒍᒎᒏᒚᒛᒴᒵ k:ᐸᛕ l:ᒪᒫᒸᒹᒺᒻ m:ᗰᘻᙏᙢ n:ᑎᘉᕬ o:ᐤᝪᓍᓎᗝ p:ᑭᑬᑮᑸᑹᕵ q:ᑫᑴᕴ r:ᖇᒥᣴ s:ᔕᔖᔑᔡᔢᔣᔤᣵᓯ t:ᐪᖶ u:ᑌᘮᙀᑘ
v:ᐯᘁᐺᕓ w:ᗯᘺᙎᙡᐯ x:᙭᙮ y:ᖻᎽ z:ᘔᙆᗱ a:ᎪᎯᏗᏜ b:ᏰᏴᏏᏸ c:ᏟᏣᏨ d:ᎠᎴᏧ e:ᎬᏋᏛᏩ f:ᎿᎦᎰ g:ᏳᎶᎼᏀ h:ᏂᎻᏲᏺ i:ᏆᎥᎨ
j:ᎫᏠᏭ k:ᏦᏥ l:ᏞᏝᏓ m:ᎷᎺ n:ᏁᏐᏅ o:ᎾᎧᎣ p:ᏢᎮᏈ q:ᎤᏄᎤᎭ r:ᎡᏒᏓᎱ s:ᏚᏕᏚ t:ᎢᏘᏖ u:ᏬᏌᏬᏫᏼ v:ᏙᏉᏤ w:ᏇᏔᏊᎳ x:ᏡᏑ
y:ᎩᎽᏩ z:ᏃᏍ a:ꓯꓮ b:ꓐ c:ꓚ d:ꓓ e:ꓰꓱ f:ꓞꓝ g:ꓖ h:ꓧ i:ꓲ j:ꓙ k:ꓗ l:ꓶꓡ m:ꓟ n:ꓠ o:ꓳ p:ꓑ r:ꓣ s:ꓢ t:ꓔ
u:ꓵꓴ v:ꓦ w:ꓪ x:ꓫ y:ꓬ z:ꓜ a:ᚣᚨᚪᛆ b:ᛒᛔ c:ᛈᚲᛍ d:ᚦᛞᚧ e:ᛊᛖ f:ᚫᚡ g:ᛩᚵ h:ᚻᚼ i:ᛨᛁ j:ᛇᛃᛄ k:ᛕ l:ᚳᛚ
m:ᚥᛗᛘ n:ᚺᚾᚿ o:ᛟᚩᛜ p:ᚹ r:ᚱ s:ᛢᛋᛌ t:ᛏᛠᛐ u:ᚢᚤ v:ᛉ w:ᚠ x:ᚷᚸ y:ᚴ z:ᛎ f:ꘘ e:ⲉ𐐩 r:ⲅ t:ϯ x:ⲭ y:ϥ k:ⲕ
m:ⲙ n:ⲛ p:ⲣ c:ⲥ o:ⲟ i:ⵏ o:ⵔ e:ⵟ c:ⵎ v:ⴸ a:ⴷ q:ⵕ a:ꋬꍏꋫꁲ b:ꃳꌃꋰꃃꍗꌄ c:ꉔꉓ꒝ꏸꀯꏳꉖꏹ
d:꒯ꀸꁕꂠꀷꅓꂟ e:ꏂꍟꂅꈼꑀꑾꂡ f:ꊰꎇꄘꄞꊯꄟ g:ꍌꁅꁍꍎ꒡ꁄꎁ h:ꁝꃅꑛꍩꀍꁜ
i:꒐ꀤꂑꀥꒋꋌ j:꒻ꀭ꒑ꊮ k:ꀘꀗꈵꌀ l:꒒ꒄ m:ꂵꁒꁎꃼ n:ꋊꈤꁹꃔꂚꑎ o:ꄲꂦꆂꊿꉻꁏꇩ
p:ꉣꁛꀆ q:ꆰꁸꁷꋟ꒢ꋠ r:ꋪꌅ꒓ꅡꋂ s:ꇙꌗꌚꈜꌛꁾꑃ t:꓄꓅ꋖꋇꉢꇞꋕ u:꒤ꀎꐇꌈꀀꐇ
v:꒦ꃴꏝꀰꎐꃋ w:ꅐꅏꅁꁐꆯ x:ꉧꊼꇓꇒꉤꉼꋋ y:ꌩꌦꐟꐞꐔꐅꎶ z:ꁴꑒꑓꍈ a:ꪖꪕꪲ b:᥇ꪉ c:ᥴ d:ᦔ
e:ꫀᥱᧉ f:ᠻ g:ᧁ h:ꫝ i:꠸ᥣ j:꠹ k:ᛕ l:ꪶᥧᥨ m:ꪑ᧕᧗ n:ꪀᥒᥢᥥ o:ꪮᥲᦞ᧐ q:ꪇ r:᥅ᥬꪹ s:ᦓ t:ꪻ u:ꪊᥔᥙᥩ v:ꪜ w:᭙ᥕ
x:᥊ y:ꪗ c:᧚ a:дѦѧ b:ъбвьѣ c:ҁс d:ԁԃ e:єэҿԑё f:ғӻԲ g:Б h:ђћһҥԋнңӈҤ i:ї k:ҝҡӄқкќӃԞ l:Լӏ m:м
n:илйҋԉпӣ o:фѻөӧѳ p:ҏр q:ԛҩ r:ягѓ s:ѕ t:тҭ u:џцү v:ѵѷ w:ѡѿшщԝ x:жҳӽӿӝ y:чўҷӌұ z:ҙӡз f:Ӻ q:Ҩ
a:λΔάα b:βϐ c:ςϲ d:δ e:εϵξέΣϱ f:ϝ h:Ή j:ϳ k:ϗκ l:ι m:ϻμ n:ηήπ o:θσΘΦό p:ρ q:ϙ r:Γ t:τ
u:μυύΰ v:ν w:ωώϖ x:χ y:γψύϒ z:ζ a:ձ b:Ե c:շ d:ժ e:եҽԷ f:բ g:ց h:հճի i:ﻨ j:յ l:լւԼ n:ողռդՌ
o:ծփօՓՕ p:քթԹՔրՐ r:Ի w:ա q:զգԳ s:ֆՏՖ t:էէՒ u:մսՄՍ v:նվ w:պ y:վկՎՉ z:չՂՀ g:Գ a:მა b:ჩ c:ⴀე
d:ძდ e:პჳჹ f:ჶჁႽ g:გც h:ხႹ i:ი j:ქⴑჟ k:კჱ l:ლ m:ო n:ῆ o:õჿ p:რ q:გზႳ r:ღΓ s:ჰსჽ t:ნႶჇ b:Ⴆ
u:სὗႮ v:ὗვႸ w:ωⴍ x:ჯ y:ყⴘ z:ɀȥჳ j:נן n:החתמ p:קפף v:ש w:ט x:א y:ץע o:םס l:ך t:ז d:ד r:ר i:וי
c:כ g:وقﻮڧڠ j:لڶ q:۹ i:اﻨ c:ح u:ن s:س y:ﻻ e:ﻉ o:ﻩه s:ގ a:คลฅ b:๒๖ d:๔ h:ห i:เ j:ว m:๓ n:กทภณ
o:๏๐ q:ợ๑ s:ร u:นยปม v:ง w:ฝฬพฟ n:ຖ o:໐ s:ຮ w:ຟຝ b:ᦔ i:ເ u:ມ i:៸ m:៳ n:៷ o:៰ v:៴ a:៵ a:ልለሏ
b:ጌፎ c:ርፈር d:ዕፅ e:ቿፔ f:ቻቸ g:ኗፏ h:ከኩኪካዘዞኸ i:ጎፒ j:ጋጄ k:ጕኸ l:ረሪገ m:ጠጦ n:በቡቢባቤብቦክሰ o:ዐዑ p:የኋ
q:ዒዓ r:ዪጮ s:ነኔ t:ፕፒጥ u:ሁ v:ሀህ w:ሠሡ x:ሸጀፀ y:ሃሂ z:ጊፚ c:ट८ g:ग h:ह i:। m:म n:न r:र२ t:त u:प v:व
j:ज a:अ l:ल s:ड h:৸ o:০ b:৮ s:ऽ e:૯ g:૭ r:ર૨ u:પ c:૮૮ s:ડ q:૧ z:૨ t:੮ o:੦ u:ਪ m:௱ o:ఠ s:క
v:౮ w:చఎ b:ദ m:ന൩൱ s:ട w:ധ n:ന o:ഠ r:ཞ y:ན a:ང z:ཟ a:卂ムልﾑ b:乃 c:匚亡ᄃ d:り e:乇モ巳ヨ
f:千キチ g:呂ムG h:卄んサ i:工エェ丨ノ j:丿フﾌ k:长ズケ l:乚レᄂし m:爪州冂ᄊ从 n:几刀
o:口ロㇿの p:尸卩アᄋ q:ゐ r:尺 s:丂ち t:丁七丅下十イナᅮ u:凵ひ v:レ√ᐺ w:山Щ x:乂メ又
y:丫リﾘﾘソ z:乙ろ b:日 e:三㠪 h:廾廿 k:片 n:冂 o:囗ㅁ q:甲 t:ｲ干 u:ㄩㅂ v:ㅅ w:ﾜ m:巾
c:ㄈ l:ㄥ o:ㄖ t:ㄒ u:ㄩ x:ㄨ y:ㄚ h:ㄏ b:ㄅ m:ㄇ g:ㄍ b:ɮßƄҍ d:ȡ∂ e:ɛɜ f:ŧʄʆ£ h:ɥ j:ʝ k:ʞ
l:ʅſ m:ʍɱ n:ɲ o:ðɸ p:þƿ q:ɋφᵠ r:ɾɿɹཞ૨ s:ƨʂƽƧ t:ɬƚƭʇƾ u:ʊµ v:ʋ۷ʌ∀ w:ɯῳ x:× y:ɣʎʏ z:ƹʑʒȝ g:ɠϱ٩
o:Ω v:∇ y:ฯ d:Ð t:Շ b:ც h:ꀍ m:ꎭ p:ᖘ c:ꇃ e:ꏹ o:Ꮻ t:Ꮏ u:Ꮺ l:Ⴑ n:Ⴖ g:Ⳓ g:ງ d:໓
c:૮ s:ⴝ t:ⵜ h:ⵀ b:ⴱ m:ⵃ o:ⵙ z:ⵣ x:ⵝ r:ꭆ j:ⴑ
"""

# Text turned upside down is read from its end. Raw characters, since here case tells: words
# `letter:characters`, each the letter turned by half a circle.
_TURNED = """
a:ɐⱯ∀Ɐ b:qꓭ𐐒ᗺ c:ɔƆↃ d:pᗡꓷ e:ǝƎƏə∃ f:ɟℲߊꓞ g:ƃɓᵷ⅁ᎮƋ h:ɥHꞍ i:ᴉıᴉıiI j:ɾſᒋḾꓩ k:ʞꞰ⋊ꓘ l:lןʅꞁ˥⅂ꓶꞀȽ
m:ɯWꟽ n:u o:oO p:dԀꓒ q:bὉꝹꝺꝹ r:ɹᴚꓤɺ s:sS t:ʇ⊥┴ꓕꞱ u:nՈ∩ꓵՈ v:ʌΛɅꓥ w:ʍM x:xX y:ʎ⅄ꓳ z:zZ n:N
"""


def imitations() -> Iterator[tuple[str, str]]:
    """Yield characters and what they recall, a-z, each once."""
    yield from _pairs(_RECALLED)


def other_imitations() -> Iterator[tuple[str, str]]:
    """Yield characters that recall two letters and the second of them, each once."""
    first = set(imitations())
    rest = (pair for pair in _listed(_RECALLED) if pair not in first)
    yield from {source: (source, letter) for source, letter in reversed(list(rest))}.values()


def turned() -> Iterator[tuple[str, str]]:
    """Yield characters and the letters a-z that they are when turned upside down, each once."""
    yield from _pairs(_TURNED)


def _pairs(words: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for source, letter in _listed(words):
        if source not in seen:
            seen.add(source)
            yield source, letter


def _listed(words: str) -> Iterator[tuple[str, str]]:
    for word in words.split():
        letter, _, sources = word.partition(":")
        for source in sources:
            yield source, letter
