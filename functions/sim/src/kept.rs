//! Seeds that ever failed: run first, by every test and every `muster simulate`.

/// One a line: the seed, and why it is here.
const KEPT: &str = include_str!("../seeds");

/// The seeds, each with its story in a few words.
pub fn kept() -> impl Iterator<Item = (u64, &'static str)> {
    let lines = KEPT.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (seed, why) = line.trim().split_once(' ')?;
        Some((seed.parse().ok()?, why.trim()))
    })
}
