//! Frames that cost their sender nothing.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fire::{
    Attempt, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PING_CALL, RST_STREAM, SETTINGS, Target,
    WINDOW_UPDATE, call, frame, header, message, pours,
};
use crate::support::Outcome;

/// Bytes of one flood.
const FLOOD_BYTES: usize = 1 << 20;

/// Connections that flood at once.
const FLOODS: usize = 4;

/// `what` over and over, on connections of its own; an agent that has enough may close them.
async fn flood(what: Vec<u8>) -> Outcome {
    let target = Target::start().await?;
    let what = what.repeat((FLOOD_BYTES / what.len()).max(1));
    let one = async || -> Attempt<TcpStream> {
        let mut stream = target.speak(&[]).await?;
        pours(&mut stream, &what).await;
        Ok(stream)
    };
    let attack = async {
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        let held: [_; FLOODS] = [a?, b?, c?, d?];
        Ok(held)
    };
    target.endures(attack).await
}

#[tokio::test]
async fn endless_pings() -> Outcome {
    flood(frame(PING, 0, 0, b"whatever")).await
}

#[tokio::test]
async fn endless_settings() -> Outcome {
    flood(frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])).await
}

#[tokio::test]
async fn endless_window_updates() -> Outcome {
    // Beyond 2^31 - 1 the connection would end: it is as long as it can be.
    flood(frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())).await
}

#[tokio::test]
async fn endless_unknown_frames() -> Outcome {
    flood(frame(200, 0xff, 0, &[7; 100])).await
}

#[tokio::test]
async fn calls_that_are_reset_as_soon_as_they_are_made() -> Outcome {
    let call = call(PING_CALL);
    let pair = |number: u32| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END_HEADERS, stream, &call), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    flood((0..15_000).flat_map(pair).collect()).await
}

#[tokio::test]
async fn calls_without_end_that_nobody_waits_for() -> Outcome {
    let call = call(PING_CALL);
    let whole = |number: u32| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END_HEADERS, stream, &call), frame(DATA, END_STREAM, stream, &message(0, b""))].concat()
    };
    flood((0..15_000).flat_map(whole).collect()).await
}

#[tokio::test]
async fn calls_that_break_their_own_streams() -> Outcome {
    // A window update of 0 is an error of the stream, for which the agent has to reset it.
    let call = call(PING_CALL);
    let broken = |number: u32| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END_HEADERS, stream, &call), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    };
    flood((0..15_000).flat_map(broken).collect()).await
}

#[tokio::test]
async fn headers_that_never_end() -> Outcome {
    let begun = frame(HEADERS, 0, 1, &call(PING_CALL));
    let more = frame(CONTINUATION, 0, 1, &header("x-more", &"y".repeat(1_000)));
    flood([begun, more.repeat(2_000)].concat()).await
}

#[tokio::test]
async fn continuations_without_a_byte() -> Outcome {
    let begun = frame(HEADERS, 0, 1, &call(PING_CALL));
    flood([begun, frame(CONTINUATION, 0, 1, b"").repeat(100_000)].concat()).await
}

#[tokio::test]
async fn data_without_a_byte() -> Outcome {
    let begun = frame(HEADERS, END_HEADERS, 1, &call(PING_CALL));
    flood([begun, frame(DATA, 0, 1, b"").repeat(100_000)].concat()).await
}

#[tokio::test]
async fn data_without_a_byte_on_a_stream_that_has_been_answered() -> Outcome {
    let begun = frame(HEADERS, END_HEADERS, 1, &call("/grpc.health.v1.Health/Watch"));
    flood([begun, frame(DATA, 0, 1, &message(0, b"")), frame(DATA, 0, 1, b"").repeat(100_000)].concat()).await
}

#[tokio::test]
async fn pings_whose_answers_nobody_reads() -> Outcome {
    let target = Target::start().await?;
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..20 {
            let stream = target.speak(&[]).await?;
            let flood = frame(PING, 0, 0, b"whatever").repeat(20_000);
            let mut at = 0;
            // As much as the way takes; then the agent has stopped reading.
            while at < flood.len() {
                match stream.try_write(&flood[at..]) {
                    Ok(written) => at += written,
                    Err(_) => break,
                }
                tokio::task::yield_now().await;
            }
            held.push(stream);
        }
        Ok(held)
    };
    target.endures(attack).await?;
    // Somebody who writes all the same is written off.
    let mut stream = target.speak(&[]).await?;
    Ok(stream.write_all(&frame(PING, 0, 0, b"the end.")).await?)
}
