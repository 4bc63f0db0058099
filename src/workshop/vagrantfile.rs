//! The `Vagrantfile` of a workshop. It is never written by hand, so it cannot differ from `config.toml`.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::model::Workshop;

/// The variable that tells the after-up trigger that dwenv itself runs `vagrant up`.
pub const DWENV_UP: &str = "DWENV_UP";

const MARK: &str = "# Written by `dwenv init` from config.toml ";

const TRIGGER: &str = include_str!("vagrantfile_trigger.rb");

/// The text of the workshop's `Vagrantfile`.
///
/// Every value in it was held to letters that Ruby does not interpret when the declaration was read.
#[must_use]
pub fn vagrantfile(workshop: &Workshop) -> String {
    let body = body(workshop);
    format!("{MARK}({}).\n{body}", checksum(&body))
}

/// Whether `text` is as `dwenv init` wrote it once: nobody's work is lost when it is written anew.
pub fn is_untouched(text: &str) -> bool {
    let text = text.replace("\r\n", "\n");
    text.split_once('\n')
        .is_some_and(|(first, body)| first == format!("{MARK}({}).", checksum(body)))
}

fn checksum(text: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text.as_bytes()).iter().take(6) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn body(workshop: &Workshop) -> String {
    let machine = &workshop.machine;
    let mut forwards = String::new();
    for forward in &machine.forwards {
        // Writing to a String cannot fail.
        let _ = writeln!(
            forwards,
            "  config.vm.network \"forwarded_port\", guest: {}, host: {}, host_ip: \"127.0.0.1\"",
            forward.guest, forward.host
        );
    }
    format!(
        r##"# Change it there and run `dwenv init` again: a Vagrantfile that somebody edited is left alone.

Vagrant.configure("2") do |config|
  config.vm.define "{name}"
  config.vm.hostname = "{hostname}"

  # VirtualBox on an ARM laptop runs ARM boxes only. Vagrant itself may be translated, so ask the machine.
  arm = RbConfig::CONFIG["host_cpu"].match?(/aarch64|arm64/i) ||
        ENV["PROCESSOR_IDENTIFIER"].to_s.start_with?("ARM") ||
        (RUBY_PLATFORM.include?("darwin") && `sysctl -n hw.optional.arm64 2>/dev/null`.strip == "1")
  config.vm.box = arm ? "{arm64}" : "{amd64}"
  # Vagrant before 2.4 does not know the word.
  config.vm.box_architecture = arm ? "arm64" : "amd64" if config.vm.respond_to?(:box_architecture=)
  # A laptop whose VirtualBox runs on top of Hyper-V boots slowly.
  config.vm.boot_timeout = 600

  config.vm.network "private_network", ip: "{ip}"
{forwards}
  # Nothing is shared with the laptop: the box's files come over SSH, on every system alike.
  config.vm.synced_folder ".", "/vagrant", disabled: true

  config.vm.provider "virtualbox" do |virtualbox|
    virtualbox.memory = {memory}
    virtualbox.cpus = {cpus}
    # Names are resolved as the laptop resolves them, behind a VPN too.
    virtualbox.customize ["modifyvm", :id, "--natdnshostresolver1", "on"]
  end

{TRIGGER}end
"##,
        name = workshop.name,
        hostname = machine.hostname,
        arm64 = machine.arm64,
        amd64 = machine.amd64,
        ip = machine.ip,
        memory = machine.memory_mb,
        cpus = machine.cpus,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trigger_heeds_the_variable_that_dwenv_sets() {
        assert!(TRIGGER.contains(&format!("ENV[\"{DWENV_UP}\"]")));
    }

    #[test]
    fn an_edited_file_is_told_from_an_untouched_one() {
        let text = vagrantfile(&Workshop::builtin().unwrap());
        assert!(is_untouched(&text));
        assert!(is_untouched(&text.replace('\n', "\r\n")));
        assert!(!is_untouched(&text.replace("2048", "1024")));
        assert!(!is_untouched("Vagrant.configure(\"2\") { }\n"));
    }
}
