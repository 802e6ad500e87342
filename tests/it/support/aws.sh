#!/usr/bin/env bash
# Stands before the AWS CLI on the PATH: counts the calls, and ends the script at one of them, before it is made or unanswered.
set -u
number=$(($(cat "$CALLS" 2>/dev/null || echo 0) + 1))
echo "$number" >"$CALLS"
gone() {
  kill -9 "$SCRIPT" "$PPID" 2>/dev/null
  exit 1
}
[ "${GONE_BEFORE-}" != "$number" ] || gone
out=$(mktemp) err=$(mktemp)
exec 3<>"/dev/tcp/127.0.0.1/$AWS_SERVER"
variables=()
for name in HOME AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL AWS_EC2_METADATA_DISABLED AWS_MAX_ATTEMPTS AWS_PAGER; do
  [ -z "${!name+set}" ] || variables+=("$name=${!name}")
done
printf '%s\0' "$PWD" "$out" "$err" "${#variables[@]}" "${variables[@]}" "$#" "$@" >&3
read -r code <&3
printf '%s\t%s %s\t%s\n' "$number" "$1" "$2" "${code:-none}" >>"$CALLS.log"
[ "${GONE_AFTER-}" != "$number" ] || gone
cat "$out"
cat "$err" >&2
rm -f "$out" "$err"
exit "${code:-1}"
