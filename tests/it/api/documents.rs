//! The OpenAPI document and its pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Api, worlds};

#[test]
fn the_document_has_every_call_and_its_pages_load_nothing_from_elsewhere() {
    let [world, _] = worlds();
    let api = Api::of(&world);
    let document = api.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    let mut calls = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            calls.insert((method.to_uppercase(), path.clone()));
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.len() > 5, "{id}: {responses:?}");
            assert!(operation["summary"].is_string(), "{id}");
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let named: BTreeSet<_> = parameters
                .iter()
                .filter(|it| it["in"] == "path")
                .map(|it| format!("{{{}}}", it["name"].as_str().unwrap()))
                .collect();
            let there: BTreeSet<_> = path
                .split('/')
                .filter(|it| it.starts_with('{'))
                .map(str::to_owned)
                .collect();
            assert_eq!(named, there, "{path}");
        }
    }
    assert!(calls.len() > 50, "{}", calls.len());
    let text = document.to_string();
    for reference in text.split("\"#/").skip(1) {
        let pointer = format!("/{}", reference.split('"').next().unwrap());
        assert!(
            document.pointer(&pointer).is_some(),
            "{pointer} is not there"
        );
    }
    let tools = api.get("/api/memory/tools");
    for tool in tools["tools"].as_array().unwrap() {
        let call = (
            tool["method"].as_str().unwrap().to_owned(),
            tool["path"].as_str().unwrap().to_owned(),
        );
        assert!(calls.contains(&call), "{call:?}");
    }
    let (status, page) = api.raw("GET", "/docs/", None);
    assert_eq!(status, 200);
    for attribute in ["src=\"", "href=\""] {
        for address in page.split(attribute).skip(1) {
            let address = address.split('"').next().unwrap();
            assert!(
                !address.starts_with("http") && !address.starts_with("//"),
                "{address}"
            );
            let path = format!("/docs/{}", address.trim_start_matches("./"));
            assert_eq!(api.raw("GET", &path, None).0, 200, "{path}");
        }
    }
}

#[test]
fn every_field_that_the_document_names_is_a_field_of_the_call() {
    let [world, _] = worlds();
    let api = Api::of(&world);
    let document = api.get("/openapi.json");
    let resolved = |schema: &Value| match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
        None => schema.clone(),
    };
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let either = schema["oneOf"].as_array().cloned();
            for schema in either.unwrap_or_else(|| vec![schema.clone()]) {
                let schema = resolved(&schema);
                let fields = schema["properties"].as_object();
                for name in fields.into_iter().flat_map(|fields| fields.keys()) {
                    // Whatever else is wrong with the call, the field is known.
                    let body = json!({name: null});
                    let path = path.replace(['{', '}'], "");
                    let (_, answer) = api.call(&method.to_uppercase(), &path, Some(&body));
                    let said = answer["detail"].to_string();
                    assert!(!said.contains("extra_forbidden"), "{path} {name}: {said}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 50, "{tried}");
}
