//! Callers that want the agent to hold much for them.

use muster_proto::v1::RegisterRequest;
use tokio::io::AsyncWriteExt;
use tonic::Code;

use crate::fire::{
    DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW, PING_CALL, Target, WINDOW_UPDATE, call, closes, echoes,
    frame, header, message, pours, streams,
};
use crate::support::Outcome;

/// As many streams as it may.
const MAX_STREAMS: u32 = 8;

/// Streams that a greedy caller opens on a connection, more than it may.
const STREAMS: u32 = 40;

/// Connections that it opens, more than it may.
const CONNECTIONS: usize = 90;

/// The largest frame that nobody has to agree to.
const MAX_FRAME_BYTES: usize = 16 << 10;

/// Opens its connections and says `what` on each, without waiting for an answer.
async fn greed(settings: &[(u16, u32)], what: &[u8]) -> Outcome {
    let target = Target::start().await?;
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = target.speak(settings).await?;
            // Closed by the agent, perhaps.
            let _ = stream.write_all(what).await;
            held.push(stream);
        }
        Ok(held)
    };
    target.endures(attack).await
}

#[tokio::test]
async fn idle_connections() -> Outcome {
    let target = Target::start().await?;
    let attack = async {
        let mut held = Vec::new();
        for number in 0..500 {
            held.push(if number % 2 == 0 { target.connect().await? } else { target.speak(&[]).await? });
        }
        Ok(held)
    };
    target.endures(attack).await
}

#[tokio::test]
async fn a_message_of_which_100_mb_are_announced() -> Outcome {
    let begun = |stream| {
        let head = message(100 << 20, &[0; 8 << 10]);
        [frame(HEADERS, END_HEADERS, stream, &call(PING_CALL)), frame(DATA, 0, stream, &head)].concat()
    };
    greed(&[], &streams(5).flat_map(begun).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn a_message_of_8_mb() -> Outcome {
    let target = Target::start().await?;
    let attack = async {
        let mut client = target.client().await?;
        for _ in 0..10 {
            let request =
                RegisterRequest { monitor: "x".repeat(8 << 20), lease_ms: 1_000, ..RegisterRequest::default() };
            let refused = client.register(request).await.expect_err("more than may be read");
            assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        }
        Ok(())
    };
    target.endures(attack).await
}

#[tokio::test]
async fn data_beyond_every_window() -> Outcome {
    let target = Target::start().await?;
    let begun = frame(HEADERS, END_HEADERS, 1, &call(PING_CALL));
    let data =
        [frame(DATA, 0, 1, &message(8 << 20, b"")), frame(DATA, 0, 1, &[0; MAX_FRAME_BYTES]).repeat(512)].concat();
    let attack = async {
        for _ in 0..10 {
            let mut stream = target.speak(&[]).await?;
            pours(&mut stream, &[&begun[..], &data].concat()).await;
            closes(&mut stream).await?;
        }
        Ok(())
    };
    target.endures(attack).await
}

#[tokio::test]
async fn messages_that_lack_their_last_byte() -> Outcome {
    // As large as may be, on as many streams as the first window lets through before the agent has read.
    let begun = |stream| {
        let most = message(16 << 10, &vec![0; MAX_FRAME_BYTES - 6]);
        [frame(HEADERS, END_HEADERS, stream, &call(PING_CALL)), frame(DATA, 0, stream, &most)].concat()
    };
    let target = Target::start().await?;
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = target.speak(&[]).await?;
            for number in streams(MAX_STREAMS) {
                // The window is wide again once the agent has taken what was sent.
                if stream.write_all(&begun(number)).await.is_err() || !echoes(&mut stream).await? {
                    break;
                }
            }
            held.push(stream);
        }
        Ok(held)
    };
    target.endures(attack).await
}

#[tokio::test]
async fn as_many_headers_as_may_be_on_every_stream() -> Outcome {
    // Nearly 4 kB as HTTP/2 counts them, 32 bytes for each beside its text: as many as fit are as small as can be.
    let small: Vec<u8> = (0..90).flat_map(|number| header(&format!("x{number}"), "")).collect();
    let begun = |stream| frame(HEADERS, END_HEADERS, stream, &[call(PING_CALL), small.clone()].concat());
    greed(&[], &streams(STREAMS).flat_map(begun).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn headers_beyond_the_limit() -> Outcome {
    let large: Vec<u8> = (0..14).flat_map(|number| header(&format!("x{number}"), &"y".repeat(1_000))).collect();
    let begun = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &[call(PING_CALL), large.clone()].concat());
    greed(&[], &streams(STREAMS).flat_map(begun).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn answers_that_nobody_reads() -> Outcome {
    let asked = |stream| {
        [frame(HEADERS, END_HEADERS, stream, &call(PING_CALL)), frame(DATA, END_STREAM, stream, &message(0, b""))]
            .concat()
    };
    greed(&[(INITIAL_WINDOW, 0)], &streams(STREAMS).flat_map(asked).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn answers_without_end_that_nobody_reads() -> Outcome {
    // Reflection answers each message of a call with kilobytes: the descriptors of a whole service.
    let symbol = "muster.v1.MonitorC";
    let ask = [&[0x22, u8::try_from(symbol.len())?], symbol.as_bytes()].concat();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let asked = |stream| {
        let asks = message(u32::try_from(ask.len()).expect("short"), &ask).repeat(50);
        [frame(HEADERS, END_HEADERS, stream, &call(path)), frame(DATA, 0, stream, &asks)].concat()
    };
    greed(&[(INITIAL_WINDOW, 0)], &streams(STREAMS).flat_map(asked).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn answers_that_the_windows_allow_and_the_socket_does_not() -> Outcome {
    // Every window as wide as can be, and nothing read: what the agent sends stays with it.
    let wide = frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
    let symbol = "muster.v1.MonitorC";
    let ask = [&[0x22, u8::try_from(symbol.len())?], symbol.as_bytes()].concat();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let asked = |stream| {
        let asks = message(u32::try_from(ask.len()).expect("short"), &ask).repeat(50);
        [frame(HEADERS, END_HEADERS, stream, &call(path)), frame(DATA, 0, stream, &asks)].concat()
    };
    let all = streams(STREAMS).flat_map(asked);
    greed(&[(INITIAL_WINDOW, 0x7fff_ffff)], &wide.into_iter().chain(all).collect::<Vec<_>>()).await
}
