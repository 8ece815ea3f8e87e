//! EC2, SSM and CloudFormation, against servers of our own: an EC2 that keeps EC2's rules (`against_ec2`), and a stub that gives one
//! answer, for what no such EC2 says: torn answers, odd ones, none.

mod against_ec2;
mod deadlines;
mod ending;
mod errors;
mod launching;
mod marking;
mod policy;
mod reading;
mod stacks;
mod stub;
