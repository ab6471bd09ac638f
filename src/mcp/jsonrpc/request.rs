//! Requests, whose parameters must be those of their method.

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, CompleteRequest, CompleteRequestParams,
    GetPromptRequest, GetPromptRequestParams, InitializeRequest, InitializeRequestParams,
    ListPromptsRequest, ListToolsRequest, PaginatedRequestParams, RequestMetaObject,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Refusal;

/// The request with this method and these parameters.
pub(super) fn read(method: &str, params: Option<&RawValue>) -> Result<ClientRequest, Refusal> {
    let given = params.map(RawValue::get).filter(|params| *params != "null");
    let params = given.unwrap_or("{}");
    if !params.starts_with('{') {
        return Err(Refusal::Params("`params` must be an object".into()));
    }
    macro_rules! typed {
        ($request:ident, $params:ty, $new:ident) => {{
            let mut params = parse::<$params>(params)?;
            let meta = params.meta.take();
            let mut request = $request::$new(params);
            if let Some(meta) = meta {
                request.extensions.insert(meta);
            }
            Ok(request.into())
        }};
    }
    match method {
        "tools/call" => typed!(CallToolRequest, CallToolRequestParams, new),
        "initialize" => typed!(InitializeRequest, InitializeRequestParams, new),
        "prompts/get" => typed!(GetPromptRequest, GetPromptRequestParams, new),
        "completion/complete" => typed!(CompleteRequest, CompleteRequestParams, new),
        "tools/list" => typed!(ListToolsRequest, PaginatedRequestParams, with_param),
        "prompts/list" => typed!(ListPromptsRequest, PaginatedRequestParams, with_param),
        _ => {
            parse::<Meta>(params)?;
            // Without the id, which may be a number that serde cannot hold.
            let method = serde_json::Value::from(method);
            let request = format!("{{\"method\":{method},\"params\":{params}}}");
            serde_json::from_str(&request).map_err(refusal)
        }
    }
}

/// What the parameters of every method may have.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "_meta")]
    _meta: Option<RequestMetaObject>,
}

fn parse<P: DeserializeOwned>(params: &str) -> Result<P, Refusal> {
    serde_json::from_str(params).or_else(|error| {
        if !error.is_data() {
            return Err(Refusal::NotJson);
        }
        // Once more, for the path to the field.
        let mut json = serde_json::Deserializer::from_str(params);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            match (path.as_str(), refusal(error.into_inner())) {
                (".", why) => why,
                (path, Refusal::Params(why)) => Refusal::Params(format!("`{path}`: {why}")),
                (_, why) => why,
            }
        })
    })
}

fn refusal(error: serde_json::Error) -> Refusal {
    if !error.is_data() {
        return Refusal::NotJson;
    }
    let text = error.to_string();
    // Its position is not that in the message.
    let text = text.split(" at line ").next().unwrap_or_default();
    Refusal::Params(text.to_owned())
}
