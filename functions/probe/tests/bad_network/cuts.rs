//! Cut links, late messages, and hosts that go and come back.

use std::time::Duration;

use muster_control::ports::Order;
use muster_core::group::RosterNumber;
use muster_core::health::AgentState;
use turmoil::{hold, partition, partition_oneway, release, repair, repair_oneway};

use crate::world::{DEADLINE, MONITOR, Monitor, name, tell};

#[test]
fn who_is_cut_off_is_silent_and_everybody_answers_again_after_the_repair() {
    tell(&[], |_, mut monitor| async move {
        monitor.look().await.only_silent(&[]);
        for cut in [&[1, 3][..], &[0, 1, 2, 3, 4]] {
            for number in cut {
                partition(MONITOR, name(*number));
            }
            for _ in 0..3 {
                monitor.look().await.only_silent(cut);
            }
            for number in cut {
                repair(MONITOR, name(*number));
            }
            monitor.look().await.only_silent(&[]);
        }
    });
}

#[test]
fn half_a_cut_is_silence_too_whichever_half_it_is() {
    tell(&[], |_, mut monitor| async move {
        monitor.look().await.only_silent(&[]);
        partition_oneway(MONITOR, name(1));
        partition_oneway(name(3), MONITOR);
        for _ in 0..3 {
            monitor.look().await.only_silent(&[1, 3]);
        }
        repair_oneway(MONITOR, name(1));
        repair_oneway(name(3), MONITOR);
        monitor.look().await.only_silent(&[]);
        monitor.look().await.only_silent(&[]);
    });
}

/// Cuts the way from `from` to `to` and repairs it in the middle of the first pass of the look that begins now: what was sent on
/// a kept connection is lost, and for that connection nothing is repaired.
async fn loses_the_first_pass(monitor: &mut Monitor, from: &str, to: &str) {
    partition_oneway(from, to);
    let (from_again, to_again) = (from.to_owned(), to.to_owned());
    let mended = tokio::spawn(async move {
        tokio::time::sleep(DEADLINE / 2).await;
        repair_oneway(from_again, to_again);
    });
    let seen = monitor.look().await;
    mended.await.expect("the repair");
    seen.only_silent(&[]);
    assert!(seen.took >= DEADLINE, "a whole pass was lost, or this tells nothing: {:?}", seen.took);
}

#[test]
fn a_half_open_kept_connection_costs_one_pass_and_makes_nobody_silent() {
    tell(&[], |_, mut monitor| async move {
        monitor.look().await.only_silent(&[]);
        for (from, to) in [(MONITOR.to_owned(), name(2)), (name(2), MONITOR.to_owned())] {
            loses_the_first_pass(&mut monitor, &from, &to).await;
            // The connection that is kept now is the new one.
            let seen = monitor.look().await;
            seen.only_silent(&[]);
            assert!(seen.took < DEADLINE, "{:?}", seen.took);
        }
    });
}

#[test]
fn what_comes_after_the_deadline_is_silence_and_confuses_no_later_look() {
    tell(&[], |_, mut monitor| async move {
        monitor.look().await.only_silent(&[]);
        hold(MONITOR, name(2));
        monitor.look().await.only_silent(&[2]);
        monitor.look().await.only_silent(&[2]);
        // All of it comes at once, to connections that nobody has any more.
        release(MONITOR, name(2));
        monitor.look().await.only_silent(&[]);
        monitor.look().await.only_silent(&[]);
    });
}

#[test]
fn a_slow_way_is_waited_for_up_to_the_deadline() {
    tell(&[], |_, mut monitor| async move {
        // A visit over a new connection is three ways: its beginning, the request, the answer.
        monitor.outside.delay(&name(2), DEADLINE * 3 / 10).await;
        monitor.look().await.only_silent(&[]);
        monitor.outside.delay(&name(2), DEADLINE * 3 / 5).await;
        monitor.look().await.only_silent(&[2]);
        monitor.look().await.only_silent(&[2]);
        monitor.outside.delay(&name(2), Duration::from_millis(5)).await;
        monitor.look().await.only_silent(&[]);
    });
}

#[test]
fn a_host_that_crashed_is_silent_and_answers_with_a_new_boot_id_once_it_is_back() {
    tell(&[], |_, mut monitor| async move {
        let before = monitor.look().await.answered(4).clone();
        monitor.outside.crash(&name(4)).await;
        monitor.look().await.only_silent(&[4]);
        monitor.outside.bounce(&name(4)).await;
        let seen = monitor.look().await;
        seen.only_silent(&[]);
        let after = seen.answered(4);
        assert_eq!((before.boot_id.as_str(), after.boot_id.as_str()), ("agent-4.0", "agent-4.1"));
        // Between two looks, too: the connection that was kept is the old host's.
        monitor.outside.bounce(&name(4)).await;
        let seen = monitor.look().await;
        seen.only_silent(&[]);
        assert_eq!(seen.answered(4).boot_id, "agent-4.2");
    });
}

#[test]
fn an_order_whose_answer_is_lost_has_been_carried_out_once() {
    tell(&[], |_, mut monitor| async move {
        let drain =
            Order::Unregister { reason: "load".into(), roster: RosterNumber(7), deadline: Duration::from_secs(60) };
        monitor.look().await.only_silent(&[]);
        monitor.orders(&name(1), drain);
        partition_oneway(name(1), MONITOR);
        monitor.look().await.only_silent(&[1]);
        repair_oneway(name(1), MONITOR);
        monitor.orders(&name(1), Order::Look);
        let seen = monitor.look().await;
        let answer = seen.answered(1);
        assert_eq!(
            (answer.state, answer.unregistered),
            (AgentState::Draining, false),
            "it heard, and was not asked again"
        );
        for number in [0, 2, 3, 4] {
            assert_eq!(seen.answered(number).state, AgentState::Serving);
        }
    });
}
