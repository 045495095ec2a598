# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this use its variables
# Messages, the cache folder, and long-running steps. Sourced by the other scripts.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${LLAMACPP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llamacpp-home-assistant}
LOGS=$CACHE/logs
TICK_SECONDS=15

# Byte code makes the second start of Home Assistant several times faster.
unset PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE=1

say() { printf '[%3ds] %s\n' "$SECONDS" "$*" >&2; }

die() {
  printf '\nerror: %s\n' "$*" >&2
  exit 1
}

# run_step TITLE COMMAND...: runs the command with its output in a log file, shows the title and
# every few seconds how long it has been running, with what `progress_of` finds in the log.
# Returns the command's exit status; the end of the log is shown when it fails.
run_step() {
  local title=$1 log status=0 pid next
  shift
  log=$LOGS/$(tr -cs 'A-Za-z0-9.\n' '-' <<<"$title").log
  say "$title ..."
  # A process group of its own, so that an interruption ends the step with all its children.
  set -m
  "$@" >"$log" 2>&1 9>&- &
  pid=$!
  set +m
  # shellcheck disable=SC2064 # this step's group, not a later one's
  trap "kill -TERM -- -$pid 2>/dev/null; echo >&2; exit 130" INT TERM
  next=$((SECONDS + TICK_SECONDS))
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS >= next)); then
      say "$title ... $(progress_of "$log")"
      next=$((SECONDS + TICK_SECONDS))
    fi
  done
  wait "$pid" || status=$?
  trap - INT TERM
  if ((status != 0)); then
    tail -n "${STEP_TAIL_LINES:-15}" "$log" >&2
    say "$title failed (whole log: $log)"
  fi
  return "$status"
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
  [ -n "$(getconf GNU_LIBC_VERSION 2>/dev/null || true)" ] ||
    die "this system has no GNU C library, which Home Assistant's packages need: use Debian, Ubuntu or Raspberry Pi OS."
}

# need_disk MEGABYTES: the cache's disk must have that much left.
need_disk() {
  local free
  free=$(df -Pm "$CACHE" | awk 'NR == 2 {print $4}')
  ((free >= $1)) ||
    die "the disk is full: $1 MB are needed in $CACHE, $free MB are free. Free some space, or set LLAMACPP_CACHE to a folder on another disk."
}

open_cache() {
  mkdir -p "$LOGS" 2>/dev/null || die "the cache folder $CACHE cannot be written: set LLAMACPP_CACHE to another one."
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

# need_program PROGRAM DEBIAN_PACKAGE WHY: installs the package where that needs no questions.
need_program() {
  command -v "$1" >/dev/null && return
  local hint="'$1' is missing, which $3: run 'sudo apt-get install $2' (or your system's like) and start again."
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || die "$hint"
  run_step "Installing $2, which $3" install_package "$2" || die "$hint"
}

install_package() {
  apt-get -q update || return
  DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$1"
}
