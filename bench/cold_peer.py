"""The functions' peer: a Python function with boto3 and the same three clients.

cold_peer.py start: asks the Runtime API for an invocation, then makes its first call. cold_peer.py certificates FOLDER: makes the
certificates of the endpoint that is called.
"""

import os
import sys
import urllib.request


def start() -> None:
    import boto3

    dynamodb, _ec2, _ssm = (boto3.client(service) for service in ("dynamodb", "ec2", "ssm"))
    runtime = os.environ["AWS_LAMBDA_RUNTIME_API"]
    urllib.request.urlopen(f"http://{runtime}/2018-06-01/runtime/invocation/next").read()
    dynamodb.get_item(TableName="bench-control", Key={"pk": {"S": "GROUP#bench"}, "sk": {"S": "HEAD"}})


def certificates(folder: str) -> None:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(os.path.join(folder, "authority.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(os.path.join(folder, "server.pem"))


if __name__ == "__main__":
    {"start": start, "certificates": certificates}[sys.argv[1]](*sys.argv[2:])
