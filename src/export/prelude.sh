# Says what is done, on standard error.
say() {
  printf '%s\n' "$1" >&2
}

# Says what is wrong and what to do, and ends the script.
stop() {
  say "error: $1"
  say ''
  say "hint: $2"
  exit 1
}

# Stops unless a program is there.
need() {
  command -v "$1" >/dev/null || stop "$1 is missing" "install $2"
}

# Stops unless a key's ARN was given, which the other account's script prints.
need_key() {
  case ${!1-} in
    arn:*:kms:"$2:$3":key/*) ;;
    '') stop "$1 is not set" "set it to the ARN of dev's key in $2: the script of dev prints it" ;;
    *) stop "$1 is ${!1}, which is no key of account $3 in $2" "set it to what the script of dev prints" ;;
  esac
}

# Calls the AWS CLI in one of the accounts. An empty profile leaves it to the CLI who calls.
call() {
  local name=$1_PROFILE
  local profile=${!name}
  shift
  if [ -n "$profile" ]; then
    set -- "$@" --profile "$profile"
  fi
  aws "$@" --output json
}

# Stops unless the caller is in the account that the plan was made for.
check_account() {
  local expected=$1_ACCOUNT account
  account=$(call "$1" sts get-caller-identity --region "$2" --query Account) ||
    stop "who $1_PROFILE is could not be found out" "log in, or set $1_PROFILE to another profile of the AWS CLI"
  if [ "$account" != "\"${!expected}\"" ]; then
    stop "$1_PROFILE is account $account, and the plan was made for ${!expected}" "set $1_PROFILE to a profile of that account"
  fi
}

# Makes a call whose thing may be missing. live.json has the answer, or null after one of these errors.
try() {
  local missing=$1
  shift
  if call "$@" >"$work/live.json" 2>"$work/error"; then
    grep -q . "$work/live.json" || echo '{}' >"$work/live.json"
  elif grep -Eq "\(($missing)\)" "$work/error"; then
    echo null >"$work/live.json"
  else
    stop "$(grep . "$work/error")" 'mend that, then run this script again: it goes on from there'
  fi
}

# Makes a call, again while AWS refuses it with one of these errors: AWS sees late what was just made.
patient() {
  local late=$1 started=$SECONDS pause=2
  shift
  until call "$@" >"$work/answer.json" 2>"$work/error"; do
    if ! grep -Eq "$late|OperationAborted|ConcurrentModification|Throttling|TooManyRequests" "$work/error" ||
      [ $((SECONDS - started)) -ge "$WAIT_SECONDS" ]; then
      stop "$(grep . "$work/error")" 'mend that, then run this script again: it goes on from there'
    fi
    say "  waiting: $(grep . "$work/error" | tail -n 1)"
    sleep "$pause"
    pause=$((pause < 16 ? pause * 2 : pause))
  done
}

# Notes a key's ARN for what follows, and says it on standard output: the other account's script may need it.
note() {
  export "$1=$2"
  printf '%s=%s\n' "$1" "$2"
}

# Keeps a document, with the ARNs of keys in it that are known by now.
document() {
  # shellcheck disable=SC2016
  jq 'reduce ($ENV | to_entries[] | select(.key | startswith("KEY_ARN_"))) as $key (.;
    walk(if type == "string" then split("<" + $key.key + ">") | join($key.value) else . end))' >"$work/$1.json"
}

# Puts a part of live.json in its place.
pick() {
  jq "$1" "$work/live.json" >"$work/picked.json"
  mv "$work/picked.json" "$work/live.json"
}

# Says whether the tags in live.json are those of this pipeline's set-up.
ours() {
  # shellcheck disable=SC2016
  jq -e --arg name "$PIPELINE" --arg arn "$PIPELINE_ARN" '
    [(. // [])[] | {key: (.Key // .TagKey // .key), value: (.Value // .TagValue // .value)}] | from_entries
    | .["xdeploy:pipeline"] == $name and (.["xdeploy:pipeline-arn"] // $arn) == $arn' "$work/live.json" >/dev/null
}

# Gives a document in the form in which two that say the same are equal: order and lists of one don't matter to a policy.
normal() {
  jq -S 'walk(if type == "array" then unique | if length == 1 then .[0] else . end else . end)' "$work/$1.json"
}

# Gives a pipeline's declaration without its version and without members that hold nothing.
declared() {
  jq -S 'del(.version?) | walk(if type == "object" then with_entries(select(.value != null and .value != [] and .value != {})) else . end)' \
    "$work/$1.json"
}

# Says whether live.json is still to be replaced by after.json. Stops if it is not what the plan saw, before.json.
to_write() {
  local what=$1 form=$2 live before after
  live=$("$form" live) && before=$("$form" before) && after=$("$form" after) || exit 1
  if [ "$live" = "$after" ]; then
    say '  it is so already'
    return 1
  fi
  [ "$live" = "$before" ] || stop "$what has changed since the plan was made; nothing was written to it" \
    'look at the change, then export the plan again'
}

# Stops unless the tags in live.json are ours.
must_be_ours() {
  ours || stop "$1 was made by somebody else since the plan was made" 'export the plan again: it adopts it, or says which flag names another'
  say '  it is there already'
}

# Reads the tags of a key into live.json.
tags_of_key() {
  try 'AccessDeniedException|NotFoundException|KMSInvalidStateException' "$1" kms list-resource-tags --region "$2" --key-id "$3"
  pick '.Tags'
}

# Finds a key with our tags and no alias, which a run left that was stopped: a second one is never made.
key_left_over() {
  local side=$1 region=$2 id
  found=''
  call "$side" kms list-keys --region "$region" >"$work/keys.json"
  for id in $(jq -r '.Keys[].KeyId' "$work/keys.json"); do
    tags_of_key "$side" "$region" "$id"
    ours || continue
    try NotFoundException "$side" kms list-aliases --region "$region" --key-id "$id"
    [ "$(jq '.Aliases | length' "$work/live.json")" = 0 ] || continue
    try NotFoundException "$side" kms describe-key --region "$region" --key-id "$id"
    found=$(jq -r '.KeyMetadata | select(.KeyState == "Enabled") | .Arn' "$work/live.json")
    if [ -n "$found" ]; then return; fi
  done
}

# Makes a KMS key with the policy in after.json and notes its ARN, unless the alias or our tags show one.
create_key() {
  local side=$1 region=$2 alias=$3 variable=$4 description=$5 found
  shift 5
  try NotFoundException "$side" kms describe-key --region "$region" --key-id "$alias"
  found=$(jq -r '.KeyMetadata.Arn // empty' "$work/live.json")
  if [ -n "$found" ]; then
    tags_of_key "$side" "$region" "${found##*/}"
    must_be_ours "the key of $alias"
  else
    key_left_over "$side" "$region"
    if [ -z "$found" ]; then
      # CreateKey has no token: a repeated request would make a second key.
      AWS_MAX_ATTEMPTS=1 patient 'MalformedPolicyDocument' "$side" kms create-key --region "$region" --description "$description" \
        --policy "file://$work/after.json" --tags "TagKey=xdeploy:pipeline,TagValue=$PIPELINE" \
        "TagKey=xdeploy:pipeline-arn,TagValue=$PIPELINE_ARN" "$@"
      found=$(jq -r '.KeyMetadata.Arn' "$work/answer.json")
    fi
  fi
  note "$variable" "$found"
}

# Copies a multi-Region key to another region with the policy in after.json, waits for it, and notes its ARN.
replicate_key() {
  local side=$1 region=$2 key=${3##*/} replica=$4 variable=$5 description=$6 started=$SECONDS
  try NotFoundException "$side" kms describe-key --region "$replica" --key-id "$key"
  if [ "$(cat "$work/live.json")" != null ]; then
    tags_of_key "$side" "$replica" "$key"
    must_be_ours "the replica of key $key in $replica"
  else
    patient 'NotFoundException|KMSInvalidStateException|MalformedPolicyDocument' "$side" kms replicate-key --region "$region" \
      --key-id "$key" --replica-region "$replica" --description "$description" --policy "file://$work/after.json" \
      --tags "TagKey=xdeploy:pipeline,TagValue=$PIPELINE" "TagKey=xdeploy:pipeline-arn,TagValue=$PIPELINE_ARN"
  fi
  until try NotFoundException "$side" kms describe-key --region "$replica" --key-id "$key" &&
    [ "$(jq -r '.KeyMetadata.KeyState' "$work/live.json")" = Enabled ]; do
    [ $((SECONDS - started)) -lt "$WAIT_SECONDS" ] || stop "the replica of key $key in $replica is not ready" 'run this script again'
    sleep 2
  done
  note "$variable" "$(jq -r '.KeyMetadata.Arn' "$work/live.json")"
}

# Gives a key its alias.
create_alias() {
  local there
  try NotFoundException "$1" kms describe-key --region "$2" --key-id "$3"
  there=$(jq -r '.KeyMetadata.Arn // empty' "$work/live.json")
  if [ "${there##*/}" = "${4##*/}" ]; then
    say '  it is there already'
    return
  fi
  [ -z "$there" ] || stop "$3 was given to another key since the plan was made" 'export the plan again, or pass another --key-alias'
  patient 'NotFoundException|KMSInvalidStateException' "$1" kms create-alias --region "$2" --alias-name "$3" --target-key-id "${4##*/}"
}

# Replaces a key's policy before.json by after.json.
put_key_policy() {
  local key=${3##*/}
  try NONE "$1" kms get-key-policy --region "$2" --key-id "$key" --policy-name default
  pick '.Policy | fromjson'
  if to_write "the policy of key $key" normal; then
    patient 'MalformedPolicyDocument|NotFoundException|KMSInvalidStateException' "$1" kms put-key-policy --region "$2" \
      --key-id "$key" --policy-name default --policy "file://$work/after.json"
  fi
}

# Makes a role with the trust policy in after.json, and with a permissions boundary where one is given.
create_role() {
  try NoSuchEntity "$1" iam get-role --region "$2" --role-name "$3"
  if [ "$(cat "$work/live.json")" != null ]; then
    pick '.Role.Tags'
    must_be_ours "role $3"
    return
  fi
  patient 'MalformedPolicyDocument.*[Ii]nvalid principal' "$1" iam create-role --region "$2" --role-name "$3" --path "$4" \
    --description "$5" --assume-role-policy-document "file://$work/after.json" ${6:+--permissions-boundary "$6"} \
    --tags "Key=xdeploy:pipeline,Value=$PIPELINE" "Key=xdeploy:pipeline-arn,Value=$PIPELINE_ARN"
}

# Replaces a role's trust policy before.json by after.json.
put_trust() {
  try NONE "$1" iam get-role --region "$2" --role-name "$3"
  pick '.Role.AssumeRolePolicyDocument'
  if to_write "the trust policy of role $3" normal; then
    patient 'MalformedPolicyDocument.*[Ii]nvalid principal' "$1" iam update-assume-role-policy --region "$2" --role-name "$3" \
      --policy-document "file://$work/after.json"
  fi
}

# Replaces a role's inline policy before.json by after.json.
put_role_policy() {
  try NoSuchEntity "$1" iam get-role-policy --region "$2" --role-name "$3" --policy-name "$4"
  pick '.PolicyDocument'
  if to_write "policy $4 of role $3" normal; then
    patient NoSuchEntity "$1" iam put-role-policy --region "$2" --role-name "$3" --policy-name "$4" \
      --policy-document "file://$work/after.json"
  fi
}

# Makes a managed policy with the document in after.json.
create_policy() {
  try NoSuchEntity "$1" iam get-policy --region "$2" --policy-arn "$3"
  if [ "$(cat "$work/live.json")" != null ]; then
    pick '.Policy.Tags'
    must_be_ours "policy $3"
    return
  fi
  patient ServiceFailure "$1" iam create-policy --region "$2" --policy-name "$4" --description "$5" \
    --policy-document "file://$work/after.json" \
    --tags "Key=xdeploy:pipeline,Value=$PIPELINE" "Key=xdeploy:pipeline-arn,Value=$PIPELINE_ARN"
}

# Replaces a managed policy's document before.json by after.json, as a new version. An old version goes first where there are too many.
create_policy_version() {
  local version
  try NONE "$1" iam get-policy --region "$2" --policy-arn "$3"
  version=$(jq -r '.Policy.DefaultVersionId' "$work/live.json")
  try NONE "$1" iam get-policy-version --region "$2" --policy-arn "$3" --version-id "$version"
  pick '.PolicyVersion.Document'
  if to_write "policy $3" normal; then
    patient ServiceFailure "$1" iam create-policy-version --region "$2" --policy-arn "$3" --set-as-default \
      --policy-document "file://$work/after.json"
  fi
}

# Makes a bucket that nobody but its owner writes ACLs for.
create_bucket() {
  try 'NoSuchBucket|NoSuchTagSet' "$1" s3api get-bucket-tagging --region "$2" --bucket "$3"
  if ! grep -q '(NoSuchBucket)' "$work/error"; then
    pick '.TagSet'
    must_be_ours "bucket $3"
    return
  fi
  # us-east-1 is the one region that may not be named.
  # shellcheck disable=SC2016
  jq -n --arg region "$2" --arg name "$PIPELINE" --arg arn "$PIPELINE_ARN" '
    {Tags: [{Key: "xdeploy:pipeline", Value: $name}, {Key: "xdeploy:pipeline-arn", Value: $arn}]}
    + if $region == "us-east-1" then {} else {LocationConstraint: $region} end' >"$work/bucket.json"
  patient ServiceFailure "$1" s3api create-bucket --region "$2" --bucket "$3" --object-ownership BucketOwnerEnforced \
    --create-bucket-configuration "file://$work/bucket.json"
}

# Replaces a bucket's policy before.json by after.json.
put_bucket_policy() {
  local owner=$1_ACCOUNT
  try 'NoSuchBucketPolicy|NoSuchBucket' "$1" s3api get-bucket-policy --region "$2" --bucket "$3" --expected-bucket-owner "${!owner}"
  pick 'if . == null then . else .Policy | fromjson end'
  if to_write "the policy of bucket $3" normal; then
    patient 'NoSuchBucket|MalformedPolicy.*[Ii]nvalid principal' "$1" s3api put-bucket-policy --region "$2" --bucket "$3" \
      --expected-bucket-owner "${!owner}" --policy "file://$work/after.json"
  fi
}

# Removes a bucket's policy, which is before.json.
delete_bucket_policy() {
  local owner=$1_ACCOUNT
  try NoSuchBucketPolicy "$1" s3api get-bucket-policy --region "$2" --bucket "$3" --expected-bucket-owner "${!owner}"
  pick 'if . == null then . else .Policy | fromjson end'
  echo null >"$work/after.json"
  if to_write "the policy of bucket $3" normal; then
    patient ServiceFailure "$1" s3api delete-bucket-policy --region "$2" --bucket "$3" --expected-bucket-owner "${!owner}"
  fi
}

# Reads a bucket's notification configuration into live.json.
read_notification() {
  local owner=$1_ACCOUNT
  try NoSuchBucket "$1" s3api get-bucket-notification-configuration --region "$2" --bucket "$3" --expected-bucket-owner "${!owner}"
}

# Replaces a bucket's notification configuration before.json by after.json.
put_notification() {
  local owner=$1_ACCOUNT
  read_notification "$@"
  if to_write "the notification configuration of bucket $3" normal; then
    # Others' destinations were looked at when they were configured; a test event to them would surprise.
    patient NoSuchBucket "$1" s3api put-bucket-notification-configuration --region "$2" --bucket "$3" \
      --expected-bucket-owner "${!owner}" --skip-destination-validation --notification-configuration "file://$work/after.json"
  fi
}

# Stops unless EventBridge hears of a bucket's objects already: its configuration holds what this script can't write.
must_notify() {
  read_notification "$@"
  jq -e 'has("EventBridgeConfiguration")' "$work/live.json" >/dev/null ||
    stop "the notification configuration of bucket $3 holds what this script can't write back whole" \
      'turn EventBridge on in the properties of the bucket, then run this script again'
}

# Uploads a file, unless the object is that file; a source action needs a version, and versioning that is new takes its time.
upload() {
  local owner=$1_ACCOUNT sum started=$SECONDS
  if command -v sha256sum >/dev/null; then sum=$(sha256sum <"$5"); else sum=$(shasum -a 256 <"$5"); fi
  [ "${sum%% *}" = "$6" ] || stop "$5 has changed since the plan was made" 'export the plan again'
  try '404|NoSuchKey' "$1" s3api head-object --region "$2" --bucket "$3" --key "$4" --expected-bucket-owner "${!owner}"
  if [ "$(jq -r '.Metadata["xdeploy-sha256"]? // empty' "$work/live.json")" = "$6" ]; then
    say '  it is there already'
    return
  fi
  while true; do
    patient NoSuchBucket "$1" s3api put-object --region "$2" --bucket "$3" --key "$4" --body "$5" --content-type application/zip \
      --metadata "xdeploy-sha256=$6" --expected-bucket-owner "${!owner}"
    case $(jq -r '.VersionId // "null"' "$work/answer.json") in null) ;; *) return ;; esac
    [ $((SECONDS - started)) -lt 900 ] || stop "$4 in $3 has no version" 'turn versioning of the bucket on, then run this script again'
    sleep 15
  done
}

# Makes an EventBridge rule with the pattern in after.json.
create_rule() {
  local side=$1 region=$2 name=$3 arn=$4 description=$5
  shift 5
  try ResourceNotFoundException "$side" events describe-rule --region "$region" --name "$name"
  if [ "$(cat "$work/live.json")" != null ]; then
    try NONE "$side" events list-tags-for-resource --region "$region" --resource-arn "$arn"
    pick '.Tags'
    must_be_ours "rule $name"
    return
  fi
  patient InternalException "$side" events put-rule --region "$region" --name "$name" --description "$description" --state ENABLED \
    --event-pattern "file://$work/after.json" --tags "$@"
}

# Sets the target in after.json.
put_target() {
  jq '[.]' "$work/after.json" >"$work/targets.json"
  patient 'cannot be assumed by principal' "$1" events put-targets --region "$2" --rule "$3" --targets "file://$work/targets.json"
  [ "$(jq '.FailedEntryCount // 0' "$work/answer.json")" = 0 ] ||
    stop "EventBridge refused the target of rule $3: $(jq -c '.FailedEntries' "$work/answer.json")" 'run this script again'
}

# Makes the pipeline in after.json with the tags in tags.json; it runs at once.
create_pipeline() {
  try PipelineNotFoundException "$1" codepipeline get-pipeline --region "$2" --name "$PIPELINE"
  if [ "$(cat "$work/live.json")" != null ]; then
    try NONE "$1" codepipeline list-tags-for-resource --region "$2" --resource-arn "$PIPELINE_ARN"
    pick '.tags'
    must_be_ours "pipeline $PIPELINE"
    return
  fi
  jq -s '{pipeline: .[0], tags: .[1]}' "$work/after.json" "$work/tags.json" >"$work/input.json"
  # CreatePipeline has no token either. It looks whether the roles can be assumed, which those made a moment ago can't be yet.
  AWS_MAX_ATTEMPTS=1 patient 'is not authorized to perform AssumeRole on role' "$1" codepipeline create-pipeline --region "$2" \
    --cli-input-json "file://$work/input.json"
}

# Replaces the pipeline's declaration before.json by after.json. That would stop a run, so there may be none.
update_pipeline() {
  try NONE "$1" codepipeline get-pipeline --region "$2" --name "$PIPELINE"
  pick '.pipeline'
  if to_write "pipeline $PIPELINE" declared; then
    call "$1" codepipeline list-pipeline-executions --region "$2" --pipeline-name "$PIPELINE" --max-items 100 >"$work/runs.json"
    jq -e '[(.pipelineExecutionSummaries // [])[] | select(.status == "InProgress" or .status == "Stopping")] | length == 0' \
      "$work/runs.json" >/dev/null || stop "pipeline $PIPELINE is running, and this would stop it" 'run this script again when it has finished'
    jq '{pipeline: .}' "$work/after.json" >"$work/input.json"
    patient 'is not authorized to perform AssumeRole on role' "$1" codepipeline update-pipeline --region "$2" \
      --cli-input-json "file://$work/input.json"
  fi
}
