"""The evaluator itself: each way in which IAM says yes or no."""

import unittest

from iam import ALLOWED, DENIED, NOT_ALLOWED, Call, Unknown, arn_like, decide, like

INSTANCE = "arn:aws:ec2:eu-central-1:111122223333:instance/i-1"


def policy(*statements: dict) -> list[dict]:
    return [{"Version": "2012-10-17", "Statement": list(statements)}]


def allow(action="ec2:TerminateInstances", resource="*", **more) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action="ec2:TerminateInstances", resource="*", **more) -> dict:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def terminate(**context) -> Call:
    return Call("ec2:TerminateInstances", INSTANCE, context.get("context", {}))


def verdict(condition: dict, context: dict) -> str:
    return decide(policy(allow(Condition=condition)), terminate(context=context))


class Statements(unittest.TestCase):
    def test_nothing_is_allowed_that_nobody_allows(self):
        self.assertEqual(decide([], terminate()), NOT_ALLOWED)
        self.assertEqual(decide(policy(allow("ec2:RunInstances")), terminate()), NOT_ALLOWED)

    def test_a_statement_allows_its_actions_on_its_resources(self):
        instances = "arn:aws:ec2:eu-central-1:111122223333:instance/*"
        self.assertEqual(decide(policy(allow(resource=instances)), terminate()), ALLOWED)
        elsewhere = "arn:aws:ec2:us-east-1:111122223333:instance/*"
        self.assertEqual(decide(policy(allow(resource=elsewhere)), terminate()), NOT_ALLOWED)
        several = allow(["ec2:RunInstances", "ec2:TerminateInstances"], [elsewhere, instances])
        self.assertEqual(decide(policy(several), terminate()), ALLOWED)

    def test_a_denial_outranks_every_permission_in_any_order(self):
        self.assertEqual(decide(policy(allow(), deny()), terminate()), DENIED)
        self.assertEqual(decide(policy(deny(), allow()), terminate()), DENIED)
        self.assertEqual(decide(policy(allow()) + policy(deny()), terminate()), DENIED)
        self.assertEqual(decide(policy(allow(), deny("ec2:RunInstances")), terminate()), ALLOWED)

    def test_actions_have_no_case_and_may_have_wildcards(self):
        for action in ("EC2:terminateinstances", "ec2:Terminate*", "ec2:*", "*", "ec2:TerminateInstance?"):
            self.assertEqual(decide(policy(allow(action)), terminate()), ALLOWED, action)
        for action in ("ec2:Terminate", "ec2:Terminate?", "ec2:[T]erminateInstances", "s3:*"):
            self.assertEqual(decide(policy(allow(action)), terminate()), NOT_ALLOWED, action)

    def test_what_it_does_not_know_it_does_not_judge(self):
        unknown = [
            {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::a"},
            allow(resource="arn:aws:s3:::${aws:username}"),
            allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            {**allow(), "Effect": "allow"},
        ]
        for statement in unknown:
            with self.assertRaises((Unknown, KeyError)):
                decide(policy(statement), terminate())


class Conditions(unittest.TestCase):
    def test_a_key_that_is_absent_matches_nothing(self):
        ours = {"StringEquals": {"aws:ResourceTag/muster:stack": "prod"}}
        self.assertEqual(verdict(ours, {}), NOT_ALLOWED)
        self.assertEqual(verdict(ours, {"aws:ResourceTag/muster:stack": "test"}), NOT_ALLOWED)
        self.assertEqual(verdict(ours, {"aws:ResourceTag/muster:stack": "prod"}), ALLOWED)
        self.assertEqual(verdict(ours, {"AWS:resourcetag/muster:stack": "prod"}), ALLOWED)
        self.assertEqual(verdict(ours, {"aws:ResourceTag/muster:stack": "Prod"}), NOT_ALLOWED)

    def test_a_negation_holds_of_a_key_that_is_absent(self):
        other = {"StringNotEquals": {"aws:ResourceTag/env": "prod"}}
        self.assertEqual(verdict(other, {}), ALLOWED)
        self.assertEqual(verdict(other, {"aws:ResourceTag/env": "prod"}), NOT_ALLOWED)

    def test_if_exists_holds_of_a_key_that_is_absent(self):
        lax = {"StringEqualsIfExists": {"aws:ResourceTag/env": "prod"}}
        self.assertEqual(verdict(lax, {}), ALLOWED)
        self.assertEqual(verdict(lax, {"aws:ResourceTag/env": "test"}), NOT_ALLOWED)

    def test_one_of_several_values_is_enough_and_all_keys_must_hold(self):
        either = {"StringEquals": {"a": ["1", "2"], "b": "3"}}
        self.assertEqual(verdict(either, {"a": "2", "b": "3"}), ALLOWED)
        self.assertEqual(verdict(either, {"a": "2"}), NOT_ALLOWED)
        self.assertEqual(verdict({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": "1"}), NOT_ALLOWED)

    def test_like_wants_something_where_a_question_mark_is(self):
        some = {"StringLike": {"aws:RequestTag/muster:group": "?*"}}
        self.assertEqual(verdict(some, {"aws:RequestTag/muster:group": "web"}), ALLOWED)
        self.assertEqual(verdict(some, {"aws:RequestTag/muster:group": ""}), NOT_ALLOWED)
        self.assertEqual(verdict(some, {}), NOT_ALLOWED)

    def test_truth_and_absence(self):
        from_template = {"Bool": {"ec2:IsLaunchTemplateResource": "true"}}
        self.assertEqual(verdict(from_template, {"ec2:IsLaunchTemplateResource": True}), ALLOWED)
        self.assertEqual(verdict(from_template, {"ec2:IsLaunchTemplateResource": "false"}), NOT_ALLOWED)
        self.assertEqual(verdict(from_template, {}), NOT_ALLOWED)
        absent = {"Null": {"lambda:SourceFunctionArn": "true"}}
        self.assertEqual(verdict(absent, {}), ALLOWED)
        self.assertEqual(verdict(absent, {"lambda:SourceFunctionArn": "arn:aws:lambda:a:b:function:c"}), NOT_ALLOWED)
        self.assertEqual(verdict({"Null": {"a": "false"}}, {}), NOT_ALLOWED)

    def test_several_values(self):
        keys = {"ForAllValues:StringLike": {"aws:TagKeys": ["muster:*"]}}
        self.assertEqual(verdict(keys, {"aws:TagKeys": ["muster:stack", "muster:group"]}), ALLOWED)
        self.assertEqual(verdict(keys, {"aws:TagKeys": ["muster:stack", "Name"]}), NOT_ALLOWED)
        self.assertEqual(verdict(keys, {}), ALLOWED, "IAM's own trap")
        some = {"ForAnyValue:StringEquals": {"aws:TagKeys": "muster:stack"}}
        self.assertEqual(verdict(some, {"aws:TagKeys": ["Name", "muster:stack"]}), ALLOWED)
        self.assertEqual(verdict(some, {}), NOT_ALLOWED)


class Patterns(unittest.TestCase):
    def test_only_star_and_question_mark_mean_anything(self):
        self.assertTrue(like("a*c", "abbc") and like("a?c", "abc") and like("*", "") and like("a.c", "a.c"))
        self.assertFalse(like("a.c", "abc") or like("a?c", "ac") or like("[a]", "a") or like("a", "ab"))

    def test_a_wildcard_stays_within_its_part_of_an_arn(self):
        self.assertTrue(arn_like("arn:aws:ec2:*:1:instance/*", "arn:aws:ec2:eu:1:instance/i-1"))
        self.assertFalse(arn_like("arn:aws:ec2:*:instance/*", "arn:aws:ec2:eu:1:instance/i-1"))
        self.assertFalse(arn_like("arn:aws:s3:::bucket/a", "arn:aws:s3:::bucket/b"))
        self.assertTrue(arn_like("arn:aws:logs:a:1:log-group:/x:*", "arn:aws:logs:a:1:log-group:/x:log-stream:y"))
