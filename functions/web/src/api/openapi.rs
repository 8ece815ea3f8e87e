//! The description of the API, OpenAPI 3.1: made of the table of routes and of the types that they answer with, so that it cannot say anything else.
//! <https://spec.openapis.org/oas/v3.1.0>

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::route::Route;

/// Where schemas stand.
const SCHEMAS: &str = "/components/schemas";

/// The description of `routes`.
pub(super) fn description<T>(routes: &[Route<T>]) -> Value {
    let settings = |mut settings: SchemaSettings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
        settings
    };
    let mut generator = settings(SchemaSettings::draft2020_12()).for_serialize().into_generator();
    let failed = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in routes {
        let operation = operation(route, &failed.clone().to_value(), &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let own = json!({
        "operationId": "openapi", "summary": "This description.",
        "responses": { "200": { "description": "The description.", "content": { "application/json": { "schema": { "type": "object" } } } } },
    });
    paths.insert("/api/openapi.json".into(), json!({ "get": own }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Muster", "version": env!("CARGO_PKG_VERSION"),
            "description": "What the groups are doing and why, and what an operator may change. Times are milliseconds since 1970 but in a decision's \
                            report, whose times are RFC 3339; loads are percent. Every GET has an ETag.",
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn operation<T>(route: &Route<T>, failed: &Value, generator: &mut SchemaGenerator) -> Value {
    let parts = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path =
        parts.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let of_query = route.query.iter().map(|param| {
        json!({ "name": param.name, "in": "query", "required": false, "description": param.about, "schema": { "type": param.kind } })
    });
    let answer = (route.answer)(generator);
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "parameters": of_path.chain(of_query).collect::<Vec<_>>(),
        "responses": {
            "200": { "description": "So it is.", "content": { "application/json": { "schema": answer } } },
            "default": { "description": "What went wrong.", "content": { "application/json": { "schema": failed } } },
        },
    });
    if let Some(body) = route.body {
        let schema = body(generator);
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}
