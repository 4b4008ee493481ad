"""Conversations to replay: as people talk to a bot in a room, and 40 things worth remembering.

Made of sentences by a seeded generator: every run is the same, no two messages are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

PEOPLE = {101: "Ada", 102: "Bob", 103: "Chiara"}

_OPENERS = [
    "hey, quick one:", "so", "ok and", "hmm,", "by the way,", "one more thing:", "sorry, me again.",
    "also", "wait,", "cool!", "thanks!", "alright,", "no rush, but", "serious question:", "lol ok,",
]  # fmt: skip
_TOPICS = [
    "the sourdough starter", "that co-op game", "the new bike lane", "my houseplants",
    "the rain this week", "board game night", "the train to work", "that documentary",
    "the garden fence", "my sleep schedule", "the neighbours' dog", "the pizza place",
    "learning the ukulele", "the film from yesterday", "spring cleaning", "the coffee machine",
    "running in the cold", "the school play", "that podcast", "the broken lamp",
]  # fmt: skip
_ASKS = [
    "what would you do about {topic}?", "any thoughts on {topic}?", "why is {topic} so annoying?",
    "how do people usually deal with {topic}?", "is {topic} worth the trouble?",
    "give me a fun idea for {topic}", "can you cheer me up about {topic}",
    "what's a good first step with {topic}?", "tell me something odd about {topic}",
    "who came up with {topic}, really?", "how long does {topic} normally take?",
]  # fmt: skip
_ANSWERS = [
    "For {topic}, start small and see how it feels after a few days.",
    "Honestly, {topic} gets easier once there is a routine around it.",
    "People tend to overthink {topic}; pick one thing and try it tonight.",
    "There is no perfect way with {topic}, but being patient helps a lot.",
    "A friend to share {topic} with makes it half as much work.",
    "Most of the trouble with {topic} comes from doing everything at once.",
]
_MORE = [
    "Write down what worked, then change one thing at a time.",
    "If it stops being fun, take a break and come back later.",
    "The boring answer is usually right here: sleep on it.",
    "It also depends on how much time there is on a normal day.",
    "Some swear by doing it first thing in the morning.",
    "Others say the opposite, so take it with a grain of salt.",
]
_CHATTER = [
    "anyone up for a match later", "haha no way", "brb food", "look at this cat", "lmao",
    "gg everyone", "who ate my leftovers", "that was brutal", "same tbh", "good night all",
]  # fmt: skip
_BOT_NOISE = [
    "🎵 Now playing: lofi beats to relax to (requested by Bob)",
    "Welcome to the server! Please read the rules and pick your roles.",
    "📌 pinned a message to this channel.",
    "✅ Level up! Ada has reached level 12.",
]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn, and what else was posted in the room before it.

    Args:
        noise: messages of others, of bots and of Discord itself, not meant for the bot.
        reply_to_last: the message replies to the bot's last answer.
    """

    author_id: int
    text: str
    answer: str
    noise: tuple[str, ...] = ()
    reply_to_last: bool = False


def chat(
    turns: int, *, seed: int, sentences: int = 1, noise: float = 0.0, replies: float = 0.0
) -> Iterator[Exchange]:
    """Small talk with a bot.

    Args:
        sentences: of each answer, and about half as many more of each question.
        noise: other messages in the room for each turn, on average.
        replies: share of messages that reply to the bot's last answer.
    """
    draw = random.Random(seed)
    for number in range(turns):
        topic = draw.choice(_TOPICS)
        question = f"{draw.choice(_OPENERS)} {draw.choice(_ASKS).format(topic=topic)}"
        answer = [draw.choice(_ANSWERS).format(topic=topic)]
        for _ in range(sentences - 1):
            answer.append(draw.choice(_MORE))
            if draw.random() < 0.5:
                question += f" {draw.choice(_MORE)}"
        posted = []
        while draw.random() < noise / (1 + noise):
            posted.append(draw.choice(_BOT_NOISE if draw.random() < 0.4 else _CHATTER))
        yield Exchange(
            author_id=draw.choice(list(PEOPLE)),
            text=question,
            answer=f"{' '.join(answer)} ({number + 1})",
            noise=tuple(posted),
            reply_to_last=number > 0 and draw.random() < replies,
        )


@dataclass(frozen=True, slots=True)
class Fact:
    """Something said once.

    Args:
        keys: what has to be in the prompt, word for word, for the model to know it.
        asked_to_remember: the person said so.
    """

    text: str
    keys: tuple[str, ...]
    asked_to_remember: bool = False


# fmt: off
FACTS = [
    Fact("Please remember that my sister is called Zofia.", ("Zofia",), True),
    Fact("oh and we finally moved to Graz last month", ("Graz",)),
    Fact("Merk dir bitte: mein WLAN-Name ist Bluebird-77.", ("Bluebird-77",), True),
    Fact("Mein Hund heißt übrigens Krümel und frisst alles.", ("Krümel",)),
    Fact("Recuerda que mi vuelo sale el 14 de marzo.", ("14 de marzo",), True),
    Fact("Yo soy alérgica a las nueces, por cierto.", ("nueces",)),
    Fact("N'oublie pas que mon rendez-vous est le 3 mai à 15 h.", ("3 mai", "15"), True),
    Fact("je travaille chez un fleuriste à Lyon", ("fleuriste", "Lyon")),
    Fact("Запомни, что мой день рождения 9 ноября.", ("9 ноября",), True),
    Fact("А ещё я живу на улице рядом с музеем Эрарта.", ("Эрарта",)),
    Fact("请记住我的猫叫小米。", ("小米",), True),
    Fact("我在成都工作，做设计。", ("成都",)),
    Fact("私の妹の名前は美咲です、覚えておいてください。", ("美咲",), True),
    Fact("うちは4人家族です。", ("4人",)),
    Fact("Remember: the gate code for deliveries is 4417.", ("4417",), True),
    Fact("we decided on the blue tent, 3 people fit in", ("blue tent",)),
    Fact("Pamiętaj, że mój brat ma na imię Tadeusz.", ("Tadeusz",), True),
    Fact("mam w domu 6 kanarków i są głośne", ("6 kanarków",)),
    Fact("Ricordati che il mio numero di maglia è 23.", ("23",), True),
    Fact("Abito a Bologna da quando ero piccola, mia nonna pure.", ("Bologna",)),
    Fact("Lembra que a minha consulta é no dia 21 de junho.", ("21 de junho",), True),
    Fact("O meu carro é um Fusca de 1974.", ("1974",)),
    Fact("don't forget that our band is named Velvet Toaster", ("Velvet Toaster",), True),
    Fact("My laptop has 32 GB and still crawls.", ("32 GB",)),
    Fact("Vergiss nicht, dass unser Treffen am 12. Januar ist.", ("12. Januar",), True),
    Fact("ich hasse Koriander, wirklich, mehr als alles", ("Koriander",)),
    Fact("please remember I start at Northwind on 5 April", ("Northwind", "5 April"), True),
    Fact("I'm vegan since 2019, so no cheese jokes.", ("2019",)),
    Fact("Unutma, benim kızımın adı Defne.", ("Defne",), True),
    Fact("my old teacher Mr. Okafor still writes me postcards", ("Okafor",)),
    Fact("Keep in mind that I can only play on Thursdays.", ("Thursdays",), True),
    Fact("Our raid starts at 20:45 sharp, as always.", ("20:45",)),
    Fact("기억해 줘, 내 고양이 이름은 보리야.", ("보리",), True),
    Fact("저는 부산에서 일해요, 우리 회사는 작아요.", ("부산",)),
    Fact("تذكر أن اسم أخي هو سامر", ("سامر",), True),
    Fact("I have two kids, Linus and Petra, 4 and 7.", ("Linus", "Petra")),
    Fact("Onthoud dat mijn trein om 7:12 vertrekt.", ("7:12",), True),
    Fact("my best marathon so far was 3:58 in Vienna", ("3:58", "Vienna")),
    Fact("Zapamatuj si, že můj táta slaví 30. září.", ("30. září",), True),
    Fact("We named the boat Marigold after my aunt.", ("Marigold",)),
]
# fmt: on
