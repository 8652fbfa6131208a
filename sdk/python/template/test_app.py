"""Run it with `python3 -m unittest`; nothing of WebAssembly is needed."""

import sys
import tomllib
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["flitch"]["sdk"]))

from app import EmailDomain  # noqa: E402
from flitch_sdk.testing import Tester, cases  # noqa: E402


class EmailDomainTest(unittest.TestCase):
    def test_the_domain_is_added_and_some_are_dropped(self) -> None:
        outcome = Tester(EmailDomain, {"field": "email", "drop": ["spam.example"]}).run(
            [
                {"email": "someone@Hotmail.com", "n": 1},
                {"email": "x@spam.example"},
                {"email": "nobody"},
            ]
        )
        self.assertEqual(
            outcome.records, [{"email": "someone@Hotmail.com", "n": 1, "user_email_domain": "hotmail.com"}]
        )
        self.assertEqual(outcome.rejected, [(2, "“nobody” is no address")])

    def test_the_cases(self) -> None:
        cases.run(HERE / "cases", EmailDomain)
