//! What a group may be scaled by beside its processor load: memory, pressure, and what an application reports to its agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The signals in percent, which the agent measures itself.
pub const PERCENTAGES: [&str; 2] = ["memory", "pressure"];

/// What an application reports in words.
pub const WORDS: [&str; 2] = ["busy", "protected"];

/// The requests a second that come to a member, by its application's own count: what the rule `auto` knows more by.
pub const RATE: &str = "rate";

/// The largest amount: far beyond any honest one, and hundredths of it are still whole in a float.
pub const MOST: f64 = 1e12;

/// Characters of a name.
const NAME: usize = 32;

/// Signals of one member that are kept: what an agent tells of its application, and its own.
pub const KEPT: usize = 16 + PERCENTAGES.len();

/// Whether `name` may name a signal: 1-32 characters of a-z, 0-9 and `_`, the first a letter.
pub fn is_name(name: &str) -> bool {
    let all = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    all && name.len() <= NAME && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// Whether a signal is a share in percent, so that it never exceeds 100.
pub fn is_percentage(name: &str) -> bool {
    PERCENTAGES.contains(&name)
}

/// One member's signals, by name: finite, not negative, percentages within 0..=100, to the hundredth. What is none of that is
/// missing (M6).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, f64>")]
pub struct Signals(BTreeMap<String, f64>);

impl Signals {
    /// Those of `sent` that are signals, the first [`KEPT`] by name.
    pub fn of(sent: &BTreeMap<String, f64>) -> Self {
        let fit = sent.iter().filter_map(|(name, value)| {
            let most = if is_percentage(name) { 100.0 } else { MOST };
            let fits = is_name(name) && (0.0..=most).contains(value);
            // As with a load no rule looks closer; adding 0 turns -0 into 0.
            fits.then(|| (name.clone(), (value * 100.0).round() / 100.0 + 0.0))
        });
        Self(fit.take(KEPT).collect())
    }

    /// The value of the signal with this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl From<BTreeMap<String, f64>> for Signals {
    fn from(sent: BTreeMap<String, f64>) -> Self {
        Self::of(&sent)
    }
}
