# Make sure that `hatch` is a recent one: that of the machine, or else one of our own.
OLDEST_HATCH=1.18
OWN_HATCH="$PWD/.venv-hatch"

use_hatch() {
  if ! is_recent_hatch; then
    PATH="$OWN_HATCH/bin:$PATH"
    is_recent_hatch || install_hatch
  fi
  echo "$(hatch --version), $(command -v hatch)"
}

is_recent_hatch() {
  local version
  version="$(hatch --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)"
  [[ -n $version ]] && printf '%s\n' "$OLDEST_HATCH" "$version" | sort -V -C
}

install_hatch() {
  local python
  python="$(find_python)"
  echo "Installing hatch with $python into $OWN_HATCH"
  "$python" -m venv --clear "$OWN_HATCH"
  "$OWN_HATCH/bin/python" -m pip install --quiet "hatch>=$OLDEST_HATCH"
  hash -r
}

find_python() {
  local name
  for name in python3 python python3.{13,12,11,10}; do
    if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' \
      2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  echo "No Python 3.10 or newer that has venv (Debian: apt-get install python3-venv)" >&2
  return 1
}
