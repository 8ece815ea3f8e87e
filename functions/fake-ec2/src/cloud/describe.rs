//! The describing calls on instances. They look at the world as it was `lag` ago: a new instance is not there yet, and an ended
//! one still runs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::filter::Filter;
use crate::query::{Params, Texts};
use crate::xml::Xml;

use super::instance::{Instance, State, earlier, later};
use super::page::Page;
use super::{Cloud, is_id, places, tag_filter};

const INSTANCE_FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "client-token",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "owner-id",
    "private-ip-address",
    "reservation-id",
    "subnet-id",
    "tag-key",
    "vpc-id",
];

const STATUS_FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "instance-state-code",
    "instance-state-name",
    "instance-status.status",
    "system-status.status",
];

/// An instance's two checks.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceStatusSummary.html>
struct Checks {
    instance: &'static str,
    system: &'static str,
}

impl Cloud {
    /// The moment that describing calls see.
    fn seen(&self, now: Timestamp) -> Timestamp {
        earlier(now, self.config.settings.lag)
    }

    /// Whether an instance is shown at `time`: launched already, and not terminated for too long.
    fn is_shown(&self, instance: &Instance, time: Timestamp) -> bool {
        let Some(state) = instance.state(time) else { return false };
        let ended = instance.states.since(|state| *state == State::Terminated).unwrap_or(time);
        state != State::Terminated || later(ended, self.config.settings.terminated_shown) > time
    }

    /// Finds instances by id as they are at `time`: an unknown one fails the whole call.
    pub(super) fn by_ids(&self, ids: &[String], time: Timestamp) -> Result<Vec<usize>, Fault> {
        if let Some(id) = ids.iter().find(|id| !is_id(id, "i-")) {
            return Err(Fault::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")));
        }
        let known = |id: &String| self.by_id.get(id).copied().filter(|at| self.is_shown(&self.instances[*at], time));
        let missing: Vec<&str> = ids.iter().filter(|id| known(id).is_none()).map(String::as_str).collect();
        match &missing[..] {
            [] => {
                let mut seen = BTreeSet::new();
                Ok(ids.iter().filter_map(known).filter(|at| seen.insert(*at)).collect())
            }
            [one] => Err(Fault::new("InvalidInstanceID.NotFound", format!("The instance ID '{one}' does not exist"))),
            many => {
                let message = format!("The instance IDs '{}' do not exist", many.join(", "));
                Err(Fault::new("InvalidInstanceID.NotFound", message))
            }
        }
    }

    pub(super) fn describe_instances(&self, now: Timestamp, mut params: Params) -> Result<Xml, Fault> {
        let ids = params.list("InstanceId")?;
        let filters = Filter::take(&mut params, INSTANCE_FILTERS)?;
        let page = Page::take(&mut params, !ids.is_empty(), "instancesSet", 5, 1000)?;
        params.ignore(&["IncludeManagedResources"]);
        params.finish_request()?;
        let time = self.seen(now);
        let named: Option<BTreeSet<usize>> =
            if ids.is_empty() { None } else { Some(self.by_ids(&ids, time)?.into_iter().collect()) };
        let shown = self.instances.iter().enumerate().filter(|(at, instance)| {
            named.as_ref().is_none_or(|named| named.contains(at))
                && self.is_shown(instance, time)
                && filters.iter().all(|filter| self.accepts(filter, instance, time))
        });
        let (shown, next) = page.cut(shown, self.config.settings.page_size);
        let mut reservations: Vec<(&str, Vec<&Instance>)> = Vec::new();
        for instance in shown {
            match reservations.last_mut().filter(|(id, _)| *id == instance.reservation) {
                Some((_, instances)) => instances.push(instance),
                None => reservations.push((&instance.reservation, vec![instance])),
            }
        }
        let mut xml = Xml::default();
        xml.items("reservationSet", reservations, |item, (_, instances)| {
            self.write_reservation(item, instances.into_iter(), time);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    /// A reservation with these instances of it.
    pub(super) fn write_reservation<'a>(
        &self,
        xml: &mut Xml,
        instances: impl Iterator<Item = &'a Instance>,
        time: Timestamp,
    ) {
        let instances: Vec<_> = instances.collect();
        xml.maybe("reservationId", instances.first().map(|instance| &instance.reservation));
        xml.text("ownerId", &self.config.account);
        xml.node("groupSet", |_| {});
        xml.items("instancesSet", instances, |item, instance| instance.write(time, item));
    }

    fn accepts(&self, filter: &Filter, instance: &Instance, time: Timestamp) -> bool {
        let Some(state) = instance.state(time) else { return false };
        let here = state != State::Terminated;
        match filter.name.as_str() {
            "availability-zone" => filter.accepts(&instance.zone),
            "availability-zone-id" => filter.accepts(&instance.zone_id),
            "client-token" => instance.token.as_ref().is_some_and(|token| filter.accepts(token)),
            "image-id" => filter.accepts(&instance.image),
            "instance-id" => filter.accepts(&instance.id),
            "instance-lifecycle" => instance.spot && filter.accepts("spot"),
            "instance-state-code" => filter.accepts(&state.code().to_string()),
            "instance-state-name" => filter.accepts(state.name()),
            "instance-type" => filter.accepts(&instance.instance_type),
            "owner-id" => filter.accepts(&self.config.account),
            "private-ip-address" => here && filter.accepts(&instance.address.to_string()),
            "reservation-id" => filter.accepts(&instance.reservation),
            "subnet-id" => here && filter.accepts(&instance.subnet),
            "vpc-id" => here && filter.accepts(places::VPC),
            _ => instance.tags.at(time).is_some_and(|tags| tag_filter(filter, tags)),
        }
    }

    fn checks(&self, instance: &Instance, time: Timestamp) -> Checks {
        if instance.state(time) != Some(State::Running) {
            return Checks { instance: "not-applicable", system: "not-applicable" };
        }
        let running = instance.states.since(|state| *state == State::Running).unwrap_or(time);
        if instance.impaired.at(time) == Some(&true) {
            Checks { instance: "impaired", system: "impaired" }
        } else if later(running, self.config.settings.checks) > time {
            Checks { instance: "initializing", system: "initializing" }
        } else {
            Checks { instance: "ok", system: "ok" }
        }
    }

    pub(super) fn describe_instance_status(&self, now: Timestamp, mut params: Params) -> Result<Xml, Fault> {
        let ids = params.list("InstanceId")?;
        let filters = Filter::take(&mut params, STATUS_FILTERS)?;
        let page = Page::take(&mut params, !ids.is_empty(), "instancesSet", 5, 1000)?;
        let all = params.flag("IncludeAllInstances")?;
        params.ignore(&["IncludeManagedResources"]);
        params.finish_request()?;
        let time = self.seen(now);
        let named: Option<BTreeSet<usize>> =
            if ids.is_empty() { None } else { Some(self.by_ids(&ids, time)?.into_iter().collect()) };
        let shown = self.instances.iter().enumerate().filter(|(at, instance)| {
            named.as_ref().is_none_or(|named| named.contains(at))
                && self.is_shown(instance, time)
                && (all || instance.state(time) == Some(State::Running))
                && filters.iter().all(|filter| match filter.name.as_str() {
                    "instance-status.status" => filter.accepts(self.checks(instance, time).instance),
                    "system-status.status" => filter.accepts(self.checks(instance, time).system),
                    _ => self.accepts(filter, instance, time),
                })
        });
        let (shown, next) = page.cut(shown, self.config.settings.page_size);
        let mut xml = Xml::default();
        xml.items("instanceStatusSet", shown, |item, instance| {
            item.text("instanceId", &instance.id);
            item.text("availabilityZone", &instance.zone);
            item.text("availabilityZoneId", &instance.zone_id);
            instance.state(time).unwrap_or(State::Pending).write("instanceState", item);
            let checks = self.checks(instance, time);
            for (name, status) in [("systemStatus", checks.system), ("instanceStatus", checks.instance)] {
                item.node(name, |node| write_check(node, status, instance.impaired.since(|impaired| *impaired)));
            }
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    pub(super) fn describe_tags(&self, now: Timestamp, mut params: Params) -> Result<Xml, Fault> {
        let filters = Filter::take(&mut params, &["key", "value", "resource-id", "resource-type", "tag-key"])?;
        let page = Page::take(&mut params, false, "", 5, 1000)?;
        params.finish_request()?;
        let time = self.seen(now);
        let instances = self.instances.iter().filter(|instance| self.is_shown(instance, time));
        let of_instances = instances.map(|i| (i.id.as_str(), "instance", i.tags.at(time)));
        let of_templates = self.templates.iter().map(|t| (t.id.as_str(), "launch-template", Some(&t.tags)));
        let tags: BTreeMap<(&str, &str), (&str, &str)> = of_instances
            .chain(of_templates)
            .flat_map(|(id, kind, tags)| {
                tags.into_iter().flatten().map(move |(key, value)| ((id, key.as_str()), (kind, value.as_str())))
            })
            .collect();
        let shown = tags.into_iter().enumerate().filter(|(_, ((id, key), (kind, value)))| {
            filters.iter().all(|filter| match filter.name.as_str() {
                "key" | "tag-key" => filter.accepts(key),
                "value" => filter.accepts(value),
                "resource-id" => filter.accepts(id),
                "resource-type" => filter.accepts(kind),
                tag => tag.strip_prefix("tag:") == Some(key) && filter.accepts(value),
            })
        });
        let (shown, next) = page.cut(shown, self.config.settings.page_size);
        let mut xml = Xml::default();
        xml.items("tagSet", shown, |item, ((id, key), (kind, value))| {
            item.text("resourceId", id);
            item.text("resourceType", kind);
            item.text("key", key);
            item.text("value", value);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    /// The tags that an instance has now.
    pub(super) fn tags_of(&self, at: usize, now: Timestamp) -> Texts {
        self.instances[at].tags.at(now).cloned().unwrap_or_default()
    }
}

fn write_check(xml: &mut Xml, status: &str, impaired: Option<Timestamp>) {
    xml.text("status", status);
    let detail = match status {
        "ok" => "passed",
        "impaired" => "failed",
        "initializing" => "initializing",
        _ => return,
    };
    xml.items("details", [detail], |item, detail| {
        item.text("name", "reachability");
        item.text("status", detail);
        if let Some(since) = impaired.filter(|_| detail == "failed") {
            item.time("impairedSince", since);
        }
    });
}
