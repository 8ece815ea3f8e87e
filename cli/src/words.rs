//! How the commands say things to people: tables, times, ages, loads; and nothing that a terminal would obey.

use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use muster_core::time::{Timestamp, spoken};
use serde::Serialize;

/// The heights of a spark line, from 0 to 100 %.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `text` without what a terminal would obey: tags, errors and policies are written by others. Line ends stay.
pub fn plain(text: &str) -> String {
    let obeyed = |letter: char| {
        let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (letter.is_control() && letter != '\n')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut told, letter| {
        if obeyed(letter) {
            told.extend(letter.escape_unicode());
        } else {
            told.push(letter);
        }
        told
    })
}

/// A table with these headings, and these rows of plain words.
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    // A terminal has so much room, a file as much as it takes.
    let room = std::io::stdout().is_terminal().then(|| ratatui::crossterm::terminal::size().ok()).flatten();
    if let Some((width, _)) = room.filter(|_| !cfg!(test)) {
        table.set_width(width);
    }
    table.set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| plain(&cell)));
    }
    table.to_string()
}

/// `3 s ago`, `in 1 m 12 s`, `now`.
pub fn away(now: Timestamp, at: u64) -> String {
    let at = Timestamp::from_millis(at);
    match (now.since(at), at.since(now)) {
        (Duration::ZERO, Duration::ZERO) => "now".into(),
        (past, Duration::ZERO) => format!("{} ago", spoken(past)),
        (_, ahead) => format!("in {}", spoken(ahead)),
    }
}

/// How long ago it was.
pub fn age(now: Timestamp, at: u64) -> String {
    spoken(now.since(Timestamp::from_millis(at)))
}

/// A time to the second, in UTC.
pub fn moment(at: u64) -> String {
    Timestamp::from_millis(at - at % 1_000).to_string()
}

/// A load or another percentage.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1} %"))
}

/// Loads of late as a line.
pub fn spark(loads: &[Option<f64>]) -> String {
    let height = |load: f64| HEIGHTS[((load.clamp(0.0, 100.0) / 100.0 * 8.0) as usize).min(7)];
    loads.iter().map(|load| load.map_or('·', height)).collect()
}

/// The name that something has in JSON.
pub fn name(one: &impl Serialize) -> String {
    match serde_json::to_value(one) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// What there is, or a dash.
pub fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".into(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(
            plain("a\u{1b}[2Jb\r\u{7}\u{9b}c\u{202e}d\n\tä"),
            "a\\u{1b}[2Jb\\u{d}\\u{7}\\u{9b}c\\u{202e}d\n\\u{9}ä"
        );
        assert!(!table(["x"], [["\u{1b}]0;title\u{7}".to_owned()]]).contains('\u{1b}'));
    }

    #[test]
    fn times_and_loads_are_said_in_words() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = |offset: i64| now.as_millis().saturating_add_signed(offset);
        assert_eq!([-3_000, 0, 72_000].map(|offset| away(now, at(offset))), ["3 s ago", "now", "in 1 m 12 s"]);
        assert_eq!(
            (age(now, at(-3_600_000)), moment(1_800_000_000_250)),
            ("1 h".into(), "2027-01-15T08:00:00Z".into())
        );
        assert_eq!((percent(Some(48.55)), percent(None)), ("48.5 %".into(), "-".into()));
        assert_eq!(spark(&[Some(0.0), Some(49.0), Some(100.0), None, Some(f64::NAN)]), "▁▄█·▁");
        assert_eq!(
            (name(&muster_core::policy::Mode::OutOnly), or_dash(Some(3)), or_dash(None::<u8>)),
            ("out-only".into(), "3".into(), "-".into())
        );
    }
}
