#!/bin/sh
# Installs xdeploy without root: downloads a release, compares its SHA-256, and puts it into a folder of yours.
#
#   curl -sSfL https://github.com/xdeploy/xdeploy/releases/latest/download/install.sh | sh
#   sh install.sh --version 0.1.0 --to ~/bin
#
# --version VERSION  another than the newest release
# --to FOLDER        where the program goes (default: ~/.local/bin)
# --sha256 HEX       what the program must be, in the place of the release's own SHA256SUMS
# --from ADDRESS     where releases are (default: https://github.com/xdeploy/xdeploy/releases)
set -eu

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  for hint in "$@"; do printf 'hint: %s\n' "$hint" >&2; done
  exit 1
}

main() {
  version=latest to=${HOME:+$HOME/.local/bin} digest='' from=https://github.com/xdeploy/xdeploy/releases
  while [ $# -gt 0 ]; do
    case $1 in
    --version | --to | --sha256 | --from) [ $# -gt 1 ] || fail "$1 needs a value" "see the first lines of this script" ;;
    esac
    case $1 in
    --version) version=${2#v} ;;
    --to) to=$2 ;;
    --sha256) digest=$(printf '%s' "$2" | tr 'A-F' 'a-f') ;;
    --from) from=${2%/} ;;
    *) fail "unknown argument $1" "see the first lines of this script" ;;
    esac
    shift 2
  done
  [ -n "$to" ] || fail "there is no home folder to install into" "pass --to FOLDER"

  case $(uname -s) in
  Linux) system=unknown-linux-gnu ;;
  Darwin) system=apple-darwin ;;
  *) fail "there is no binary for $(uname -s)" "compile it: cargo install --locked --git https://github.com/xdeploy/xdeploy" ;;
  esac
  case $(uname -m) in
  x86_64 | amd64) machine=x86_64 ;;
  aarch64 | arm64) machine=aarch64 ;;
  *) fail "there is no binary for $(uname -m)" "compile it: cargo install --locked --git https://github.com/xdeploy/xdeploy" ;;
  esac
  name=xdeploy-$machine-$system
  if [ "$version" = latest ]; then base=$from/latest/download; else base=$from/download/v$version; fi

  # In the folder itself, so that the program is put in its place whole, and nothing is left where that can't be done.
  mkdir -p "$to" 2>/dev/null || fail "can't write into $to" "pass --to FOLDER with a folder of yours"
  temporary=$(mktemp -d "$to/.xdeploy.XXXXXX" 2>/dev/null) || fail "can't write into $to" "pass --to FOLDER with a folder of yours"
  trap 'rm -rf "$temporary"' EXIT
  trap 'exit 130' HUP INT TERM

  fetch "$base/$name" "$temporary/$name"
  if [ -z "$digest" ]; then
    fetch "$base/SHA256SUMS" "$temporary/SHA256SUMS"
    digest=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1 }' "$temporary/SHA256SUMS")
    [ -n "$digest" ] || fail "SHA256SUMS of the release doesn't list $name" "look at $base"
  fi
  found=$(sha256 "$temporary/$name")
  [ "$found" = "$digest" ] ||
    fail "the download is not what was released: its SHA-256 is $found and should be $digest" "nothing was installed; try again, and report it if it stays"
  chmod 755 "$temporary/$name"
  said=$("$temporary/$name" --version) || fail "the program doesn't start on this machine" "nothing was installed; please report it with the output of uname -a"
  before=''
  if [ -e "$to/xdeploy" ]; then before=$("$to/xdeploy" --version 2>/dev/null || echo "something else"); fi
  mv -f "$temporary/$name" "$to/xdeploy" || fail "can't write $to/xdeploy" "pass --to FOLDER with a folder of yours"

  case $before in
  '') echo "installed $said as $to/xdeploy" ;;
  "$said") echo "$said was there already, as $to/xdeploy" ;;
  *) echo "installed $said as $to/xdeploy, in the place of $before" ;;
  esac
  case :$PATH: in
  *":$to:"*) ;;
  *) echo "$to is not on the PATH: add it, or call $to/xdeploy" ;;
  esac
}

fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -sSfL --retry 3 -o "$2" "$1" || fail "can't download $1" "is there such a version? behind a proxy set HTTPS_PROXY"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1" || fail "can't download $1" "is there such a version? behind a proxy set https_proxy"
  else
    fail "neither curl nor wget is here" "install one of them, or download $1 elsewhere"
  fi
}

sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  else
    fail "neither sha256sum nor shasum is here" "install one of them: without it nobody can tell what was downloaded"
  fi
}

# All of the script is read before any of it runs.
main "$@"
