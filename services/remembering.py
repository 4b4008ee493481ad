"""Remembering: what in a message a person asked to remember, or says about themself.

Patterns of some twenty-five languages and no model: it costs microseconds and may miss an
unusual phrase. What is found is returned word for word, never rephrased.

    "Please remember that I live in Graz."        → "I live in Graz"
    "My cat is called Mia. Merk dir das bitte!"   → "My cat is called Mia"
    "Do you remember where I live?"               → nothing: a question is no request
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_REQUESTS = 10  # of one message
MAX_SENTENCE_CHARS = 500
_MAX_TEXT_CHARS = 4000  # of a message that are looked at
_MAX_TOLD_CHARS = 1500  # of them, for what people say of themselves

_FORWARDED = "[Forwarded message]"  # whatever follows is somebody else's
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_FILE_LINE = re.compile(r"^\[(?:Attached (?:file|image)|Sticker:?) .*\]$", re.MULTILINE)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"<?\bhttps?://\S+")
_QUOTED_SPEECH = re.compile(
    r"“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|»[^«\n]*«|\"[^\"\n]*\"|「[^」\n]*」"
)
_NAME_CHARS = 12  # a word or two in quotation marks is a name, not somebody's words

# A full stop after a digit or an abbreviation ends no sentence: "am 3. Mai", "Dr. Who".
_SENTENCE_END = re.compile(
    r"\n+|(?<=[!?؟])\s+|(?<=[。！？।])\s*|(?<=\.)(?<!\.\.)(?<!\s\d\.)(?<!\s\d\d\.)(?<!\b[^\W\d]\.)"
    r"(?<!\b(?:Dr|St|Mr|Ms|Nr|No|vs)\.)(?<!\bMrs\.)(?<!\bbzw\.)\s+"
)
_IS_QUESTION = re.compile(r"[?？؟]\W*$|(?:吗|嗎|呢|ですか|ますか|나요|니까|까요)\W*$")
_EDGES = " \t\r\n.,;:!?…。！？、，；：।؟~-–—*_|"
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")

# fmt: off
_OPENERS = (
    r"please|pls|plz|kindly|and|but|also|so|oh|ok(?:ay)?|hey|hi|hello|btw|by the way|then|now|just|"
    r"always|fyi|note to self|you (?:should|must|can|may)|i (?:want|need) you to|i'd like you to|"
    r"bitte|und|aber|auch|also|du (?:sollst|kannst|musst)|übrigens|hallo|s'il (?:te|vous) pla[iî]t|"
    r"stp|svp|et|mais|aussi|tu dois|salut|por fa(?:vor)?|porfa|y|pero|también|hola|e|ma|per favore|"
    r"ti prego|ciao|olá|oi|alsjeblieft|alstublieft|aub|en|maar|snälla|och|og|vær så snill|ja|"
    r"proszę|prosím|ale|пожалуйста|пж|и|а|но|будь ласка|lütfen|ve|ama|te rog|kérlek|σε παρακαλώ|"
    r"παρακαλώ|και|tolong|mohon|làm ơn|xin|من فضلك|رجاء|בבקשה|لطفا|कृपया"
)
_CAN_YOU = (
    r"(?:can|could|would|will) (?:you|u)|kannst du(?: dir)?|k[öo]nntest du(?: dir)?|"
    r"k[öo]nnen sie(?: sich)?|peux-tu|pourrais-tu|tu (?:peux|pourrais)|pouvez-vous|"
    r"est-ce que tu peux|¿?puedes|¿?podr[ií]as|puoi|potresti|(?:você |tu )?pode(?:ria|s)?|kun je|"
    r"kan je|zou je|kan du|możesz|mógłbyś|možeš|můžeš|(?:ты )?можешь|(?:ты )?мог бы|можеш|poți|"
    r"ai putea|μπορείς να"
)
# Of each language: what asks, what asks only with one of the words after it, those words.
_REQUESTS = (
    (r"remember(?!\s+(?:when|how|what|who|where|why|whether|me(?! as)|us|him|them|(?:that|the|this|"
     r"those) (?:times?|days?|guy|girl|movie|game|one))\b)|(?:do not|don'?t|"
     r"never) (?:ever )?forget|(?:keep|bear) in mind|memori[sz]e",
     r"make a (?:mental )?note|take (?:a )?note|note(?: down)?|write down",
     r"that(?!'s| is\b| was\b)|of the fact that|(?:this|the following)(?=\s*:)"),
    (r"merk(?:e|t)? (?:dir|euch)|merken sie sich|(?:bitte )?merken|behalte?(?: im kopf)?|"
     r"vergiss (?:bitte )?(?:nicht|nie)|vergesst nicht|denk(?:e|t)? (?:bitte )?(?:dran|daran)|"
     r"erinner(?:e|t)? dich(?: bitte)?(?: daran)?",
     r"merke?|notier(?:e)?(?: dir)?|speicher(?:e)?(?: dir)?|schreib dir auf",
     r"(?:(?:bitte|mal|gut|doch|das) )*da(?:ss|ß)|(?:bitte|mal)|(?:(?:bitte|mal) )?(?:das|"
     r"folgendes)(?=\s*:)"),
    (r"(?:souviens|rappelle)[- ]toi(?: bien)?|(?:souvenez|rappelez)[- ]vous|retiens(?: bien)?|"
     r"retenez|te souvenir|retenir|(?:n'|n)?oublie[sz]? (?:pas|jamais)|garde (?:en tête|"
     r"à l'esprit)|m[ée]morise[sz]?",
     r"note[sz]?(?: bien)?|sache", r"que|de ceci(?=\s*:)|qu(?=')"),
    (r"recu[eé]rd(?:a|e|ame|alo|eme)|recordar|acu[ée]rdate|ten (?:en cuenta|presente)|"
     r"no (?:te )?olvides|no se te olvide|nunca olvides|memoriza",
     r"apunta|anota|toma nota|guarda", r"(?:de )?que|de|esto(?=\s*:)"),
    (r"lembr[ae](?:-se|-te)?|se lembr(?:a|e|ar)|lembrar|n[ãa]o (?:se |te )?esque[çc](?:a|as|"
     r"e)(?:-te)?|nunca (?:se )?esque[çc]a|ten(?:ha|s) em mente|memori[zs](?:a|e)",
     r"guard[ae]|anot[ae]|registr[ae]", r"(?:de )?que|de|disto(?=\s*:)"),
    (r"ricorda(?:ti|telo|melo)?|ricordarti|ricordare|non (?:ti )?(?:dimenticar[ei]?|"
     r"scordar[ei]?)(?:ti)?|tieni (?:a mente|presente|conto)|memorizza",
     r"annota(?:ti)?|segna(?:ti)?|nota", r"(?:del fatto )?che|di|questo(?=\s*:)"),
    (r"onthoud(?:en)?|vergeet niet|denk eraan|herinner je|hou in gedachten",
     r"noteer|schrijf op", r"dat|dit(?=\s*:)"),
    (r"kom ihåg|glöm inte|husk(?: på)?|glem ikke|muista|älä unohda", r"notera|noter",
     r"att|at|että"),
    (r"zapamiętaj(?: sobie)?|zapamiętać|pamiętaj|nie zapomni?j|miej na uwadze|"
     r"(?:za)?pamatuj(?: si)?|nezapome[nň]|zapamätaj si",
     r"zapisz(?: sobie)?|zanotuj|zapiš si", r"o tym,? że|że|že"),
    (r"запомни(?:те)?|запомнить|помни(?:те)?|не (?:забудь|забудьте|забывай|забывайте)|"
     r"имей(?:те)? в виду|запам['ʼ]?ятай|пам['ʼ]?ятай|не забу(?:дь|вай)|май на увазі",
     r"запиши(?:те)?|учти", r"то,? что|что|що"),
    (r"(?:ţine|ține) minte|reține|nu uita|aminte[sș]te-ți|jegyezd meg|ne felejtsd el|"
     r"emlékezz(?: rá)?",
     r"notează|írd fel", r"că|hogy"),
    (r"(?:να )?θυμ(?:ήσου|άσαι|ηθείς)|μην? ξεχ(?:άσεις|νάς)|έχε υπόψη", r"σημείωσε", r"ότι|πως"),
    (r"(?:tolong )?ingat(?:lah)?|jangan lupa", r"catat", r"bahwa|kalau"),
    (r"đừng quên|hãy (?:ghi )?nhớ|ghi nhớ", r"nhớ(?: giúp)?(?: tôi| mình)?|lưu ý", r"rằng|là"),
    (r"(?:(?:şunu|bunu) )?aklında (?:tut|bulunsun)|unutma(?:yın)?(?=\s*,)",
     r"(?:(?:şunu|bunu) )?(?:unutma(?:yın)?|hatırla|not (?:et|al))", r"ki"),
    (r"تذك(?:ّ)?ر(?:ي)?|لا تنس(?:ى|ي)?|ضع في اعتبارك|تذكر دائما", r"احفظ|سج(?:ّ)?ل", r"أن|أنّ|بأن"),
    (r"תזכור|זכור|תזכרי|זכרי|אל תשכחי?", r"רשום|רשמי", r"את זה(?=\s*:)"),
    (r"یادت (?:باشه|باشد|نره)|به خاطر بسپار|فراموش نکن", r"یادداشت کن", r"که"),
    (r"(?:ये |यह )?याद (?:रखना|रखो|रखें|रखिए|रख)|(?:मत भूलना|भूलना मत)", r"नोट कर(?:ो|ें|"
     r"ना)", r"कि"),
)
_REQUESTS_UNSPACED = (
    r"(?:(?:请|請|麻烦|麻煩|帮我|幫我|给我|你|要|一定|千万|也|还|都)*(?:记住|記住|记下|記下|牢记|"
    r"牢記|记着|記著|记得|記得|别忘|別忘|不要忘|不要忘记|记一下|記一下)(?:来|了|记|記)*(?!吗|嗎|"
    r"没)(?:这一点|这点|這點|一下|哦|喔)?)|(?:覚えて(?:おいて|て)?(?:ください|下さい|ほしい|くれ|"
    r"ね)*|忘れないで(?:ください|下さい|ね)*)(?=[：:、,，。])|(?:기억해(?:\s?줘|\s?주세요|\s?둬)?|"
    r"잊지\s?마(?:세요|라)?)(?=[：:,])|(?:ช่วย|โปรด|กรุณา)?(?:จำไว้|จดไว้|อย่าลืม)(?:นะ|ด้วย|"
    r"หน่อย)*(?:ว่า)?"
)
# Where the request stands behind what is to be remembered.
_AFTERWARDS = (
    r"(?:っ?て(?:いう)?こと|ということ|ってこと|っ?て|と)?(?:を|は|も|、|，|\s)*(?:(?:ちゃんと|"
    r"よく|しっかり|絶対|絶対に|必ず)*(?:覚え(?:て(?:おいて|おけ|て)?|といて)|忘れないで|"
    r"記憶して(?:おいて)?|メモして(?:おいて)?))(?:ください|下さい|ほしい|くれ|もらえますか|"
    r"くれますか|くれる|ね|よ|な)*",
    r"(?:(?:이?라|다|는다|ㄴ다)고|(?:는|인|란)?\s?(?:거|것)(?:을|를)?|을|를|,|\s)*\s*(?:꼭\s?|잘\s?)?"
    r"(?:기억해(?:\s?(?:줘|줘요|주세요|둬|두세요))?|기억하세요|잊지\s?(?:마|말아)(?:요|줘|줘요|세요|라)?)",
    r"[\s,]*(?:(?:bunu|şunu|lütfen|sakın) )*(?<!\w)(?:unutma(?:yın|yınız)?|hatırla(?:yın)?|"
    r"aklında tut|aklında bulunsun|not (?:et|al))(?: lütfen)?",
    r"[\s,]*(?:(?:ये|यह|यह बात|ये बात) )?(?:याद (?:रखना|रखो|रखें|रखिए|रख लो)|मत भूलना|भूलना मत)",
)
# Each request holds one of these, in lower case: most messages are done with after a look for them.
_STEMS = (
    "remember", "forget", "mind", "memori", "note", "write down", "merk", "behalt", "vergiss",
    "vergesst", "denk", "erinner", "notier", "speicher", "schreib", "toi", "vous", "souvenir",
    "oublie", "garde", "mémori", "sache", "recu", "record", "acu", "ten", "olvid", "apunta",
    "nota", "guard", "lembr", "esque", "anot", "registr", "ricord", "dimentic", "scord", "tien",
    "segna", "onthou", "vergeet", "hou ", "schrijf", "ihåg", "glöm", "husk", "glem", "muista",
    "unohda", "pami", "zapom", "miej", "zapis", "pamat", "zapam", "nezap", "zapiš", "помни",
    "забу", "забыв", "виду", "пам", "май", "запиши", "учти", "ține", "ţine", "uita", "aminte",
    "jegyez", "felejt", "emlék", "írd", "θυμ", "ξεχ", "υπόψη", "σημεί", "ingat", "lupa", "catat",
    "quên", "nhớ", "lưu ý", "aklında", "unutma", "hatırla", "not et", "not al", "تذ", "تنس", "ضع",
    "احفظ", "سج", "זכ", "תשכח", "רש", "یاد", "خاطر", "فراموش", "याद", "भूल", "नोट", "记", "記", "忘",
    "覚え", "メモ", "기억", "잊지", "จำ", "จด", "ลืม",
)
_STEMS_AFTERWARDS = (
    "覚え", "忘れ", "記憶", "メモ", "기억", "잊지", "unutma", "hatırla", "aklında", "not ", "याद",
    "भूल",
)
_PRONOUNS = (
    r"that|this|it|these|those|the following|one|please|pls|ok|okay|for|me|us|later|from|now|on|"
    r"too|forever|well|thanks|thank|you|would|always|carefully|for next time|das|dir|dies|es|bitte|"
    r"gut|mal|auch|danke|folgendes|für|später|ça|cela|ceci|le|la|les|bien|merci|pour|moi|"
    r"s'il te plaît|stp|lo|eso|esto|bien|gracias|por favor|isso|isto|disso|obrigad[oa]|questo|"
    r"quello|ciò|grazie|per favore|dat|dit|dank|je|det|detta|dette|tack|takk|tak|se|to|sobie|"
    r"proszę|dzięki|si|это|этого|это,|пожалуйста|спасибо|себе|це|дякую|asta|ezt|αυτό|ini|itu|ya|"
    r"terima kasih|điều này|nhé|bunu|şunu|lütfen|هذا|ذلك|من فضلك|זה|את|این|را|ये|यह|बात|これ|それ|"
    r"この|その|こと|を|は|ね|よ|也|这个|這個|这一点|这点|这|那|了|吧|哦|啊|喔|好|이거|이것|그거|"
    r"그것|이|그|을|를|꼭|นะ|ด้วย|ครับ|ค่ะ"
)
# fmt: on


def _request_pattern() -> re.Pattern[str]:
    kinds = []
    for strong, weak, after in _REQUESTS:
        kinds.append(rf"(?:{strong})(?!\w)(?:\s*,?\s*(?:{after})(?!\w))?")
        kinds.append(rf"(?:{weak})(?!\w)(?:\s*,?\s*(?:{after})(?!\w)|\s*[:：])")
    return re.compile(
        r"(?:^|(?<=[.,;:–—，、：；。])\s*|\s[-–—]\s+|(?<=\s)(?=\S)(?:and|und|et|y|и)\s+)[\W_]*"
        rf"(?:(?:{_OPENERS})(?!\w)[\s,]*){{0,4}}(?:(?P<can>{_CAN_YOU})(?!\w)\s*)?"
        rf"(?:(?:{_OPENERS})(?!\w)[\s,]*){{0,2}}(?:{'|'.join(kinds)}|{_REQUESTS_UNSPACED})",
        re.IGNORECASE,
    )


_REQUEST = _request_pattern()
_REQUEST_AFTERWARDS = re.compile(rf"(?:{'|'.join(_AFTERWARDS)})[\s.!。！~〜…]*$", re.IGNORECASE)
_THAT = re.compile(
    r"(?<!\w)(?:that|dass|daß|que|qu|che|dat|att|at|że|že|что|що|că|hogy|ότι|πως|bahwa|rằng|ki|أن|"
    r"که|कि)$",
    re.IGNORECASE,
)
_ONLY_PRONOUN = re.compile(rf"(?:(?:{_PRONOUNS})(?:\W+|$)|[也这那了吧哦啊喔好])*", re.IGNORECASE)
_ONLY_OPENER = re.compile(rf"(?:(?:{_OPENERS})(?:\W+|$))*", re.IGNORECASE)

# fmt: off
_STATEMENTS = (
    r"my (?:\w+ ){0,2}?(?:name|nickname|birthday|pronouns|favou?rites?|jobs?|hobby|hobbies|wife|"
    r"husband|partner|girlfriend|boyfriend|kids?|children|son|daughter|brother|sister|mom|mum|dad|"
    r"mother|father|dogs?|cats?|pets?|car|language|time ?zone|city|country|town|age|major|company|"
    r"team)(?!\w)",
    r"(?:i am|i'?m)(?! (?:not sure|sorry|sure|trying|getting|using|having|looking|wondering|afraid|"
    r"here|back|fine|good|ok|okay|done|going|so|just|confused|stuck|asking|talking|saying|at|in a|"
    r"thinking|serious|kidding|joking|bored|tired|sad|happy|lost)\b)",
    r"i (?:\w+ly |really |also |always |never |do |don'?t |do not |can'?t |mostly |currently )?"
    r"(?:live|like|love|prefer|hate|dislike|work|study|speak|play|own|enjoy|drive|eat|drink|stand|"
    r"collect|teach|code|program|run)\b",
    r"i (?:have|got|'ve got|have got) (?:an?|no|one|two|three|four|five|\d+)\b|i'?ve got (?:an?|\d|"
    r"two)",
    r"i (?:was born|grew up|come from|moved to|usually|go by|use)|i'?d (?:rather|prefer)|call me|"
    r"(?:answer|reply|respond|talk|speak|write)(?: to)?(?: me| with me)? (?:only |always )?in|"
    r"keep (?:it|your (?:answers|replies)|answers|replies) (?:short|brief|simple)",
    r"ich (?:hei(?:ß|ss)e|bin|mag|liebe|wohne|lebe|arbeite|studiere|lerne|spreche|spiele|komme|"
    r"hasse|bevorzuge|esse|trinke|nutze|verwende|fahre|hab(?:e)? (?:eine?n?|zwei|drei|keine?n?|"
    r"\d+))|(?:wohne|lebe|arbeite|hei(?:ß|ss)e|mag|spreche) ich|nennt? mich|duze? mich|"
    r"meine? (?:\w+ )?(?:name|lieblings\w*|hund|katze|frau|mann|freundin?|tochter|sohn|geburtstag|"
    r"hobbys?|beruf|muttersprache|bruder|schwester|kinder)|"
    r"antworte (?:mir )?(?:bitte )?(?:immer )?(?:auf|in|kurz)",
    r"je m'appelle|moi c'est|je suis|j'(?:habite|aime|adore|étudie|ai (?:une?|deux|trois|\d+))|"
    r"je (?:vis|travaille|préfère|parle|joue|viens|déteste|n'aime)|m(?:on|a|es) (?:nom|prénom|"
    r"anniversaire|chien|chat|chatte|femme|mari|fille|fils|métier|langue|\w+ préféré\w*)|"
    r"appelle[- ]moi|tutoie[- ]moi|r[ée]ponds?(?:[- ]moi)? (?:toujours )?en",
    r"me llamo|mi nombre|soy|vivo en|trabajo (?:de|en|como)|(?:no )?me gustan?|me encantan?|"
    r"prefiero|odio|hablo|tengo (?:una?|dos|tres|\d+)|estudio|nac[íi] en|ll[áa]mame|"
    r"resp[óo]nde(?:me)? (?:siempre )?en|mi (?:cumpleaños|perr[oa]|gat[oa]|espos[oa]|hij[oa]|"
    r"\w+ favorit[oa])",
    r"me chamo|chamo-me|meu nome|(?:eu )?sou|moro em|vivo em|trabalho (?:como|em|na|no)|"
    r"(?:n[ãa]o )?gosto d\w+|prefiro|adoro|odeio|falo|tenho (?:uma?|dois|duas|\d+)|nasci|me chame|"
    r"chama-me|responda(?:-me)? em|(?:meu|minha) (?:anivers[áa]rio|cachorro|gat[oa]|espos[oa]|"
    r"filh[oa])",
    r"mi chiamo|il mio nome|(?:io )?sono (?!qui|d'accordo)|abito|vivo a|lavoro (?:come|a|in|per)|"
    r"(?:non )?mi piac(?:e|ciono)|preferisco|odio|parlo|ho (?:una?|due|tre|\d+)|chiamami|"
    r"rispondi(?:mi)? (?:sempre )?in|(?:il mio|la mia) (?:cane|gatt[oa]|moglie|marito|figli[oa]|"
    r"compleanno)",
    r"ik (?:heet|ben|woon|werk|hou|houd|spreek|studeer|speel|haat|heb (?:een|twee|geen|\d+))|"
    r"noem me|mijn (?:naam|hond|kat|vrouw|man|verjaardag|\w+ is)|antwoord (?:me )?(?:altijd )?in",
    r"(?:jag|jeg) (?:heter|bor|är|er|gillar|liker|elsker|älskar|kan lide|jobbar|jobber|arbejder|"
    r"har (?:en|ett|et|två|to|\d+))|kalla mig|kall meg|kald mig|nimeni on|(?:minä )?olen|asun|"
    r"pidän|työskentelen",
    r"nazywam się|mam na imię|jestem|mieszkam|pracuję|(?:nie )?lubię|wolę|mówię po|studiuję|"
    r"mam (?:\d+|psa|kota|dwa|dwie|dwóch)|m[oó]j\w* (?:imię|pies|kot|żona|mąż|ulubion\w+)|"
    r"mów do mnie|jmenuj[iu] se|bydlím|pracuj[iu]|m[áa]m r[áa]da?|jsem",
    r"меня зовут|мо(?:ё|е|й|я|и) (?:имя|любим\w+|кот|кошка|собака|муж|жена|сын|дочь|день рождения|"
    r"родной язык)|я (?:живу|люблю|не люблю|работаю|предпочитаю|учу|учусь|из|говорю|ненавижу|играю|"
    r"родил\w+|обожаю)|я\s*[—–-]|мне (?:не )?нрав\w+|мне \d+|(?:зови|называй)(?:те)? меня|"
    r"отвечай(?:те)?|у меня (?:есть|два|две|\d+)|мене звати|я (?:живу|люблю|працюю)|мені подоба\w+",
    r"(?:benim )?ad[ıi]m|ismim|yaşıyorum|oturuyorum|seviyorum|severim|sevmiyorum|çalışıyorum|"
    r"tercih eder\w+|benim \w+|bana \w+ de",
    r"mă numesc|numele meu|locuiesc|lucrez|îmi place|prefer|a nevem|lakom|vagyok|szeretem|dolgozom",
    r"με λένε|μένω|είμαι|μου αρέσ\w+|δουλεύω|προτιμώ|το όνομά μου",
    r"nama (?:saya|aku|ku)|namaku|(?:saya|aku) (?:tinggal|suka|bekerja|kerja|adalah|tidak suka|"
    r"orang)|panggil (?:saya|aku)|(?:tôi|mình) (?:tên|sống|thích|là|làm)|tên (?:tôi|mình)",
    r"اسمي|أنا|أعيش|أسكن|أحب|أفضل|أعمل|أدرس|نادني|שמי|קוראים לי|אני|اسم من|زندگی می\S*کنم|"
    r"دوست دارم",
    r"मेरा नाम|मैं|मुझे|मेरी|मेरे",
)
_STATEMENTS_UNSPACED = (
    r"我(?:的?名字|今年|就|也|是|叫|住|在|最|很|比较|比較|更|不|讨厌|討厭|来自|來自|有|养|養|想要|喜|爱|愛|"
    r"的(?:生日|老婆|老公|女儿|兒子|儿子|猫|貓|狗|工作|爱好|愛好|母语|母語|职业|職業))|叫我|用.{1,6}回答|"
    r"(?:私|わたし|僕|ぼく|俺|おれ|自分)(?:は|の|が|も)|名前は|と申します|といいます|と呼んで|に住んで|"
    r"(?:が|は)(?:好き|大好き|嫌い|苦手)|働いて(?:い)?ま|出身です|で(?:答|返事)|(?:제|내|나의|"
    r"저의)\s?\S+(?:은|는|이|가)|저는|나는|난\s|살아요|살고\s?있|좋아해|좋아합니다|싫어|라고\s?불러|"
    r"(?:ผม|ฉัน|ดิฉัน|หนู)(?:ชื่อ|อยู่|ชอบ|เป็น|ทำงาน|ไม่ชอบ)|เรียก(?:ผม|ฉัน)ว่า"
)
_SELF = (
    r"i|i'?m|i'?ve|i'?d|i'?ll|my|me|mine|myself|ich|mich|mir|mein\w*|je|j(?=')|m(?=')|mon|ma|mes|"
    r"moi|yo|mi|mis|me|soy|estoy|tengo|vivo|eu|meu|minha|meus|minhas|sou|moro|tenho|io|mio|mia|"
    r"miei|mie|sono|ho|abito|ik|mijn|mij|jag|jeg|min|mitt|mit|mina|mine|mig|meg|minä|minun|nimeni|"
    r"olen|ja|mnie|mój|moja|moje|mam|jestem|jsem|mám|můj|moje|mně|я|меня|мне|мой|моя|моё|мое|мои|"
    r"мене|мені|мій|ben|benim|bana|beni|adım|ismim|eu|meu|mea|sunt|mă|îmi|én|nekem|vagyok|nevem|"
    r"εγώ|μου|με|είμαι|saya|aku|tôi|mình|أنا|أنني|أني|اسمي|لي|אני|שלי|לי|שאני|שמי|من|मैं|मेरा|मेरी|"
    r"मेरे|मुझे"
)
# fmt: on
_STATEMENT = re.compile(
    rf"(?<!\w)(?:{'|'.join(_STATEMENTS)})(?!\w)|{_STATEMENTS_UNSPACED}", re.IGNORECASE
)
# Turkish says "I" with an ending: "vejetaryenim", "vejetaryen olduğumu".
_ABOUT_ONESELF = re.compile(
    rf"(?<!\w)(?:{_SELF})(?!\w)|[我俺僕私]|わたし|ぼく|おれ|自分|저는|제|나는|내|ผม|ฉัน|"
    r"\w{3,}(?:yım|yim|ğumu|ğimi|ıyorum|iyorum|uyorum|üyorum)(?!\w)",
    re.IGNORECASE,
)


def own_words(text: str) -> str:
    """A message without quotes, code, links, files and forwarded text: the person's own words."""
    text = _QUOTED_SPEECH.sub(
        lambda quoted: quoted[0] if len(quoted[0]) <= _NAME_CHARS else " ", _told(text)
    )
    for foreign in (_INLINE_CODE, _LINK):
        text = foreign.sub(" ", text)
    return text.strip()


def asks_to_remember(text: str) -> list[str]:
    """What a message asks to remember, word for word, in its order; mostly nothing."""
    if not _holds(text, _STEMS):
        return []
    found: list[str] = []
    said = _sentences(_told(text))
    for position, sentence in enumerate(said):
        request = _request(sentence)
        if request is None:
            continue
        before, asked = request
        if asked:
            found.append(asked)
        elif sentence.rstrip().endswith((":", "：")):
            found += [_BULLET.sub("", line) for line in said[position + 1 :]]
            break
        elif before:
            found.append(before)
        elif position > 0:
            found.append(_bare(said[position - 1]))
    bounded = (sentence[:MAX_SENTENCE_CHARS].strip() for sentence in dict.fromkeys(found))
    return [sentence for sentence in bounded if sentence][:MAX_REQUESTS]


def speaks_of_oneself(text: str) -> bool:
    """Whether a message may say something lasting about its writer, and does more than ask."""
    return any(
        _STATEMENT.search(_unasked(part)) for part in _sentences(own_words(text[:_MAX_TOLD_CHARS]))
    )


def is_about_writer(sentence: str) -> bool:
    """Whether a sentence names its writer: "I", "my" and their like."""
    return _ABOUT_ONESELF.search(sentence) is not None


def _told(text: str) -> str:
    """A message without what was only brought along: quoted lines, code blocks, files."""
    text = text[:_MAX_TEXT_CHARS].partition(_FORWARDED)[0].replace("’", "'")
    for foreign in (_FENCED, _QUOTED_LINE, _FILE_LINE):
        text = foreign.sub("\n", text)
    return text.strip()


def _sentences(text: str) -> list[str]:
    return [part for part in _split(text) if part.strip(_EDGES)]


def _split(text: str) -> Iterable[str]:
    return (part.strip() for part in _SENTENCE_END.split(text) if part)


def _unasked(sentence: str) -> str:
    """A sentence; of a question only the clauses before its last one."""
    if _IS_QUESTION.search(sentence) is None:
        return sentence
    return max((sentence.rpartition(comma)[0] for comma in ",;，、"), key=len)


def _request(sentence: str) -> tuple[str, str] | None:
    """What stands before a request to remember and what it asks for; None where there is none."""
    is_question = _IS_QUESTION.search(sentence) is not None
    match = _REQUEST.search(sentence)
    if match is not None and not (is_question and match["can"] is None):
        asked = _meant(sentence[match.end() :])
        if is_question and not (_THAT.search(match[0]) or _says_something(asked)):
            return None
        before = _bare(sentence[: match.start()])
        return ("" if _ONLY_OPENER.fullmatch(before) else before), asked
    if _holds(sentence, _STEMS_AFTERWARDS):
        behind = _REQUEST_AFTERWARDS.search(sentence)
        if behind is not None:
            return "", _meant(sentence[: behind.start()])
    return None


def _holds(text: str, stems: tuple[str, ...]) -> bool:
    text = text[:_MAX_TEXT_CHARS].lower()
    return any(stem in text for stem in stems)


def _says_something(asked: str) -> bool:
    """Whether a polite question ("can you remember …?") brings what is to be remembered."""
    if re.search(r"\d", asked):
        return True
    return len(asked) >= 6 if _CJK.search(asked) else len(asked.split()) >= 4


def _meant(words: str) -> str:
    """The words without edges; "" for a mere "this"."""
    bare = _bare(words)
    return "" if _ONLY_PRONOUN.fullmatch(bare) else bare


def _bare(words: str) -> str:
    return words.strip(_EDGES)
