//! `muster decide`: the pure decision as a command.

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use clap::Args;
use muster_backtest::stream::{Reply, Stream};
use muster_core::decide::{Decision, decide};
use muster_core::policy::Policy;
use muster_core::snapshot::Snapshot;
use muster_web::read::explain::explained;

use crate::explain::in_sentences;
use crate::failure::Failure;
use crate::policy::{load, print, read_all, say};

/// The longest snapshot that is read, in bytes: 10,000 members fit ten times over.
const LONGEST: u64 = 64 << 20;
/// The longest line of a stream that is read, in bytes: the most instances that it may name fit twice over.
const LONGEST_LINE: u64 = 8 << 20;

/// Decide what a group should do, from a snapshot on standard input.
///
/// The snapshot is a JSON document; the smallest one that says anything is
///   {"now": "2026-11-22T10:00:00Z", "head": {"desired": 2}, "sweep": {"slot": "2026-11-22T10:00:00Z"},
///    "members": [{"id": "i-1", "health": {"load": 80}}, {"id": "i-2", "health": {"load": 90}}]}
/// The README documents every field. Nothing is changed anywhere.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DecideArgs {
    /// The policy's file; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Explain the decision in words instead of printing it as JSON.
    #[arg(long)]
    explain: bool,
    /// Decide again and again for a world that is another program: a line of JSON in, a line out.
    ///
    /// The first line is {"type":"init","min":2,"max":60,"interval_s":20}, answered by {"ok":true}; then comes, for each
    /// sweep, {"type":"tick","unix":0,"desired":2,"samples":[{"instance_id":"i-7","state":"ready","age_s":130,"cpu":63.1}]}
    /// with a state of ready or booting, answered by {"desired":3}; {"type":"end"} ends it. min and max stand instead of
    /// the policy's.
    #[arg(long, conflicts_with = "explain", verbatim_doc_comment)]
    stream: bool,
}

/// Runs the command.
pub fn run(args: &DecideArgs) -> Result<(), Failure> {
    let policy = match &args.policy {
        Some(file) => load(file)?.0,
        None => Policy::default(),
    };
    if args.stream {
        return converse(policy, std::io::stdin().lock(), &mut std::io::stdout());
    }
    let text = read_all("the snapshot on standard input", std::io::stdin(), LONGEST)?;
    let snapshot = parse(&text)?;
    let decision = decide(&snapshot, &policy);
    if args.explain { say(&explain(&decision, &policy)) } else { print(&decision) }
}

/// Answers `input`'s lines until one of them says that it is over, or there are no more.
fn converse(policy: Policy, mut input: impl BufRead, output: &mut impl Write) -> Result<(), Failure> {
    const WHAT: &str = "the stream on standard input";
    let mut stream = Stream::new(policy);
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
        let length = read.map_err(|error| Failure::input(&format!("{WHAT} cannot be read"), &error))?;
        if length == 0 {
            return Ok(());
        }
        if length as u64 > LONGEST_LINE {
            return Err(Failure::Input(format!("{WHAT} has a line of more than {LONGEST_LINE} bytes")));
        }
        let line = std::str::from_utf8(&line).map_err(|error| Failure::input(WHAT, &error))?;
        match stream.take(line).map_err(|error| Failure::input(WHAT, &error))? {
            Reply::Line(answer) => writeln!(output, "{answer}")
                .and_then(|()| output.flush())
                .map_err(|error| Failure::run("the answer cannot be written", &error))?,
            Reply::End => return Ok(()),
        }
    }
}

/// The snapshot that `text` holds.
pub fn parse(text: &str) -> Result<Snapshot, Failure> {
    let snapshot = Snapshot::parse_strict(text)
        .map_err(|error| Failure::input("the snapshot on standard input is refused", &error))?;
    let members = snapshot.members.iter().map(|member| &member.id.0);
    let intents = snapshot.intents.iter().map(|intent| &intent.id.0);
    let listed = snapshot.fleet.iter().flatten().map(|instance| &instance.id.0);
    for (kind, twice) in
        [("member", twice(members)), ("intent", twice(intents)), ("instance of the fleet", twice(listed))]
    {
        if let Some(id) = twice {
            return Err(Failure::Input(format!("the snapshot holds {kind} {id} twice")));
        }
    }
    Ok(snapshot)
}

/// The first that comes up again.
fn twice<'a>(mut ids: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = BTreeSet::new();
    ids.find(|id| !seen.insert(*id))
}

/// The decision in words, rule by rule, as `muster explain` tells one that was recorded.
pub fn explain(decision: &Decision, policy: &Policy) -> String {
    in_sentences(&explained(&decision.report, Some(&policy.at(decision.report.at))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered to `input`, and how it fails, if it does.
    fn answers(input: &[u8]) -> (String, Option<Failure>) {
        let mut output = Vec::new();
        let end = converse(Policy::default(), input, &mut output);
        (String::from_utf8(output).expect("it answers in UTF-8"), end.err())
    }

    const INIT: &str = "{\"type\":\"init\",\"min\":2,\"max\":9,\"interval_s\":20}\n";

    #[test]
    fn a_stream_is_answered_line_by_line_until_its_end() {
        let tick = "{\"type\":\"tick\",\"unix\":1,\"desired\":3,\"samples\":[]}\n";
        for end in ["", "{\"type\":\"end\"}\nwhat comes then is not read"] {
            let (output, failure) = answers(format!("{INIT}{tick}{end}").as_bytes());
            assert_eq!(output, "{\"ok\":true}\n{\"desired\":3}\n");
            assert!(failure.is_none(), "{failure:?}");
        }
    }

    #[test]
    fn a_stream_that_is_not_understood_is_wrong_input() {
        let long = vec![b' '; usize::try_from(LONGEST_LINE).expect("it fits") + 1];
        let cases: [(&[u8], &str); 4] = [
            (b"{}\n", "line 2: missing field `type`"),
            (b"\xff\n", "invalid utf-8"),
            (b"\n", "line 2: EOF"),
            (&long, "a line of more than 8388608 bytes"),
        ];
        for (line, problem) in cases {
            let (output, failure) = answers(&[INIT.as_bytes(), line].concat());
            let failure = failure.expect(problem);
            assert_eq!((output.as_str(), failure.exit_code()), ("{\"ok\":true}\n", 2));
            assert!(failure.to_string().contains(problem), "{failure}");
        }
    }
}
