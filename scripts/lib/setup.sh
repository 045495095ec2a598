# shellcheck shell=bash
# Everything that the demo and the tests need, from the cache or made now.

for part in common debian python llama voice; do
  # shellcheck source-path=SCRIPTDIR disable=SC1090
  . "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

# setup_all [newest] [gemma] [templates] [voice]: sets and exports VENV, LLAMACPP_SERVER,
# LLAMACPP_MODEL, LLAMACPP_CACHE and, when asked for, LLAMACPP_NEWEST_PYTHON, an interpreter with the
# newest Home Assistant, LLAMACPP_GEMMA, a second model, LLAMACPP_TEMPLATES, a folder of chat
# templates, and LLAMACPP_VOICE, what hears and speaks. `voice-if-there` installs nothing for that.
setup_all() {
  local wanted=" ${1:-} ${2:-} "
  check_platform
  open_cache
  setup_python
  if [[ $wanted == *' newest '* ]]; then
    setup_venv newest
    export LLAMACPP_NEWEST_PYTHON=$VENV/bin/python
  fi
  [[ $wanted != *' voice '* ]] || setup_voice
  [[ $wanted != *' voice-if-there '* ]] || find_voice
  setup_venv test
  setup_llama
  setup_model
  [[ $wanted != *' gemma '* ]] || setup_gemma
  [[ $wanted != *' templates '* ]] || setup_templates
  close_cache
  export VENV LLAMACPP_SERVER LLAMACPP_MODEL LLAMACPP_CACHE=$CACHE
  export PATH=$VENV/bin:$PATH
}
