"""The functions: what a deployment weighs, and how long a cold one takes to its first invocation and its first call over TLS.

Beside them stands boto3 with the same three clients. The clock is that of this process: it starts a bootstrap, and sees its first
request to the Runtime API and its first request over TLS come in.
"""

import contextlib
import http.server
import io
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

# AWS bills by size of nothing here; a small zip is a short download at a cold start.
ZIP_LIMIT_BYTES = 4_000_000
RUNS = 15
PEER_RUNS = 7
LONGEST_START_SECONDS = 20

EVENTS = {
    "monitor-s": {"group": "bench"},
    "controller-asg": {"group": "bench"},
    "dashboard": {
        "version": "2.0",
        "rawPath": "/api/groups",
        "requestContext": {"domainName": "bench.lambda-url.eu-central-1.on.aws", "http": {"method": "GET"}},
    },
    "boto3": {},
}


class Arrivals:
    """When the first request of each kind came in."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.changed = threading.Condition()

    def note(self, kind: str) -> None:
        with self.changed:
            self.came.setdefault(kind, time.perf_counter())
            self.changed.notify_all()

    def wait(self, *kinds: str) -> list[float]:
        with self.changed:
            if not self.changed.wait_for(lambda: all(kind in self.came for kind in kinds), LONGEST_START_SECONDS):
                raise RuntimeError(f"a function made no request of {', '.join(k for k in kinds if k not in self.came)}")
            return [self.came[kind] for kind in kinds]


def handler(arrivals: Arrivals, kind: str, events: list[dict]):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            """The Runtime API's next invocation: the first gets the event, later ones wait for the end."""
            arrivals.note(kind)
            if not events:
                threading.Event().wait(LONGEST_START_SECONDS)
                return
            deadline_ms = int((time.time() + 30) * 1000)
            self.answer(events.pop(), {"lambda-runtime-aws-request-id": "bench", "lambda-runtime-deadline-ms": str(deadline_ms)})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            arrivals.note(kind)
            self.answer({}, {})

        def answer(self, body: dict, headers: dict[str, str]) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            for name, value in {**headers, "content-type": "application/json", "content-length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A process that has been seen is killed, and its connections break."""


@contextlib.contextmanager
def server(handle, context: ssl.SSLContext | None = None):
    listening = Server(("127.0.0.1", 0), handle)
    if context:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield listening.server_address[1]
    finally:
        listening.shutdown()
        listening.server_close()


def start_times(command: list[object], event: dict, runs: int, context: ssl.SSLContext, authority: Path) -> dict:
    """Milliseconds from the start of a process to its first /next, and to its first request over TLS."""
    times = [start_time(command, event, context, authority) for _ in range(runs)]
    to_next, to_call = zip(*times)
    return {"to_next_ms": spread(to_next), "to_first_tls_call_ms": spread(to_call)}


def start_time(command: list[object], event: dict, context: ssl.SSLContext, authority: Path) -> tuple[float, float]:
    """One start. The servers are its own: what an earlier process sent last must not count for it."""
    arrivals = Arrivals()
    with server(handler(arrivals, "next", [event])) as runtime, server(handler(arrivals, "call", []), context) as aws:
        environment = {
            "PATH": os.environ["PATH"],
            "SSL_CERT_FILE": str(authority),
            "AWS_CA_BUNDLE": str(authority),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_GROUP_NAME": "bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_ENDPOINT_URL": f"https://localhost:{aws}",
            "MUSTER_STACK": "bench",
        }
        began = time.perf_counter()
        with subprocess.Popen(
            [str(word) for word in command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                asked, called = arrivals.wait("next", "call")
            finally:
                process.kill()
    return (asked - began) * 1e3, (called - began) * 1e3


def spread(values: tuple[float, ...]) -> dict:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def zip_bytes(bootstrap: Path) -> int:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(bootstrap, "bootstrap")
    return packed.getbuffer().nbytes


def measure(bootstraps: dict[str, Path], python: Path, peer: Path) -> dict:
    """Figures of the bootstraps by name, and of boto3 in `python`, which has trustme, too."""
    figures: dict = {"limits": {"zip_bytes": ZIP_LIMIT_BYTES}, "functions": {}}
    with tempfile.TemporaryDirectory() as folder:
        # The peer's environment has the library that makes certificates; this process needs none of it.
        subprocess.run([python, peer, "certificates", folder], check=True)
        authority = Path(folder) / "authority.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(folder) / "server.pem")
        for name, bootstrap in bootstraps.items():
            figures["functions"][name] = {
                "zip_bytes": zip_bytes(bootstrap),
                "binary_bytes": bootstrap.stat().st_size,
                **start_times([bootstrap], EVENTS[name], RUNS, context, authority),
            }
        figures["boto3"] = start_times([python, peer, "start"], EVENTS["boto3"], PEER_RUNS, context, authority)
    return figures


if __name__ == "__main__":
    json.dump(measure({Path(p).parent.name: Path(p) for p in sys.argv[3:]}, Path(sys.argv[1]), Path(sys.argv[2])), sys.stdout, indent=2)
