"""The workflows that check and release: GitHub's schema, zizmor (permissions, pins, injection) and
shellcheck find nothing, and all ways of installing name the same platforms."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from peer import check, finish
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent


def finds_nothing(tool, *arguments, text=None):
    done = subprocess.run(
        [TOOLS / tool, *arguments], input=text, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def scripts(workflow):
    """What the steps of a workflow run."""
    for name, job in YAML(typ="safe").load(workflow)["jobs"].items():
        for number, step in enumerate(job.get("steps", [])):
            if "run" in step:
                yield f"{name}, step {number + 1}", step["run"]


assert WORKFLOWS, "no workflows"
with check("the workflows are what GitHub's schema asks for"):
    finds_nothing("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    updates = ROOT / ".github" / "dependabot.yml"
    finds_nothing("check-jsonschema", "--builtin-schema", "vendor.dependabot", updates)
with check("zizmor finds no weakness in them"):
    finds_nothing("zizmor", "--offline", "--no-progress", "--min-severity", "medium", ".github")
with check("shellcheck finds nothing in their scripts"):
    for workflow in WORKFLOWS:
        for place, script in scripts(workflow):
            assert "${{" not in script, f"{workflow.name}: {place}: an expression in a script"
            finds_nothing("shellcheck", "--shell=bash", "-", text=f"set -e\n{script}")
with check("the release builds what npm's packages and cargo binstall name"):
    release = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "release.yml")
    build = release["jobs"]["build"]
    targets = {row["target"] for row in build["strategy"]["matrix"]["include"]}
    named = re.findall(r'^  "([\w-]+)": \{ os:', (ROOT / "npm/assemble.mjs").read_text(), re.M)
    assert targets == set(named) and len(named) == 8, targets ^ set(named)
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    binstall = package["metadata"]["binstall"]
    archive = binstall["pkg-url"].rsplit("/", 1)[1]
    assert archive == "{ name }-{ target }{ archive-suffix }", archive
    assert binstall["bin-dir"] == "{ name }-{ target }/{ bin }{ binary-ext }"
    (packing,) = [step["run"] for step in build["steps"] if "tar -czf" in step.get("run", "")]
    assert f"name={package['name']}-$TARGET" in packing
    assert "archives/$name.tar.gz" in packing and "archives/$name.zip" in packing
finish()
