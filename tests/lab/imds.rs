//! The instance's own metadata: the role that an application ends with when nobody gives it another.
//!
//! It listens where AWS has it, beyond the host's gateway, so that bridge containers reach it by forwarding.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::agent::utc;
use crate::http::{Answer, Request, listen};

/// The access key id of whoever ends with the instance role.
pub const INSTANCE_KEY: &str = "CANARYINSTANCEKEYID";
pub const INSTANCE_ROLE: &str = "ecsInstanceRole";
const TOKEN: &str = "canary-token-of-the-instance";

/// Serves until the lab closes the standard input.
pub fn serve() {
    listen(TcpListener::bind(("169.254.169.254", 80)).unwrap(), answer);
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn answer(request: &Request) -> Answer {
    if request.method == "PUT" && request.path == "/latest/api/token" {
        return Answer::text(200, TOKEN);
    }
    if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return Answer::text(401, "");
    }
    let roles = "/latest/meta-data/iam/security-credentials/";
    match request.path.as_str() {
        path if path == roles || format!("{path}/") == roles => Answer::text(200, INSTANCE_ROLE),
        path if path.strip_prefix(roles) == Some(INSTANCE_ROLE) => {
            let now = SystemTime::now();
            Answer::json(
                200,
                &json!({
                    "Code": "Success",
                    "LastUpdated": utc(now),
                    "Type": "AWS-HMAC",
                    "AccessKeyId": INSTANCE_KEY,
                    "SecretAccessKey": "canary-secret-of-the-instance",
                    "Token": "canary-session-of-the-instance",
                    "Expiration": utc(now + Duration::from_secs(6 * 60 * 60)),
                }),
            )
        }
        "/latest/meta-data/iam/info" => Answer::json(
            200,
            &json!({
                "Code": "Success",
                "LastUpdated": utc(SystemTime::now()),
                "InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/ecsInstanceRole",
                "InstanceProfileId": "AIPAEXAMPLE",
            }),
        ),
        "/latest/meta-data/instance-id" => Answer::text(200, "i-0123456789abcdef0"),
        "/latest/meta-data/placement/region" => Answer::text(200, "eu-central-1"),
        "/latest/dynamic/instance-identity/document" => Answer::json(
            200,
            &json!({"accountId": "111122223333", "region": "eu-central-1", "instanceId": "i-0123456789abcdef0", "privateIp": "10.0.0.5"}),
        ),
        _ => Answer::text(404, ""),
    }
}
