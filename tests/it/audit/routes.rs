//! The layer for routes that read or change memories.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use zep_mcp_server::audit::{Options, OutcomeCode, Proof, Trail, Who};
use zep_mcp_server::http::audit::{HttpAudit, routes};
use zep_mcp_server::memory::access::{Caller, Right};
use zep_mcp_server::memory::model::{Owner, UserId};

use super::{entries, is_intact};
use crate::common::http;

async fn read(Path((user, _)): Path<(String, String)>) -> Response {
    let owner = Owner::User(UserId::new(&user).unwrap());
    if user == "bob" {
        let mut refused = StatusCode::FORBIDDEN.into_response();
        refused
            .extensions_mut()
            .insert(OutcomeCode("not_yours".into()));
        return refused;
    }
    Caller::Operator.may(Right::Read, &owner).unwrap();
    "turquoise".into_response()
}

async fn write() -> StatusCode {
    StatusCode::UNPROCESSABLE_ENTITY
}

async fn serve(trail: Trail) -> String {
    let audit = HttpAudit::new(trail);
    let who = Who {
        name: "laptop".into(),
        role: "writer",
        proof: Proof::Token,
    };
    let app = Router::new()
        .route("/memory/{user}/{id}", get(read).post(write))
        .layer(from_fn_with_state(Arc::clone(&audit), routes))
        .layer(Extension(who));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_request_has_its_route_its_owner_its_ids_and_its_outcome() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("audit");
    let trail = Trail::new(Options::new(place.clone(), true, 10));
    let url = serve(trail.clone()).await;
    let client = http().build().unwrap();
    let get = async |user: &str| {
        let answer = client.get(format!("{url}/memory/{user}/m-1")).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(get("ann").await, 200);
    assert_eq!(get("bob").await, 403);
    let posted = client
        .post(format!("{url}/memory/ann/m-1"))
        .body("{}")
        .send()
        .await;
    assert_eq!(posted.unwrap().status(), 422);
    is_intact(&place);
    let entries = entries(&place);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            assert_eq!(
                (text("who"), text("role"), text("auth")),
                ("laptop", "writer", "token")
            );
            assert_eq!(text("request").len(), 36);
            (text("call"), text("action"), text("outcome"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("GET /memory/{user}/{id}", "read", "ok"),
            ("GET /memory/{user}/{id}", "read", "not_yours"),
            ("POST /memory/{user}/{id}", "write", "invalid_argument"),
        ]
    );
    assert_eq!(
        entries[0]["owners"],
        json!([{"user": "ann", "right": "read"}])
    );
    assert_eq!(entries[0]["ids"], json!(["m-1"]));
    assert!(!format!("{entries:?}").contains("turquoise"));

    // Not begun where the trail cannot be written.
    let trail = Trail::new(Options::new(place.join("lock"), true, 10));
    let url = serve(trail).await;
    let refused = client
        .get(format!("{url}/memory/ann/m-1"))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("audit_unavailable"));
}
