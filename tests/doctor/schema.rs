//! The schema of doctor's document, by as much of JSON Schema as it uses.

use serde_json::Value;

use crate::place::Place;

/// What is wrong with `value`, `None` where it is as the schema has it.
pub fn fault(value: &Value) -> Option<String> {
    let schema = Place::new().dwenv("schema doctor").ended(0).out;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    check(&schema, &schema, value, "document")
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    for (word, wanted) in schema.as_object().unwrap() {
        let fault = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "required" | "properties" => None,
            "$ref" => {
                let path = wanted.as_str().unwrap().trim_start_matches('#');
                let target = root.pointer(path).unwrap_or_else(|| panic!("no {path}"));
                check(root, target, value, place)
            }
            "oneOf" => one_of(root, wanted, value, place),
            "type" => wrong_type(wanted.as_str().unwrap(), value).then(|| format!("no {wanted}")),
            "const" => (value != wanted).then(|| format!("not {wanted}")),
            "enum" => {
                let known = wanted.as_array().unwrap().contains(value);
                (!known).then(|| format!("not one of {wanted}"))
            }
            "minimum" => (value.as_f64() < wanted.as_f64()).then(|| "too small".to_owned()),
            "minItems" => {
                let count = value.as_array().map_or(0, Vec::len) as u64;
                (count < wanted.as_u64().unwrap()).then(|| "too few".to_owned())
            }
            "pattern" => {
                assert_eq!(wanted, r"^(laptop|box)\.[a-z0-9_.-]+$", "teach me this");
                let id = value.as_str().unwrap_or_default();
                let is_id = id.starts_with("laptop.") || id.starts_with("box.");
                (!is_id).then(|| "no id".to_owned())
            }
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .find_map(|(index, item)| check(root, wanted, item, &format!("{place}[{index}]"))),
            "additionalProperties" => {
                assert_eq!(wanted, &Value::Bool(false));
                members(root, schema, value, place)
            }
            other => panic!("teach me {other}"),
        };
        if let Some(fault) = fault {
            return Some(if fault.starts_with("document") {
                fault
            } else {
                format!("{place}: {fault}: {value}")
            });
        }
    }
    None
}

fn one_of(root: &Value, schemas: &Value, value: &Value, place: &str) -> Option<String> {
    let faults: Vec<Option<String>> = schemas
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| check(root, schema, value, place))
        .collect();
    match faults.iter().filter(|fault| fault.is_none()).count() {
        1 => None,
        0 => Some(format!("fits none: {faults:?}")),
        _ => Some("fits more than one".to_owned()),
    }
}

fn members(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let object = value.as_object()?;
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().unwrap();
    let absent = required
        .iter()
        .find(|name| !object.contains_key(name.as_str().unwrap()));
    if let Some(absent) = absent {
        return Some(format!("lacks {absent}"));
    }
    object
        .iter()
        .find_map(|(name, member)| match properties.get(name) {
            Some(schema) => check(root, schema, member, &format!("{place}.{name}")),
            None => Some(format!("has {name:?}")),
        })
}

fn wrong_type(wanted: &str, value: &Value) -> bool {
    !match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("teach me {other}"),
    }
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
    let schema = Place::new().dwenv("schema doctor").ended(0).out;
    objects(&serde_json::from_str(&schema).unwrap());
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
