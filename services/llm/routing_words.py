"""The words that routing goes by, in the languages people write to the bot in.

Only a message that these lists know as easy goes to the fast model, so a missing word costs a
little speed and never an answer's quality. All are written plain: see `plain`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_LATIN = range(0xC0, 0x250)
_PLAIN = {
    **{n: unicodedata.normalize("NFD", chr(n))[0] for n in _LATIN},
    **str.maketrans(
        "ıłøæœđёأإآ’‘`´",
        "iloaodеااا''''",
        "\u0307ـ\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652",
    ),
}
_UNSPACED = "぀-ヿ㐀-鿿"


def plain(text: str) -> str:
    """`text` without case and without the accents that people leave out when they type."""
    return text.casefold().translate(_PLAIN)


def _listed(text: str) -> list[str]:
    """Words separated by white space; `_` stands for a space inside a phrase."""
    return [word.replace("_", " ") for word in plain(text).split()]


def _pattern(*alternatives: str) -> re.Pattern[str]:
    """Matches at the start of a padded message, whole words; line breaks count for nothing."""
    joined = "|".join(re.sub(r"\s*\n\s*", "", text.strip()) for text in alternatives)
    return re.compile(f" (?:{plain(joined).replace('cjk', f'[{_UNSPACED}]')})(?= )")


@dataclass(frozen=True, slots=True)
class Cues:
    """Words (`why`), beginnings of words (`explain*`), phrases (`are_you_sure`), and characters
    of scripts without spaces (`为什么`), by each of which a message is known."""

    words: frozenset[str]
    stems: tuple[str, ...]
    fragments: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Cues:
        listed = _listed(text)
        is_unspaced = re.compile(f"[{_UNSPACED}]").search
        stems = [word for word in listed if word.endswith("*") and " " not in word]
        phrases = [word for word in listed if " " in word]
        unspaced = [word for word in listed if is_unspaced(word)]
        known = {*stems, *phrases, *unspaced}
        return cls(
            words=frozenset(word for word in listed if word not in known),
            stems=tuple(stem.rstrip("*") for stem in stems),
            fragments=(*(f" {p}".rstrip("*") + " " * (p[-1] != "*") for p in phrases), *unspaced),
        )

    def are_in(self, padded: str, words: Sequence[str]) -> bool:
        """Whether a message has any of them; `padded` is its words with a space around each."""
        return (
            not self.words.isdisjoint(words)
            or any(word.startswith(self.stems) for word in words)
            or any(fragment in padded for fragment in self.fragments)
        )


HARD = {
    "distress": Cues.of("""
        suicid* kill to_die wanna_die dying dead depress* lonely hopeless panic abuse* hurt
        hurting cry crying
        self-harm of_life anymore selbstmord sterben umbringen einsam verzweifelt traurig mourir
        triste seul morir matarme morire uccider* morrer sozinho zelfmoord eenzaam umrzec samotn*
        умереть одинок* olmek yalniz 自杀 想死 死にたい 자살* 죽고* انتحار اموت
        """),
    "code": Cues.of("""
        code codes coding script* program* programming programm* debug* bug bugs compil* regex
        python java javascript typescript rust golang kotlin c++ html css sql json yaml docker*
        kubernetes linux nginx api apis git github npm pip webpack database* server* function
        functions variable* class array* algorithm* loop stack segfault* exception* traceback
        error errors err errno fail* crash* fehler* fehlermeldung* codigo kod kodu kodum* koda
        kodzie erreur* errore errori erro erros
        blad bledu hata hatasi код коду кода кодом ошибк* скрипт*
        代码 代碼 脚本 编程 报错 错误 コード エラー バグ プログラ* 코드* 오류* 에러* 버그* كود*
        خطا برمج*
        """),
    "maths": Cues.of("""
        prove proof theorem integral derivative equation* solve calculate compute probability
        matrix prime binary hexadecimal logarithm sqrt squared percent percentage sum average
        beweis* lose berechne rechne gleichung* wahrscheinlichkeit prozent wurzel ableitung
        prouve* demontre* calcule* resous resoudre equations resuelve* calcula* demuestra*
        ecuacion* risolv* calcola* dimostra* equazion* resolv* equacao bewijs* bereken* los_op
        udowodnij oblicz* rozwiaz* реши* докажи* вычисли* посчитай* уравнен* kanitla* hesapla*
        coz denklem* 证明 计算 求解 方程 积分 导数 証明 計算 解いて 方程式 증명* 계산* 풀어* 방정식*
        احسب* اثبت* معادل* حل
        """),
    "follow-up": Cues.of("""
        next second third previous other sure_about are_you_sure u_sure you_sure really_sure
        continue elaborate go_on keep_going
        more_detail* more_info* more_about in_detail go_deeper what_do_you_mean for_example
        an_example again instead shorter longer simpler incorrect wrong not_right not_true
        doesn't_work doesnt_work don't_work dont_work not_work* isn't_work* still_not what_about
        how_about same_but same_for same_with same_in now_with now_in now_do now_make do_it
        what_if above earlier yesterday decided we_decide* you_said next_step then_what
        bist_du_sicher sicher_dass stimmt_das wirklich weiter ausfuhrlich* genauer details detail
        detailliert beispiel nochmal falsch stattdessen kurzer langer geht_nicht
        t'es_sur tu_es_sur vous_etes_sur es_tu_sur sur_de plus_de_detail* en_detail exemple
        encore continuez continues faux
        estas_seguro estas_segura seguro_que mas_detalle* detalles continua* sigue ejemplo otra_vez
        sei_sicuro sei_sicura dettagli* piu_dettagli esempio ancora sbagliato
        tem_certeza certeza mais_detalhes detalhes detalhe* exemplo de_novo errado
        zeker_weten weet_je_het_zeker weet_je_zeker zeker meer_details ga_verder verder voorbeeld
        opnieuw jestes_pewien jestes_pewna na_pewno wiecej szczegol* przyklad* jeszcze_raz dalej zle
        ты_уверен* вы_уверены уверен* точно подробн* продолж* дальше пример* еще_раз неправильно
        emin_misin eminsin emin detay* devam ornek tekrar yanlis
        确定 继续 详细 具体 举例 例子 再来 不对 错了 接着 真的吗 本当に ほんとに 続けて 続き
        詳しく 詳細
        例えば もう一度 違う 間違 確か 확실* 정말 진짜* 계속* 자세히 자세하게 예시* 예를 다시 틀렸*
        متاكد* اكمل* تابع* استمر* تفاصيل* بالتفصيل مثال* خطا
        """),
    "reasoning": Cues.of("""
        why how_come explain* compare* comparison difference* differ vs versus pros cons reason*
        better best worst should argue argument analy* evaluate opinion advice recommend* cause*
        consequence* effect* ethical meaning_of step steps walk_me how_does how_do how_would
        how_can how_could how_should how_to would could strategy tradeoff* convince philosoph*
        whose_right who's_right is_right was_right point_of purpose complexity
        warum wieso weshalb weswegen erklar* erklaer* vergleich* unterschied* vorteil* nachteil*
        begrund* funktionier* soll sollte sollten besser beste besten spricht analys* wie_kann
        wie_macht wie_mache meinung schritt* bedeut*
        pourquoi explique* expliquer compare* difference* meilleur* avantage* inconvenient*
        comment_fonctionne* comment_faire comment_on comment_je comment_puis comment_marche
        devrais dois_je avis
        por_que porque porq explica* compar* diferencia* mejor* ventaja* desventaja* como_funciona*
        como_puedo como_hago como_se deberia debo conviene
        perche spieg* confront* differenz* meglio migliore vantaggi* svantaggi* come_funziona*
        come_posso come_si_fa dovrei conviene
        por_que porque explica* explique diferenca* melhor vantage* como_posso como_faco devo
        waarom leg_uit uitleg* vergelijk* verschil* voordel* nadel* hoe_werkt hoe_werken hoe_kan
        hoe_moet beter beste
        dlaczego czemu wyjasni* porown* roznic* lepiej lepszy lepsza najleps* wady zalety
        jak_dziala*
        jak_zrobic powinien powinnam powinienem
        почему зачем отчего объясни* объяснить сравни* сравнен* разниц* отлич* лучше лучший плюсы
        минусы как_работа* как_сделать стоит_ли
        neden niye nicin acikla* karsilastir* fark farki farklar* daha_iyi en_iyi nasil_calis*
        nasil_yap* avantaj*
        为什么 为何 怎么 怎样 如何 解释 说明 比较 对比 区别 差别 优缺点 更好 最好 分析 原因 应该
        建议
        なぜ なんで どうして 説明 比較 違い 差は 理由 原因 どうやって どうすれば どうやる 仕組み
        べき
        왜 설명* 비교* 차이* 이유* 어떻게 장단점* 원리* 추천*
        لماذا ليش اشرح* قارن* الفرق فرق كيف_يعمل كيف_تعمل كيف_يمكن كيف_اقوم افضل سبب هل_يجب
        """),
    "task": Cues.of("""
        write* writing rewrite* draft essay poem haiku story letter email recipe translat* proofread
        summar* tl tldr paraphras* generate create make build design develop implement* plan
        plans planning brainstorm* outline improve* optimi* convert fix fixing help helping setup
        install* configure list act_as pretend role_play roleplay review rate check find look_up
        give_me tell_me_about tell_me_a_story show_me teach can_you could_you can_u would_you
        need trying invent come_up ideas idea name_for
        schreib* verfass* formulier* ubersetz* uebersetz* zusammenfass* erstell* plane plan hilf*
        helf* gedicht* brief aufsatz liste entwirf mach gib prufe korrigier* verbesser* kannst_du
        konnt* ecris* ecrire redige* traduis* traduire resume* resumer aide* corrige* cree* creer
        fais donne* planifie* poeme lettre peux_tu tu_peux
        escrib* redacta* traduc* traduz* resum* ayuda* ayudame corrig* crear crea creame haz
        hazme dame planea*
        planific* poema carta puedes cuento
        scriv* traduc* riassum* aiut* correggi* fammi dammi pianific* poesia lettera puoi
        escrev* ajud* faca faz me_da planej* carta voce_pode
        schrijf* vertaal* samenvat* vat_samen help* verbeter* maak geef plan gedicht kun_je kan_je
        napisz* przetlumacz* stresc* podsumuj* pomoz* pomoc popraw* stworz* zrob* zaplanuj* wiersz
        напиш* написать перевед* перевод* помог* помощь исправ* создай* сделай* составь* придумай*
        план* стих* письмо можешь расскажи_о
        yaz* cevir* ozetle* yardim* duzelt* olustur* hazirla* planla* siir mektup yapabilir*
        写 翻译 总结 概括 帮 修改 创建 制作 做一 计划 列出 设计 诗 生成 推荐 讲一 改成
        書いて 書き 訳 要約 まとめ 手伝 助けて 直して 修正 作って 作成 計画 教えて 考えて ください
        써줘 써 작성* 번역* 요약* 도와* 고쳐* 만들* 계획* 알려* 해줘
        اكتب* ترجم* لخص* ساعد* صحح* انشئ* خطط* قصيده قصيدة اعطني اقترح* ممكن
        """),
}

# Words of which a message may consist and be small talk.
SMALL_TALK = frozenset(
    _listed("""
    hi hii hello hey heya hiya yo sup wassup whatsup howdy hola heyo gm gn morning mornin afternoon
    evening night goodnight nite welcome wb bye byebye cya goodbye later ttyl brb afk thanks thank
    thx ty tysm tyvm cheers lol lmao lmfao rofl haha hahaha hehe heh hihi xd omg wow nice cool great
    awesome neat sweet gg wp ez hru hbd congrats congratulations grats k kk ok okay oki okey alright
    yay woohoo aww oof rip bruh damn sorry sry np yw xoxo bored pog based kek yep yeet sheesh lit
    bot hm ah oh hurray bravo w ww
    hallo moin moinsen servus na gruezi huhu tach tschuss ciao danke dankeschon merci geil krass
    gehts klar super toll haha tja ach jo prost gruss glückwunsch hey
    salut coucou bonjour bonsoir cc merci mdr ptdr dacc daccord bisous genial
    buenas gracias jaja jajaja jeje vale genial saludos chao adios felicidades
    grazie ahah ahahah buongiorno buonasera buonanotte salve arrivederci prego
    oi ola obrigado obrigada valeu vlw kkk rs rsrs tchau eae opa blz beleza
    hoi hoihoi dankjewel dank dankje bedankt doei welterusten goedemorgen goedenavond leuk haha
    czesc siema hej dzieki dziekuje dobranoc dziendobry elo siemka pa spoko
    привет приветик здравствуй здравствуйте спасибо спс хай пока ахах ахаха ахахах ахахаха хаха
    лол ого класс круто доброе спокойной прив
    selam merhaba tesekkurler tesekkur sagol sagolun gunaydin naber jsjs jsjsjs sjsj hahaha eyvallah
    hosgeldin gorusuruz
    안녕 안녕하세요 고마워 고마워요 감사합니다 감사해요 잘자 잘자요 ㅋ ㅋㅋ ㅎ ㅎㅎ ㅇㅋ 하이 ㅠ
    ㅠㅠ
    مرحبا اهلا السلام سلام شكرا هه هههه ه صباح مساء عليكم وعليكم تمام
    """)
)

# Words that change nothing in a message of small talk.
FILLERS = frozenset(
    _listed("""
    all everyone everybody guys folks people friend friends man dude bro bud buddy mate there lot
    you u ya a an the so very much really too for and to my is it's its that's thats that this was
    one good bad back today now day have am i'm im
    you're youre are funny lots same way no just me well oh ah here
    zusammen leute alle du dir ihr euch gut gute schon ja mal so wie ist das
    a tous toi bien beaucoup le la les tout monde bot
    a todos gente amigo que tal muy bien que buenos muchas mil
    a tutti tutto bene come va mille ragazzi
    pessoal gente galera muito tudo bem bom boa
    allemaal alles goed jij je wel
    wam wszystkim bardzo
    всем большое ребята очень
    herkese cok cok
    다들 여러분 정말 너무 ㅎ
    بك بكم جزيلا جدا عليكم الخير النور
    """)
)

# Phrases that are small talk as a whole, whatever their words mean elsewhere.
_PHRASES = _listed("""
    hi_again hello_again thanks_again that_helped say_hi_to
    good_morning good_night good_evening good_afternoon good_bot bad_bot how_are_you how_are_u
    how_are_you_doing how_are_you_today how_r_u how's_it_going hows_it_going how_is_it_going
    what's_up whats_up wassup_bot whatcha_doing what_are_you_doing wyd what's_new whats_new
    happy_birthday happy_new_year merry_christmas happy_easter happy_halloween nice_to_meet_you
    nice_to_see_you are_you_there you_there are_you_awake r_u_there see_you see_ya see_you_later
    see_you_tomorrow take_care sleep_well have_a_nice_day have_a_good_day have_a_great_day
    have_fun good_luck well_done good_job great_job well_played you're_welcome no_problem no_way
    no_worries of_course_not i_love_you love_you love_u miss_you miss_u say_hi say_hello
    tell_me_a_joke tell_a_joke another_joke flip_a_coin toss_a_coin roll_a_dice roll_a_die
    i'm_back im_back i'm_bored im_bored i'm_tired im_tired wrong_channel good_to_know
    same_here me_too fair_enough my_bad got_it makes_sense say_something_nice
    wie_geht's wie_gehts wie_geht_es_dir guten_morgen guten_tag guten_abend gute_nacht
    alles_klar alles_gut bis_morgen bis_spater bis_dann vielen_dank danke_schon danke_dir
    herzlichen_gluckwunsch alles_gute frohe_weihnachten mir_ist_langweilig bin_wieder_da
    bin_zuruck was_geht was_machst_du schonen_tag wie_lauft's erzahl_nen_witz erzahl_einen_witz
    bist_du_da kein_problem
    ca_va comment_ca_va comment_vas_tu bonne_nuit bonne_journee bon_appetit d'accord a_demain
    a_plus merci_beaucoup bon_anniversaire de_rien quoi_de_neuf tres_bien pas_de_souci
    q_tal que_tal como_estas buenos_dias buenas_noches buenas_tardes muchas_gracias feliz_cumple
    feliz_cumpleanos de_nada hasta_luego hasta_manana que_haces todo_bien
    come_va come_stai buon_giorno buona_notte buona_sera grazie_mille tutto_bene buon_compleanno
    a_domani che_fai
    tudo_bem como_vai bom_dia boa_noite boa_tarde muito_obrigado muito_obrigada tudo_bom
    feliz_aniversario ate_amanha
    alles_goed hoe_gaat_het hoe_is_het goede_morgen slaap_lekker tot_morgen fijne_dag dank_je
    dank_je_wel gefeliciteerd
    co_tam co_slychac jak_sie_masz dzien_dobry dobry_wieczor milego_dnia wszystkiego_najlepszego
    как_дела как_ты доброе_утро добрый_день добрый_вечер спокойной_ночи с_днем_рождения
    что_делаешь большое_спасибо
    nasilsin nasilsiniz ne_haber iyi_geceler iyi_gunler iyi_aksamlar dogum_gunun_kutlu_olsun
    ne_yapiyorsun
    잘_자 잘_지내 뭐_해 뭐해 좋은_아침 생일_축하해 잘_지냈어 굿모닝
    السلام_عليكم كيف_حالك كيفك صباح_الخير مساء_الخير تصبح_على_خير شكرا_جزيلا كل_عام_وانت_بخير
    كيف_الحال
    """)
_PADDED_PHRASES = tuple(sorted((f" {phrase} " for phrase in _PHRASES), key=len, reverse=True))
_UNSPACED_PHRASES = tuple(
    sorted(
        _listed("""
        你好 您好 大家好 早上好 早安 早 晚安 晚上好 下午好 谢谢 謝謝 多谢 感谢 哈哈 哈 嘻嘻 再见
        拜拜 在吗
        你好吗 好的 好 嗯 不客气 生日快乐 新年快乐 加油 厉害 牛 笑死 吃了吗 啊 了 呀 吧 呢 大家
        你 了解
        こんにちは こんばんは おはよう ございます おはよー おやすみ なさい ありがとう ありがと
        どうも やあ 元気
        ですか お疲れ様 おつかれ です 了解 笑 草 なるほど すごい いいね ごめん ただいま おかえり
        よろしく
        お願いします またね はじめまして うける やばい 誕生日おめでとう おめでとう みんな さん
        だね ね よ
        """),
        key=len,
        reverse=True,
    )
)

# Words of a social mood; two signs of one make chatter of a statement.
SOCIAL = frozenset(
    _listed("""
    everybody everyone guys missed miss love loved hope hoping wish luck happy glad finally weekend
    vacation holiday tired sleepy hungry coffee lunch dinner beach cat dog helped enjoy enjoyed
    beautiful gorgeous cute adorable fun funny amazing lovely sooo bed birthday party proud
    endlich urlaub wochenende mude schlafen freue freu kaffee hunger schonen lieb katze hund
    vacances weekend fatigue dodo content contente chat
    vacaciones finde cansado cansada feliz gato perro cafe
    vacanza stanco stanca felice ferias cansado cansada saudade vakantie moe blij weekend
    weekendu kocham zmeczony zmeczona отпуск выходные устал устала люблю рад рада
    tatil yorgun mutlu
    """)
)

# Words that point at what was said before: such a question does not stand by itself.
DEIXIS = frozenset(
    _listed("""
    this that these those it they them he she his her there then we us our mine my i me
    dies dieser diese dieses es er sie ihn dort dann wir
    ca cela ceci celui celle elle eso esto ese aquel questo quello quella isso isto esse
    dat dit deze tego tym это этот эта этого он она bu su onun
    هذا هذه ذلك
    """)
)

# How a question about one fact begins; what follows is looked at by itself.
FACT = _pattern(
    # English
    r"""
    (?:and |so |hey |hi |ok |pls |bot )?
    (?:what's|whats|what is|what was|wats)(?: the| your)? (?:
        capital|currency|population|president|prime minister|chancellor|king|queen|national \w+|
        height|weight|age|name|date|time|weather|temperature|opposite|plural|symbol|emoji|author|
        birthday|colou?r|language|area code|country code|time ?zone|abbreviation|speed of \w+|
        (?:boiling|melting|freezing) point of|
        (?:largest|biggest|smallest|tallest|highest|longest|fastest|oldest) \w+)|
    capital of|
    what time is it|(?:what|which) (?:time|day|date|year|month|country|colou?r|continent|planet)|
    (?:who's|whos|who is|who was|who are) (?:the |your )?(?:
        king|queen|president|ceo|author|founder|you|owner|mayor|singer|online)|
    who (?:wrote|painted|made|invented|discovered|directed|won|sang|sings|founded|built|composed|
        created|plays|played)|
    (?:when|where) (?:is|was|were|did)|(?:when|where)'s|
    how (?:tall|old|far|high|deep|big|heavy|fast|hot|cold|large|long (?:is|was))|
    how many (?:legs|people live|days|hours|minutes|seconds|weeks|planets|countries|states|
        continents|strings|teeth|bones|players|grams|meters|feet|inches|kilometers|miles)|
    how (?:do you|to) (?:spell|pronounce)|what (?:does|do) \w+ (?:mean|stand for)|
    is an? \w+ an? \w+|
    do (?:you|u) (?:like|love|know any|sleep|eat|dream|speak)|
    (?:are|r) (?:you|u) (?:an? |the )?(?:real|human|bot|robot|ai|ok|okay|alive|awake|online|happy|
        sad|tired|married)|
    (?:fav|favou?rite) (?:colou?r|food|song|movie|animal|game)|
    roll a d\d+
    """,
    # German
    r"""
    (?:was|wie) ist (?:die|der|das|dein) (?:hauptstadt|wahrung|name|hymne|einwohnerzahl|gegenteil|
        wetter|uhrzeit|temperatur|lieblings\w+|\w+ste \w+)|
    wie (?:hoch|alt|gross|weit|tief|lang|schnell|schwer|spat|heisst du|heisst die hauptstadt)|
    wie viele (?:einwohner|beine|tage|stunden|planeten)|
    wer (?:schrieb|malte|erfand|gewann|bist|
        hat .{1,30}(?:geschrieben|gemalt|erfunden|gewonnen|entdeckt|komponiert|gebaut)|
        ist (?:der|die) (?:prasident|bundeskanzler|kanzler|konig)\w*)|
    wann (?:ist|war|wurde|beginnt|hat)|wo (?:ist|liegt|war|wohnst)|magst du|
    bist du (?:ein|eine|wach|online|echt)|welche[rsn]? (?:tag|jahr|farbe|sprache)|wofur steht
    """,
    # French
    r"""
    (?:c'est quoi|quelle est|quel est) (?:la|le|ton|ta)[ ](?:
        capitale|monnaie|nom|population|president|meteo|couleur\w*)|
    qui (?:a (?:ecrit|peint|invente|gagne|decouvert|compose)|est le president|es tu)|
    tu t'appelles comment|comment tu t'appelles|quand (?:est|a|commence|c'est)|
    ou (?:est|se trouve)|quelle heure|quel jour|quel age|combien (?:mesure|de pattes|d'habitants)|
    (?:tu es|t'es) une?
    """,
    # Spanish
    r"""
    (?:cual es|cual era) (?:la|el|tu) (?:capital|moneda|nombre|poblacion|presidente|color\w*)|
    quien (?:escribio|pinto|invento|gano|descubrio|compuso|eres|es el (?:presidente|rey))|
    como te llamas|cuando (?:es|fue|empieza|murio|nacio)|donde (?:esta|queda)|que (?:hora|dia) es|
    cuantos (?:anos tienes|habitantes|dias|planetas)|cuanto mide|eres un|te gustan?
    """,
    # Italian
    r"""
    (?:qual e|qual era|quale e) (?:la|il|tuo) (?:capitale|moneta|nome|popolazione)|
    chi (?:ha (?:dipinto|scritto|inventato|vinto|scoperto)|e il (?:presidente|re)|sei)|
    come ti chiami|quando (?:e|fu|inizia)|dove (?:si trova|e)|che (?:ore sono|ora e|giorno e)|
    quanto e (?:alto|alta|lungo)|sei un
    """,
    # Portuguese
    r"""
    (?:qual e|qual era) (?:a|o|teu|seu) (?:capital|moeda|nome|populacao|presidente)|
    quem (?:escreveu|pintou|inventou|ganhou|descobriu|e o presidente|e voce)|
    qual (?:o )?(?:seu|teu) nome|como (?:voce )?se chama|quando (?:e|foi)|onde fica|
    que (?:horas sao|dia e)|quantos anos (?:voce )?tem|voce e um
    """,
    # Dutch
    r"""
    wat is (?:de|het|je) (?:hoofdstad|munt|naam|weer)|
    wie (?:schreef|schilderde|won|ben jij|heeft .{1,30}(?:geschreven|geschilderd|gewonnen))|
    hoe (?:heet je|hoog|oud|groot|laat|ver|lang)|wanneer (?:is|was)|waar (?:ligt|is)|ben je een
    """,
    # Polish
    r"""
    jaka jest stolica|jak masz na imie|jak sie nazywasz|ile masz lat|ktora godzina|
    kto (?:napisal|namalowal|wygral|wynalazl|odkryl)|kiedy (?:jest|byl|byla|bylo)|
    gdzie (?:jest|lezy)
    """,
    # Russian
    r"""
    какая столица|столица|кто (?:написал|нарисовал|изобрел|открыл|выиграл|ты|президент)|
    как тебя зовут|когда (?:день|был|была|началась|новый|закончилась)|где (?:находится|ты)|
    сколько (?:времени|тебе лет|лет|дней|планет)|который час|какой сегодня|ты (?:бот|человек|робот)
    """,
    # Turkish, Korean: the question word comes last
    r"""
    adin ne|saat kac|kac yasindasin|bot musun|
    .{2,40} (?:baskenti (?:neresi|nere|ne)|kim (?:yazdi|icat etti|cizdi|yapti)|ne zaman)|
    \w+ 수도[가는]? ?(?:어디|뭐)\w*|이름이? 뭐\w*|(?:지금 )?몇 ?시\w*|몇 ?살\w*|너 봇\w*
    """,
    # Arabic
    r"""
    ما هي عاصم[ةه]|ما عاصم[ةه]|من (?:كتب|رسم|اخترع|اكتشف|فاز)|ما اسمك|متي|كم الساع[ةه]|كم عمرك|
    اين (?:تقع|يقع)
    """,
    # Chinese, Japanese
    r"""
    CJK{1,8}的?首都(?:是哪里|是哪儿|在哪里?|是什么)|CJK{1,12}是谁(?:写|画|发明)的|
    谁(?:写|画|发明)了CJK{1,12}|你叫什么名字?|你是谁|你是机器人吗|你几岁了?|现在几点了?|今天星期几|
    CJK{1,8}の首都は?(?:どこ|何)?(?:ですか)?|CJK{1,12}を(?:書いた|描いた|発明した)のは(?:誰|だれ)(?:ですか)?|
    (?:あなたの|お)?名前は(?:何)?(?:ですか)?|今何時(?:ですか)?|何歳(?:ですか)?|今日は?何曜日
    """,
)


# Words by which a statement asks for something after all.
ASKING = frozenset(
    _listed("""
    what which how who where if know knows wondering question questions problem problems issue
    issues trouble stuck broken broke slow lost want wants wanna please anyone anybody
    welche welcher welches wie wer wo wann ob weiss wissen frage fragen problem probleme kaputt
    bitte jemand will mochte
    que quel quelle quels comment qui quand si sais savoir question probleme quelqu'un veux voudrais
    cual quien cuando donde como pregunta problema alguien quiero saber favor
    che quale quando dove domanda qualcuno voglio vorrei sapere
    qual quem onde pergunta alguem quero
    wat welke hoe wie waar wanneer vraag probleem iemand wil graag
    co ktory ktora jak kto gdzie kiedy pytanie ktos chce prosze
    что какой какая какие как кто где когда вопрос проблема кто-нибудь хочу пожалуйста нужно надо
    ne hangi kim nerede soru sorun biri lutfen istiyorum
    뭐 무엇 어떤 어디 언제 누가 질문 문제
    ما ماذا اي من اين متي سؤال مشكلة اريد
    """)
)


def without_phrases(padded: str) -> str:
    """What is left of a message without its phrases of small talk."""
    for phrase in _PADDED_PHRASES:
        if phrase in padded:
            padded = padded.replace(phrase, " ")
    if not padded.isascii():
        for phrase in _UNSPACED_PHRASES:
            padded = padded.replace(phrase, "")
    return padded


def opens_with_phrase(padded: str) -> bool:
    return padded.startswith(_PADDED_PHRASES)
