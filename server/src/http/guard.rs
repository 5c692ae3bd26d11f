//! Bounds on callers: how many at once of each class, and how many refused log-ins of one address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::LimitClass;
use super::problem::Problem;

/// Addresses, and names with addresses, whose refused log-ins are remembered; the oldest minutes are
/// forgotten first.
const REMEMBERED: usize = 10_000;
const WINDOW_MS: i64 = 60_000;
/// Log-ins whose bodies are on their way at once.
const ARRIVING: u32 = 1_024;
/// Those of one address: enough for a proxy before everybody.
const ARRIVING_OF_ONE: u32 = 64;

/// The bounds of one server.
#[derive(Debug)]
pub(crate) struct Guard {
    classes: Vec<(LimitClass, Arc<Semaphore>)>,
    /// Refused log-ins of an address.
    addresses: Tries<IpAddr>,
    /// Refused log-ins of a name from an address.
    names: Tries<(String, IpAddr)>,
    /// Log-ins whose bodies are on their way, by address.
    arrivals: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A log-in on its way; makes room when it is dropped.
#[derive(Debug)]
pub(crate) struct Arriving {
    arrivals: Arc<Mutex<HashMap<IpAddr, u32>>>,
    network: IpAddr,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = arrivals.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                arrivals.remove(&self.network);
            }
        }
    }
}

/// Refused log-ins of something in its minute: (start of the minute, how many).
#[derive(Debug)]
struct Tries<K>(Mutex<HashMap<K, (i64, u32)>>);

impl<K> Default for Tries<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Tries<K> {
    fn fewer_than(&self, most: u32, key: &K, now: Timestamp) -> bool {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries
            .get(key)
            .is_none_or(|(start, count)| now.as_millis() - start >= WINDOW_MS || *count < most)
    }

    fn count(&self, key: K, now: Timestamp) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= REMEMBERED {
            tries.retain(|_, (start, _)| now.as_millis() - *start < WINDOW_MS);
            if tries.len() >= REMEMBERED {
                tries.clear();
            }
        }
        let entry = tries.entry(key).or_insert((now.as_millis(), 0));
        if now.as_millis() - entry.0 >= WINDOW_MS {
            *entry = (now.as_millis(), 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

impl Default for Guard {
    fn default() -> Self {
        let classes = LimitClass::ALL
            .iter()
            .map(|class| (*class, Arc::new(Semaphore::new(class.at_once()))))
            .collect();
        let arrivals = Arc::default();
        Self { classes, addresses: Tries::default(), names: Tries::default(), arrivals }
    }
}

impl Guard {
    /// A place in a class, or 503.
    pub(crate) fn enter(&self, class: LimitClass) -> Result<OwnedSemaphorePermit, Problem> {
        self.classes
            .iter()
            .find(|(c, _)| *c == class)
            .and_then(|(_, places)| places.clone().try_acquire_owned().ok())
            .ok_or_else(|| {
                Problem::busy(format!(
                    "{} calls of this kind ({class}) are served already: try again in a few seconds",
                    class.at_once()
                ))
            })
    }

    /// Room for a log-in whose body is on its way, or 503. Anybody may send one, as slowly as the time
    /// for bodies allows: it takes none of the few places of its class before it is there.
    pub(crate) fn arrive(&self, peer: IpAddr) -> Result<Arriving, Problem> {
        let network = network(peer);
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = arrivals.get(&network).copied().unwrap_or_default();
        if of_one >= ARRIVING_OF_ONE || arrivals.values().sum::<u32>() >= ARRIVING {
            return Err(Problem::busy(
                "too many log-ins are on their way: try again in a few seconds",
            ));
        }
        arrivals.insert(network, of_one + 1);
        Ok(Arriving { arrivals: self.arrivals.clone(), network })
    }

    /// A place in a class, once one is free: for what was begun and goes on.
    pub(crate) async fn wait(&self, class: LimitClass) -> Option<OwnedSemaphorePermit> {
        let (_, places) = self.classes.iter().find(|(c, _)| *c == class)?;
        places.clone().acquire_owned().await.ok()
    }

    /// Whether an address may try to log in now.
    pub(crate) fn may_log_in(&self, peer: IpAddr, now: Timestamp) -> bool {
        self.addresses.fewer_than(limits::LOGIN_TRIES_PER_MINUTE, &network(peer), now)
    }

    /// Whether an address may try to log in by a name now. What is no name is counted as none.
    pub(crate) fn may_log_in_as(&self, name: &str, peer: IpAddr, now: Timestamp) -> bool {
        let key = (key(name), network(peer));
        self.may_log_in(peer, now)
            && self.names.fewer_than(limits::LOGIN_TRIES_OF_A_NAME, &key, now)
    }

    /// Counts a refused log-in.
    pub(crate) fn log_in_refused(&self, peer: IpAddr, now: Timestamp) {
        self.addresses.count(network(peer), now);
    }

    /// Counts a refused log-in by a name.
    pub(crate) fn log_in_refused_as(&self, name: &str, peer: IpAddr, now: Timestamp) {
        self.names.count((key(name), network(peer)), now);
        self.log_in_refused(peer, now);
    }
}

/// A name as tries are counted by; never longer than a name can be.
fn key(name: &str) -> String {
    fleetmend_core::words::cut(name.trim(), limits::USER_NAME_BYTES).to_ascii_lowercase()
}

/// One address of IPv4; a /64 of IPv6, since one person holds as many.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn refused_log_ins_are_bounded_by_address_and_minute() {
        let guard = Guard::default();
        let peer: IpAddr = "192.0.2.7".parse().expect("address");
        let at = Timestamp::from_millis;
        for _ in 0..limits::LOGIN_TRIES_PER_MINUTE {
            assert!(guard.may_log_in(peer, at(0)));
            guard.log_in_refused(peer, at(0));
        }
        assert!(!guard.may_log_in(peer, at(1_000)));
        assert!(guard.may_log_in("192.0.2.8".parse().expect("address"), at(1_000)));
        assert!(guard.may_log_in(peer, at(60_000)));
    }

    #[test]
    fn refused_log_ins_of_a_name_are_bounded_by_address() {
        let guard = Guard::default();
        let peer = |n: u8| IpAddr::from([192, 0, 2, n]);
        let at = Timestamp::from_millis;
        for _ in 0..limits::LOGIN_TRIES_OF_A_NAME {
            assert!(guard.may_log_in_as("Anna", peer(1), at(0)));
            guard.log_in_refused_as("anna", peer(1), at(0));
        }
        for spelt in ["anna", " Anna ", "\tanna"] {
            assert!(!guard.may_log_in_as(spelt, peer(1), at(1_000)), "{spelt:?}");
        }
        assert!(guard.may_log_in_as("boris", peer(1), at(1_000)), "another name");
        assert!(guard.may_log_in_as("anna", peer(2), at(1_000)), "another address");
        assert!(guard.may_log_in_as("anna", peer(1), at(60_000)), "another minute");
        for n in 0..25_000_u32 {
            guard.log_in_refused_as(&"x".repeat(500), IpAddr::from((n << 8).to_be_bytes()), at(0));
        }
        let names = guard.names.0.lock().expect("whole");
        assert!(names.len() <= REMEMBERED);
        assert!(names.keys().all(|(name, _)| name.len() <= limits::USER_NAME_BYTES));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let a = network("2001:db8::1".parse().expect("address"));
        assert_eq!(a, network("2001:db8::ffff:2".parse().expect("address")));
        assert_ne!(a, network("2001:db8:0:1::1".parse().expect("address")));
        assert_eq!(
            network("::ffff:192.0.2.7".parse().expect("address")),
            network("192.0.2.7".parse().expect("address"))
        );
    }

    #[test]
    fn log_ins_on_their_way_are_bounded_by_address_and_in_all() {
        let guard = Guard::default();
        let peer = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut held: Vec<_> = (0..ARRIVING_OF_ONE).map(|_| guard.arrive(peer(1))).collect();
        assert!(held.iter().all(Result::is_ok));
        guard.arrive(peer(1)).expect_err("one address holds no more");
        for n in 0..ARRIVING - ARRIVING_OF_ONE {
            let n = u8::try_from(2 + n / ARRIVING_OF_ONE).expect("small");
            held.push(Ok(guard.arrive(peer(n)).expect("room")));
        }
        guard.arrive(peer(200)).expect_err("nor do all together");
        drop(held);
        assert!(guard.arrivals.lock().expect("whole").is_empty(), "nothing is kept");
        guard.arrive(peer(1)).expect("room again");
    }

    #[test]
    fn a_full_class_refuses_and_frees() {
        let guard = Guard::default();
        let held: Vec<_> =
            (0..LimitClass::Login.at_once()).map(|_| guard.enter(LimitClass::Login)).collect();
        assert!(guard.enter(LimitClass::Login).is_err());
        assert!(guard.enter(LimitClass::Read).is_ok());
        // Who goes on waits for a place instead.
        let mut waits = std::pin::pin!(guard.wait(LimitClass::Login));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(held);
        assert!(guard.enter(LimitClass::Login).is_ok());
    }
}
