//! Development only.
use muster_sim::{Fault, Schedule, run, shrink, simulate, tell};
use std::collections::BTreeMap;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: u64 = args[1].parse().unwrap();
    if args.len() > 2 {
        let s = Schedule::of(n);
        let out = tell(&s, None);
        println!("{:?}", out.violations);
        if args[2] == "full" {
            println!("{s}{}", out.story.unwrap());
            return;
        }
        if let Some(v) = out.violations.first() {
            let small = shrink(&s, v.rule, None);
            let out = tell(&small, None);
            println!("{small}{}", out.story.unwrap());
        }
        return;
    }
    let seeds: Vec<u64> = (0..n).collect();
    let t = std::time::Instant::now();
    let mut by: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    let one = run(&Schedule::of(0));
    println!("{} calls", one.port_calls);
    let s = simulate(&seeds, 2, |_| true);
    println!(
        "{:?} for {} = {:?} each; median calls {}",
        t.elapsed(),
        s.schedules,
        t.elapsed() / (n as u32),
        s.port_calls
    );
    for f in &s.failures {
        by.entry(f.violation.rule).or_default().push(f.seed);
    }
    for (rule, seeds) in by {
        println!("{rule}: {} {:?}", seeds.len(), &seeds[..seeds.len().min(12)]);
    }
    for f in &s.failures {
        if let Some(story) = &f.story {
            println!("{}: {}", f.seed, f.violation);
            let _ = story;
        }
    }
    for f in Fault::ALL {
        println!("{:>24} {:>8} {:>8}", f.name(), s.tally.injected(*f), s.tally.changed(*f));
    }
}
