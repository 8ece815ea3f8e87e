//! Cron expressions as EC2 Auto Scaling's scheduled actions write them, after vixie cron.
//! <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html>
//!
//! Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). Each is `*`, numbers, ranges
//! (`1-5`), steps of a range (`*/15`, `8-18/2`) or a list of those; months and days of the week may be named by three
//! letters. Where neither field of days begins with `*`, a day need be in one of them only, as in vixie cron. No seconds, no
//! years, no `@daily`, and none of `?`, `L`, `W` and `#`.

use jiff::civil::{Date, DateTime};

/// A valid cron expression: for each field the set of its values, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day need be in one field of days only.
    either_day: bool,
}

/// A field, for people and for the parser.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// The names of its values, from the least on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field =
    Field { name: "day of the week", least: 0, most: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };
/// The days of each month, in a leap year.
const LONGEST_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Cron {
    /// The expression that `text` holds, or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err("must have five fields: minute, hour, day of the month, month, day of the week".into());
        };
        let weekdays = WEEKDAY.parse(weekday)?;
        let cron = Self {
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            // 7 is Sunday, too.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        let comes = |(month, days): (u32, u32)| has(cron.months, month) && highest(cron.days, days).is_some();
        if !cron.either_day && !(1..).zip(LONGEST_MONTHS).any(comes) {
            return Err("must name a day that its months have".into());
        }
        Ok(cron)
    }

    /// Its latest time that is not after `last`, on `first` or a later day.
    pub(super) fn latest(&self, last: DateTime, first: Date) -> Option<DateTime> {
        let (mut date, mut end) = (last.date(), (unsigned(last.hour()), unsigned(last.minute())));
        while date >= first {
            if self.comes_on(date)
                && let Some((hour, minute)) = self.latest_time(end)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            (date, end) = (date.yesterday().ok()?, (23, 59));
        }
        None
    }

    fn comes_on(&self, date: Date) -> bool {
        let day = has(self.days, unsigned(date.day()));
        let weekday = has(self.weekdays, unsigned(date.weekday().to_sunday_zero_offset()));
        has(self.months, unsigned(date.month())) && if self.either_day { day || weekday } else { day && weekday }
    }

    /// The latest hour and minute of a day that are not after these.
    fn latest_time(&self, (hour, minute): (u32, u32)) -> Option<(i8, i8)> {
        let in_hour = highest(self.minutes, minute).filter(|_| has(self.hours, hour)).map(|minute| (hour, minute));
        let earlier = || Some((highest(self.hours, hour.checked_sub(1)?)?, highest(self.minutes, 59)?));
        let (hour, minute) = in_hour.or_else(earlier)?;
        Some((i8::try_from(hour).ok()?, i8::try_from(minute).ok()?))
    }
}

impl Field {
    /// The set that `text` means.
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                (range, Some(step.parse::<u32>().ok().filter(|step| (1..=self.most).contains(step))))
            }
            None => (text, None),
        };
        let ends = match range.split_once('-') {
            _ if range == "*" => Some((self.least, self.most)),
            Some((first, last)) => self.value(first).zip(self.value(last)),
            // A step of one value alone means different things to different crons.
            None => self.value(range).filter(|_| step.is_none()).map(|value| (value, value)),
        };
        let wrong = || {
            let Self { name, least, most, names } = self;
            let named = names.first().zip(names.last());
            let named = named.map_or(String::new(), |(first, last)| format!(", {first}-{last}"));
            let a = if name.starts_with('h') { "an" } else { "a" };
            format!(
                "must have {a} {name} of {least}-{most}{named}, `*`, ranges, steps of them, or a list of those: {text:?} is none"
            )
        };
        let (first, last) = ends.ok_or_else(wrong)?;
        // `fri-sun` ends on the Sunday after.
        let last = if last == 0 && first > 0 && self.most == WEEKDAY.most { 7 } else { last };
        let step = step.map_or(Some(1), |step| step).filter(|_| first <= last).ok_or_else(wrong)?;
        let step = usize::try_from(step).map_err(|_| wrong())?;
        Ok((first..=last).step_by(step).fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = (self.least..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = || text.parse().ok().filter(|value| digits && (self.least..=self.most).contains(value));
        named.map(|(value, _)| value).or_else(number)
    }
}

const fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

/// The highest of `set` that is not above `most`, which is below 64.
fn highest(set: u64, most: u32) -> Option<u32> {
    (set & (u64::MAX >> (63 - most))).checked_ilog2()
}

/// jiff counts hours, days and months in signed numbers that are never negative.
fn unsigned(value: i8) -> u32 {
    u32::from(value.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_time_is_found_by_hand() {
        for (cron, before, latest) in [
            ("0 8 * * *", "2026-11-22T08:00", "2026-11-22T08:00"),
            ("0 8 * * *", "2026-11-22T07:59", "2026-11-21T08:00"),
            ("*/15 * * * *", "2026-11-22T00:14", "2026-11-22T00:00"),
            ("50 * * * *", "2026-11-22T00:14", "2026-11-21T23:50"),
            ("10-50/20 8-18/5 * * *", "2026-11-22T13:49", "2026-11-22T13:30"),
            // 2026-11-22 is a Sunday.
            ("0 9 * * mon-fri", "2026-11-22T12:00", "2026-11-20T09:00"),
            ("0 9 * * 1-5", "2026-11-22T12:00", "2026-11-20T09:00"),
            ("0 9 * * 7", "2026-11-22T12:00", "2026-11-22T09:00"),
            ("0 9 * * SUN", "2026-11-22T12:00", "2026-11-22T09:00"),
            ("0 9 * * fri-sun", "2026-11-22T12:00", "2026-11-22T09:00"),
            ("0 9 * * sat,wed", "2026-11-20T12:00", "2026-11-18T09:00"),
            ("0 0 31 * *", "2026-12-01T00:00", "2026-10-31T00:00"),
            ("0 0 29 feb *", "2024-03-05T00:00", "2024-02-29T00:00"),
            ("0 0 1 jan,JUL *", "2026-07-09T00:00", "2026-07-01T00:00"),
            // Vixie: with both fields of days restricted either will do, with one that begins with * both must.
            ("0 0 13 * fri", "2026-11-22T00:00", "2026-11-20T00:00"),
            ("0 0 13 * fri", "2026-11-18T00:00", "2026-11-13T00:00"),
            ("0 0 14 * fri", "2026-11-18T00:00", "2026-11-14T00:00"),
            ("0 0 */2 * fri", "2026-11-22T00:00", "2026-11-13T00:00"),
        ] {
            let parsed = Cron::parse(cron).expect(cron);
            let (before, latest): (DateTime, DateTime) = (before.parse().unwrap(), latest.parse().unwrap());
            assert_eq!(parsed.latest(before, Date::constant(2024, 1, 1)), Some(latest), "{cron} {before}");
            assert_eq!(parsed.latest(before, latest.date()), Some(latest), "{cron} {before}");
            assert_eq!(parsed.latest(before, latest.date().tomorrow().unwrap()), None, "{cron} {before}");
        }
        // Of a leap day nothing is found in the years between, and nothing is looked for before the first day.
        let leap = Cron::parse("0 0 29 2 *").expect("a leap day");
        assert_eq!(leap.latest("2026-03-05T00:00".parse().unwrap(), Date::constant(2026, 2, 1)), None);
    }

    #[test]
    fn what_is_no_cron_is_refused_with_the_field() {
        for (cron, says) in [
            ("", "must have five fields"),
            ("0 8 * *", "must have five fields"),
            ("0 8 * * * *", "must have five fields"),
            ("@daily", "must have five fields"),
            ("60 * * * *", "a minute of 0-59"),
            ("* 24 * * *", "an hour of 0-23"),
            ("* * 0 * *", "a day of the month of 1-31"),
            ("* * 32 * *", "a day of the month of 1-31"),
            ("* * * 13 *", "a month of 1-12, jan-dec"),
            ("* * * * 8", "a day of the week of 0-7, sun-sat"),
            ("* * * * fri-mon", "\"fri-mon\" is none"),
            ("5/15 * * * *", "\"5/15\" is none"),
            ("*/0 * * * *", "\"*/0\" is none"),
            ("*/60 * * * *", "\"*/60\" is none"),
            ("1,,2 * * * *", "\"\" is none"),
            ("+5 * * * *", "\"+5\" is none"),
            ("9-5 * * * *", "\"9-5\" is none"),
            ("* * L * *", "\"L\" is none"),
            ("* * ? * *", "\"?\" is none"),
            ("99999999999999999999 * * * *", "is none"),
            ("0 0 31 2,4 *", "must name a day that its months have"),
            ("0 0 30 feb */2", "must name a day that its months have"),
        ] {
            let said = Cron::parse(cron).expect_err(cron);
            assert!(said.contains(says), "{cron}: {said}");
        }
        assert!(Cron::parse("0 0 31 2 mon").is_ok(), "either day will do");
    }
}
