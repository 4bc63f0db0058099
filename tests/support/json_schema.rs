//! JSON Schema, as much of it as the schemas here use.

use serde_json::Value;

/// What is wrong with `value`, `None` where it is as `schema` has it.
pub fn fault(schema: &Value, value: &Value) -> Option<String> {
    check(schema, schema, value, "document")
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
            "type" => {
                let one = std::slice::from_ref(wanted);
                let types = wanted.as_array().map_or(one, Vec::as_slice);
                let fits = |wanted: &Value| !wrong_type(wanted.as_str().unwrap(), value);
                (!types.iter().any(fits)).then(|| format!("no {wanted}"))
            }
            "const" => (value != wanted).then(|| format!("not {wanted}")),
            "enum" => {
                let known = wanted.as_array().unwrap().contains(value);
                (!known).then(|| format!("not one of {wanted}"))
            }
            "maximum" => {
                let most = wanted.as_f64();
                (value.is_number() && value.as_f64() > most).then(|| "too big".to_owned())
            }
            "minimum" => (value.is_number() && value.as_f64() < wanted.as_f64())
                .then(|| "too small".to_owned()),
            "minItems" => {
                let count = value.as_array().map_or(0, Vec::len) as u64;
                (count < wanted.as_u64().unwrap()).then(|| "too few".to_owned())
            }
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                let fits = value.as_str().is_none_or(|text| pattern.is_match(text));
                (!fits).then(|| "does not match".to_owned())
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
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("teach me {other}"),
    }
}
