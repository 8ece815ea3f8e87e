//! Following a stack to the end of what CloudFormation is doing with it.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_cloudformation::types::StackEvent;
use tokio::time::Instant;

use super::{StackError, StackFacts, Stacks};

/// The first pause between two looks. Each is half as long again, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(400);
/// The longest pause: CloudFormation counts calls, and a stack takes minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What follows of itself from another thing's failure, and explains nothing.
const CANCELLED: &str = "cancelled";
/// Looks that may fail in a row.
const BLIND_LOOKS: u32 = 5;

/// What has befallen one thing of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The thing's name in the template.
    pub resource: String,
    /// Its type, such as `AWS::IAM::Role`.
    pub kind: String,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why, when CloudFormation says so.
    pub reason: Option<String>,
}

/// How a stack is followed: how long, and who is told.
pub struct Watcher<'a> {
    /// How long one change is followed at most.
    limit: Duration,
    tell: &'a mut dyn FnMut(&Step),
    /// Events that are known.
    seen: BTreeSet<String>,
    /// What has failed since.
    failures: Vec<String>,
}

impl<'a> Watcher<'a> {
    /// Follows each change for `limit` at most, and tells each step.
    pub fn new(limit: Duration, tell: &'a mut dyn FnMut(&Step)) -> Self {
        Self { limit, tell, seen: BTreeSet::new(), failures: Vec::new() }
    }

    fn see(&mut self, event: &StackEvent) {
        let fresh = event.event_id().is_some_and(|id| self.seen.insert(id.to_owned()));
        if !fresh {
            return;
        }
        let step = step(event);
        let explains = |reason: &String| !reason.to_lowercase().contains(CANCELLED);
        if step.status.ends_with("_FAILED") && step.reason.as_ref().is_none_or(explains) {
            let reason = step.reason.as_deref().unwrap_or("no reason is given");
            self.failures.push(format!("{} ({}): {reason}", step.resource, step.kind));
        }
        (self.tell)(&step);
    }

    /// The failure of a stack that has ended as `end`.
    pub(super) fn failure(&mut self, end: &StackFacts) -> StackError {
        let mut why = std::mem::take(&mut self.failures);
        if why.is_empty() {
            why.extend(end.reason.clone());
        }
        StackError::Failed { name: end.name.clone(), status: end.status.clone(), why }
    }
}

impl Stacks {
    /// Follows what CloudFormation is doing with the stack to its end. None: it has gone.
    pub async fn follow(&self, id: &str, watcher: &mut Watcher<'_>) -> Result<Option<StackFacts>, StackError> {
        self.follow_until(id, watcher, |stack| !stack.is_moving()).await
    }

    /// The same, to an end that `ended` knows.
    pub(super) async fn follow_until(
        &self,
        id: &str,
        watcher: &mut Watcher<'_>,
        ended: impl Fn(&StackFacts) -> bool,
    ) -> Result<Option<StackFacts>, StackError> {
        let began = Instant::now();
        let (mut pause, mut blind) = (PAUSE, 0);
        loop {
            let found = match self.find(id).await {
                Err(StackError::Unavailable(_)) if blind < BLIND_LOOKS => {
                    blind += 1;
                    tokio::time::sleep(pause).await;
                    continue;
                }
                found => found?,
            };
            blind = 0;
            for event in self.events(id).await.iter().rev() {
                watcher.see(event);
            }
            let Some(found) = found else { return Ok(None) };
            if ended(&found) {
                return Ok(Some(found));
            }
            let passed = began.elapsed();
            if passed >= watcher.limit {
                let StackFacts { name, status, .. } = found;
                return Err(StackError::Late { name, status, seconds: passed.as_secs() });
            }
            tokio::time::sleep(pause.min(watcher.limit - passed)).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Has the watcher know what has happened before.
    pub(super) async fn remember(&self, id: &str, watcher: &mut Watcher<'_>) {
        let events = self.events(id).await;
        watcher.seen.extend(events.iter().filter_map(|event| event.event_id().map(str::to_owned)));
        watcher.failures.clear();
    }

    /// The latest events, newest first. They are for people: without them a stack is followed all the same.
    async fn events(&self, id: &str) -> Vec<StackEvent> {
        let answer = self.client.describe_stack_events().stack_name(id).send().await;
        answer.ok().and_then(|answer| answer.stack_events).unwrap_or_default()
    }
}

fn step(event: &StackEvent) -> Step {
    Step {
        resource: event.logical_resource_id().unwrap_or_default().to_owned(),
        kind: event.resource_type().unwrap_or_default().to_owned(),
        status: event.resource_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: event.resource_status_reason().map(str::to_owned),
    }
}
