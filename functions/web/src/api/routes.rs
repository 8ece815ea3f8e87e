//! The table of everything that can be asked.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use muster_control::ports::{Clock, Mark, Marks, PolicyDesk, Revision};
use muster_core::member::InstanceId;
use muster_core::policy::{PolicyDocument, ScalingKind, schema};
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Problem;
use super::query::{SPAN, TIME};
use super::route::{Ask, Param, Route, look, send};
use super::{App, PREVIEW_DEADLINE};
use crate::read::activity::AskedActivity;
use crate::read::members::AskedMembers;
use crate::read::sampling::Asked;
use crate::read::{activity, decisions, groups, load, members, now, policy, preview};
use crate::stand::{Stand, Store};
use crate::steer;

/// A policy's text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The text.
    text: String,
}

/// A policy's text, and what it replaces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// The text.
    text: String,
    /// The digest of the text that it replaces; null: there is none yet.
    revision: Option<String>,
}

/// A policy's text, and the time to play it on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tried {
    /// The text.
    text: String,
    /// The load of so long until now is played; a day when nobody says it, seven at most.
    since_ms: Option<u64>,
}

/// A pause.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Paused {
    /// Why, for whoever reads it later.
    reason: String,
    /// When it ends by itself; null: never.
    until: Option<u64>,
}

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Marked {
    /// Whether it is set or removed.
    on: bool,
}

/// A member that was protected, or is not any more.
#[derive(Debug, Serialize, JsonSchema)]
struct Protected {
    /// The instance.
    instance: String,
    /// Whether it is.
    protected: bool,
}

/// A member that is to be drained, or not any more.
#[derive(Debug, Serialize, JsonSchema)]
struct ToDrain {
    /// The instance.
    instance: String,
    /// Whether it is.
    drain: bool,
}

const AT: &[Param] =
    &[Param { name: "at", about: "The decision that was in force then, not the last one.", kind: TIME }];
const KIND: &[Param] =
    &[Param { name: "kind", about: "auto, threshold, target or step. Default: auto.", kind: "string" }];
const ACTIVITY: &[Param] = &[
    Param { name: "from", about: "From when on. Default: everything.", kind: TIME },
    Param {
        name: "until",
        about: "Until before when: `next_until` of the page before. Default: to the end.",
        kind: TIME,
    },
    Param { name: "limit", about: "Items at most, 1-200. Default: 50.", kind: "integer" },
    Param { name: "kind", about: "Only these kinds, separated by commas: decision, launched, ...", kind: "string" },
];

const MEMBERS: &[Param] = &[
    Param {
        name: "find",
        about: "Only those in whose id, zone, template, agent's version or detail this stands, in capitals or not.",
        kind: "string",
    },
    Param { name: "phase", about: "Only those in this phase: pending, warming, in-service, ...", kind: "string" },
    Param { name: "hot", about: "true: only those whose load is hot. Default: false.", kind: "boolean" },
    Param { name: "sort", about: "id, phase, zone, age, load, answer or agent. Default: id.", kind: "string" },
    Param { name: "order", about: "up or down. Default: up.", kind: "string" },
    Param {
        name: "page",
        about: "Which page, from 0 on; where there are fewer, the last. Default: 0.",
        kind: "integer",
    },
    Param { name: "limit", about: "How many make a page, one at least. Default: all are on one.", kind: "integer" },
];

/// Everything that can be asked.
pub(super) fn routes<S, P, F, C>() -> Vec<Route<Stand<S, P, F, C>>>
where
    S: Store + 'static,
    P: PolicyDesk + 'static,
    F: Marks + 'static,
    C: Clock + 'static,
{
    [looks(), of_policies(), writes()].into_iter().flatten().collect()
}

type On<S, P, F, C> = Arc<App<Stand<S, P, F, C>>>;

/// What a group is doing and why.
fn looks<S, P, F, C>() -> Vec<Route<Stand<S, P, F, C>>>
where
    S: Store + 'static,
    P: PolicyDesk + 'static,
    F: Marks + 'static,
    C: Clock + 'static,
{
    vec![
        look("/api/groups", "groups", "All groups, each in a line.", &[], |app: On<S, P, F, C>, _| async move {
            Ok(groups::groups(&app.stand).await?)
        }),
        look("/api/groups/{group}", "now", "A group as it is now.", &[], |app: On<S, P, F, C>, ask: Ask| async move {
            Ok(now::now(&app.stand, &ask.group()?).await?)
        }),
        look(
            "/api/groups/{group}/members",
            "members",
            "Its members.",
            MEMBERS,
            |app: On<S, P, F, C>, ask: Ask| async move {
                Ok(members::members(&app.stand, &ask.group()?, asked_members(&ask)?).await?)
            },
        ),
        look(
            "/api/groups/{group}/members/{id}",
            "member",
            "One of its members.",
            &[],
            |app: On<S, P, F, C>, ask: Ask| async move {
                Ok(members::member(&app.stand, &ask.group()?, &InstanceId::from(ask.part("id"))).await?)
            },
        ),
        look(
            "/api/groups/{group}/members/load",
            "memberLoads",
            "The loads of its members over time.",
            SPAN,
            |app: On<S, P, F, C>, ask: Ask| async move {
                Ok(members::member_loads(&app.stand, &ask.group()?, span(&ask)?, None).await?)
            },
        ),
        look(
            "/api/groups/{group}/members/{id}/load",
            "memberLoad",
            "The load of one of its members over time.",
            SPAN,
            |app: On<S, P, F, C>, ask: Ask| async move {
                let id = InstanceId::from(ask.part("id"));
                Ok(members::member_loads(&app.stand, &ask.group()?, span(&ask)?, Some(&id)).await?)
            },
        ),
        look(
            "/api/groups/{group}/load",
            "load",
            "Its load and size over time, and what was decided.",
            SPAN,
            |app: On<S, P, F, C>, ask: Ask| async move { Ok(load::load(&app.stand, &ask.group()?, span(&ask)?).await?) },
        ),
        look(
            "/api/groups/{group}/activity",
            "activity",
            "What has happened, the newest first.",
            ACTIVITY,
            |app: On<S, P, F, C>, ask: Ask| async move {
                let asked = AskedActivity {
                    from: ask.time("from")?,
                    until: ask.time("until")?,
                    limit: ask.count("limit")?,
                    kinds: ask.words("kind")?.into_iter().collect(),
                };
                Ok(activity::activity(&app.stand, &ask.group()?, &asked).await?)
            },
        ),
        look(
            "/api/groups/{group}/decisions/{id}",
            "decision",
            "A decision, explained.",
            &[],
            |app: On<S, P, F, C>, ask: Ask| async move {
                Ok(decisions::decision(&app.stand, &ask.group()?, ask.part("id")).await?)
            },
        ),
        look(
            "/api/groups/{group}/explain",
            "explain",
            "The last decision, or the one in force at a time, explained.",
            AT,
            |app: On<S, P, F, C>, ask: Ask| async move {
                Ok(decisions::explain(&app.stand, &ask.group()?, ask.time("at")?).await?)
            },
        ),
    ]
}

fn asked_members(ask: &Ask) -> Result<AskedMembers, Problem> {
    Ok(AskedMembers {
        find: ask.query.get("find").cloned().unwrap_or_default(),
        phase: ask.word("phase")?,
        hot: ask.flag("hot")?,
        sort: ask.word("sort")?.unwrap_or_default(),
        order: ask.word("order")?.unwrap_or_default(),
        page: ask.count("page")?.unwrap_or_default(),
        limit: ask.count("limit")?,
    })
}

fn span(ask: &Ask) -> Result<Asked, Problem> {
    Ok(Asked {
        from: ask.time("from")?,
        until: ask.time("until")?,
        points: ask.count("points")?,
        since: ask.time("since")?,
    })
}

/// Policies: as they are and were, what one may be, and what one would do.
fn of_policies<S, P, F, C>() -> Vec<Route<Stand<S, P, F, C>>>
where
    S: Store + 'static,
    P: PolicyDesk + 'static,
    F: Marks + 'static,
    C: Clock + 'static,
{
    let preview = send(
        Method::POST,
        "/api/groups/{group}/policy/preview",
        "previewPolicy",
        "What a policy would have done to the load that the group really had, beside the one in force.",
        |app: On<S, P, F, C>, ask: Ask, tried: Tried| async move {
            let span = tried.since_ms.map_or(preview::USUAL, Duration::from_millis);
            let play = preview::prepare(&app.stand, &ask.group()?, &tried.text, span).await?;
            let stage = Arc::clone(&app.stage).acquire_owned().await;
            let stage = stage.map_err(|_| Problem::busy("the server ends"))?;
            // What has begun is played to its end, whether somebody still waits for it or not: the next one waits.
            let played = tokio::task::spawn_blocking(move || {
                let played = play.play();
                drop(stage);
                played
            });
            played.await.map_err(|_| Problem::busy("the preview was not played to its end"))
        },
    );
    vec![
        look("/api/groups/{group}/policy", "policy", "Its policy.", &[], |app: On<S, P, F, C>, ask: Ask| async move {
            Ok(policy::policy(&app.stand, &ask.group()?).await?)
        }),
        look(
            "/api/groups/{group}/policy/history",
            "policyHistory",
            "The policies that have been in force, and how each differs from the one before.",
            &[],
            |app: On<S, P, F, C>, ask: Ask| async move { Ok(policy::history(&app.stand, &ask.group()?).await?) },
        ),
        look("/api/policy/schema", "policySchema", "The JSON Schema of a policy.", &[], |_: On<S, P, F, C>, _| async {
            Ok::<Value, Problem>(schema().to_value())
        }),
        look(
            "/api/policy/defaults",
            "policyDefaults",
            "The policy that a document is which says nothing but its kind of rule.",
            KIND,
            |_: On<S, P, F, C>, ask: Ask| async move {
                let kind: Option<ScalingKind> = ask.word("kind")?;
                Ok::<PolicyDocument, Problem>(PolicyDocument::of(kind.unwrap_or(ScalingKind::Auto)))
            },
        ),
        send(
            Method::POST,
            "/api/policy/check",
            "checkPolicy",
            "Whether a text is a valid policy.",
            |_: On<S, P, F, C>, _, Text { text }: Text| async move { Ok(policy::check(&text)) },
        ),
        Route { deadline: PREVIEW_DEADLINE, ..preview },
    ]
}

/// What an operator may change.
fn writes<S, P, F, C>() -> Vec<Route<Stand<S, P, F, C>>>
where
    S: Store + 'static,
    P: PolicyDesk + 'static,
    F: Marks + 'static,
    C: Clock + 'static,
{
    vec![
        send(
            Method::PUT,
            "/api/groups/{group}/policy",
            "putPolicy",
            "Writes the policy over the one whose digest is told, if it is valid.",
            |app: On<S, P, F, C>, ask: Ask, Edit { text, revision }: Edit| async move {
                let over = revision.map(Revision);
                Ok(steer::policy::put(&app.stand, &ask.group()?, &text, over.as_ref()).await?)
            },
        ),
        send(
            Method::POST,
            "/api/groups/{group}/pause",
            "pause",
            "Pauses the group for a reason: an edit of its policy.",
            |app: On<S, P, F, C>, ask: Ask, Paused { reason, until }: Paused| async move {
                let until = until.map(Timestamp::from_millis);
                Ok(steer::policy::pause(&app.stand, &ask.group()?, &reason, until).await?)
            },
        ),
        send(
            Method::POST,
            "/api/groups/{group}/resume",
            "resume",
            "Ends a pause.",
            |app: On<S, P, F, C>, ask: Ask, Nothing {}: Nothing| async move {
                Ok(steer::policy::resume(&app.stand, &ask.group()?).await?)
            },
        ),
        send(
            Method::POST,
            "/api/groups/{group}/members/{id}/protect",
            "protect",
            "Protects a member from scale-in, or not any more: by a tag on its instance.",
            |app: On<S, P, F, C>, ask: Ask, Marked { on }: Marked| async move {
                let id = InstanceId::from(ask.part("id"));
                steer::marks::mark(&app.stand, &ask.group()?, &id, Mark::Protected, on).await?;
                Ok::<_, Problem>(Protected { instance: id.0, protected: on })
            },
        ),
        send(
            Method::POST,
            "/api/groups/{group}/members/{id}/drain",
            "drain",
            "Has a member drained and let go, or not any more: by a tag on its instance.",
            |app: On<S, P, F, C>, ask: Ask, Marked { on }: Marked| async move {
                let id = InstanceId::from(ask.part("id"));
                steer::marks::mark(&app.stand, &ask.group()?, &id, Mark::Drain, on).await?;
                Ok::<_, Problem>(ToDrain { instance: id.0, drain: on })
            },
        ),
    ]
}
