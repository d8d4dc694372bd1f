//! The documents at `/openapi.json` say what the services do.

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bed::{Answer, Bed, new_id, product};

/// A document, and what it says of answers.
struct Document(Value);

impl Document {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        let document: oas3::OpenApiV3Spec = serde_json::from_value(answer.body.clone()).unwrap();
        document.validate_version().unwrap();
        Self(answer.body.clone())
    }

    /// The operations: path and method.
    fn operations(&self) -> Vec<(&str, Method)> {
        let paths = self.0["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (path.as_str(), method.to_uppercase().parse().unwrap()))
        });
        operations.collect()
    }

    /// That an answer is one of those that the document names, and looks as it says.
    #[track_caller]
    fn expect(&self, method: &Method, path: &str, answer: &Answer) {
        let operation = &self.0["paths"][path][method.as_str().to_lowercase()];
        let described = &operation["responses"][answer.status.as_str()];
        assert!(described.is_object(), "{method} {path}: {answer:?}");
        let schema = &described["content"][answer.kind.as_str()]["schema"];
        assert!(schema.is_object(), "{method} {path}: {answer:?}");
        // References are looked up from the root.
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator: Validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<_> = validator
            .iter_errors(&answer.body)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{method} {path}: {wrong:?}: {answer:?}");
    }
}

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// What is documented is there, and on the documented paths nothing else is.
async fn expect_routes(bed: &Bed, service: &str, document: &Document) {
    let operations = document.operations();
    for (path, _) in &operations {
        let url = format!("{service}{}", path.replace("{id}", &new_id()));
        for method in METHODS {
            let answer = bed.raw(|http| http.request(method.clone(), &url)).await;
            let documented = operations.contains(&(path, method.clone()));
            // (A GET is answered wherever something is; nothing here is documented without one but commands.)
            assert_eq!(
                answer.status != 405,
                documented,
                "{method} {path}: {answer:?}"
            );
            assert_ne!(
                answer.body["detail"], "there is no such resource",
                "{method} {path}"
            );
        }
    }
    assert!(operations.len() >= 6, "{operations:?}");
}

#[tokio::test]
async fn the_orders_are_as_documented() {
    let bed = Bed::embedded().await;
    let document = Document::of(&bed.ask_orders("/openapi.json").await);
    expect_routes(&bed, &bed.orders, &document).await;

    let opened = bed
        .command(Method::POST, "/accounts", json!({"name": "Ada"}))
        .await;
    document.expect(&Method::POST, "/accounts", &opened);
    let account = opened.body["id"].as_str().unwrap();
    let wrong = bed
        .command(Method::POST, "/accounts", json!({"name": ""}))
        .await;
    document.expect(&Method::POST, "/accounts", &wrong);
    let shown = bed.ask_orders(&format!("/accounts/{account}")).await;
    document.expect(&Method::GET, "/accounts/{id}", &shown);
    for version in [0, 0] {
        let rename = json!({"name": "Grace", "version": version});
        let renamed = bed
            .command(Method::PATCH, &format!("/accounts/{account}"), rename)
            .await;
        document.expect(&Method::PATCH, "/accounts/{id}", &renamed);
    }
    for (quantity, owner) in [
        (1, account.to_owned()),
        (9, account.to_owned()),
        (1, new_id()),
    ] {
        let lines = json!([{"product_id": product(12), "quantity": quantity}]);
        let body = json!({"account_id": owner, "lines": lines});
        let placed = bed.command(Method::POST, "/orders", body).await;
        document.expect(&Method::POST, "/orders", &placed);
        let Some(order) = placed.body["id"].as_str() else {
            continue;
        };
        let line = json!({"product_id": product(1), "quantity": 1, "version": 0});
        let added = bed
            .command(Method::POST, &format!("/orders/{order}/lines"), line)
            .await;
        document.expect(&Method::POST, "/orders/{id}/lines", &added);
        let shown = bed.ask_orders(&format!("/orders/{order}")).await;
        document.expect(&Method::GET, "/orders/{id}", &shown);
        for step in ["ship", "cancel"] {
            let path = format!("/orders/{order}/{step}");
            let ended = bed
                .command(Method::POST, &path, json!({"version": 1}))
                .await;
            document.expect(&Method::POST, &format!("/orders/{{id}}/{step}"), &ended);
        }
    }
    let path = format!("/accounts/{account}/close");
    let closed = bed
        .command(Method::POST, &path, json!({"version": 1}))
        .await;
    document.expect(&Method::POST, "/accounts/{id}/close", &closed);
    document.expect(
        &Method::GET,
        "/products",
        &bed.ask_orders("/products").await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reports_are_as_documented() {
    let bed = Bed::embedded().await;
    let document = Document::of(&bed.ask_reports("/openapi.json").await);
    expect_routes(&bed, &bed.reports, &document).await;
    bed.with_pipeline(async {
        let account = bed.account("Ada").await;
        let lines = json!([{"product_id": product(1), "quantity": 1}]);
        let body = json!({"account_id": account, "lines": lines});
        let placed = bed.command(Method::POST, "/orders", body).await;
        let (order, token) = (placed.body["id"].as_str().unwrap(), placed.token.unwrap());
        for (template, path) in [
            ("/orders", "/orders?limit=1".to_owned()),
            ("/orders", "/orders?limit=1000".to_owned()),
            ("/orders", "/orders?limit=all".to_owned()),
            ("/orders/{id}", format!("/orders/{order}")),
            ("/orders/{id}", format!("/orders/{}", new_id())),
            ("/accounts/{id}", format!("/accounts/{account}")),
            ("/products", "/products".to_owned()),
            (
                "/revenue",
                "/revenue?from=2026-01-01&to=2029-12-31".to_owned(),
            ),
        ] {
            let answer = bed.ask_reports_after(&token, &path).await;
            document.expect(&Method::GET, template, &answer);
        }
    })
    .await;
}
