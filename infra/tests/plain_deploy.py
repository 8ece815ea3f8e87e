"""That a plain `cargo lambda deploy FUNCTION` updates a deployed function as its user expects: the live half of test_dry.Manifests.

It needs an endpoint with a deployed stack, so no test of this folder calls it: the suite of the emulator does.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ("Role", "VpcConfig", "MemorySize", "Timeout", "Environment", "Architectures")
LONGEST_SECONDS = 120


def problems(client, cargo_lambda: Path, bootstraps: Path, endpoint: str, function: str) -> list[str]:
    """Deploys a function by its name alone, and says what is not as it was, or not as it should be.

    `client` is boto3's of Lambda at the endpoint, with credentials and region in our environment, too; `cargo_lambda` is the program (beside
    the Python of infra/operate/run's environment). The function is deployed under its own name (monitor-s, controller-asg, dashboard).
    """
    before = client.get_function_configuration(FunctionName=function)
    live = client.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
    tags = client.list_tags(Resource=before["FunctionArn"])["Tags"]
    with tempfile.TemporaryDirectory() as target:
        # Where cargo-lambda looks by itself: no flag may be needed beside the endpoint.
        shutil.copytree(bootstraps, Path(target) / "lambda")
        command = [cargo_lambda, "lambda", "deploy", "--endpoint-url", endpoint, function]
        environ = {**os.environ, "CARGO_TARGET_DIR": target}
        run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
    if run.returncode:
        return [f"cargo lambda deploy {function} ended with exit code {run.returncode}: {run.stderr}"]
    after = client.get_function_configuration(FunctionName=function)
    found = [f"{key} was {before.get(key)!r} and is {after.get(key)!r}" for key in KEPT if before.get(key) != after.get(key)]
    now = client.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
    if now == live:
        found.append(f"the alias live stayed on version {live}")
    published = client.get_function_configuration(FunctionName=function, Qualifier="live")
    if published["CodeSha256"] != after["CodeSha256"]:
        found.append("the alias live is not on the code that was uploaded")
    if client.list_tags(Resource=before["FunctionArn"])["Tags"] != tags:
        found.append("the tags have changed")
    return found
