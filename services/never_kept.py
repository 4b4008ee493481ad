"""What is never kept of a person, and what is kept only when they ask for it.

Never: keys, passwords, card and account numbers, e-mail addresses, phone numbers. Only when
asked: health, religion, politics, sexuality, ethnicity, criminal records, addresses. Shapes
and word lists of some languages tell them: a filter, not a proof. It would rather hold back
too much than too little.
"""

from __future__ import annotations

import re

_NUMBER_RUN = re.compile(r"\d(?:[ -]?\d){12,18}")
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")
_KEY = re.compile(
    r"-----BEGIN|(?<!\w)(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abp]|hf|AKIA|AIza|eyJ|npm|pypi|mfa)"
    r"[-_.]?[\w-]{12,}|(?<![\w-])[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}|"
    r"(?<!\w)(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)\w{20,}|(?<!\w)[0-9a-fA-F]{32,}(?!\w)"
)
_CONTACT = re.compile(
    r"[^\s@]+@[^\s@]+\.\w{2,}|(?<![\w.])\+\d(?:[ ()./-]{0,2}\d){6,}|"
    r"(?<![\w.:/-])(?!\d{2}[ /.-]\d{2}[ /.-](?:\d{4}|\d{2}(?! \d))(?!\d))0\d(?:[ ()/-]{0,2}\d){6,}|"
    r"\(\d{3}\) ?\d{3}[ -]?\d{4}|(?<!\d)\d{3}[-. ]\d{3}[-. ]\d{4}(?!\d)|"
    r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)|(?<!\d)\d{9,}(?!\d)|(?<!\d)\d{3} \d{3} \d{3}(?!\d)|"
    r"(?<!\w)(?:phone|"
    r"handy|mobile?|whatsapp|signal|cell|telef\w+|tel\b|telegram|телефон|手机|手機|电话|電話|전화|"
    r"هاتف)\D{0,30}\d[\d ()/-]{5,}",
    re.IGNORECASE,
)
# fmt: off
_SECRET_WORD = re.compile(
    r"(?<!\w)(?:pass ?words?|pass ?code|pass ?phrase|passwor\w+|kennwort|mot de passe|contraseña|"
    r"senha|parola d'ordine|wachtwoord|lösenord|adgangskode|passord|salasana|has[łl]o|heslo|"
    r"парол\w+|şifre\w*|jelszó|jelszavam|κωδικός|kata sandi|mật khẩu|api[- _]?keys?|secret keys?|"
    r"private keys?|(?:access|auth|bot) tokens?|seed phrase|recovery (?:phrase|code)|cvv|cvc|2fa|"
    r"tan-?nummer)(?!\w)|(?<!\w)pin(?:[- ]?(?:code|nummer|number))?(?!\w).*\d|密码|密碼|口令|私钥|"
    r"パスワード|暗証番号|비밀번호|รหัสผ่าน|كلمة (?:السر|المرور)|סיסמ|رمز عبور|पासवर्ड",
    re.IGNORECASE,
)
# Beginnings of words.
_SENSITIVE_BEGINNINGS = (
    # health
    r"ill(?:ness)?\b|sick\b|disease|diabet|cancer|tumou?r|krebs\b|depress|anxiety|adhs?d?\b|autis|"
    r"asperger|bipolar|schizo|therap|medication|medikament|pregnan|schwanger|enceinte|embaraz|"
    r"hiv\b|aids\b|diagnos|disab|behinder|handicap|allerg|alérgic|alergi|asthma|asma\b|epilep|"
    r"migr[aä]in|surgery|hospital|krank|maladie|malade|enferm|doen[çc]|malatt|ziek|chorob|болез|"
    r"болен|больн|аллерг|диабет|депресс|беремен|hastay|alkohol|alcoholi|addict|süchtig|insulin|"
    r"anorex|suicid|selbstmord|panic attack|ptsd|overweight|obes|"
    # religion
    r"religi|christian|christ(?:lich|in)?\b|catholic|kathol|cattolic|católic|protestant|evangeli|"
    r"orthodox|jew(?:ish)?\b|jüdisch|jud[ií]|juif|juive|muslim|moslem|musulm|islam|hindu\b|hinduis|"
    r"buddh|budist|atheis|athée|ateo|ateu|church|kirche|église|iglesia|mosque|moschee|synagog|pray|"
    r"христиан|православн|мусульм|иуде|еврей|буддис|атеис|hristiyan|müslüman|"
    # politics
    r"politic|politi[ks]|republican|democrat\b|conservative|liberal|socialis|sozialis|communis|"
    r"kommunis|vote[ds]?\b|voting|wähl(?:e|t|er)|votant|votó|trump|biden|afd\b|spd\b|cdu\b|övp\b|"
    r"fpö\b|labour|tory|tories|left[- ]wing|right[- ]wing|linksradikal|rechtsradikal|trade union|"
    r"gewerkschaft|syndica|политик|голосу|коммунис|"
    # sexuality
    r"gay\b|lesb|bisexu|homosexu|heterosexu|sexual|sexuell|queer|trans(?:gender|sexu| wom| man)|"
    r"nonbinary|non-binary|asexual|pansexual|lgbt|schwul|гей\b|лесби|бисекс|гомосекс|porn|kink|"
    r"fetish|"
    # ethnicity
    r"ethnic|ethni|black (?:man|woman|person)|white (?:man|woman|person)|african[- ]american|"
    r"hispanic|latin[oax]\b|caucasian|gyps|sinti|aborigin|indigenous|mixed race|skin colo|"
    # criminal record
    r"crimin|convict|felon|prison|jail|arrest|gefängnis|vorbestraft|verurteilt|straftat|condamn|"
    r"cárcel|prisi[óo]n|carcere|wi[eę]zieni|тюрьм|судим|hapis|probation"
)
_SENSITIVE = re.compile(
    rf"(?<!\w)(?:{_SENSITIVE_BEGINNINGS})|"
    r"病|癌|抑郁|憂鬱|糖尿|过敏|過敏|怀孕|懷孕|妊娠|うつ|障害|アレルギー|持病|薬を|우울|질병|당뇨|암에|임신|알레르기|"
    r"宗教|基督|天主教|佛教|穆斯林|伊斯兰|イスラム|キリスト|仏教|기독교|불교|천주교|이슬람|政治|"
    r"投票|共产|共產|党员|보수|진보|정치|同性恋|同性戀|双性恋|ゲイ|レズ|게이|레즈|동성애|民族|人种|"
    r"种族|人種|犯罪|坐牢|监狱|前科|刑務所|逮捕|전과|감옥|مريض|مرض|سكري|مسلم|مسيحي|يهودي|سياس|سجن|"
    r"مثلي|חולה|סוכרת|דתי|מוסלמי|נוצרי|יהודי|כלא|बीमार|मधुमेह|मुस्लिम|ईसाई|धर्म|राजनी|जेल|โรค|"
    r"ศาสนา|อิสลาม|คริสต์|การเมือง|คุก",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?<!\w)\d{1,5}[a-z]?,? (?:\w+\.? ){1,3}(?:street|st\.?|avenue|ave\.?|road|rd\.?|lane|drive|"
    r"blvd|boulevard|court|square|way)(?!\w)|\w*(?:straße|strasse|str\.|gasse|platz|allee|ring|"
    r"straat|laan|plein|gatan|vägen|vej|gade|gate|katu) \d{1,4}(?!\d)|(?<!\w)\d{1,4},? (?:bis |"
    r"ter )?(?:rue|avenue|av\.|boulevard|bd|chemin|impasse)(?!\w)|(?<!\w)(?:calle|c/|avenida|"
    r"avda\.?|plaza|rua|travessa|via|viale|piazza|corso|ul\.|ulica|ulici|al\.|улиц\w+|ул\.|"
    r"проспект\w*|вулиц\w+|jalan|jl\.|đường|sokak|caddesi|strada|str\.|utca|οδός)"
    r"(?!\w).{1,40}?\d{1,4}(?!\d)|[路街]\D{0,6}\d+[号號]|\d+(?:丁目|番地)|\d+번지|"
    r"[가-힣]{2}(?:로|길) \d+|(?<!\w)(?:zip|postal|post)[ -]?code(?!\w)|postleitzahl|\bplz\b|"
    r"code postal|código postal",
    re.IGNORECASE,
)
# fmt: on


def is_secret(text: str) -> bool:
    """Whether a text shows what nobody should have a bot remember."""
    if any(shape.search(text) for shape in (_KEY, _CONTACT, _SECRET_WORD)):
        return True
    if any(_is_card_number(run) for run in _NUMBER_RUN.findall(text)):
        return True
    return any(_is_iban(match) for match in _IBAN.findall(text.upper()))


def is_sensitive(text: str) -> bool:
    """Whether a text touches what is nobody's business unless the person says so."""
    return _SENSITIVE.search(text) is not None or _ADDRESS.search(text) is not None


def _is_card_number(digits: str) -> bool:
    """Luhn's sum, of a number written with or without gaps."""
    numbers = [int(digit) for digit in reversed(digits) if digit.isdigit()]
    doubled = [sum(divmod(2 * number, 10)) for number in numbers[1::2]]
    return (sum(numbers[::2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616's remainder; what follows the number may have been caught with it."""
    found = text.replace(" ", "")
    for end in range(len(found), 14, -1):
        turned = found[4:end] + found[:4]
        if int("".join(str(int(c, 36)) for c in turned)) % 97 == 1:
            return True
    return False
