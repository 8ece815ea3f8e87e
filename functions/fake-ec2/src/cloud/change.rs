//! The calls that end, stop, start and tag what is there. They act on the truth, whatever describing calls still show, and wholly or
//! not at all.

use jiff::Timestamp;

use crate::fault::Fault;
use crate::query::{Params, Texts};
use crate::xml::Xml;

use super::instance::{Ending, State};
use super::{Cloud, Context, check_tags, is_id};

impl Cloud {
    pub(super) fn terminate_instances(&mut self, context: &mut Context, params: Params) -> Result<Xml, Fault> {
        let named = self.take_instances(context, params, &["Force", "SkipOsShutdown"])?;
        let shutdown = self.config.settings.shutdown;
        Ok(self.change_states(context.now, named, |instance, now| instance.terminate(now, shutdown, Ending::Call)))
    }

    pub(super) fn stop_instances(&mut self, context: &mut Context, params: Params) -> Result<Xml, Fault> {
        let named = self.take_instances(context, params, &["Force", "SkipOsShutdown"])?;
        self.check_states(context.now, &named, "stopped", |state| {
            matches!(state, State::Running | State::Stopping | State::Stopped)
        })?;
        let shutdown = self.config.settings.shutdown;
        Ok(self.change_states(context.now, named, |instance, now| {
            if instance.state(now) == Some(State::Running) {
                instance.stop(now, shutdown);
            }
        }))
    }

    pub(super) fn start_instances(&mut self, context: &mut Context, params: Params) -> Result<Xml, Fault> {
        let named = self.take_instances(context, params, &[])?;
        self.check_states(context.now, &named, "started", |state| {
            matches!(state, State::Stopped | State::Running | State::Pending)
        })?;
        let boot = self.config.settings.boot;
        Ok(self.change_states(context.now, named, |instance, now| {
            if instance.state(now) == Some(State::Stopped) {
                instance.start(now, boot);
            }
        }))
    }

    fn take_instances(&self, context: &mut Context, mut params: Params, ignored: &[&str]) -> Result<Vec<usize>, Fault> {
        let ids = params.list("InstanceId")?;
        params.ignore(ignored);
        params.refuse(&["Hibernate", "AdditionalInfo"])?;
        // EC2 looks at the ids before it says that a dry run would have succeeded; permissions came before both.
        let dry = params.finish_request();
        if dry.as_ref().is_err_and(|fault| fault.code != "DryRunOperation") {
            return dry.map(|()| Vec::new());
        }
        if ids.is_empty() {
            return Err(Fault::missing("InstanceId"));
        }
        let named = self.by_ids(&ids, context.now)?;
        dry?;
        context.instances = ids;
        Ok(named)
    }

    fn check_states(
        &self,
        now: Timestamp,
        named: &[usize],
        what: &str,
        allowed: impl Fn(State) -> bool,
    ) -> Result<(), Fault> {
        match named.iter().find(|at| !self.instances[**at].state(now).is_some_and(&allowed)) {
            None => Ok(()),
            Some(at) => {
                let id = &self.instances[*at].id;
                let message = format!("The instance '{id}' is not in a state from which it can be {what}.");
                Err(Fault::new("IncorrectInstanceState", message))
            }
        }
    }

    fn change_states(
        &mut self,
        now: Timestamp,
        named: Vec<usize>,
        change: impl Fn(&mut super::instance::Instance, Timestamp),
    ) -> Xml {
        let mut changes = Vec::new();
        for at in named {
            let before = self.instances[at].state(now).unwrap_or(State::Pending);
            change(&mut self.instances[at], now);
            // Without a delay the last state is there at once, but no answer shows more than the first step.
            let after = match (before, self.instances[at].state(now).unwrap_or(before)) {
                (State::Terminated, _) => State::Terminated,
                (State::Stopped, State::Terminated) => State::Terminated,
                (_, State::Terminated) => State::ShuttingDown,
                (State::Running, State::Stopped) => State::Stopping,
                (State::Stopped, State::Running) => State::Pending,
                (_, after) => after,
            };
            changes.push((at, before, after));
        }
        let mut xml = Xml::default();
        xml.items("instancesSet", changes, |item, (at, before, after)| {
            item.text("instanceId", &self.instances[at].id);
            after.write("currentState", item);
            before.write("previousState", item);
        });
        xml
    }

    pub(super) fn create_tags(&mut self, context: &mut Context, mut params: Params) -> Result<Xml, Fault> {
        let ids = params.list("ResourceId")?;
        let tags = params.tags("Tag")?;
        params.finish_request()?;
        if tags.is_empty() {
            return Err(Fault::missing("Tag"));
        }
        check_tags(&tags)?;
        self.change_tags(context, ids, |have| {
            have.extend(tags.clone());
            check_number(have)
        })
    }

    pub(super) fn delete_tags(&mut self, context: &mut Context, mut params: Params) -> Result<Xml, Fault> {
        let ids = params.list("ResourceId")?;
        let mut tags: Vec<(String, Option<String>)> = Vec::new();
        for mut tag in params.structures("Tag")? {
            tags.push((tag.need("Key")?, tag.take("Value")));
            tag.finish()?;
        }
        params.finish_request()?;
        // Without tags all go but EC2's own; with a value only a tag that has it.
        let all = tags.is_empty();
        let goes = |key: &str, value: &str| {
            let named = tags.iter().any(|(k, v)| k == key && v.as_ref().is_none_or(|v| v == value));
            !key.starts_with("aws:") && (all || named)
        };
        self.change_tags(context, ids, |have| {
            have.retain(|key, value| !goes(key, value));
            Ok(())
        })
    }

    fn change_tags(
        &mut self,
        context: &mut Context,
        ids: Vec<String>,
        change: impl Fn(&mut Texts) -> Result<(), Fault>,
    ) -> Result<Xml, Fault> {
        if ids.is_empty() {
            return Err(Fault::missing("ResourceId"));
        }
        let mut changed = Vec::new();
        for id in &ids {
            let (old, at) = self.taggable(id, context.now)?;
            let mut tags = old;
            change(&mut tags)?;
            changed.push((at, tags));
        }
        for (at, tags) in changed {
            match at {
                Taggable::Instance(at) => self.instances[at].tags.set(context.now, tags),
                Taggable::Template(at) => self.templates[at].tags = tags,
            }
        }
        context.instances = ids;
        let mut xml = Xml::default();
        xml.text("return", true);
        Ok(xml)
    }

    fn taggable(&self, id: &str, now: Timestamp) -> Result<(Texts, Taggable), Fault> {
        if id.starts_with("i-") {
            let named = self.by_ids(&[id.to_owned()], now)?;
            let at = named.first().copied().unwrap_or_default();
            return Ok((self.tags_of(at, now), Taggable::Instance(at)));
        }
        match self.templates.iter().position(|template| template.id == id) {
            Some(at) => Ok((self.templates[at].tags.clone(), Taggable::Template(at))),
            None if is_id(id, "lt-") => {
                let message = format!("The specified launch template, with template ID {id}, does not exist.");
                Err(Fault::new("InvalidLaunchTemplateId.NotFound", message))
            }
            None => Err(Fault::new("InvalidID", format!("The ID '{id}' is not valid"))),
        }
    }
}

/// What can be tagged.
#[derive(Clone, Copy)]
enum Taggable {
    Instance(usize),
    Template(usize),
}

fn check_number(tags: &Texts) -> Result<(), Fault> {
    let own = tags.keys().filter(|key| !key.starts_with("aws:")).count();
    if own > super::MOST_TAGS {
        return Err(Fault::new("TagLimitExceeded", format!("More than {} tags.", super::MOST_TAGS)));
    }
    Ok(())
}
