//! dwenv beside the tools that do the same work, on the same boxes: `cargo bench --bench peers`, as root on
//! Linux, with python3 and its venv.
//!
//! Words behind `--` choose what is measured: `first`, `no-op`, `doctor`, `room`, `memory`. A number says how
//! many runs each side has. `write` writes docs/performance.md, and wants everything measured. What is compared
//! runs by turns; the peers are installed by pip into the user's cache folder.

#[cfg(target_os = "linux")]
#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod page;
#[cfg(target_os = "linux")]
#[path = "../../tests/support/seats.rs"]
mod seats;
#[cfg(target_os = "linux")]
#[path = "../../tests/support/slow.rs"]
mod slow;
#[cfg(target_os = "linux")]
#[path = "../../tests/support/sandbox.rs"]
mod support;
#[cfg(target_os = "linux")]
mod tools;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("dwenv is compared on sandboxes, and those need Linux");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}
