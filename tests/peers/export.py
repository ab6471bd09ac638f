"""An export to migrate, in every shape that comes out of mem0 and the applications around it, and
what must be stored of it: the same for the same seed, as one JSON document and as JSON Lines.

What must be stored is written down here while the export is made, from the guide's tables and from
what the README promises; nothing of the server takes part in it."""

import json
import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

# People of the guide's shape: an id with everything that has a meaning in an address, one from right
# to left, one that is a number. Then two of mem0's own.
ADA, NOAM, NUMBER = "ada/lovelace?tab=1#top", "נועם לוי 7", "42"
MARA, FLAT = "mara@example.org", "flat%20user"
# Users whom the export does not list, created for their records.
RUN_ONLY, AGENT_RUN = "mem0-run-lonely run/1", "mem0-agent-tutor"
AGENT_GRAPH = "mem0-agent-coach #1?"
APP_USER = "mem0-mcp"

# A session that three people have, under one name.
SHARED = "shared"
DEFAULT = "default"
EXPORTED_AT = datetime(2025, 2, 3, 4, 5, 6, 789_012, tzinfo=timezone.utc)

MESSAGE_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "ai_therapist": "assistant",
    "Assistant": "assistant",
    "system": "system",
    "therapist": "user",
    "tool": "tool",
    "function": "function",
    "narrator": "norole",
}
KINDS = {
    "messages": "conversation",
    "insights": "emotional_state",
    "summary": "session_summary",
    "traits": "treatment_plan",
}

TEXTS = [
    "ok",
    "I moved the meeting to {n} o'clock, {word} said.",
    "  indented, and with a tab\tand a line break\nand blanks at the end  ",
    "Family: 👨‍👩‍👧‍👦 flags 🇳🇴🇮🇱 skin 👩🏽‍🚀 keycap 3️⃣ {word}",
    "סבתא אמרה \"יהיה בסדר\" ({n}) וגם هذا عربي {word}",
    "\u202bمرحبا {word}\u202c and back",
    "combining: e\u0301 a\u030a\u0323 ก็ ญี่ปุ่น 각 Z\u0351\u036b\u0343a\u0321l\u0340go {word}",
    "quotes \" \\ / and {{braces}}, \u2028 a line separator, \u00a0 no-break {word}",
    "<script>{word}</script> ' OR 1=1; -- %s %00 &amp;",
    "ok",
]
WORDS = "walnut harbour lantern cello bridge mackerel thistle copper pigeon quarry".split()
LONG = {
    "words": lambda n: f"Day {n}. Wind from the west; I baked twice and mended the blue net.\n",
    "emoji": lambda n: "👩‍❤️‍💋‍👨🏽🧗‍♀️",
    "right to left": lambda n: f"כתבתי {n} מכתבים ואז نمت مبكرا. ",
    "combining": lambda n: "q\u0307\u0323e\u0301\u0308\u0327 " if n % 9 else "\n\n",
    "one word": lambda n: "abcdefghij",
}


@dataclass
class Record:
    """What must be stored of one thing."""

    content: str
    # The source's word for who speaks; None: nobody in particular.
    role: str | None
    name: str | None = None
    at: datetime | None = None
    kind: str | None = None
    metadata: dict = field(default_factory=dict)
    # The source's own id.
    id: str | None = None
    agent: str | None = None
    app: str | None = None
    # The time that it is stored with.
    stored_at: datetime | None = None
    # When it was last changed, which Zep has no field for.
    updated: datetime | None = None


@dataclass
class Person:
    """What must be known of a user."""

    name: str | None = None
    email: str | None = None
    role: str | None = None
    metadata: dict = field(default_factory=dict)
    made_for_migration: bool = False


class Export:
    """An export and what must be stored of it."""

    def __init__(self, seed=4, turns=90, unnamed=True):
        """With so many turns in a session; with what names no user, or without."""
        self.rng = random.Random(seed)
        self.turns = turns
        self.unnamed = unnamed
        self.users = []  # the guide's, as they stand in the export
        self.memories = []  # mem0's, likewise
        self.people = {}
        self.graphs = set()
        # (user or graph, session or None) → records, first as they stand in the export.
        self.places = {}
        self.expired = self.doubled = self.long = 0
        # (user, session) → a word that occurs there only, and its sentence.
        self.facts = {}
        self._make()
        for place, records in self.places.items():
            self.places[place] = in_order(records, place[1] is not None)

    # What it comes to.

    @property
    def records(self):
        return sum(len(records) for records in self.places.values())

    @property
    def sessions(self):
        return [place for place in self.places if place[1] is not None]

    def document(self):
        """The export as one JSON document."""
        whole = {
            "exported_at": EXPORTED_AT.isoformat(),
            "users": self.users,
            "memories": self.memories,
        }
        return json.dumps(whole, ensure_ascii=False, indent=1)

    def lines(self):
        """The same as JSON Lines: a user a line, a page of mem0's, a memory a line."""
        page, rest = self.memories[:150], self.memories[150:]
        page = {"count": len(self.memories), "next": None, "previous": None, "results": page}
        things = [*self.users, page, *rest]
        # Escaped, as Python writes it by default.
        return "".join(json.dumps(thing) + "\n" for thing in things)

    # How it is made.

    def _expect(self, owner, session, record):
        self.places.setdefault((owner, session), []).append(record)

    def _uuid(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def _times(self, start, count):
        """Times as they are written in exports, and what they mean: none here and there."""
        at = start
        for _ in range(count):
            at += timedelta(
                seconds=self.rng.choice([0, 1, 7, 61, 4_000]),
                microseconds=self.rng.choice([0, 1, 120_000, 999_999]),
            )
            yield self._written(at)

    def _written(self, at):
        style = self.rng.choice(["z", "z", "zone", "zone", "naive", "seconds", "millis", "none"])
        if style == "none":
            return None, None
        if style == "seconds":
            at = at.replace(microsecond=0)
            return int(at.timestamp()), at
        if style == "millis":
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)
            return int(at.replace(microsecond=0).timestamp()) * 1000 + at.microsecond // 1000, at
        if style == "naive":
            return at.replace(tzinfo=None).isoformat(" "), at
        if style == "zone":
            zone = timezone(timedelta(minutes=self.rng.choice([-420, 120, 330, -210])))
            return at.astimezone(zone).isoformat(), at
        return at.isoformat().replace("+00:00", "Z"), at

    def _fact(self, user, session):
        """A sentence for this session alone, with a word of its own."""
        number = len(self.facts)
        word = f"{WORDS[number % len(WORDS)]}{number}x"
        self.facts[user, session] = word, f"The word to remember is {word}, and no other."
        return self.facts[user, session][1]

    def _text(self, number):
        text = self.rng.choice(TEXTS)
        return text.format(n=number, word=self.rng.choice(WORDS))

    def _long(self):
        """20,000 characters, and now and then some more or fewer."""
        self.long += 1
        name = list(LONG)[self.long % len(LONG)]
        length = self.rng.choice([20_000, 20_000, 4_001, 9_501, 12_345])
        piece, text, n = LONG[name], "", 0
        while len(text) < length:
            text += piece(n)
            n += 1
        return text[: length - 1] + "."

    def _metadata(self, number):
        nested = {"scale": number % 10, "words": ["tired", "hopeful"], "note": None}
        return self.rng.choice(
            [
                {},
                {},
                {"topic": self.rng.choice(WORDS), "minutes": number, "open": number % 2 == 0},
                {"mood": nested, "topic": "sleep"},
                {f"answer {n}": self.rng.choice([n, f"a {n}", True, 0.5]) for n in range(14)},
                {f"deep {n}": {"list": [n, {"x": [None, {}]}]} for n in range(12)},
                {"null": None, "empty": "", "blank": "  ", "list": [], "object": {}, "kept": 0},
                {"zm_id": "somebody else's", "zm_part": "2/3", "zm_x": '{"deleted":true}'},
                {"migration_source": "elsewhere", "original_role": "me", "agent_id": "a"},
                {"large": 2**53 + 1, "small": -0.125, "mixed": [1, "a", True], "nul": "a\0b"},
                {"": "no name", " ": 1, "clé 🔑": "שלום", "time": "14:00", "metadata": {"a": {}}},
            ]
        )

    def _turn(self, number, written, at, content=None):
        """A turn of a conversation in an export, and the record that must be stored."""
        role = self.rng.choice(["user", "assistant"] * 6 + list(MESSAGE_ROLES))
        content = content or self._text(number)
        turn = {"role": role, "content": content}
        record = Record(content, role, at=at, kind="conversation")
        if written is not None:
            turn[self.rng.choice(["timestamp", "created_at"])] = written
        if self.rng.random() < 0.2:
            record.name = turn["name"] = self.rng.choice(["Ada Nilsen", "נועם", "ä" * 150])
        if metadata := self._metadata(number):
            turn["metadata"] = metadata
            record.metadata = dict(metadata)
        if number % 23 == 5:
            turn["preferences"] = {"tone": "calm", "topics": ["sea"]}
            record.metadata["preferences"] = turn["preferences"]
        if number % 29 == 6:
            turn["memory_type"] = self.rng.choice(["crisis_context", "progress_notes", "own"])
            record.kind = turn["memory_type"]
        if number % 31 == 7 and "topic" in record.metadata:
            # A field beside the metadata and one in it, with different values.
            turn["topic"] = "beside"
            record.metadata["mem0_topic"] = "beside"
        if number % 37 == 8:
            turn["content"] = [{"type": "text", "text": content}, {"type": "text", "text": "2"}]
            record.content = content + "\n2"
        return turn, record

    def _conversation(self, user, session, start, count, ids=None):
        """The turns of a session, and that they are expected there."""
        turns = []
        fact = self._fact(user, session)
        for number, (written, at) in enumerate(self._times(start, count)):
            content = None
            if number == 1:
                content = fact
            elif number in (10, 11, 12):
                content = "ok"
            elif number == 20:
                content = self._long()
            turn, record = self._turn(number, written, at, content)
            if ids == "numbers":
                turn["id"], record.id = number, str(number)
            elif ids == "uuids":
                turn["id"] = record.id = self._uuid()
            elif number in (11, 12):
                # The same words by the same person at the same time: three are three.
                turn, record = dict(turns[10]), Record(**vars(self.places[user, session][10]))
            self._expect(user, session, record)
            turns.append(turn)
        return turns

    def _snapshots(self, user, session):
        """Snapshots of a person or a session, by their key, and that they are expected."""
        insights = [
            {"emotions": ["calm", "tired"], "score": 3, "nested": {"of": session}},
            f"An insight of {session}",
            {"text": f"Sleeps badly in {session}", "confidence": 0.5, "date": "2024-06-01"},
        ]
        traits = {"openness": 4, "notes": ["likes 🧊", "שקט"]}
        summary = f"They talked about {session}. " + self._text(1)
        compact = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        june = datetime(2024, 6, 1, tzinfo=timezone.utc)
        for record in (
            Record(compact(insights[0]), "system", kind="emotional_state"),
            Record(insights[1], "system", kind="emotional_state"),
            Record(
                insights[2]["text"],
                "system",
                at=june,
                kind="emotional_state",
                metadata={"confidence": 0.5},
            ),
            Record(summary, "system", kind="session_summary"),
            Record(compact(traits), "system", kind="treatment_plan"),
        ):
            self._expect(user, session, record)
        return {"insights": insights, "summary": summary, "traits": traits}

    def _memory(self, owner, session, at, content, metadata=None, **named):
        """A memory of mem0's, as its listing answers it."""
        offset = timezone(timedelta(hours=-7))
        metadata = self._metadata(self.rng.randrange(100)) if metadata is None else metadata
        memory = {
            "id": self._uuid(),
            "memory": content,
            **named,
            "hash": f"{self.rng.getrandbits(128):032x}",
            "metadata": metadata or None,
            "categories": self.rng.choice([[], None, ["health", "travel"]]),
            "created_at": at.astimezone(offset).isoformat(),
            "updated_at": (at + timedelta(days=1)).astimezone(offset).isoformat(),
            "expiration_date": None,
            "replaced_by": None,
        }
        record = Record(content, None, at=at, id=memory["id"], updated=at + timedelta(days=1))
        record.agent, record.app = named.get("agent_id"), named.get("app_id")
        record.metadata = {**metadata, "hash": memory["hash"]}
        if memory["categories"]:
            record.metadata["categories"] = memory["categories"]
        if owner == AGENT_GRAPH:
            record.agent = None
        self._expect(owner, session, record)
        self.memories.append(memory)
        return memory, record

    def _left_out(self, record_place, memory):
        """A memory that is not to be migrated after all."""
        self.places[record_place].pop()
        self.expired += 1
        return memory

    def _make(self):
        start = datetime(2024, 1, 8, 9, 0, tzinfo=timezone.utc)
        self._ada(start)
        self._noam(start + timedelta(days=1))
        self._number(start + timedelta(days=2))
        self._mara(start + timedelta(days=3))
        if self.unnamed:
            self._unnamed(start + timedelta(days=4))
        self._flat(start + timedelta(days=5))

    def _ada(self, start):
        """Sessions with names that mean something in addresses; snapshots everywhere."""
        names = ["intro", "a/b", "what?", "#5", "100% sure", "with spaces in it", "../up", SHARED]
        sessions = []
        for name in names:
            turns = self._conversation(ADA, name, start, self.turns, ids="numbers")
            session = {"id": name, "messages": turns, **self._snapshots(ADA, name)}
            sessions.append(session)
            start += timedelta(days=7)
        preferences = {"language": "nb", "reminders": {"at": ["08:00"], "off": None}, "": "blank"}
        own = {f"field {n}": n for n in range(12)}
        self.users.append(
            {
                "id": ADA,
                "name": "Ada King  Lovelace",
                "email": "ada+7@example.org",
                "role": "user",
                "preferences": preferences,
                **own,
                "sessions": sessions,
                **self._snapshots(ADA, DEFAULT),
            }
        )
        self.people[ADA] = Person(
            "Ada King  Lovelace",
            "ada+7@example.org",
            "patient",
            {"preferences": preferences, **own},
        )

    def _noam(self, start):
        """Sessions listed by their id; messages without one."""
        names = ["intro", SHARED, "שיחה 3", "e\u0301te\u0301", "emoji 🧭", "x" * 300]
        sessions = {}
        for name in names:
            sessions[name] = self._conversation(NOAM, name, start, self.turns, ids="uuids")
            start += timedelta(days=7)
        messages = self._conversation(NOAM, DEFAULT, start, self.turns)
        self.users.append(
            {
                "id": NOAM,
                "name": "נועם",
                "role": "therapist",
                "email": None,
                "metadata": {"clinic": {"city": "חיפה"}, "since": 2019, "role": "owner"},
                "messages": messages,
                "sessions": sessions,
            }
        )
        # What collides with ours keeps its value under another name.
        clinic = {"clinic": {"city": "חיפה"}, "since": 2019, "mem0_role": "owner"}
        self.people[NOAM] = Person("נועם", None, "therapist", clinic)

    def _number(self, start):
        """Ids that are numbers, and hardly a time anywhere."""
        sessions = [
            {"id": 7, "messages": self._conversation(NUMBER, "7", start, self.turns)},
            {"id": 8, "messages": []},
        ]
        for number in range(self.turns):
            turn, record = self._turn(number, None, None)
            sessions[1]["messages"].append(turn)
            self._expect(NUMBER, "8", record)
        self.users.append({"id": 42, "name": "Cher", "role": "coach", "sessions": sessions})
        self.people[NUMBER] = Person("Cher", None, "coach")

    def _mara(self, start):
        """What mem0 Platform answers: runs under either name, the newest first, and no run."""
        for session, key, count in [
            (SHARED, "run_id", self.turns),
            ("run 1", "session_id", self.turns),
            (self._uuid(), "run_id", self.turns // 2),
            ("2024/03/04?x=1&y=2", "run_id", self.turns // 2),
        ]:
            fact = self._fact(MARA, session)
            at = start + timedelta(days=count)
            for number in range(count):
                # mem0 lists the newest first.
                at -= timedelta(seconds=1 + number % 50, microseconds=self.rng.randrange(10**6))
                content = fact if number == 3 else self._text(number)
                self._memory(MARA, session, at, content, user_id=MARA, **{key: session})
        place = MARA, None
        for number in range(self.turns):
            at = start + timedelta(hours=number, microseconds=self.rng.randrange(10**6))
            content = self._long() if number in (3, 4, 5) else f"{number} {self._text(number)}"
            named = {"user_id": MARA}
            if number % 10 == 1:
                named["agent_id"] = "coach #1?"
            if number % 10 == 2:
                named["app_id"] = "app/2"
            memory, record = self._memory(*place, at, content, **named)
            if number % 15 == 4:
                memory["expiration_date"] = "2024-05-01"
                self._left_out(place, memory)
            elif number % 15 == 5:
                memory["replaced_by"] = self._uuid()
                self._left_out(place, memory)
            elif number % 15 == 6:
                memory["expiration_date"] = record.metadata["expiration_date"] = "2999-12-31"
            elif number % 15 == 7:
                memory["metadata"] = {"memory_type": "insights", "a": 1}
                record.kind = "emotional_state"
                for key in [*record.metadata]:
                    if key not in ("hash", "categories"):
                        del record.metadata[key]
                record.metadata["a"] = 1
            elif number % 15 == 8:
                # The very same once more, as pages that overlap have it.
                self.memories.append(dict(memory))
                self.doubled += 1
            elif number % 15 == 9:
                for key in ("created_at", "updated_at"):
                    del memory[key]
                record.at = record.updated = None
        # Turns that two memories were made from, and that stand with both.
        turns = [
            {"role": "user", "content": "I keep bees on the roof"},
            {"role": "assistant", "content": "How many hives? 🐝"},
        ]
        for seconds in (0, 2):
            at = start + timedelta(days=300, seconds=seconds)
            memory, record = self._memory(*place, at, f"Keeps bees ({seconds})", user_id=MARA)
            entry = {
                "id": self._uuid(),
                "memory_id": memory["id"],
                "event": "ADD",
                "input": turns,
                "old_memory": None,
                "new_memory": memory["memory"],
                "user_id": MARA,
                "created_at": memory["created_at"],
            }
            memory["history"] = [entry]
            if seconds == 0:
                for turn in turns:
                    said = Record(turn["content"], turn["role"], at=at, kind="conversation")
                    self._expect(MARA, DEFAULT, said)
        self.people[MARA] = Person()

    def _unnamed(self, start):
        """Memories of a run, an agent, an agent's run, an app, without a user."""
        for number in range(self.turns // 4):
            at = start + timedelta(minutes=number)
            content = f"{number}: {self._text(number)}"
            run, agent = "lonely run/1", "coach #1?"
            self._memory(RUN_ONLY, run, at, content, run_id=run)
            self._memory(AGENT_GRAPH, None, at, content, agent_id=agent)
            self._memory(AGENT_RUN, "lesson?1", at, content, agent_id="tutor", run_id="lesson?1")
            self._memory(APP_USER, None, at, content, app_id="kiosk")
        self.people[RUN_ONLY] = self.people[AGENT_RUN] = Person(made_for_migration=True)
        self.people[APP_USER] = Person()
        self.graphs.add(AGENT_GRAPH)

    def _flat(self, start):
        """Turns by themselves, each with its person and conversation."""
        session = "c%2F1"
        for turn in self._conversation(FLAT, session, start, self.turns, ids="uuids"):
            self.memories.append({**turn, "user_id": FLAT, "conversation_id": session})
        self.people[FLAT] = Person()


def in_order(records, is_session):
    """As a session must hold them: by their times; what has none stays behind what it followed,
    and takes its time. An export that lists the newest first is read backwards."""
    times = [record.at for record in records if record.at]
    steps = [(a < b) - (a > b) for a, b in zip(times, times[1:])]
    if sum(steps) < 0:
        records = records[::-1]
    carried = None
    keyed = []
    for record in records:
        carried = record.at or carried
        record.stored_at = record.at or (carried if is_session else None)
        keyed.append((carried or datetime.min.replace(tzinfo=timezone.utc), len(keyed), record))
    return [record for _, _, record in sorted(keyed, key=lambda key: key[:2])]
