//! Values that would not work: addresses, ports, versions, types.

use insta::assert_snapshot;

use crate::refused;

#[test]
fn addresses_that_would_not_work_are_told() {
    assert_snapshot!(refused("[box]\nip = \"192.168.33.300\"\n"), @r#"
    config.toml:2:6: "192.168.33.300" cannot be `box.ip`: it is no IPv4 address
      |
    2 | ip = "192.168.33.300"
      |      ^^^^^^^^^^^^^^^^
    hint: such as 192.168.33.10
    "#);
    assert_snapshot!(refused("[box]\nip = \"192.168.33.1\"\n"), @r#"
    config.toml:2:6: "192.168.33.1" cannot be `box.ip`: it is the laptop's own address in that network
      |
    2 | ip = "192.168.33.1"
      |      ^^^^^^^^^^^^^^
    hint: its last number can be 2 to 254
    "#);
    assert_snapshot!(refused("[box]\nip = \"10.0.2.15\"\n"), @r#"
    config.toml:2:6: "10.0.2.15" cannot be `box.ip`: 10.0.2.0/24 is VirtualBox's NAT
      |
    2 | ip = "10.0.2.15"
      |      ^^^^^^^^^^^
    hint: such as 192.168.33.10
    "#);
    assert_snapshot!(refused("[box]\nhostname = \"docker-workshop.dev\"\n"), @r#"
    config.toml:2:12: "docker-workshop.dev" cannot be `box.hostname`: browsers open names under .dev only with https
      |
    2 | hostname = "docker-workshop.dev"
      |            ^^^^^^^^^^^^^^^^^^^^^
    hint: take a name without a dot, or one that ends in .test
    "#);
    assert_snapshot!(refused("[box]\nhostname = \"my box; reboot\"\n"), @r#"
    config.toml:2:12: "my box; reboot" cannot be `box.hostname`: it must be 1 to 63 small letters a-z, digits and hyphens
      |
    2 | hostname = "my box; reboot"
      |            ^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[postgres]\nlisten_addresses = \"*'\"\n"), @r#"
    config.toml:2:20: "*'" cannot be `postgres.listen_addresses`: it is no list of addresses
      |
    2 | listen_addresses = "*'"
      |                    ^^^^
    hint: such as *, or localhost,192.168.33.10
    "#);
}

#[test]
fn ports_are_in_range_and_once() {
    assert_snapshot!(refused("[server]\nport = 70000\n"), @r"
    config.toml:2:8: 70000 cannot be `server.port`: it must be between 1024 and 65535
      |
    2 | port = 70000
      |        ^^^^^
    ");
    assert_snapshot!(refused("[server]\nport = 80\n"), @r"
    config.toml:2:8: 80 cannot be `server.port`: it must be between 1024 and 65535
      |
    2 | port = 80
      |        ^^
    ");
    assert_snapshot!(refused("[server]\nport = 99999999999999999999\n"), @r"
    config.toml:2:8: 99999999999999999999 cannot be `server.port`: it must be between 1024 and 65535
      |
    2 | port = 99999999999999999999
      |        ^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(refused("[server]\nport = 5432\n"), @r"
    config.toml:2:8: 5432 cannot be `server.port`: PostgreSQL has that port
      |
    2 | port = 5432
      |        ^^^^
    ");
    assert_snapshot!(refused("[postgres]\nport = 8080\n"), @r"
    config.toml:2:8: 8080 cannot be `postgres.port`: the server has that port
      |
    2 | port = 8080
      |        ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [\n  { guest = 8080, host = 8080 },\n  { guest = 5432, host = 8080 },\n]\n"), @r"
    config.toml:4:26: 8080 cannot be `box.forwards.host`: another forward has that port of the laptop
      |
    4 |   { guest = 5432, host = 8080 },
      |                          ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [{ guest = 8080, host = 8080 }, { guest = 8080, host = 8081 }]\n"), @r"
    config.toml:2:54: 8080 cannot be `box.forwards.guest`: another forward leads to that port of the box
      |
    2 | …orwards = [{ guest = 8080, host = 8080 }, { guest = 8080, ho…
      |                                                      ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [{ guest = 80, host = 8080 }]\n"), @r"
    config.toml:2:12: [{ guest = 80, host = 8080 }] cannot be `box.forwards`: none of them leads to the server's port 8080
      |
    2 | forwards = [{ guest = 80, host = 8080 }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: add { guest = 8080, host = 8080 }
    ");
}

#[test]
fn the_database_is_never_open_to_everybody() {
    assert_snapshot!(refused("[postgres]\nallow_from = [\n    \"samenet\",\n    \"0.0.0.0/0\",\n]\n"), @r#"
    config.toml:4:5: "0.0.0.0/0" cannot be in `postgres.allow_from`: it would let in strangers on every network the box is in
      |
    4 |     "0.0.0.0/0",
      |     ^^^^^^^^^^^
    hint: name the networks of the workshop, such as samenet or 172.16.0.0/12
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = [\"::/0\"]\n"), @r#"
    config.toml:2:15: "::/0" cannot be in `postgres.allow_from`: it would let in strangers on every network the box is in
      |
    2 | allow_from = ["::/0"]
      |               ^^^^^^
    hint: name the networks of the workshop, such as samenet or 172.16.0.0/12
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = [\"10.0.2.15/24\"]\n"), @r#"
    config.toml:2:15: "10.0.2.15/24" cannot be in `postgres.allow_from`: it names a machine, not a network
      |
    2 | allow_from = ["10.0.2.15/24"]
      |               ^^^^^^^^^^^^^^
    hint: write 10.0.2.0/24, or 10.0.2.15/32
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = [\"samenet\", \"samenet\"]\n"), @r#"
    config.toml:2:26: "samenet" cannot be in `postgres.allow_from`: it is there already
      |
    2 | allow_from = ["samenet", "samenet"]
      |                          ^^^^^^^^^
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = []\n"), @r#"
    config.toml:2:14: [] cannot be `postgres.allow_from`: the server itself could not log in
      |
    2 | allow_from = []
      |              ^^
    hint: at least "127.0.0.1/32" and "::1/128"
    "#);
}

#[test]
fn versions_words_and_types_are_checked() {
    assert_snapshot!(refused("[docker]\nminimum = \"twenty\"\n"), @r#"
    config.toml:2:11: "twenty" cannot be `docker.minimum`: it is no version (unexpected character 't' while parsing major version number)
      |
    2 | minimum = "twenty"
      |           ^^^^^^^^
    hint: such as 20.10 or 2.4.9
    "#);
    assert_snapshot!(refused("[docker]\nsource = \"distro\"\n"), @r#"
    config.toml:2:10: "distro" cannot be `docker.source`: it must be one of: distribution, docker
      |
    2 | source = "distro"
      |          ^^^^^^^^
    hint: did you mean `distribution`?
    "#);
    assert_snapshot!(refused("[docker]\nimages = [\"Python:3\"]\n"), @r#"
    config.toml:2:11: "Python:3" cannot be in `docker.images`: it is no image reference
      |
    2 | images = ["Python:3"]
      |           ^^^^^^^^^^
    hint: such as python:3-slim or postgres:17
    "#);
    assert_snapshot!(refused("[postgres.tables.call]\nid = \"seriel primary key\"\n"), @r#"
    config.toml:2:6: "seriel primary key" cannot be `postgres.tables.call.id`: `seriel` is no type of a column
      |
    2 | id = "seriel primary key"
      |      ^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `serial`?
    "#);
    assert_snapshot!(refused("[postgres.tables.call]\nid = \"integer default\"\n"), @r#"
    config.toml:2:6: "integer default" cannot be `postgres.tables.call.id`: `default` says no value
      |
    2 | id = "integer default"
      |      ^^^^^^^^^^^^^^^^^
    hint: such as default now() or default ''
    "#);
}
