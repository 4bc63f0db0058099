//! From `config.toml` to [`Workshop`]: every value read, checked and blamed at its own line and column.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};

use super::document::Document;
use super::folder::Folder;
use super::model::{
    Column, DeclaredFile, Docker, DockerSource, Forward, Laptop, Machine, NamedTarget, Password,
    Postgres, Secrets, Server, Table, Workshop,
};
use super::section::{Layer, Problem, Section, Value};
use super::{authors, builtin, check, column, identifier, network, secrets, sql, venue};
use crate::error::Result;

/// Ports below 1024 need root, which neither the server nor VirtualBox on a laptop has.
const PORTS: std::ops::RangeInclusive<i64> = 1024..=65535;

/// Reads `authors` over the declaration inside the program; without it, that alone.
pub fn read(
    authors: Option<&Document>,
    origin: Option<PathBuf>,
    secrets: Secrets,
) -> Result<Workshop> {
    let inside = Document::new(
        "config.toml (inside dwenv)",
        builtin::CONFIG,
        Folder::Builtin,
    );
    let inside_table = inside.parse()?;
    let authors_table = authors.map(Document::parse).transpose()?;
    let mut layers = Vec::new();
    if let (Some(document), Some(table)) = (authors, &authors_table) {
        layers.push(Layer { document, table });
    }
    layers.push(Layer {
        document: &inside,
        table: &inside_table,
    });
    let top = Section::top(layers);
    // Before anything else: a newer dwenv may know what this one would call a mistake.
    requires(&top.get("requires")?)?;
    let postgres = postgres(&top.section("postgres")?, secrets)?;
    let server = server(
        &top.section("server")?,
        &top.section("postgres")?,
        &postgres,
    )?;
    let checks = authors::checks(top.find("checks").as_ref(), &postgres)?;
    let ignores = authors::ignores(top.find("ignore").as_ref(), &checks)?;
    let workshop = Workshop {
        name: top.get("name")?.parse(check::label)?,
        laptop: laptop(&top.section("laptop")?)?,
        machine: machine(&top.section("box")?, &server)?,
        venue: venue::read(&top.section("network")?, secrets)?,
        docker: docker(&top.section("docker")?)?,
        postgres,
        server,
        targets: targets(top.find("target"))?,
        room: room(top.find("room"))?,
        checks,
        ignores,
        origin,
    };
    top.finish()?;
    Ok(workshop)
}

fn requires(value: &Value) -> Result<()> {
    let needed = value.parse(|text| {
        VersionReq::parse(text).map_err(|error| {
            Problem::new(format!("it is no version requirement ({error})"))
                .hint("such as \">=0.2\"")
        })
    })?;
    let mut this = Version::parse(env!("CARGO_PKG_VERSION"))
        .map_err(|error| value.error(Problem::new(error.to_string())))?;
    // A preview of 0.3 has what 0.3 has; the comparison would not let it count.
    this.pre = semver::Prerelease::EMPTY;
    if needed.matches(&this) {
        return Ok(());
    }
    let what = format!(
        "this workshop needs dwenv {needed}, and this is dwenv {}",
        env!("CARGO_PKG_VERSION")
    );
    Err(value
        .complaint(&what)
        .hint("install the dwenv that its author names"))
}

fn laptop(section: &Section) -> Result<Laptop> {
    let laptop = Laptop {
        vagrant: section.get("vagrant")?.parse(check::version)?,
        virtualbox: section.get("virtualbox")?.parse(check::version)?,
    };
    section.finish()?;
    Ok(laptop)
}

fn machine(section: &Section, server: &Server) -> Result<Machine> {
    let machine = Machine {
        hostname: section.get("hostname")?.parse(check::hostname)?,
        amd64: section.get("amd64")?.parse(check::vagrant_box)?,
        arm64: section.get("arm64")?.parse(check::vagrant_box)?,
        memory_mb: section.get("memory_mb")?.number(512..=262_144)?,
        cpus: section.get("cpus")?.number(1..=64)?,
        ip: section.get("ip")?.parse(network::private_address)?,
        forwards: forwards(&section.get("forwards")?, server)?,
    };
    section.finish()?;
    Ok(machine)
}

fn forwards(list: &Value, server: &Server) -> Result<Vec<Forward>> {
    let mut forwards: Vec<Forward> = Vec::new();
    for entry in list.list()? {
        let section = entry.section()?;
        let (guest, host) = (section.get("guest")?, section.get("host")?);
        let forward = Forward {
            guest: guest.number(1..=65535)?,
            host: host.number(PORTS)?,
        };
        section.finish()?;
        if forwards.iter().any(|other| other.host == forward.host) {
            return Err(host.error(Problem::new("another forward has that port of the laptop")));
        }
        if forwards.iter().any(|other| other.guest == forward.guest) {
            return Err(guest.error(Problem::new(
                "another forward leads to that port of the box",
            )));
        }
        forwards.push(forward);
    }
    // A forward that leads past the server is a connection that the laptop sees reset, and nobody knows why.
    if !forwards.is_empty() && !forwards.iter().any(|one| one.guest == server.port) {
        let port = server.port;
        return Err(list.error(
            Problem::new(format!("none of them leads to the server's port {port}"))
                .hint(format!("add {{ guest = {port}, host = {port} }}")),
        ));
    }
    Ok(forwards)
}

fn docker(section: &Section) -> Result<Docker> {
    let sources = [
        ("distribution", DockerSource::Distribution),
        ("docker", DockerSource::Docker),
    ];
    let docker = Docker {
        source: section
            .get("source")?
            .parse(|text| check::word(text, &sources))?,
        repository: section.get("repository")?.parse(check::repository)?,
        key_fingerprint: section.get("key_fingerprint")?.parse(check::fingerprint)?,
        minimum: section.get("minimum")?.parse(check::version)?,
        compose: section.get("compose")?.boolean()?,
        images: distinct(&section.get("images")?, check::image)?,
    };
    section.finish()?;
    Ok(docker)
}

/// A list of texts, none of them twice.
pub(super) fn distinct(
    list: &Value,
    check: impl Fn(&str) -> Result<String, Problem>,
) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in list.list()? {
        let text = entry.parse(&check)?;
        if texts.contains(&text) {
            return Err(entry.error(Problem::new("it is there already")));
        }
        texts.push(text);
    }
    Ok(texts)
}

fn postgres(section: &Section, secrets: Secrets) -> Result<Postgres> {
    let allowed = section.get("allow_from")?;
    let schema = section.get("create_schema")?;
    let create_schema = schema.file()?;
    let schema_sql = sql::within_transaction(&create_schema.path, &create_schema.content)
        .map_err(|problem| schema.error(problem))?;
    let postgres = Postgres {
        minimum_major: section.get("minimum_major")?.number(13..=99)?,
        port: section.get("port")?.number(PORTS)?,
        listen_addresses: section
            .get("listen_addresses")?
            .parse(network::listen_addresses)?,
        allow_from: distinct(&allowed, network::allowed)?,
        role: section.get("role")?.parse(identifier::role)?,
        database: section.get("database")?.parse(identifier::database)?,
        password: password(&section.get("password")?, secrets)?,
        create_database: section.get("create_database")?.file()?,
        create_schema,
        schema_sql,
        tables: tables(&section.get("tables")?)?,
    };
    section.finish()?;
    if postgres.create_database.name == postgres.create_schema.name {
        return Err(schema.error(
            Problem::new("the other SQL file has that name")
                .hint("in the box they lie in one folder"),
        ));
    }
    if postgres.allow_from.is_empty() {
        return Err(allowed.error(
            Problem::new("the server itself could not log in")
                .hint("at least \"127.0.0.1/32\" and \"::1/128\""),
        ));
    }
    Ok(postgres)
}

fn password(value: &Value, secrets: Secrets) -> Result<Password> {
    if value.is_table() {
        secrets::read(value, secrets, check::password).map(Password::Secret)
    } else {
        Ok(Password::Public(value.parse(check::password)?))
    }
}

fn tables(value: &Value) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (name, columns) in value.entries()? {
        let table = name.parse(identifier::identifier)?;
        let columns = columns
            .entries()?
            .into_iter()
            .map(|(name, value)| {
                let name = name.parse(identifier::identifier)?;
                value.parse(|text| column::parse(&table, &name, text))
            })
            .collect::<Result<Vec<Column>>>()?;
        tables.push(Table {
            name: table,
            columns,
        });
    }
    Ok(tables)
}

fn server(section: &Section, database: &Section, postgres: &Postgres) -> Result<Server> {
    let port = section.get("port")?;
    let listed = section.get("files")?;
    let mut files: Vec<DeclaredFile> = Vec::new();
    for entry in listed.list()? {
        let file = entry.file()?;
        let again = files
            .iter()
            .chain([&postgres.create_database, &postgres.create_schema])
            .any(|other| other.name == file.name && other.path != file.path);
        if again || files.contains(&file) {
            return Err(entry.error(
                Problem::new(format!("another file is already called {}", file.name))
                    .hint("in the box they all lie in one folder"),
            ));
        }
        files.push(file);
    }
    // The SQL files lie beside the server, for compose and for attendees to read.
    for file in [&postgres.create_database, &postgres.create_schema] {
        if !files.contains(file) {
            files.push(file.clone());
        }
    }
    let server = Server {
        directory: section.get("directory")?.parse(check::directory)?,
        port: port.number(PORTS)?,
        unit: section.get("unit")?.parse(check::unit)?,
        unit_file: section.get("unit_file")?.file()?,
        files,
    };
    section.finish()?;
    if server.port == postgres.port {
        let other = database.get("port")?;
        let (blamed, owner) = if port.is_authors() {
            (port, "PostgreSQL")
        } else {
            (other, "the server")
        };
        return Err(blamed.error(Problem::new(format!("{owner} has that port"))));
    }
    Ok(server)
}

fn targets(value: Option<Value>) -> Result<BTreeMap<String, NamedTarget>> {
    let mut targets = BTreeMap::new();
    let Some(value) = value else {
        return Ok(targets);
    };
    for (name, entry) in value.entries()? {
        let name = name.parse(check::target_name)?;
        let section = entry.section()?;
        let target = NamedTarget {
            host: section.get("host")?.parse(check::host)?,
            port: section
                .find("port")
                .map(|port| port.number(1..=65535))
                .transpose()?,
            user: section
                .find("user")
                .map(|user| user.parse(check::login))
                .transpose()?,
            identity: section
                .find("identity")
                .map(|identity| identity_path(&identity))
                .transpose()?,
        };
        section.finish()?;
        targets.insert(name, target);
    }
    Ok(targets)
}

fn room(value: Option<Value>) -> Result<Vec<String>> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let section = value.section()?;
    let list = section.get("targets")?;
    let mut room = Vec::new();
    for entry in list.list()? {
        room.push(entry.parse(check::room_target)?);
    }
    if room.is_empty() {
        return Err(list.error(Problem::new("a room has at least one box")));
    }
    section.finish()?;
    Ok(room)
}

fn identity_path(value: &Value) -> Result<PathBuf> {
    let text = value.text()?;
    if text.is_empty() {
        return Err(value.error(Problem::new("it names no file")));
    }
    Ok(match value.folder() {
        Folder::Local(root) => secrets::expand(root, text),
        // The copy of a declaration has no keys beside it: they are the person's own.
        _ => secrets::expand(Path::new(""), text),
    })
}
