"""Throw-away Python environments beside the build, for what this repository runs and nobody should have to install."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def target() -> Path:
    """Where builds go: what can be made again."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


def environment(name: str, requirements: Path) -> Path:
    """The Python of an environment that holds what is required; made once for each set of requirements.

    It raises OSError or subprocess.CalledProcessError: python3 with venv and pip is needed, and PyPI once.
    """
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = target() / f"{name}-{key}"
    python, installed = home / "bin/python", home / "installed"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        # Two that begin at once would install into each other's.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            install(home, requirements)
            installed.touch()
    return python


def install(home: Path, requirements: Path) -> None:
    # What is told while it is made belongs to nobody's standard output.
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], stdout=sys.stderr, check=True)
    pip = [home / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--requirement", requirements]
    subprocess.run(pip, stdout=sys.stderr, check=True)
