"""Says what is wrong with the templates, each with its file and its name."""

import sys

from rules import problems
from test_templates import FUNCTIONS, INFRA, linted

found = problems(INFRA, FUNCTIONS)
found += linted(INFRA).splitlines()
print("\n".join(found) or "The templates are as they should be.", file=sys.stderr if found else sys.stdout)
sys.exit(1 if found else 0)
