//! What is no HTTP/2, or not for long.

use fastrand::Rng;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fire::{
    Attempt, CONTINUATION, DATA, END_HEADERS, HEADERS, PING, SETTINGS, Target, WINDOW_UPDATE, call, closes, frame,
    hello, pours,
};
use crate::support::Outcome;

const PREFACE_BYTES: usize = 24;

fn noise(random: &mut Rng, bytes: usize) -> Vec<u8> {
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

#[tokio::test]
async fn garbage_instead_of_http2_is_closed() -> Outcome {
    let target = Target::start().await?;
    let mut random = Rng::with_seed(1);
    let attack = async {
        let mut wrong: Vec<Vec<u8>> = (0..60).map(|length| noise(&mut random, 64 << (length % 8))).collect();
        wrong.push(b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n".into());
        wrong.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20));
        wrong.push(vec![0; 1 << 20]);
        wrong.push(vec![0xff; 1 << 20]);
        for wrong in wrong {
            let mut stream = target.connect().await?;
            pours(&mut stream, &wrong).await;
            closes(&mut stream).await?;
        }
        Ok(())
    };
    target.endures(attack).await
}

#[tokio::test]
async fn a_preface_that_does_not_end_keeps_nobody_out() -> Outcome {
    let target = Target::start().await?;
    let attack = async {
        let mut held: Vec<TcpStream> = Vec::new();
        for length in 0..400 {
            let mut stream = target.connect().await?;
            stream.write_all(&hello(&[])[..length % PREFACE_BYTES]).await?;
            held.push(stream);
        }
        Ok(held)
    };
    target.endures(attack).await
}

#[tokio::test]
async fn garbage_frames_end_their_connection_alone() -> Outcome {
    let target = Target::start().await?;
    let mut random = Rng::with_seed(2);
    let attack = async {
        for kind in (0..=12).chain([200, 255]) {
            for flags in [0, 1, 4, 5, 0xff] {
                for stream in [0, 1, 2, 0x7fff_ffff, 0xffff_ffff] {
                    let length = random.usize(..64);
                    let wrong = frame(kind, flags, stream, &noise(&mut random, length));
                    attempt(&target, &wrong).await?;
                }
            }
        }
        Ok(())
    };
    target.endures(attack).await
}

#[tokio::test]
async fn frames_where_they_do_not_belong_end_their_connection_alone() -> Outcome {
    let target = Target::start().await?;
    let window = |by: u32| frame(WINDOW_UPDATE, 0, 0, &by.to_be_bytes());
    let attack = async {
        for wrong in [
            frame(DATA, 0, 1, b"of a stream that is not open"),
            frame(CONTINUATION, END_HEADERS, 1, b""),
            [frame(HEADERS, 0, 1, &call("/")), frame(PING, 0, 0, &[0; 8])].concat(),
            frame(HEADERS, END_HEADERS, 1, &[0xff; 64]),
            frame(HEADERS, END_HEADERS, 2, &call("/")),
            frame(SETTINGS, 0, 0, &[0; 5]),
            frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
            frame(PING, 0, 0, &[0; 7]),
            window(0),
            window(0x7fff_ffff),
            // A length that no frame may have.
            vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1],
        ] {
            let mut stream = target.speak(&[]).await?;
            pours(&mut stream, &wrong).await;
            closes(&mut stream).await?;
        }
        Ok(())
    };
    target.endures(attack).await
}

/// Says `wrong` after a good beginning, and goes; whether the agent closes first is up to it.
async fn attempt(target: &Target, wrong: &[u8]) -> Attempt<()> {
    let mut stream = target.speak(&[]).await?;
    pours(&mut stream, wrong).await;
    Ok(())
}
