//! The figures as a picture: cost to the right, overload upwards, so that good is where the axes meet. The slanted lines join
//! equal bills.

use std::fmt::Write;

use muster_backtest::score::PRICE;

use crate::Row;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
/// Left, top, right and bottom of the plane.
const PLANE: (f64, f64, f64, f64) = (64.0, 24.0, 724.0, 404.0);
/// Bills between two of the slanted lines.
const BILLS_APART: f64 = 0.5;
/// Letters are about this wide, in their own height: enough to keep names inside.
const LETTER: f64 = 7.2;
/// Lines between two names at least.
const LINE: f64 = 14.0;

/// From figures to places.
struct Scale {
    cost: (f64, f64),
    over: f64,
}

impl Scale {
    fn of(rows: &[Row]) -> Self {
        let most = |figure: fn(&Row) -> f64| rows.iter().map(figure).fold(0.0, f64::max);
        let least = rows.iter().map(|row| row.mean.cost).fold(1.0, f64::min);
        let round = |value: f64, step: f64| (value / step).ceil() * step;
        Self {
            cost: ((least * 5.0).floor() / 5.0, round(most(|row| row.mean.cost) + 0.05, 0.2)),
            over: round(most(|row| row.mean.over_percent) * 1.05, 5.0).max(5.0),
        }
    }

    fn x(&self, cost: f64) -> f64 {
        PLANE.0 + (cost - self.cost.0) / (self.cost.1 - self.cost.0) * (PLANE.2 - PLANE.0)
    }

    fn y(&self, over: f64) -> f64 {
        PLANE.3 - over / self.over * (PLANE.3 - PLANE.1)
    }
}

/// The picture of `rows`.
pub(crate) fn svg(rows: &[Row]) -> String {
    let scale = Scale::of(rows);
    let mut art = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" \
         role=\"img\" aria-label=\"Overloaded requests and cost of autoscaling policies\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    bills(&scale, &mut art);
    axes(&scale, &mut art);
    points(&scale, rows, &mut art);
    art + "</svg>\n"
}

fn axes(scale: &Scale, art: &mut String) {
    let (left, top, right, bottom) = PLANE;
    let _ = writeln!(
        art,
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>\n\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#333\">cost, as a multiple of the oracle's</text>\n\
         <text transform=\"translate(16 {:.0}) rotate(-90)\" text-anchor=\"middle\" fill=\"#333\">overloaded requests, %</text>",
        (left + right) / 2.0,
        bottom + 38.0,
        (top + bottom) / 2.0,
    );
    let ticks = |from: f64, to: f64, step: f64| {
        (0_u32..=100).map(move |n| from + f64::from(n) * step).take_while(move |value| *value <= to + 1e-9)
    };
    for cost in ticks(scale.cost.0, scale.cost.1, 0.2) {
        let (x, y) = (scale.x(cost), bottom + 18.0);
        let _ = writeln!(art, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#555\">{cost:.1}</text>");
    }
    for over in ticks(0.0, scale.over, if scale.over > 20.0 { 5.0 } else { 1.0 }) {
        let (x, y) = (left - 8.0, scale.y(over) + 4.0);
        let _ = writeln!(art, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#555\">{over:.0}</text>");
    }
}

/// Lines along which a bill is the same.
fn bills(scale: &Scale, art: &mut String) {
    let highest = scale.cost.1 + PRICE * scale.over;
    let lines = (0_u32..100).map(|n| 1.0 + f64::from(n) * BILLS_APART).take_while(|bill| *bill < highest);
    for bill in lines {
        // From where it enters the plane on its left or upper side to where it leaves it below or to the right.
        let over_at = |cost: f64| ((bill - cost) / PRICE).clamp(0.0, scale.over);
        let cost_at = |over: f64| bill - PRICE * over;
        let (from, to) = (over_at(scale.cost.0), over_at(scale.cost.1));
        let (x1, y1, x2, y2) = (scale.x(cost_at(from)), scale.y(from), scale.x(cost_at(to)), scale.y(to));
        let _ = writeln!(art, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
        if bill.fract() > 0.0 || y1 > PLANE.3 - LINE {
            continue;
        }
        let _ = writeln!(
            art,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#aaa\" font-size=\"10\">bill {bill}</text>",
            x1 + 6.0,
            y1 + 10.0,
        );
    }
}

fn points(scale: &Scale, rows: &[Row], art: &mut String) {
    let mut places: Vec<(f64, f64, &Row)> =
        rows.iter().map(|row| (scale.x(row.mean.cost), scale.y(row.mean.over_percent), row)).collect();
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut named: Vec<(f64, f64)> = Vec::new();
    for (x, y, row) in places {
        let colour = if row.ours {
            "#0969da"
        } else if row.name == "oracle" {
            "#1a7f37"
        } else {
            "#57606a"
        };
        let width = row.name.chars().count() as f64 * LETTER;
        let (anchor, at) = if x + width > PLANE.2 { ("end", x - 9.0) } else { ("start", x + 9.0) };
        // A name gives way upwards to those that stand near it.
        let mut line = y - 6.0;
        while named.iter().any(|(other_x, other_y)| (other_x - at).abs() < 130.0 && (other_y - line).abs() < LINE) {
            line -= 2.0;
        }
        named.push((at, line));
        let weight = if row.ours { "bold" } else { "normal" };
        let _ = writeln!(
            art,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>\
             <text x=\"{at:.1}\" y=\"{line:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\" font-weight=\"{weight}\">{}</text>",
            escaped(&row.name),
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
