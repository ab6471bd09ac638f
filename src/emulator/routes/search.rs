//! Search in a graph.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde::{Deserialize, Serialize};

use super::filters::FilterBody;
use super::{Routes, Store};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body};
use crate::local::Filters;
use crate::zep::{Entity, Episode, Fact, Reranker, Search, SearchScope};

/// The default and the largest size of a context block, in characters (zep-cloud 3.30.0,
/// `graph.search`).
const DEFAULT_CONTEXT_CHARS: usize = 2_500;
const MAX_CONTEXT_CHARS: usize = 50_000;

pub(super) fn routes() -> Routes {
    Router::new().route("/graph/search", post(search))
}

#[derive(Deserialize)]
struct SearchBody {
    query: String,
    user_id: Option<String>,
    graph_id: Option<String>,
    scope: Option<String>,
    reranker: Option<String>,
    limit: Option<u32>,
    search_filters: Option<FilterBody>,
    max_characters: Option<usize>,
    return_raw_results: Option<bool>,
}

/// The results, only in the fields of the requested scope.
#[derive(Default, Serialize)]
struct Results {
    edges: Option<Vec<Fact>>,
    nodes: Option<Vec<Entity>>,
    episodes: Option<Vec<Episode>>,
    observations: Option<[(); 0]>,
    thread_summaries: Option<[(); 0]>,
    context: Option<String>,
}

/// `graph.search`
async fn search(State(zep): Store, Body(body): Body<SearchBody>) -> ApiResult<Answer<Results>> {
    let owner = super::owner(body.user_id.as_deref(), body.graph_id.as_deref())?;
    let asked = scope(body.scope.as_deref())?;
    let search = Search {
        query: body.query,
        scope: match asked {
            Scope::Stored(scope) => scope,
            // Searched all the same, so that a wrong query or owner is refused.
            Scope::Observations | Scope::ThreadSummaries => SearchScope::Nodes,
        },
        // Zep ignores it with scope auto (zep-cloud 3.30.0, `graph.search`).
        limit: match asked {
            Scope::Stored(SearchScope::Auto) => None,
            _ => body.limit,
        },
        reranker: reranker(body.reranker.as_deref(), asked)?,
        from_episodes: Vec::new(),
    };
    let filters = match body.search_filters {
        Some(filters) => filters.into_filters()?,
        None => Filters::default(),
    };
    let context_chars = body.max_characters.unwrap_or(DEFAULT_CONTEXT_CHARS);
    if context_chars > MAX_CONTEXT_CHARS {
        return Err(ApiError::bad_request(format_args!(
            "max_characters must be at most {MAX_CONTEXT_CHARS}"
        )));
    }

    let found = zep.search_filtered(&owner, &search, &filters).await?;
    Ok(Answer(match asked {
        Scope::Stored(SearchScope::Edges) => Results {
            edges: Some(found.edges),
            ..Results::default()
        },
        Scope::Stored(SearchScope::Nodes) => Results {
            nodes: Some(found.nodes),
            ..Results::default()
        },
        Scope::Stored(SearchScope::Episodes) => Results {
            episodes: Some(found.episodes),
            ..Results::default()
        },
        Scope::Stored(SearchScope::Auto) => {
            let raw = body.return_raw_results == Some(true);
            let context = found.context.map(|text| shortened(text, context_chars));
            // Only the facts in the block.
            let mut edges = found.edges;
            edges.retain(|edge| context.iter().any(|text| text.contains(&edge.fact)));
            Results {
                context,
                edges: raw.then_some(edges),
                nodes: raw.then_some(found.nodes),
                episodes: raw.then_some(found.episodes),
                ..Results::default()
            }
        }
        Scope::Observations => Results {
            observations: Some([]),
            ..Results::default()
        },
        Scope::ThreadSummaries => Results {
            thread_summaries: Some([]),
            ..Results::default()
        },
    }))
}

/// The scopes of Zep. The embedded Zep has no observations and no summaries.
#[derive(Clone, Copy)]
enum Scope {
    Stored(SearchScope),
    Observations,
    ThreadSummaries,
}

fn scope(name: Option<&str>) -> ApiResult<Scope> {
    Ok(match name {
        None | Some("edges") => Scope::Stored(SearchScope::Edges),
        Some("nodes") => Scope::Stored(SearchScope::Nodes),
        Some("episodes") => Scope::Stored(SearchScope::Episodes),
        Some("auto") => Scope::Stored(SearchScope::Auto),
        Some("observations") => Scope::Observations,
        Some("thread_summaries") => Scope::ThreadSummaries,
        Some(_) => {
            return Err(ApiError::bad_request(
                "invalid scope: must be one of edges, nodes, episodes, thread_summaries, \
                 observations, auto",
            ));
        }
    })
}

/// The requested order. The three that need a graph's structure fall back to ranks, as Zep's
/// `episode_mentions` does without anything to count.
fn reranker(name: Option<&str>, scope: Scope) -> ApiResult<Option<Reranker>> {
    match name {
        None => Ok(None),
        Some("rrf") => Ok(Some(Reranker::Rrf)),
        Some("cross_encoder") => Ok(Some(Reranker::CrossEncoder)),
        Some("node_distance" | "episode_mentions")
            if matches!(scope, Scope::Stored(SearchScope::Auto)) =>
        {
            Err(ApiError::bad_request(
                "node_distance and episode_mentions cannot be used with scope auto",
            ))
        }
        Some("mmr" | "node_distance" | "episode_mentions") => Ok(Some(Reranker::Rrf)),
        Some(_) => Err(ApiError::bad_request(
            "invalid reranker: must be one of rrf, mmr, node_distance, episode_mentions, \
             cross_encoder",
        )),
    }
}

/// The lines of a context block that fit completely.
fn shortened(text: String, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text;
    }
    let mut left = chars;
    text.split_inclusive('\n')
        .take_while(|line| {
            let fits = line.chars().count() <= left;
            left = left.saturating_sub(line.chars().count());
            fits
        })
        .collect()
}
