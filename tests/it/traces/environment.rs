//! OpenTelemetry's environment: where spans are sent, whether they are, and a collector that is away.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::collector::Collector;
use super::traceparent;
use crate::common::program::{Client, World};

/// Calls a tool some times with this command; gives what it logged, and how long the end took.
fn calls(command: &mut Command) -> (String, Duration) {
    let mut client = Client::connect(command.env("LOG_LEVEL", "info"));
    for number in 0..20 {
        let text = json!({"user_id": "zoe-7", "text": format!("fact {number}")});
        client.call("add_memory", text);
    }
    let ended = client.close();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    (ended.stderr, ended.took)
}

#[test]
fn without_an_address_nothing_is_sent_and_nothing_is_said() {
    let world = World::embedded();
    let mut command = world.command();
    command
        .env("OTEL_SERVICE_NAME", "of-the-host")
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=crimson");
    let (log, _) = calls(&mut command);
    assert!(!log.contains("traces") && !log.contains("crimson"), "{log}");
}

#[test]
fn what_switches_it_off_switches_it_off() {
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ] {
        let (world, collector) = (World::embedded(), Collector::start());
        let mut command = world.command();
        let (log, _) = calls(collector.of(&mut command).env(name, value));
        assert!(collector.spans().is_empty(), "{name}");
        let is_a_mistake = value == "grpc";
        assert_eq!(
            log.contains("no traces are sent"),
            is_a_mistake,
            "{name}: {log}"
        );
        assert_eq!(
            log.contains(&format!("{name} ")),
            is_a_mistake,
            "{name}: {log}"
        );
    }
}

#[test]
fn a_caller_that_does_not_sample_is_not_recorded() {
    let (world, collector) = (World::embedded(), Collector::start());
    let mut command = world.command();
    let mut client = Client::connect(collector.of(&mut command));
    let unsampled = traceparent().replace("-01", "-00");
    let arguments = json!({"user_id": "zoe-7"});
    let id = client.ask(
        "tools/call",
        json!({"name": "list_sessions", "arguments": arguments,
            "_meta": {"traceparent": unsampled}}),
    );
    client.answer_to(id);
    client.call("get_memories", json!({"user_id": "zoe-7"}));
    client.close();
    collector.wait_for("tools/call get_memories");
    assert_eq!(collector.spans().len(), 1);
}

#[test]
fn headers_names_and_attributes_are_those_of_the_environment() {
    let (world, collector) = (World::embedded(), Collector::start());
    let mut command = world.command();
    collector
        .of(&mut command)
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("{}/v1/traces", collector.url),
        )
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "x-key=crimson,authorization=Basic%20abc",
        )
        .env("OTEL_SERVICE_NAME", "memory-of-zoo")
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=stage",
        );
    let (log, _) = calls(&mut command);
    let span = collector.wait_for("tools/call add_memory");
    assert_eq!(span.resource["service.name"], "memory-of-zoo");
    assert_eq!(span.resource["deployment.environment.name"], "stage");
    assert_eq!(collector.header("x-key"), "crimson");
    assert_eq!(collector.header("authorization"), "Basic abc");
    let said = format!("traces are sent to {}", collector.url);
    assert!(log.contains(&said) && !log.contains("crimson"), "{log}");
    collector.wait_for_all("tools/call add_memory", 20);
    assert_eq!(collector.spans().len(), 20);
}

#[test]
fn a_collector_that_is_away_costs_calls_nothing_and_one_line_of_the_log() {
    // Nobody listens there, and somebody who never answers.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let away = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let nobody = format!("http://{}", away.local_addr().unwrap());
    drop(away);
    for (url, warnings) in [(nobody, 1), (silent, 0)] {
        let world = World::embedded();
        let mut command = world.command();
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
            .env("OTEL_BSP_SCHEDULE_DELAY", "10")
            .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
            // What waited for the collector would wait ten minutes for each span.
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000");
        let begun = Instant::now();
        let (log, end) = calls(&mut command);
        assert!(end < Duration::from_secs(60), "{end:?}");
        assert!(begun.elapsed() < Duration::from_secs(120), "{begun:?}");
        let said = log.matches("traces cannot be sent").count();
        assert_eq!(said, warnings, "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}
