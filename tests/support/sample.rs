//! A workshop with the address and the ports of the real one, for tests that only need to find a box.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dwenv::workshop::{
    DeclaredFile, Docker, DockerSource, Forward, Laptop, Machine, Password, Postgres, Server,
    Workshop,
};
use semver::Version;

pub fn workshop() -> Workshop {
    let file = |path: &str| DeclaredFile {
        path: path.into(),
        name: path.into(),
        content: String::new(),
    };
    Workshop {
        name: "docker-workshop".into(),
        laptop: Laptop {
            vagrant: Version::new(2, 3, 2),
            virtualbox: Version::new(7, 0, 0),
        },
        machine: Machine {
            hostname: "docker-workshop".into(),
            amd64: "debian/trixie64".into(),
            arm64: "debian/trixie64".into(),
            memory_mb: 2048,
            cpus: 2,
            ip: Ipv4Addr::new(192, 168, 33, 10),
            forwards: vec![
                Forward {
                    guest: 8080,
                    host: 8080,
                },
                Forward {
                    guest: 5432,
                    host: 15432,
                },
            ],
        },
        docker: Docker {
            source: DockerSource::Distribution,
            minimum: Version::new(20, 10, 0),
            compose: true,
            images: Vec::new(),
        },
        postgres: Postgres {
            minimum_major: 15,
            port: 5432,
            listen_addresses: "*".into(),
            allow_from: Vec::new(),
            role: "dockerworkshop".into(),
            database: "dockerworkshop".into(),
            password: Password::Public("dockerworkshop".into()),
            create_database: file("create_db.sql"),
            create_schema: file("create_schema_and_fixtures.sql"),
            tables: Vec::new(),
        },
        server: Server {
            directory: "docker-workshop".into(),
            port: 8080,
            unit: "docker-workshop.service".into(),
            unit_file: file("docker-workshop.service"),
            files: Vec::new(),
        },
        targets: BTreeMap::new(),
        origin: None,
    }
}
