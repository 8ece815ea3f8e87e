//! One launch template: numbered versions that never change, and one of them the default.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::config::TemplateSeed;
use crate::fault::Fault;
use crate::query::{Params, Texts};
use crate::xml::Xml;

use super::check_tags;

/// What `LaunchTemplateData` may hold. What is not read here is kept, and means nothing.
const DATA: &[&str] = &[
    "BlockDeviceMapping",
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceType",
    "KernelId",
    "KeyName",
    "LicenseSpecification",
    "MaintenanceOptions",
    "MetadataOptions",
    "Monitoring",
    "NetworkInterface",
    "NetworkPerformanceOptions",
    "Placement",
    "PrivateDnsNameOptions",
    "RamDiskId",
    "SecurityGroup",
    "SecurityGroupId",
    "TagSpecification",
    "UserData",
];

/// What it may hold at EC2, and would change what is launched.
const DATA_NOT_HERE: &[&str] = &[
    "ElasticGpuSpecification",
    "ElasticInferenceAccelerator",
    "InstanceRequirements",
    "Operator",
    "SecondaryInterface",
];

/// A launch template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(super) created: Timestamp,
    pub(crate) default: u64,
    pub(super) versions: BTreeMap<u64, Version>,
    pub(crate) tags: Texts,
}

/// One version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) created: Timestamp,
    pub(super) description: Option<String>,
    pub(super) data: Texts,
}

impl Template {
    pub(crate) fn seeded(seed: &TemplateSeed, id: String, now: Timestamp) -> Self {
        let data =
            [("ImageId", &seed.image), ("InstanceType", &seed.instance_type)].map(|(k, v)| (k.to_owned(), v.clone()));
        let first = Version { created: now, description: None, data: data.into() };
        Self {
            id,
            name: seed.name.clone(),
            created: now,
            default: 1,
            versions: BTreeMap::from([(1, first)]),
            tags: Texts::new(),
        }
    }

    pub(crate) fn latest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or(0)
    }

    /// The number that `$Default`, `$Latest` or a number names; none is `$Default`.
    pub(super) fn number(&self, version: Option<&str>) -> Result<u64, Fault> {
        let number = match version {
            None | Some("" | "$Default") => self.default,
            Some("$Latest") => self.latest(),
            Some(number) => number.parse().map_err(|_| {
                let message = format!("Could not parse {number} as a launch template version");
                Fault::new("InvalidParameterValue", message)
            })?,
        };
        if self.versions.contains_key(&number) {
            return Ok(number);
        }
        let message =
            format!("Could not find the specified version {number} for the launch template with ID {}.", self.id);
        Err(Fault::new("InvalidLaunchTemplateId.VersionNotFound", message))
    }

    pub(super) fn write(&self, xml: &mut Xml, creator: &str) {
        xml.text("launchTemplateId", &self.id);
        xml.text("launchTemplateName", &self.name);
        xml.time("createTime", self.created);
        xml.text("createdBy", creator);
        xml.text("defaultVersionNumber", self.default);
        xml.text("latestVersionNumber", self.latest());
        xml.tags(&self.tags);
    }

    pub(super) fn write_version(&self, number: u64, xml: &mut Xml, creator: &str) {
        let Some(version) = self.versions.get(&number) else { return };
        xml.text("launchTemplateId", &self.id);
        xml.text("launchTemplateName", &self.name);
        xml.text("versionNumber", number);
        xml.maybe("versionDescription", version.description.as_ref());
        xml.time("createTime", version.created);
        xml.text("createdBy", creator);
        xml.text("defaultVersion", number == self.default);
        xml.node("launchTemplateData", |node| write_data(&version.data, node));
    }
}

/// The parts of the data that clients ask about.
fn write_data(data: &Texts, xml: &mut Xml) {
    let names = [
        ("ImageId", "imageId"),
        ("InstanceType", "instanceType"),
        ("KeyName", "keyName"),
        ("UserData", "userData"),
        ("EbsOptimized", "ebsOptimized"),
    ];
    for (from, to) in names {
        xml.maybe(to, data.get(from));
    }
    if let Some(zone) = data.get("Placement.AvailabilityZone") {
        xml.node("placement", |placement| placement.text("availabilityZone", zone));
    }
    let (arn, name) = (data.get("IamInstanceProfile.Arn"), data.get("IamInstanceProfile.Name"));
    if arn.is_some() || name.is_some() {
        xml.node("iamInstanceProfile", |profile| {
            profile.maybe("arn", arn);
            profile.maybe("name", name);
        });
    }
    let mut params = Params::of(data.clone());
    // Data is checked when it comes: what cannot be read is not there.
    let groups = params.list("SecurityGroupId").unwrap_or_default();
    if !groups.is_empty() {
        xml.node("securityGroupIdSet", |set| groups.iter().for_each(|group| set.text("item", group)));
    }
    let tagged: Vec<(String, Texts)> = super::take_tag_specifications(&mut params).unwrap_or_default();
    if !tagged.is_empty() {
        xml.items("tagSpecificationSet", tagged, |item, (kind, tags)| {
            item.text("resourceType", kind);
            item.tags(&tags);
        });
    }
}

/// Takes and checks `LaunchTemplateData`.
pub(super) fn take_data(params: &mut Params) -> Result<Texts, Fault> {
    let data = params.below("LaunchTemplateData");
    let mut rest = data.clone();
    for (_, tags) in super::take_tag_specifications(&mut rest)? {
        check_tags(&tags)?;
    }
    rest.list("SecurityGroupId")?;
    rest.ignore(DATA);
    rest.refuse(DATA_NOT_HERE)?;
    rest.finish()?;
    Ok(data.all().clone())
}
