//! Sandboxes, on real machines: made, started, found again, stopped, removed, and cleaned up after a
//! crash.
#![cfg(target_os = "linux")]

#[path = "support/sandbox.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Instant;

use dwenv::events::Events;
use dwenv::target::sandbox::{State, Suite};
use support::{Lab, run, said, shown, ssh};

#[test]
fn a_sandbox_lives_through_up_down_up_and_destroy() {
    let lab = Lab::new();
    let spec = lab.spec("default", 10);
    let started = Instant::now();
    let first = lab.up(&spec);
    println!("up from nothing: {:?}", started.elapsed());
    assert_eq!(
        said(&first, "hostname; id -un; sudo -n id -un"),
        "default-box\nvagrant\nroot"
    );
    println!(
        "{}",
        said(
            &first,
            "systemctl is-system-running --wait; systemctl --failed --no-legend; systemd-analyze"
        )
    );
}
