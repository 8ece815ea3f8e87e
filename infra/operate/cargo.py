"""cargo-lambda: builds the functions, uploads one, says what it would upload. bench/run builds with it, too."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from environment import ROOT, target

from .settings import Settings, code_flags, environment_file, flags
from .told import Failed, Refused

FUNCTIONS = ("monitor-s", "controller-asg", "dashboard")
# An upload of 4 MB; a tenth of a megabit a second still makes it.
DEPLOY_SECONDS = 600
DRY_SECONDS = 60


def build(tools: Path) -> dict[str, Path]:
    """The bootstraps as they are deployed, for this machine's architecture. `tools` is the folder of cargo-lambda."""
    packages = [word for name in FUNCTIONS for word in ("--package", name)]
    command = [os.environ.get("CARGO", "cargo"), "lambda", "build", "--release", "--locked", *packages]
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path, "CARGO_TARGET_DIR": str(target())}, stdout=sys.stderr, check=True)
    return {name: bootstraps() / name / "bootstrap" for name in FUNCTIONS}


def bootstraps(given: str | None = None) -> Path:
    """The folder of the functions' folders, each with a `bootstrap`."""
    return Path(given).absolute() if given else target() / "lambda"


def check_bootstraps(folder: Path, given: bool) -> None:
    """Refuses to go on without something to upload: before anything has been done rather than in the midst of it."""
    for function in FUNCTIONS:
        if not (folder / function / "bootstrap").is_file():
            how = f"--bootstraps {folder}" if given else "`make build-functions` makes it"
            raise Refused(f"there is no {folder / function / 'bootstrap'}: {how}")


def architecture(bootstrap: Path) -> str:
    """The processor that a binary is for, in Lambda's words."""
    head = bootstrap.read_bytes()[:20]
    machine = int.from_bytes(head[18:20], "little")
    if head[:4] != b"\x7fELF" or machine not in (0x3E, 0xB7):
        raise Refused(f"{bootstrap} is no Linux binary for x86_64 or arm64")
    return {0x3E: "x86_64", 0xB7: "arm64"}[machine]


class CargoLambda:
    """`cargo lambda deploy` of one folder of bootstraps."""

    def __init__(self, folder: Path, environ: dict[str, str], region: str, endpoint: str):
        self._folder = folder
        self._environ = environ
        self._where = ["--region", region, "--retry-attempts", "3"] + (["--endpoint-url", endpoint] if endpoint else [])

    def create(self, wanted: Settings) -> str:
        """Makes a function with all its settings, and the alias. Returns the version."""
        with _environment_file(wanted) as file:
            return self._version(wanted, flags(wanted, file))

    def update(self, wanted: Settings) -> str:
        """Uploads code, publishes a version, moves the alias to it; every setting stays. Returns the version."""
        return self._version(wanted, code_flags(wanted))

    def dry(self, wanted: Settings) -> dict:
        """What a first deployment would upload, and with which settings. It needs neither credentials nor a network."""
        with _environment_file(wanted) as file:
            answer = self._deploy(wanted, flags(wanted, file), ["--dry"], DRY_SECONDS)
        return answer

    def _version(self, wanted: Settings, told: list[str]) -> str:
        return self._deploy(wanted, told, self._where, DEPLOY_SECONDS)["version"]

    def _deploy(self, wanted: Settings, told: list[str], more: list[str], seconds: float) -> dict:
        tool = Path(sys.executable).with_name("cargo-lambda")
        command = [tool, "lambda", "deploy", *told, *more, "--output-format", "json", "--lambda-dir", self._folder, wanted.name]
        try:
            run = subprocess.run(
                command, cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"cargo lambda deploy of {wanted.name} had not ended after {seconds:.0f} s") from error
        if run.returncode:
            raise Failed(f"cargo lambda deploy of {wanted.name} failed:\n{last_words(run.stderr)}")
        try:
            return json.loads(run.stdout[run.stdout.index("{") :])
        except ValueError as error:
            raise Failed(f"cargo lambda deploy of {wanted.name} answered {run.stdout!r}") from error


@contextlib.contextmanager
def _environment_file(wanted: Settings) -> Iterator[Path]:
    """A file that only we can read, gone with the block."""
    with tempfile.NamedTemporaryFile("w", prefix="muster-", suffix=".env") as file:
        file.write(environment_file(wanted.environment))
        file.flush()
        yield Path(file.name)


def last_words(text: str) -> str:
    """What cargo-lambda says of a failure, a cause a line: without its progress, its frames, and the breaks at the 80th column.

    Somebody looks for AWS's words in it, and a break in the midst of them would hide them.
    """
    causes: list[str] = []
    for line in text.splitlines():
        if "Was this behavior unexpected" in line:
            break
        # Progress, and the failure at the end of its line.
        words = line.split("Error:", 1)[-1].strip().lstrip("│ ")
        if not words or "▹" in words:
            continue
        begins = re.match(r"(×|├─▶|╰─▶)\s*(.*)", words)
        if begins or not causes:
            causes.append(begins[2] if begins else words)
        else:
            causes[-1] += f" {words}"
    return "\n".join(f"  {cause}" for cause in dict.fromkeys(causes))
