//! How a model is searched: to its end when it must hold, to the shortest counterexample when it must not.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Threads of an exhaustive search.
const THREADS: usize = 2;
/// Steps of the longest counterexample that is looked for.
const DEEPEST: usize = 40;

/// Searches every state. Nothing that must always hold may fail, everything that must be possible has to be seen, and there
/// have to be at least `floor` states: a model that does nothing proves nothing.
///
/// No time-out and no target ends this search, and stateright leaves off early only once every property has a discovery,
/// which one that holds never has: so when it comes back without a counterexample, it has seen everything.
pub(crate) fn holds<M>(model: M, floor: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let always = |expectation: &Expectation| matches!(expectation, Expectation::Always);
    assert!(model.properties().iter().any(|property| always(&property.expectation)), "there is nothing to hold");
    let checker = model.checker().threads(THREADS).spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    println!("holds in all of {states} states");
    assert!(states >= floor, "only {states} states");
}

/// Searches for a counterexample to `property`, a level deeper each time, so that the shortest is found and printed.
/// Panics when there is none within [`DEEPEST`] steps.
pub(crate) fn fails<M>(model: &M, property: &'static str)
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let found = (1..=DEEPEST).find_map(|depth| {
        let wanted = HasDiscoveries::AllOf(BTreeSet::from([property]));
        let checker = model.clone().checker().target_max_depth(depth).finish_when(wanted).spawn_bfs().join();
        Some((checker.discovery(property)?, checker.unique_state_count()))
    });
    let (path, states) = found.expect("a weaker design has a counterexample");
    println!("fails within {states} states: {property}\n{path}");
}
