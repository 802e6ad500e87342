//! The Docker API over its socket. Paths without a version work on every engine (facts/ecs.md G.1).

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::http;

pub struct Docker {
    pub socket: PathBuf,
}

impl Docker {
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<(u16, String), String> {
        let stream = UnixStream::connect(&self.socket).map_err(|error| format!("{}: {error}", self.socket.display()))?;
        let head = format!("{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        let (status, body) = http::ask(stream, &head, body).map_err(|error| format!("{method} {path}: {error}"))?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    pub fn is_up(&self) -> bool {
        matches!(self.send("GET", "/_ping", "text/plain", b""), Ok((200, _)))
    }

    /// Makes an image of one layer.
    pub fn import(&self, name: &str, tag: &str, tar: &[u8]) {
        let (status, body) =
            self.send("POST", &format!("/images/create?fromSrc=-&repo={name}&tag={tag}"), "application/x-tar", tar).unwrap();
        assert!(status == 200 && !body.contains("\"error\""), "import of {name}: {status} {body}");
    }

    /// Makes and starts a container; answers its id and the PID of its first process.
    pub fn run(&self, name: &str, config: &Value) -> (String, u32) {
        let made = self.call("POST", &format!("/containers/create?name={name}"), Some(config), 201);
        let id = made["Id"].as_str().unwrap().to_owned();
        self.call("POST", &format!("/containers/{id}/start"), None, 204);
        let pid = self.call("GET", &format!("/containers/{id}/json"), None, 200)["State"]["Pid"].as_u64().unwrap();
        (id, u32::try_from(pid).unwrap())
    }

    /// Starts a container, unless it runs.
    pub fn start(&self, name: &str) {
        let (status, body) = self.send("POST", &format!("/containers/{name}/start"), "application/json", b"").unwrap();
        assert!([204, 304].contains(&status), "start of {name}: {status} {body}");
    }

    /// Stops a container at once.
    pub fn kill(&self, name: &str) {
        self.call("POST", &format!("/containers/{name}/kill"), None, 204);
        self.call("POST", &format!("/containers/{name}/wait"), None, 200);
    }

    /// Removes a container, running or not.
    pub fn remove(&self, name: &str) {
        self.call("DELETE", &format!("/containers/{name}?force=1"), None, 204);
    }

    /// What a container has printed.
    pub fn logs(&self, name: &str) -> String {
        self.send("GET", &format!("/containers/{name}/logs?stdout=1&stderr=1"), "text/plain", b"").map(|(_, text)| text).unwrap_or_default()
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>, good: u16) -> Value {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let (status, text) = self.send(method, path, "application/json", body.as_bytes()).unwrap();
        assert!(status == good, "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
