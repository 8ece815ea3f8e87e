"""Runs all tests, and sums up in the words of cargo's, which CI counts."""

import sys
import unittest
from pathlib import Path

# For `operate`, whose tests are here, too.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
suite = unittest.defaultTestLoader.discover(str(Path(__file__).resolve().parent))
result = unittest.TextTestRunner(verbosity=2).run(suite)
failed = len(result.failures) + len(result.errors)
word = "ok" if result.wasSuccessful() else "FAILED"
print(f"test result: {word}. {result.testsRun - failed} passed; {failed} failed; 0 ignored", flush=True)
sys.exit(0 if result.wasSuccessful() else 1)
