#!/usr/bin/env bash
# Puts the release VERSION, whose binary has the digest SHA256, on the path of the job's later steps. A cache may hold it already: it is
# compared as what was downloaded is. RELEASES is where releases are, if not at GitHub.
set -euo pipefail
folder=$RUNNER_TEMP/xdeploy-$VERSION
if [ -f "$folder/xdeploy" ] && echo "${SHA256,,}  $folder/xdeploy" | sha256sum --check --status; then
  echo "xdeploy $VERSION is in the cache"
else
  rm -rf "$folder"
  from=()
  if [ -n "${RELEASES-}" ]; then from=(--from "$RELEASES"); fi
  sh "$(dirname "$0")/../../../.ci/release/install.sh" --version "$VERSION" --sha256 "$SHA256" --to "$folder" "${from[@]}"
fi
chmod 755 "$folder/xdeploy"
echo "$folder" >> "$GITHUB_PATH"
