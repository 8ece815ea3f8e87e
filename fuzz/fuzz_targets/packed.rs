//! Packed sweeps, as another version or a broken disk may have written them: the length of a base, a base in JSON, and columns
//! that stand on it. Both are deflated here, since hardly any bytes are a stream; the rest is also read as it is.
//!
//! Nothing panics or takes more memory than members do (S11), and the members that come out can be packed again.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use libfuzzer_sys::fuzz_target;
use muster_control::packed::{self, Base, PackedError};
use muster_core::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const FORMAT: u8 = 1;

fuzz_target!(|input: &[u8]| {
    drop(Base::from_bytes(input));
    let Some((length, rest)) = input.split_first_chunk() else { return };
    let Some((base, columns)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else { return };
    let Ok(base) = Base::from_bytes(&deflated(base)) else { return };
    drop(packed::unpack(&base, columns, NOW));
    let disguised = [&[FORMAT], deflated(columns).as_slice()].concat();
    let Ok(members) = packed::unpack(&base, &disguised, NOW) else { return };
    let again = match packed::pack(&base, &members, NOW) {
        // Written out, few bytes of a hostile base are more than members ever have.
        Err(PackedError::TooLarge) => return,
        packed => packed.expect("what was read can be packed"),
    };
    assert_eq!(packed::unpack(&base, &again, NOW).expect("what was packed"), members);
    let own = match Base::of(&members) {
        Err(PackedError::TooLarge) => return,
        base => base.expect("what was read can be a base"),
    };
    let onto_itself = packed::pack(&own, &members, NOW).expect("what was read can be packed");
    assert_eq!(packed::unpack(&own, &onto_itself, NOW).expect("what was packed"), members);
});

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("it is memory");
    encoder.finish().expect("it is memory")
}
