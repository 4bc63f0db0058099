//! `dwenv lint`: what is wrong in a workshop of 2016, and what is right though it looks alike.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use dwenv::date::Date;
use dwenv::lint::{self, Finding, Language, Severity, Source, Sources, ids};
use dwenv::workshop::{Secrets, Workshop, vagrantfile};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn today() -> Date {
    Date::parse("2026-11-23").unwrap()
}

fn of_folder(path: &str) -> Vec<Finding> {
    lint::lint(&Sources::read(&root().join(path)).unwrap(), today())
}

fn sources(files: &[(&str, &str)]) -> Sources {
    let files = files.iter().map(|(path, text)| Source {
        path: (*path).to_owned(),
        language: Language::of(path).unwrap(),
        text: (*text).to_owned(),
    });
    Sources {
        files: files.collect(),
        declared: None,
    }
}

/// `ID FILE:LINE:COLUMN TEXT` of everything that is found in these files.
fn found(files: &[(&str, &str)]) -> String {
    told(&lint::lint(&sources(files), today()))
}

fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for found in findings {
        let Finding {
            id,
            file,
            line,
            column,
            ..
        } = found;
        writeln!(text, "{id} {file}:{line}:{column} {}", found.text).unwrap();
    }
    text
}

/// Each row of the audit of the workshop of 2016, with what finds it: a rule, and a part of the file in which
/// it does; or the reason why no program sees it.
const AUDIT: &[(u8, &str, &str)] = &[
    (1, "lint.dead-host", "Vagrantfile"),
    (2, "lint.end-of-life", "Vagrantfile"),
    (2, "lint.single-architecture", "Vagrantfile"),
    (3, "lint.address-range", "Vagrantfile"),
    (4, "lint.port-unheard", "Vagrantfile"),
    (5, "lint.nfs", "Vagrantfile"),
    (6, "lint.dev-hostname", "Vagrantfile"),
    (7, "lint.dead-host", "Vagrantfile"),
    (7, "lint.docker-removed", "Vagrantfile"),
    (8, "lint.docker-removed", "Vagrantfile"),
    (8, "lint.dead-host", "Vagrantfile"),
    (9, "lint.compose-v1", "Vagrantfile"),
    (9, "lint.single-architecture", "Vagrantfile"),
    (10, "lint.end-of-life", "Vagrantfile"),
    (11, "lint.locale", "Vagrantfile"),
    (12, "lint.bashrc", "Vagrantfile"),
    (13, "lint.docker-removed", "Vagrantfile"),
    (13, "lint.root-pip", "Vagrantfile"),
    (14, "lint.driver", "requirements.txt"),
    (15, "lint.schema1", "Dockerfile"),
    (15, "lint.single-architecture", "Dockerfile"),
    (16, "lint.image-password", "README/steps.md"),
    (16, "lint.end-of-life", "README/steps.md"),
    // That psql asks for a password which nobody was told is between the two lines; the address is in one.
    (17, "lint.container-address", "README/steps.md"),
    (18, "lint.docker-removed", "README/steps.md"),
    (19, "lint.compose-v1", "docker-compose.yml"),
    (20, "lint.compose-v1", "README/steps.md"),
    // "Play with swarm" and AuFS in prose: what a sentence advises is read by no rule.
];

#[test]
fn every_row_of_the_audit_is_found_where_it_stands() {
    let findings = of_folder("tests/data/lint/seed");
    for (row, id, file) in AUDIT {
        let there = findings
            .iter()
            .any(|found| found.id == *id && found.file == *file);
        assert!(there, "row {row}: {id} in {file}");
    }
    let rows: BTreeSet<u8> = AUDIT.iter().map(|(row, ..)| *row).collect();
    assert!(rows.into_iter().eq(1..=20));
    // What the audit says below its table.
    let beside = [
        ("lint.trust", "Vagrantfile"),
        ("lint.trust", "provision/create_db.sql"),
    ];
    for (id, file) in beside.into_iter().chain([("lint.tty", "Vagrantfile")]) {
        assert!(
            findings
                .iter()
                .any(|found| found.id == id && found.file == file),
            "{id}"
        );
    }
    insta::assert_snapshot!("seed", told(&findings));
}

#[test]
fn this_workshop_has_one_warning_for_the_address_that_up_looks_at() {
    let findings = of_folder(".");
    assert_eq!(
        told(&findings),
        "lint.address-range config.toml:28:7 192.168.33.10\n"
    );
    assert!(
        findings
            .iter()
            .all(|found| found.severity == Severity::Warn)
    );
}

#[test]
fn what_is_right_is_not_found() {
    for (path, text) in [
        (
            "Vagrantfile",
            "config.vm.box = \"bento/debian-13\"\n# apt-key, docker-compose up\nconfig.vm.hostname = \"box.test\"\nconfig.vm.network \"private_network\", ip: \"192.168.60.10\"\nconfig.vm.network \"forwarded_port\", guest: 22, host: 2022\nconfig.vm.synced_folder \".\", \"/x\", nfs: false\n",
        ),
        (
            "Vagrantfile",
            "config.vm.box = \"bento/ubuntu-24.04\"\nconfig.vm.hostname = \"devbox\"\n",
        ),
        (
            "provision/a.sh",
            "apt-get install -y docker-compose-plugin postgresql postgresql-17 docker.io\ndocker compose -f docker-compose.yml up\n",
        ),
        (
            "provision/a.sh",
            "echo \"deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian bookworm stable\" > /etc/apt/sources.list.d/docker.list\n",
        ),
        (
            "provision/a.sh",
            "curl -fsSLO https://example.org/tool-$(uname -m)\ncurl -O https://dl.k8s.io/amd64/$(dpkg --print-architecture)/kubectl\n",
        ),
        (
            "provision/a.sh",
            "python3 -m venv ~/v\n. ~/v/bin/activate\npip install psycopg\n",
        ),
        (
            "provision/a.sh",
            "echo 'cd x' >> ~/.bashrc\necho x | tee -a /home/vagrant/.bashrc\ncat ~/.bashrc > /tmp/copy\n",
        ),
        (
            "provision/a.sh",
            "locale-gen en_US.UTF-8\nexport LC_ALL=en_US.UTF-8\n",
        ),
        ("provision/a.sh", "export LC_ALL=C.UTF-8 LANG=C\n"),
        (
            "provision/a.sh",
            "docker run -d -e POSTGRES_PASSWORD=x postgres:17\ndocker run --env-file db.env postgres:17\ndocker run bitnami/postgresql\n",
        ),
        (
            "provision/a.sh",
            "docker run -e POSTGRES_PASSWORD=x -v data:/var/lib/postgresql/data postgres:17\ndocker run -e POSTGRES_PASSWORD=x -v data:/var/lib/postgresql postgres:18\ndocker run -e POSTGRES_PASSWORD=x -e PGDATA=/var/lib/postgresql/data/x -v d:/var/lib/postgresql/data postgres\n",
        ),
        (
            "provision/a.sh",
            "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' db\nip route add 172.17.0.0/16 dev docker0\n",
        ),
        (
            "provision/a.sh",
            "echo 'host all all samenet scram-sha-256'\necho 'host all all 127.0.0.1/32 trust'\nif trust; then :; fi\n",
        ),
        (
            "provision/pg_hba.conf",
            "local all postgres peer\nhost all all ::1/128 trust\n# host all all 0.0.0.0/0 trust\n",
        ),
        (
            "provision/a.sql",
            "ALTER ROLE x LOGIN NOSUPERUSER;\n-- CREATE ROLE x SUPERUSER\n",
        ),
        (
            "Dockerfile",
            "FROM python:3-slim AS web\nRUN pip install psycopg\nEXPOSE 80\n",
        ),
        (
            "Dockerfile",
            "FROM --platform=$BUILDPLATFORM python:3.13-slim-bookworm\nFROM debian:13\n",
        ),
        (
            "compose.yaml",
            "services:\n  db:\n    image: postgres:17\n    environment:\n      - POSTGRES_PASSWORD=x\n    volumes:\n      - data:/var/lib/postgresql/data\n",
        ),
        (
            "compose.yaml",
            "services:\n  db:\n    image: postgres:18\n    env_file: db.env\n    volumes:\n      - data:/var/lib/postgresql\n  web:\n    image: web\n    environment:\n      POSTGRES_PORT_5432_TCP_ADDR: db\n",
        ),
        (
            "requirements.txt",
            "psycopg[binary]>=3.1\n# py-postgresql\npy-postgresql-helper\n",
        ),
        (
            "README.md",
            "`docker-compose up` was the first version's; docker-engine and apt-key are gone.\n\n```python\nx = \"docker-compose up\"\n```\n\n    docker run -it python:3-slim pip install flask\n    pip install flask\n",
        ),
    ] {
        assert_eq!(found(&[(path, text)]), "", "{path}:\n{text}");
    }
}

#[test]
fn what_is_wrong_is_found_in_its_other_forms() {
    let script = "tee ~/.bashrc < x
export LANG='de_DE.UTF-8'
sudo docker run --volume data:/var/lib/postgresql/data -e POSTGRES_PASSWORD=x postgres
docker run --mount type=volume,src=d,dst=/var/lib/postgresql/data --env POSTGRES_PASSWORD=x postgres:18-alpine
docker run --name=db \\
    -e POSTGRES_HOST_AUTH_METHOD=trust postgres:17
docker pull python:3.8-slim
docker run debian:buster-slim
dockerd --storage-driver=aufs
createuser --superuser me
echo 'hostssl app app 10.0.0.0 255.0.0.0 trust'
echo 'host all all 0.0.0.0/0 md5'
curl -O https://dl.bintray.com/tool/tool
";
    let compose = "version: \"3\"\nservices:\n  db:\n    volumes:\n      - type: volume\n      - d:/var/lib/postgresql/data\n    environment:\n      POSTGRES_PASSWORD: x\n    image: \"postgres:latest\"\n    links:\n      - x\n  old:\n    image: postgres:14\n  next:\n    image: x\n    environment:\n      POSTGRES_PASSWORD: x\n";
    insta::assert_snapshot!(
        "other_forms",
        found(&[
            ("provision/a.sh", script),
            ("compose.yml", compose),
            ("provision/b.sh", "#!/bin/sh\r\necho\r\n"),
            ("provision/pg_hba.conf", "host all all all trust\n"),
        ])
    );
}

#[test]
fn a_release_is_cared_for_until_its_day_is_over() {
    let files = [("Dockerfile", "FROM postgres:17\n")];
    let on = |day: &str| lint::lint(&sources(&files), Date::parse(day).unwrap()).len();
    assert_eq!((on("2029-11-08"), on("2029-11-09")), (0, 1));
}

/// A Debian is no substitute for a Python, nor the other way round.
#[test]
fn what_replaces_an_old_image_is_of_its_own_kind() {
    for (image, instead) in [
        ("debian:stretch", "debian:13"),
        ("ubuntu:18.04", "ubuntu:24.04"),
        ("python:3.6", "python:3-slim"),
        ("postgres:9.5", "postgres:17"),
    ] {
        let dockerfile = format!("FROM {image}\n");
        let findings = lint::lint(&sources(&[("Dockerfile", &dockerfile)]), today());
        let found = findings.iter().find(|it| it.id == "lint.end-of-life");
        let remedy = &found.expect(image).remedy;
        assert!(remedy.ends_with(&format!("such as {instead}")), "{remedy}");
    }
}

/// A workshop of the author's own, with this Vagrantfile.
fn declared(config: &str, vagrantfile: &str) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    std::fs::write(folder.path().join("Vagrantfile"), vagrantfile).unwrap();
    told(&lint::lint(&Sources::read(folder.path()).unwrap(), today()))
}

#[test]
fn a_vagrantfile_that_says_something_else_than_config_toml_is_found() {
    let config = "[box]\nip = \"192.168.56.10\"\nmemory_mb = 4096\n";
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let own = dwenv::workshop::load(&folder.path().join("config.toml"), Secrets::Read).unwrap();
    assert_eq!(declared(config, &vagrantfile(&own)), "");
    // Written by dwenv from another declaration, and by somebody.
    let old = vagrantfile(&Workshop::builtin().unwrap());
    insta::assert_snapshot!("outdated", declared(config, &old));
    let edited = vagrantfile(&own).replace("boot_timeout = 600", "boot_timeout = 900");
    assert_eq!(declared(config, &edited), "");
    let other = edited
        .replace("memory = 4096", "memory = 1024")
        .replace("guest: 8080, host: 8080", "guest: 8080, host: 8000")
        .replace("192.168.56.10", "192.168.56.11");
    insta::assert_snapshot!("edited", declared(config, &other));
}

#[test]
fn what_config_toml_itself_says_is_looked_at() {
    let config = "[box]\nip = \"10.1.2.3\"\narm64 = \"ubuntu/jammy64\"\namd64 = \"ubuntu/focal64\"\nforwards = [{ guest = 8080, host = 8080 }, { guest = 9000, host = 9000 }]\n\n[docker]\nimages = [\"postgres:13\", \"python:3-slim\"]\n";
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let own = dwenv::workshop::load(&folder.path().join("config.toml"), Secrets::Read).unwrap();
    insta::assert_snapshot!("declared", declared(config, &vagrantfile(&own)));
}

#[test]
fn every_rule_is_seen_to_find_something_and_is_told_of() {
    let mut silent: BTreeSet<&str> = ids().collect();
    let page = std::fs::read_to_string(root().join("docs/lint.md")).unwrap();
    for id in &silent {
        assert!(
            page.contains(&format!("| `{id}` |")),
            "docs/lint.md lacks {id}"
        );
    }
    for found in of_folder("tests/data/lint/seed") {
        silent.remove(found.id);
    }
    // The others are in the tests above, by their own files.
    assert_eq!(
        silent.into_iter().collect::<Vec<_>>(),
        ["lint.crlf", "lint.disagreement", "lint.pgdata"]
    );
}

fn dwenv(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dwenv"));
    let output = command.arg("lint").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn problems_give_1_warnings_0_and_no_workshop_2() {
    let seed = root().join("tests/data/lint/seed");
    let (code, out, err) = dwenv(&["-C", seed.to_str().unwrap(), "--format", "json"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["schema_version"], 1);
    let findings = document["findings"].as_array().unwrap();
    let counted = document["fail"].as_u64().unwrap() + document["warn"].as_u64().unwrap();
    assert_eq!(counted, findings.len() as u64);
    for key in ["id", "severity", "file", "text", "why", "remedy"] {
        assert!(findings.iter().all(|found| found[key].is_string()), "{key}");
    }
    assert!(
        findings
            .iter()
            .all(|found| found["line"].as_u64() > Some(0))
    );

    let (code, out, _) = dwenv(&["-C", root().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("warn: config.toml:28:7 [lint.address-range]\n    192.168.33.10\n"));
    assert!(out.ends_with("Nothing in this workshop is known to fail; 1 warning.\n"));

    let empty = tempfile::TempDir::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    assert_eq!(dwenv(&["-C", empty]).0, Some(2));
    let wrong = Path::new(empty).join("config.toml");
    std::fs::write(&wrong, "nam = 1\n").unwrap();
    let (code, _, err) = dwenv(&["-C", empty]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("config.toml:1:1: there is no key `nam`"),
        "{err}"
    );
}
