//! What is taken from an answer, and what an agent is told.

use std::time::Duration;

use muster_control::ports::{Order, Target};
use muster_core::group::{GroupName, RosterNumber};
use muster_core::health::{AgentState, Answer, Application, Observation};
use muster_proto::v1::{AgentSettings, ApplicationHealth, GetMetricsRequest, RegisterRequest, State};

use crate::support::{Agent, NOW, PATIENCE, answered, look_at, observe, probe};

fn register(agent: &Agent, lease: Duration) -> Target {
    let order = Order::Register {
        monitor: "monitor".into(),
        group: GroupName::default(),
        roster: RosterNumber(7),
        lease,
        sweep_interval: Duration::from_secs(10),
    };
    Target { order, ..look_at(agent.address) }
}

fn unregister(agent: &Agent, deadline: Duration) -> Target {
    let order = Order::Unregister { reason: "load".into(), roster: RosterNumber(7), deadline };
    Target { order, ..look_at(agent.address) }
}

#[tokio::test]
async fn an_answer_says_what_the_agent_said_and_gives_its_cursor_back() {
    let agent = Agent::start().await;
    agent.facts().status.set_application(ApplicationHealth::Failing);
    agent.facts().status.application_detail = "status 503".into();
    let target = Target { cursor: 5, boot_id: "boot".into(), ..look_at(agent.address) };
    let expected = Answer {
        received_at: NOW,
        boot_id: "boot".into(),
        version: "1.2.3".into(),
        state: AgentState::Serving,
        application: Application::Failing { detail: "status 503".into() },
        load: Some(42.5),
        cursor: 9,
        unregistered: false,
        protected: false,
        signals: Default::default(),
    };
    assert_eq!(observe(&probe(PATIENCE), &target).await, Observation::Answered(expected));
    let facts = agent.facts();
    assert_eq!(facts.asked, [GetMetricsRequest { cursor: 5, boot_id: "boot".into() }]);
    assert_eq!(facts.calls, ["get-metrics"], "to look changes nothing in the agent");
}

#[tokio::test]
async fn an_answer_that_cannot_be_true_is_a_bad_one() {
    let agent = Agent::start().await;
    agent.facts().status.state = 99;
    let seen = observe(&probe(PATIENCE), &look_at(agent.address)).await;
    assert_eq!(seen, Observation::BadAnswer { detail: "state 99 is unknown".into() });
}

#[tokio::test]
async fn an_agent_is_registered_in_the_same_visit_and_only_when_it_needs_it() {
    const LEASE_MS: u64 = 60_000;
    let table = [
        ("never registered", 0, State::Serving, 0, true),
        ("an older roster", 6, State::Serving, LEASE_MS, true),
        ("under half of the lease", 7, State::Serving, LEASE_MS / 2 - 1, true),
        ("draining", 7, State::Draining, LEASE_MS, true),
        ("drained", 7, State::Drained, LEASE_MS, true),
        ("half of the lease", 7, State::Serving, LEASE_MS / 2, false),
        ("a later roster", 8, State::Serving, LEASE_MS, false),
        ("about to end", 7, State::Leaving, LEASE_MS, false),
    ];
    let agent = Agent::start().await;
    let probe = probe(PATIENCE);
    for (case, roster, state, lease_remaining_ms, needed) in table {
        {
            let mut facts = agent.facts();
            facts.status.roster = roster;
            facts.status.state = state.into();
            facts.status.lease_remaining_ms = lease_remaining_ms;
            facts.calls.clear();
        }
        let seen = observe(&probe, &register(&agent, Duration::from_millis(LEASE_MS))).await;
        let expected: &[&str] = if needed { &["get-metrics", "register"] } else { &["get-metrics"] };
        assert_eq!(agent.facts().calls, expected, "{case}");
        let after = if state == State::Leaving { AgentState::Leaving } else { AgentState::Serving };
        assert_eq!(answered(&seen).state, after, "{case}: the state is that after the visit");
    }
    let sent = agent.facts().registered[0].clone();
    let settings = Some(AgentSettings { sweep_interval_ms: 10_000 });
    let group = "example".into();
    assert_eq!(sent, RegisterRequest { monitor: "monitor".into(), group, roster: 7, lease_ms: LEASE_MS, settings });
}

#[tokio::test]
async fn an_agent_that_has_seen_a_later_roster_has_still_answered() {
    let agent = Agent::start().await;
    agent.facts().status.roster = 8;
    agent.facts().status.set_state(State::Draining);
    let probe = probe(PATIENCE);
    let seen = observe(&probe, &register(&agent, Duration::from_secs(60))).await;
    assert_eq!(answered(&seen).state, AgentState::Draining);
    let seen = observe(&probe, &unregister(&agent, Duration::from_secs(60))).await;
    assert!(!answered(&seen).unregistered);
}

#[tokio::test]
async fn d3_an_agent_is_unregistered_in_every_sweep_until_it_says_drained() {
    let agent = Agent::start().await;
    let (probe, target) = (probe(PATIENCE), unregister(&agent, Duration::from_secs(120)));
    for state in [AgentState::Draining, AgentState::Drained] {
        let seen = observe(&probe, &target).await;
        assert_eq!((answered(&seen).state, answered(&seen).unregistered), (state, true));
        assert_eq!(answered(&seen).load, Some(42.5), "it is still measured");
    }
    let facts = agent.facts();
    assert_eq!(facts.calls, ["unregister", "get-metrics", "unregister", "get-metrics"]);
    let sent = &facts.unregistered[0];
    assert_eq!((sent.reason.as_str(), sent.roster, sent.deadline_ms), ("load", 7, 120_000));
}

#[tokio::test]
async fn spans_are_moved_into_the_contracts_range() {
    let agent = Agent::start().await;
    let probe = probe(PATIENCE);
    for lease in [Duration::ZERO, Duration::MAX] {
        agent.facts().status.roster = 0;
        observe(&probe, &register(&agent, lease)).await;
    }
    observe(&probe, &unregister(&agent, Duration::MAX)).await;
    let facts = agent.facts();
    assert_eq!(facts.registered.iter().map(|sent| sent.lease_ms).collect::<Vec<_>>(), [1_000, 3_600_000]);
    assert_eq!(facts.unregistered[0].deadline_ms, 48 * 3_600_000);
}

#[tokio::test]
async fn an_agent_that_refuses_an_order_has_still_answered() {
    let agent = Agent::start().await;
    agent.facts().unwilling = true;
    let probe = probe(PATIENCE);
    for target in [register(&agent, Duration::from_secs(60)), unregister(&agent, Duration::from_secs(60))] {
        let seen = observe(&probe, &target).await;
        assert_eq!((answered(&seen).state, answered(&seen).unregistered), (AgentState::Serving, false));
    }
}
