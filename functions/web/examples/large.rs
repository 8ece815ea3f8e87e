//! A large group behind the real server, for the page's tests: a thousand members and a day of history, over the embedded store, by the very use
//! cases. It prints its address and serves until its standard input ends; meanwhile the group is swept and decided on every ten seconds.
//!
//! The day has a sweep every five minutes, its last quarter of an hour one every ten seconds: charts look at fewer than that.

#[path = "../tests/world/mod.rs"]
mod world;

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use muster_control::memory::Scripted;
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use muster_web::api::{Guards, router, serve};
use muster_web::read;
use muster_web::stand::Stand;
use serde_json::json;
use tokio::net::TcpListener;
use world::World;

const MEMBERS: usize = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const COARSE: Duration = Duration::from_secs(300);
const FINE: Duration = Duration::from_secs(10);
/// How long before now the sweeps are close.
const LATELY: Duration = Duration::from_secs(900);
/// Steps in which the group has to grow to its size.
const GROWTH: u32 = 200;

fn machine() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    Timestamp::from_millis(u64::try_from(since.as_millis()).expect("it is before the year 500 million"))
}

/// Waves over the hours, another one for each member, and now and then a hot spot.
fn load(nth: usize, at: u64) -> f64 {
    let hours = at as f64 / 3_600_000.0;
    let own = (nth % 97) as f64 / 97.0 * 20.0 - 10.0;
    let hot = if nth.is_multiple_of(211) { 35.0 } else { 0.0 };
    (45.0 + 12.0 * (hours * 0.8).sin() + 6.0 * (hours * 7.0 + nth as f64).sin() + own + hot).clamp(0.0, 100.0)
}

/// Everybody says its load, and the group is swept and decided on.
async fn look(world: &World) {
    for (nth, id) in world.members().await.iter().enumerate() {
        world.probe.script(id, Scripted::Load(load(nth, world.now())));
    }
    world.probe.receive_at(Timestamp::from_millis(world.now()), None);
    world.sweep_and_decide().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let size = u32::try_from(MEMBERS).expect("a thousand");
    let begin = machine().minus(DAY);
    let unlimited = json!({"percent": 100, "at_least": MEMBERS});
    let changes = json!({"min_instances": size, "max_instances": size, "max_out_per_window": unlimited});
    let world = World::at(begin, changes);
    for _ in 0..GROWTH {
        if world.members().await.len() == MEMBERS {
            break;
        }
        world.pass(FINE);
        look(&world).await;
    }
    assert_eq!(world.members().await.len(), MEMBERS, "the group has not grown to its size");
    while world.now() + 10_000 <= machine().as_millis() {
        let left = machine().since(Timestamp::from_millis(world.now()));
        world.pass(if left > LATELY + COARSE { COARSE } else { FINE });
        look(&world).await;
    }
    // A connection of its own, as the dashboard is a process of its own: no answer waits for a sweep that is being written.
    let store = SqliteStore::open_read_only(world.file()).expect("the store");
    let stand = Stand { store, ..world.stand().await };
    let now = read::now::now(&stand, &world::group()).await.expect("the group");
    assert_eq!(now.counts.map(|counts| counts.serving), Some(size), "not all of the group serves");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let router = router(stand, Guards::loopback(address.port()));
    println!("http://{address}/");
    std::io::stdout().flush().expect("somebody reads");
    // In a thread of its own, as the monitor and the controller are processes of their own.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        loop {
            std::thread::sleep(FINE);
            world.pass(machine().since(Timestamp::from_millis(world.now())));
            runtime.block_on(look(&world));
        }
    });
    let (tell, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _typed = std::io::stdin().read_to_end(&mut Vec::new());
        drop(tell);
    });
    serve(listener, router, async {
        let _closed = ended.await;
    })
    .await;
}
