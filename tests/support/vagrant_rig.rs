//! The real Vagrant, without a hypervisor: its docker provider and a Docker engine of the test's own.
//!
//! Everything stands in one folder and on one bridge, both named after the process that made them, so that
//! rigs never meet one another or the machine's own Docker. What a killed test leaves behind is removed by
//! the next rig that starts.

#![allow(dead_code, reason = "each test binary uses its own part of the rig")]

#[path = "debian_root.rs"]
mod debian_root;
#[path = "vagrant_traces.rs"]
mod traces;

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The packages that the rig's programs come from.
const PACKAGES: &str = "vagrant docker.io mmdebstrap iproute2 iptables openssh-client";

/// What the box holds before dwenv comes; the same as a sandbox.
const BOX_PACKAGES: &str =
    "systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,ca-certificates,netbase,procps";
const SUITE: &str = "trixie";
const IMAGE: &str = "dwenv-test-box";

/// Vagrant's well-known public key, which every base box trusts until Vagrant puts its own there.
const INSECURE_KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key";

/// The box's machine name in the Vagrantfile.
pub const MACHINE: &str = "docker-workshop";

use debian_root::debian_root;
pub use traces::free_subnet;
use traces::{
    PREFIX, cgroup, insertion, output, quietly, remove, remove_leftovers, rules, run,
    written_network,
};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Rig {
    /// Holds everything, the engine's data too.
    scratch: PathBuf,
    engine: Option<Child>,
}

impl Rig {
    /// Starts an engine with the image of a box, and writes a Vagrantfile that uses it.
    ///
    /// # Panics
    ///
    /// Where something is missing or fails, with the reason.
    pub fn start() -> Self {
        Self::start_on(free_subnet())
    }

    /// The same on a network of the caller's choice: the first address of a /24.
    pub fn start_on(subnet: Ipv4Addr) -> Self {
        check_programs();
        remove_leftovers();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir_all(scratch.join("project")).expect("the rig's folder can be made");
        let mut rig = Self {
            scratch,
            engine: None,
        };
        // From here on everything that is made is removed by `drop`, also when the next step fails.
        rig.network(subnet, number);
        rig.engine();
        rig.image();
        rig.vagrantfile("");
        rig
    }

    /// The folder with the Vagrantfile.
    pub fn folder(&self) -> PathBuf {
        self.scratch.join("project")
    }

    /// What `vagrant` and `docker` need in their environment to use this rig.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        // Another docker client may stand before the distribution's on the path.
        let mut path = OsString::from("/usr/sbin:/usr/bin:/sbin:/bin:");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut socket = OsString::from("unix://");
        socket.push(self.scratch.join("docker.sock"));
        [
            ("PATH", path),
            ("DOCKER_HOST", socket),
            ("DOCKER_CONFIG", self.scratch.join("docker-config").into()),
            ("VAGRANT_HOME", self.scratch.join("vagrant.d").into()),
            ("VAGRANT_DEFAULT_PROVIDER", "docker".into()),
            ("VAGRANT_CHECKPOINT_DISABLE", "1".into()),
        ]
        .map(|(name, value)| (name.into(), value))
        .into()
    }

    /// A command that talks to the rig's engine.
    pub fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/docker");
        command.args(arguments).envs(self.environment());
        command
    }

    fn network(&self, subnet: Ipv4Addr, number: u32) {
        let bridge = format!(
            "dwv{}{}",
            std::process::id(),
            char::from(b'a' + (number % 26) as u8)
        );
        let [a, b, c, _] = subnet.octets();
        let network = format!("{a}.{b}.{c}.0/24");
        // Written first: what is not written down is not removed.
        fs::write(self.scratch.join("network"), format!("{bridge} {network}")).expect("a file");
        run(Command::new("ip").args(["link", "add", &bridge, "type", "bridge"]));
        let address = format!("{a}.{b}.{c}.1/24");
        run(Command::new("ip").args(["addr", "add", &address, "dev", &bridge]));
        run(Command::new("ip").args(["link", "set", &bridge, "up"]));
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwarding can be turned on");
        for rule in rules(&bridge, &network) {
            run(Command::new("iptables").arg("-w").args(insertion(&rule)));
        }
        // Every systemd takes dozens; the usual 128 are gone after a few.
        let limit = "/proc/sys/fs/inotify/max_user_instances";
        let instances = fs::read_to_string(limit).unwrap_or_default();
        if instances
            .trim()
            .parse()
            .is_ok_and(|count: u32| count < 8192)
        {
            fs::write(limit, "8192").expect("the inotify limit can be raised");
        }
    }

    fn engine(&mut self) {
        let log = File::create(self.scratch.join("dockerd.log")).expect("a log");
        let (bridge, _) = written_network(&self.scratch).expect("the network is written down");
        let flag = |name: &str, file: &str| format!("{name}={}", self.scratch.join(file).display());
        let engine = Command::new("dockerd")
            .arg(flag("--data-root", "data"))
            .arg(flag("--exec-root", "exec"))
            .arg(flag("--pidfile", "dockerd.pid"))
            .arg(format!(
                "--host=unix://{}",
                self.scratch.join("docker.sock").display()
            ))
            .arg(format!("--bridge={bridge}"))
            .arg(format!("--cgroup-parent=/{}", cgroup(&self.scratch)))
            // The rig's own three rules do, and they can be removed one by one.
            .args(["--iptables=false", "--ip6tables=false"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            // Ctrl-C is for the test; the engine is stopped in order.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("dockerd does not start: {error}"));
        self.engine = Some(engine);
        let began = Instant::now();
        loop {
            let mut version = self.docker(&["version"]);
            let version = version.stdout(Stdio::null()).stderr(Stdio::null()).status();
            if version.is_ok_and(|status| status.success()) {
                return;
            }
            let ended = self
                .engine
                .as_mut()
                .and_then(|engine| engine.try_wait().ok().flatten());
            if ended.is_some() || began.elapsed() > Duration::from_secs(120) {
                let log = fs::read_to_string(self.scratch.join("dockerd.log")).unwrap_or_default();
                panic!("dockerd does not answer ({ended:?}):\n{log}");
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn image(&self) {
        let root = debian_root(SUITE, SUITE, BOX_PACKAGES, &[]);
        run(self.docker(&["import"]).arg(root).arg("dwenv-test-root"));
        let context = self.scratch.join("image");
        fs::create_dir_all(context.join("apt")).expect("the image's folder");
        let put = |name: &str, text: &str| {
            fs::write(context.join(name), text).expect("a file of the image");
        };
        put("authorized_keys", &format!("{INSECURE_KEY}\n"));
        // A Debian 13 boots only with a tree of cgroup v2, and the host may have version 1. In its own
        // cgroup namespace such a tree can be mounted, and holds nothing but this box.
        put(
            "boot",
            "#!/bin/sh\numount -R /sys/fs/cgroup 2>/dev/null\nmount -t cgroup2 cgroup2 /sys/fs/cgroup\nexec /sbin/init\n",
        );
        // The box uses the host's ways to the mirror: its apt settings and the authorities it trusts.
        for entry in fs::read_dir("/etc/apt/apt.conf.d")
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("99") {
                let _ = fs::copy(entry.path(), context.join("apt").join(name));
            }
        }
        put("apt/README", "");
        let authorities = fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        fs::write(context.join("authorities.crt"), authorities).expect("a file of the image");
        put(
            "Dockerfile",
            "FROM dwenv-test-root\n\
             COPY authorized_keys /home/vagrant/.ssh/authorized_keys\n\
             COPY apt /etc/apt/apt.conf.d\n\
             COPY authorities.crt /tmp/authorities.crt\n\
             COPY boot /sbin/boot\n\
             RUN rm /etc/apt/apt.conf.d/README \
              && if [ -s /tmp/authorities.crt ]; then cat /tmp/authorities.crt > /etc/ssl/certs/ca-certificates.crt; fi \
              && useradd -s /bin/bash -d /home/vagrant vagrant \
              && chown -R vagrant:vagrant /home/vagrant \
              && chmod 700 /home/vagrant/.ssh && chmod 600 /home/vagrant/.ssh/authorized_keys \
              && echo 'vagrant ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/vagrant \
              && chmod 440 /etc/sudoers.d/vagrant && chmod 755 /sbin/boot \
              && systemctl mask systemd-modules-load.service console-getty.service \
                 apt-daily.timer apt-daily.service apt-daily-upgrade.timer apt-daily-upgrade.service \
              && systemctl enable ssh.service\n\
             STOPSIGNAL SIGRTMIN+3\n\
             CMD [\"/sbin/boot\"]\n",
        );
        run(self.docker(&["build", "-q", "-t", IMAGE]).arg(&context));
    }

    /// Writes the Vagrantfile, with `more` at the end of what it says of its machine.
    pub fn vagrantfile(&self, more: &str) {
        // `--privileged` would need a capability that containers and small VMs often lack.
        let text = format!(
            r#"Vagrant.configure("2") do |config|
  config.vm.define "{MACHINE}"
  config.vm.hostname = "{MACHINE}"
  config.vm.synced_folder ".", "/vagrant", disabled: true
  # Reached at its own address: several of these run beside each other.
  config.vm.network "forwarded_port", id: "ssh", guest: 22, host: 2222, disabled: true
  config.vm.provider "docker" do |docker|
    docker.image = "{IMAGE}"
    docker.has_ssh = true
    docker.create_args = [
      "--cgroupns=private", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE",
      "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined",
      "--security-opt", "apparmor=unconfined",
      "--tmpfs", "/run", "--tmpfs", "/tmp", "-v", "/var/lib/docker",
    ]
  end
{more}end
"#
        );
        fs::write(self.folder().join("Vagrantfile"), text).expect("the Vagrantfile");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Ok(list) = self.docker(&["ps", "-aq"]).output() {
            let ids = String::from_utf8_lossy(&list.stdout).into_owned();
            let ids: Vec<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                quietly(self.docker(&["rm", "-f", "-v"]).args(ids));
            }
        }
        if let Some(mut engine) = self.engine.take() {
            quietly(Command::new("kill").args(["-TERM", &engine.id().to_string()]));
            let began = Instant::now();
            while matches!(engine.try_wait(), Ok(None)) {
                if began.elapsed() > Duration::from_secs(15) {
                    let _ = engine.kill();
                    let _ = engine.wait();
                    break;
                }
                sleep(Duration::from_millis(100));
            }
        }
        remove(&self.scratch);
    }
}

fn check_programs() {
    let root = output(Command::new("id").arg("-u"));
    assert_eq!(
        root.trim(),
        "0",
        "this test makes machines and networks: run it as root"
    );
    for program in [
        "vagrant",
        "dockerd",
        "docker",
        "mmdebstrap",
        "ip",
        "iptables",
        "ssh",
    ] {
        let there = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists());
        assert!(
            there,
            "this test needs `{program}`: apt-get install --no-install-recommends {PACKAGES}"
        );
    }
}
