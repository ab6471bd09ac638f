"""What an installed server must do, however it was installed."""

from peer import check
from server import connect, embedded


async def serves(place, command, settings=None, directory=None):
    """Starts this command over stdio, as a host does, and stores and finds something."""
    with embedded() as store:
        with check(f"{place}: a host starts it, lists its tools, stores and finds"):
            async with connect(
                {**store, **(settings or {})}, command=command, directory=directory
            ) as server:
                assert server.name == "zep-mcp-server", server.name
                names = {tool.name for tool in await server.tools()}
                assert {"add_memory", "search_memory"} <= names, names
                text = "Ingrid plays the bassoon in a ship's orchestra."
                added = await server.call("add_memory", text=text, user_id="ada")
                assert added["results"][0]["memory"] == text, added
                found = await server.call("search_memory", query="bassoon", user_id="ada")
                assert [result["memory"] for result in found["results"]] == [text], found
