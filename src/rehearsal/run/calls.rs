//! Calls of S3 as CodePipeline makes them.

use super::super::s3;
use super::super::state::State;
use super::super::wire::{Answer, Call, Caller};
use crate::policy::Decided;

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    /// The bucket of the request that was denied: a copy reads one and writes another.
    pub(super) bucket: String,
}

impl Refused {
    pub(super) fn is_denied(&self) -> bool {
        self.status == 403
    }
}

/// A request, made as somebody in a region.
pub(super) struct Request<'r> {
    pub(super) caller: &'r Caller,
    pub(super) region: &'r str,
    pub(super) method: &'r str,
    pub(super) bucket: &'r str,
    pub(super) key: &'r str,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl<'r> Request<'r> {
    pub(super) fn new(caller: &'r Caller, region: &'r str, method: &'r str, bucket: &'r str, key: &'r str) -> Request<'r> {
        Request { caller, region, method, bucket, key, query: Vec::new(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn asking(mut self, name: &str, value: &str) -> Request<'r> {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Request<'r> {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks for encryption with a store's key, or with AWS's own (facts A.2, row 6).
    pub(super) fn sealed(self, key: Option<&str>) -> Request<'r> {
        let request = self.with("x-amz-server-side-encryption", "aws:kms");
        match key {
            Some(key) => request.with("x-amz-server-side-encryption-aws-kms-key-id", key),
            None => request,
        }
    }

    pub(super) fn send(self, state: &mut State) -> Result<Answer, Refused> {
        let bucket = self.bucket.to_owned();
        let call = Call {
            method: self.method.to_owned(),
            path: format!("/{}/{}", self.bucket, self.key),
            query: self.query,
            headers: self.headers,
            body: self.body,
            host: format!("s3.{}.amazonaws.com", self.region),
            service: "s3".to_owned(),
            region: self.region.to_owned(),
            caller: self.caller.clone(),
            request_id: state.random.uuid(),
            ..Call::default()
        };
        let before = state.log.len();
        let answer = s3::answer(state, &call);
        if answer.status < 300 {
            return Ok(answer);
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let within = |name: &str| {
            let document = roxmltree::Document::parse(&text).ok()?;
            s3::xml::text(document.root_element(), name).map(str::to_owned)
        };
        let denied = state.log.get(before..).unwrap_or_default().iter().rev().find(|logged| logged.verdict != Decided::Allowed);
        let denied = denied.and_then(|logged| logged.resource.split_once(":s3:::")).map(|(_, rest)| rest);
        let at = denied.and_then(|rest| rest.split('/').next()).map_or(bucket, str::to_owned);
        Err(Refused {
            status: answer.status,
            code: within("Code").unwrap_or_default(),
            message: within("Message").unwrap_or_default(),
            bucket: at,
        })
    }
}

/// Gives a header of an answer.
pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}
