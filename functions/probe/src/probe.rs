//! The two passes of a look.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use muster_control::ports::{AgentProbe, Clock, Probed, Target};
use muster_core::health::{Answer, Observation};
use muster_core::member::InstanceId;
use muster_core::time::{millis, spoken};
use tokio::time::{Instant, timeout_at};
use tonic::codegen::http::Uri;

use crate::connection::{Connect, Connection, Tcp};
use crate::failure::{Failure, excerpt};
use crate::lag::Lag;
use crate::settings::Settings;
use crate::visit::Visit;

/// The agents of the real world, over gRPC.
///
/// Connections of agents that answered are kept for the next look, and only for the targets of the last one: a probe for
/// each group and shard keeps them best. Needs a tokio runtime with I/O and time; one thread is enough.
#[derive(Debug)]
pub struct GrpcProbe<C, N = Tcp> {
    network: N,
    clock: C,
    settings: Settings,
    kept: Mutex<Kept>,
}

type Kept = BTreeMap<SocketAddr, Connection>;

/// How a visit ended; the connection comes back when it has carried a whole visit.
struct Visited<'a> {
    target: &'a Target,
    outcome: Result<Answer, Failure>,
    connection: Option<(SocketAddr, Connection)>,
}

/// What is known so far.
#[derive(Default)]
struct Look {
    observations: BTreeMap<InstanceId, Observation>,
    kept: Kept,
    /// Evidence about ourselves.
    ourselves: BTreeSet<String>,
    /// Evidence about our ways to single addresses.
    routes: BTreeSet<String>,
}

impl<C: Clock> GrpcProbe<C> {
    /// A probe that takes the time at which an answer is received from `clock`.
    pub fn new(clock: C, settings: Settings) -> Self {
        Self::over(Tcp, clock, settings)
    }
}

impl<C: Clock, N: Connect> GrpcProbe<C, N> {
    /// A probe over another network than this machine's.
    pub fn over(network: N, clock: C, settings: Settings) -> Self {
        Self { network, clock, settings, kept: Mutex::default() }
    }

    /// How many connections are kept for the next look.
    pub fn connections(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn exchange_kept(&self, kept: Kept) -> Kept {
        std::mem::replace(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner), kept)
    }

    /// Everybody once, then once more those that failed, over connections that were not there before: a connection that
    /// broke since the last look, or a packet that was lost, must not make a healthy agent look dead.
    async fn look(&self, targets: &[Target]) -> Look {
        let mut look = Look::default();
        let failed = self.pass(targets.iter().collect(), self.exchange_kept(Kept::new()), &mut look).await;
        self.pass(failed, Kept::new(), &mut look).await;
        look
    }

    /// Visits `targets`, as many at once as there are permits; those that failed come back.
    async fn pass<'a>(&self, targets: Vec<&'a Target>, mut kept: Kept, look: &mut Look) -> Vec<&'a Target> {
        let mut waiting = targets.into_iter();
        let mut active = FuturesUnordered::new();
        let mut failed = Vec::new();
        loop {
            while active.len() < self.settings.permits.max(1) {
                let Some(target) = waiting.next() else { break };
                let address = address(&target.endpoint);
                let kept = address.as_ref().ok().and_then(|address| kept.remove(address));
                active.push(self.visit(target, address, kept));
            }
            let Some(visited) = active.next().await else { return failed };
            if visited.outcome.is_err() {
                failed.push(visited.target);
            }
            look.note(visited);
        }
    }

    /// One visit; its deadline starts here.
    async fn visit<'a>(
        &self,
        target: &'a Target,
        address: Result<SocketAddr, Failure>,
        kept: Option<Connection>,
    ) -> Visited<'a> {
        let failed = |failure| Visited { target, outcome: Err(failure), connection: None };
        let deadline = Instant::now() + self.settings.deadline;
        let within = spoken(self.settings.deadline);
        let (address, origin) = match address.and_then(|address| Ok((address, origin(address)?))) {
            Ok(known) => known,
            Err(failure) => return failed(failure),
        };
        let connection = match kept.filter(|kept| !kept.has_ended()) {
            Some(kept) => {
                kept.renew();
                kept
            }
            None => match timeout_at(deadline, Connection::open(&self.network, address)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(failure)) => return failed(failure),
                Err(_) => return failed(Failure::Unreachable(format!("no connection within {within}"))),
            },
        };
        let mut seen = None;
        let said = Visit::new(connection.clone(), origin, target, &self.clock).pay(&mut seen);
        let ended = timeout_at(deadline, said)
            .await
            .unwrap_or_else(|_| Err(Failure::Unreachable(format!("no answer within {within}"))));
        match (ended, seen) {
            (Ok(()), Some(answer)) => Visited { target, outcome: Ok(answer), connection: Some((address, connection)) },
            // What failed came after the answer; the next sweep says it again.
            (Err(_), Some(answer)) => Visited { target, outcome: Ok(answer), connection: None },
            (Err(failure), None) => failed(failure),
            (Ok(()), None) => failed(Failure::BadAnswer("no answer".to_owned())),
        }
    }
}

impl<C: Clock, N: Connect> AgentProbe for GrpcProbe<C, N> {
    async fn probe(&self, targets: &[Target]) -> Probed {
        let lag = Lag::start();
        let mut look = tokio::select! {
            biased;
            never = lag.watch() => match never {},
            look = self.look(targets) => look,
        };
        let lag = lag.largest();
        if lag > self.settings.lag_limit {
            look.ourselves.insert(format!("our own event loop was {} ms late", millis(lag)));
        }
        self.exchange_kept(std::mem::take(&mut look.kept));
        look.into_probed()
    }
}

impl Look {
    fn note(&mut self, visited: Visited<'_>) {
        self.kept.extend(visited.connection);
        match &visited.outcome {
            Err(Failure::Ourselves(evidence)) => drop(self.ourselves.insert(evidence.clone())),
            Err(Failure::NoRoute(evidence)) => drop(self.routes.insert(evidence.clone())),
            Ok(_) | Err(Failure::Unreachable(_) | Failure::Refused | Failure::BadAnswer(_)) => {}
        }
        let observation = match visited.outcome {
            Ok(answer) => Observation::Answered(answer),
            Err(failure) => failure.into(),
        };
        self.observations.insert(visited.target.id.clone(), observation);
    }

    /// Evidence about ourselves makes every silence unknown, a refusal and a bad answer too: whoever was asked by a monitor
    /// in trouble is held nothing against. Answers stay answers. A missing way to some says nothing about the others, unless
    /// nobody at all has answered: then the way out is missing.
    fn into_probed(self) -> Probed {
        let Self { mut observations, mut ourselves, routes, .. } = self;
        if !observations.values().any(|seen| matches!(seen, Observation::Answered(_))) {
            ourselves.extend(routes);
        }
        if ourselves.is_empty() {
            return Probed { observations, blind: None };
        }
        for observation in observations.values_mut() {
            if !matches!(observation, Observation::Answered(_)) {
                *observation = Observation::Unknown;
            }
        }
        Probed { observations, blind: Some(ourselves.into_iter().collect::<Vec<_>>().join("; ")) }
    }
}

/// The address that an endpoint names, of one host and one port. What is none would look like trouble of our own.
fn address(endpoint: &str) -> Result<SocketAddr, Failure> {
    let not_one = || Failure::BadAnswer(format!("the endpoint {:?} is not address:port", excerpt(endpoint)));
    let address: SocketAddr = endpoint.parse().map_err(|_| not_one())?;
    let broadcast = matches!(address.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() || broadcast {
        return Err(not_one());
    }
    Ok(address)
}

fn origin(address: SocketAddr) -> Result<Uri, Failure> {
    let origin = format!("http://{address}");
    origin.parse().map_err(|_| Failure::BadAnswer(format!("the endpoint {address} cannot be asked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_of_one_host_and_a_port() {
        for good in ["127.0.0.1:80", "[::1]:65535", "10.0.0.1:50051"] {
            assert!(address(good).is_ok_and(|address| origin(address).is_ok()), "{good}");
        }
        for wrong in
            ["", "localhost:80", "127.0.0.1", "127.0.0.1:0", "0.0.0.0:80", "255.255.255.255:80", "224.0.0.1:80", "a b"]
        {
            assert!(matches!(address(wrong), Err(Failure::BadAnswer(_))), "{wrong}");
        }
    }
}
