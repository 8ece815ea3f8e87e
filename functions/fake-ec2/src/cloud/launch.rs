//! `RunInstances`: what a launch is made of, where it goes, and how many come.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::query::{Params, Texts};
use crate::rules::{Matter, Stage, Subject};
use crate::xml::Xml;

use super::instance::{History, Instance, State, later};
use super::token::{TokenUse, take_token};
use super::{Cloud, Context, check_tags, is_id, tags_for, take_tag_specifications};

/// Real parameters that are accepted, count for a token's sameness, and change nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "BlockDeviceMapping",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "EbsOptimized",
    "IamInstanceProfile",
    "InstanceInitiatedShutdownBehavior",
    "KeyName",
    "MaintenanceOptions",
    "MetadataOptions",
    "Monitoring",
    "PrivateDnsNameOptions",
    "SecurityGroup",
    "SecurityGroupId",
    "UserData",
];

/// Real parameters whose effect a client would miss.
const NOT_HERE: &[&str] = &[
    "AdditionalInfo",
    "CapacityReservationSpecification",
    "DisableApiTermination",
    "ElasticGpuSpecification",
    "ElasticInferenceAccelerator",
    "EnablePrimaryIpv6",
    "EnclaveOptions",
    "HibernationOptions",
    "Ipv6Address",
    "Ipv6AddressCount",
    "KernelId",
    "LicenseSpecification",
    "NetworkInterface",
    "NetworkPerformanceOptions",
    "Operator",
    "PrivateIpAddress",
    "RamdiskId",
    "SecondaryInterface",
];

/// The same of `Placement`.
const PLACEMENT_NOT_HERE: &[&str] =
    &["Affinity", "AvailabilityZoneId", "GroupId", "HostId", "HostResourceGroupArn", "PartitionNumber", "SpreadDomain"];

/// EC2's default type when neither request nor template names one.
const DEFAULT_TYPE: &str = "m1.small";
/// What to launch, once request and template are read.
struct Order {
    least: u32,
    most: u32,
    image: String,
    instance_type: String,
    /// The place that request or template names; none: any.
    place: Option<usize>,
    tags: Texts,
    template: Option<(String, u64)>,
    spot: bool,
    token: Option<String>,
}

/// How far a rule's refusal of a place goes: one that names no zone speaks once, for all.
enum Reach {
    Here,
    Everywhere,
}

impl Cloud {
    pub(super) fn run_instances(&mut self, context: &mut Context, mut params: Params) -> Result<Xml, Fault> {
        let mut request = params.all().clone();
        request.retain(|name, _| name != "ClientToken" && name != "DryRun");
        let token = take_token(&mut params)?;
        params.refuse(NOT_HERE)?;
        let template = params.below("LaunchTemplate");
        let own = params.clone();
        let explicit = take_place(&mut params)?;
        take_rest(&mut params)?;
        params.finish_request()?;

        let place = self.resolve_place(&explicit)?;
        if let Some(token) = &token {
            let zone = place.map(|place| self.places[place].zone.clone());
            if let Some(made) = self.recall(context.now, token, zone.as_deref(), &request)? {
                context.instances = made.iter().map(|at| self.instances[*at].id.clone()).collect();
                return Ok(self.reservation(context.now, &made));
            }
        }
        let order = self.order(own, template, place, token.clone())?;
        let (place, count) = self.find_place(context, &order)?;
        let made = self.launch(context.now, &order, place, count)?;
        context.instances = made.iter().map(|at| self.instances[*at].id.clone()).collect();
        if let Some(token) = token {
            let zone = explicit_zone(&explicit, &self.places[place].zone);
            let used = TokenUse { zone, request, instances: made.clone(), at: context.now };
            self.tokens.entry(token).or_default().push(used);
        }
        Ok(self.reservation(context.now, &made))
    }

    /// What a launch of this request would be about, for rules: its place, type and tags, as far as they can be read.
    pub(super) fn launch_subject(&self, params: &Params) -> Subject {
        let mut params = params.clone();
        let template = self.template_for_launch(params.below("LaunchTemplate")).ok().flatten();
        let mut data = template.map(|(_, _, data)| data).unwrap_or_default();
        let explicit =
            take_place(&mut params).and_then(|own| own.map_or_else(|| template_place(&data), |p| Ok(Some(p))));
        let place = explicit.ok().and_then(|explicit| self.resolve_place(&explicit).ok().flatten());
        let kind = params.take("InstanceType").or_else(|| data.take("InstanceType"));
        let tags = |params: &mut Params| {
            tags_for(take_tag_specifications(params).unwrap_or_default(), "instance", TAGGED).unwrap_or_default()
        };
        let mut all = tags(&mut data);
        all.extend(tags(&mut params));
        Subject {
            places: place.map(|at| self.place_names(at)).unwrap_or_default(),
            instance_type: kind.unwrap_or_else(|| DEFAULT_TYPE.into()),
            id: None,
            tags: all,
        }
    }

    fn place_names(&self, at: usize) -> Vec<String> {
        vec![self.places[at].zone.clone(), self.places[at].subnet.clone()]
    }

    fn resolve_place(&self, explicit: &Option<Explicit>) -> Result<Option<usize>, Fault> {
        let Some(explicit) = explicit else { return Ok(None) };
        let by_zone = explicit.zone.as_ref().map(|zone| self.place_of_zone(zone)).transpose()?;
        let by_subnet = explicit.subnet.as_ref().map(|subnet| self.place_of_subnet(subnet)).transpose()?;
        match (by_zone, by_subnet) {
            (Some(zone), Some(subnet)) if zone != subnet => {
                let message = "The subnet is not in the availability zone of the request.";
                Err(Fault::new("InvalidParameterValue", message))
            }
            (zone, subnet) => Ok(subnet.or(zone)),
        }
    }

    /// Reads the request over its template: what the request says outranks it.
    fn order(
        &self,
        mut own: Params,
        template: Params,
        place: Option<usize>,
        token: Option<String>,
    ) -> Result<Order, Fault> {
        let least = own.number("MinCount")?.ok_or_else(|| Fault::missing("MinCount"))?;
        let most = own.number("MaxCount")?.ok_or_else(|| Fault::missing("MaxCount"))?;
        if least == 0 {
            return Err(Fault::value("minCount", "0"));
        }
        if most < least {
            let message = format!("The maximum count {most} is below the minimum count {least}.");
            return Err(Fault::new("InvalidParameterValue", message));
        }
        let mut from = None;
        let mut data = Params::default();
        if let Some((id, number, of_template)) = self.template_for_launch(template)? {
            from = Some((id, number));
            data = of_template;
        }
        let subnet = own.peek("SubnetId").is_some_and(|subnet| !subnet.is_empty());
        if subnet && data.all().keys().any(|name| name.starts_with("NetworkInterface.")) {
            let message = "Network interfaces and an instance-level subnet ID may not be specified on the same request";
            return Err(Fault::new("InvalidParameterCombination", message));
        }
        let place = match place {
            Some(place) => Some(place),
            None => self.resolve_place(&template_place(&data)?)?,
        };
        let image = own.take("ImageId").or_else(|| data.take("ImageId"));
        let image = image.filter(|image| !image.is_empty()).ok_or_else(|| Fault::missing("ImageId"))?;
        let kind = own.take("InstanceType").or_else(|| data.take("InstanceType"));
        let market = own.below("InstanceMarketOptions").take("MarketType");
        let market = market.or_else(|| data.below("InstanceMarketOptions").take("MarketType"));
        let mut tags = tags_for(take_tag_specifications(&mut data)?, "instance", TAGGED)?;
        tags.extend(tags_for(take_tag_specifications(&mut own)?, "instance", TAGGED)?);
        check_tags(&tags)?;
        if let Some((id, number)) = &from {
            // EC2 writes these itself.
            tags.insert("aws:ec2launchtemplate:id".into(), id.clone());
            tags.insert("aws:ec2launchtemplate:version".into(), number.to_string());
        }
        let instance_type = kind.unwrap_or_else(|| DEFAULT_TYPE.into());
        self.check_image(&image)?;
        self.check_type(&instance_type)?;
        let spot = market.as_deref() == Some("spot");
        Ok(Order { least, most, image, instance_type, place, tags, template: from, spot, token })
    }

    fn check_image(&self, image: &str) -> Result<(), Fault> {
        if !is_id(image, "ami-") {
            return Err(Fault::new(
                "InvalidAMIID.Malformed",
                format!("Invalid id: \"{image}\" (expecting \"ami-...\")"),
            ));
        }
        if !self.config.images.is_empty() && !self.config.images.iter().any(|known| known == image) {
            return Err(Fault::new("InvalidAMIID.NotFound", format!("The image id '[{image}]' does not exist")));
        }
        Ok(())
    }

    fn check_type(&self, kind: &str) -> Result<(), Fault> {
        let types = &self.config.instance_types;
        if kind.is_empty() || !types.is_empty() && !types.iter().any(|known| known == kind) {
            let message = format!("The following supplied instance types do not exist: [{kind}]");
            return Err(Fault::new("InvalidParameterValue", message));
        }
        Ok(())
    }

    /// Where the launch goes, and how many instances there is room for. All of one request go to one zone.
    fn find_place(&mut self, context: &mut Context, order: &Order) -> Result<(usize, u32), Fault> {
        let settings = &self.config.settings;
        let live = self.instances.iter().filter(|instance| instance.is_live(context.now)).count();
        let room = settings.max_instances.saturating_sub(u32::try_from(live).unwrap_or(u32::MAX));
        if room < order.least || self.instances.len() >= super::MOST_EVER {
            let message = format!(
                "You have requested more instances ({}) than your current instance limit of {} allows.",
                order.least, settings.max_instances
            );
            return Err(Fault::new("InstanceLimitExceeded", message));
        }
        let places = order.place.map_or_else(|| (0..self.places.len()).collect(), |place| vec![place]);
        let mut refused = None;
        for at in places {
            match self.judge_place(context, order, at) {
                None => {}
                Some((fault, Reach::Everywhere)) => return Err(fault),
                Some((fault, Reach::Here)) => {
                    refused = refused.or(Some(fault));
                    continue;
                }
            }
            let free = self.free_in(context.now, at, &order.instance_type).min(room);
            if free >= order.least {
                return Ok((at, free.min(order.most)));
            }
        }
        Err(refused.unwrap_or_else(|| {
            let message = format!(
                "We currently do not have sufficient {} capacity in the Availability Zone you requested.",
                order.instance_type
            );
            Fault::new("InsufficientInstanceCapacity", message)
        }))
    }

    /// What a rule says to a launch in this place.
    fn judge_place(&mut self, context: &mut Context, order: &Order, at: usize) -> Option<(Fault, Reach)> {
        let subject = Subject {
            places: self.place_names(at),
            instance_type: order.instance_type.clone(),
            id: None,
            tags: order.tags.clone(),
        };
        let matter = Matter { action: "RunInstances", token: order.token.as_deref(), subjects: vec![subject] };
        let verdict = self.rules.judge(Stage::Place, &matter);
        context.latency += verdict.latency;
        let (id, rule) = verdict.rule?;
        context.rule = Some(id);
        let reach = if rule.when.zone.is_some() { Reach::Here } else { Reach::Everywhere };
        rule.fault().map(|fault| (fault, reach))
    }

    /// How many instances of the type the place still has room for.
    fn free_in(&self, now: Timestamp, at: usize, kind: &str) -> u32 {
        let zone = &self.places[at].zone;
        let fits = |limit: &Option<String>, value: &str| limit.as_ref().is_none_or(|limit| limit == value);
        let limits = self.config.settings.capacity.iter();
        let free = limits.filter(|limit| fits(&limit.zone, zone) && fits(&limit.instance_type, kind)).map(|limit| {
            let used = self.instances.iter().filter(|instance| {
                let state = instance.state(now);
                !matches!(state, None | Some(State::Terminated | State::Stopped))
                    && fits(&limit.zone, &instance.zone)
                    && fits(&limit.instance_type, &instance.instance_type)
            });
            limit.instances.saturating_sub(u32::try_from(used.count()).unwrap_or(u32::MAX))
        });
        free.min().unwrap_or(u32::MAX)
    }

    fn launch(&mut self, now: Timestamp, order: &Order, at: usize, count: u32) -> Result<Vec<usize>, Fault> {
        let mut taken: BTreeSet<_> =
            self.instances.iter().filter(|instance| instance.is_live(now)).map(|instance| instance.address).collect();
        let mut addresses = Vec::new();
        for _ in 0..count {
            match self.places[at].address(|address| taken.contains(&address)) {
                Some(address) => {
                    taken.insert(address);
                    addresses.push(address);
                }
                None => break,
            }
        }
        if u32::try_from(addresses.len()).unwrap_or(u32::MAX) < order.least {
            let message = format!("There are not enough free addresses in subnet '{}'.", self.places[at].subnet);
            return Err(Fault::new("InsufficientFreeAddressesInSubnet", message));
        }
        let reservation = self.fresh_id("r-");
        let running = later(now, self.config.settings.boot);
        let mut made = Vec::new();
        for (index, address) in addresses.into_iter().enumerate() {
            let mut states = History::new(now, State::Pending);
            states.then(running, State::Running);
            let place = &self.places[at];
            let instance = Instance {
                id: String::new(),
                reservation: reservation.clone(),
                index,
                token: order.token.clone(),
                zone: place.zone.clone(),
                zone_id: place.zone_id.clone(),
                subnet: place.subnet.clone(),
                instance_type: order.instance_type.clone(),
                image: order.image.clone(),
                template: order.template.clone(),
                spot: order.spot,
                address,
                launched: now,
                states,
                tags: History::new(now, order.tags.clone()),
                impaired: History::new(now, false),
                ending: None,
                stopped_by_call: false,
                load: None,
            };
            made.push(self.add_instance(instance));
        }
        Ok(made)
    }

    fn reservation(&self, now: Timestamp, made: &[usize]) -> Xml {
        let mut xml = Xml::default();
        self.write_reservation(&mut xml, made.iter().map(|at| &self.instances[*at]), now);
        xml
    }
}

/// A place as a request names it.
#[derive(Clone, Debug)]
struct Explicit {
    zone: Option<String>,
    subnet: Option<String>,
}

/// A zone that EC2 chose itself is not the token's.
fn explicit_zone(explicit: &Option<Explicit>, zone: &str) -> Option<String> {
    explicit.as_ref().map(|_| zone.to_owned())
}

/// What a launch may tag. Only instances are things here.
const TAGGED: &[&str] = &["instance", "volume", "network-interface", "spot-instances-request"];

fn take_place(params: &mut Params) -> Result<Option<Explicit>, Fault> {
    let mut placement = params.below("Placement");
    let zone = placement.take("AvailabilityZone").filter(|zone| !zone.is_empty());
    if placement.take("Tenancy").is_some_and(|tenancy| tenancy != "default") {
        return Err(Fault::new("UnsupportedOperation", "This EC2 has shared tenancy only."));
    }
    placement.take("GroupName");
    placement.refuse(PLACEMENT_NOT_HERE)?;
    placement.finish()?;
    let subnet = params.take("SubnetId").filter(|subnet| !subnet.is_empty());
    Ok((zone.is_some() || subnet.is_some()).then_some(Explicit { zone, subnet }))
}

fn template_place(data: &Params) -> Result<Option<Explicit>, Fault> {
    let zone = data.peek("Placement.AvailabilityZone").map(str::to_owned);
    let subnet = data.peek("NetworkInterface.1.SubnetId").map(str::to_owned);
    Ok((zone.is_some() || subnet.is_some()).then_some(Explicit { zone, subnet }))
}

/// Takes everything else that a launch may hold, so that what is left is unknown.
fn take_rest(params: &mut Params) -> Result<(), Fault> {
    params.need("MinCount")?;
    params.need("MaxCount")?;
    for (_, tags) in take_tag_specifications(params)? {
        check_tags(&tags)?;
    }
    let mut market = params.below("InstanceMarketOptions");
    if let Some(other) = market.take("MarketType").filter(|market| market != "spot") {
        return Err(Fault::value("InstanceMarketOptions.MarketType", &other));
    }
    market.ignore(&["SpotOptions"]);
    market.finish()?;
    params.ignore(&["ImageId", "InstanceType"]);
    params.ignore(WITHOUT_EFFECT);
    Ok(())
}
