//! Random calls against a port and a small reference model of it: every answer, and after every call everything that can be
//! read, must be what the model says. The model is what the port's documentation says, in a few lines.
//!
//! Calls go through [`Faulty`], so that some fail before they are made and some lose their answer: what has failed has changed
//! nothing, what is lost has happened. The cases are the same in every run; one that fails is written to a file beside the
//! test, and is to be committed. `PROPTEST_CASES` asks for more of them.

mod dice;
pub mod fleet;
mod fleet_calls;
pub mod store;
mod store_calls;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};
use proptest_state_machine::ReferenceStateMachine;

use self::dice::Dice;
use crate::faulty::{Call, Fate, Faulty, Kind, Schedule};
use crate::memory::ManualClock;

/// Calls in one case at most.
const LONGEST: usize = 60;

/// What the model says of a call: what it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer<T, E> {
    /// Before the first call.
    #[default]
    None,
    /// This.
    Ok(T),
    /// This error.
    Err(E),
    /// An injected fault: throttled, not made.
    Throttled,
    /// An injected fault: not available. Whether it was made is the model's to know.
    Unavailable,
}

impl<T, E> From<Result<T, E>> for Answer<T, E> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(answer) => Self::Ok(answer),
            Err(error) => Self::Err(error),
        }
    }
}

impl<T: PartialEq + std::fmt::Debug, E: PartialEq + std::fmt::Debug> Answer<T, E> {
    /// Carries out a call in the model, as its fate has it: what fails is not made, what is lost is.
    fn meeting(fate: Fate, made: impl FnOnce() -> Result<T, E>) -> Self {
        use crate::faulty::End;
        match fate.end {
            End::Answered => made().into(),
            End::Fails(Kind::Throttled) => Self::Throttled,
            End::Fails(_) => Self::Unavailable,
            End::Lost => {
                let _lost = made();
                Self::Unavailable
            }
        }
    }
}

/// A schedule that gives the next call the fate that was set, and lets the others go.
#[derive(Debug, Default)]
struct NextFate(Mutex<Fate>);

impl NextFate {
    fn set(&self, fate: Fate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }
}

impl Schedule for &NextFate {
    fn fate(&self, _: Call) -> Fate {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The port under test, with the fate of its next call.
type Tested<'a, P> = Faulty<P, &'a NextFate, &'a ManualClock>;

/// Mostly none, so that most calls do something.
fn draw_fate(dice: &mut Dice) -> Fate {
    match dice.below(16) {
        13 => Fate::fails(Kind::Throttled),
        14 => Fate::fails(Kind::Unavailable),
        15 => Fate::LOST,
        _ => Fate::GOES,
    }
}

/// Calls of one case, each counted when it is made: shrinking first drops those that were not.
pub struct Case<M: ReferenceStateMachine> {
    start: M::State,
    calls: Vec<M::Transition>,
    made: Option<Arc<AtomicUsize>>,
}

impl<M: ReferenceStateMachine> Case<M> {
    /// Each call, with the model's state after it.
    fn steps(self) -> impl Iterator<Item = (M::Transition, M::State)> {
        let Self { start: mut state, calls, made } = self;
        calls.into_iter().map(move |call| {
            if let Some(made) = &made {
                made.fetch_add(1, Ordering::SeqCst);
            }
            state = M::apply(state.clone(), &call);
            (call, state.clone())
        })
    }
}

/// Runs `cases` cases through `play`, which panics where port and model differ. Those that failed before, kept in
/// `failures`, come first.
fn run<M: ReferenceStateMachine>(cases: u32, failures: &'static str, play: impl Fn(Case<M>)) {
    let usual = Config::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config {
        cases: if asked { usual.cases } else { cases },
        rng_seed: RngSeed::Fixed(20_261_122),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(failures))),
        ..usual
    };
    let done = TestRunner::new(config).run(&M::sequential_strategy(1..=LONGEST), |(start, calls, made)| {
        play(Case { start, calls, made });
        Ok(())
    });
    if let Err(failure) = done {
        panic!("{failure}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::fleet::FleetModel;
    use super::store::StoreModel;
    use super::*;

    /// How often each kind of call came to each kind of answer, by the first words of both.
    fn drawn<M: ReferenceStateMachine>(
        answer: impl Fn(&M::State) -> String,
        of: impl Fn(&M::Transition) -> String,
    ) -> BTreeMap<String, u32> {
        let count = RefCell::new(BTreeMap::new());
        let word = |text: String| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
        run::<M>(256, "tests/none.regressions", |case| {
            for (call, state) in case.steps() {
                *count.borrow_mut().entry(format!("{} {}", word(of(&call)), word(answer(&state)))).or_default() += 1;
            }
        });
        count.into_inner()
    }

    #[test]
    fn every_kind_of_call_comes_to_every_answer_often_enough_to_be_compared() {
        let store = drawn::<StoreModel>(|state| format!("{:?}", state.answer), |call| format!("{:?}", call.made));
        for call in ["Claim", "Lease", "Release", "Settle", "TakeSlot", "Append"] {
            for answer in ["Ok", "Err", "Throttled", "Unavailable"] {
                let times = store.get(&format!("{call} {answer}")).copied().unwrap_or_default();
                assert!(times >= 20, "{call} came to {answer} {times} times: {store:?}");
            }
        }
        let fleet = drawn::<FleetModel<true>>(|state| format!("{:?}", state.answer), |call| format!("{:?}", call.made));
        for call in ["Launch", "Terminate"] {
            for answer in ["Ok", "Err", "Throttled", "Unavailable"] {
                let times = fleet.get(&format!("{call} {answer}")).copied().unwrap_or_default();
                assert!(times >= 20, "{call} came to {answer} {times} times: {fleet:?}");
            }
        }
    }
}
