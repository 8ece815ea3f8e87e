//! Windows of a schedule: bounds of their own while they are open, and desired once when they open (Z5, Z7, F4).

use crate::common::*;
use muster_core::intent::Cause;
use muster_core::plan::Step;
use muster_core::policy::{Mode, Policy};
use muster_core::report::{Rule, StageName};
use muster_core::time::Timestamp;

/// A group of `min` to `max` with one window of ten hours.
fn scheduled(group: Group, bounds: (u32, u32), cron: &str, sets: &str) -> Group {
    let (min, max) = bounds;
    let text = format!(
        r#"{{"min_instances": {min}, "max_instances": {max}, "scaling": {{"kind": "threshold"}}, "schedule": [
            {{"name": "office hours", "cron": "{cron}", "time_zone": "Europe/Berlin", "lasts": "10h", {sets}}}]}}"#
    );
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    group.with(|p| *p = policy)
}

/// One that opens now, at nine on Berlin's clocks ([`NOW`] is 2027-01-15T08:00:00Z), and was looked at ten seconds ago.
fn opening(group: Group, sets: &str) -> Group {
    scheduled(group, (2, 8), "0 9 * * *", sets).but(|s| s.head.schedule_seen = Some(ago(10)))
}

#[test]
fn z5_f4_a_windows_bounds_are_absolute_and_at_once() {
    let hurried = |group: Group| {
        group.but(|s| {
            (s.head.scale_in_at, s.head.launch_accepted_at) = (Some(ago(1)), Some(ago(1)));
            s.head.remember_recommendation(ago(1), 4, seconds_of(300));
        })
    };
    let raised = hurried(opening(Group::example(), r#""min_instances": 6"#)).decide();
    assert_eq!(raised.verdict(), (6, Rule::Z5));
    let said = "min_instances is 6 (schedule \"office hours\" until 19:00 Europe/Berlin)";
    assert_eq!(raised.report.headline, format!("Scale out 4 -> 6: {said}. Launches 2 instances to reach desired."));
    assert_eq!(raised.report.stages.last().map(|stage| stage.text.as_str()), Some(said));
    assert_eq!((raised.report.bounds, raised.launches()), ((6, 8), 2));
    let lowered = hurried(opening(Group::example(), r#""max_instances": 3"#)).decide();
    assert_eq!((lowered.verdict(), lowered.drains().len()), ((3, Rule::Z5), 1));
    assert_eq!(lowered.plan.head.scale_in_at, Some(ago(1)), "a schedule starts no cooldown");
    // Without a sweep, too; and a bound that is the policy's own names no window.
    let unseen = opening(Group::example(), r#""min_instances": 6"#).but(|s| s.sweep = None).decide();
    assert_eq!(unseen.verdict(), (6, Rule::Z5));
    let own = opening(Group::example().desired(9), r#""min_instances": 6"#).decide();
    assert!(own.report.headline.contains("max_instances is 8."), "{}", own.report.headline);
}

#[test]
fn o2_the_report_names_the_window_until_it_closes() {
    let window = |seconds: u64| {
        let group = opening(Group::example(), r#""min_instances": 3"#).but(|s| s.now = NOW.plus(seconds_of(seconds)));
        group.decide().report.window.map(|window| (window.name, window.since, window.until, window.min_instances))
    };
    let open = Some(("office hours".to_owned(), NOW, NOW.plus(seconds_of(36_000)), Some(3)));
    assert_eq!((window(0), window(35_999), window(36_000)), (open.clone(), open, None));
    let report = |now| opening(Group::example(), r#""min_instances": 3"#).but(|s| s.now = now).decide().report;
    let (before, during) = (report(ago(1)), report(NOW));
    assert!(before.window.is_none() && before.fold_key() != during.fold_key());
    let next = opening(Group::example(), r#""min_instances": 3"#).but(|s| {
        (s.now, s.sweep.as_mut().unwrap().slot) = (NOW.plus(seconds_of(10)), NOW.plus(seconds_of(8)));
    });
    assert_eq!(next.decide().report.fold_key(), during.fold_key(), "equal decisions are one record");
}

#[test]
fn f4_desired_moves_once_when_the_window_opens() {
    for (load, rest) in [(50.0, 6), (95.0, 8)] {
        let mut group = opening(Group::of(&[load; 4]), r#""desired": 6"#);
        group.snapshot.head.launch_accepted_at = Some(ago(1));
        let first = group.decide();
        assert_eq!((first.verdict(), first.launches()), ((6, Rule::F4), 2));
        let said = "desired is 6 (schedule \"office hours\" until 19:00 Europe/Berlin)";
        assert!(first.report.headline.starts_with(&format!("Scale out 4 -> 6: {said}.")), "{}", first.report.headline);
        let stage = first.report.stages.last().expect("it has stages");
        assert_eq!((stage.stage, stage.desired, stage.text.as_str()), (StageName::Scheduled, 6, said));
        // The same doorbell again, or the next sweep: it is not set again, and load may move it.
        let again = group.clone().but(|s| s.head = first.plan.head.clone()).decide();
        assert_eq!(again.plan.head.desired, 6);
        assert!(again.report.rule != Rule::F4, "{}", again.report.headline);
        let later = Group::of(&[load; 6]).with(|p| *p = group.policy.clone()).but(|s| {
            s.head = first.plan.head.clone();
            (s.now, s.sweep.as_mut().unwrap().slot) = (NOW.plus(seconds_of(10)), NOW.plus(seconds_of(8)));
        });
        assert_eq!(later.decide().plan.head.desired, rest);
    }
}

#[test]
fn f4_lost_doorbells_put_it_off_and_a_closed_window_sets_nothing() {
    let looked = |seen: Option<Timestamp>, now: Timestamp| {
        let group = opening(Group::example(), r#""desired": 6"#).but(|s| {
            s.head.schedule_seen = seen;
            (s.now, s.sweep.as_mut().unwrap().slot) = (now, now);
        });
        group.decide().plan.head.desired
    };
    let hour = |hours: u64| NOW.plus(seconds_of(hours * 3_600));
    assert_eq!(looked(Some(ago(10)), hour(5)), 6, "nobody looked for five hours");
    assert_eq!(looked(Some(ago(10)), hour(10)), 4, "it has closed");
    assert_eq!(looked(Some(NOW), hour(1)), 4, "it has been set");
    assert_eq!(looked(Some(ago(10)), ago(1)), 4, "it has not opened");
    // A group that was born, or a policy that was written, while the window was open: a look came between, or the birth.
    assert_eq!(looked(Some(hour(1)), hour(2)), 4);
    let born = opening(Group::example(), r#""desired": 6"#).but(|s| {
        (s.head.schedule_seen, s.head.born, s.now) = (None, NOW.plus(seconds_of(1)), NOW.plus(seconds_of(2)));
    });
    assert_eq!(born.decide().plan.head.desired, 4);
}

#[test]
fn f4_the_load_is_remembered_as_it_is_and_every_look_counts() {
    let opened = opening(Group::of(&[95.0; 4]), r#""desired": 3"#).decide();
    assert_eq!((opened.verdict(), opened.plan.head.schedule_seen), ((3, Rule::F4), Some(NOW)));
    let remembered = opened.plan.head.recommendations.last().map(|seen| seen.highest);
    assert_eq!((remembered, opened.plan.head.factor_out_at), (Some(8), None));
    assert_eq!(Group::example().decide().plan.head.schedule_seen, Some(NOW), "with no window, too");
    // A look between sweeps that sets nothing leaves it to the next sweep.
    let between = opening(Group::example(), r#""min_instances": 3"#).but(|s| s.sweep = None).decide();
    assert_eq!(between.plan.head.schedule_seen, Some(ago(10)));
    let unswept = opening(Group::example(), r#""desired": 6"#).but(|s| s.sweep = None).decide();
    assert_eq!((unswept.verdict(), unswept.plan.head.schedule_seen), ((6, Rule::F4), Some(NOW)));
}

#[test]
fn o1_a_mode_that_changes_nothing_sets_nothing() {
    let observed = opening(Group::example(), r#""desired": 6"#).with(|p| p.mode = Mode::Observe).decide();
    assert_eq!((observed.plan.head.desired, observed.report.desired.after), (4, 6));
    assert_eq!(observed.plan.head.schedule_seen, Some(NOW), "it goes on to observe the load");
    // Who pauses over a window's start has it caught up when he goes on, while it is open.
    let paused = opening(Group::example(), r#""desired": 6"#).with(|p| p.mode = Mode::Paused).decide();
    assert_eq!((paused.plan.head.desired, paused.plan.head.schedule_seen), (4, Some(ago(10))));
    assert_eq!(paused.report.window.map(|window| window.name).as_deref(), Some("office hours"));
    let cautious = opening(Group::example(), r#""max_instances": 3"#).with(|p| p.mode = Mode::OutOnly).decide();
    assert_eq!((cautious.plan.head.desired, cautious.lets_go().len()), (3, 0));
}

#[test]
fn z7_a_group_of_none_comes_up_when_its_window_opens() {
    for (sets, rule) in [(r#""min_instances": 3"#, Rule::Z5), (r#""desired": 3"#, Rule::F4)] {
        let asleep = |now: Timestamp, swept: bool| {
            scheduled(Group::of(&[]), (0, 5), "0 9 * * *", sets).but(|s| {
                (s.now, s.head.schedule_seen) = (now, Some(now.minus(seconds_of(10))));
                s.sweep = s.sweep.take().filter(|_| swept);
            })
        };
        let before = asleep(ago(1), true).decide();
        assert_eq!((before.verdict(), before.plan.steps.len()), ((0, Rule::Z7), 0));
        assert_eq!(before.report.headline, "No change at 0: nobody is wanted, and nobody is there: nothing to do.");
        for swept in [true, false] {
            let open = asleep(NOW, swept).decide();
            assert_eq!((open.verdict(), open.launches()), ((3, rule), 3), "{sets}");
        }
    }
}

#[test]
fn z7_load_neither_takes_the_last_member_nor_wakes_a_group_of_none() {
    let outside = |loads: &[f64]| {
        let group = scheduled(Group::of(loads), (0, 5), "0 12 * * *", r#""min_instances": 3"#);
        group.ungated().with(|p| threshold(p).down_factor = 0.99)
    };
    let idle = outside(&[1.0]).decide();
    assert_eq!((idle.verdict(), idle.lets_go().len()), ((1, Rule::Z7), 0));
    assert!(idle.report.headline.contains("but load lets the last member stay"), "{}", idle.report.headline);
    assert_eq!(outside(&[1.0; 3]).decide().plan.head.desired, 1);
    // Who still drains, or is there beyond desired, wakes nobody and is replaced by nobody, busy or dead.
    for load in [1.0, 99.0] {
        let late = outside(&[load; 2]).desired(0).decide();
        assert_eq!((late.verdict(), late.drains().len(), late.launches()), ((0, Rule::Z7), 2, 0));
    }
    let dead = outside(&[50.0; 2]).desired(0).whose("i-1", |m| m.health = Some(silent(600, 60))).decide();
    assert_eq!(dead.launches(), 0);
}

#[test]
fn z7_only_a_window_empties_a_group_for_a_while() {
    let night = |sets: &str| {
        scheduled(Group::of(&[90.0; 3]), (2, 8), "0 9 * * *", sets).but(|s| s.head.schedule_seen = Some(ago(10)))
    };
    for sets in [r#""min_instances": 0, "max_instances": 0"#, r#""min_instances": 0, "desired": 0"#] {
        let wide = |p: &mut Policy| p.inward.limit.percent = 10_000;
        let group = night(sets).with(wide);
        let evening = group.decide();
        assert_eq!((evening.plan.head.desired, evening.drains().len(), evening.launches()), (0, 3, 0), "{sets}");
        let empty = |now| {
            Group::of(&[]).with(|p| *p = group.policy.clone()).but(|s| {
                s.head = evening.plan.head.clone();
                (s.now, s.sweep.as_mut().unwrap().slot) = (now, now);
            })
        };
        let later = empty(NOW.plus(seconds_of(3_600))).decide();
        assert_eq!((later.verdict(), later.plan.steps.len()), ((0, Rule::Z7), 0), "{sets}");
        let morning = empty(NOW.plus(seconds_of(36_000))).decide();
        assert_eq!((morning.verdict(), morning.launches()), ((2, Rule::Z5), 2), "{sets}");
        assert!(
            morning.report.headline.starts_with("Scale out 0 -> 2: min_instances is 2."),
            "{}",
            morning.report.headline
        );
    }
    // A bound's drains have no load's patience.
    let drains = night(r#""min_instances": 0, "max_instances": 0"#).decide();
    let causes: Vec<_> = drains.plan.steps.iter().filter_map(cause).collect();
    assert!(!causes.is_empty() && causes.iter().all(|cause| *cause == Cause::Bounds), "{causes:?}");
}

fn cause(step: &Step) -> Option<Cause> {
    match step {
        Step::Drain { leaving, .. } => Some(leaving.cause),
        _ => None,
    }
}
