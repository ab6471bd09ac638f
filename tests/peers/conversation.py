"""A conversation of 500 turns: two people, ten sessions each, three of them of the same id. The same
every time."""

import random
from datetime import datetime, timedelta, timezone

ADA, NOAM = "ada-17", "noam.levi@example.org"

# What each of them says about themselves, a topic a session: the first words tell a fact that a
# question asks for, the others go on about it.
TOPICS = {
    ADA: [
        ("intro", "I moved to Tromsø last autumn to study reindeer migration.",
         ["the dark months", "my flat by the harbour", "the ferry timetable", "polar night"]),
        ("monday", "My sister Ingrid plays the bassoon in a ship's orchestra.",
         ["her last concert", "the tour to Bergen", "her letters", "rehearsals at sea"]),
        ("checkup", "I am allergic to penicillin, it gave me hives in 2019.",
         ["the pharmacy", "the doctor's note", "my medical card", "antihistamines"]),
        ("garden", "I grow cloudberries in raised beds behind the institute.",
         ["the late frost", "netting against birds", "the soil", "jam in August"]),
        ("2024-03-04", "My thesis defence is on the twelfth of June.",
         ["chapter four", "the second examiner", "the slides", "statistics"]),
        ("sleep", "Since January I wake at four and cannot fall asleep again.",
         ["black-out curtains", "coffee after noon", "the sleep diary", "melatonin"]),
        ("money", "I owe my uncle eleven thousand kroner for the boat engine.",
         ["instalments", "the stipend", "spare parts", "his patience"]),
        ("travel", "In July I take the Hurtigruten to Kirkenes with two friends.",
         ["cabins", "the midnight sun", "packing lists", "seasickness"]),
        ("pets", "My cat Pomodoro only eats mackerel.",
         ["the vet", "his weight", "the scratched sofa", "the neighbour who feeds him"]),
        ("goodbye", "I decided to give up cycling to work after the accident.",
         ["the helmet", "physiotherapy", "the bus pass", "ice on the bridge"]),
    ],
    NOAM: [
        ("intro", "I run a small bakery in Haifa with my cousin Dalia.",
         ["the ovens", "opening at five", "the new mixer", "the queue on Fridays"]),
        ("monday", "My daughter Tamar starts violin lessons next week.",
         ["the quarter-size violin", "her teacher", "practising", "the first scale"]),
        ("checkup", "My blood pressure is high and I take amlodipine every evening.",
         ["the cuff", "salt", "dizziness", "the next appointment"]),
        ("sourdough", "My starter is called Golda and is nine years old.",
         ["hydration", "rye flour", "proofing baskets", "the crust"]),
        ("lease", "The landlord wants to double the rent of the shop in October.",
         ["the contract", "the lawyer", "other streets", "the deposit"]),
        ("running", "I am training for the Tiberias marathon in a green vest.",
         ["long runs", "my knee", "shoes", "the training plan"]),
        ("family", "My father lives in Nazareth and keeps pigeons on the roof.",
         ["his hearing aid", "Saturday visits", "the loft", "racing birds"]),
        ("worries", "I get panic attacks in lifts since the power cut.",
         ["breathing", "the stairs", "counting backwards", "the sixth floor"]),
        ("languages", "At home we speak Hebrew, Arabic and a little Ladino.",
         ["proverbs", "my grandmother's songs", "Tamar's accent", "letters"]),
        ("plans", "Next spring I want to open a second shop in Akko.",
         ["the harbour", "a loan", "ovens from Italy", "Dalia's doubts"]),
    ],
}

# A question, a word of the answer, and the user.
QUESTIONS = [
    (ADA, "What instrument does my sister Ingrid play?", "bassoon"),
    (ADA, "Which medicine am I allergic to?", "penicillin"),
    (ADA, "When is my thesis defence?", "twelfth of June"),
    (ADA, "What does my cat Pomodoro eat?", "mackerel"),
    (ADA, "How much do I owe my uncle for the boat?", "eleven thousand kroner"),
    (NOAM, "Where do I run a bakery?", "Haifa"),
    (NOAM, "What is my starter called?", "Golda"),
    (NOAM, "Which medicine do I take against high blood pressure?", "amlodipine"),
    (NOAM, "Where does my father keep pigeons?", "Nazareth"),
    (NOAM, "Which marathon am I training for?", "Tiberias"),
]

# Words that only one of them ever says.
ONLY = {
    ADA: ["Tromsø", "Ingrid", "penicillin", "Pomodoro", "kroner"],
    NOAM: ["Haifa", "Tamar", "amlodipine", "Golda", "Nazareth"],
}

TURNS = 25  # a session

SAYS = [
    "Today it was mostly about {topic}, and I managed better than last week.",
    "I keep thinking about {topic}. It is silly, I know.",
    "Someone asked me about {topic} again and I did not know what to say.",
    "Honestly? {Topic} is the least of it, but it adds up.",
    "ok",
    "There is news about {topic}: it is sorted, more or less 🎉",
    "Can we talk about {topic} another time? 😅",
    "On a scale of ten I would give {topic} a {n}.",
    "I wrote a list about {topic}:\n\n1. what I can change\n2. what I cannot\n\t(the longer one)",
]
ANSWERS = [
    "What would make {topic} easier for you?",
    "You mentioned {topic} before. What is different now?",
    "That sounds like a lot. Shall we take {topic} first?",
    "ok",
    "I am glad to hear that 🙂 How did you notice?",
    "Let us write down one small step about {topic} for tomorrow.",
    "Thank you for telling me. Does {topic} come up at night, too?",
]
OTHER_SCRIPTS = {
    ADA: ["Bestemor sa alltid: «Det ordner seg.» 👵🏼", "Ráhkis ustit, giitu! 🦌❄️"],
    NOAM: ["סבתא שלי אמרה: \"יהיה בסדר\" 🙏🏽", "الحمد لله، كل شيء تمام ✨", "👨‍👩‍👧 כולנו עייפים"],
}


def diary(length):
    """An entry of exactly so many characters."""
    rng = random.Random(length)
    weather = ["Wind from the west", "Grey all day", "Sun at last ☀️", "Rain on the skylight"]
    deeds = ["baked twice", "walked to the lighthouse", "slept badly", "wrote to nobody",
             "counted the steps", "mended the blue net"]
    text, day = "", 1
    while len(text) < length:
        text += f"Day {day}. {rng.choice(weather)}; I {rng.choice(deeds)} and {rng.choice(deeds)}.\n"
        day += 1 if rng.random() < 0.8 else 2
    # It ends in a word, whatever the length.
    return text[: length - 4].rstrip() + "." * (length - len(text[: length - 4].rstrip()))


def metadata_of(number, topic, rng):
    """Nothing for most turns; for others flat, nested, or more than ten keys."""
    if number % 9 == 0:
        return {
            "mood": {"scale": rng.randint(1, 10), "words": ["tired", "hopeful"], "note": None},
            "topic": topic,
            "flags": {"follow_up": number % 2 == 0, "empty": {}, "list": []},
        }
    if number % 11 == 0:
        return {f"answer {n}": rng.choice([n, f"answer {n}", True, 0.5]) for n in range(14)}
    if number % 7 == 0:
        return {"topic": topic, "minutes": rng.randint(1, 50), "zm_id": "somebody else's"}
    return {}


def session(user, index, topic, fact, about):
    """The turns of one session."""
    rng = random.Random(f"{user}/{topic}")
    time = datetime(2024, 1, 8, 9, 0, tzinfo=timezone.utc) + timedelta(days=7 * index)
    person = "Ada Nilsen" if user == ADA else "נועם Levi"
    turns = []
    for number in range(TURNS):
        time += timedelta(seconds=rng.randint(4, 90), microseconds=rng.choice([0, 120_000, 7]))
        theirs = number % 2 == 0
        subject = rng.choice(about)
        words = dict(topic=subject, Topic=subject[0].upper() + subject[1:], n=rng.randint(1, 10))
        content = rng.choice(SAYS if theirs else ANSWERS).format(**words)
        if number == 0:
            content = fact
        elif number in (7, 8):
            content = "ok"  # said twice, by both
        elif number == 12:
            content = OTHER_SCRIPTS[user][index % len(OTHER_SCRIPTS[user])]
        elif number == 16 and index == 5:
            content = diary(20_000)
        elif number == 20 and index % 4 == 1:
            content = diary(4_001 + 1_500 * index)
        role = "user" if theirs else "assistant"
        if number == 22:
            role = "therapist"
        turn = {"role": role, "content": content, "created_at": stamp(time)}
        if theirs:
            turn["name"] = person
        if metadata := metadata_of(number + index, topic, rng):
            turn["metadata"] = metadata
        turns.append(turn)
    return turns


def stamp(time):
    """RFC 3339, without a fraction that is nothing."""
    return time.isoformat().replace("+00:00", "Z")


def conversation():
    """(user, session, turns) for each of the 20 sessions, the two people's in turn."""
    sessions = [
        (user, topics[index][0], session(user, index, *topics[index]))
        for index in range(10)
        for user, topics in TOPICS.items()
    ]
    assert sum(len(turns) for _, _, turns in sessions) == 500
    return sessions


def calls(turns):
    """The turns as a host stores them: a few at a time."""
    sizes, start = [2, 2, 1, 6, 4, 3], 0
    while start < len(turns):
        size = sizes[start % len(sizes)]
        yield turns[start : start + size]
        start += size
