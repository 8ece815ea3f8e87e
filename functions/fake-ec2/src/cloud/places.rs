//! Zones and their subnets, one each, and the private addresses in them.

use std::net::Ipv4Addr;

use crate::config::Config;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::query::Params;
use crate::xml::Xml;

use super::Cloud;

/// The only network.
pub(crate) const VPC: &str = "vpc-0000000000000fa4e";
/// A subnet is a /20 of the /16: 4,096 addresses, the first four and the last of which are EC2's own.
const SUBNET_ADDRESSES: u32 = 4096;
const FIRST_ADDRESS: u32 = 4;

/// A zone and its subnet.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) zone: String,
    pub(crate) zone_id: String,
    pub(crate) subnet: String,
    first: u32,
    next: u32,
}

impl Place {
    /// The places of a configuration.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let [a, b, ..] = config.network.octets();
        let network = u32::from(Ipv4Addr::new(a, b, 0, 0));
        let numbered = config.zones.iter().take(16).zip(0_u32..);
        let place = |(zone, number): (&crate::config::Zone, u32)| Self {
            zone: zone.name.clone(),
            zone_id: format!("{}-az{}", zone_prefix(&config.region), number + 1),
            subnet: zone.subnet.clone().unwrap_or_else(|| format!("subnet-{:017x}", 0xfa4e_0000 + number + 1)),
            first: network + number * SUBNET_ADDRESSES,
            next: FIRST_ADDRESS,
        };
        numbered.map(place).collect()
    }

    /// The next address that nobody in `taken` has: an address comes back as late as possible.
    pub(crate) fn address(&mut self, taken: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        for _ in FIRST_ADDRESS..SUBNET_ADDRESSES - 1 {
            let address = Ipv4Addr::from(self.first + self.next);
            self.next = if self.next + 2 < SUBNET_ADDRESSES { self.next + 1 } else { FIRST_ADDRESS };
            if !taken(address) {
                return Some(address);
            }
        }
        None
    }

    fn block(&self) -> String {
        format!("{}/20", Ipv4Addr::from(self.first))
    }
}

/// `us-east-1` is `use1` in the ids of its zones.
fn zone_prefix(region: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    parts.fold(area.to_owned(), |prefix, part| prefix + &part.chars().take(1).collect::<String>())
}

impl Cloud {
    /// The place of a subnet id.
    pub(super) fn place_of_subnet(&self, subnet: &str) -> Result<usize, Fault> {
        let known = self.places.iter().position(|place| place.subnet == subnet);
        known.ok_or_else(|| Fault::new("InvalidSubnetID.NotFound", format!("The subnet ID '{subnet}' does not exist")))
    }

    /// The place of a zone's name.
    pub(super) fn place_of_zone(&self, zone: &str) -> Result<usize, Fault> {
        let known = self.places.iter().position(|place| place.zone == zone);
        known.ok_or_else(|| Fault::new("InvalidParameterValue", format!("Invalid availability zone: [{zone}]")))
    }

    pub(super) fn describe_availability_zones(&self, mut params: Params) -> Result<Xml, Fault> {
        let names = params.list("ZoneName")?;
        let ids = params.list("ZoneId")?;
        let filters = Filter::take(&mut params, &["zone-name", "zone-id", "region-name", "state", "zone-type"])?;
        params.ignore(&["AllAvailabilityZones"]);
        params.finish_request()?;
        for name in &names {
            self.place_of_zone(name)?;
        }
        if let Some(id) = ids.iter().find(|id| self.places.iter().all(|place| place.zone_id != **id)) {
            return Err(Fault::new("InvalidParameterValue", format!("Invalid availability zone-id: [{id}]")));
        }
        let shown = self.places.iter().filter(|place| {
            let value = |name: &str| match name {
                "zone-name" => &place.zone,
                "zone-id" => &place.zone_id,
                "region-name" => &self.config.region,
                "state" => "available",
                _ => "availability-zone",
            };
            (names.is_empty() || names.contains(&place.zone))
                && (ids.is_empty() || ids.contains(&place.zone_id))
                && filters.iter().all(|filter| filter.accepts(value(&filter.name)))
        });
        let mut xml = Xml::default();
        xml.items("availabilityZoneInfo", shown, |item, place| {
            item.text("zoneName", &place.zone);
            item.text("zoneState", "available");
            item.text("regionName", &self.config.region);
            item.node("messageSet", |_| {});
            item.text("optInStatus", "opt-in-not-required");
            item.text("zoneId", &place.zone_id);
            item.text("groupName", format!("{}-zg-1", self.config.region));
            item.text("networkBorderGroup", &self.config.region);
            item.text("zoneType", "availability-zone");
        });
        Ok(xml)
    }

    pub(super) fn describe_subnets(&self, mut params: Params) -> Result<Xml, Fault> {
        let ids = params.list("SubnetId")?;
        let known = ["availability-zone", "availabilityZone", "availability-zone-id", "subnet-id", "vpc-id", "state"];
        let filters = Filter::take(&mut params, &known)?;
        let page = super::page::Page::take(&mut params, !ids.is_empty(), "subnetIds", 5, 1000)?;
        params.finish_request()?;
        for id in &ids {
            self.place_of_subnet(id)?;
        }
        let shown = self.places.iter().enumerate().filter(|(_, place)| {
            let value = |name: &str| match name {
                "availability-zone" | "availabilityZone" => place.zone.as_str(),
                "availability-zone-id" => &place.zone_id,
                "subnet-id" => &place.subnet,
                "vpc-id" => VPC,
                _ => "available",
            };
            (ids.is_empty() || ids.contains(&place.subnet))
                && filters.iter().all(|filter| filter.accepts(value(&filter.name)))
        });
        let (shown, next) = page.cut(shown, self.config.settings.page_size);
        let mut xml = Xml::default();
        xml.items("subnetSet", shown, |item, place| {
            item.text("subnetId", &place.subnet);
            item.text("state", "available");
            item.text("ownerId", &self.config.account);
            item.text("vpcId", VPC);
            item.text("cidrBlock", place.block());
            item.text("availableIpAddressCount", SUBNET_ADDRESSES - FIRST_ADDRESS - 1);
            item.text("availabilityZone", &place.zone);
            item.text("availabilityZoneId", &place.zone_id);
            item.text("defaultForAz", true);
            item.text("mapPublicIpOnLaunch", false);
            item.tags(&crate::query::Texts::new());
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }
}
