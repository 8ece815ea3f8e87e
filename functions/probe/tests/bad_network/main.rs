//! The probe and real agents across a bad network, simulated: the network and its time are turmoil's, and so seeded.
//!
//! What is asserted is what a look says: that who cannot be reached is silent and never a load, that nobody else pays for it,
//! and that whoever can be reached again answers in the next look. A failure names its seed.

mod agents;
mod chaos;
mod cuts;
mod peers;
mod world;
