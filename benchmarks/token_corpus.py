"""Texts to measure token estimates on: chat in many scripts, and what people paste into it.

The weights of the estimate were fitted to other texts. Each kind has short and long ones, with
the typing habits of its script; a benchmark that needs a least length passes over the rest.
"""

from __future__ import annotations


def _prose(block: str, *, joint: str = " ") -> tuple[str, ...]:
    """Texts parted by an empty line; the lines of one are joined."""
    return tuple(joint.join(text.splitlines()) for text in block.strip().split("\n\n"))


def _verbatim(block: str) -> tuple[str, ...]:
    """Texts parted by a line of `%%`, line breaks and indents as they stand."""
    return tuple(block.strip("\n").split("\n%%\n"))


ENGLISH = _prose(
    """
hey does anyone know why my laptop gets so hot when I leave the browser open overnight?
it's literally burning my desk lol

Can you explain the difference between a list and a tuple like I'm five? I keep mixing them up
and my exam is on Thursday.

I think we should move the raid to Saturday evening. Marcus can't make it on Friday and without a
second healer we're going to wipe on the last boss again. Anyone against it?

Thanks, that worked! I had to restart the router twice, though, and now the printer has
disappeared from the network. Small price to pay I guess.

So here's the thing: my grandmother's recipe says "a cup of flour", but her cup was an old
enamelled mug that nobody can find anymore. I've tried a quarter litre, then three hundred
millilitres, and the dumplings came out either gluey or falling apart. What would you do? She
also wrote that the dough has to rest "until the cat comes back", which isn't terribly precise.

omg no way, you finished the whole thing in one night?? i'm still stuck at chapter 3 and honestly
i don't get why the detective trusts the gardener at all

Could you summarise what happened in here since yesterday? I was travelling and there are about
four hundred unread messages.

The committee acknowledged that the preliminary assessment had underestimated the environmental
consequences of the reservoir, particularly regarding sedimentation, groundwater contamination and
the displacement of agricultural communities downstream. Notwithstanding these reservations,
construction is scheduled to resume in the spring, subject to an independent hydrological survey.

nah I'm good, gonna grab some tacos and crash. ping me tmrw if the server's acting up again, k?

First of all, I'd like to apologise for the tone of my last message. I was tired and frustrated,
and you were only trying to help. Second, I read the article you posted and you were right about
the battery: it isn't the charger that fails, it's the little connector behind it. I ordered a
replacement for eleven dollars and it should arrive on Wednesday. If it works I owe you a coffee,
and if it doesn't I owe you two, because then I'll be asking for help again.

What's a good name for a tabby cat who screams at the fridge? We have Biscuit, Waffles and
Professor Meowington on the list, and my sister hates all of them.

Quick reminder that the book club meets at seven in the small voice channel. We're discussing the
first half of the novel, so please no spoilers beyond chapter fourteen.

Alright, here is the long version. We signed the lease in March because the flat was bright, close
to the station and just about affordable. In April the neighbours upstairs began renovating, which
nobody had mentioned, and for six weeks there was drilling from half past seven in the morning. In
May a pipe burst behind the bathroom wall; the plumber opened the tiles, shrugged, and told us the
landlord would have to approve a new boiler. The landlord, meanwhile, had gone sailing. So I've been
showering at the gym, my partner moved her desk to the library, and the cat has decided that the
wardrobe is the only safe place left. My question: is there any way to get part of the rent back, or
does that only work if you complained in writing from the very first day?
"""
)

GERMAN = _prose(
    """
Moin, kann mir jemand sagen, warum mein Rechner nach dem letzten Update so langsam startet? Vorher
ging das in zehn Sekunden.

Ich glaube, wir sollten das Treffen auf Samstag verschieben. Freitag schaffe ich es nicht vor neun,
und dann ist die Küche in der Kneipe schon zu.

Danke dir, hat geklappt! Ich musste nur noch die Treiber neu installieren und einmal kräftig
fluchen.

Kannst du mir den Unterschied zwischen Arbeitslosengeld und Bürgergeld erklären? Meine Nachbarin
behauptet, das sei seit der Reform dasselbe, aber in der Behörde hat man mir etwas anderes erzählt.

lol nee, ich bin grad erst aufgewacht und hab noch nix gegessen. schreib mir einfach später
nochmal, dann schauen wir uns das zusammen an, ok?

Die Straßenverkehrsbehörde hat angekündigt, die Geschwindigkeitsbegrenzung auf der Umgehungsstraße
vorübergehend herabzusetzen. Grund seien Fahrbahnschäden, die nach den Überschwemmungen im Frühjahr
festgestellt wurden. Anwohner befürchten nun, dass sich der Durchgangsverkehr in die umliegenden
Wohngebiete verlagert.

Gestern war ich zum ersten Mal seit Jahren wieder im Freibad. Das Wasser war eiskalt, die Pommes
waren teuer, und trotzdem war es einer der schönsten Tage in diesem Sommer. Meine Tochter ist vom
Dreimeterbrett gesprungen und hat danach so laut gelacht, dass der Bademeister mitlachen musste.
Nächste Woche wollen wir wieder hin, diesmal mit den Großeltern.

Hat jemand Erfahrung mit gebrauchten Lastenrädern? Ich schwanke zwischen zwei Modellen: das eine
hat eine neue Batterie, das andere die bessere Schaltung.

Was haltet ihr eigentlich von der neuen Staffel? Ich fand die ersten beiden Folgen zäh, aber ab der
dritten wurde es richtig spannend, und das Ende hat mich ehrlich überrascht.

Könnt ihr bitte die Rollen im Server aufräumen? Es gibt drei verschiedene Moderatorengruppen, und
niemand weiß, wer für die Bewerbungen zuständig ist.

Mein Vorschlag für die Weihnachtsfeier: erst Schlittschuhlaufen, dann Glühwein, danach wichteln.
Wer eine Lebensmittelunverträglichkeit hat, meldet sich bitte bis Sonntag bei mir.

So, jetzt die ausführliche Fassung. Wir haben den Mietvertrag im März unterschrieben, weil die
Wohnung hell war, nah am Bahnhof lag und gerade noch bezahlbar schien. Im April fingen die Nachbarn
über uns an zu renovieren, was natürlich niemand erwähnt hatte, und sechs Wochen lang wurde ab halb
acht gebohrt. Im Mai platzte hinter der Badezimmerwand ein Rohr; der Installateur schlug die Fliesen
auf, zuckte mit den Schultern und meinte, der Vermieter müsse erst eine neue Heizungsanlage
genehmigen. Der Vermieter war währenddessen segeln. Seitdem dusche ich im Fitnessstudio, und die
Katze hält den Kleiderschrank für den einzigen sicheren Ort. Meine Frage: Kann ich einen Teil der
Miete zurückfordern?
"""
)

SPANISH = _prose(
    """
Oye, ¿alguien sabe por qué no me deja entrar al servidor? Me sale un error raro desde anoche y ya
reinicié todo.

Creo que deberíamos mover la partida al sábado por la tarde, porque el viernes trabajo hasta las
diez y llego muerto.

¡Muchas gracias! Funcionó a la primera, aunque tuve que borrar la carpeta temporal y volver a
descargar los archivos.

¿Me puedes explicar la diferencia entre «por» y «para» con ejemplos sencillos? Llevo dos años
estudiando y todavía me equivoco.

jajaja no manches, yo ni me había dado cuenta, qué pena con tu hermana, dile que luego le pago

El ayuntamiento anunció ayer la ampliación de la línea de tranvía hasta el polígono industrial. Las
obras comenzarán en otoño y durarán aproximadamente dieciocho meses, durante los cuales se
habilitarán autobuses gratuitos. Los comerciantes del barrio temen perder clientela y exigen
compensaciones.

Mi abuela hacía una tortilla de patatas que nadie ha conseguido repetir. Decía que el secreto era
no tener prisa: freír las patatas despacito, dejarlas reposar con el huevo y darle la vuelta sin
miedo. Yo lo intento cada domingo y siempre se me rompe por el mismo lado.

¿Qué película me recomiendan para ver con niños pequeños? Nada de miedo, por favor, que después no
duermen.

Bueno, ya quedamos entonces: tú llevas las bebidas, yo me encargo de la música y Lucía trae el
pastel. Si llueve nos vemos en mi casa.
"""
)

FRENCH = _prose(
    """
Salut tout le monde, est-ce que quelqu'un sait pourquoi le bot ne répond plus depuis ce matin ?
J'ai essayé trois fois.

Franchement je trouve qu'on devrait reporter la soirée à samedi, vendredi j'ai un train à prendre
et je serai crevé.

Merci beaucoup, ça marche enfin ! Il fallait juste vider le cache et relancer l'application,
j'aurais dû y penser.

Tu peux m'expliquer la différence entre l'imparfait et le passé composé ? Mon prof dit que c'est
simple, mais je n'y comprends rien.

mdr t'es sérieux là ?? j'ai attendu deux heures pour rien, la prochaine fois préviens-moi stp

Le conseil municipal a adopté hier soir le projet de rénovation de la bibliothèque, malgré
l'opposition de plusieurs associations de quartier. Les travaux débuteront en septembre et coûteront
près de quatre millions d'euros, dont la moitié sera financée par la région.

Hier on a fait une randonnée autour du lac, et au bout d'une heure l'orage nous est tombé dessus. On
s'est abrités sous un gros rocher avec une famille de Belges qui nous a offert du chocolat.
Finalement c'était le meilleur moment de la journée, même si mes chaussures sont encore trempées.

Vous auriez une idée de cadeau pour quelqu'un qui a déjà tout ? Il aime le jardinage, les échecs et
les vieux films policiers.

D'accord, alors on se retrouve devant la gare à dix heures. N'oubliez pas vos maillots de bain et un
pique-nique, il n'y a aucun magasin là-bas.
"""
)

POLISH = _prose(
    """
Cześć, czy ktoś wie, dlaczego od wczoraj nie mogę się zalogować na serwer? Próbowałem już zmienić
hasło i nic.

Myślę, że powinniśmy przełożyć spotkanie na sobotę, bo w piątek pracuję do późna i nie zdążę
wrócić.

Dzięki wielkie, zadziałało! Musiałem tylko wyczyścić pamięć podręczną i uruchomić wszystko od nowa.

Możesz mi wyjaśnić różnicę między trybem dokonanym a niedokonanym? Koleżanka z Hiszpanii uczy się
polskiego i nie potrafię jej tego wytłumaczyć.

haha nie no, bez przesady, przecież to było tylko raz, zresztą sam mówiłeś że spoko

Rada miasta przyjęła wczoraj uchwałę w sprawie budowy nowej linii tramwajowej. Prace rozpoczną się
jesienią i potrwają około półtora roku, a mieszkańcy obawiają się utrudnień w ruchu oraz hałasu.

Wczoraj pierwszy raz od dawna poszliśmy do lasu na grzyby. Znaleźliśmy same muchomory i jednego
maślaka, za to pies był zachwycony, bo wytarzał się w błocie i przegonił zająca. Wieczorem
zamówiliśmy pizzę i obejrzeliśmy stary film o kosmitach.

Jaki prezent kupilibyście komuś, kto wszystko już ma? Lubi ogrodnictwo, szachy i kryminały.

No dobra, to widzimy się o dziesiątej przed dworcem. Weźcie kanapki i kurtki przeciwdeszczowe, bo
prognoza jest fatalna.
"""
)

TURKISH = _prose(
    """
Selam, dün geceden beri sunucuya giremiyorum, sizde de aynı sorun var mı? Her şeyi yeniden başlattım
ama olmadı.

Bence toplantıyı cumartesiye alalım, cuma günü geç saate kadar çalışıyorum ve yetişemem.

Çok teşekkürler, sonunda çalıştı! Sadece önbelleği temizleyip uygulamayı tekrar yüklemem
gerekiyormuş.

Bana geçmiş zaman eklerinin farkını basit örneklerle açıklayabilir misin? Yarın sınavım var ve
hepsini karıştırıyorum.

ya abi şaka mısın, iki saattir bekliyorum burada, bari bir mesaj atsaydın

Belediye meclisi, sanayi bölgesine kadar uzatılacak yeni tramvay hattını dün oy birliğiyle kabul
etti. Çalışmaların sonbaharda başlaması ve yaklaşık on sekiz ay sürmesi bekleniyor; esnaf ise
müşteri kaybetmekten endişe ediyor.

Dün uzun zamandan sonra ilk kez denize gittik. Su buz gibiydi ama çocuklar çıkmak istemedi, akşama
kadar kumdan kale yaptılar. Dönüşte yolda lastik patladı, neyse ki bir kamyon şoförü durup bize
yardım etti.

Her şeyi olan birine ne hediye alınır sizce? Bahçeyle uğraşmayı, satrancı ve eski polisiye filmleri
seviyor.

Tamam o zaman, saat onda garın önünde buluşuyoruz. Yanınıza yiyecek bir şeyler ve kalın bir mont
alın, hava soğuk olacakmış.
"""
)

RUSSIAN = _prose(
    """
Привет всем, кто-нибудь знает, почему бот не отвечает с самого утра? Я уже три раза всё
перезапускал.

Думаю, нам лучше перенести встречу на субботу: в пятницу я работаю допоздна и точно не успею.

Спасибо огромное, заработало! Оказалось, надо было просто очистить кэш и заново скачать файлы.

Можешь объяснить разницу между совершенным и несовершенным видом глагола? Подруга из Испании учит
русский, и я не могу ей нормально растолковать.

ахаха да ладно тебе, я просто пошутил, чего ты сразу обижаешься то

Городской совет вчера утвердил проект продления трамвайной линии до промышленной зоны. Работы
начнутся осенью и продлятся около полутора лет; жители опасаются шума и перекрытия дорог, а
предприниматели требуют компенсаций.

Вчера мы впервые за долгое время поехали на дачу. Крыша протекла, мыши съели весь запас крупы, зато
яблок уродилось столько, что мы раздали их половине посёлка. Вечером сидели у костра, пекли картошку
и слушали, как сосед играет на гармошке.

Что подарить человеку, у которого всё есть? Он любит садоводство, шахматы и старые детективы.

Ладно, тогда встречаемся в десять у вокзала. Возьмите бутерброды и дождевики, прогноз ужасный.
"""
)

CHINESE = _prose(
    """
大家好，有人知道为什么机器人从今天早上开始就不回消息了吗？
我已经重启了三次，还是一样。

我觉得聚会还是改到周六比较好，周五我要加班到很晚，赶不过去。

谢谢你，终于好了！原来只要清一下缓存，再重新下载一遍就行，我折腾了一整天。

你能用简单的例子解释一下“的、得、地”的区别吗？我学了两年中文还是经常用错。

哈哈哈笑死我了，你怎么连这个都不知道啊，昨天群里不是刚说过吗

市政府昨天宣布，新的地铁线路将于明年秋季开工，预计工期为十八个月。
届时沿线部分道路将实行交通管制，市民可以乘坐免费接驳巴士出行。
附近的商户担心客流减少，希望有关部门给予适当补偿。

昨天我们全家去爬山，走到半路突然下起了大雨，只好躲在一个小亭子里。
亭子里还有一对老夫妻，他们请我们喝热茶，还讲了很多年轻时候的故事。
虽然最后没有爬到山顶，但孩子们都说这是今年最开心的一天。

有什么适合送给朋友的生日礼物吗？他喜欢种花、下棋，还喜欢看老电影，预算三百块左右。

好的，那我们明天上午十点在火车站门口见。
记得带雨伞和外套，天气预报说会降温。

這個功能我覺得還不錯，不過介面有點複雜，希望之後可以加上深色模式和鍵盤快捷鍵。

我的电脑最近总是自动关机，风扇声音特别大，摸起来也很烫。
是不是该换散热硅脂了？还是说电源有问题？求大神指点。

好吧，我从头说起。三月份我们签了租房合同，因为房子采光好，离车站近，价格也勉强能接受。
四月份楼上的邻居开始装修，之前谁也没提过，整整六个星期每天早上七点半就开始钻墙。
五月份浴室墙后面的水管又爆了，师傅把瓷砖敲开，耸耸肩说要等房东同意才能换新的热水器。
可是房东那时候正在海上钓鱼，电话根本打不通。
现在我每天去健身房洗澡，女朋友搬到图书馆去写论文，连猫都觉得只有衣柜里才安全。
我想问一下，这种情况能不能要求退一部分房租？还是必须从第一天起就有书面投诉才行？
"""
    "",
    joint="",
)

JAPANESE = _prose(
    """
すみません、今朝からボットが全然返事をしてくれないんですけど、
同じ人いますか？三回も再起動したのにダメでした。

やっぱり集まりは土曜日にしませんか。金曜は残業で九時すぎまで帰れそうにないです。

ありがとうございます！キャッシュを消してもう一度ダウンロードしたら、ちゃんと動きました。

「は」と「が」の違いを簡単な例で教えてもらえますか？
二年も勉強しているのに、まだよく間違えます。

えー、まじで？笑 昨日あんなに自信満々だったのに、全然できてないじゃん

市は昨日、新しい路面電車の路線を工業団地まで延ばす計画を発表した。
工事は秋に始まり、およそ一年半かかる見込みで、その間は無料のバスが運行される。
一方で、商店街の店主たちは客が減ることを心配している。

きのう、久しぶりに家族で山に登りました。
途中で急に雨が降ってきて、小さな小屋で雨宿りをしたのですが、
そこで会ったおじいさんが温かいお茶とおにぎりを分けてくれました。
頂上までは行けなかったけれど、子どもたちは大喜びでした。

友達の誕生日プレゼントで悩んでいます。ガーデニングと将棋と古い映画が好きな人なんですが、
何かいいアイデアありますか？

了解です。じゃあ明日の朝十時に駅の改札前で待ち合わせしましょう。
雨が降りそうなので傘を忘れないでくださいね。

このゲーム、グラフィックはすごくきれいだけど、
ロード時間が長すぎてちょっとイライラする。アップデートで直るといいな。

パソコンのファンがうるさくて、触るとかなり熱いです。
グリスを塗り直したほうがいいのか、電源を交換したほうがいいのか分かりません。

では最初から説明しますね。三月に今の部屋を契約しました。明るくて駅からも近く、
家賃もぎりぎり払える金額だったからです。ところが四月になると上の階で工事が始まり、
誰からも聞いていなかったのに、六週間も毎朝七時半からドリルの音が続きました。
五月にはお風呂の壁の裏で水道管が破裂して、業者さんはタイルをはがしたあと、
「給湯器を交換するには大家さんの許可が必要です」と言って帰ってしまいました。
その大家さんは海外旅行中で、まったく連絡が取れません。
今はジムでシャワーを浴びていて、猫は押し入れから出てこなくなりました。
こういう場合、家賃の一部を返してもらうことはできるのでしょうか。
""",
    joint="",
)

KOREAN = _prose(
    """
안녕하세요, 오늘 아침부터 봇이 대답을 안 하는데 저만 그런가요? 세 번이나 다시 시작해 봤어요.

모임은 토요일로 옮기는 게 좋을 것 같아요. 금요일에는 야근이라서 아홉 시 전에는 못 가요.

정말 고마워요, 이제 잘 돼요! 캐시를 지우고 파일을 다시 내려받으니까 바로 해결됐네요.

"은/는"이랑 "이/가"의 차이를 쉬운 예문으로 설명해 줄 수 있어요? 이 년이나 공부했는데 아직도
자주 틀려요.

ㅋㅋㅋㅋ 진짜? 어제는 그렇게 자신 있다고 하더니 하나도 안 했네 ㅠㅠ

시청은 어제 새로운 지하철 노선을 산업 단지까지 연장하는 계획을 발표했다. 공사는 가을에 시작되어
약 십팔 개월 동안 진행될 예정이며, 그동안 무료 셔틀버스가 운행된다. 상인들은 손님이 줄어들까 봐
걱정하고 있다.

어제 오랜만에 가족들이랑 산에 갔어요. 올라가는 길에 갑자기 비가 쏟아져서 작은 정자에서 비를
피했는데, 거기서 만난 할아버지가 따뜻한 차를 나눠 주셨어요. 정상까지는 못 갔지만 아이들이
정말 좋아했어요.

친구 생일 선물로 뭐가 좋을까요? 꽃 키우는 거랑 바둑, 그리고 오래된 영화를 좋아하는 친구예요.

알겠어요, 그럼 내일 아침 열 시에 역 앞에서 만나요. 비가 온다고 하니까 우산 꼭 챙기세요.
"""
)

ARABIC = _prose(
    """
مرحبا يا جماعة، هل يعرف أحد لماذا لا يرد البوت منذ هذا الصباح؟ أعدت التشغيل ثلاث مرات دون فائدة.

أعتقد أنه من الأفضل تأجيل اللقاء إلى يوم السبت، لأنني أعمل يوم الجمعة حتى وقت متأخر.

شكرا جزيلا، لقد نجح الأمر أخيرا! كان يجب فقط مسح الذاكرة المؤقتة وتنزيل الملفات من جديد.

هل يمكنك أن تشرح لي الفرق بين الفعل الماضي والفعل المضارع بأمثلة بسيطة؟ عندي امتحان غدا وأنا أخلط
بينهما.

هههه والله ما كنت أعرف، ليش ما قلت لي من قبل؟ خلاص بكرة نشوف الموضوع سوا إن شاء الله

أعلن مجلس المدينة أمس عن مشروع لتوسيع خط الترام حتى المنطقة الصناعية. ومن المتوقع أن تبدأ الأعمال
في الخريف وأن تستمر نحو ثمانية عشر شهرا، فيما يخشى أصحاب المتاجر من فقدان الزبائن ويطالبون بتعويضات.

ذهبنا أمس إلى الجبل لأول مرة منذ زمن طويل. وفي منتصف الطريق نزل علينا مطر غزير فاختبأنا في كوخ صغير،
وهناك قابلنا رجلا عجوزا قدم لنا الشاي الساخن وحكى لنا قصصا عن شبابه. لم نصل إلى القمة، لكن الأطفال
كانوا سعداء جدا.

ماذا أهدي صديقا يملك كل شيء؟ هو يحب الزراعة والشطرنج والأفلام القديمة.

حسنا، نلتقي غدا في الساعة العاشرة أمام المحطة. لا تنسوا المظلات والملابس الدافئة، فالجو سيكون باردا.

جهازي يسخن كثيرا هذه الأيام والمروحة صوتها عال جدا. هل المشكلة في المعجون الحراري أم في مزود
الطاقة؟ أحتاج نصيحتكم قبل أن أشتري قطعا جديدة.

طيب، سأحكي لكم القصة من البداية. وقعنا عقد الإيجار في شهر مارس لأن الشقة مضيئة وقريبة من المحطة
وسعرها مقبول إلى حد ما. في أبريل بدأ الجيران فوقنا أعمال الترميم دون أن يخبرنا أحد، واستمر صوت الحفر
ستة أسابيع كل صباح. وفي مايو انفجر أنبوب الماء خلف جدار الحمام، ففتح السباك البلاط ثم قال إن صاحب
البيت يجب أن يوافق على سخان جديد. لكن صاحب البيت كان مسافرا ولا يرد على الهاتف. منذ ذلك الوقت
أستحم في النادي الرياضي، وزوجتي تعمل في المكتبة، والقطة لا تخرج من الخزانة. سؤالي هو: هل يمكنني
استرجاع جزء من الإيجار؟
"""
)

HINDI = _prose(
    """
नमस्ते दोस्तों, क्या किसी को पता है कि बॉट आज सुबह से जवाब क्यों नहीं दे रहा है? मैंने तीन बार
रीस्टार्ट किया।

मुझे लगता है कि हमें मीटिंग शनिवार को रखनी चाहिए, क्योंकि शुक्रवार को मुझे देर तक काम करना है।

बहुत बहुत धन्यवाद, अब ठीक चल रहा है! बस फ़ाइलें दोबारा डाउनलोड करनी पड़ीं।

क्या आप मुझे आसान उदाहरण देकर समझा सकते हैं कि "ने" कब लगता है और कब नहीं? कल मेरी परीक्षा है।

अरे यार मज़ाक मत करो, मैं दो घंटे से यहाँ इंतज़ार कर रहा हूँ, कम से कम एक मैसेज तो कर देते

नगर परिषद ने कल नई मेट्रो लाइन को औद्योगिक क्षेत्र तक बढ़ाने की योजना को मंज़ूरी दे दी। काम अगले
साल शुरू होगा और लगभग अठारह महीने चलेगा, जबकि दुकानदारों को ग्राहक कम होने का डर है।

कल हम बहुत दिनों बाद परिवार के साथ पहाड़ पर गए। रास्ते में अचानक तेज़ बारिश होने लगी, तो हम एक
छोटी सी झोपड़ी में रुक गए, जहाँ एक बूढ़े बाबा ने हमें गरम चाय पिलाई और पुरानी कहानियाँ सुनाईं।

दोस्त के जन्मदिन पर क्या उपहार दूँ? उसे बाग़वानी, शतरंज और पुरानी फ़िल्में पसंद हैं।

ठीक है, तो कल सुबह दस बजे स्टेशन के सामने मिलते हैं। छाता और गरम कपड़े लाना मत भूलना।
"""
)

THAI = _prose(
    """
สวัสดีครับ มีใครรู้ไหมว่าทำไมบอทไม่ตอบตั้งแต่เมื่อเช้า ผมรีสตาร์ตไปสามรอบแล้วก็ยังไม่ได้

ผมว่าเลื่อนนัดไปวันเสาร์ดีกว่า วันศุกร์ผมทำงานถึงดึกเลย คงไปไม่ทัน

ขอบคุณมากเลยนะคะ ใช้ได้แล้วค่ะ แค่ล้างแคชแล้วดาวน์โหลดไฟล์ใหม่ก็หายเลย

ช่วยอธิบายความแตกต่างระหว่างสองคำนี้ด้วยตัวอย่างง่าย ๆ หน่อยได้ไหม พรุ่งนี้มีสอบแล้วยังงงอยู่เลย

555 จริงดิ เมื่อวานยังบอกว่ามั่นใจอยู่เลย สุดท้ายก็ไม่ได้ทำ

เมื่อวานนี้เทศบาลประกาศแผนขยายเส้นทางรถไฟฟ้าไปถึงนิคมอุตสาหกรรม
การก่อสร้างจะเริ่มในปีหน้าและใช้เวลาประมาณสิบแปดเดือน
ส่วนเจ้าของร้านค้ากังวลว่าลูกค้าจะลดลง

เมื่อวานพวกเราไปเดินป่ากับครอบครัว ระหว่างทางฝนตกหนักมากเลยต้องหลบอยู่ในศาลาเล็ก ๆ
คุณลุงคนหนึ่งแบ่งชาร้อนให้ดื่มและเล่าเรื่องสมัยหนุ่ม ๆ ให้ฟัง เด็ก ๆ ชอบกันใหญ่เลย

ซื้ออะไรเป็นของขวัญวันเกิดให้เพื่อนดี เขาชอบปลูกต้นไม้ เล่นหมากรุก แล้วก็ดูหนังเก่า ๆ

โอเค งั้นเจอกันพรุ่งนี้สิบโมงเช้าหน้าสถานีรถไฟ อย่าลืมเอาร่มมาด้วยนะ เห็นว่าฝนจะตก
"""
)

CODE = _verbatim(
    """
```python
def fibonacci(n: int) -> list[int]:
    a, b = 0, 1
    out = []
    while len(out) < n:
        out.append(a)
        a, b = b, a + b
    return out
```
%%
why does this print undefined?

```js
const users = await fetch('/api/users').then((r) => r.json());
const names = users.map((u) => { u.firstName + ' ' + u.lastName; });
console.log(names[0]);
```
%%
Traceback (most recent call last):
  File "/home/sam/bot/main.py", line 88, in <module>
    bot.run(os.environ["DISCORD_TOKEN"])
  File "<frozen os>", line 679, in __getitem__
KeyError: 'DISCORD_TOKEN'
%%
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s <count>\\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < atoi(argv[1]); i++) printf("%d\\n", i * i);
    return 0;
}
%%
SELECT c.name, COUNT(o.id) AS orders, SUM(o.total_cents) / 100.0 AS revenue
FROM customers c
LEFT JOIN orders o ON o.customer_id = c.id AND o.created_at >= NOW() - INTERVAL '30 days'
WHERE c.deleted_at IS NULL
GROUP BY c.name
HAVING COUNT(o.id) > 3
ORDER BY revenue DESC;
%%
```rust
impl<T: Clone + Ord> Heap<T> {
    pub fn push(&mut self, value: T) {
        self.items.push(value);
        let mut child = self.items.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if self.items[parent] <= self.items[child] { break; }
            self.items.swap(parent, child);
            child = parent;
        }
    }
}
```
%%
sudo apt-get update && sudo apt-get install -y build-essential cmake libssl-dev
git clone --depth 1 https://github.com/example/widget.git && cd widget
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j"$(nproc)"
%%
<div class="card mb-3" id="profile-{{ user.id }}">
  <img src="{{ user.avatar_url }}" alt="Avatar of {{ user.name }}" width="64" height="64">
  <button type="button" onclick="follow({{ user.id }})" disabled>Follow</button>
</div>
%%
services:
  bot:
    image: ghcr.io/example/bot:1.4.2
    restart: unless-stopped
    env_file: .env
    volumes:
      - ./data:/app/data
    depends_on: [redis]
  redis:
    image: redis:7-alpine
%%
public class LruCache<K, V> extends LinkedHashMap<K, V> {
    private final int maxEntries;

    public LruCache(int maxEntries) {
        super(16, 0.75f, true);
        this.maxEntries = maxEntries;
    }

    @Override
    protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > maxEntries;
    }
}
%%
```py
@bot.tree.command(description="Roll some dice")
async def roll(interaction: discord.Interaction, sides: int = 6, count: int = 1) -> None:
    rolls = [random.randint(1, sides) for _ in range(count)]
    await interaction.response.send_message(f"You rolled {rolls} = {sum(rolls)}")
```
"""
)

EMOJI = _prose(
    """
good morning everyone ☀️☕ who's ready for the weekend?? 🎉🎉🎉 I'm sooo tired 😴😴 but we got this
💪🔥

😂😂😂😂😂 I can't 💀💀💀 stop it 😭😭😭

🐶🐱🐭🐹🐰🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵 which one are you today? 🤔

Happy birthday!!! 🎂🥳🎁🎈 hope you have an amazing day ❤️🧡💛💚💙💜 love you lots 😘😘

we won 🏆🏆🏆 best team ever 👏👏👏👏 see you at the party tonight 🍻🍕🎶💃🕺

👋🏽 hi, new here! 👩‍💻 developer from 🇧🇷, I love 🎮, 🏄‍♀️ and 🍣 🙏🏽

1️⃣ read the rules 📜 2️⃣ pick a role 🎭 3️⃣ say hi 👋 4️⃣ have fun ✨

👨‍👩‍👧‍👦 family trip ✈️🏝️🌊🐠🐚 day one: 🥵🥵🥵 day two: 🌧️⛈️☔ day three: 🌈😍

ok ✅ done ✅ tested ✅ shipped 🚀🚀 now we wait 👀👀👀

🤡 imagine losing to a bot 🤖😹 gg ez 😎👌 rematch? ⚔️🛡️

🇩🇪🇫🇷🇮🇹🇪🇸🇯🇵🇰🇷 vote for the next movie night please 🎬🍿

Mood: 😊 → 😐 → 😟 → 😡 → 🤯 → 😌 🧘‍♂️🍵
"""
)

JSON = _verbatim(
    """
{"id": 42, "name": "Ada Lovelace", "email": "ada@example.org", "roles": ["admin", "editor"],
 "active": true, "score": 98.75, "manager": null}
%%
{
  "error": {
    "code": 429,
    "message": "You are being rate limited.",
    "retry_after": 1.337,
    "global": false
  }
}
%%
[{"t":1700000000,"v":21.5},{"t":1700000060,"v":21.6},{"t":1700000120,"v":21.4}]
%%
{
  "compilerOptions": {
    "target": "ES2022",
    "module": "NodeNext",
    "strict": true,
    "outDir": "./dist",
    "skipLibCheck": true
  },
  "include": ["src/**/*.ts"],
  "exclude": ["node_modules", "**/*.spec.ts"]
}
%%
{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point",
"coordinates":[13.4050,52.5200]},"properties":{"name":"Berlin","population":3677472}}]}
%%
{
    "title": "Weekend plans",
    "items": [
        {"done": false, "text": "Buy tickets for the concert", "due": "2025-03-14"},
        {"done": true, "text": "Call the landlord about the heating", "due": "2025-03-10"},
        {"done": false, "text": "Clean the kitchen", "due": null}
    ],
    "updated_at": "2025-03-11T18:22:07.431Z"
}
%%
{"op":0,"d":{"guild_id":"812345678901234567","channel_id":"923456789012345678","content":"hi",
"author":{"id":"734567890123456789","username":"robin","bot":false},"mentions":[]},"s":57,
"t":"MESSAGE_CREATE"}
%%
{"model":"gpt-4.1-mini","messages":[{"role":"system","content":"You are a helpful assistant."},
{"role":"user","content":"What is the capital of Iceland?"}],"temperature":0.7,"stream":true}
"""
)

URLS = _prose(
    """
https://www.youtube.com/watch?v=k3Xb9QzLr0M&list=PLx0sYbCqOb8TBPRdmBHs5Iftvv9TPboYG&index=4

look at this https://en.wikipedia.org/wiki/Byte_pair_encoding and then this
https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup

https://cdn.discordapp.com/attachments/812345678901234567/923456789012345678/screenshot_2024-11-03.png

the docs moved: https://discordpy.readthedocs.io/en/stable/ext/commands/api.html?highlight=cog

https://github.com/octo-org/sample-project/pull/1187/files#diff-2f754321d62f08ba8392b9b168b83e24ea2852bb5d815d63e767f6c3d23c6ac5

tickets: https://shop.example.com/events/2025/jazz-night?utm_source=newsletter&utm_medium=email&ref=a8f3

https://maps.example.org/?q=48.858370,2.294481&zoom=17&layer=satellite meet me here at noon

https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC?si=5f0c9b1e7d3a4c68 this song all day

does http://localhost:8080/api/v2/users?limit=50&offset=100 work for you or only
http://192.168.178.42:3000/health ?
"""
)

DIGITS = _prose(
    """
My numbers are 4, 8, 15, 16, 23 and 42, the bonus number is 7 and the ticket is 0049-118-3321-77.

3.14159265358979323846264338327950288419716939937510582097494459230781640628620899

2024-01-31 08:15:00 | 2024-02-29 17:45:30 | 2024-12-24 23:59:59

call me at +49 30 1234567 or +1 (555) 010-7788 before 18:30

1000000 / 365 = 2739.73, so about 2,740 a day or 19,178 a week; last year it was 2,511.

17 * 23 = 391; 391 + 4096 = 4487; sqrt(4487) = 66.985; 66.985 ^ 3 = 300563.9

192.168.0.1 10.0.0.254 172.16.31.7 255.255.255.0 8.8.8.8 1.1.1.1

Q1: 12.4% (up from 9.8%), Q2: 15.1%, Q3: 7.25%, Q4: 21.0%; total 55.75 against 48.2

<@812345678901234567> paid 35.50, <@923456789012345678> paid 12.25 and I paid 60.00
"""
)

WHITESPACE = _verbatim(
    """
Name            Score       Rank
Alice           1200        1
Bob              950        2
Charlie          875        3
%%
Shopping list:


    - milk
    - bread

        - whole grain
        - no seeds


    - apples
%%
def outer():

        def inner():

                def innermost():

                        return None

                return innermost

        return inner
%%
+----------+--------+-----------+
| item     |  price | in stock  |
+----------+--------+-----------+
| lamp     |  19.99 | yes       |
| table    | 149.00 | no        |
| chair    |  49.50 | yes       |
+----------+--------+-----------+
%%
A line of poetry


                    drifts to the right


          and back


                              and ends.
%%
key\t\tvalue\t\tcomment
alpha\t\t1\t\tfirst letter
beta\t\t2\t\tsecond letter
gamma\t\t3\t\tthird letter
%%
Dear all,



the   meeting   is   cancelled.    Please   tell   the    others.



Regards,
Kim
%%
if ready:
    for task in tasks:
        if task.due:
            if task.owner:
                task.run()
            else:
                task.skip()
        else:
            task.wait()
else:
    stop()
"""
)

REPEATS = (
    "no" + "o" * 180 + " way",
    "ha" * 60 + " that was good " + "ha" * 20,
    "=" * 120 + "\nRESULTS\n" + "-" * 120 + "\nnothing yet\n" + "=" * 120,
    "!" * 90 + "?" * 90,
    "a" * 400,
    "spam " * 60,
    "哈" * 80,
    "😂" * 40,
    "0" * 150,
    "." * 300 + " ok then, let us wait " + "." * 100,
    "wwwwwwwwwwwwwhhhhhhhhhhhhhaaaaaaaaaaaaatttttttttttt are you saying " * 3,
    "**bold** _it_ ~~gone~~ `code` ||spoiler|| " * 6,
)

TEXTS: dict[str, tuple[str, ...]] = {
    "English": ENGLISH,
    "German": GERMAN,
    "Spanish": SPANISH,
    "French": FRENCH,
    "Polish": POLISH,
    "Turkish": TURKISH,
    "Russian": RUSSIAN,
    "Chinese": CHINESE,
    "Japanese": JAPANESE,
    "Korean": KOREAN,
    "Arabic": ARABIC,
    "Hindi": HINDI,
    "Thai": THAI,
    "code": CODE,
    "emoji": EMOJI,
    "JSON": JSON,
    "URLs": URLS,
    "digits": DIGITS,
    "white space": WHITESPACE,
    "repeats": REPEATS,
}
