//! One instance: what it is, and what it was at any moment.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::query::Texts;
use crate::xml::Xml;

/// An instance's state.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It boots.
    Pending,
    /// It runs.
    Running,
    /// It is being terminated.
    ShuttingDown,
    /// It has been terminated.
    Terminated,
    /// It is being stopped.
    Stopping,
    /// It has been stopped.
    Stopped,
}

impl State {
    /// EC2's number of it.
    pub const fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// EC2's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it will never run again.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    pub(crate) fn write(self, name: &str, xml: &mut Xml) {
        xml.node(name, |state| {
            state.text("code", self.code());
            state.text("name", self.name());
        });
    }
}

/// A value over time: what was set, and from when. What is set for later is known already, so nothing ticks.
#[derive(Clone, Debug)]
pub(crate) struct History<T>(Vec<(Timestamp, T)>);

impl<T> History<T> {
    pub(crate) fn new(from: Timestamp, first: T) -> Self {
        Self(vec![(from, first)])
    }

    /// The value at `time`; none before the first.
    pub(crate) fn at(&self, time: Timestamp) -> Option<&T> {
        self.0.iter().rev().find(|(from, _)| *from <= time).map(|(_, value)| value)
    }

    /// The value from `time` on; what was set for later is forgotten.
    pub(crate) fn set(&mut self, time: Timestamp, value: T) {
        self.0.retain(|(from, _)| *from <= time);
        self.0.push((time, value));
    }

    /// The value from `time` on, beside what is set already.
    pub(crate) fn then(&mut self, time: Timestamp, value: T) {
        self.0.push((time, value));
    }

    /// The next moment after `time` at which it changes.
    pub(crate) fn next(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.iter().map(|(from, _)| *from).find(|from| *from > time)
    }

    /// Since when the latest value that `holds` has been there.
    pub(crate) fn since(&self, holds: impl Fn(&T) -> bool) -> Option<Timestamp> {
        self.0.iter().rev().find(|(_, value)| holds(value)).map(|(from, _)| *from)
    }
}

/// Who ended an instance, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// A call of `TerminateInstances`.
    Call,
    /// Somebody outside, by the control API.
    Outside,
    /// EC2 took a Spot instance back.
    Spot,
}

impl Ending {
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>
    const fn reason(self) -> (&'static str, &'static str) {
        match self {
            Self::Call | Self::Outside => {
                ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
            }
            Self::Spot => {
                ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination")
            }
        }
    }
}

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) reservation: String,
    pub(crate) index: usize,
    pub(crate) token: Option<String>,
    pub(crate) zone: String,
    pub(crate) zone_id: String,
    pub(crate) subnet: String,
    pub(crate) instance_type: String,
    pub(crate) image: String,
    pub(crate) template: Option<(String, u64)>,
    pub(crate) spot: bool,
    pub(crate) address: Ipv4Addr,
    pub(crate) launched: Timestamp,
    pub(crate) states: History<State>,
    pub(crate) tags: History<Texts>,
    pub(crate) impaired: History<bool>,
    pub(crate) ending: Option<Ending>,
    pub(crate) stopped_by_call: bool,
    pub(crate) load: Option<f64>,
}

impl Instance {
    /// Its state at `time`; none before its launch.
    pub(crate) fn state(&self, time: Timestamp) -> Option<State> {
        self.states.at(time).copied()
    }

    pub(crate) fn is_live(&self, time: Timestamp) -> bool {
        self.state(time).is_some_and(|state| state != State::Terminated)
    }

    /// Ends it, if it has not ended.
    pub(crate) fn terminate(&mut self, now: Timestamp, shutdown: Duration, ending: Ending) {
        if self.state(now).is_some_and(State::has_ended) {
            return;
        }
        let stopped = self.state(now) == Some(State::Stopped);
        self.states.set(now, State::ShuttingDown);
        self.states.then(if stopped { now } else { later(now, shutdown) }, State::Terminated);
        self.ending = Some(ending);
    }

    pub(crate) fn stop(&mut self, now: Timestamp, shutdown: Duration) {
        self.states.set(now, State::Stopping);
        self.states.then(later(now, shutdown), State::Stopped);
        self.stopped_by_call = true;
    }

    pub(crate) fn start(&mut self, now: Timestamp, boot: Duration) {
        self.states.set(now, State::Pending);
        self.states.then(later(now, boot), State::Running);
        self.launched = now;
        self.stopped_by_call = false;
    }

    /// As `DescribeInstances` shows it at `time`.
    pub(crate) fn write(&self, time: Timestamp, xml: &mut Xml) {
        let Some(state) = self.state(time) else { return };
        xml.text("instanceId", &self.id);
        xml.text("imageId", &self.image);
        state.write("instanceState", xml);
        let here = state != State::Terminated;
        let name = self.address.octets().map(|byte| byte.to_string()).join("-");
        xml.text("privateDnsName", if here { format!("ip-{name}.ec2.internal") } else { String::new() });
        xml.text("dnsName", "");
        if state.has_ended() || self.stopped_by_call {
            xml.text("reason", "User initiated");
        } else {
            xml.text("reason", "");
        }
        xml.text("amiLaunchIndex", self.index);
        xml.node("productCodes", |_| {});
        xml.text("instanceType", &self.instance_type);
        xml.time("launchTime", self.launched);
        xml.node("placement", |placement| {
            placement.text("availabilityZone", &self.zone);
            placement.text("availabilityZoneId", &self.zone_id);
            placement.text("groupName", "");
            placement.text("tenancy", "default");
        });
        xml.node("monitoring", |monitoring| monitoring.text("state", "disabled"));
        if here {
            xml.text("subnetId", &self.subnet);
            xml.text("vpcId", super::places::VPC);
            xml.text("privateIpAddress", self.address);
        }
        if let Some((code, message)) = self.ending.filter(|_| state.has_ended()).map(Ending::reason) {
            xml.node("stateReason", |reason| {
                reason.text("code", code);
                reason.text("message", message);
            });
        }
        xml.text("architecture", "x86_64");
        xml.text("rootDeviceType", "ebs");
        xml.text("rootDeviceName", "/dev/xvda");
        xml.node("blockDeviceMapping", |_| {});
        xml.text("virtualizationType", "hvm");
        xml.maybe("instanceLifecycle", self.spot.then_some("spot"));
        xml.text("clientToken", self.token.as_deref().unwrap_or_default());
        xml.tags(self.tags.at(time).unwrap_or(&Texts::new()));
        xml.text("hypervisor", "xen");
        xml.node("networkInterfaceSet", |_| {});
        xml.text("ebsOptimized", false);
        xml.text("enaSupport", true);
    }
}

/// `span` after `time`; the end of time at the latest.
pub(crate) fn later(time: Timestamp, span: Duration) -> Timestamp {
    time.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// `span` before `time`.
pub(crate) fn earlier(time: Timestamp, span: Duration) -> Timestamp {
    time.checked_sub(span).unwrap_or(Timestamp::MIN)
}
