//! A REST client as tests need it: nothing is followed, retried or hidden.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;

use super::wait::PATIENCE;

/// Where all paths begin.
const PREFIX: &str = "/api/v1/metadata";

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null if it is none.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl Rest {
    /// A client of the node with this REST port. Connections are not reused: a node that was killed and came back must
    /// not be judged by a connection to its former life.
    pub fn new(port: u16) -> anyhow::Result<Self> {
        Self::at("127.0.0.1", port)
    }

    /// The same for a node at another address.
    pub fn at(host: &str, port: u16) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .connect_timeout(Duration::from_secs(5))
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base: format!("http://{host}:{port}"),
        })
    }

    /// `GET` of a path below `/api/v1/metadata`.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, &format!("{PREFIX}{path}"), None, &[])
            .await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(
            Method::POST,
            &format!("{PREFIX}{path}"),
            Some(body.to_string()),
            &[],
        )
        .await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(
            Method::PUT,
            &format!("{PREFIX}{path}"),
            Some(body.to_string()),
            &[],
        )
        .await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(
            Method::PATCH,
            &format!("{PREFIX}{path}"),
            Some(body.to_string()),
            &[],
        )
        .await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, &format!("{PREFIX}{path}"), None, &[])
            .await
    }

    /// Any request to any path. A body is sent as JSON unless `headers` say otherwise. An error means that no whole
    /// answer came.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        let typed = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !typed {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.body(body.unwrap_or_default()).send().await?).await
    }
}

impl Answer {
    async fn read(response: reqwest::Response) -> anyhow::Result<Self> {
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self {
            status,
            headers,
            json,
            text,
        })
    }

    /// `true` for 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer itself if it is a success; what it says otherwise.
    pub fn success(self) -> anyhow::Result<Self> {
        ensure!(self.is_success(), "{}: {}", self.status, self.text);
        Ok(self)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The code of a problem document, empty if it is none.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// `X-Metadata-Index`.
    pub fn index(&self) -> anyhow::Result<u64> {
        let text = self
            .header("x-metadata-index")
            .context("no X-Metadata-Index")?;
        Ok(text.parse()?)
    }

    /// A number of the body.
    pub fn number(&self, field: &str) -> anyhow::Result<u64> {
        self.json[field]
            .as_u64()
            .with_context(|| format!("no number `{field}` in {}", self.text))
    }
}
