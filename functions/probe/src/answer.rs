//! What is taken from an agent's answer. An answer that cannot be true is no answer.

use std::collections::BTreeMap;

use muster_core::health::{AgentState, Answer, Application, Observation};
use muster_core::signals::is_percentage;
use muster_core::time::Timestamp;
use muster_proto::v1::{ApplicationHealth, GetMetricsResponse, State, Status};

use crate::failure::{Failure, excerpt};

/// What is seen of an agent that has sent `metrics`, received at `received_at`: its answer, or why it cannot be one. A visit
/// takes the same from a message that came over the network.
pub fn observe(metrics: GetMetricsResponse, received_at: Timestamp) -> Observation {
    answer(metrics, received_at).map_or_else(Observation::from, |(answer, _)| Observation::Answered(answer))
}

/// The status of an answer, which every one must have.
pub(crate) fn status(status: Option<Status>) -> Result<Status, Failure> {
    status.ok_or_else(|| Failure::BadAnswer("an answer without a status".to_owned()))
}

/// The state that `status` names.
pub(crate) fn state(status: &Status) -> Result<AgentState, Failure> {
    match State::try_from(status.state) {
        Ok(State::Starting) => Ok(AgentState::Starting),
        Ok(State::Serving) => Ok(AgentState::Serving),
        Ok(State::Draining) => Ok(AgentState::Draining),
        Ok(State::Drained) => Ok(AgentState::Drained),
        Ok(State::Restarting) => Ok(AgentState::Restarting),
        Ok(State::Leaving) => Ok(AgentState::Leaving),
        Ok(State::Unspecified) => Err(Failure::BadAnswer("an answer without a state".to_owned())),
        Err(_) => Err(Failure::BadAnswer(format!("state {} is unknown", status.state))),
    }
}

/// The answer that `metrics` are, received at `received_at`.
pub(crate) fn answer(mut metrics: GetMetricsResponse, received_at: Timestamp) -> Result<(Answer, Status), Failure> {
    let status = status(metrics.status.take())?;
    let answer = Answer {
        received_at,
        boot_id: excerpt(&status.boot_id),
        version: excerpt(&status.version),
        state: state(&status)?,
        application: application(&status)?,
        signals: signals(&mut metrics),
        // No sample is a missing sample, not 0 %. Whether a number is a load is the core's to say (M6).
        load: metrics.load.filter(|_| metrics.samples > 0).map(|load| load.mean),
        cursor: metrics.cursor,
        unregistered: false,
        protected: status.protected,
    };
    Ok((answer, status))
}

/// What was measured beside the load. What the agent has measured itself is not for its application to name.
fn signals(metrics: &mut GetMetricsResponse) -> BTreeMap<String, f64> {
    if metrics.samples == 0 {
        return BTreeMap::new();
    }
    let told = std::mem::take(&mut metrics.signals).into_iter();
    let told = told.filter(|(name, _)| !is_percentage(name));
    let told = told.filter_map(|(name, signal)| Some((name, signal.summary?.mean)));
    let own = [("memory", metrics.memory), ("pressure", metrics.pressure)];
    let own = own.into_iter().filter_map(|(name, summary)| Some((name.to_owned(), summary?.mean)));
    told.chain(own).collect()
}

fn application(status: &Status) -> Result<Application, Failure> {
    match ApplicationHealth::try_from(status.application) {
        Ok(ApplicationHealth::Unspecified) => Ok(Application::NotProbed),
        Ok(ApplicationHealth::Healthy) => Ok(Application::Healthy),
        Ok(ApplicationHealth::Failing) => Ok(Application::Failing { detail: excerpt(&status.application_detail) }),
        Err(_) => Err(Failure::BadAnswer(format!("application health {} is unknown", status.application))),
    }
}

#[cfg(test)]
mod tests {
    use muster_proto::v1::{Signal, Summary};

    use super::*;

    fn metrics(status: Status) -> GetMetricsResponse {
        let load = Some(Summary { mean: 63.5, max: 99.0, ..Summary::default() });
        GetMetricsResponse { status: Some(status), cursor: 7, samples: 3, load, ..GetMetricsResponse::default() }
    }

    fn serving() -> Status {
        Status { state: State::Serving.into(), boot_id: "b".to_owned(), ..Status::default() }
    }

    fn read(metrics: GetMetricsResponse) -> Result<Answer, Failure> {
        answer(metrics, Timestamp::from_millis(5)).map(|(answer, _)| answer)
    }

    #[test]
    fn m6_no_sample_is_a_missing_sample_and_a_false_one_is_passed_on_as_sent() {
        assert_eq!(read(metrics(serving())).map(|answer| answer.load), Ok(Some(63.5)));
        let none = GetMetricsResponse { samples: 0, ..metrics(serving()) };
        assert_eq!(read(none).map(|answer| answer.load), Ok(None));
        let absent = GetMetricsResponse { load: None, ..metrics(serving()) };
        assert_eq!(read(absent).map(|answer| answer.load), Ok(None));
        let load = Some(Summary { mean: -1.0, ..Summary::default() });
        let lie = GetMetricsResponse { load, ..metrics(serving()) };
        assert_eq!(read(lie).map(|answer| answer.load), Ok(Some(-1.0)));
    }

    #[test]
    fn z4_signals_are_those_of_the_samples_and_ours_are_not_the_applications_to_name() {
        let amount = |mean| Some(Summary { mean, ..Summary::default() });
        let signal = |mean| Signal { summary: amount(mean), unit: "req/s".to_owned() };
        let told =
            [("rate", signal(12.5)), ("memory", signal(1.0)), ("pressure", signal(1.0)), ("none", Signal::default())];
        let told = told.map(|(name, signal)| (name.to_owned(), signal)).into();
        let whole = GetMetricsResponse { memory: amount(40.0), signals: told, ..metrics(serving()) };
        let expected = [("memory".to_owned(), 40.0), ("rate".to_owned(), 12.5)].into();
        assert_eq!(read(whole.clone()).map(|answer| answer.signals), Ok(expected));
        let stale = GetMetricsResponse { samples: 0, ..whole };
        assert_eq!(read(stale).map(|answer| answer.signals), Ok(BTreeMap::new()));
    }

    #[test]
    fn every_state_and_health_has_its_meaning_and_others_are_bad_answers() {
        let states = [
            (State::Starting, AgentState::Starting),
            (State::Serving, AgentState::Serving),
            (State::Draining, AgentState::Draining),
            (State::Drained, AgentState::Drained),
            (State::Restarting, AgentState::Restarting),
            (State::Leaving, AgentState::Leaving),
        ];
        for (sent, meant) in states {
            let status = Status { state: sent.into(), ..serving() };
            assert_eq!(read(metrics(status)).map(|answer| answer.state), Ok(meant));
        }
        let healths = [
            (ApplicationHealth::Unspecified, Application::NotProbed),
            (ApplicationHealth::Healthy, Application::Healthy),
            (ApplicationHealth::Failing, Application::Failing { detail: "503".to_owned() }),
        ];
        for (sent, meant) in healths {
            let status = Status { application: sent.into(), application_detail: "503".to_owned(), ..serving() };
            assert_eq!(read(metrics(status)).map(|answer| answer.application), Ok(meant));
        }
        let wrong = [
            (Status { state: 99, ..serving() }, "state 99 is unknown"),
            (Status { state: 0, ..serving() }, "an answer without a state"),
            (Status { application: -1, ..serving() }, "application health -1 is unknown"),
        ];
        for (status, says) in wrong {
            assert_eq!(read(metrics(status)), Err(Failure::BadAnswer(says.to_owned())));
        }
        let none = GetMetricsResponse { status: None, ..metrics(serving()) };
        assert_eq!(read(none), Err(Failure::BadAnswer("an answer without a status".to_owned())));
    }

    #[test]
    fn m7_foreign_texts_are_cut() {
        let boot_id = "x".repeat(60_000);
        let status = Status {
            boot_id: boot_id.clone(),
            version: boot_id.clone(),
            application: ApplicationHealth::Failing.into(),
            application_detail: boot_id,
            ..serving()
        };
        let answer = read(metrics(status)).expect("an answer");
        assert_eq!([answer.boot_id.len(), answer.version.len()], [120, 120]);
        assert!(matches!(answer.application, Application::Failing { detail } if detail.len() == 120));
    }
}
