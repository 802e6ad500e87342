//! A8.1 from within setup: the artifact is in place before a new pipeline's first, automatic run.

use super::{Context, Draft};
use crate::deploy::write::{Call, EVERYTHING, Note, Step, Write};
use crate::error::Result;
use crate::model::Side;

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let Some(artifact) = context.artifact else {
        if context.snapshot.pipeline.is_none() {
            draft.notes.push(Note::remark(format!(
                "a new pipeline runs at once; that first run fails at Source until {} is uploaded (A2.7): `xdeploy release FILE --pipeline {}`",
                blueprint.object_key, blueprint.pipeline
            )));
        }
        return Ok(());
    };
    let there = context.snapshot.input.found.as_ref().and_then(|found| found.source_sha256.as_ref());
    if there == Some(&artifact.sha256) {
        draft.notes.push(Note::remark(format!("{} is uploaded already", blueprint.object_key)));
        return Ok(());
    }
    let arn = format!("{}/{}", blueprint.dev.bucket(&blueprint.input_bucket), blueprint.object_key);
    let call = Call::UploadObject {
        bucket: blueprint.input_bucket.clone(),
        region: blueprint.home.clone(),
        key: blueprint.object_key.clone(),
        file: artifact.file.clone(),
        size: artifact.size,
        sha256: artifact.sha256.clone(),
    };
    let title = format!("{} from {} ({} bytes)", blueprint.object_key, artifact.file, artifact.size);
    let write = Write::new(Side::Dev, Step::Artifact, &arn, &arn, title, call)
        .needs([format!("bucket:{}", blueprint.input_bucket), "versioning".to_owned()]);
    // An existing pipeline must be whole before the upload starts it.
    draft.writes.push(if context.snapshot.pipeline.is_some() { write.needs([EVERYTHING]) } else { write });
    Ok(())
}
