//! Client tokens. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>, and for the codes
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.

use muster_fake_ec2::{Rule, Settings};

use super::World;

const TOKEN: (&str, &str) = ("ClientToken", "token-1");
const ZONE_A: (&str, &str) = ("Placement.AvailabilityZone", "zone-a");
const ZONE_B: (&str, &str) = ("Placement.AvailabilityZone", "zone-b");

/// "Idempotency in Amazon EC2": a retry of a successful request succeeds and does nothing further.
#[test]
fn the_same_request_with_the_same_token_launches_once() {
    let mut world = World::new();
    for place in [None, Some(ZONE_A)] {
        let token = if place.is_some() { "zonal" } else { "regional" };
        let request: Vec<_> = place.into_iter().chain([("ClientToken", token)]).collect();
        let first = world.launch(&request);
        world.pass(3600);
        assert_eq!(world.launch(&request), first);
    }
    assert_eq!(world.ever(), 2);
}

/// "However, the result might contain updated information": the repeated answer shows the state of now.
#[test]
fn a_repeated_launch_shows_the_state_of_now() {
    let mut world = World::new();
    let request = [("ImageId", super::IMAGE), ("MinCount", "1"), ("MaxCount", "1"), TOKEN];
    let state = "instancesSet/item/instanceState/name";
    let first = world.call("RunInstances", &request);
    assert_eq!(first.text(state), "pending");
    world.pass(60);
    let again = world.call("RunInstances", &request);
    assert_eq!(again.text(state), "running");
    assert_eq!(again.text("reservationId"), first.text("reservationId"));
}

/// "Zonal idempotency": the same token may be used in other zones, and launches there.
#[test]
fn a_zonal_token_launches_again_in_another_zone() {
    let mut world = World::new();
    let in_a = world.launch(&[TOKEN, ZONE_A]);
    let in_b = world.launch(&[TOKEN, ZONE_B]);
    assert_ne!(in_a, in_b);
    assert_eq!((world.launch(&[TOKEN, ZONE_A]), world.launch(&[TOKEN, ZONE_B])), (in_a, in_b));
    assert_eq!(world.ever(), 2);
}

/// "If you implicitly specify an Availability Zone using the SubnetId parameter", the token is zonal, too.
#[test]
fn a_subnet_names_its_zone() {
    let mut world = World::new();
    let subnets = world.call("DescribeSubnets", &[]);
    let subnets = subnets.texts("subnetSet/item/subnetId");
    let [a, b] = &subnets[..] else { panic!("two subnets: {subnets:?}") };
    let in_a = world.launch(&[TOKEN, ("SubnetId", a)]);
    let in_b = world.launch(&[TOKEN, ("SubnetId", b)]);
    assert_ne!(in_a, in_b);
    // The same zone by its name is the same scope, and another parameter.
    assert_eq!(world.launch_code(&[TOKEN, ZONE_A]), "IdempotentParameterMismatch");
}

/// "If one or more of the parameters are different": in the zone, or in the region.
#[test]
fn other_parameters_with_the_same_token_are_refused() {
    let others = [
        ("InstanceType", "t3.large"),
        ("ImageId", "ami-0bbbbbbbbbbbbbbb2"),
        ("MaxCount", "2"),
        ("UserData", "b3RoZXI="),
        ("KeyName", "other"),
    ];
    for place in [None, Some(ZONE_A)] {
        for other in others {
            let mut world = World::new();
            let request: Vec<_> = place.into_iter().chain([TOKEN]).collect();
            world.launch(&request);
            let changed: Vec<_> = request.iter().copied().chain([other]).collect();
            let refused = world.try_launch(&changed);
            assert_eq!(refused, Err((400, "IdempotentParameterMismatch".to_owned())), "{other:?} {place:?}");
            assert_eq!(world.ever(), 1);
        }
    }
}

/// Tags are parameters of the request like all others.
#[test]
fn other_tags_with_the_same_token_are_refused() {
    let mut world = World::new();
    let kind = ("TagSpecification.1.ResourceType", "instance");
    let key = ("TagSpecification.1.Tag.1.Key", "muster:intent");
    world.launch(&[TOKEN, kind, key, ("TagSpecification.1.Tag.1.Value", "one")]);
    let code = world.launch_code(&[TOKEN, kind, key, ("TagSpecification.1.Tag.1.Value", "two")]);
    assert_eq!(code, "IdempotentParameterMismatch");
}

/// "A request with the same client token can complete only once within a Region": not documented is a token that has been used with a
/// zone and comes without one; this EC2 refuses it, both ways.
#[test]
fn a_token_keeps_its_scope() {
    for (first, second) in [(Some(ZONE_A), None), (None, Some(ZONE_A))] {
        let mut world = World::new();
        let with = |place: Option<(&'static str, &'static str)>| place.into_iter().chain([TOKEN]).collect::<Vec<_>>();
        world.launch(&with(first));
        assert_eq!(world.launch_code(&with(second)), "IdempotentParameterMismatch", "{first:?}, {second:?}");
    }
}

/// `IdempotentInstanceTerminated`: the token of a previous request whose instance has been terminated.
#[test]
fn the_token_of_a_terminated_instance_launches_nothing() {
    let mut world = World::new();
    let made = world.launch(&[TOKEN, ZONE_A]);
    world.terminate(&made);
    for state in ["shutting-down", "terminated"] {
        assert_eq!(world.state(&made), state);
        assert_eq!(world.try_launch(&[TOKEN, ZONE_A]), Err((400, "IdempotentInstanceTerminated".to_owned())));
        world.pass(5);
    }
    // Long after the instance is no longer shown.
    world.pass(86_400);
    assert_eq!(world.launch_code(&[TOKEN, ZONE_A]), "IdempotentInstanceTerminated");
    assert_eq!(world.ever(), 1);
}

/// Other parameters are other parameters, whatever has become of the instance.
#[test]
fn a_mismatch_comes_before_the_instances_end() {
    let mut world = World::new();
    let made = world.launch(&[TOKEN]);
    world.terminate(&made);
    assert_eq!(world.launch_code(&[TOKEN, ("InstanceType", "t3.large")]), "IdempotentParameterMismatch");
}

/// A stopped instance has not been terminated.
#[test]
fn the_token_of_a_stopped_instance_finds_it() {
    let mut world = World::new();
    let made = world.launch(&[TOKEN]);
    world.pass(60);
    world.call("StopInstances", &[("InstanceId.1", &made)]);
    world.pass(60);
    assert_eq!(world.launch(&[TOKEN]), made);
}

/// While one instance of the token lives the request is answered with all of them.
#[test]
fn a_token_of_several_instances_ends_with_the_last() {
    let mut world = World::new();
    let request = [TOKEN, ("MinCount", "2"), ("MaxCount", "2")];
    let made = world.try_launch(&request).expect("a launch");
    world.terminate(&made[0]);
    assert_eq!(world.try_launch(&request), Ok(made.clone()));
    world.terminate(&made[1]);
    assert_eq!(world.launch_code(&request), "IdempotentInstanceTerminated");
}

/// How long a token is remembered is not documented; here it can be set.
#[test]
fn a_forgotten_token_launches_again() {
    let mut world = World::with(Settings { token_memory_ms: Some(900_000), ..Settings::default() });
    let first = world.launch(&[TOKEN]);
    world.pass(899);
    assert_eq!(world.launch(&[TOKEN]), first, "a repetition does not make the memory longer");
    world.pass(1);
    assert_ne!(world.launch(&[TOKEN]), first);
    assert_eq!(world.ever(), 2);
}

/// The request was not successful: its token has done nothing, and launches when there is room.
#[test]
fn a_failed_launch_leaves_its_token_unused() {
    let mut world = World::new();
    let rule = Rule { code: Some("InsufficientInstanceCapacity".into()), times: Some(1), ..Rule::default() };
    world.cloud.add_rule(rule).expect("a rule");
    assert_eq!(world.launch_code(&[TOKEN]), "InsufficientInstanceCapacity");
    world.launch(&[TOKEN, ("InstanceType", "t3.large")]);
}

/// Capacity is not asked for an instance that is there; permission is asked for every request.
#[test]
fn a_repeated_token_meets_permission_but_not_capacity() {
    let mut world = World::new();
    let made = world.launch(&[TOKEN]);
    let all = |code: &str| Rule { code: Some(code.into()), times: Some(1), ..Rule::default() };
    world.cloud.add_rule(all("InsufficientInstanceCapacity")).expect("a rule");
    assert_eq!(world.launch(&[TOKEN]), made);
    world.cloud.add_rule(all("UnauthorizedOperation")).expect("a rule");
    assert_eq!(world.launch_code(&[TOKEN]), "UnauthorizedOperation");
}

/// At most 64 ASCII characters, and case counts.
#[test]
fn tokens_have_at_most_64_ascii_characters_and_case_counts() {
    let mut world = World::new();
    let longest = "x".repeat(64);
    let first = world.launch(&[("ClientToken", &longest)]);
    assert_ne!(world.launch(&[("ClientToken", &longest.to_uppercase())]), first);
    for bad in ["x".repeat(65), "tökén".into()] {
        assert_eq!(world.launch_code(&[("ClientToken", &bad)]), "InvalidParameterValue", "{bad}");
    }
}

#[test]
fn without_a_token_every_request_launches() {
    let mut world = World::new();
    assert_ne!(world.launch(&[]), world.launch(&[]));
}
