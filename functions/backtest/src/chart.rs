//! A comparison as a picture, and as a page that needs nothing else.
//!
//! Above, over time: the load, the sizes of the policies, and a mark wherever one of them was overloaded. Below: overload and cost of
//! everybody. The same outcome gives the same text to the byte.

use std::fmt::Write;
use std::time::Duration;

use muster_core::time::Timestamp;

use crate::compare::{Kind, Outcome, Row};

const WIDTH: f64 = 960.0;
/// Left, top, right and bottom of the plane of time.
const PLANE: (f64, f64, f64, f64) = (56.0, 64.0, 936.0, 324.0);
/// Height of a policy's strip of marks, and of a row of bars.
const STRIP: f64 = 12.0;
const BAR: f64 = 22.0;
/// Marks on the axis of time at most.
const MOST_TICKS: f64 = 9.0;
/// Seconds between marks on the axis of time, of which the shortest is taken that gives few enough.
const TICKS_S: [f64; 13] = [
    60.0,
    300.0,
    600.0,
    1_800.0,
    3_600.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    604_800.0,
    1_209_600.0,
    2_678_400.0,
];
const DAY_S: f64 = 86_400.0;
/// The policy's colour, and those of what it is held against.
const COLOURS: [&str; 4] = ["#0969da", "#bc4c00", "#8250df", "#57606a"];

/// Rows that have a line of their own over time, with its colour.
fn lines(outcome: &Outcome) -> impl Iterator<Item = (&Row, &'static str)> {
    let own = outcome.rows.iter().filter(|row| matches!(row.kind, Kind::Policy | Kind::Against));
    own.zip(COLOURS.into_iter().cycle())
}

/// From time and instances to places.
struct Scale {
    points: f64,
    most: f64,
}

impl Scale {
    fn of(outcome: &Outcome) -> Self {
        let of_lines = lines(outcome).flat_map(|(row, _)| &row.instances);
        let most = of_lines.chain(&outcome.series.load_most).copied().fold(1.0, f64::max);
        let step = nice(most / 5.0);
        Self { points: outcome.series.load_mean.len().max(1) as f64, most: (most / step).ceil() * step }
    }

    fn x(&self, point: f64) -> f64 {
        PLANE.0 + point / self.points * (PLANE.2 - PLANE.0)
    }

    fn y(&self, instances: f64) -> f64 {
        PLANE.3 - instances / self.most * (PLANE.3 - PLANE.1)
    }
}

/// The first of 1, 2, 5, 10, 20 ... that is not below `value`.
fn nice(value: f64) -> f64 {
    let decades = (0..12).map(|power| 10_f64.powi(power));
    let mut steps = decades.flat_map(|decade| [decade, 2.0 * decade, 5.0 * decade]);
    steps.find(|step| *step >= value).unwrap_or(value)
}

/// The picture of `outcome`.
pub fn svg(outcome: &Outcome, title: &str) -> String {
    let strips = lines(outcome).count() as f64;
    let bars_top = PLANE.3 + 34.0 + strips * (STRIP + 3.0) + 40.0;
    let height = bars_top + outcome.rows.len() as f64 * BAR + 16.0;
    let mut art = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\" \
         aria-label=\"{title}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{x}\" y=\"22\" font-size=\"15\" fill=\"#1f2328\">{title}</text>\n",
        title = escaped(title),
        x = PLANE.0,
    );
    let scale = Scale::of(outcome);
    legend(outcome, &mut art);
    load(outcome, &scale, &mut art);
    axes(outcome, &scale, &mut art);
    for (nth, (row, colour)) in lines(outcome).enumerate() {
        size(row, colour, &scale, &mut art);
        strip(row, colour, PLANE.3 + 34.0 + nth as f64 * (STRIP + 3.0), &scale, &mut art);
    }
    bars(outcome, bars_top, &mut art);
    art + "</svg>\n"
}

/// A page with the picture, the figures and what they do not say.
pub fn html(outcome: &Outcome, title: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>\n\
         body {{ font: 14px/1.5 sans-serif; color: #1f2328; background: #fff; max-width: 980px; margin: 2em auto; padding: 0 1em }}\n\
         table {{ border-collapse: collapse }} td, th {{ padding: .2em .8em; text-align: right; border-bottom: 1px solid #d0d7de }}\n\
         td:first-child, th:first-child {{ text-align: left }} svg {{ width: 100% }}\n</style>\n{}\n<h2>Figures</h2>\n<table>\n",
        svg(outcome, title),
        title = escaped(title),
    );
    // Writing into a string does not fail.
    let mut put = |cells: &[String], tag: &str| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        let _ = writeln!(page, "<tr>{cells}</tr>");
    };
    put(&headings(outcome), "th");
    outcome.rows.iter().for_each(|row| put(&cells(row), "td"));
    page += "</table>\n<h2>Worst minutes</h2>\n<ul>\n";
    for (row, _) in lines(outcome) {
        for line in worst(row) {
            let _ = writeln!(page, "<li>{}: {}</li>", escaped(&row.name), escaped(&line));
        }
    }
    page += "</ul>\n<h2>What this does not know</h2>\n<ul>\n";
    outcome.notes.iter().for_each(|note| {
        let _ = writeln!(page, "<li>{}</li>", escaped(note));
    });
    page + "</ul>\n</html>\n"
}

/// The headings of [`cells`].
pub fn headings(outcome: &Outcome) -> Vec<String> {
    let money = if outcome.price_per_hour.is_some() { "$/month" } else { "instance-h" };
    ["", "over %", "lost %", money, "cost", "changes/h", "min at max", "launches"].map(String::from).to_vec()
}

/// A row of the table.
pub fn cells(row: &Row) -> Vec<String> {
    let score = &row.score;
    vec![
        row.name.clone(),
        format!("{:.2}", score.over_percent),
        format!("{:.2}", score.lost_percent),
        row.cost_per_month.map_or_else(|| format!("{:.1}", score.instance_hours), |cost| format!("{cost:.2}")),
        format!("{:.2}", score.cost),
        format!("{:.1}", score.changes_per_hour),
        format!("{:.0}", score.minutes_at_max),
        row.launches.to_string(),
    ]
}

/// The minutes in which most requests met an overloaded group, a line each.
pub fn worst(row: &Row) -> Vec<String> {
    let minutes = row.score.worst_minutes.iter();
    minutes
        .map(|minute| {
            let (at, used, ready) = (moment(minute.unix_seconds), minute.utilisation_percent, minute.ready);
            format!("{at}  {used:.0} % of what {ready} can do")
        })
        .collect()
}

/// A moment, from seconds since 1970.
pub fn moment(unix_s: f64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::try_from_secs_f64(unix_s).unwrap_or_default())
}

fn legend(outcome: &Outcome, art: &mut String) {
    let load = std::iter::once(("load, in instances fully used".to_owned(), "#9fb3c8"));
    let mut x = PLANE.0;
    for (name, colour) in load.chain(lines(outcome).map(|(row, colour)| (shortened(&row.name), colour))) {
        let _ = writeln!(
            art,
            "<rect x=\"{x:.0}\" y=\"36\" width=\"14\" height=\"10\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"46\" fill=\"#1f2328\">{}</text>",
            x + 19.0,
            escaped(&name),
        );
        x += 40.0 + 7.0 * name.chars().count() as f64;
    }
}

/// The load: its mean filled, its peaks as a line.
fn load(outcome: &Outcome, scale: &Scale, art: &mut String) {
    let corners = |of: &[f64]| corners(of, scale);
    let (left, right, bottom) = (PLANE.0, PLANE.2, PLANE.3);
    let _ = writeln!(
        art,
        "<path d=\"M{left} {bottom}{}L{right} {bottom}Z\" fill=\"#d6e0ea\"/>\n\
         <path d=\"M{left} {bottom}{}\" fill=\"none\" stroke=\"#9fb3c8\"/>",
        corners(&outcome.series.load_mean),
        corners(&outcome.series.load_most),
    );
}

fn corners(of: &[f64], scale: &Scale) -> String {
    of.iter().enumerate().fold(String::new(), |mut path, (nth, value)| {
        let _ = write!(path, "L{:.1} {:.1}", scale.x(nth as f64 + 0.5), scale.y(*value));
        path
    })
}

/// A size, which holds until it changes.
fn size(row: &Row, colour: &str, scale: &Scale, art: &mut String) {
    let mut path = String::new();
    let mut before = None;
    for (nth, instances) in row.instances.iter().enumerate() {
        let (x, y) = (scale.x(nth as f64), scale.y(*instances));
        let _ = match before {
            None => write!(path, "M{x:.1} {y:.1}"),
            Some(before) if before == instances => Ok(()),
            Some(_) => write!(path, "H{x:.1}V{y:.1}"),
        };
        before = Some(instances);
    }
    let _ = writeln!(art, "<path d=\"{path}H{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>", PLANE.2);
}

/// A mark for each point in which the group was overloaded: the more of it, the darker.
fn strip(row: &Row, colour: &str, top: f64, scale: &Scale, art: &mut String) {
    let (left, right) = (PLANE.0, PLANE.2);
    let _ = writeln!(
        art,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{:.0}\" height=\"{STRIP}\" fill=\"#f6f8fa\"/>\
         <rect x=\"{:.0}\" y=\"{top}\" width=\"6\" height=\"{STRIP}\" fill=\"{colour}\"/>",
        right - left,
        left - 12.0,
    );
    for (nth, share) in row.overloaded.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let (x, width) = (scale.x(nth as f64), (scale.x(1.0) - scale.x(0.0)).max(1.5));
        let opacity = 0.3 + 0.7 * share / 100.0;
        let _ = writeln!(
            art,
            "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{STRIP}\" fill=\"#cf222e\" fill-opacity=\"{opacity:.2}\"/>"
        );
    }
}

fn axes(outcome: &Outcome, scale: &Scale, art: &mut String) {
    let (left, top, right, bottom) = PLANE;
    let _ = writeln!(art, "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#57606a\"/>");
    let step = nice(scale.most / 5.0);
    let mut instances = 0.0;
    while instances <= scale.most + 1e-9 {
        let y = scale.y(instances);
        let _ = writeln!(
            art,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#57606a\">{instances}</text>",
            left - 8.0,
            y + 4.0
        );
        instances += step;
    }
    let span_s = scale.points * outcome.series.step_seconds;
    let every_s = TICKS_S.into_iter().find(|every_s| span_s / every_s <= MOST_TICKS).unwrap_or(span_s / MOST_TICKS);
    let start_s = outcome.start_unix_seconds;
    let mut at_s = (start_s / every_s).ceil() * every_s;
    while at_s <= start_s + span_s {
        let x = scale.x((at_s - start_s) / outcome.series.step_seconds);
        // 2026-11-22T10:00:00Z
        let text = moment(at_s).to_string();
        let label = if every_s >= DAY_S { text.get(5..10) } else { text.get(11..16) };
        let _ = writeln!(
            art,
            "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#57606a\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#57606a\">{}</text>",
            bottom + 18.0,
            label.unwrap_or_default(),
        );
        at_s += every_s;
    }
}

/// Overload and cost of everybody.
fn bars(outcome: &Outcome, top: f64, art: &mut String) {
    let most = |figure: fn(&Row) -> f64| outcome.rows.iter().map(figure).fold(1e-9, f64::max);
    let over: fn(&Row) -> f64 = |row| row.score.over_percent;
    let cost: fn(&Row) -> f64 = |row| row.score.instance_hours;
    let heading =
        |x: f64, text: &str| format!("<text x=\"{x}\" y=\"{:.0}\" fill=\"#57606a\">{text}</text>\n", top - 8.0);
    let money = if outcome.price_per_hour.is_some() { "cost, $ a month" } else { "cost, instance-hours" };
    *art += &heading(250.0, "requests that met an overloaded group, %");
    *art += &heading(610.0, money);
    for (nth, row) in outcome.rows.iter().enumerate() {
        let y = top + nth as f64 * BAR;
        let colour = match row.kind {
            Kind::Policy | Kind::Against => {
                lines(outcome).find(|(line, _)| std::ptr::eq(*line, row)).map_or(COLOURS[0], |(_, colour)| colour)
            }
            Kind::Peer => "#afb8c1",
            Kind::Oracle => "#1a7f37",
        };
        let price = row.cost_per_month.map_or_else(|| format!("{:.1}", cost(row)), |cost| format!("{cost:.2}"));
        let _ = writeln!(
            art,
            "<text x=\"242\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#1f2328\">{}</text>",
            y + 14.0,
            escaped(&shortened(&row.name))
        );
        for (x, share, label) in
            [(250.0, over(row) / most(over), format!("{:.2}", over(row))), (610.0, cost(row) / most(cost), price)]
        {
            let _ = writeln!(
                art,
                "<rect x=\"{x}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1f2328\">{label}</text>",
                y + 3.0,
                260.0 * share,
                BAR - 8.0,
                x + 260.0 * share + 6.0,
                y + 14.0,
            );
        }
    }
}

/// A name that fits beside its bar.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 30;
    if name.chars().count() <= LONGEST {
        name.to_owned()
    } else {
        name.chars().take(LONGEST - 2).chain("..".chars()).collect()
    }
}

/// Foreign text, in SVG and HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Boot, BootFrom, Capacity, Named, Setting, compare};
    use crate::trace::Demand;
    use muster_core::policy::Policy;

    #[test]
    fn a_chart_shows_everybody_and_lets_no_foreign_text_in() {
        let demand = Demand { start_unix_s: 1_700_000_000.0, rates: [vec![1.0; 200], vec![9.0; 200]].concat() };
        let boot = Boot { seconds: 60.0, from: BootFrom::Given };
        let setting = Setting {
            demand: &demand,
            capacity: Capacity::Record,
            boot,
            price: None,
            gaps: None,
            threshold: None,
            seed: 1,
        };
        let policy = Named { name: "<b>&\"".into(), policy: Policy::default() };
        let outcome = compare(&setting, &[policy], true, &mut |_| {});
        let page = html(&outcome, "<i>");
        assert_eq!(page, html(&outcome, "<i>"));
        assert!(!page.contains("<b>") && !page.contains("<i>") && page.contains("&lt;b&gt;&amp;&quot;"));
        for name in ["EC2 step scaling", "Kubernetes HPA 60 %", "oracle", "Worst minutes", "22:30"] {
            assert!(page.contains(name), "{name} is not in\n{page}");
        }
        assert!(page.contains("fill=\"#cf222e\""), "five cannot do nine's work");
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn steps_of_an_axis_are_round() {
        assert_eq!([0.0, 1.0, 1.1, 4.0, 6.0, 19.0, 21.0].map(nice), [1.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
    }
}
