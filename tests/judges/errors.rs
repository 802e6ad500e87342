//! Bad input and a bad world: each gets a clear error with a hint and its exit code, and nothing is changed.
//!
//! The texts are snapshots; `SNAPSHOTS=overwrite cargo test` writes them anew.

use crate::needs::EMULATORS;
use crate::support::compare::same;
use crate::support::{Action, Bed, Caller, Output, REGION};
use crate::worlds::{self, pipeline, service_role};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use snapbox::data::Inline;
use snapbox::{file, str};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Checks exit code and text of a failed run, and that it wrote nothing and advised something.
#[track_caller]
fn refused(bed: &Bed, output: Output, code: i32, expected: Inline) {
    let output = output.code(code);
    same(&bed.normalise(&output.stderr), expected);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("hint: ") || output.stderr.contains("tip: ") || output.stderr.contains("--help"), "no hint");
    assert!(bed.proxy.writes().is_empty(), "{}", output.calls);
}

/// The same for a run with both profiles.
#[track_caller]
fn refuses(bed: &Bed, args: &[&str], code: i32, expected: Inline) {
    refused(bed, bed.run(args), code, expected);
}

/// A bed with both buckets.
struct Ready {
    bed: Bed,
    input: String,
    output: String,
}

fn ready() -> Ready {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    Ready { bed, input, output }
}

impl Ready {
    fn with<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[command, "--input-bucket", &self.input, "--output-bucket", &self.output], more].concat()
    }

    #[track_caller]
    fn refuses(&self, more: &[&str], code: i32, expected: Inline) {
        refuses(&self.bed, &self.with("setup", &[&["--yes"], more].concat()), code, expected);
    }
}

fn a_bad_command_line_is_exit_64() {
    let bed = Bed::new();
    let usage = |args: &[&str], expected: Inline| {
        refused(&bed, bed.xdeploy(args), 64, expected);
        assert!(bed.proxy.requests().is_empty(), "{args:?} asked AWS");
    };
    assert!(bed.xdeploy(&[]).code(64).stderr.contains("Usage: xdeploy [OPTIONS] <COMMAND>"));
    usage(
        &["stup"],
        str![[r#"
error: unrecognized subcommand 'stup'

  tip: a similar subcommand exists: 'setup'

Usage: xdeploy [OPTIONS] <COMMAND>

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--inptu-bucket", "x"],
        str![[r#"
error: unexpected argument '--inptu-bucket' found

  tip: a similar argument exists: '--input-bucket'

Usage: xdeploy setup --input-bucket <BUCKET>

For more information, try '--help'.

"#]],
    );
    usage(
        &["apply"],
        str![[r#"
error: the following required arguments were not provided:
  <FILE>

Usage: xdeploy apply <FILE>

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--color", "sometimes"],
        str![[r#"
error: invalid value 'sometimes' for '--color <WHEN>'
  [possible values: auto, always, never]

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--input-bucket", "s3://bucket"],
        str![[r#"
error: invalid value 's3://bucket' for '--input-bucket <BUCKET>': `s3://bucket` is not a bucket name: give the bare name, without `s3://` or `arn:`

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--output-bucket", "My_Bucket"],
        str![[r#"
error: invalid value 'My_Bucket' for '--output-bucket <BUCKET>': `My_Bucket` is not a bucket name: `M` is not allowed; use lower-case letters, digits, `.` and `-`

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--artifact-bucket", "ab"],
        str![[r#"
error: invalid value 'ab' for '--artifact-bucket <BUCKET>': `ab` is not a bucket name: it needs 3 to 63 characters

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--object-key", "/site.zip"],
        str![[r#"
error: invalid value '/site.zip' for '--object-key <KEY>': `/site.zip` is not an object key: give it without a leading `/` or `s3://`

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--pipeline", "a b"],
        str![[r#"
error: invalid value 'a b' for '--pipeline <NAME>': `a b` is not a pipeline name: ` ` is not allowed; use letters, digits, `.`, `@`, `-` and `_`

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--deploy-role", "service-role/x"],
        str![[r#"
error: invalid value 'service-role/x' for '--deploy-role <NAME>': `service-role/x` is not a role name: give it without its path

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--key-alias", "aws/s3"],
        str![[r#"
error: invalid value 'aws/s3' for '--key-alias <ALIAS>': `aws/s3` is the alias of an AWS managed key: another account can never be let in; name a customer managed key

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--key-alias", "my key"],
        str![[r#"
error: invalid value 'my key' for '--key-alias <ALIAS>': `my key` is not a key alias: ` ` is not allowed; use letters, digits, `/`, `_` and `-`

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--region", "us-east-1a"],
        str![[r#"
error: invalid value 'us-east-1a' for '--region <REGION>': `us-east-1a` is not an AWS region: it should look like `us-east-1`

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--dev-account", "1234"],
        str![[r#"
error: invalid value '1234' for '--dev-account <ID>': `1234` is not an AWS account id: it needs exactly 12 digits

For more information, try '--help'.

"#]],
    );
    usage(
        &["setup", "--change-detection", "magic"],
        str![[r#"
error: invalid value 'magic' for '--change-detection <HOW>'
  [possible values: eventbridge, polling, none]

For more information, try '--help'.

"#]],
    );
}

fn settings_that_make_no_sense_are_exit_64() {
    let bed = Bed::new();
    let usage = |args: &[&str], expected: Inline| {
        refuses(&bed, args, 64, expected);
        assert!(bed.proxy.requests().is_empty(), "{args:?} asked AWS");
    };
    usage(
        &["setup", "--input-bucket", "one", "--output-bucket", "one"],
        str![[r#"
error: input and output bucket are the same: one

hint: the input bucket belongs to the development account, the output bucket to the production account

"#]],
    );
    usage(
        &["setup", "--artifact-bucket", "one", "--output-bucket", "one"],
        str![[r#"
error: artifact and output bucket are the same: one

hint: the artifact bucket belongs to the development account; leave `--artifact-bucket` out for the default

"#]],
    );
    usage(
        &["setup", "--key-administrator", "admin"],
        str![[r#"
error: `admin` is not the ARN of an IAM user or role

hint: a key administrator looks like `arn:aws:iam::111111111111:role/admins` (a role session's ARN is not one: name the role)

"#]],
    );
    usage(
        &["setup", "--key-administrator", "arn:aws:sts::111111111111:assumed-role/admin/me"],
        str![[r#"
error: `arn:aws:sts::111111111111:assumed-role/admin/me` is not the ARN of an IAM user or role

hint: a key administrator looks like `arn:aws:iam::111111111111:role/admins` (a role session's ARN is not one: name the role)

"#]],
    );
    usage(
        &["setup", "--service-role", "service-role/name"],
        str![[r#"
error: `service-role/name` is not a role name: give it without its path

hint: `--service-role` takes a role's name or its ARN

"#]],
    );
    usage(
        &["setup", "--service-role", "arn:aws:iam::111111111111:user/me"],
        str![[r#"
error: `arn:aws:iam::111111111111:user/me` is not the ARN of an IAM role

hint: a role's ARN looks like `arn:aws:iam::111111111111:role/service-role/name`

"#]],
    );
    usage(
        &["setup", "--assume-policy", "a/b"],
        str![[r#"
error: `a/b` is not a policy name

hint: `--assume-policy` takes 1 to 128 letters, digits and `_+=,.@-`

"#]],
    );
    usage(
        &["setup", "--event-rule", "a b"],
        str![[r#"
error: `a b` is not a rule name

hint: `--event-rule` takes 1 to 64 letters, digits, `.`, `_` and `-`

"#]],
    );
    usage(
        &["setup", "--deploy-path", "/site"],
        str![[r#"
error: `/site` is not a deployment path

hint: `--deploy-path` takes a folder such as `site/v2`, without a leading `/` or control characters

"#]],
    );
}

fn buckets_that_nobody_said_are_exit_64() {
    let bed = Bed::new();
    refuses(
        &bed,
        &["setup", "--yes"],
        64,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: not said which buckets to deploy from and to

hint: pass `--input-bucket BUCKET` (of development) and `--output-bucket BUCKET` (of production), or set `input-bucket` under [dev] and `output-bucket` under [[target]] in xdeploy.toml

"#]],
    );
    let output = bed.bucket(&bed.prod, "output");
    refuses(
        &bed,
        &["setup", "--output-bucket", &output, "--yes"],
        64,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: not said which bucket of development the source zip is uploaded to

hint: pass `--input-bucket BUCKET`, or set `input-bucket` under [dev] in xdeploy.toml

"#]],
    );
}

fn profiles_that_are_not_said_or_not_there() {
    let bed = Bed::new();
    refused(
        &bed,
        bed.xdeploy(&["who-am-i"]),
        64,
        str![[r#"
error: not said which AWS profiles to use: --dev-profile and --prod-profile missing

hint: pass `--dev-profile NAME --prod-profile NAME`, or set `profile` under [dev] and [[target]] in xdeploy.toml

"#]],
    );
    refused(
        &bed,
        bed.xdeploy(&["who-am-i", "--dev-profile", "dev"]),
        64,
        str![[r#"
error: not said which AWS profiles to use: --prod-profile missing

hint: pass `--dev-profile NAME --prod-profile NAME`, or set `profile` under [dev] and [[target]] in xdeploy.toml

"#]],
    );
    refused(
        &bed,
        bed.xdeploy(&["who-am-i", "--dev-profile", "dev", "--prod-profile", "prd"]),
        4,
        str![[r#"
error: there is no AWS profile `prd` (given for prod)
  caused by: looked in [DIR]/config and [DIR]/credentials

hint: did you mean `--prod-profile prod`?

"#]],
    );
    refused(
        &bed,
        bed.xdeploy(&["who-am-i", "--dev-profile", "qqqqq", "--prod-profile", "prod"]),
        4,
        str![[r#"
error: there is no AWS profile `qqqqq` (given for dev)
  caused by: looked in [DIR]/config and [DIR]/credentials

hint: the profiles are: dev, prod

"#]],
    );
    bed.credentials("[bare]\naws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = 0123456789\n");
    refused(
        &bed,
        bed.xdeploy(&["who-am-i", "--dev-profile", "bare", "--prod-profile", "prod"]),
        64,
        str![[r#"
error: profile `bare` (dev) has no region

hint: pass `--region us-east-1`, or set `region` in the profile or AWS_REGION

"#]],
    );
}

/// The trap of `conventions.md`: keys in the environment would silently make both accounts one.
fn keys_in_the_environment_are_ignored() {
    let bed = Bed::new();
    let args = bed.args(&["who-am-i", "--output", "json"]);
    let mut command = bed.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("AWS_ACCESS_KEY_ID", &bed.prod.access_key).env("AWS_SECRET_ACCESS_KEY", &bed.prod.secret_key);
    let found = bed.spawn_command(command).wait().success().json();
    assert_eq!(found["accounts"]["dev"]["account"], bed.dev.id.as_str());
    assert_eq!(found["accounts"]["prod"]["account"], bed.prod.id.as_str());
}

fn aws_profile_alone_fills_neither_side() {
    let bed = Bed::new();
    let mut command = bed.command(&["who-am-i"]);
    command.env("AWS_PROFILE", "dev");
    refused(
        &bed,
        bed.spawn_command(command).wait(),
        64,
        str![[r#"
error: not said which AWS profiles to use: --dev-profile and --prod-profile missing

hint: pass `--dev-profile NAME --prod-profile NAME`, or set `profile` under [dev] and [[target]] in xdeploy.toml

"#]],
    );
}

fn credentials_that_do_not_work_say_how_to_log_in() {
    let bed = Bed::new();
    bed.profile_file(
        "[profile process]\nregion = us-east-1\ncredential_process = /bin/false\n\
         [profile sso]\nregion = us-east-1\nsso_session = company\nsso_account_id = 111111111111\nsso_role_name = Admin\n\
         [sso-session company]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n\
         [profile mfa]\nregion = us-east-1\nrole_arn = arn:aws:iam::111111111111:role/admin\nsource_profile = dev\n\
         mfa_serial = arn:aws:iam::111111111111:mfa/me\n\
         [profile wrong]\nregion = us-east-1\naws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = 0123456789\n",
    );
    let with = |profile: &str, expected: Inline| {
        refused(&bed, bed.xdeploy(&["who-am-i", "--dev-profile", profile, "--prod-profile", "prod"]), 4, expected);
    };
    with(
        "process",
        str![[r#"
error: profile `process` (dev) has no usable credentials
  caused by: `credential_process` of [profile process] ([DIR]/config:7) ended with exit code 1 and said nothing

hint: run what it names by hand and see what it says (/bin/false)

"#]],
    );
    with(
        "sso",
        str![[r#"
error: profile `sso` (dev) has no usable credentials
  caused by: [profile sso] ([DIR]/config:8) has no session at IAM Identity Center: failed to load the cached SSO token

hint: log in: `aws sso login --profile sso`

"#]],
    );
    with(
        "mfa",
        str![[r#"
error: profile `mfa` (dev) has no usable credentials
  caused by: [profile mfa] ([DIR]/config:20) wants a code of MFA device arn:aws:iam::111111111111:mfa/me, and there is no terminal to ask for it

hint: pass the code that it shows: `--mfa-code CODE`
hint: or let the AWS CLI ask for it in a terminal, `aws sts get-caller-identity --profile mfa`: its session is used here too

"#]],
    );
    with(
        "wrong",
        str![[r#"
error: profile `wrong` (dev) has no usable credentials
  caused by: InvalidClientTokenId: The security token included in the request is invalid.

hint: check the access key in [profile wrong] ([DIR]/config:23): `aws sts get-caller-identity --profile wrong` must work

"#]],
    );
}

fn expired_sessions_say_how_to_renew_them() {
    let bed = Bed::with_callers(Caller::sso(), Caller::sso());
    bed.proxy.on_request(|request| match request.is("GetCallerIdentity") {
        true => Action::query_error(403, "ExpiredToken", "The security token included in the request is expired"),
        false => Action::Forward,
    });
    refuses(
        &bed,
        &["who-am-i"],
        4,
        str![[r#"
error: profile `dev` (dev) has no usable credentials
  caused by: ExpiredToken: The security token included in the request is expired (request id REQUEST-ID)

hint: the session in [dev] ([DIR]/credentials:1) is over or was never valid: fetch a new one and try again

"#]],
    );
    // In the middle of a run it is no different.
    bed.proxy.on_request(|request| match request.is("GetPipeline") {
        true => Action::json_error(400, "ExpiredTokenException", "The security token included in the request is expired"),
        false => Action::Forward,
    });
    refuses(
        &bed,
        &["verify"],
        4,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Administrator_0123456789abcdef/tester@example.com
prod 222222222222  us-east-1     arn:aws:sts::222222222222:assumed-role/AWSReservedSSO_Administrator_0123456789abcdef/tester@example.com
error: codepipeline:GetPipeline on arn:aws:codepipeline:us-east-1:111111111111:crossaccountdeploy failed in dev (111111111111)
  caused by: ExpiredTokenException: The security token included in the request is expired (request id REQUEST-ID)

hint: renew the credentials of profile `dev` and run the same command again

"#]],
    );
}

fn the_wrong_account_is_exit_4() {
    let bed = Bed::new();
    refused(
        &bed,
        bed.xdeploy(&["setup", "--dev-profile", "dev", "--prod-profile", "dev", "--yes"]),
        4,
        str![[r#"
error: profiles `dev` and `dev` are the same account, 111111111111

hint: name a profile of the production account with `--prod-profile`; xdeploy works across two accounts

"#]],
    );
    refuses(
        &bed,
        &["setup", "--dev-account", "333333333333", "--yes"],
        4,
        str![[r#"
error: profile `dev` is account 111111111111, but 333333333333 was expected for dev

hint: name the right profile with `--dev-profile`, or correct `--dev-account`

"#]],
    );
    refuses(
        &bed,
        &["setup", "--prod-account", &bed.dev.id, "--yes"],
        4,
        str![[r#"
error: profile `prod` is account 222222222222, but 111111111111 was expected for prod

hint: name the right profile with `--prod-profile`, or correct `--prod-account`

"#]],
    );
}

fn buckets_of_strangers() {
    let Ready { bed, input, output } = ready();
    let foreign = bed.versioned_bucket(&bed.prod, "foreign");
    let dev_owned = bed.bucket(&bed.dev, "dev-owned");
    refuses(
        &bed,
        &["setup", "--input-bucket", &foreign, "--output-bucket", &output, "--yes"],
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: bucket foreign-0000000000 is not one that dev (111111111111) may use
  caused by: s3:ListBucket on arn:aws:s3:::foreign-0000000000: Http403 (request id REQUEST-ID)

hint: it belongs to another account, or arn:aws:iam::111111111111:user/caller lacks s3:ListBucket on it: name a bucket of account 111111111111

"#]],
    );
    refuses(
        &bed,
        &["setup", "--input-bucket", &input, "--output-bucket", &dev_owned, "--yes"],
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: bucket dev-owned-0000000000 is not one that prod (222222222222) may use
  caused by: s3:ListBucket on arn:aws:s3:::dev-owned-0000000000: Http403 (request id REQUEST-ID)

hint: it belongs to another account, or arn:aws:iam::222222222222:user/caller lacks s3:ListBucket on it: name a bucket of account 222222222222

"#]],
    );
    let args = ["setup", "--input-bucket", &input, "--output-bucket", &output, "--artifact-bucket", &foreign, "--yes"];
    refuses(
        &bed,
        &args,
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: bucket foreign-0000000000 is not one that dev (111111111111) may use
  caused by: s3:ListBucket on arn:aws:s3:::foreign-0000000000: Http403 (request id REQUEST-ID)

hint: it belongs to another account, or arn:aws:iam::111111111111:user/caller lacks s3:ListBucket on it: name a bucket of account 111111111111

"#]],
    );
}

fn buckets_that_are_missing() {
    let ready = ready();
    let Ready { bed, input, output } = &ready;
    let (no_input, no_output, no_artifacts) = (bed.unique_name("no-input"), bed.unique_name("no-output"), bed.unique_name("no-artifacts"));
    refuses(
        bed,
        &["setup", "--input-bucket", &no_input, "--output-bucket", output, "--yes"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: there is no input bucket no-input-0000000000 in dev (111111111111)

hint: pass `--create-buckets` to make it, or name an existing one with `--input-bucket`

"#]],
    );
    refuses(
        bed,
        &["setup", "--input-bucket", input, "--output-bucket", &no_output, "--yes"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: there is no output bucket no-output-0000000000 in prod (222222222222)

hint: pass `--create-buckets` to make it, or name an existing one with `--output-bucket`

"#]],
    );
    ready.refuses(
        &["--artifact-bucket", &no_artifacts],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: there is no artifact bucket no-artifacts-0000000000 in dev (111111111111)

hint: pass `--create-buckets` to make it, or leave `--artifact-bucket` out for the default one

"#]],
    );
}

fn buckets_in_the_wrong_region_or_without_versioning() {
    let ready = ready();
    let Ready { bed, input, output } = &ready;
    let far_input = bed.bucket_in(&bed.dev, "far-input", "eu-west-1", true);
    let far_artifacts = bed.bucket_in(&bed.dev, "far-artifacts", "eu-west-1", true);
    let plain = bed.bucket(&bed.dev, "plain");
    ready.refuses(
        &["--prod-region", "eu-west-1"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  eu-west-1     arn:aws:iam::222222222222:user/caller
error: bucket output-0000000000 is in us-east-1, not in eu-west-1

hint: pass `--prod-region us-east-1`, or leave it out: xdeploy finds the bucket's region

"#]],
    );
    ready.refuses(&["--artifact-bucket", &far_artifacts], 3, str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: artifact bucket far-artifacts-0000000000 is in eu-west-1, not in us-east-1

hint: an artifact bucket must be in its store's region: name another with `--artifact-bucket`, or set the pipeline's region with `--region eu-west-1`

"#]]);
    refuses(
        bed,
        &["setup", "--input-bucket", &far_input, "--output-bucket", output, "--yes"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: input bucket far-input-0000000000 is in eu-west-1, but the pipeline is in us-east-1

hint: an S3 source must be in the pipeline's region: pass `--region eu-west-1`, or name another bucket

"#]],
    );
    refuses(
        bed,
        &["setup", "--input-bucket", &plain, "--output-bucket", output, "--yes"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: versioning of the input bucket plain-0000000000 is off; CodePipeline needs it on (A2.3)

hint: pass `--enable-versioning` to turn it on

"#]],
    );
    let suspended = json!({"Bucket": input, "VersioningConfiguration": {"Status": "Suspended"}});
    bed.dev.call("s3", "put_bucket_versioning", suspended);
    ready.refuses(
        &[],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: versioning of the input bucket input-0000000000 is suspended; CodePipeline needs it on (A2.3)

hint: pass `--enable-versioning` to turn it on

"#]],
    );
}

fn keys_that_cannot_be_used() {
    let ready = ready();
    let bed = &ready.bed;
    let key = |alias: &str, arguments: Value| {
        let made = bed.dev.call("kms", "create_key", arguments);
        let id = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        bed.dev.call("kms", "create_alias", json!({"AliasName": format!("alias/{alias}"), "TargetKeyId": id}));
        id
    };
    key("asymmetric", json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}));
    let id = key("disabled", json!({}));
    bed.dev.call("kms", "disable_key", json!({"KeyId": id}));
    let id = key("pending", json!({}));
    bed.dev.call("kms", "schedule_key_deletion", json!({"KeyId": id, "PendingWindowInDays": 7}));
    ready.refuses(&["--key-alias", "asymmetric"], 3, str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: alias/asymmetric can't be used: the alias is of a key of spec RSA_2048 for ENCRYPT_DECRYPT; S3 needs a symmetric encryption key (A1.1)
  caused by: arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000001

hint: name another key with `--key-alias`; a new alias makes a new key

"#]]);
    ready.refuses(
        &["--key-alias", "disabled"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: alias/disabled can't be used: the alias is of a key that is disabled
  caused by: arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000001

hint: enable it with `aws kms enable-key`, or name another with `--key-alias`

"#]],
    );
    ready.refuses(
        &["--key-alias", "pending"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: alias/pending can't be used: the alias is of a key that will be deleted (state PendingDeletion)
  caused by: arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000001

hint: keep it with `aws kms cancel-key-deletion` and `aws kms enable-key`, or name another with `--key-alias`

"#]],
    );
}

fn pipelines_that_do_not_fit() {
    let ready = ready();
    let Ready { bed, input, output } = &ready;
    let other = bed.bucket(&bed.prod, "other");
    let role = service_role(bed);
    let whole = pipeline(&role, "artifacts", input, output);
    let put = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut pipeline = whole.clone();
        pipeline["name"] = json!(name);
        change(&mut pipeline);
        bed.dev.put_pipeline(REGION, &pipeline);
    };
    put("elsewhere", &|pipeline| pipeline["stages"][1]["actions"][0]["configuration"]["BucketName"] = json!(other));
    put("no-deploy", &|pipeline| pipeline["stages"][1]["actions"][0]["actionTypeId"]["provider"] = json!("CloudFormation"));
    put("git", &|pipeline| pipeline["stages"][0]["actions"][0]["actionTypeId"]["provider"] = json!("CodeStarSourceConnection"));
    put("other-source", &|pipeline| pipeline["stages"][0]["actions"][0]["configuration"]["S3Bucket"] = json!("something-else"));
    put("other-region", &|pipeline| pipeline["stages"][1]["actions"][0]["region"] = json!("eu-west-1"));
    ready.refuses(
        &["--pipeline", "elsewhere"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: pipeline elsewhere has no S3 deploy action to output-0000000000

hint: its S3 deploy actions are Deploy/Deploy (to other-0000000000); name its bucket with `--output-bucket`, or another pipeline

"#]],
    );
    ready.refuses(
        &["--pipeline", "no-deploy"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: pipeline no-deploy has no S3 deploy action to output-0000000000

hint: add an S3 deploy action to it first, or name another pipeline with `--pipeline`

"#]],
    );
    ready.refuses(
        &["--pipeline", "git"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: pipeline git has no S3 source action

hint: xdeploy sets up pipelines whose source is an S3 object (article A2.3); name another pipeline with `--pipeline`

"#]],
    );
    ready.refuses(
        &["--pipeline", "other-source"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: pipeline other-source does not read input-0000000000

hint: it reads something-else/sample-website.zip: name that with `--input-bucket`, or another pipeline with `--pipeline`

"#]],
    );
    ready.refuses(
        &["--pipeline", "other-region"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: the deploy action of pipeline other-region is in eu-west-1, but bucket output-0000000000 is in us-east-1

hint: an S3 deploy action must be in its bucket's region: correct the action's region in the pipeline

"#]],
    );
    refuses(
        bed,
        &["setup", "--pipeline", "git", "--output-bucket", output, "--yes"],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: pipeline git has no S3 source action

hint: xdeploy sets up pipelines whose source is an S3 object (article A2.3); name another pipeline with `--pipeline`

"#]],
    );
    refuses(
        bed,
        &["verify", "--pipeline", "absent", "--input-bucket", input, "--output-bucket", output],
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: there is no pipeline absent in us-east-1 of account 111111111111

hint: make it with `xdeploy setup`, or name another with `--pipeline` or `--region`

"#]],
    );
}

fn roles_and_policies_of_others_are_not_taken() {
    let ready = ready();
    let bed = &ready.bed;
    let trust = worlds::policy(json!([{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]));
    bed.prod.call("iam", "create_role", json!({"RoleName": "prods3role", "AssumeRolePolicyDocument": trust}));
    ready.refuses(
        &[],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: role prods3role exists in prod (222222222222), trusts somebody else, and was not made by xdeploy for pipeline crossaccountdeploy

hint: pass `--deploy-role NAME` to use another name
hint: or pass `--deploy-role prods3role` to use this one: it keeps what it has and gets ours beside it

"#]],
    );
    bed.prod.call("iam", "delete_role", json!({"RoleName": "prods3role"}));
    let document = worlds::policy(json!([{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]));
    bed.prod.call("iam", "create_policy", json!({"PolicyName": "devkmss3access", "PolicyDocument": document}));
    ready.refuses(&[], 3, str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: policy devkmss3access exists in prod (222222222222), grants something else, and was not made by xdeploy for pipeline crossaccountdeploy

hint: pass `--artifact-policy NAME` to use another name

"#]]);
    ready.refuses(
        &["--service-role", &format!("arn:aws:iam::{}:role/mine", bed.prod.id)],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: service role arn:aws:iam::222222222222:role/mine is not of the development account 111111111111

hint: CodePipeline can only use a service role of its own account; name one with `--service-role`

"#]],
    );
    ready.refuses(
        &["--service-role", &format!("arn:aws:iam::{}:role/absent", bed.dev.id)],
        3,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: there is no role arn:aws:iam::111111111111:role/absent

hint: correct the ARN, or give only a name with `--service-role` to have the role made

"#]],
    );
}

fn zip_with(path: &std::path::Path, names: &[&str]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for name in names {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"text").unwrap();
    }
    zip.finish().unwrap();
}

fn artifacts_that_cannot_be_deployed() {
    let ready = ready();
    let path = |name: &str| ready.bed.dir().join(name);
    fs::write(path("page.html"), "<html>").unwrap();
    zip_with(&path("up.zip"), &["index.html", "../secret"]);
    zip_with(&path("empty.zip"), &[]);
    fs::create_dir(path("folder")).unwrap();
    File::create(path("large.zip")).unwrap().set_len(5 * 1024 * 1024 * 1024 + 1).unwrap();
    ready.refuses(
        &["--artifact", "page.html"],
        1,
        str![[r#"
error: page.html is not a zip file
  caused by: invalid Zip archive: Could not find EOCD

hint: zip the site's files, for example `zip -r site.zip .` within its folder; `--no-extract` deploys any file as it is

"#]],
    );
    ready.refuses(
        &["--artifact", "up.zip"],
        1,
        str![[r#"
error: up.zip holds the name ../secret, which the deploy action refuses half-way

hint: zip it again from within the folder, so that no name holds `..`

"#]],
    );
    ready.refuses(
        &["--artifact", "empty.zip"],
        1,
        str![[r#"
error: empty.zip holds no file

hint: zip the site's files, for example `zip -r site.zip .` within its folder

"#]],
    );
    ready.refuses(
        &["--artifact", "folder"],
        1,
        str![[r#"
error: folder is not a file

hint: name a zip file; a folder must be zipped first

"#]],
    );
    ready.refuses(
        &["--artifact", "large.zip"],
        1,
        str![[r#"
error: large.zip has 5368709121 bytes; an S3 source may have 5 GB at most

hint: split it, or leave out what the site doesn't need

"#]],
    );
    ready.refuses(
        &["--artifact", "large.zip", "--no-extract"],
        1,
        str![[r#"
error: large.zip has 5368709121 bytes; an S3 source may have 5 GB at most

hint: split it, or leave out what the site doesn't need

"#]],
    );
    ready.refuses(
        &["--artifact", "absent.zip"],
        1,
        str![[r#"
error: could not read absent.zip
  caused by: No such file or directory (os error 2)

hint: check the path

"#]],
    );
    assert!(ready.bed.proxy.requests().is_empty(), "AWS was asked");
}

fn settings_files_that_are_wrong() {
    let bed = Bed::new();
    let with = |text: &str, expected: Inline| {
        fs::write(bed.dir().join("xdeploy.toml"), text).unwrap();
        refuses(&bed, &["setup", "--yes"], 64, expected);
    };
    with(
        "[dev\nprofile = 1",
        str![[r#"
error: xdeploy.toml is not usable
  caused by: TOML parse error at line 1, column 5
      |
    1 | [dev
      |     ^
    unclosed table, expected `]`

hint: the README lists every key of xdeploy.toml

"#]],
    );
    with(
        "[dev]\ninput-buckte = 'a-bucket'\n",
        str![[r#"
error: xdeploy.toml is not usable
  caused by: TOML parse error at line 2, column 1
      |
    2 | input-buckte = 'a-bucket'
      | ^^^^^^^^^^^^
    unknown field `input-buckte`, expected one of `profile`, `account`, `region`, `input-bucket`, `artifact-bucket`, `key-alias`, `artifact-keys`, `no-create-key`, `key-administrators`, `service-role`, `assume-policy`, `event-role`, `event-rule`, `enable-versioning`

hint: did you mean `input-bucket`?

"#]],
    );
    with(
        "[prod]\nprofile = 'prod'\n",
        str![[r#"
error: xdeploy.toml is not usable
  caused by: TOML parse error at line 1, column 2
      |
    1 | [prod]
      |  ^^^^
    unknown field `prod`, expected one of `create-buckets`, `permissions-boundaries`, `pipeline`, `dev`, `target`

hint: the keys here are: create-buckets, permissions-boundaries, pipeline, dev, target

"#]],
    );
    with(
        "[dev]\ninput-bucket = 'A_Bucket'\n",
        str![[r#"
error: xdeploy.toml is not usable
  caused by: TOML parse error at line 2, column 16
      |
    2 | input-bucket = 'A_Bucket'
      |                ^^^^^^^^^^
    `A_Bucket` is not a bucket name: `A` is not allowed; use lower-case letters, digits, `.` and `-`

hint: the README lists every key of xdeploy.toml

"#]],
    );
    with(
        "[pipeline]\nchange-detection = 'magic'\n",
        str![[r#"
error: xdeploy.toml is not usable
  caused by: TOML parse error at line 2, column 20
      |
    2 | change-detection = 'magic'
      |                    ^^^^^^^
    unknown variant `magic`, expected one of `eventbridge`, `polling`, `none`

hint: the README lists every key of xdeploy.toml

"#]],
    );
    with(
        "[[target]]\nprofile = 'a'\n[[target]]\nprofile = 'b'\n",
        str![[r#"
error: xdeploy.toml is not usable
  caused by: 2 targets are listed, but exactly one is supported

hint: keep one [[target]]; use one file a target with `--config FILE`

"#]],
    );
    fs::remove_file(bed.dir().join("xdeploy.toml")).unwrap();
    refuses(
        &bed,
        &["setup", "--config", "absent.toml", "--yes"],
        64,
        str![[r#"
error: could not read absent.toml
  caused by: No such file or directory (os error 2)

hint: check the path

"#]],
    );
    fs::write(bed.dir().join("here.toml"), "").unwrap();
    refuses(
        &bed,
        &["setup", "--write-config", "here.toml", "--yes"],
        1,
        str![[r#"
error: could not write here.toml
  caused by: File exists (os error 17)

hint: name another file, or move this one away: it is never overwritten

"#]],
    );
}

fn plans_that_are_not_applied() {
    let ready = ready();
    let bed = &ready.bed;
    bed.run(&ready.with("plan", &["--out", "good"])).success();
    let good: Value = serde_json::from_str(&fs::read_to_string(bed.dir().join("good")).unwrap()).unwrap();
    let with = |code: i32, change: &dyn Fn(&mut Value), expected: Inline| {
        let mut plan = good.clone();
        change(&mut plan);
        fs::write(bed.dir().join("plan"), plan.to_string()).unwrap();
        refuses(bed, &["apply", "plan"], code, expected);
    };
    fs::write(bed.dir().join("text"), "hello").unwrap();
    refuses(
        bed,
        &["apply", "text"],
        64,
        str![[r#"
error: text is not a plan
  caused by: expected value at line 1 column 1

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    refuses(
        bed,
        &["apply", "absent"],
        64,
        str![[r#"
error: could not read the plan absent
  caused by: No such file or directory (os error 2)

hint: check the path

"#]],
    );
    with(
        64,
        &|plan| *plan = json!([1]),
        str![[r#"
error: plan has format none; this xdeploy reads xdeploy.plan/1

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    with(
        64,
        &|plan| plan["schema"] = json!("xdeploy.plan/9"),
        str![[r#"
error: plan has format xdeploy.plan/9; this xdeploy reads xdeploy.plan/1

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    with(
        64,
        &|plan| plan["version"] = json!("0.0.9"),
        str![[r#"
error: plan was made by xdeploy 0.0.9; this is xdeploy 0.1.0

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    with(
        64,
        &|plan| drop(plan.as_object_mut().unwrap().remove("writes")),
        str![[r#"
error: plan is not a whole plan
  caused by: missing field `writes`

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    with(
        3,
        &|plan| plan["writes"][0]["title"] = json!("harmless"),
        str![[r#"
error: plan was changed after it was made

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    with(
        3,
        &|plan| drop(plan["writes"].as_array_mut().unwrap().pop()),
        str![[r#"
error: plan was changed after it was made

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    refused(
        bed,
        bed.xdeploy(&["apply", "good", "--dev-profile", "prod", "--prod-profile", "dev"]),
        4,
        str![[r#"
error: the plan is for account 111111111111 on the dev side, but profile `prod` is 222222222222

hint: pass `--dev-profile` with a profile of account 111111111111

"#]],
    );
}

fn a_plan_is_refused_when_the_world_has_moved() {
    let ready = ready();
    let bed = &ready.bed;
    bed.run(&ready.with("plan", &["--out", "plan"])).success();
    let topic = json!({"Bucket": ready.input, "NotificationConfiguration": {"EventBridgeConfiguration": {}}});
    bed.dev.call("s3", "put_bucket_notification_configuration", topic);
    refuses(
        bed,
        &["apply", "plan"],
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: the world has moved since the plan was made: input / notification

hint: nothing was changed; look at the new plan with `xdeploy plan --out FILE`, then apply that

"#]],
    );
    let trust = worlds::policy(json!([{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]));
    bed.prod.call("iam", "create_role", json!({"RoleName": "prods3role", "AssumeRolePolicyDocument": trust}));
    refuses(
        bed,
        &["apply", "plan"],
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: the world has moved since the plan was made: deploy role (is there now), input / notification

hint: nothing was changed; look at the new plan with `xdeploy plan --out FILE`, then apply that

"#]],
    );
}

fn a_changed_artifact_is_not_uploaded() {
    let ready = ready();
    zip_with(&ready.bed.dir().join("site.zip"), &["index.html"]);
    ready.bed.run(&ready.with("plan", &["--artifact", "site.zip", "--out", "plan"])).success();
    zip_with(&ready.bed.dir().join("site.zip"), &["index.html", "more.html"]);
    refuses(
        &ready.bed,
        &["apply", "plan"],
        1,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: the artifact has changed since the plan was made

hint: make the plan again

"#]],
    );
}

fn an_answer_that_nobody_can_give_is_exit_3() {
    let ready = ready();
    let bed = &ready.bed;
    let output = bed.run(&ready.with("setup", &[])).code(3);
    same(
        &bed.normalise(&output.stderr),
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: an answer is needed and there is nobody to ask: Apply this plan?

hint: pass `--yes`, or save it with `xdeploy plan --out FILE` and run `xdeploy apply FILE`

"#]],
    );
    assert!(bed.proxy.writes().is_empty());
}

fn a_second_run_on_one_machine_is_refused() {
    let ready = ready();
    let bed = &ready.bed;
    bed.proxy.on_request(|request| if request.is("CreateKey") { Action::HangBefore } else { Action::Forward });
    let args = bed.args(&ready.with("setup", &["--yes"]));
    let first = bed.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    bed.proxy.wait_until(Duration::from_secs(20), |calls| calls.iter().any(|call| call.is("CreateKey")));
    // Until the first run does nothing more, however busy the machine is.
    let mut before = usize::MAX;
    while before != bed.proxy.writes().len() {
        before = bed.proxy.writes().len();
        thread::sleep(Duration::from_secs(1));
    }
    let second = bed.run(&ready.with("setup", &["--yes"])).code(3);
    let text = bed.normalise(&second.stderr).replace(&format!("process {} ", first.id()), "process 4711 ");
    same(
        &text,
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: process 4711 is changing pipeline crossaccountdeploy of account 111111111111 right now

hint: wait until it has finished, then run the same command again

"#]],
    );
    assert_eq!(bed.proxy.writes().len(), before);
    // Reading needs no lock.
    bed.run(&ready.with("plan", &[])).success();
    bed.run(&ready.with("setup", &["--dry-run"])).success();
    // A run that was killed holds nothing.
    let _ = first.kill();
    bed.proxy.clear_hook();
    bed.run(&ready.with("setup", &["--yes"])).success();
}

fn a_bucket_name_that_was_taken_meanwhile() {
    let ready = ready();
    let bed = &ready.bed;
    bed.proxy.on_request(|request| match request.is("CreateBucket") {
        true => Action::s3_error(409, "BucketAlreadyExists", "The requested bucket name is not available."),
        false => Action::Forward,
    });
    let output = bed.run(&ready.with("setup", &["--yes"])).code(1);
    let error = output.stderr.split("error: ").nth(1).unwrap_or_default();
    same(
        &bed.normalise(error),
        str![[r#"
Service role and artifact bucket: artifact bucket codepipeline-us-east-1-111111111111 in us-east-1
  caused by: the bucket name codepipeline-us-east-1-111111111111 is taken by another account
  caused by: BucketAlreadyExists: The requested bucket name is not available. (request id REQUEST-ID)

hint: bucket names are unique in the world: name another with `--artifact-bucket`, `--input-bucket` or `--output-bucket`
hint: run the same command again: what is done stays done

"#]],
    );
}

/// Runs with one operation of one account denied; a line of what came of it.
fn denied(bed: &Bed, args: &[&str], dev: bool, service: &str, operation: &str) -> String {
    let account = if dev { bed.dev.id.clone() } else { bed.prod.id.clone() };
    let caller = if dev { bed.dev.caller_arn.clone() } else { bed.prod.caller_arn.clone() };
    let (wanted, of, denied_account) = (operation.to_owned(), service.to_owned(), account.clone());
    bed.proxy.on_request(move |request| {
        if request.operation != wanted || request.service != of || request.account != denied_account {
            return Action::Forward;
        }
        let code = if request.service == "s3" || request.service == "iam" { "AccessDenied" } else { "AccessDeniedException" };
        if request.method == "HEAD" {
            return Action::Answer { status: 403, headers: vec![("x-amz-request-id".into(), "0BADBEEF00000000".into())], body: Vec::new() };
        }
        Action::error(request, if code == "AccessDenied" { 403 } else { 400 }, code, "no identity-based policy allows it")
    });
    let output = bed.run(args);
    bed.proxy.clear_hook();
    let side = if dev { "dev" } else { "prod" };
    let (status, stderr) = (output.status, output.stderr.clone());
    let problem = |what: &str| format!("{side:<4} {service}:{operation}: {what}\n{stderr}");
    if status == 0 {
        return format!("{side:<4} {service}:{operation}: goes on");
    }
    let Some((action, _)) = stderr.split("\"Action\": \"").nth(1).and_then(|rest| rest.split_once('"')) else {
        if stderr.contains("is not one that") && stderr.contains("lacks s3:ListBucket") {
            return format!("{side:<4} {service}:{operation}: exit {status}, s3:ListBucket");
        }
        return problem("names no statement to add");
    };
    for needed in [account.as_str(), caller.as_str(), "may not call", "\"Resource\": \"", "request id "] {
        if !stderr.contains(needed) {
            return problem(&format!("lacks {needed}"));
        }
    }
    format!("{side:<4} {service}:{operation}: exit {status}, {action}")
}

/// The distinct calls of a run: is it dev's, service, operation, writes.
fn calls(bed: &Bed) -> BTreeSet<(bool, String, String, bool)> {
    let distinct = |request: crate::support::Request| (request.account == bed.dev.id, request.service, request.operation, request.is_write);
    bed.proxy.requests().into_iter().map(distinct).collect()
}

fn a_denied_read_says_what_to_allow() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    bed.run(&args).success();
    // The pipeline is there now, so a second run reads all that can be read.
    bed.proxy.clear();
    bed.run(&args).success();
    // Nobody can be denied GetCallerIdentity.
    let reads = calls(&bed).into_iter().filter(|call| call.1 != "sts");
    let mut lines = Vec::new();
    for (dev, service, operation, _) in reads {
        lines.push(denied(&bed, &args, dev, &service, &operation));
    }
    assert_eq!(bed.proxy.writes().len(), 0);
    same(&(lines.join("\n") + "\n"), file!["../snapshots/errors/a_denied_read_says_what_to_allow.txt"]);
}

fn a_denied_write_says_what_to_allow() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).success();
    let writes: Vec<_> = calls(&bed).into_iter().filter(|call| call.3).collect();
    let lines = Mutex::new(Vec::new());
    let queue = Mutex::new(writes.into_iter());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((dev, service, operation, _)) = queue.lock().unwrap().next() else { return };
                    let bed = Bed::new();
                    let args = worlds::empty(&bed);
                    let args: Vec<&str> = args.iter().map(String::as_str).collect();
                    let line = denied(&bed, &args, dev, &service, &operation);
                    lines.lock().unwrap().push(line);
                }
            });
        }
    });
    let mut lines = lines.into_inner().unwrap();
    lines.sort();
    same(
        &(lines.join("\n") + "\n"),
        str![[r#"
dev  codepipeline:CreatePipeline: exit 1, codepipeline:CreatePipeline
dev  events:PutRule: exit 1, events:PutRule
dev  events:PutTargets: exit 1, events:PutTargets
dev  iam:AttachRolePolicy: exit 1, iam:AttachRolePolicy
dev  iam:CreatePolicy: exit 1, iam:CreatePolicy
dev  iam:CreateRole: exit 1, iam:CreateRole
dev  iam:PutRolePolicy: exit 1, iam:PutRolePolicy
dev  kms:CreateAlias: exit 1, kms:CreateAlias
dev  kms:CreateKey: exit 1, kms:CreateKey
dev  kms:EnableKeyRotation: exit 1, kms:EnableKeyRotation
dev  kms:PutKeyPolicy: exit 1, kms:PutKeyPolicy
dev  s3:CreateBucket: exit 1, s3:CreateBucket
dev  s3:PutBucketEncryption: exit 1, s3:PutEncryptionConfiguration
dev  s3:PutBucketNotificationConfiguration: exit 1, s3:PutBucketNotification
dev  s3:PutBucketPolicy: exit 1, s3:PutBucketPolicy
dev  s3:PutPublicAccessBlock: exit 1, s3:PutBucketPublicAccessBlock
prod iam:AttachRolePolicy: exit 1, iam:AttachRolePolicy
prod iam:CreatePolicy: exit 1, iam:CreatePolicy
prod iam:CreateRole: exit 1, iam:CreateRole

"#]],
    );
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        a_bad_command_line_is_exit_64,
        settings_that_make_no_sense_are_exit_64,
        buckets_that_nobody_said_are_exit_64,
        profiles_that_are_not_said_or_not_there,
        keys_in_the_environment_are_ignored,
        aws_profile_alone_fills_neither_side,
        credentials_that_do_not_work_say_how_to_log_in,
        expired_sessions_say_how_to_renew_them,
        the_wrong_account_is_exit_4,
        buckets_of_strangers,
        buckets_that_are_missing,
        buckets_in_the_wrong_region_or_without_versioning,
        keys_that_cannot_be_used,
        pipelines_that_do_not_fit,
        roles_and_policies_of_others_are_not_taken,
        artifacts_that_cannot_be_deployed,
        settings_files_that_are_wrong,
        plans_that_are_not_applied,
        a_plan_is_refused_when_the_world_has_moved,
        a_changed_artifact_is_not_uploaded,
        an_answer_that_nobody_can_give_is_exit_3,
        a_second_run_on_one_machine_is_refused,
        a_bucket_name_that_was_taken_meanwhile,
        a_denied_read_says_what_to_allow,
        a_denied_write_says_what_to_allow,
    ]
}
