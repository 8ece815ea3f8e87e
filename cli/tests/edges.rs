//! Keeps forbidden edges between crates forbidden. The rules are [`PLACES`] and the constants beside it; a new crate of the
//! workspace must be placed there before it may exist.
//!
//! The graph is what cargo resolves for this machine with default features, and with the features of all members united:
//! it holds rather too much than too little. Normal and build dependencies are checked in full. Dev-dependencies are
//! checked for what would cost every test run or open a closed door: the agent and core reach no other part of the workspace
//! by them either, and nobody but `muster-aws` names the SDK. Between the other crates of the workspace they are free:
//! a test may well put a whole world together.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every crate of the workspace, and the crates of the workspace that it may depend on.
const PLACES: &[(&str, &[&str])] = &[
    ("muster-proto", &[]),
    ("monitor-c", &["muster-proto"]),
    ("muster-core", &[]),
    ("muster-backtest", &["muster-core"]),
    ("muster-control", &["muster-core"]),
    ("muster-probe", &["muster-control", "muster-core", "muster-proto"]),
    ("muster-embedded", &["muster-control", "muster-core"]),
    ("muster-aws", &["muster-control", "muster-core"]),
    ("muster-web", &["muster-backtest", "muster-control", "muster-core"]),
    ("muster-sim", &["muster-control", "muster-core"]),
    ("muster-fake-ec2", &[]),
    ("muster-venv", &[]),
    ("muster-e2e", &["muster-aws", "muster-control", "muster-core", "muster-fake-ec2"]),
    ("muster-lambda", &["muster-control", "muster-core"]),
    ("muster-webhook", &["muster-control", "muster-core"]),
    ("monitor-s", &["muster-aws", "muster-control", "muster-core", "muster-lambda", "muster-probe"]),
    ("controller-asg", &["muster-aws", "muster-control", "muster-core", "muster-lambda", "muster-webhook"]),
    ("dashboard", &["muster-aws", "muster-control", "muster-core", "muster-lambda", "muster-web"]),
    (
        "muster",
        &[
            "muster-aws",
            "muster-backtest",
            "muster-control",
            "muster-core",
            "muster-embedded",
            "muster-probe",
            "muster-sim",
            "muster-web",
        ],
    ),
];

/// Crates whose dev-dependencies, too, stay inside their place.
const STRICT: &[&str] = &["monitor-c", "muster-core"];

/// What any test may use, and nothing else: it brings nothing.
const FOR_TESTS: &str = "muster-venv";

/// Crates in which nothing depends on when, where or how often it runs.
const PURE: &[&str] = &["muster-core", "muster-backtest"];

/// What a pure crate has no use for: a runtime, a network, a database, a source of randomness.
const IMPURE: &[&str] = &[
    "async-std",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "ureq",
];

/// The packages that `muster up` needs, and that build without an AWS account and without an AWS SDK crate.
const LOCAL: &[&str] = &["monitor-c", "muster"];

/// The only crate that may name the SDK.
const SDK_OWNER: &str = "muster-aws";

fn is_sdk(name: &str) -> bool {
    name == "aws-config" || name.starts_with("aws-sdk-") || name.starts_with("aws-smithy-")
}

/// Crates and their edges, by name: two versions of a crate are one.
#[derive(Clone, Default)]
struct Graph {
    /// The crates of the workspace.
    own: BTreeSet<String>,
    /// Normal and build dependencies.
    edges: BTreeMap<String, BTreeSet<String>>,
    /// Dev-dependencies.
    dev_edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(edges: &BTreeMap<String, BTreeSet<String>>, from: &str) -> impl Iterator<Item = String> {
        edges.get(from).cloned().unwrap_or_default().into_iter()
    }

    /// Everything that `root` needs, each with the way there.
    fn closure(&self, root: &str) -> BTreeMap<String, Vec<String>> {
        let mut ways = BTreeMap::from([(root.to_owned(), vec![root.to_owned()])]);
        let mut open = vec![root.to_owned()];
        while let Some(from) = open.pop() {
            for to in Self::of(&self.edges, &from) {
                if !ways.contains_key(&to) {
                    let way = ways[&from].iter().cloned().chain([to.clone()]).collect();
                    ways.insert(to.clone(), way);
                    open.push(to);
                }
            }
        }
        ways.remove(root);
        ways
    }
}

/// Every forbidden edge, with the rule that forbids it.
fn violations(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for from in &graph.own {
        let Some((_, allowed)) = PLACES.iter().find(|(name, _)| name == from) else {
            found.push(format!("{from} has no place: say in PLACES what it may depend on"));
            continue;
        };
        for to in Graph::of(&graph.edges, from).filter(|to| graph.own.contains(to)) {
            if !allowed.contains(&to.as_str()) {
                found.push(format!("{from} -> {to}: its place allows it only [{}]", allowed.join(", ")));
            }
        }
        for to in Graph::of(&graph.dev_edges, from).filter(|to| graph.own.contains(to)) {
            if STRICT.contains(&from.as_str()) && to != *from && to != FOR_TESTS && !allowed.contains(&to.as_str()) {
                found.push(format!("{from} -> {to} (dev): its place allows it only [{}]", allowed.join(", ")));
            }
        }
        for (edges, kind) in [(&graph.edges, ""), (&graph.dev_edges, " (dev)")] {
            for to in Graph::of(edges, from).filter(|to| is_sdk(to) && from != SDK_OWNER) {
                found.push(format!("{from} -> {to}{kind}: only {SDK_OWNER} names the AWS SDK"));
            }
        }
    }
    for (pure, to, way) in
        PURE.iter().flat_map(|pure| graph.closure(pure).into_iter().map(move |(to, way)| (pure, to, way)))
    {
        if IMPURE.contains(&to.as_str()) {
            found.push(format!("{}: {pure} is pure", way.join(" -> ")));
        }
    }
    for root in LOCAL {
        for (_, way) in graph.closure(root).into_iter().filter(|(to, _)| is_sdk(to)) {
            found.push(format!("{}: what `muster up` needs is built without the AWS SDK", way.join(" -> ")));
        }
    }
    found
}

/// The graph of this workspace, without the network: only this machine's platform is resolved.
fn workspace() -> Graph {
    let said = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo runs: it has started this test");
    let said = String::from_utf8(said.stdout).expect("cargo speaks UTF-8");
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let metadata = MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(["--locked", "--filter-platform", host].map(String::from))
        .exec()
        .expect("cargo reads this workspace");
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let own = metadata.workspace_members.iter().map(|id| names[id].clone()).collect();
    let mut graph = Graph { own, ..Graph::default() };
    for node in metadata.resolve.expect("cargo resolves unless told not to").nodes {
        let from = &names[&node.id];
        for dep in &node.deps {
            for kind in &dep.dep_kinds {
                let edges = match kind.kind {
                    DependencyKind::Development => &mut graph.dev_edges,
                    DependencyKind::Normal | DependencyKind::Build | DependencyKind::Unknown => &mut graph.edges,
                };
                edges.entry(from.clone()).or_default().insert(names[&dep.pkg].clone());
            }
        }
    }
    graph
}

#[test]
fn the_workspace_has_no_forbidden_edge() {
    let graph = workspace();
    for root in LOCAL.iter().chain(PURE) {
        assert!(graph.own.contains(*root), "{root} is not in the workspace: the rule about it would check nothing");
        assert!(graph.edges.contains_key(*root), "{root} has no edges: the graph is not whole");
    }
    assert_eq!(violations(&graph), Vec::<String>::new());
}

/// A workspace in which every crate has its place and every edge that its place allows.
fn sound() -> Graph {
    let mut graph = Graph { own: PLACES.iter().map(|(name, _)| (*name).to_owned()).collect(), ..Graph::default() };
    for (from, allowed) in PLACES.iter().filter(|(name, _)| *name != "muster") {
        graph.edges.insert((*from).to_owned(), allowed.iter().map(|to| (*to).to_owned()).collect());
    }
    let local = ["muster-control", "muster-core", "muster-embedded", "muster-probe"];
    graph.edges.insert("muster".into(), local.map(String::from).into());
    for (from, to) in [("muster-aws", "aws-sdk-ec2"), ("muster-core", "serde"), ("muster-control", "serde_json")] {
        graph.edges.entry(from.into()).or_default().insert(to.into());
    }
    for (from, to) in [("muster-control", "muster-control"), ("muster-probe", "muster-sim"), ("muster-core", "rand")] {
        graph.dev_edges.entry(from.into()).or_default().insert(to.into());
    }
    graph
}

#[test]
fn a_sound_workspace_is_left_alone() {
    assert_eq!(violations(&sound()), Vec::<String>::new());
}

#[test]
fn each_forbidden_edge_is_reported_with_both_crates_and_the_rule() {
    let place = "its place allows it only";
    let pure = "muster-core is pure";
    let owner = "only muster-aws names the AWS SDK";
    let local = "what `muster up` needs is built without the AWS SDK";
    let cases = [
        ("muster-core", "muster-control", place),
        ("muster-core", "muster-proto", place),
        ("muster-backtest", "muster-control", place),
        ("muster-backtest", "muster-sim", place),
        ("muster-control", "muster-probe", place),
        ("muster-control", "muster-aws", place),
        ("muster-control", "muster-embedded", place),
        ("muster-probe", "muster-embedded", place),
        ("muster-embedded", "muster-aws", place),
        ("muster-web", "muster-aws", place),
        ("muster-sim", "muster-embedded", place),
        ("muster-proto", "muster-core", place),
        ("monitor-c", "muster-core", place),
        ("monitor-c", "muster-control", place),
        ("monitor-c", "muster-venv", place),
        ("monitor-c", "muster", place),
        ("muster", "monitor-c", place),
        ("muster", "muster-proto", place),
        ("monitor-s", "muster-embedded", place),
        ("monitor-s", "muster-webhook", place),
        ("controller-asg", "muster-probe", place),
        ("muster-lambda", "muster-aws", place),
        ("muster-lambda", "muster-webhook", place),
        ("muster-webhook", "muster-aws", place),
        ("dashboard", "muster-probe", place),
        ("muster-core", "tokio", pure),
        ("muster-core", "tonic", pure),
        ("muster-core", "reqwest", pure),
        ("muster-core", "rusqlite", pure),
        ("muster-core", "rand", pure),
        ("muster-backtest", "fastrand", "muster-backtest is pure"),
        ("serde", "getrandom", pure),
        ("muster-control", "aws-sdk-ssm", owner),
        ("controller-asg", "aws-config", owner),
        ("dashboard", "aws-smithy-http-client", owner),
        ("muster", "muster-aws", local),
        ("muster-embedded", "aws-config", local),
        ("serde_json", "aws-smithy-types", local),
        ("muster-proto", "aws-sdk-ec2", local),
    ];
    for (from, to, rule) in cases {
        let mut graph = sound();
        graph.edges.entry(from.into()).or_default().insert(to.into());
        let found = violations(&graph);
        let said = |text: &String| text.contains(from) && text.contains(to) && text.contains(rule);
        assert!(found.iter().any(said), "{from} -> {to} must break {rule:?}: {found:?}");
    }
}

#[test]
fn dev_dependencies_are_free_but_for_the_closed_doors() {
    let cases = [
        ("muster-core", "muster-control", true),
        ("monitor-c", "muster-control", true),
        ("muster", "aws-sdk-ec2", true),
        ("muster-control", "aws-config", true),
        ("muster-core", "tokio", false),
        ("muster-embedded", "muster-sim", false),
        ("monitor-c", "muster-proto", false),
        ("monitor-c", "muster-venv", false),
        ("muster-aws", "aws-smithy-http-client", false),
    ];
    for (from, to, forbidden) in cases {
        let mut graph = sound();
        graph.dev_edges.entry(from.into()).or_default().insert(to.into());
        let found = violations(&graph);
        let said = found.iter().any(|text| text.contains(from) && text.contains(to) && text.contains("(dev)"));
        assert_eq!((said, found.is_empty()), (forbidden, !forbidden), "{from} -> {to}: {found:?}");
    }
}

#[test]
fn a_crate_without_a_place_is_reported() {
    let mut graph = sound();
    graph.own.insert("muster-newcomer".into());
    let found = violations(&graph);
    assert!(matches!(&found[..], [text] if text.contains("muster-newcomer has no place")), "{found:?}");
}
