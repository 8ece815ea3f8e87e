//! What is judged of a local world: processes, folder, disk, store, page.

use super::Finding;
use crate::doctor::facts::World;

/// Less room than this on the disk is soon none: a day of sweeps of a small group takes 100 MB.
const LITTLE_ROOM: u64 = 512 << 20;

pub(super) fn of_world(world: &World) -> Vec<Finding> {
    let state = &world.state;
    let mut found = vec![match &world.runs {
        Some(Ok(true)) => Finding::ok("processes", format!("a muster up runs on {state}")),
        Some(Ok(false)) => {
            let text = format!("no muster up runs on {state}: nobody sweeps or decides");
            Finding::bad("processes", text, format!("`muster up --state {state}` goes on with it"))
        }
        Some(Err(why)) => Finding::not_checked("processes", why),
        None => Finding::not_checked("processes", format!("there is nothing at {state}")),
    }];
    found.push(match &world.writable {
        Ok(()) => Finding::ok("permissions", format!("{state} can be written")),
        Err(why) => {
            Finding::bad("permissions", format!("{state} cannot be written: {why}"), format!("see `ls -ld {state}`"))
        }
    });
    found.extend(world.free_bytes.as_ref().map(|free| match free {
        Err(why) => Finding::not_checked("disk", why),
        Ok(free) => {
            let text = format!("{} MB are free at {state}", free >> 20);
            if *free < LITTLE_ROOM {
                Finding::bad("disk", text, "make room: the store grows with each sweep")
            } else {
                Finding::ok("disk", text)
            }
        }
    }));
    found.extend(world.store.as_ref().map(|store| match store {
        Ok(()) => Finding::ok("store", "it can be read"),
        Err(why) => {
            Finding::bad("store", why, "another version of Muster may have made it: begin with another --state")
        }
    }));
    found.extend(world.page.as_ref().map(|page| match page {
        Ok(at) => Finding::ok("page", format!("it answers at {at}")),
        Err(why) => Finding::warn("page", format!("it does not answer: {why}"), "the commands work without it"),
    }));
    found
}
