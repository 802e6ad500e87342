//! Input and output bucket: there, versioned, in the right region; made only when asked to.

use super::{Context, Draft};
use crate::deploy::snapshot::{BucketSlot, is_own};
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Readable, Side};

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    input(context, draft)?;
    make_if_missing(context, draft, Side::Prod, &context.snapshot.output, &blueprint.target_region, "output", "--output-bucket")?;
    ownership(context, draft);
    Ok(())
}

fn input(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let (slot, region) = (&context.snapshot.input, &context.blueprint.home);
    make_if_missing(context, draft, Side::Dev, slot, region, "input", "--input-bucket")?;
    let versioning = slot.found.as_ref().and_then(|found| found.versioning.as_deref()).unwrap_or_default();
    if versioning == "Enabled" {
        return Ok(());
    }
    let ours = slot.found.as_ref().is_none_or(|found| is_own(&found.tags, &context.blueprint.pipeline_arn));
    if !ours && !context.settings.enable_versioning {
        let state = if versioning.is_empty() { "off" } else { "suspended" };
        return Err(Error::refused(format!("versioning of the input bucket {} is {state}; CodePipeline needs it on (A2.3)", slot.name))
            .hint("pass `--enable-versioning` to turn it on"));
    }
    let arn = context.blueprint.dev.bucket(&slot.name);
    let call = Call::EnableVersioning { bucket: slot.name.clone(), region: region.clone() };
    draft.writes.push(
        Write::new(Side::Dev, Step::Buckets, &arn, &arn, format!("versioning of input bucket {}", slot.name), call)
            .needs([format!("bucket:{}", slot.name)])
            .gives("versioning"),
    );
    Ok(())
}

fn make_if_missing(
    context: &Context<'_>,
    draft: &mut Draft,
    side: Side,
    slot: &BucketSlot,
    region: &str,
    what: &str,
    flag: &str,
) -> Result<()> {
    let identity = match side {
        Side::Dev => &context.blueprint.dev,
        Side::Prod => &context.blueprint.prod,
    };
    let arn = identity.bucket(&slot.name);
    if slot.found.is_none() {
        if !context.settings.create_buckets {
            return Err(Error::refused(format!("there is no {what} bucket {} in {side} ({})", slot.name, identity.account))
                .hint(format!("pass `--create-buckets` to make it, or name an existing one with `{flag}`")));
        }
        draft.writes.push(create(side, Step::Buckets, &arn, &slot.name, region, what));
    }
    let blocked = slot
        .found
        .as_ref()
        .is_some_and(|found| !is_own(&found.tags, &context.blueprint.pipeline_arn) || found.public_access_blocked == Some(true));
    if !blocked {
        draft.writes.push(block_public_access(side, Step::Buckets, &arn, &slot.name, region));
    }
    Ok(())
}

pub fn create(side: Side, step: Step, arn: &str, name: &str, region: &str, what: &str) -> Write {
    let call = Call::CreateBucket { bucket: name.to_owned(), region: region.to_owned() };
    Write::new(side, step, arn, arn, format!("{what} bucket {name} in {region}"), call).gives(format!("bucket:{name}"))
}

pub fn block_public_access(side: Side, step: Step, arn: &str, name: &str, region: &str) -> Write {
    let call = Call::BlockPublicAccess { bucket: name.to_owned(), region: region.to_owned() };
    Write::new(side, step, arn, arn, format!("public access to {name}"), call).needs([format!("bucket:{name}")])
}

/// Says who will own the objects (facts/codepipeline.md F.2): reported, never changed.
fn ownership(context: &Context<'_>, draft: &mut Draft) {
    let Some(found) = &context.snapshot.output.found else { return };
    let name = &context.snapshot.output.name;
    match &found.ownership {
        Some(Readable::Known(setting)) if setting == "BucketOwnerEnforced" => {}
        Some(Readable::Known(setting)) => draft.notes.push(Note::remark(format!(
            "{name} has object ownership {setting}: production owns what is deployed because its own role writes it"
        ))),
        Some(Readable::Unknown(why)) => draft.notes.push(Note::remark(format!("object ownership of {name} could not be read: {why}"))),
        None => {}
    }
}
