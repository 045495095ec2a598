# shellcheck shell=bash
# The browser in which the page of the app is tested.

# setup_browser: sets and exports LLAMACPP_BROWSER, empty where there is none and none can be had.
setup_browser() {
  export LLAMACPP_BROWSER=${LLAMACPP_BROWSER:-}
  [ -z "$LLAMACPP_BROWSER" ] || return 0
  browser_on_path && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    run_step "Installing Chromium, in which the app's page is tested" install_browser &&
      browser_on_path && return
  fi
  say "The tests of the app's page are left out: there is no Chromium. Run 'sudo apt-get install chromium' (or your system's like)."
}

# What only stands for a package that is not installed does not tell its version.
browser_on_path() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    LLAMACPP_BROWSER=$(command -v "$name") && "$LLAMACPP_BROWSER" --version >/dev/null 2>&1 && return
  done
  LLAMACPP_BROWSER=
  return 1
}

# Without a font there is nothing to see.
install_browser() {
  install_package chromium && install_package fonts-dejavu-core
}
