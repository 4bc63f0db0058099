//! End to end: the built `dwenv` on real machines that it makes itself.
#![cfg(target_os = "linux")]

#[path = "support/cutter.rs"]
mod cutter;
#[path = "support/debian_root.rs"]
mod debian_root;
#[path = "support/json_schema.rs"]
mod json_schema;
#[path = "support/running.rs"]
mod running;
#[path = "support/seats.rs"]
mod seats;
#[path = "support/slow.rs"]
mod slow;
#[path = "support/stocked.rs"]
mod stocked;
#[path = "support/sandbox.rs"]
mod support;
#[path = "support/terminal.rs"]
#[allow(dead_code, reason = "the tests of the questions use the rest of it")]
mod terminal;
#[path = "support/venue.rs"]
mod venue;
#[path = "support/workbox.rs"]
mod workbox;

#[path = "e2e/authors.rs"]
mod authors;
#[path = "e2e/compose.rs"]
mod compose;
#[path = "e2e/cut.rs"]
mod cut;
#[path = "e2e/cut_install.rs"]
mod cut_install;
#[path = "e2e/deep.rs"]
mod deep;
#[path = "e2e/docker_repository.rs"]
mod docker_repository;
#[path = "e2e/errors.rs"]
mod errors;
#[path = "e2e/files.rs"]
mod files;
#[path = "e2e/fix.rs"]
mod fix;
#[path = "e2e/hard.rs"]
mod hard;
#[path = "e2e/images.rs"]
mod images;
#[path = "e2e/life.rs"]
mod life;
#[path = "e2e/long_link.rs"]
mod long_link;
#[path = "e2e/machines.rs"]
mod machines;
#[path = "e2e/matrix.rs"]
mod matrix;
#[path = "e2e/narrow.rs"]
mod narrow;
#[path = "e2e/ports.rs"]
mod ports;
#[path = "e2e/reach.rs"]
mod reach;
#[path = "e2e/robust.rs"]
mod robust;
#[path = "e2e/room.rs"]
mod room;
#[path = "e2e/schema.rs"]
mod schema;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/units.rs"]
mod units;
#[path = "e2e/venue_network.rs"]
mod venue_network;
#[path = "e2e/visible.rs"]
mod visible;
#[path = "e2e/warnings.rs"]
mod warnings;
