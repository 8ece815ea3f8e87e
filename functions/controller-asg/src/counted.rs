//! EC2, counted: how many calls an invocation has made that change something, and how many have failed. It changes no call.
//!
//! A failed call leaves no activity unless it was refused for good, so the activities alone cannot say it.

use std::sync::atomic::{AtomicU32, Ordering};

use muster_control::ports::{Fleet, FleetError, Found, Launched};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;

/// A fleet whose changing calls are counted.
#[derive(Debug, Default)]
pub struct Counted<F> {
    inner: F,
    launches: AtomicU32,
    launch_failures: AtomicU32,
    terminations: AtomicU32,
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Launches that EC2 accepted, repetitions of accepted ones included.
    pub launches: u32,
    /// Launches that ended otherwise.
    pub launch_failures: u32,
    /// Terminations that EC2 accepted.
    pub terminations: u32,
}

impl<F> Counted<F> {
    /// `inner`, counted from zero.
    pub fn new(inner: F) -> Self {
        Self { inner, launches: AtomicU32::new(0), launch_failures: AtomicU32::new(0), terminations: AtomicU32::new(0) }
    }

    /// What has been counted since the last time.
    pub fn take(&self) -> Counts {
        let taken = |counter: &AtomicU32| counter.swap(0, Ordering::Relaxed);
        Counts {
            launches: taken(&self.launches),
            launch_failures: taken(&self.launch_failures),
            terminations: taken(&self.terminations),
        }
    }

    /// What is counted.
    pub const fn inner(&self) -> &F {
        &self.inner
    }
}

impl<F: Fleet> Fleet for Counted<F> {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        self.inner.list(group).await
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        self.inner.describe(group, ids).await
    }

    async fn template_version(&self, template: &str) -> Result<u64, FleetError> {
        self.inner.template_version(template).await
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        let made = self.inner.launch(spec, attempt).await;
        let counter = if made.is_ok() { &self.launches } else { &self.launch_failures };
        counter.fetch_add(1, Ordering::Relaxed);
        made
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        self.inner.find(spec).await
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> Result<(), FleetError> {
        self.inner.terminate(group, instance, intent, attempt).await?;
        self.terminations.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
