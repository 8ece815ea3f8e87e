//! What is checked of the document that its types cannot say: each refusal names the range, and what is probably meant.

use schemars::Schema;

use super::document::{Price, SignalDocument, StepDocument};
use super::schedule::WindowDocument;
use super::span::Span;
use crate::signals;

pub(super) type Check = Result<(), garde::Error>;

pub(super) fn refuse(text: String) -> Check {
    Err(garde::Error::new(text))
}

pub(super) fn fewest(max: u32, schedule: &[WindowDocument]) -> impl Fn(&u32, &()) -> Check {
    let wakes = schedule.iter().any(WindowDocument::wakes);
    let empties = max == 0 && schedule.iter().all(|window| window.max_instances.unwrap_or_default() == 0);
    move |min, ()| {
        if *min > max {
            let hint = if max == 0 { ": to empty the group set both to 0" } else { "" };
            return refuse(format!("must not be above max_instances, which is {max}{hint}"));
        }
        if *min == 0 && !wakes && !empties {
            return refuse(
                "must be at least 1: processor load cannot wake a group without members (Z7); to empty the group set \
                 max_instances to 0, too, to wake it give it a window of schedule with min_instances or desired"
                    .into(),
            );
        }
        Ok(())
    }
}

/// JSON Schema knows no ranges of spans: its own words for them tell people and our tools.
pub(super) fn ranged(least: u64, most: u64) -> impl FnMut(&mut Schema) {
    move |schema| {
        schema.insert("x-minimum".into(), Span::seconds(least).to_string().into());
        schema.insert("x-maximum".into(), Span::seconds(most).to_string().into());
    }
}

pub(super) fn within(least: u64, most: u64) -> impl Fn(&Span, &()) -> Check {
    move |span, ()| {
        let (least, most) = (Span::seconds(least), Span::seconds(most));
        if *span < least || *span > most {
            return refuse(format!("must be from {least} to {most}"));
        }
        Ok(())
    }
}

pub(super) fn sample_age(period: Span) -> impl Fn(&Option<Span>, &()) -> Check {
    move |age, ()| match age {
        Some(age) if *age < period || *age > Span::seconds(600) => {
            refuse(format!("must be from sweep_interval, which is {period}, to 600s"))
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn affordable(price: &Price, (): &()) -> Check {
    if (0.01..=1.0).contains(&price.value()) {
        return Ok(());
    }
    refuse("must be economy, balanced, safe, or a number of 0.01 to 1".into())
}

pub(super) fn percentage(percent: &f64, (): &()) -> Check {
    if *percent > 1.0 && *percent <= 100.0 {
        return Ok(());
    }
    refuse(format!("must be above 1 and at most 100{}", meant(*percent)))
}

/// A hint for who writes percentages as fractions.
fn meant(percent: f64) -> String {
    if percent > 0.0 && percent <= 1.0 {
        return format!("; percentages are 0-100: {percent} means {}", (percent * 1e6).round() / 1e4);
    }
    String::new()
}

pub(super) fn aim(target: &f64, (): &()) -> Check {
    if (10.0..=95.0).contains(target) {
        return Ok(());
    }
    refuse(format!("must be from 10 to 95{}", meant(*target)))
}

/// A group whose target and tolerance no load can exceed would never scale out, and its policy would not look like it.
pub(super) fn reachable(tolerance: f64) -> impl Fn(&f64, &()) -> Check {
    move |target, ()| {
        let end = target * (1.0 + tolerance);
        if end < 100.0 || *target > 95.0 || !(0.0..=0.5).contains(&tolerance) {
            return Ok(());
        }
        let most = (10_000.0 / (1.0 + tolerance)).floor() / 100.0;
        refuse(format!(
            "must be below {most} with a tolerance of {tolerance}: only a mean above {} % would scale out, and none is",
            (end * 100.0).round() / 100.0
        ))
    }
}

pub(super) fn tolerable(tolerance: &f64, (): &()) -> Check {
    if (0.0..=0.5).contains(tolerance) {
        return Ok(());
    }
    refuse("must be from 0 to 0.5: it is a share of the target".into())
}

pub(super) fn signal_name(name: &str, (): &()) -> Check {
    if matches!(name, "cpu" | "load") {
        return refuse("must not be the processor's load: that is what `scaling` is for".into());
    }
    if signals::WORDS.contains(&name) {
        return refuse("must not be what the application says in words: no size follows from it".into());
    }
    if signals::is_name(name) {
        return Ok(());
    }
    refuse("must be 1-32 characters of a-z, 0-9 and _, the first a letter".into())
}

pub(super) fn bearable<'a>(name: &'a str, tolerance: f64) -> impl Fn(&f64, &()) -> Check + 'a {
    move |target, ()| {
        if signals::is_percentage(name) {
            return aim(target, &()).and_then(|()| reachable(tolerance)(target, &()));
        }
        if (0.1..=signals::MOST).contains(target) {
            return Ok(());
        }
        refuse(format!("must be given, from 0.1 to {}, in the signal's own unit", signals::MOST))
    }
}

#[expect(clippy::ptr_arg, reason = "garde hands over the field as it is")]
pub(super) fn each_signal_once(signals: &Vec<SignalDocument>, (): &()) -> Check {
    let names: Vec<String> = signals.iter().map(|signal| signal.name.clone()).collect();
    each_once(&names, &())
}

/// One of two settings must be given, and not both.
pub(super) fn either<T>(name: &'static str, other: bool) -> impl Fn(&Option<T>, &()) -> Check {
    move |this, ()| {
        if this.is_some() == other { refuse(format!("must be given, or {name}, and not both")) } else { Ok(()) }
    }
}

/// A step out adds, a step in removes. One without a direction is refused for that.
pub(super) fn signed(outward: Option<bool>, most_out: i32, most_in: i32) -> impl Fn(&Option<i32>, &()) -> Check {
    move |change, ()| {
        let Some((change, outward)) = change.zip(outward) else { return Ok(()) };
        let (least, most, step) = if outward { (1, most_out, "above") } else { (-most_in, -1, "below") };
        if (least..=most).contains(&change) {
            return Ok(());
        }
        refuse(format!("must be from {least} to {most} in a step {step} something"))
    }
}

/// The steps together: each bound once, and room between those out and those in, as between two thresholds.
#[expect(clippy::ptr_arg, reason = "garde hands over the field as it is")]
pub(super) fn ladder(steps: &Vec<StepDocument>, (): &()) -> Check {
    let out: Vec<f64> = steps.iter().filter_map(|step| step.above).collect();
    let inward: Vec<f64> = steps.iter().filter_map(|step| step.below).collect();
    for (name, bounds) in [("above", &out), ("below", &inward)] {
        if let Some(twice) = (1..).zip(bounds).find_map(|(next, bound)| bounds.iter().skip(next).find(|b| *b == bound))
        {
            return refuse(format!("must have each bound once: {name} {twice} stands there twice"));
        }
    }
    if out.is_empty() {
        return refuse("must have a step above something: without one load would never scale out".into());
    }
    let (lowest, highest) = (out.into_iter().reduce(f64::min), inward.into_iter().reduce(f64::max));
    match lowest.zip(highest) {
        Some((above, below)) if above - below < 10.0 => {
            refuse(format!("must keep every above at least 10 over every below: {above} and {below} are closer"))
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn each_once(names: &[String], (): &()) -> Check {
    let mut seen = std::collections::BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => refuse(format!("must name each once: {name:?} stands there twice")),
        None => Ok(()),
    }
}

pub(super) fn apart(down: f64) -> impl Fn(&f64, &()) -> Check {
    move |up, ()| {
        if *up - down >= 10.0 {
            return Ok(());
        }
        refuse(format!("must be at least 10 above cpu_down_threshold, which is {down}"))
    }
}

pub(super) fn up_factor(factor: &f64, (): &()) -> Check {
    if *factor > 1.0 && *factor <= 10.0 { Ok(()) } else { refuse("must be above 1 and at most 10".into()) }
}

pub(super) fn down_factor(factor: &f64, (): &()) -> Check {
    if *factor > 0.0 && *factor < 1.0 {
        return Ok(());
    }
    refuse("must be above 0 and below 1: it is the share that is removed".into())
}
