//! What `muster top` shows, and how it is drawn: a pure function of the view and the room there is.

use muster_core::member::Phase;
use muster_core::time::Timestamp;
use muster_web::read::activity::ActivityPage;
use muster_web::read::faults::Attention;
use muster_web::read::members::{MemberLine, Members};
use muster_web::read::now::Now;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::words::{away, moment, name, percent};

/// Decisions that are shown.
const DECISIONS: u16 = 5;
/// Columns before a member's bar, and behind it.
const BEFORE_BAR: u16 = 36;
const BEHIND_BAR: u16 = 10;
/// The parts of a column that is not filled whole, from an eighth on.
const EIGHTHS: [&str; 8] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// What is shown.
#[derive(Clone, Debug)]
pub struct View {
    /// The clock.
    pub now: Timestamp,
    /// The group.
    pub group: Now,
    /// Its members.
    pub members: Members,
    /// What was decided last.
    pub decisions: ActivityPage,
    /// Why this is not new, if it is not.
    pub trouble: Option<String>,
    /// How many members are above the first that is shown.
    pub scrolled: usize,
}

impl View {
    /// How many members have no room in `area`, at most.
    pub fn hidden(&self, area: Rect) -> usize {
        self.members.members.len().saturating_sub(usize::from(rows(area)))
    }

    /// Draws it into `area`.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let mut page = Page { area, buffer, row: 0 };
        for line in self.summary() {
            page.line(&line);
        }
        page.line(&Line::default());
        page.line(&self.headings(area.width));
        let rows = usize::from(rows(area));
        let scrolled = self.scrolled.min(self.hidden(area));
        for member in self.members.members.iter().skip(scrolled).take(rows) {
            page.member(self, member);
        }
        page.row = area.height.saturating_sub(DECISIONS + 2);
        let hidden = self.members.members.len().saturating_sub(rows);
        let more = if hidden > 0 { format!("{hidden} more members: arrow keys. ") } else { String::new() };
        page.line(&Line::styled(format!("{more}Decisions:"), Modifier::BOLD));
        for item in self.decisions.items.iter().take(usize::from(DECISIONS)) {
            let times = if item.count > 1 { format!("x{} ", item.count) } else { String::new() };
            let time = Span::styled(format!("  {}  ", moment(item.at)), Color::DarkGray);
            page.line(&Line::from(vec![time, Span::raw(format!("{times}{}", item.text))]));
        }
        page.row = area.height.saturating_sub(1);
        page.line(&Line::styled("q ends", Color::DarkGray));
    }

    /// The group in a few lines.
    fn summary(&self) -> Vec<Line<'static>> {
        let group = &self.group;
        let colour = match group.attention {
            Attention::Fine => Color::Green,
            Attention::Look => Color::Yellow,
            Attention::Bad => Color::Red,
        };
        let title = Line::from(vec![
            Span::styled(format!("{} ", group.group), Modifier::BOLD),
            Span::raw(format!("({})  {}  ", group.place, name(&group.mode))),
            Span::styled(name(&group.attention), colour),
            Span::raw(format!("  {}", moment(self.now.as_millis()))),
        ]);
        let bounds =
            group.bounds.map_or_else(String::new, |bounds| format!("   min {}  max {}", bounds.min, bounds.max));
        let counts = group.counts.map_or_else(String::new, |counts| {
            format!("   actual {}   in service {}   pending {}", counts.actual, counts.in_service, counts.pending)
        });
        let size = Line::raw(format!("desired {}{counts}{bounds}", group.desired));
        let sweep = group.sweep.as_ref().map_or_else(
            || "no sweep yet".to_owned(),
            |sweep| {
                let (answered, members) = (sweep.answered, sweep.members);
                format!(
                    "load {}   swept {}, {answered} of {members} answer",
                    percent(sweep.mean),
                    away(self.now, sweep.finished_at)
                )
            },
        );
        let threshold = |word: &str, at: Option<f64>| at.map(|at| format!("   {word} {at} %")).unwrap_or_default();
        let (low, high) = (threshold("in below", group.thresholds.low), threshold("out above", group.thresholds.high));
        let why = self.trouble.clone().or_else(|| group.why.clone()).or_else(|| {
            let wait = group.waits_until.first()?;
            let until = wait.until.map(|until| format!(", over {}", away(self.now, until))).unwrap_or_default();
            Some(format!("waits: {}{until}", wait.text))
        });
        let why_colour = if self.trouble.is_some() { Color::Red } else { colour };
        vec![title, size, Line::raw(format!("{sweep}{high}{low}")), Line::styled(why.unwrap_or_default(), why_colour)]
    }

    /// The members' headings, with the thresholds over the bars.
    fn headings(&self, width: u16) -> Line<'static> {
        let mut scale = vec![' '; usize::from(bar_width(width))];
        for at in [self.group.thresholds.low, self.group.thresholds.high].into_iter().flatten() {
            if let Some(mark) = scale.get_mut(usize::from(column(at, bar_width(width)))) {
                *mark = '▼';
            }
        }
        let scale: String = scale.into_iter().collect();
        Line::styled(format!("{:<20} {:<14} {scale}", "member", "phase"), Color::DarkGray)
    }
}

/// Rows for members.
const fn rows(area: Rect) -> u16 {
    area.height.saturating_sub(6 + DECISIONS + 2)
}

const fn bar_width(width: u16) -> u16 {
    width.saturating_sub(BEFORE_BAR + BEHIND_BAR)
}

/// Where in a bar of `width` so many per cent are.
fn column(percent: f64, width: u16) -> u16 {
    let at = (percent.clamp(0.0, 100.0) / 100.0 * f64::from(width)) as u16;
    at.min(width.saturating_sub(1))
}

/// What is drawn on, row by row.
struct Page<'a> {
    area: Rect,
    buffer: &'a mut Buffer,
    row: u16,
}

impl Page<'_> {
    fn line(&mut self, line: &Line<'_>) {
        if self.row < self.area.height {
            self.buffer.set_line(self.area.x, self.area.y + self.row, line, self.area.width);
        }
        self.row += 1;
    }

    fn member(&mut self, view: &View, member: &MemberLine) {
        let colour = match member.phase {
            Phase::InService if member.hot => Color::Red,
            Phase::InService => Color::Green,
            Phase::Warming | Phase::Pending => Color::Cyan,
            Phase::Suspect => Color::Yellow,
            Phase::Draining | Phase::Terminating => Color::DarkGray,
        };
        let id: String = member.id.chars().take(20).collect();
        let mut spans =
            vec![Span::raw(format!("{id:<20} ")), Span::styled(format!("{:<14} ", name(&member.phase)), colour)];
        spans.extend(bar(view, member.load, bar_width(self.area.width), colour));
        let load = member.load.map_or_else(|| "-".into(), |load| format!("{load:.0} %"));
        let mark = if member.protected { " P" } else { "" };
        spans.push(Span::raw(format!(" {load:>5}{mark}")));
        self.line(&Line::from(spans));
    }
}

/// A load as a bar; the thresholds show where it does not reach.
fn bar(view: &View, load: Option<f64>, width: u16, colour: Color) -> Vec<Span<'static>> {
    let eighths = (load.unwrap_or(0.0).clamp(0.0, 100.0) / 100.0 * f64::from(width) * 8.0).round() as usize;
    let thresholds = view.group.thresholds;
    let marks: Vec<u16> = [thresholds.low, thresholds.high].into_iter().flatten().map(|at| column(at, width)).collect();
    let cell = |at: u16| {
        let filled = eighths.saturating_sub(usize::from(at) * 8);
        match EIGHTHS.get(filled) {
            None => Span::styled("█", colour),
            Some(&" ") if marks.contains(&at) => Span::styled("│", Style::new().fg(Color::DarkGray)),
            Some(part) => Span::styled(*part, colour),
        }
    };
    (0..width).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use muster_control::ports::Clock;
    use muster_web::read::activity::{ActivityKind, AskedActivity, activity};
    use muster_web::read::members::{AskedMembers, members};
    use muster_web::read::now::now;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::golden;
    use crate::lived::{group, story};

    async fn view() -> View {
        let lived = story().await;
        let asked =
            AskedActivity { kinds: [ActivityKind::Decision].into(), limit: Some(5), ..AskedActivity::default() };
        View {
            now: lived.stand.clock.now(),
            group: now(&lived.stand, &group()).await.expect("the group"),
            members: members(&lived.stand, &group(), AskedMembers::default()).await.expect("the members"),
            decisions: activity(&lived.stand, &group(), &asked).await.expect("the log"),
            trouble: None,
            scrolled: 0,
        }
    }

    fn drawn(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| view.draw(frame.area(), frame.buffer_mut())).expect("it is drawn");
        terminal.backend().to_string()
    }

    #[tokio::test]
    async fn a_group_is_drawn_like_this() {
        let mut view = view().await;
        golden::check("top.txt", &drawn(&view, 110, 22));
        golden::check("top-narrow.txt", &drawn(&view, 60, 15));
        view.trouble = Some("the group cannot be read: the store is throttling".into());
        view.scrolled = 1;
        golden::check("top-trouble.txt", &drawn(&view, 90, 14));
    }

    #[tokio::test]
    async fn any_room_will_do_and_hostile_words_are_drawn_as_words() {
        let mut view = view().await;
        let first = view.members.members[0].clone();
        view.members
            .members
            .extend((0..200).map(|_| MemberLine { id: "i\u{1b}[31m\u{202e}x".into(), ..first.clone() }));
        view.scrolled = usize::MAX;
        for (width, height) in [(0, 0), (1, 1), (20, 3), (47, 9), (80, 24), (300, 100)] {
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            view.draw(area, &mut buffer);
            assert!(buffer.content().iter().all(|cell| !cell.symbol().contains('\u{1b}')), "{width} x {height}");
        }
    }
}
