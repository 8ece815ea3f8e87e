//! What an instance costs: a few common types, so that a backtest can speak of money without asking anybody.

/// Where the prices come from, for whoever reads them.
pub const SOURCE: &str = "on-demand, Linux, us-east-1, June 2026, https://aws.amazon.com/ec2/pricing/on-demand/";
/// Hours in a month, as the AWS Pricing Calculator has them. <https://calculator.aws/>
pub const HOURS_A_MONTH: f64 = 730.0;

/// US dollars an hour, on demand, Linux, us-east-1. Within a family the price goes with the size.
const PRICES: [(&str, f64); 22] = [
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.medium", 0.0416),
    ("t3.large", 0.0832),
    ("t3.xlarge", 0.1664),
    ("t4g.small", 0.0168),
    ("t4g.medium", 0.0336),
    ("t4g.large", 0.0672),
    ("m5.large", 0.096),
    ("m5.xlarge", 0.192),
    ("m6i.large", 0.096),
    ("m6i.xlarge", 0.192),
    ("m7g.large", 0.0816),
    ("m7g.xlarge", 0.1632),
    ("m7i.large", 0.1008),
    ("m7i.xlarge", 0.2016),
    ("c5.large", 0.085),
    ("c5.xlarge", 0.17),
    ("c6i.large", 0.085),
    ("c6i.xlarge", 0.17),
    ("c7g.large", 0.0725),
    ("c7g.xlarge", 0.145),
];

/// What an instance of that type costs an hour, if it is among those that are known.
pub fn of(instance_type: &str) -> Option<f64> {
    PRICES.iter().find(|(known, _)| *known == instance_type).map(|(_, price)| *price)
}

/// The types that are known.
pub fn known() -> impl Iterator<Item = &'static str> {
    PRICES.iter().map(|(known, _)| *known)
}
