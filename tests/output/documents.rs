//! The JSON documents.

use dwenv::doctor::report::Report;
use dwenv::events::BoxResult;
use dwenv::output::json;
use insta::assert_snapshot;
use serde_json::Value;

use super::commands::{initialised, listed, ups};
use super::doctor::{all_pass, ssh, unreachable};
use super::provision::{self, planned};
use super::{document, run_of};

#[test]
fn doctors_document_is_the_contract() {
    let mut report = unreachable();
    report.checks.push(ssh());
    let report = Report::new(report.target, report.checks);
    assert_snapshot!(document(|out| json::reports(out, &[report])), @r#"
    {
      "schema_version": 1,
      "target": "ssh://me@10.1.2.3",
      "ready": false,
      "counts": {
        "pass": 1,
        "warn": 0,
        "fail": 0,
        "skip": 1,
        "unknown": 1,
        "ignored": 0
      },
      "to_mend": {
        "you": 1,
        "organiser": 0,
        "it": 0
      },
      "notes": [],
      "strict": false,
      "checks": [
        {
          "id": "box.ssh",
          "title": "The box answers over SSH",
          "scope": "box",
          "status": "unknown",
          "summary": "10.1.2.3 port 22 did not answer within 10 s",
          "because": null,
          "remedy": {
            "text": "Start the box.",
            "commands": [
              "dwenv up"
            ],
            "by": "you"
          },
          "duration_ms": 3
        },
        {
          "id": "box.sudo",
          "title": "The box's user may use sudo",
          "scope": "box",
          "status": "skip",
          "summary": "",
          "because": "box.ssh",
          "remedy": null,
          "duration_ms": 3
        },
        {
          "id": "box.ssh",
          "title": "The box answers over SSH",
          "scope": "box",
          "status": "pass",
          "summary": "vagrant@127.0.0.1:2222 let us in with the key insecure_private_key",
          "because": null,
          "remedy": null,
          "duration_ms": 3
        }
      ]
    }
    "#);
}

#[test]
fn documents_for_several_targets_are_lists() {
    let json = document(|out| json::reports(out, &[all_pass(), unreachable()]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["targets"][0]["ready"], true);
    assert_eq!(json["targets"][1]["checks"][1]["because"], "box.ssh");
}

#[test]
fn provisions_document_has_its_differences() {
    let planned = [("sandbox".to_owned(), Ok(planned()))];
    assert_snapshot!(provision::document(&planned), @r#"
    {
      "schema_version": 1,
      "target": "sandbox",
      "applied": false,
      "changes": [
        {
          "checks": [
            "box.docker.package"
          ],
          "title": "Install docker.io, docker-cli, docker-compose, postgresql, python3-psycopg and what they need",
          "status": {
            "state": "planned"
          }
        },
        {
          "checks": [
            "box.server.files"
          ],
          "title": "Write server.py",
          "differences": [
            {
              "subject": "/home/vagrant/docker-workshop/server.py",
              "text": "--- in the box\n+++ declared\n@@ -1,3 +1,3 @@\n import http.server\n-PORT = 8081\n+PORT = 8080\n \n"
            }
          ],
          "status": {
            "state": "planned"
          }
        },
        {
          "checks": [
            "box.postgres.schema"
          ],
          "title": "Create the tables and the fixtures",
          "differences": [
            {
              "subject": "database dockerworkshop",
              "text": "CREATE TABLE call (\n    id serial PRIMARY KEY\n);\n"
            }
          ],
          "status": {
            "state": "planned"
          }
        }
      ],
      "unchanged": [
        {
          "check": "box.port.8080",
          "reason": "Port 8080 is held by nginx, process 812. It is not the workshop's, so it is left alone: stop it with `sudo systemctl stop nginx`, then run `dwenv provision` again.",
          "status": "fail"
        }
      ],
      "notes": [],
      "remaining": []
    }
    "#);
}

#[test]
fn ups_document_holds_both_halves() {
    let json = run_of("up", &ups(), BoxResult::Up);
    let json: Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["address", "doctor", "provision", "schema_version", "target"]
    );
    assert_eq!(json["doctor"]["ready"], true);
    assert_eq!(json["provision"]["applied"], true);
}

#[test]
fn the_other_documents() {
    assert_snapshot!(document(|out| json::targets(out, &listed())), @r#"
    {
      "schema_version": 1,
      "targets": [
        {
          "name": "vagrant",
          "provider": "vagrant (virtualbox)",
          "state": "running",
          "address": "192.168.33.10",
          "default": true
        },
        {
          "name": "sandbox:b",
          "provider": "sandbox",
          "state": "not made yet",
          "address": null,
          "default": false
        }
      ]
    }
    "#);
    assert_snapshot!(document(|out| json::done(out, &initialised())), @r#"
    {
      "schema_version": 1,
      "command": "init",
      "target": null,
      "message": "The workshop's files are in workshop:",
      "paths": [
        "workshop/config.toml",
        "workshop/Vagrantfile"
      ],
      "hints": [
        "cd workshop && dwenv up"
      ]
    }
    "#);
}

#[test]
fn a_box_cannot_smuggle_escapes_into_a_document() {
    let mut report = all_pass();
    report.checks[0].summary = "\x1b[31mred".to_owned();
    document(|out| json::reports(out, &[report]));
}
