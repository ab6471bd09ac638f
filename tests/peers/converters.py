"""The libraries that turn MCP tools into what a model's API takes: every tool of the server is listed,
converted without a warning and with every argument's own type, and called.

    converters.py LIBRARY
"""

import asyncio
import json
import logging
import os
import sys
import warnings

# The argument is the library; the binary is in the environment.
LIBRARY = sys.argv.pop()

from peer import BINARY, check, finish  # noqa: E402
from server import embedded  # noqa: E402

NAMES = set(
    """add_memory delete_all_memories delete_entities delete_memory get_event_status get_memories
    get_memory get_session list_entities list_events list_sessions migrate_user migration_status
    search_memories search_memory update_memory validate_migration""".split()
)
# A free-form object cannot be described in OpenAI's strict mode, and one without properties counts as
# such.
FREE_FORM = {
    "add_memory",
    "get_memories",
    "list_entities",
    "migrate_user",
    "search_memories",
    "update_memory",
    "validate_migration",
}


def plain(converted, schema, place):
    """Fails unless a converted schema has the types of the schema, at every depth."""
    kind = converted["type"]
    kind = str(getattr(kind, "value", kind)).lower()
    assert kind == schema["type"], f"{place} became {kind}, and is {schema['type']}"
    for name, each in schema.get("properties", {}).items():
        plain(converted["properties"][name], each, f"{place}.{name}")
    if "items" in schema:
        plain(converted["items"], schema["items"], f"{place}[]")
    assert not any("ref" in key.lower() or key == "$defs" for key in converted), converted


def stdio(settings):
    """How to start the server, as most libraries take it."""
    return {"command": BINARY, "args": [], "env": {**os.environ, **settings}}


async def google_genai(settings):
    from google.genai import _mcp_utils
    from mcp import ClientSession, StdioServerParameters, stdio_client

    async with stdio_client(StdioServerParameters(**stdio(settings))) as pipes:
        async with ClientSession(*pipes) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            converted = {}
            for tool in _mcp_utils.mcp_to_gemini_tools(tools):
                (declaration,) = tool.function_declarations
                parameters = declaration.parameters.model_dump(exclude_none=True)
                converted[declaration.name] = parameters
            result = await session.call_tool("add_memory", {"text": "Ada sings"})
            return {tool.name: tool.inputSchema for tool in tools}, converted, result.content[0].text


async def langchain_google_genai(settings):
    from langchain_google_genai._function_utils import convert_to_genai_function_declarations
    from langchain_mcp_adapters.client import MultiServerMCPClient

    client = MultiServerMCPClient({"memory": {"transport": "stdio", **stdio(settings)}})
    tools = await client.get_tools()
    converted = {}
    for tool in tools:
        (made,) = convert_to_genai_function_declarations([tool])
        for declaration in made.function_declarations:
            converted[declaration.name] = declaration.parameters.model_dump(exclude_none=True)
    add = next(tool for tool in tools if tool.name == "add_memory")
    answer = await add.ainvoke({"text": "Ada sings"})
    answer = answer if isinstance(answer, str) else answer[0]["text"]
    return {tool.name: tool.args_schema for tool in tools}, converted, answer


async def openai_agents(settings):
    from agents.mcp import MCPServerStdio, MCPUtil

    async with MCPServerStdio(params=stdio(settings)) as server:
        tools = await server.list_tools()
        made = [MCPUtil.to_function_tool(tool, server, True) for tool in tools]
        strict = {tool.name for tool in made if tool.strict_json_schema}
        assert strict == NAMES - FREE_FORM, f"strict are {sorted(strict)}"
        result = await server.call_tool("add_memory", {"text": "Ada sings"})
        schemas = {tool.name: tool.model_dump(by_alias=True)["inputSchema"] for tool in tools}
        return schemas, schemas, result.content[0].text


async def pydantic_ai(settings):
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.profiles.google import GoogleJsonSchemaTransformer

    server = stdio(settings)
    transport = StdioTransport(command=server["command"], args=[], env=server["env"])
    async with MCPToolset(transport) as toolset:
        tools = await toolset.list_tools()
        schemas = {tool.name: tool.model_dump(by_alias=True)["inputSchema"] for tool in tools}
        converted = {
            name: GoogleJsonSchemaTransformer(json.loads(json.dumps(schema))).walk()
            for name, schema in schemas.items()
        }
        answer = await toolset.direct_call_tool("add_memory", {"text": "Ada sings"})
        return schemas, converted, answer if isinstance(answer, str) else json.dumps(answer)


async def fastmcp(settings):
    from fastmcp import Client

    async with Client({"mcpServers": {"memory": stdio(settings)}}) as client:
        tools = await client.list_tools()
        schemas = {tool.name: tool.model_dump(by_alias=True)["inputSchema"] for tool in tools}
        result = await client.call_tool("add_memory", {"text": "Ada sings"})
        return schemas, schemas, result.content[0].text


async def mcp_use(settings):
    # Checks tell nobody that they run.
    os.environ["MCP_USE_ANONYMIZED_TELEMETRY"] = "false"
    from mcp_use import MCPClient

    client = MCPClient.from_dict({"mcpServers": {"memory": stdio(settings)}})
    try:
        session = await client.create_session("memory")
        tools = await session.list_tools()
        schemas = {tool.name: tool.inputSchema for tool in tools}
        result = await session.call_tool("add_memory", {"text": "Ada sings"})
        return schemas, schemas, result.content[0].text
    finally:
        await client.close_all_sessions()


async def main():
    with embedded() as settings, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        noted = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: noted.append(record.getMessage())
        logging.getLogger().addHandler(handler)
        schemas, converted = {}, {}
        with check(f"{LIBRARY} lists every tool and calls add_memory"):
            library = globals()[LIBRARY.replace("-", "_")]
            schemas, converted, answer = await library(settings)
            assert set(schemas) == NAMES, sorted(schemas)
            assert json.loads(answer)["results"][0]["memory"] == "Ada sings", answer
        with check(f"{LIBRARY} converts every tool, and every argument keeps its type"):
            assert set(converted) == NAMES, sorted(NAMES - set(converted))
            for name, schema in schemas.items():
                plain(converted[name], schema, name)
        with check(f"{LIBRARY} has nothing to warn of"):
            ours = [str(each.message) for each in warned if "deprecat" not in str(each.message).lower()]
            ours += [each for each in noted if "schema" in each.lower() or "key" in each.lower()]
            assert not ours, ours
    finish()


asyncio.run(main())
