//! Requests and their durations, read from the metrics' text, as those who look at a server need them.

use std::collections::BTreeMap;

/// The requests of a route, or of all.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Requests {
    /// How many there were.
    pub requests: u64,
    /// How many of them failed (5xx).
    pub failed: u64,
    /// Upper bounds of durations in seconds, and how many requests took no longer.
    buckets: Vec<(f64, u64)>,
}

impl Requests {
    /// The upper bound of the duration of this share of the requests, in seconds; `None` without any, or
    /// if it is above all bounds.
    pub fn within(&self, share: f64) -> Option<f64> {
        let all = self.buckets.iter().map(|(_, count)| *count).max()?;
        let wanted = all as f64 * share;
        let found = self
            .buckets
            .iter()
            .find(|(_, count)| all > 0 && *count as f64 >= wanted);
        found.map(|(bound, _)| *bound).filter(|it| it.is_finite())
    }

    /// Those of these routes together.
    pub fn of_all<'a>(routes: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for route in routes {
            all.requests += route.requests;
            all.failed += route.failed;
            for (bound, count) in &route.buckets {
                // Every route has the same bounds, in the same order.
                match all.buckets.iter_mut().find(|(theirs, _)| theirs == bound) {
                    Some((_, together)) => *together += count,
                    None => all.buckets.push((*bound, *count)),
                }
            }
        }
        all
    }
}

/// All routes, by method and path.
pub fn routes(metrics: &str) -> BTreeMap<String, Requests> {
    let mut routes: BTreeMap<String, Requests> = BTreeMap::new();
    for line in metrics.lines() {
        let Some((name, labels, value)) = parts(line) else {
            continue;
        };
        let label = |wanted: &str| {
            let found = labels.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value)
        };
        let (Some(method), Some(route)) = (label("method"), label("route")) else {
            continue;
        };
        let route = routes.entry(format!("{method} {route}")).or_default();
        match name {
            "zep_mcp_http_requests_total" => {
                route.requests += value;
                if label("status") == Some("5xx") {
                    route.failed += value;
                }
            }
            "zep_mcp_http_request_duration_seconds_bucket" => {
                let bound = label("le").and_then(|bound| match bound {
                    "+Inf" => Some(f64::INFINITY),
                    bound => bound.parse().ok(),
                });
                route.buckets.extend(bound.map(|bound| (bound, value)));
            }
            _ => {}
        }
    }
    routes
}

/// Labels with their values.
type Labels<'a> = Vec<(&'a str, &'a str)>;

/// A line's name, labels and value. No label of ours holds a quote.
fn parts(line: &str) -> Option<(&str, Labels<'_>, u64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once("} ")?;
    let labels = labels.split("\",").filter_map(|pair| {
        let (name, value) = pair.split_once("=\"")?;
        Some((name, value.trim_end_matches('"')))
    });
    Some((name, labels.collect(), value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_durations_are_read_from_the_metrics() {
        let text = r#"# TYPE zep_mcp_http_requests counter
zep_mcp_http_requests_total{method="GET",route="/a/{id}",status="2xx"} 9
zep_mcp_http_requests_total{method="GET",route="/a/{id}",status="5xx"} 1
zep_mcp_http_request_duration_seconds_bucket{le="0.01",method="GET",route="/a/{id}"} 5
zep_mcp_http_request_duration_seconds_bucket{le="0.1",method="GET",route="/a/{id}"} 9
zep_mcp_http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/a/{id}"} 10
"#;
        let routes = routes(text);
        let twice = Requests::of_all(routes.values().chain(routes.values()));
        assert_eq!((twice.requests, twice.failed), (20, 2));
        assert_eq!(twice.within(0.9), Some(0.1));
        let route = &routes["GET /a/{id}"];
        assert_eq!((route.requests, route.failed), (10, 1));
        assert_eq!(route.within(0.5), Some(0.01));
        assert_eq!(route.within(0.9), Some(0.1));
        assert_eq!(route.within(0.99), None);
        assert_eq!(Requests::default().within(0.5), None);
    }
}
