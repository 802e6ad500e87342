//! Plans that are exported, and the accounts that they are of.

use super::running::at_once;
use super::scene::{self, ARTIFACTS, Scene};
use super::served::{BUCKETS, Served};
use super::stage::HOME;
use serde_json::json;
use xdeploy::deploy::plan::Plan;
use xdeploy::model::Policies;

pub fn planned(scene: &Scene) -> Plan {
    at_once(async {
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        scene.plan(&accounts).await.unwrap()
    })
}

pub fn scenes() -> [(&'static str, Scene); 4] {
    [
        ("new", at_once(Scene::fresh(HOME, Policies::Article))),
        ("least privilege", at_once(Scene::fresh(HOME, Policies::LeastPrivilege))),
        ("two regions", at_once(Scene::fresh("eu-west-1", Policies::Article))),
        ("adopting", at_once(Scene::adopting())),
    ]
}

/// Adopts a bucket whose policy holds strange text.
pub fn strange() -> Scene {
    let scene = at_once(Scene::adopting());
    at_once(async {
        let dev = scene.accounts(&scene.rehearsal.line()).await.unwrap().dev;
        let statement = json!({"Sid": "Strange", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{ARTIFACTS}/${{aws:username}}/*"), "Condition": {"StringEquals": {"aws:SourceIdentity": STRANGE}}});
        let policy = scene::document(json!([statement]));
        dev.s3(HOME).put_bucket_policy().bucket(ARTIFACTS).policy(policy).send().await.unwrap();
    });
    scene
}

/// Nothing but a plan `p` that makes buckets and uploads a file.
pub fn with_artifact() -> Served {
    let served = Served::new();
    std::fs::write(served.dir.path().join("it's site.zip"), sample()).unwrap();
    served.run(&[&["plan"], &BUCKETS[..], &["--create-buckets", "--artifact", "it's site.zip", "--out", "p"]].concat());
    served
}

pub fn sample() -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.html", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"<h1>hello</h1>").unwrap();
    zip.finish().unwrap().into_inner()
}

/// Text that shells, templates and JSON each read in a way of their own.
pub const STRANGE: &str = "it's ${*} ${aws:username} %{if} $HOME `id` \"\\n\" $(id) <JSON>";
