//! The server: calls on `/`, the control API under `/_fake/`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::control;
use crate::shared::FakeEc2;

/// The largest body: what EC2 itself takes is far less.
const LARGEST_BODY: usize = 1 << 20;

/// Serves until it is dropped.
pub(crate) async fn serve(ec2: FakeEc2, listener: TcpListener) {
    let router = Router::new()
        .route("/", post(call).get(call))
        .route("/_fake/{*path}", any(control))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(ec2);
    let service = router.into_make_service_with_connect_info::<Cut>();
    // It ends only with its listener, which retries by itself.
    let _ended = axum::serve(Lines(listener), service).await;
}

async fn call(State(ec2): State<FakeEc2>, ConnectInfo(cut): ConnectInfo<Cut>, uri: Uri, body: Bytes) -> Response {
    let form = if body.is_empty() { Bytes::from(uri.query().unwrap_or_default().to_owned()) } else { body };
    // A task of its own: what is on its way is done, even when the caller has given up.
    let answer = tokio::spawn(async move { ec2.call_in_time(&form).await }).await;
    let Some(answer) = answer.ok().flatten() else {
        cut.0.store(true, Ordering::Relaxed);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = "text/xml;charset=UTF-8".to_owned();
    (status, [("x-amzn-requestid", answer.request), (header::CONTENT_TYPE.as_str(), kind)], answer.body).into_response()
}

async fn control(State(ec2): State<FakeEc2>, method: Method, Path(path): Path<String>, body: Bytes) -> Response {
    let (status, text) = match control::handle(&ec2, &method, &path, &body) {
        Ok(value) => (StatusCode::OK, value.to_string()),
        Err(error) => (error.status(), serde_json::json!({ "error": error.to_string() }).to_string()),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Connections that can be cut instead of answered: HTTP itself has no way to say nothing.
struct Lines(TcpListener);

/// Once true, the connection fails instead of writing.
#[derive(Clone, Debug, Default)]
struct Cut(Arc<AtomicBool>);

struct Line {
    stream: TcpStream,
    cut: Cut,
}

impl Listener for Lines {
    type Io = Line;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Line, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers go out at once.
        let _slower = stream.set_nodelay(true);
        (Line { stream, cut: Cut::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().cut.clone()
    }
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.cut.0.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
