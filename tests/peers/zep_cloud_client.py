"""The official Python client of generation 3 (zep-cloud 3.30.0) against the emulator: every call of
the contract, its answers, its errors and its pages."""

import itertools
import json
import time
import uuid
from datetime import datetime
from urllib.parse import parse_qsl

import contract
import httpx
from peer import check, emulator, finish
from zep_cloud import (
    BadRequestError,
    BatchAddItem,
    ConflictError,
    DateFilter,
    EpisodeMetadataFilter,
    Message,
    MetadataFilterGroup,
    NotFoundError,
    SearchFilters,
)
from zep_cloud.client import Zep
from zep_cloud.core.api_error import ApiError

SAID_AT = "2024-06-15T10:30:00Z"

# Every request that was sent: its method, path, names in the query, and body.
sent = []


def note(request):
    path, _, query = request.url.raw_path.decode().partition("?")
    body = json.loads(request.content) if request.content else None
    sent.append((request.method, path, dict(parse_qsl(query)), body))


def connect(address, key="z_any"):
    client = httpx.Client(timeout=60, event_hooks={"request": [note]})
    return Zep(api_key=key, base_url=f"{address}/api/v2", httpx_client=client)


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def refused(call, kind=ApiError, status=None, says=""):
    """The error that this call ends with."""
    try:
        answer = call()
    except kind as error:
        body = error.body
        message = body.get("message") if isinstance(body, dict) else getattr(body, "message", None)
        assert message, f"an error without a message: {body!r}"
        assert says.lower() in message.lower(), message
        assert status is None or error.status_code == status, error.status_code
        return error
    raise AssertionError(f"accepted: {answer!r}")


def pages(call, **arguments):
    """Every item of a list, page by page, by the cursor in the answer's head."""
    items, cursor, count = [], None, 0
    while True:
        if cursor:
            arguments["cursor"] = cursor
        response = call(**arguments)
        items.extend(response.data)
        count += 1
        assert count < 100, "the pages do not end"
        headers = {name.lower(): value for name, value in response.headers.items()}
        cursor = headers.get("zep-next-cursor")
        if not cursor:
            return items, count


def until(condition, seconds=60):
    """Waits for something that is done in the background."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


def project(zep):
    with check("project.get"):
        info = zep.project.get().project
        assert info.uuid_ and info.name and info.created_at, info


def users(zep):
    with check("user.add"):
        user = zep.user.add(
            user_id="u-1",
            email="jane@example.com",
            first_name="Jane",
            last_name="Doe",
            metadata={"role": "patient", "migration_source": "mem0"},
        )
        assert user.user_id == "u-1" and user.uuid_ and user.created_at, user
        assert user.metadata == {"role": "patient", "migration_source": "mem0"}, user.metadata
    with check("user.add refuses a user that exists"):
        refused(lambda: zep.user.add(user_id="u-1"), BadRequestError, 400, "already exists")
    with check("user.get"):
        user = zep.user.get("u-1")
        assert (user.email, user.first_name, user.last_name) == ("jane@example.com", "Jane", "Doe")
    with check("user.get of nobody is a NotFoundError"):
        refused(lambda: zep.user.get("nobody"), NotFoundError, 404)
    with check("user.update changes what is given and leaves the rest"):
        zep.user.update("u-1", email="j@example.com", metadata={"role": "patient"})
        user = zep.user.get("u-1")
        assert (user.email, user.first_name) == ("j@example.com", "Jane"), user
        assert user.metadata["role"] == "patient", user.metadata
        metadata = {"role": "therapist"}
        user = zep.user.update(
            "u-1", email="j@example.com", first_name="J", last_name="D", metadata=metadata
        )
        assert (user.first_name, user.last_name) == ("J", "D"), user
        assert zep.user.get("u-1").metadata["role"] == "therapist"
        refused(lambda: zep.user.update("nobody", email="x@example.com"), NotFoundError, 404)
    with check("user.list_ordered pages through every user once, in both directions"):
        for n in range(7):
            zep.user.add(user_id=f"page-{n}", email=f"{n}@example.com")
        for asc in (True, False):
            seen = []
            for number in range(1, 4):
                page = zep.user.list_ordered(
                    page_number=number, page_size=3, order_by="created_at", asc=asc
                )
                assert page.total_count == 8 and page.row_count == len(page.users), page
                seen.extend(user.user_id for user in page.users)
            expected = ["u-1"] + [f"page-{n}" for n in range(7)]
            assert seen == (expected if asc else expected[::-1]), seen
    with check("user.list_ordered searches by address"):
        found = zep.user.list_ordered(search="3@EXAMPLE").users
        assert [user.user_id for user in found] == ["page-3"], found
    with check("user.get_node"):
        node = zep.user.get_node("u-1").node
        assert node.uuid_ and node.name and node.created_at, node
        assert zep.graph.node.get(node.uuid_).uuid_ == node.uuid_
        refused(lambda: zep.user.get_node("nobody"), NotFoundError, 404)
    with check("user ids with spaces and letters of any script are kept"):
        zep.user.add(user_id="zoë b ü", first_name="Zoë")
        assert zep.user.get("zoë b ü").first_name == "Zoë"
        zep.user.delete("zoë b ü")
    with check("a user id with a slash reaches, unescaped by this client, nothing"):
        zep.user.add(user_id="a/b c")
        refused(lambda: zep.user.get("a/b c"), NotFoundError, 404)
        assert "a/b c" in [user.user_id for user in zep.user.list_ordered(search="a/b").users]


def threads(zep):
    with check("thread.create"):
        thread = zep.thread.create(thread_id="s-1", user_id="u-1")
        assert (thread.thread_id, thread.user_id) == ("s-1", "u-1") and thread.uuid_, thread
        assert thread.created_at
    with check("thread.create refuses a thread that exists, for another user, too"):
        for user in ("u-1", "page-0"):
            again = lambda: zep.thread.create(thread_id="s-1", user_id=user)
            error = refused(again, says="already exists")
            assert error.status_code in (400, 409), error.status_code
    with check("thread.create refuses a user who does not exist"):
        error = refused(lambda: zep.thread.create(thread_id="s-x", user_id="nobody"))
        assert error.status_code in (400, 404), error.status_code
        refused(lambda: zep.thread.get("s-x"), NotFoundError, 404)
    with check("thread.add_messages answers the messages' ids, and the context if asked"):
        added = zep.thread.add_messages(
            "s-1",
            messages=[
                Message(
                    role="user",
                    content="I drink green tea every morning",
                    name="Jane Doe",
                    created_at=SAID_AT,
                    metadata={"migration_source": "mem0", "tags": ["a", "b"], "n": 1, "y": True},
                ),
                Message(role="assistant", content="Noted: green tea 🍵 مرحبا"),
            ],
            ignore_roles=["assistant"],
            return_context=True,
        )
        assert len(added.message_uuids) == 2 and added.context is not None, added
        for message in added.message_uuids:
            uuid.UUID(message)
    with check("thread.get gives back what was said, in order, and its user"):
        thread = zep.thread.get("s-1")
        assert (thread.total_count, thread.row_count, thread.user_id) == (2, 2, "u-1"), thread
        first, second = thread.messages
        assert [first.uuid_, second.uuid_] == added.message_uuids
        assert (first.role, first.name) == ("user", "Jane Doe")
        assert first.content == "I drink green tea every morning"
        assert second.content == "Noted: green tea 🍵 مرحبا"
        assert instant(first.created_at) == instant(SAID_AT), first.created_at
        expected = {"migration_source": "mem0", "tags": ["a", "b"], "n": 1, "y": True}
        assert first.metadata == expected, first.metadata
        assert second.created_at and first.processed is not None
    with check("every role of the client is kept"):
        zep.thread.create(thread_id="roles", user_id="u-1")
        roles = ["norole", "system", "assistant", "user", "function", "tool"]
        zep.thread.add_messages("roles", messages=[Message(role=r, content=r) for r in roles])
        assert [m.role for m in zep.thread.get("roles").messages] == roles
    with check("thread.get by limit and cursor, and by lastn"):
        zep.thread.create(thread_id="long", user_id="u-1")
        for start in range(0, 60, 30):
            messages = [Message(role="user", content=f"turn {start + n}") for n in range(30)]
            zep.thread.add_messages("long", messages=messages)
        assert [m.content for m in zep.thread.get("long", limit=5).messages] == [
            f"turn {n}" for n in range(5)
        ]
        last = zep.thread.get("long", lastn=10, limit=3, cursor=1)
        assert [m.content for m in last.messages] == [f"turn {n}" for n in range(50, 60)]
        assert (last.total_count, last.row_count) == (60, 10), last
        assert zep.thread.get("long", limit=50, cursor=100).messages == []
    with check("thread.get by limit and cursor to the end is the whole"):
        read = []
        while len(read) < 60:
            page = zep.thread.get("long", limit=17, cursor=len(read))
            assert page.messages and page.total_count == 60, page
            read.extend(page.messages)
        assert [m.content for m in read] == [f"turn {n}" for n in range(60)]
        whole = zep.thread.get("long", lastn=60).messages
        assert [m.uuid_ for m in whole] == [m.uuid_ for m in read]
    with check("messages for another user's thread are accepted, as Zep accepts them"):
        assert zep.thread.get("s-1").user_id == "u-1"
        zep.thread.add_messages("s-1", messages=[Message(role="user", content="by whomever")])
        assert zep.thread.get("s-1").total_count == 3
    with check("thread.message.update"):
        message = zep.thread.message.update(added.message_uuids[1], metadata={"k": "v"})
        assert message.uuid_ == added.message_uuids[1] and message.metadata["k"] == "v", message
        assert zep.thread.get("s-1").messages[1].metadata["k"] == "v"
    with check("thread.message.update of nothing is a NotFoundError"):
        call = lambda: zep.thread.message.update(str(uuid.uuid4()), metadata={"k": "v"})
        refused(call, NotFoundError, 404)
    with check("thread.get_user_context, with a template and without"):
        for template in ({}, {"template_id": "tpl"}):
            context = zep.thread.get_user_context("s-1", **template).context
            assert "green tea" in context, context
    with check("thread.get_episodes: a message is an episode of the same id"):
        episodes = zep.thread.get_episodes("s-1").episodes
        assert set(added.message_uuids) <= {episode.uuid_ for episode in episodes}
        assert {episode.thread_id for episode in episodes} == {"s-1"}
        assert {episode.source for episode in episodes} == {"message"}
    with check("thread.get_summary is a NotFoundError where there is none"):
        refused(lambda: zep.thread.get_summary("s-1"), NotFoundError, 404)
    with check("thread.list_all pages through every thread once"):
        seen = []
        for number in (1, 2):
            page = zep.thread.list_all(
                page_number=number, page_size=2, order_by="created_at", asc=True
            )
            assert page.total_count == 3 and page.response_count == len(page.threads), page
            seen.extend(thread.thread_id for thread in page.threads)
        assert seen == ["s-1", "roles", "long"], seen
    with check("user.get_threads"):
        assert {t.thread_id for t in zep.user.get_threads("u-1")} == {"s-1", "roles", "long"}
        assert zep.user.get_threads("page-0") == []
    with check("what is asked of a thread that does not exist is a 404"):
        hello = [Message(role="user", content="hello")]
        for call in (
            lambda: zep.thread.get("nothing"),
            lambda: zep.thread.add_messages("nothing", messages=hello),
            lambda: zep.thread.get_user_context("nothing"),
            lambda: zep.thread.get_episodes("nothing"),
            lambda: zep.thread.get_summary("nothing"),
            lambda: zep.thread.delete("nothing"),
        ):
            refused(call, status=404)


def limits(zep):
    add = lambda **message: zep.thread.add_messages("s-1", messages=[Message(**message)])
    told = zep.thread.get("s-1").total_count
    with check("4,096 characters are taken, 4,097 are refused"):
        add(role="user", content="ä" * 4096)
        refused(lambda: add(role="user", content="ä" * 4097), status=400)
    with check("30 messages are taken, 31 are refused"):
        many = [Message(role="user", content="x")] * 31
        zep.thread.add_messages("s-1", messages=many[:30])
        refused(lambda: zep.thread.add_messages("s-1", messages=many), status=400)
        refused(lambda: zep.thread.add_messages("s-1", messages=[]), status=400)
    with check("an unknown role is refused"):
        refused(lambda: add(role="robot", content="hello"), status=400, says="role")
    with check("10 metadata keys are taken, 11, nested and blank ones are refused"):
        add(role="user", content="hello", metadata={f"k{n}": n for n in range(10)})
        for metadata in ({f"k{n}": n for n in range(11)}, {"a": {"b": 1}}, {" ": 1}, {"a": []}):
            refused(lambda: add(role="user", content="hello", metadata=metadata), status=400)
            episode = dict(user_id="u-1", type="text", data="hello", metadata=metadata)
            refused(lambda: zep.graph.add(**episode), BadRequestError, 400)
            message = zep.thread.get("s-1", lastn=1).messages[0]
            refused(lambda: zep.thread.message.update(message.uuid_, metadata=metadata), status=400)
            assert zep.thread.get("s-1", lastn=1).messages == [message]
    with check("a name of more than 100 characters is refused"):
        refused(lambda: add(role="user", content="hello", name="n" * 101), status=400)
    with check("a time that is none is refused"):
        refused(lambda: add(role="user", content="hello", created_at="soon"), status=400)
    with check("what was refused was not stored"):
        assert zep.thread.get("s-1", lastn=1).total_count == told + 32
    with check("10,000 characters of an episode are taken, 10,001 are refused"):
        episode = lambda size: zep.graph.add(user_id="u-1", type="text", data="y" * size)
        assert episode(10_000).uuid_
        refused(lambda: episode(10_001), BadRequestError, 400)
    with check("400 characters of a query are taken, 401 are refused"):
        search = lambda size: zep.graph.search(user_id="u-1", query="q" * size)
        search(400)
        refused(lambda: search(401), BadRequestError, 400)
    with check("50 results of a search are given, 51 are refused"):
        zep.graph.search(user_id="u-1", query="tea", limit=50)
        refused(lambda: zep.graph.search(user_id="u-1", query="tea", limit=51), status=400)


def graphs(zep):
    with check("graph.create"):
        graph = zep.graph.create(
            graph_id="agent-a1", name="agent a1", description="memories of agent a1"
        )
        assert (graph.graph_id, graph.name) == ("agent-a1", "agent a1") and graph.uuid_, graph
        assert graph.description == "memories of agent a1" and graph.created_at, graph
    with check("graph.create refuses a graph that exists"):
        refused(lambda: zep.graph.create(graph_id="agent-a1"), says="already exists")
    with check("graph.get"):
        assert zep.graph.get("agent-a1").name == "agent a1"
        refused(lambda: zep.graph.get("nothing"), NotFoundError, 404)
    with check("graph.list_all"):
        page = zep.graph.list_all(page_number=1, page_size=50)
        assert [graph.graph_id for graph in page.graphs] == ["agent-a1"], page
        assert (page.total_count, page.row_count) == (1, 1), page
    with check("graph.add of text to a user"):
        episode = zep.graph.add(
            user_id="u-1",
            type="text",
            data="Prefers oolong tea",
            created_at=SAID_AT,
            metadata={"mem0_id": "x", "zm_id": "r-1"},
            source_description="mem0",
        )
        assert episode.uuid_ and episode.content == "Prefers oolong tea", episode
        assert instant(episode.created_at) == instant(SAID_AT), episode
        assert (episode.source, episode.source_description) == ("text", "mem0"), episode
        assert episode.metadata["mem0_id"] == "x", episode
    with check("graph.add of JSON to a graph"):
        added = zep.graph.add(graph_id="agent-a1", type="json", data='{"colour":"turquoise"}')
        assert added.source == "json", added
        for colour in ("ochre", "lilac"):
            data = json.dumps({"colour": colour})
            zep.graph.add(graph_id="agent-a1", type="json", data=data)
    with check("graph.add to nobody is refused"):
        error = refused(lambda: zep.graph.add(user_id="nobody", type="text", data="x"))
        assert error.status_code in (400, 404), error.status_code
        error = refused(lambda: zep.graph.add(graph_id="nothing", type="text", data="x"))
        assert error.status_code in (400, 404), error.status_code
        refused(lambda: zep.graph.add(type="text", data="x"), BadRequestError, 400)
    return episode


def episodes(zep, tea):
    with check("graph.episode.get"):
        assert zep.graph.episode.get(tea.uuid_).content == "Prefers oolong tea"
        refused(lambda: zep.graph.episode.get(str(uuid.uuid4())), status=404)
    with check("graph.episode.update merges, and null removes"):
        episode = zep.graph.episode.update(tea.uuid_, metadata={"k": "v", "mem0_id": None})
        assert episode.metadata == {"zm_id": "r-1", "k": "v"}, episode.metadata
        assert zep.graph.episode.get(tea.uuid_).metadata == {"zm_id": "r-1", "k": "v"}
    with check("graph.episode.get_by_user_id and by graph"):
        assert len(zep.graph.episode.get_by_user_id("u-1", lastn=20).episodes) == 20
        found = zep.graph.episode.get_by_graph_id("agent-a1", lastn=20).episodes
        colours = [json.loads(episode.content)["colour"] for episode in found]
        assert colours == ["turquoise", "ochre", "lilac"], colours
    raw = zep.graph.episode.with_raw_response
    with check("graph.episode.list_by_user_id goes on by cursor until all were seen once"):
        listed, count = pages(raw.list_by_user_id, user_id="u-1", limit=50)
        ids = [episode.uuid_ for episode in listed]
        assert len(ids) == len(set(ids)) > 90 and count > 1 and tea.uuid_ in ids, len(ids)
        assert ids == sorted(ids, reverse=True), "not ordered by id downwards"
        whole = zep.graph.episode.get_by_user_id("u-1", lastn=1000).episodes
        assert {episode.uuid_ for episode in whole} == set(ids) and len(whole) == len(ids)
        smaller, _ = pages(raw.list_by_user_id, user_id="u-1", limit=7)
        assert [episode.uuid_ for episode in smaller] == ids, "another size, another whole"
    with check("graph.episode.list_by_user_id by time, upwards"):
        listed, _ = pages(
            raw.list_by_user_id, user_id="u-1", limit=50, order_by="created_at", direction="asc"
        )
        times = [instant(episode.created_at) for episode in listed]
        assert times == sorted(times) and len(times) == len(ids)
    with check("graph.episode.list_by_user_id of a known set"):
        known = ids[:3]
        listed, _ = pages(
            raw.list_by_user_id, user_id="u-1", limit=50, mentioned_node_uuids=known
        )
        assert {episode.uuid_ for episode in listed} == set(known)
        other = zep.graph.episode.list_by_user_id("page-0", mentioned_node_uuids=known)
        assert other == [], "somebody else's episodes"
    with check("graph.episode.list_by_user_id by metadata"):
        listed, _ = pages(
            raw.list_by_user_id,
            user_id="u-1",
            limit=50,
            order_by="created_at",
            direction="asc",
            episode_metadata_filters=MetadataFilterGroup(
                type="and",
                filters=[
                    EpisodeMetadataFilter(
                        comparison_operator="=", property_name="zm_id", property_value="r-1"
                    )
                ],
            ),
        )
        assert [episode.uuid_ for episode in listed] == [tea.uuid_], listed
    with check("graph.episode.list_by_graph_id goes on by cursor"):
        listed, count = pages(raw.list_by_graph_id, graph_id="agent-a1", limit=2)
        assert len({episode.uuid_ for episode in listed}) == len(listed) == 3 and count == 2
    with check("lists of nobody's episodes, facts and entities are a 404"):
        for of in (zep.graph.episode.list_by_user_id, zep.graph.episode.get_by_user_id):
            refused(lambda: of("nobody"), status=404)
        for of in (zep.graph.edge.get_by_user_id, zep.graph.node.get_by_user_id):
            refused(lambda: of("nobody"), status=404)
        for of in (zep.graph.edge.get_by_graph_id, zep.graph.episode.list_by_graph_id):
            refused(lambda: of("nothing"), status=404)


def facts(zep, tea):
    raw = zep.graph.edge.with_raw_response
    with check("graph.edge.get_by_user_id goes on by cursor until all were seen once"):
        until(lambda: zep.graph.episode.get(tea.uuid_).processed)
        listed, count = pages(raw.get_by_user_id, user_id="u-1", limit=50)
        ids = [edge.uuid_ for edge in listed]
        assert len(ids) == len(set(ids)) > 50 and count > 1, len(ids)
    with check("graph.edge.get_by_user_id goes on by the last item's id, as older clients do"):
        walked, last = [], None
        while page := zep.graph.edge.get_by_user_id("u-1", limit=50, uuid_cursor=last):
            walked.extend(edge.uuid_ for edge in page)
            last = walked[-1]
            assert len(walked) <= len(ids), "the pages do not end"
        assert walked == ids
    with check("graph.edge.get_by_user_id by time goes on by cursor, both ways"):
        orders = {}
        for way in ("asc", "desc"):
            listed, _ = pages(
                raw.get_by_user_id, user_id="u-1", limit=17, order_by="created_at", direction=way
            )
            orders[way] = [edge.uuid_ for edge in listed]
            # The order is that of the events, not of their receipt.
            times = [instant(edge.valid_at) for edge in listed]
            assert times == sorted(times, reverse=way == "desc"), way
        assert orders["asc"] == orders["desc"][::-1] and set(orders["asc"]) == set(ids)
    with check("graph.edge.get_by_user_id filtered by episodes and by facts"):
        of_tea, _ = pages(
            raw.get_by_user_id,
            user_id="u-1",
            limit=50,
            order_by="created_at",
            direction="desc",
            filters=SearchFilters(episode_uuids=[tea.uuid_]),
        )
        assert of_tea and all(tea.uuid_ in edge.episodes for edge in of_tea), of_tea
        fact = of_tea[0]
        same = zep.graph.edge.get_by_user_id(
            "u-1", filters=SearchFilters(edge_uuids=[fact.uuid_, str(uuid.uuid4())])
        )
        assert [edge.uuid_ for edge in same] == [fact.uuid_], same
        by_time = dict(order_by="created_at", direction="asc")
        first = raw.get_by_user_id("u-1", limit=1, **by_time)
        behind = zep.graph.edge.get_by_user_id(
            "u-1",
            **by_time,
            limit=50,
            cursor=dict(first.headers)["zep-next-cursor"],
            filters=SearchFilters(edge_uuids=[fact.uuid_], episode_uuids=[tea.uuid_]),
        )
        assert first.data[0].uuid_ != fact.uuid_
        assert [edge.uuid_ for edge in behind] == [fact.uuid_], behind
        other = zep.graph.edge.get_by_user_id(
            "page-0", filters=SearchFilters(edge_uuids=[fact.uuid_])
        )
        assert other == [], "somebody else's facts"
    with check("graph.edge.get_by_graph_id"):
        edges = until(
            lambda: len(e := zep.graph.edge.get_by_graph_id("agent-a1", limit=50)) == 3 and e
        )
        assert all(edge.fact and edge.source_node_uuid for edge in edges), edges
        listed, _ = pages(raw.get_by_graph_id, graph_id="agent-a1", limit=2)
        assert {edge.uuid_ for edge in listed} == {edge.uuid_ for edge in edges}
    with check("graph.edge.get"):
        edge = zep.graph.edge.get(fact.uuid_)
        assert "oolong" in edge.fact and edge.name and edge.target_node_uuid, edge
        refused(lambda: zep.graph.edge.get(str(uuid.uuid4())), NotFoundError, 404)
    with check("graph.edge.update"):
        edge = zep.graph.edge.update(fact.uuid_, fact="Likes sencha tea")
        assert edge.fact == "Likes sencha tea", edge
        assert zep.graph.edge.get(fact.uuid_).fact == "Likes sencha tea"
    with check("graph.node.get_by_user_id and by graph"):
        nodes = zep.graph.node.get_by_user_id("u-1", limit=50)
        assert "Jane Doe" in [node.name for node in nodes], nodes
        for node in nodes:
            assert node.uuid_ and node.name and node.created_at, node
            assert zep.graph.node.get(node.uuid_).name == node.name
        paged, _ = pages(zep.graph.node.with_raw_response.get_by_user_id, user_id="u-1", limit=1)
        assert {node.uuid_ for node in paged} == {node.uuid_ for node in nodes}
        (node,) = zep.graph.node.get_by_graph_id("agent-a1", limit=50)
        assert node.name == "agent a1", node
        refused(lambda: zep.graph.node.get(str(uuid.uuid4())), NotFoundError, 404)
    return fact


def search(zep, tea):
    with check("graph.search for facts, ranked"):
        found = zep.graph.search(
            user_id="u-1", query="green tea", scope="edges", reranker="rrf", limit=10
        )
        assert any("green tea" in edge.fact for edge in found.edges), found
        assert len(found.edges) <= 10
    with check("graph.search with the cross encoder answers a likeness in 0-1"):
        found = zep.graph.search(user_id="u-1", query="tea", reranker="cross_encoder")
        assert found.edges and all(0 <= edge.score <= 1 for edge in found.edges), found
    with check("graph.search for episodes"):
        found = zep.graph.search(user_id="u-1", query="oolong", scope="episodes", limit=5)
        assert tea.uuid_ in [episode.uuid_ for episode in found.episodes], found
    with check("graph.search for entities"):
        found = zep.graph.search(graph_id="agent-a1", query="turquoise", scope="nodes")
        assert not found.nodes, found
        found = zep.graph.search(graph_id="agent-a1", query="agent a1", scope="nodes")
        assert [node.name for node in found.nodes] == ["agent a1"], found
        found = zep.graph.search(user_id="u-1", query="Jane Doe", scope="nodes")
        assert "Jane Doe" in [node.name for node in found.nodes], found
    with check("graph.search for whatever fits, as a context block"):
        found = zep.graph.search(
            user_id="u-1",
            query="tea",
            scope="auto",
            max_characters=2500,
            return_raw_results=True,
        )
        assert "tea" in found.context and len(found.context) <= 2500, found
        assert found.edges, "raw results were asked for"
    with check("graph.search within a time and within episodes"):
        after = lambda date: SearchFilters(
            created_at=[[DateFilter(comparison_operator=">=", date=date)]]
        )
        query = dict(user_id="u-1", query="green tea")
        assert zep.graph.search(**query, search_filters=after("2024-01-01T00:00:00Z")).edges
        assert not zep.graph.search(**query, search_filters=after("2999-01-01T00:00:00Z")).edges
        found = zep.graph.search(
            user_id="u-1",
            query="tea",
            scope="edges",
            reranker="cross_encoder",
            limit=50,
            search_filters=SearchFilters(episode_uuids=[tea.uuid_, str(uuid.uuid4())]),
        )
        assert found.edges and all(tea.uuid_ in edge.episodes for edge in found.edges), found
    with check("graph.search finds nothing of anybody else"):
        assert not zep.graph.search(user_id="page-0", query="green tea").edges
        assert not zep.graph.search(graph_id="agent-a1", query="green tea").edges
        refused(lambda: zep.graph.search(user_id="nobody", query="green tea"), status=404)
    with check("graph.search refuses a scope and a reranker that do not exist"):
        refused(lambda: zep.graph.search(user_id="u-1", query="x", scope="moon"), status=400)
        refused(lambda: zep.graph.search(user_id="u-1", query="x", reranker="moon"), status=400)


def batches(zep):
    with check("batch.create"):
        batch = zep.batch.create(metadata={"source": "mem0"})
        assert batch.batch_id and batch.status == "draft", batch
        assert batch.metadata == {"source": "mem0"}, batch
    with check("batch.add"):
        zep.thread.create(thread_id="batched", user_id="u-1")
        items = zep.batch.add(
            batch.batch_id,
            items=[
                BatchAddItem(
                    type="thread_message",
                    thread_id="batched",
                    role="user",
                    name="Jane",
                    content="hello from a batch",
                    created_at=SAID_AT,
                    metadata={"k": "v"},
                ),
                BatchAddItem(
                    type="graph_episode",
                    user_id="u-1",
                    data_type="text",
                    data="Prefers batched tea",
                    created_at=SAID_AT,
                    metadata={"k": "v"},
                ),
            ],
        )
        assert [item.sequence_index for item in items] == sorted(i.sequence_index for i in items)
        assert [item.kind for item in items] == ["thread_message", "graph_episode"], items
        assert [item.status for item in items] == ["pending", "pending"], items
        assert items[0].thread_id == "batched" and items[1].user_id == "u-1", items
        assert all(item.episode_uuid and item.episode_uuid == item.source_uuid for item in items)
        pending = zep.batch.list_items(batch.batch_id, limit=100, status="pending").items
        assert [item.item_id for item in pending] == [item.item_id for item in items]
    with check("batch.list, of all and of the drafts"):
        for status in (None, "draft"):
            listed = zep.batch.list(limit=50, status=status).batches
            assert batch.batch_id in [b.batch_id for b in listed], (status, listed)
        assert not zep.batch.list(status="failed").batches
        others = {zep.batch.create().batch_id for _ in range(3)}
        listed, cursor = [], None
        while True:
            page = zep.batch.list(limit=2, cursor=cursor)
            listed.extend(b.batch_id for b in page.batches)
            if not (cursor := page.next_cursor):
                break
            assert len(listed) <= 4, "the pages do not end"
        assert len(listed) == 4 and set(listed) == others | {batch.batch_id}, listed
    with check("batch.process, and polling until it is done"):
        assert zep.batch.process(batch.batch_id).status != "draft"
        done = until(lambda: (b := zep.batch.get(batch.batch_id)).status == "succeeded" and b)
        assert done.progress.total_items == done.progress.succeeded_items == 2, done
        assert done.progress.percent_complete == 100 and not done.progress.failed_items, done
        assert instant(done.created_at) <= instant(done.processed_at) <= instant(done.completed_at)
    with check("what was batched is stored as it was given"):
        (message,) = zep.thread.get("batched").messages
        assert message.content == "hello from a batch" and message.metadata == {"k": "v"}
        assert message.uuid_ == items[0].episode_uuid and message.name == "Jane", message
        assert instant(message.created_at) == instant(SAID_AT)
        assert zep.graph.episode.get(items[1].episode_uuid).content == "Prefers batched tea"
    with check("batch.list_items, page by page and by status"):
        first = zep.batch.list_items(batch.batch_id, limit=1)
        rest = zep.batch.list_items(batch.batch_id, limit=100, cursor=first.next_cursor)
        assert [i.sequence_index for i in first.items + rest.items] == [
            i.sequence_index for i in items
        ]
        assert not rest.next_cursor, rest
        page = zep.batch.list_items(batch.batch_id, limit=100, cursor=0, status="failed")
        assert not page.items, page
        assert len(zep.batch.list_items(batch.batch_id, status="succeeded").items) == 2
    with check("batch.process and batch.add of a batch that is no draft are conflicts"):
        refused(lambda: zep.batch.process(batch.batch_id), ConflictError, 409)
        more = [BatchAddItem(type="graph_episode", user_id="u-1", data="late")]
        refused(lambda: zep.batch.add(batch.batch_id, items=more), ConflictError, 409)
        assert zep.batch.get(batch.batch_id).item_count == 2
    with check("batch.delete of a draft, and not of one that was processed"):
        draft = zep.batch.create()
        assert zep.batch.delete(draft.batch_id).message
        refused(lambda: zep.batch.get(draft.batch_id), NotFoundError, 404)
        refused(lambda: zep.batch.delete(batch.batch_id), status=409)
    with check("batch.add refuses 351 items"):
        draft = zep.batch.create()
        item = BatchAddItem(type="graph_episode", user_id="u-1", data="x")
        refused(lambda: zep.batch.add(draft.batch_id, items=[item] * 351), status=400)
        assert len(zep.batch.add(draft.batch_id, items=[item] * 350)) == 350
        zep.batch.delete(draft.batch_id)
    with check("batch.add refuses all if one could never be stored"):
        draft = zep.batch.create()
        say = lambda **fields: BatchAddItem(type="thread_message", **fields)
        good = say(thread_id="batched", role="user", content="good")
        nested = {"a": {"b": 1}}
        for wrong, status in (
            (say(thread_id="nothing", role="user", content="x"), 404),
            (say(thread_id="batched", role="user", content="x" * 4097), 400),
            (say(thread_id="batched", role="user", content="x", metadata=nested), 400),
            (BatchAddItem(type="graph_episode", user_id="nobody", data="x"), 404),
            (BatchAddItem(type="graph_episode", user_id="u-1", data="x" * 10_001), 400),
        ):
            refused(lambda: zep.batch.add(draft.batch_id, items=[good, wrong]), status=status)
        assert zep.batch.get(draft.batch_id).item_count == 0
        refused(lambda: zep.batch.process(draft.batch_id), BadRequestError, 400)
    with check("what cannot be stored any more fails alone: partial, or failed"):
        for others, status in ((1, "partial"), (0, "failed")):
            zep.user.add(user_id="doomed")
            zep.thread.create(thread_id="doomed", user_id="doomed")
            batch = zep.batch.create()
            doomed = [say(thread_id="doomed", role="user", content="goes")]
            zep.batch.add(batch.batch_id, items=doomed + [good] * others)
            zep.user.delete("doomed")
            zep.batch.process(batch.batch_id)
            done = until(lambda: (b := zep.batch.get(batch.batch_id)).status == status and b)
            progress = done.progress
            assert (progress.failed_items, progress.succeeded_items) == (1, others), done
            assert done.batch_id in [b.batch_id for b in zep.batch.list(status=status).batches]
            items = zep.batch.list_items(batch.batch_id).items
            assert [i.status for i in items] == ["failed"] + ["succeeded"] * others, items
            assert {i.kind for i in items} == {"thread_message"} and items[0].error, items
    with check("task.get"):
        added = zep.thread.add_messages("s-1", messages=[Message(role="user", content="task")])
        if added.task_id:
            assert zep.task.get(added.task_id).status
        refused(lambda: zep.task.get("t-nothing"), NotFoundError, 404)


def deleting(zep, tea, fact):
    with check("graph.edge.delete"):
        assert zep.graph.edge.delete(fact.uuid_).message
        refused(lambda: zep.graph.edge.get(fact.uuid_), NotFoundError, 404)
    with check("graph.episode.delete takes the facts with it that only it supports"):
        extra = zep.graph.add(user_id="u-1", type="text", data="Keeps a pet axolotl")
        filters = SearchFilters(episode_uuids=[extra.uuid_])
        edges = until(lambda: zep.graph.edge.get_by_user_id("u-1", filters=filters))
        assert zep.graph.episode.delete(extra.uuid_).message
        refused(lambda: zep.graph.episode.get(extra.uuid_), status=404)
        for edge in edges:
            refused(lambda: zep.graph.edge.get(edge.uuid_), NotFoundError, 404)
        refused(lambda: zep.graph.episode.delete(extra.uuid_), NotFoundError, 404)
    with check("thread.delete takes its episodes with it"):
        episode = zep.thread.get("roles").messages[0].uuid_
        assert zep.thread.delete("roles").message
        refused(lambda: zep.thread.get("roles"), NotFoundError, 404)
        refused(lambda: zep.graph.episode.get(episode), status=404)
        refused(lambda: zep.thread.delete("roles"), NotFoundError, 404)
    with check("graph.delete"):
        assert zep.graph.delete("agent-a1").message
        refused(lambda: zep.graph.get("agent-a1"), NotFoundError, 404)
        refused(lambda: zep.graph.delete("agent-a1"), NotFoundError, 404)
    with check("user.delete takes everything of theirs with it, and nothing of anybody else"):
        zep.thread.create(thread_id="theirs", user_id="page-0")
        assert zep.user.delete("u-1").message
        refused(lambda: zep.user.get("u-1"), NotFoundError, 404)
        refused(lambda: zep.thread.get("s-1"), NotFoundError, 404)
        refused(lambda: zep.graph.episode.get(tea.uuid_), status=404)
        assert zep.thread.get("theirs").user_id == "page-0"
        refused(lambda: zep.user.delete("u-1"), NotFoundError, 404)


def keys_and_headers(address):
    with check("a wrong key is refused with 401, and changes nothing"):
        wrong = connect(address, "wrong")
        refused(lambda: wrong.project.get(), status=401, says="unauthorized")
        refused(lambda: wrong.user.add(user_id="u-1"), status=401, says="unauthorized")
        refused(lambda: connect(address, "right").user.get("u-1"), NotFoundError, 404)
    with check("every answer says how many calls are left, errors, too"):
        zep = connect(address, "right")
        before = None
        for call in itertools.islice(itertools.cycle((True, False, None)), 6):
            if call:
                headers = zep.project.with_raw_response.get().headers
            elif call is None:
                headers = refused(connect(address, "wrong").project.get, status=401).headers
            else:
                headers = refused(lambda: zep.user.get("nobody"), NotFoundError).headers
            headers = {name.lower(): value for name, value in headers.items()}
            limit, left, reset, increment = (
                int(headers[f"x-ratelimit-{name}"])
                for name in ("limit", "remaining", "reset", "increment")
            )
            assert 0 <= left < limit and increment >= 1, headers
            assert 0 <= reset - time.time() + 1 <= 62, reset
            # One call fewer every time, or a new minute.
            assert before is None or reset > before[1] or left == before[0] - 1, (before, left)
            before = left, reset


def main():
    with emulator() as address:
        zep = connect(address)
        project(zep)
        users(zep)
        threads(zep)
        tea = graphs(zep)
        limits(zep)
        episodes(zep, tea)
        fact = facts(zep, tea)
        search(zep, tea)
        batches(zep)
        deleting(zep, tea, fact)
    with emulator("--api-key", "right") as address:
        keys_and_headers(address)
    with check("every call of the contract was sent"):
        assert not (missing := contract.missing(sent)), missing


main()
finish()
