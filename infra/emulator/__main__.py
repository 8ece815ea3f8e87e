"""The command line of `run`."""

import argparse
import sys

from .processes import Trouble, adopt_orphans, end_descendants


def main() -> int:
    parser = argparse.ArgumentParser(prog="infra/emulator/run", description="Muster as it is deployed, against an emulator of AWS.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="a group under a scenario, live, until Ctrl-C")
    demo.add_argument("--scenario", default="surge", metavar="NAME", help="calm, surge (default), blackout, or a TOML file")
    demo.add_argument("--for", dest="lasts", metavar="SPAN", help="end after this long, such as 5m")
    demo.add_argument("--pace", type=float, default=2.0, metavar="TIMES", help="play the scenario so much slower (2)")
    demo.add_argument("--json", action="store_true", help="one JSON object a line")
    test = commands.add_parser("test", help="every step of a stack's life, and what goes wrong in it")
    for command in (demo, test):
        command.add_argument("--tools", metavar="DIR", help="where muster, muster-fake-ec2 and monitor-c are (TARGET/debug)")
        command.add_argument("--bootstraps", metavar="DIR", help="where the bootstraps are (TARGET/lambda)")
    arguments = parser.parse_args()
    adopt_orphans()
    try:
        if arguments.command == "demo":
            from .demo import demo as run
        else:
            from .all import test as run
        return run(arguments)
    except Trouble as error:
        print(f"infra/emulator/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"infra/emulator/run: {interrupt or 'interrupted'}", file=sys.stderr)
        return 1
    finally:
        end_descendants()


if __name__ == "__main__":
    sys.exit(main())
