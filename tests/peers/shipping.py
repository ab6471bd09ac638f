"""What is shipped with the program: the image, Compose, systemd, the MCP registry's entry, and hosts'
configurations. Each passes its own tool, and all agree with Cargo.toml and the settings."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import jsonschema
from peer import check, finish
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
TABLE = (ROOT / "src/config/setting.rs").read_text()
SETTINGS = set(re.findall(r'^ +\w+ = "([A-Z0-9_]+)" {$', TABLE, re.M))
README = (ROOT / "README.md").read_text()
UNIT = ROOT / "contrib" / "systemd" / "zep-mcp-server.service"

TEXT = {"type": "string", "minLength": 1}


def object_of(required, **properties):
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


INPUT = {
    "description": TEXT,
    "isRequired": {"type": "boolean"},
    "isSecret": {"type": "boolean"},
    "format": {"enum": ["string", "number", "boolean", "filepath"]},
    "value": TEXT,
    "default": TEXT,
    "placeholder": TEXT,
    "choices": {"type": "array", "items": TEXT},
}
VARIABLES = {"type": "object", "additionalProperties": object_of("description", **INPUT)}
NAMED = object_of("name description", name=TEXT, variables=VARIABLES, **INPUT)
URL = {"type": "string", "pattern": r"^https?://[^\s]+$"}
VERSION = {"const": PACKAGE["version"]}
# What we use of the registry's schema of 2025-12-11, and nothing else of it.
SERVER = object_of(
    "$schema name title description version packages",
    **{
        "$schema": {
            "const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
        },
        "name": {"type": "string", "maxLength": 200, "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
        "title": {**TEXT, "maxLength": 100},
        "description": {**TEXT, "maxLength": 100},
        "version": VERSION,
        "packages": {
            "type": "array",
            "items": object_of(
                "registryType identifier transport environmentVariables",
                registryType={"enum": ["npm", "pypi", "oci"]},
                registryBaseUrl=URL,
                identifier=TEXT,
                version=VERSION,
                runtimeHint={"enum": ["npx", "uvx", "docker"]},
                runtimeArguments={
                    "type": "array",
                    "items": object_of(
                        "type name value description", type={"const": "named"}, name=TEXT, **INPUT
                    ),
                },
                transport={
                    "oneOf": [
                        object_of("type", type={"const": "stdio"}),
                        object_of(
                            "type url",
                            type={"const": "streamable-http"},
                            url=URL,
                            headers={"type": "array", "items": NAMED},
                        ),
                    ]
                },
                environmentVariables={"type": "array", "items": NAMED},
            ),
        },
    },
)


def runs(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


with check("server.json is what the MCP registry takes, and this version everywhere"):
    server = json.loads((ROOT / "server.json").read_text())
    jsonschema.validate(server, SERVER)
    packages = {package["registryType"]: package for package in server["packages"]}
    assert list(packages) == ["npm", "pypi", "oci"], list(packages)
    for registry in ("npm", "pypi"):
        assert packages[registry]["identifier"] == PACKAGE["name"], registry
        assert "version" in packages[registry], registry
    image, tag = packages["oci"]["identifier"].rsplit(":", 1)
    # An image says its version in its tag, and nowhere else.
    assert tag == PACKAGE["version"] and "version" not in packages["oci"], tag
    assert image.endswith("/" + PACKAGE["name"]), image
    for package in server["packages"]:
        names = [variable["name"] for variable in package["environmentVariables"]]
        assert len(set(names)) == len(names) and set(names) <= SETTINGS, names
        for variable in package["environmentVariables"]:
            secret = variable["name"] in ("ZEP_API_KEY", "MCP_AUTH_TOKEN")
            assert variable.get("isSecret", False) == secret, variable["name"]
with check("the registry finds the server's name in the packages"):
    # PyPI shows the README; npm's package.json takes Cargo.toml's repository.
    assert f"<!-- mcp-name: {server['name']} -->\n" in README
    owner = re.fullmatch(r"https://github\.com/([^/]+)/.+", PACKAGE.get("repository", ""))
    if owner:
        assert server["name"] == f"io.github.{owner[1]}/{PACKAGE['name']}", server["name"]
with check("hadolint finds nothing in the Dockerfile"):
    runs(TOOLS / "hadolint", "Dockerfile")
with check("the image runs as nobody, checks its health, and listens on the documented port"):
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert all(re.search(r":\S+@sha256:[0-9a-f]{64}$", base) for base in bases), bases
    final = (ROOT / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 65532:65532$", final, re.M)
    assert re.search(r"^EXPOSE 8081$", final, re.M)
    assert re.search(r'^    CMD \["/usr/local/bin/zep-mcp-server", "health"\]$', final, re.M)
    named = set(re.findall(r"^(?:ENV|   ) ([A-Z_]+)=", final, re.M))
    assert named and named <= SETTINGS, named
    for ignored in ("target", ".env", "README.md", ".git"):
        assert f"!{ignored}" not in (ROOT / ".dockerignore").read_text().splitlines(), ignored
with check("compose.yaml is what Compose's schema asks for, and open to this machine only"):
    runs(
        TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"
    )
    service = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]["memory"]
    assert set(service["environment"]) <= SETTINGS, service["environment"]
    assert service["environment"]["MCP_AUTH_TOKEN"].startswith("${MCP_AUTH_TOKEN:?")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), service["ports"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["stop_grace_period"] == "1m"
    assert service["mem_limit"] and service["pids_limit"] and service["healthcheck"]["test"]
with check("systemd finds nothing wrong with the unit"):
    unit = UNIT.read_text()
    assert set(re.findall(r"^#?Environment=([A-Z_]+)=", unit, re.M)) <= SETTINGS
    assert "TimeoutStopSec=60\n" in unit
    # Where there is no systemd, nobody uses the unit.
    if shutil.which("systemd-analyze"):
        with tempfile.TemporaryDirectory() as directory:
            # The program need not be installed where the unit expects it.
            tried = Path(directory) / UNIT.name
            tried.write_text(unit.replace("/usr/local/bin/zep-mcp-server", shutil.which("true")))
            runs("systemd-analyze", "verify", tried)
with check("the configuration of each host reaches a server elsewhere, with a token"):
    hosts = json.loads((ROOT / "mcp_config.example.json").read_text())["_hosts"]
    for name, host in hosts.items():
        entry = json.dumps(host["url"])
        assert "https://memory.example.com/mcp" in entry, name
        assert "Authorization" in entry or "bearer_token_env_var" in entry, name
        if isinstance(host["url"], list):
            text = "\n".join(host["url"])
            if host["linux"].endswith("toml"):
                tomllib.loads(text)
            else:
                YAML().load(text)
with check("the documentation names every setting"):
    configuration = (ROOT / "docs" / "configuration.md").read_text()
    missing = {name for name in SETTINGS if f"`{name}`" not in configuration}
    assert not missing, missing
finish()
