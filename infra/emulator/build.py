"""What is run: the commands that a clean clone builds it with, and where it is then."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from environment import ROOT, target

from .processes import Trouble

FUNCTIONS = ("monitor-s", "controller-asg", "dashboard")
TOOLS = ("muster", "muster-fake-ec2", "monitor-c")


@dataclass(frozen=True)
class Binaries:
    """Where muster, our EC2 and the agent are, and the bootstraps as `cargo lambda build` leaves them."""

    tools: Path
    bootstraps: Path


def found(tools: str | None, bootstraps: str | None) -> Binaries:
    """What was named, or what is built from this checkout."""
    binaries = Binaries(Path(tools or target() / "debug"), Path(bootstraps or target() / "lambda"))
    needed = [binaries.tools / name for name in TOOLS] + [binaries.bootstraps / name / "bootstrap" for name in FUNCTIONS]
    missing = [str(path) for path in needed if not path.is_file()]
    if missing:
        raise Trouble(f"not built: {', '.join(missing)}; `make emulator` builds them")
    return binaries


def call(command: list[object], environment: dict[str, str], stdin: str | None = None, seconds: float = 120.0, fine: tuple[int, ...] = (0,)) -> str:
    """Runs a command in the project's folder to its end. Says what it said when it ends with another code than those that are `fine`."""
    command = [str(word) for word in command]
    done = subprocess.run(command, env=environment, input=stdin, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode not in fine:
        raise Trouble(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
