# shellcheck shell=bash
# What hears and speaks.

# setup_voice: sets and exports LLAMACPP_VOICE to an environment with the servers of the apps Whisper
# and Piper, or to nothing where they cannot be had.
setup_voice() {
  venv_of voice
  export LLAMACPP_VOICE=$VENV
  complete "$VENV" && return
  need_disk 2500
  STEP_TAIL_LINES=3 run_step "Downloading Whisper and Piper, which hear and speak (370 MB)" \
    build_venv "$ROOT/requirements/voice.txt" && mark_complete "$VENV" && return
  say "They are not to be had; what needs them is left out."
  LLAMACPP_VOICE=
}

# find_voice: the same, but nothing is installed.
find_voice() {
  venv_of voice
  export LLAMACPP_VOICE=$VENV
  complete "$VENV" && return
  LLAMACPP_VOICE=
  say "The tests of voice are left out: 'scripts/setup --voice' installs what they need (370 MB)."
}
