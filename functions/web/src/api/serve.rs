//! The server: connections of HTTP/1.1, so many at a time, none of which may take for ever to say what it wants.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// How long a connection has for a request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted: there may be no descriptor left.
const AFTER_A_FAILURE: Duration = Duration::from_millis(50);

/// Serves `router` until `end`. What is being answered then is cut.
pub async fn serve(listener: TcpListener, router: Router, end: impl Future<Output = ()> + Send) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut end = pin!(end);
    let accept = async {
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(AFTER_A_FAILURE).await;
                continue;
            };
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WITHIN)
                    .serve_connection(TokioIo::new(stream), service);
                // A connection that breaks is its other end's affair.
                let _broken: Result<(), hyper::Error> = connection.await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = &mut end => {}
    }
}
