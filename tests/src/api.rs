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
            .timeout_global(Some(crate::PATIENCE))
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

    /// GET, where the server may not be there: status and body.
    pub fn try_get(&self, path: &str) -> Result<(u16, Value), String> {
        let url = format!("{}{path}", self.base);
        let auth = format!("Bearer {}", self.token);
        let answer = self.agent.get(&url).header("Authorization", &auth).call();
        read(answer)
    }

    /// POST, where the server may not be there: status and body. Without an answer nobody knows
    /// what came of it.
    pub fn try_post(&self, path: &str, body: &Value) -> Result<(u16, Value), String> {
        let url = format!("{}{path}", self.base);
        let auth = format!("Bearer {}", self.token);
        let answer = self.agent.post(&url).header("Authorization", &auth).send_json(body);
        read(answer)
    }

    /// Every item of a list, page by page.
    ///
    /// # Panics
    /// Where the answer is no list.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let (status, body) = self.get(&format!("{path}{sign}limit=1000{cursor}"));
            assert_eq!(status, 200, "{path}: {body}");
            let items = body["items"].as_array().unwrap_or_else(|| panic!("{path}: {body}"));
            all.extend(items.iter().cloned());
            match body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
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

fn read(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<(u16, Value), String> {
    let mut answer = answer.map_err(|e| e.to_string())?;
    let body = answer.body_mut().read_to_string().map_err(|e| e.to_string())?;
    Ok((answer.status().as_u16(), parse(&body)))
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()))
}
