//! How a visit can go wrong, and whose fault it is.

use std::error::Error;
use std::io;

use muster_control::chain::chain;
use muster_core::health::Observation;
use rustix::io::Errno;
use tonic::Status;

/// Characters of a foreign text that are kept.
const KEPT: usize = 120;

/// Why a visit gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer in time, or no way there.
    Unreachable(String),
    /// The host answered that nothing listens there.
    Refused,
    /// Something answered, but not as an agent does.
    BadAnswer(String),
    /// Our own machine could not even try: says nothing about the agent.
    Ourselves(String),
    /// Our own machine knows no way to this address: says nothing about the agent, nor about the others.
    NoRoute(String),
}

impl Failure {
    /// The failure of a connection that was not made.
    pub(crate) fn of_connecting(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::CONNREFUSED) => Self::Refused,
            Some(errno) if is_ours(errno) => Self::Ourselves(format!("connecting: {error}")),
            Some(errno) if is_the_routes(errno) => Self::NoRoute(format!("connecting: {error}")),
            _ => Self::Unreachable(format!("connecting: {error}")),
        }
    }

    /// The failure of a call: made here with the reason as its source, or sent by the agent without one.
    pub(crate) fn of_call(status: &Status) -> Self {
        let Some(source) = status.source() else {
            return Self::BadAnswer(excerpt(&format!("{:?}: {}", status.code(), status.message())));
        };
        if let Some(error) = in_chain::<io::Error>(source) {
            return match error.kind() {
                io::ErrorKind::OutOfMemory => Self::Ourselves(error.to_string()),
                io::ErrorKind::NetworkDown | io::ErrorKind::NetworkUnreachable => Self::NoRoute(error.to_string()),
                // What is no HTTP/2 at all is told as an error of the connection, too.
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    Self::BadAnswer(excerpt(&error.to_string()))
                }
                _ => Self::Unreachable(excerpt(&format!("the connection ended: {error}"))),
            };
        }
        match in_chain::<hyper::Error>(source) {
            Some(error) if error.is_closed() || error.is_canceled() => {
                Self::Unreachable("the connection ended".to_owned())
            }
            Some(error) => Self::BadAnswer(excerpt(&chain(error))),
            None => Self::BadAnswer(excerpt(&chain(source))),
        }
    }
}

impl From<Failure> for Observation {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(detail) => Self::Unreachable { detail },
            Failure::Refused => Self::Refused { detail: "connection refused".to_owned() },
            Failure::BadAnswer(detail) => Self::BadAnswer { detail },
            Failure::Ourselves(_) | Failure::NoRoute(_) => Self::Unknown,
        }
    }
}

/// Whether an error of `connect` is about this machine, whomever it asks: its descriptors, memory or ports.
const fn is_ours(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)
}

/// Whether an error of `connect` is about this machine's way to one address: its routes, address families or firewall. One
/// endpoint that cannot be routed to must not blind us for all others (V4).
const fn is_the_routes(errno: Errno) -> bool {
    matches!(errno, Errno::AFNOSUPPORT | Errno::NETUNREACH | Errno::NETDOWN | Errno::PERM | Errno::ACCESS)
}

/// The start of a foreign text: an agent that lies cannot fill our memory or the log.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(KEPT).collect()
}

fn in_chain<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_errors_of_our_own_machine_are_told_from_those_of_the_way_and_of_the_agent() {
        let of = |errno: Errno| Failure::of_connecting(&io::Error::from(errno));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL] {
            assert!(matches!(of(errno), Failure::Ourselves(_)), "{errno:?}");
        }
        for errno in [Errno::AFNOSUPPORT, Errno::NETUNREACH, Errno::NETDOWN, Errno::PERM, Errno::ACCESS] {
            assert!(matches!(of(errno), Failure::NoRoute(_)), "{errno:?}");
        }
        for errno in [Errno::HOSTUNREACH, Errno::TIMEDOUT, Errno::CONNRESET] {
            assert!(matches!(of(errno), Failure::Unreachable(_)), "{errno:?}");
        }
        assert_eq!(of(Errno::CONNREFUSED), Failure::Refused);
    }

    #[test]
    fn m7_a_status_of_the_agents_own_is_a_bad_answer_and_is_cut() {
        let status = Status::internal("x\n".repeat(1_000));
        let Failure::BadAnswer(detail) = Failure::of_call(&status) else { panic!("not a bad answer") };
        assert!(detail.starts_with("Internal: xxx"), "{detail}");
        assert_eq!(detail.len(), KEPT);
    }
}
