//! The schemas of what programs read.

use serde_json::Value;

use super::json_schema;
use crate::place::Place;

/// What is wrong with one of doctor's documents, `None` where it is as the schema has it.
pub fn fault(value: &Value) -> Option<String> {
    json_schema::fault(&schema("doctor"), value)
}

fn schema(document: &str) -> Value {
    let printed = Place::new()
        .dwenv(&format!("schema {document}"))
        .ended(0)
        .out;
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn the_schema_is_strict_everywhere() {
    fn objects(schema: &Value) {
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{schema}");
            let properties = schema["properties"].as_object().unwrap();
            for name in schema["required"].as_array().unwrap() {
                assert!(properties.contains_key(name.as_str().unwrap()), "{name}");
            }
        }
        match schema {
            Value::Object(members) => members.values().for_each(objects),
            Value::Array(items) => items.iter().for_each(objects),
            _ => {}
        }
    }
    for document in ["doctor", "provision", "events"] {
        objects(&schema(document));
    }
}

#[test]
fn what_is_not_in_the_schema_is_seen() {
    let good = serde_json::json!({
        "schema_version": 1,
        "checks": [{"id": "box.ssh", "title": "", "scope": "box", "needs": []}],
    });
    assert_eq!(fault(&good), None);
    for (pointer, value) in [
        ("/checks/0/id", serde_json::json!("nonsense")),
        ("/checks/0/scope", serde_json::json!("moon")),
        ("/checks/0", serde_json::json!({"id": "box.ssh"})),
        ("/schema_version", serde_json::json!(2)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(fault(&bad).is_some(), "{bad}");
    }
    let mut bad = good;
    bad["checks"][0]["more"] = serde_json::json!(1);
    assert!(fault(&bad).unwrap().contains("more"));
}
