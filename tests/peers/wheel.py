"""maturin builds a wheel that carries the binary. Installed into a clean environment, and started by
uvx, it serves over stdio."""

import asyncio
import email
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

from installed import serves
from peer import BINARY, check, finish

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


def build(out):
    """The wheel. In the target directory and with the profile of the binary, cargo has nothing left
    to compile; a binary from elsewhere is not used, and the wheel gets a development build."""
    binary = Path(BINARY)
    target = binary.parent.parent
    # Cargo's list of what the binary was made from lies beside it, and beside no copy. (CACHEDIR.TAG is
    # not in a target directory that somebody else made.)
    ours = binary.with_suffix(".d").exists()
    profile = {"debug": "dev"}.get(binary.parent.name, binary.parent.name) if ours else "dev"
    place = {"CARGO_TARGET_DIR": str(target)} if ours else {}
    done = subprocess.run(
        [TOOLS / "maturin", "build", "--locked", "--profile", profile, "--out", out],
        cwd=ROOT,
        env={**os.environ, **place},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-600:]
    (wheel,) = Path(out).glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (script,) = [name for name in archive.namelist() if "/scripts/" in name]
        assert Path(script).stem == "zep-mcp-server", script
        assert not ours or archive.read(script) == binary.read_bytes(), "another binary"
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return wheel, email.message_from_bytes(archive.read(metadata))


def described(metadata):
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    assert metadata["Name"] == package["name"], metadata["Name"]
    assert metadata["Version"] == package["version"], metadata["Version"]
    assert metadata["Summary"] == package["description"], metadata["Summary"]
    assert metadata["License-Expression"] == package["license"], metadata["License-Expression"]
    assert metadata["License-File"] == "LICENSE", metadata["License-File"]
    assert metadata["Requires-Python"] == ">=3.8", metadata["Requires-Python"]
    readme = (ROOT / package["readme"]).read_text()
    assert metadata.get_payload(decode=True).decode().strip() == readme.strip()


def installed(wheel, directory):
    """The program, installed from this wheel and nothing else."""
    venv.create(directory, with_pip=True)
    pip = [directory / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", wheel], check=True)
    return directory / "bin" / "zep-mcp-server"


async def main():
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        wheel = None
        with check("maturin packs the built binary, unchanged, into one wheel"):
            wheel, metadata = build(directory / "dist")
        if wheel is None:
            finish()
        with check("the wheel says of itself what Cargo.toml says"):
            described(metadata)
        with check("pip installs the wheel into a clean environment"):
            program = installed(wheel, directory / "clean")
        await serves("installed by pip", [program])
        # The command of a host's configuration, with the wheel in place of PyPI.
        from_here = {
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(wheel.parent),
            "UV_CACHE_DIR": str(directory / "cache"),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
        }
        await serves("uvx zep-mcp-server", [TOOLS / "uvx", "zep-mcp-server"], from_here)
    finish()


asyncio.run(main())
