# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this use its variables
# Messages, the cache folder, and long-running steps. Sourced by the other scripts.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${LLAMACPP_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/llamacpp-home-assistant}
LOGS=$CACHE/logs
TICK_SECONDS=15

# Byte code makes the second start of Home Assistant several times faster.
unset PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE=1
# On the same disk as what is made from it, so that packages are linked and not copied.
export UV_CACHE_DIR=${UV_CACHE_DIR:-$CACHE/uv}

say() { printf '[%3ds] %s\n' "$SECONDS" "$*" >&2; }

die() {
  printf '\nerror: %s\n' "$*" >&2
  exit 1
}

# run_step TITLE COMMAND...: runs the command with its output in a log file, shows the title and
# every few seconds how long it has been running, with what `progress_of` finds in the log.
# Returns the command's exit status; the end of the log is shown when it fails. Ends the script when
# the disk is full.
run_step() {
  local title=$1 log status=0 pid next
  shift
  log=$LOGS/$(tr -cs 'A-Za-z0-9.\n' '-' <<<"$title").log
  say "$title ..."
  # A process group of its own, so that an interruption ends the step with all its children.
  set -m
  "$@" </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  set +m
  # shellcheck disable=SC2064 # this step's group, not a later one's
  trap "stop_step $pid" INT TERM HUP
  next=$((SECONDS + TICK_SECONDS))
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS >= next)); then
      say "$title ... $(progress_of "$log")"
      next=$((SECONDS + TICK_SECONDS))
    fi
  done
  wait "$pid" || status=$?
  trap - INT TERM HUP
  if ((status != 0)); then
    tail -n "${STEP_TAIL_LINES:-15}" "$log" >&2
    say "$title failed (whole log: $log)"
    if (($(free_disk) < 10)) || grep -qisE 'no space left|quota exceeded|enospc' "$log"; then
      die "the disk is full: free some space in $CACHE and ${TMPDIR:-/tmp}, or set LLAMACPP_CACHE to a folder on another disk, and start again."
    fi
  fi
  return "$status"
}

# stop_step GROUP: ends the step, waits for the last of its processes, and ends the script.
stop_step() {
  trap - INT TERM HUP
  kill -TERM -- "-$1" 2>/dev/null || true
  for _ in {1..50}; do
    kill -0 -- "-$1" 2>/dev/null || break
    sleep 0.2
  done
  kill -KILL -- "-$1" 2>/dev/null || true
  printf '\nStopped. The next start goes on from here.\n' >&2
  exit 130
}

# The newest "[12/345]" of a compiler's log as a percentage, or the log's last line, shortened.
progress_of() {
  local counted
  counted=$(grep -oE '^\[[0-9]+/[0-9]+\]' "$1" | tail -n 1 | tr -d '[]') || true
  if [ -n "$counted" ]; then
    printf '%d%% (step %s)' $((100 * ${counted%/*} / ${counted#*/})) "$counted"
  else
    tr '\r' '\n' <"$1" | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c1-90
  fi
}

check_platform() {
  [ "$(uname -s)" = Linux ] || die "this runs on Linux only, and this is $(uname -s)."
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) die "the processor $(uname -m) is not supported: it must be x86_64 or aarch64 (64-bit)." ;;
  esac
  [ "$(getconf LONG_BIT 2>/dev/null)" != 32 ] ||
    die "this is a 32-bit system on a 64-bit processor: install the 64-bit edition of your system."
  [ -n "$(getconf GNU_LIBC_VERSION 2>/dev/null || true)" ] ||
    die "this system has no GNU C library, which Home Assistant's packages need: use Debian, Ubuntu or Raspberry Pi OS."
}

free_disk() { df -Pm "$CACHE" | awk 'NR == 2 {print $4}'; }

# need_disk MEGABYTES: the cache's disk must have that much left.
need_disk() {
  local free
  free=$(free_disk)
  ((free >= $1)) ||
    die "the disk is full: $1 MB are needed in $CACHE, $free MB are free. Free some space, or set LLAMACPP_CACHE to a folder on another disk."
}

open_cache() {
  [[ $CACHE == /* ]] || die "the cache folder $CACHE is no absolute path: set LLAMACPP_CACHE to one."
  { mkdir -p "$LOGS" && [ -w "$LOGS" ] && : >>"$CACHE/.lock"; } 2>/dev/null ||
    die "the cache folder $CACHE cannot be written: set LLAMACPP_CACHE to another one."
  # One set-up at a time: a second one waits, and then finds everything ready.
  exec 9>"$CACHE/.lock"
  if ! flock -n 9; then
    say "Another set-up is running; waiting for it ..."
    flock -w 3600 9 || die "another set-up has been running for an hour: stop it and start again."
  fi
}

# Children must not keep the lock when this script is gone.
close_cache() { exec 9>&-; }

# complete DIR: was this cache folder finished by an earlier run?
complete() { [ -e "$1/.complete" ]; }
mark_complete() { touch "$1/.complete"; }

# key_of FILE...: a short name for these contents, wherever the files lie.
key_of() { cat "$@" | sha256sum | cut -c1-12; }

# need DEBIAN_PACKAGE WHY TEST...: where the test fails, the package is installed if that needs no
# questions.
need() {
  local package=$1 why=$2 hint
  shift 2
  "$@" >/dev/null 2>&1 && return
  hint="$package is missing, which $why: run 'sudo apt-get install $package' (or your system's like) and start again."
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || die "$hint"
  run_step "Installing $package, which $why" install_package "$package" || die "$hint"
}

# Also repairs what an interrupted installation left, and waits for another one to end.
install_package() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update || return
  dpkg --configure -a
  apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"
}
