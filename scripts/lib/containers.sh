# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this use its variables
# Images and containers: with Docker's engine, or without one by buildah and podman as root.

APP_IMAGE=localhost/llamacpp-app
# podman wants a short path for it.
RUN_ROOT=/run/llamacpp-home-assistant
BASE_IMAGE=localhost/llamacpp-base:trixie
CONTAINER_PACKAGES=(buildah podman runc conmon debootstrap golang-github-containers-common uidmap)

# containers_ready: can images be built here? Sets CONTAINER_ENGINE, or CONTAINERS_WHY if not.
containers_ready() {
  CONTAINERS_WHY=
  if docker info >/dev/null 2>&1; then
    CONTAINER_ENGINE=docker
    return
  fi
  CONTAINER_ENGINE=buildah
  if [ "$(id -u)" != 0 ]; then
    CONTAINERS_WHY="there is no Docker engine, and buildah needs root."
  elif ! { command -v buildah && command -v podman && command -v debootstrap; } >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null; then
      CONTAINERS_WHY="there is neither a Docker engine nor buildah and podman."
    elif ! run_step "Installing buildah and podman" install_container_packages; then
      CONTAINERS_WHY="buildah and podman cannot be installed."
    fi
  fi
  [ -z "$CONTAINERS_WHY" ]
}

install_container_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update || return
  apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${CONTAINER_PACKAGES[@]}"
}

container_arch() { [ "$(uname -m)" = aarch64 ] && echo aarch64 || echo amd64; }

# container_tool PROGRAM ARGUMENT...: buildah or podman with our own store, apart from the user's.
container_tool() {
  local program=$1
  shift
  "$program" --root "$CACHE/containers/store" --runroot "$RUN_ROOT" --storage-driver overlay "$@"
}

# base_image: sets BASE to what the app is built on, empty for the Dockerfile's own.
base_image() {
  BASE=
  [ "$CONTAINER_ENGINE" != docker ] || return 0
  local wanted
  wanted=$(sed -n 's/^ARG BUILD_FROM=//p' addon/Dockerfile)
  if container_tool buildah inspect --type image "$wanted" >/dev/null 2>&1 ||
    container_tool buildah pull --quiet "$wanted" >/dev/null 2>&1; then
    return
  fi
  BASE=$BASE_IMAGE
  container_tool buildah inspect --type image "$BASE" >/dev/null 2>&1 ||
    run_step "Making a base image from Debian's packages" make_base_image
}

make_base_image() {
  local mirror work=$CACHE/containers/base container
  mirror=$(debian_mirror) || { echo "apt has no Debian mirror configured"; return 1; }
  rm -rf "$work"
  mkdir -p "$work"
  debootstrap --variant=minbase --include=ca-certificates trixie "$work" "$mirror" || return
  rm -rf "$work"/var/cache/apt/* "$work"/var/lib/apt/lists/* "$work"/usr/share/{doc,info,locale,man}
  # As slim as Debian's own image: neither is there, nor comes with later packages.
  printf 'path-exclude=/usr/share/%s/*\n' doc info locale man >"$work/etc/dpkg/dpkg.cfg.d/slim" || return
  container=$(container_tool buildah from scratch) || return
  container_tool buildah add --quiet "$container" "$work" / || return
  container_tool buildah config --cmd /bin/bash \
    --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container" || return
  container_tool buildah commit --quiet --rm "$container" "$BASE_IMAGE" || return
  rm -rf "$work"
}

# container_build ARGUMENT...: builds an image. --format docker keeps the health check.
container_build() {
  local bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt} trust=()
  if [ "$CONTAINER_ENGINE" = docker ]; then
    docker build "$@"
    return
  fi
  # Networks with certificates of their own are trusted as this machine does.
  [ ! -e "$bundle" ] || trust=(-v "$bundle:/etc/ssl/certs/ca-certificates.crt:ro")
  container_tool buildah bud --layers --format docker --isolation chroot --network host \
    --pull-never "${trust[@]}" "$@"
}

# containers_installed: as containers_ready, but nothing is installed, unless for CI.
containers_installed() {
  if [ -z "${CI:-}" ] && ! docker info >/dev/null 2>&1 && ! command -v buildah >/dev/null; then
    CONTAINERS_WHY="there is neither a Docker engine nor buildah."
    return 1
  fi
  containers_ready
}

# setup_image: sets LLAMACPP_APP_IMAGE and LLAMACPP_CONTAINER_TOOL, with which the tests run the
# app's image, where one can be built.
setup_image() {
  if ! containers_installed; then
    say "The tests of the app's image are left out: $CONTAINERS_WHY"
    return
  fi
  scripts/build-app
  LLAMACPP_APP_IMAGE=$APP_IMAGE
  LLAMACPP_CONTAINER_TOOL=docker
  [ "$CONTAINER_ENGINE" = docker ] || LLAMACPP_CONTAINER_TOOL="podman --root $CACHE/containers/store --runroot $RUN_ROOT \
--storage-driver overlay --runtime $(command -v runc || echo /usr/sbin/runc) --cgroup-manager cgroupfs"
  export LLAMACPP_APP_IMAGE LLAMACPP_CONTAINER_TOOL
}
