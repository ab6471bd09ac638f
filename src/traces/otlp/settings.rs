//! Where traces are sent. These variables are OpenTelemetry's, set for many programs at once: they are
//! read from the environment only, never from `.env`, and a value that cannot be used is a warning and
//! no error. The SDK itself reads `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` and the
//! exporter's headers.

use std::time::Duration;

use reqwest::Url;

/// How long the exporter may take to deliver spans, unless the environment says otherwise
/// (OpenTelemetry: OTLP exporter configuration).
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where to, and how long it may take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) url: Url,
    pub(super) timeout: Duration,
}

impl Settings {
    /// `None` if nothing is to be traced.
    ///
    /// # Errors
    /// Which variable cannot be used, and what is possible. Never its value: a URL may hold a password.
    pub(super) fn load(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // An empty value is none (OpenTelemetry: environment variables).
        let get = |name: &str| {
            let value = variable(name)?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        // The variable for traces comes before the one for everything.
        let of_traces = |name: &str| {
            let special = format!("OTEL_EXPORTER_OTLP_TRACES_{name}");
            let general = format!("OTEL_EXPORTER_OTLP_{name}");
            [special, general]
                .into_iter()
                .find_map(|name| get(&name).map(|value| (name, value)))
        };
        let is_disabled =
            get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let sends_otlp = get("OTEL_TRACES_EXPORTER")
            .is_none_or(|names| names.split(',').any(|name| name.trim() == "otlp"));
        let Some((name, url)) = of_traces("ENDPOINT").filter(|_| !is_disabled && sends_otlp) else {
            return Ok(None);
        };
        if let Some((name, protocol)) = of_traces("PROTOCOL")
            && protocol != "http/protobuf"
        {
            return Err(format!(
                "{name} is not `http/protobuf`, the only protocol of this program; collectors take it \
                 at port 4318"
            ));
        }
        let unusable = || format!("{name} is no address like http://localhost:4318");
        let mut url = Url::parse(&url).map_err(|_| unusable())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable());
        }
        if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
            // OpenTelemetry: OTLP exporter configuration, endpoint URLs for OTLP/HTTP.
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let timeout = of_traces("TIMEOUT").and_then(|(_, millis)| millis.parse().ok());
        let timeout = timeout.filter(|millis| *millis > 0);
        Ok(Some(Self {
            url,
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let settings = Settings::load(|name| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        });
        settings.map(|settings| settings.map(|settings| settings.url.to_string()))
    }

    #[test]
    fn the_variable_for_traces_comes_first_and_is_taken_as_it_is() {
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/base/");
        let url = load(&[general]).unwrap().unwrap();
        assert_eq!(url, "http://a:4318/base/v1/traces");
        let special = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b/mine");
        let url = load(&[general, special]).unwrap().unwrap();
        assert_eq!(url, "https://b/mine");
    }

    #[test]
    fn nothing_is_sent_without_an_address_or_where_it_is_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318");
        assert_eq!(load(&[]), Ok(None));
        assert_eq!(load(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
        assert_eq!(load(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(
            load(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]),
            Ok(None)
        );
        let console = ("OTEL_TRACES_EXPORTER", "console, otlp");
        assert!(load(&[endpoint, console]).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_used_is_named_without_its_value() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317");
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let error = load(&[endpoint, grpc]).unwrap_err();
        assert!(error.starts_with("OTEL_EXPORTER_OTLP_PROTOCOL "), "{error}");
        for bad in ["collector:4318", "secret", "ftp://secret"] {
            let error = load(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", bad)]).unwrap_err();
            assert!(
                error.starts_with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT "),
                "{error}"
            );
            assert!(!error.contains(bad), "{error}");
        }
    }
}
