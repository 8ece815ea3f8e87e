"""The page and its API as somebody asks for them who has the right to: by signed requests to the function URL."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .aws import CREDENTIALS, REGION, Aws
from .loopback import HOST

# Longer than the function's time-out.
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    # By their names in lower case.
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)


class Page:
    """Dashboard at its URL."""

    def __init__(self, aws: Aws, stack: str):
        self._port = aws.port
        self.url = aws.outputs(f"{stack}-triggers")["DashboardUrl"].rstrip("/")
        self.host = urlsplit(self.url).netloc

    def ask(self, path: str, method: str = "GET", document: object = None, signed: bool = True, **headers: str) -> Answer:
        """What is answered. ministack knows the function by the host that is asked for, and has no address for it but its own."""
        body = None if document is None else json.dumps(document)
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        told |= {"content-type": "application/json"} if body else {}
        request = AWSRequest(method, f"{self.url}{path}", headers=told, data=body)
        if signed:
            keys = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
            SigV4Auth(keys, "lambda", REGION).add_auth(request)
        connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, {**dict(request.headers.items()), "Host": self.host})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()
