//! How much memory a program needs.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The most memory that a program had, in kB. The kernel keeps the peak, so looking often is enough. The
/// program must succeed.
pub fn peak(command: &mut Command) -> u64 {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            break status;
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        std::thread::sleep(Duration::from_micros(200));
    };
    assert!(status.success(), "{command:?}: {status}");
    peak
}
