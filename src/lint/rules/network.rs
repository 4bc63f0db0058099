//! Names, addresses and ports.

use std::net::Ipv4Addr;

use regex::Regex;

use crate::lint::commands::{Run, commands};
use crate::lint::lines::{Line, Place, Written};
use crate::lint::tables::DEAD_HOSTS;
use crate::lint::{Hit, Language, Looked, Rule, Severity, each, places};

pub const RULES: &[Rule] = &[
    Rule {
        id: "lint.dead-host",
        find: dead_hosts,
    },
    Rule {
        id: "lint.dev-hostname",
        find: https_only_names,
    },
    Rule {
        id: "lint.address-range",
        find: addresses,
    },
    Rule {
        id: "lint.container-address",
        find: container_addresses,
    },
    Rule {
        id: "lint.port-unheard",
        find: unheard_ports,
    },
];

fn dead_hosts(looked: &Looked) -> Vec<Hit> {
    let names = r"(?:[A-Za-z0-9_-]+\.)+[A-Za-z]{2,}";
    let mut hits = Vec::new();
    for (index, range) in places(looked, names, |_| true) {
        let line = &looked.lines[index];
        let name = line.text[range.clone()].to_ascii_lowercase();
        let Some(dead) = DEAD_HOSTS.host.iter().find(|host| host.is(&name)) else {
            continue;
        };
        let since = dead.since.map(|day| format!(", since {day}"));
        let why = format!("{}{}", dead.why, since.unwrap_or_default());
        hits.push(Hit::at(
            line,
            range,
            Severity::Fail,
            why,
            dead.instead.clone(),
        ));
    }
    hits
}

fn https_only_names(looked: &Looked) -> Vec<Hit> {
    each(
        looked,
        r#"\.hostname\s*=\s*["']([^"']+\.(?:app|dev|foo|new|page))["']"#,
        |line| line.written == Written::Ruby,
        Severity::Warn,
        "browsers open names under this domain with https alone",
        "take a name without a dot, or one that ends in .test",
    )
}

/// What VirtualBox allows by itself: 192.168.56.0/21.
fn is_allowed(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    a == 192 && b == 168 && (56..64).contains(&c)
}

fn addresses(looked: &Looked) -> Vec<Hit> {
    const WHY: &str = "VirtualBox allows 192.168.56.0/21 by itself: on Linux, and on macOS with VirtualBox older than 7, `vagrant up` is refused until /etc/vbox/networks.conf has this network. On Windows nothing is amiss";
    const REMEDY: &str = "take an address such as 192.168.56.10, or have attendees run `dwenv up`, which looks at networks.conf before it starts anything";
    let of_vagrant = places(
        looked,
        r#"private_network.*\bip(?::|\s*=>)\s*["']([\d.]+)["']"#,
        |line| line.written == Written::Ruby,
    );
    let of_config = places(looked, r#"^\s*ip\s*=\s*["']([\d.]+)["']"#, is_config);
    let written = !of_config.is_empty();
    let mut hits = Vec::new();
    for (index, range) in of_vagrant.into_iter().chain(of_config) {
        let line = &looked.lines[index];
        let outside = line.text[range.clone()]
            .parse()
            .is_ok_and(|ip| !is_allowed(ip));
        if outside {
            hits.push(Hit::at(line, range, Severity::Warn, WHY, REMEDY));
        }
    }
    // A declaration that says nothing has the address inside dwenv.
    if let (Some(workshop), Some(config), false) = (
        &looked.sources.declared,
        looked.sources.of(Language::Config).next(),
        written,
    ) && !is_allowed(workshop.machine.ip)
    {
        hits.push(Hit {
            severity: Severity::Warn,
            file: config.path.clone(),
            place: Place { line: 1, column: 1 },
            text: format!(
                "box.ip = \"{}\", as nothing else is said",
                workshop.machine.ip
            ),
            why: WHY.to_owned(),
            remedy: REMEDY.to_owned(),
        });
    }
    hits
}

fn is_config(line: &Line) -> bool {
    line.written == Written::Config
}

fn container_addresses(looked: &Looked) -> Vec<Hit> {
    each(
        looked,
        r"(?:^|[^\d.])(172\.17\.0\.(?:[2-9]|[1-9]\d{1,2}))(?:[^\d./]|$)",
        |line| line.is_command() || matches!(line.written, Written::Compose | Written::Python),
        Severity::Warn,
        "a container gets its address anew each time, and on a laptop with other containers or another bridge it is not this one",
        "let containers find each other by name: a network of their own, and the service's or container's name",
    )
}

/// A port of the box that leads to the laptop, and who listens there.
fn unheard_ports(looked: &Looked) -> Vec<Hit> {
    let heard = heard(looked);
    let of_vagrant = places(
        looked,
        r"forwarded_port.*\bguest(?::|\s*=>)\s*(\d+)",
        |line| line.written == Written::Ruby,
    );
    let of_config = places(looked, r"\bguest\s*=\s*(\d+)", is_config);
    let mut hits = Vec::new();
    for (index, range) in of_vagrant.into_iter().chain(of_config) {
        let line = &looked.lines[index];
        let Ok(port) = line.text[range.clone()].parse::<u16>() else {
            continue;
        };
        if !heard.contains(&port) {
            let mut known: Vec<String> = heard.iter().map(u16::to_string).collect();
            known.dedup();
            hits.push(Hit::at(
                line,
                range,
                Severity::Fail,
                format!(
                    "nothing in this workshop listens at port {port} of the box, so the laptop sees its connection reset"
                ),
                match known.is_empty() {
                    true => "forward the port at which the server listens".to_owned(),
                    false => format!("forward a port that is listened at: {}", known.join(", ")),
                },
            ));
        }
    }
    hits
}

/// Packages whose service listens by itself.
const SERVICES: &[(&str, u16)] = &[
    (r"\b(?:apache2|httpd|nginx|lighttpd)\b", 80),
    (r"\bpostgresql(?:-\d|\b)", 5432),
    (r"\b(?:mysql-server|mariadb-server)\b", 3306),
    (r"\bredis-server\b", 6379),
];

/// Every port at which something of the workshop listens, in order.
fn heard(looked: &Looked) -> Vec<u16> {
    let mut ports = vec![22];
    if let Some(workshop) = &looked.sources.declared {
        ports.extend([workshop.server.port, workshop.postgres.port]);
    }
    let mut add = |expression: &str, fits: &dyn Fn(&Line) -> bool| {
        for (index, range) in places(looked, expression, fits) {
            ports.extend(looked.lines[index].text[range].parse::<u16>().ok());
        }
    };
    add(r"^\s*EXPOSE\s+(\d+)", &|line| {
        line.written == Written::Dockerfile
    });
    add(r#"^\s*-\s*["']?(?:[\d.]+:)?(\d+):\d+"#, &|line| {
        line.written == Written::Compose
    });
    // What a program of the workshop itself is bound to.
    add(
        r#"(?i)(?:port\w*\s*[=:]\s*|["'],\s*|HTTPServer\(.*?)["']?(\d{2,5})\b"#,
        &|line| line.written == Written::Python,
    );
    for line in looked.lines.iter().filter(|line| line.is_command()) {
        for command in commands(&line.text) {
            let Some(run) = Run::of(&command) else {
                continue;
            };
            for value in run
                .values("-p", "--publish")
                .chain(run.values("-d", "--detach"))
            {
                let host = value.rsplit_once(':').map_or("", |(host, _)| host);
                let host = host.rsplit(':').next().unwrap_or(host);
                ports.extend(host.parse::<u16>().ok());
            }
        }
        if line.written == Written::Typed {
            continue;
        }
        for (expression, port) in SERVICES {
            // The expressions are those above; a test runs each of them.
            if line.text.contains("install")
                && Regex::new(expression).is_ok_and(|regex| regex.is_match(&line.text))
            {
                ports.push(*port);
            }
        }
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}
