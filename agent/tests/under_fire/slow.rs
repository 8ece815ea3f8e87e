//! Callers that take their time.

use std::net::Ipv4Addr;

use monitor_c::connections::MAX_CONNECTIONS;
use muster_proto::v1::PingRequest;
use tokio::io::AsyncWriteExt;

use crate::fire::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, PING_CALL, Target, call, frame, header, hears, hello, message,
};
use crate::support::Outcome;

#[tokio::test]
async fn one_byte_at_a_time() -> Outcome {
    let target = Target::start().await?;
    let call = [call(PING_CALL), header("x", "y")].concat();
    let said =
        [hello(&[]), frame(HEADERS, END_HEADERS, 1, &call), frame(DATA, 0, 1, &message(1_000, &[0; 100]))].concat();
    let attack = async {
        let mut slow = Vec::new();
        for _ in 0..100 {
            slow.push(target.connect().await?);
        }
        for byte in &said {
            for stream in &mut slow {
                // Closed by the agent, perhaps: a call has its deadline.
                let _ = stream.write_all(&[*byte]).await;
            }
        }
        Ok(slow)
    };
    target.endures(attack).await
}

#[tokio::test]
async fn calls_that_end_byte_by_byte_are_answered_at_their_end() -> Outcome {
    let target = Target::start().await?;
    let mut stream = target.connect().await?;
    let said =
        [hello(&[]), frame(HEADERS, END_HEADERS, 1, &call(PING_CALL)), frame(DATA, END_STREAM, 1, &message(0, b""))]
            .concat();
    for byte in said {
        stream.write_all(&[byte]).await?;
        tokio::task::yield_now().await;
    }
    let boot_id =
        target.client().await?.ping(PingRequest::default()).await?.into_inner().status.unwrap_or_default().boot_id;
    assert!(hears(&mut stream, boot_id.as_bytes()).await?);
    Ok(())
}

#[tokio::test]
async fn those_who_chatter_on_every_connection_keep_nobody_at_another_address_out() -> Outcome {
    let target = Target::start().await?;
    // Every one of them has been heard later than the monitor, whenever room is made.
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..200 {
            let mut stream = target.connect_from(Ipv4Addr::new(127, 0, 0, 2)).await?;
            stream.write_all(&hello(&[])).await?;
            held.push(stream);
            for stream in held.iter_mut().rev().take(MAX_CONNECTIONS) {
                let _ = stream.write_all(&frame(PING, 0, 0, b"here I'm")).await;
            }
        }
        Ok(held)
    };
    target.endures_unbroken(attack).await
}
