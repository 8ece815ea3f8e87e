"""Processes that end with whoever started them, however that ends.

Linux ends a child with its parent (PR_SET_PDEATHSIG), but not a grandchild: the functions' processes are ministack's children and outlive
it. So `run` and the process below it both adopt orphans (PR_SET_CHILD_SUBREAPER), and end whatever is left when they end.
"""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# How long who is asked to end may take.
ENDING_SECONDS = 5.0
POLL_SECONDS = 0.05


class Trouble(Exception):
    """Something of the world is not as it must be; the text is for whoever runs it."""


def adopt_orphans() -> None:
    """Makes this process the parent of its descendants whose parents have ended."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def tied(how: signal.Signals):
    """What a child does before it becomes its program: it ends, by this signal, when its parent does."""
    parent = os.getpid()

    def tie() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, how, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


class Process:
    """A server of the world. What it says goes to a file, which a failure quotes."""

    def __init__(self, name: str, command: list[object], environment: dict[str, str], log: Path):
        self.name = name
        self.log = log
        with log.open("wb") as output:
            # A session of its own: Ctrl-C is for us, who end everything in order.
            self.child = subprocess.Popen(
                [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=tied(signal.SIGKILL),
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, what: str, ready, seconds: float = 60.0):
        """Waits for a value of `ready` that is true, and returns it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise Trouble(f"{self.name} has ended with {self.child.returncode}:\n{self.said()[-2000:]}")
            found = ready()
            if found:
                return found
            time.sleep(POLL_SECONDS)
        raise Trouble(f"{self.name}: {what} has not come about in {seconds:.0f} s:\n{self.said()[-2000:]}")

    def end(self) -> None:
        self.child.terminate()
        try:
            self.child.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def children() -> dict[int, list[int]]:
    """The processes of this machine that can be seen, by their parents."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name may hold anything but is the last thing in parentheses.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            found.setdefault(parent, []).append(int(entry.name))
    return found


def descendants(pid: int) -> list[int]:
    by_parent = children()
    found, todo = [], [pid]
    while todo:
        below = by_parent.get(todo.pop(), [])
        found += below
        todo += below
    return found


def end_descendants(patience: float = 0.0) -> None:
    """Ends all that is left below this process: by SIGTERM if there is patience, and then by SIGKILL."""
    deadline = time.monotonic() + patience
    asked: set[int] = set()
    while left := descendants(os.getpid()):
        out_of_patience = time.monotonic() >= deadline
        for pid in left:
            try:
                if out_of_patience or pid not in asked:
                    os.kill(pid, signal.SIGKILL if out_of_patience else signal.SIGTERM)
                    asked.add(pid)
            except ProcessLookupError:
                pass
        reap()
        time.sleep(POLL_SECONDS)


def reap() -> None:
    """Takes note of adopted children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def variables(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty when it has ended."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in raw.split("\0") if "=" in pair)
