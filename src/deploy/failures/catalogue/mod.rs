//! The rows of facts/codepipeline.md E as data, a file for each place where they show.

mod anywhere;
mod create;
mod deploy;
mod deployed;
mod policies;
mod signs;
mod source;
mod trigger;

pub(super) use signs::{SENTENCES, SIGNS};

use super::Row;

/// All tables.
pub(super) static TABLES: [&[Row]; 7] =
    [&source::ROWS, &deploy::ROWS, &deployed::ROWS, &create::ROWS, &policies::ROWS, &trigger::ROWS, &anywhere::ROWS];

/// Makes the address of a page of CodePipeline's user guide.
macro_rules! codepipeline {
    ($page:literal) => {
        concat!("https://docs.aws.amazon.com/codepipeline/latest/userguide/", $page)
    };
}

/// Makes the address of a page of IAM's user guide.
macro_rules! iam {
    ($page:literal) => {
        concat!("https://docs.aws.amazon.com/IAM/latest/UserGuide/", $page)
    };
}

/// Makes the address of a page of S3's user guide.
macro_rules! s3 {
    ($page:literal) => {
        concat!("https://docs.aws.amazon.com/AmazonS3/latest/userguide/", $page)
    };
}

/// Makes the address of a page of KMS's developer guide.
macro_rules! kms {
    ($page:literal) => {
        concat!("https://docs.aws.amazon.com/kms/latest/developerguide/", $page)
    };
}

pub(super) use {codepipeline, iam, kms, s3};
