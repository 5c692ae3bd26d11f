//! The server's REST interface, as a test uses it.

use serde_json::Value;

/// A caller with one token.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl Api {
    /// A caller of the server at `base` (`http://127.0.0.1:PORT`).
    pub fn new(base: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(30)))
            .build();
        Self { base: base.to_owned(), token: token.to_owned(), agent: config.into() }
    }

    /// GET: status and body.
    ///
    /// # Panics
    /// Where the server does not answer.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let auth = format!("Bearer {}", self.token);
        let mut answer =
            self.agent.get(&url).header("Authorization", &auth).call().expect("an answer");
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        (answer.status().as_u16(), parse(&body))
    }

    /// POST: status and body.
    ///
    /// # Panics
    /// Where the server does not answer.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let auth = format!("Bearer {}", self.token);
        let mut answer = self
            .agent
            .post(&url)
            .header("Authorization", &auth)
            .send_json(body)
            .expect("an answer");
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        (answer.status().as_u16(), parse(&body))
    }

    /// The items of a list.
    ///
    /// # Panics
    /// Where the answer is no list.
    pub fn items(&self, path: &str) -> Vec<Value> {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body["items"].as_array().unwrap_or_else(|| panic!("{path}: {body}")).clone()
    }
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()))
}
