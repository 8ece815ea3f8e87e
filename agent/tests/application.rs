//! The probe of the application against small servers, good and bad.

use std::error::Error;
use std::ops::RangeInclusive;
use std::time::Duration;

use monitor_c::application::{Failure, MAX_BODY_BYTES, Probe, Prober};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Never reached: every case ends by what the server does.
const LONG: Duration = Duration::from_secs(60);

/// What a server does with a connection once the request is there.
#[derive(Clone)]
enum Manner {
    /// Writes the pieces and closes.
    Say(Vec<String>),
    /// Writes the text, then nothing more, and keeps the connection.
    Hang(String),
    /// Writes a body until the other side has had enough.
    Flood,
}

fn response(status: &str, headers: &str, body: &str) -> Manner {
    let length = body.len();
    Manner::Say(vec![format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}")])
}

async fn answer(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    let mut request = [0; 4096];
    stream.read(&mut request).await.map(drop)?;
    match manner {
        Manner::Say(pieces) => {
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
            stream.shutdown().await?;
        }
        Manner::Hang(text) => stream.write_all(text.as_bytes()).await?,
        Manner::Flood => {
            stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await?;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
    }
    // Until the other side has gone.
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

/// A server with one manner: its URL, and a message for every connection that has ended.
async fn server(manner: Manner) -> Result<(String, mpsc::UnboundedReceiver<()>), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (ended, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // However it ended: the other side may have cut it short.
            let _ = answer(stream, manner.clone()).await;
            let _ = ended.send(());
        }
    });
    Ok((url, seen))
}

async fn ask(
    url: &str,
    deadline: Duration,
    status: RangeInclusive<u16>,
    body: Option<&str>,
) -> Result<Result<(), Failure>, Box<dyn Error>> {
    let (url, body) = (url.parse()?, body.map(str::to_owned));
    let probe = Probe { url, deadline, interval: LONG, status, body };
    Ok(Prober::new(probe)?.ask().await)
}

#[tokio::test]
async fn answers() -> Result<(), Box<dyn Error>> {
    let ok = || response("200", "", "all is well");
    let split =
        Manner::Say(["HTTP/1.1 200 X\r\nContent-Length: 11\r\n\r\nall ", "is we", "ll"].map(String::from).into());
    let late = |before: usize| response("200", "", &format!("{}well", "x".repeat(before)));
    let cases = [
        ("healthy", ok(), 200..=399, None, Ok(())),
        ("exact status", response("204", "", ""), 204..=204, None, Ok(())),
        ("other status", ok(), 204..=204, None, Err(Failure::Status(200))),
        ("broken inside", response("503", "", "all is well"), 200..=399, Some("well"), Err(Failure::Status(503))),
        ("body", ok(), 200..=399, Some("is well"), Ok(())),
        ("body in pieces", split, 200..=399, Some("is well"), Ok(())),
        ("other body", ok(), 200..=399, Some("unwell"), Err(Failure::Body)),
        ("empty body", response("200", "", ""), 200..=399, Some("well"), Err(Failure::Body)),
        ("text at the limit", late(MAX_BODY_BYTES - 4), 200..=399, Some("well"), Ok(())),
        ("text past the limit", late(MAX_BODY_BYTES - 3), 200..=399, Some("well"), Err(Failure::Body)),
        ("not HTTP", Manner::Say(vec!["SSH-2.0-x\r\n".into()]), 200..=399, None, Err(Failure::Broken)),
        ("nothing", Manner::Say(vec![]), 200..=399, None, Err(Failure::Broken)),
        (
            "cut short",
            Manner::Say(vec!["HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\nall".into()]),
            200..=399,
            Some("well"),
            Err(Failure::Broken),
        ),
    ];
    for (name, manner, status, body, expected) in cases {
        let (url, _) = server(manner).await?;
        assert_eq!(ask(&url, LONG, status, body).await?, expected, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn silence_ends_at_the_deadline() -> Result<(), Box<dyn Error>> {
    let deadline = Duration::from_millis(50);
    let head = "HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\nall";
    for (said, body) in [("", None), ("HTTP/1.1 200", None), (head, Some("well"))] {
        let (url, mut ended) = server(Manner::Hang(said.into())).await?;
        let found = ask(&url, deadline, 200..=399, body).await?;
        assert_eq!(found, Err(Failure::Deadline(deadline)), "{said:?}");
        assert_eq!(timeout(LONG, ended.recv()).await?, Some(()), "the connection is given up");
    }
    Ok(())
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_the_limit() -> Result<(), Box<dyn Error>> {
    let (url, mut ended) = server(Manner::Flood).await?;
    assert_eq!(ask(&url, LONG, 200..=399, Some("well")).await?, Err(Failure::Body));
    assert_eq!(timeout(LONG, ended.recv()).await?, Some(()), "the connection is given up");
    Ok(())
}

#[tokio::test]
async fn redirects_are_not_followed() -> Result<(), Box<dyn Error>> {
    let (elsewhere, mut visits) = server(response("200", "", "")).await?;
    let (url, _) = server(response("302", &format!("Location: {elsewhere}\r\n"), "")).await?;
    assert_eq!(ask(&url, LONG, 200..=399, None).await?, Ok(()), "a redirect is an answer");
    assert_eq!(ask(&url, LONG, 200..=299, None).await?, Err(Failure::Status(302)));
    assert!(visits.try_recv().is_err(), "nobody came");
    Ok(())
}

#[tokio::test]
async fn nobody_listens() -> Result<(), Box<dyn Error>> {
    // A bound socket that does not listen refuses, and nobody else can take its port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let url = format!("http://{}/", socket.local_addr()?);
    assert_eq!(ask(&url, LONG, 200..=399, None).await?, Err(Failure::Connect));
    Ok(())
}
