# Finds what the project needs, or installs it. Sourced by the scripts beside it, from the project folder.

# The version that package.json asks for.
BUN_VERSION=$(sed -n 's/^ *"bun": "\([0-9.]*\)".*/\1/p' package.json)

# Sets BUN to a Bun of that version and puts it first in PATH: the one in PATH, else one in .bun/, which npm fetches.
find_bun() {
  local found
  found=$(command -v bun || true)
  if ! is_wanted_bun "$found"; then
    found=$(local_bun) || { fetch_bun && found=$(local_bun); } || {
      echo "cannot get Bun $BUN_VERSION: put it in PATH, or npm, with a registry it can reach and leave to write in $PWD" >&2
      return 1
    }
  fi
  BUN=$found
  PATH=$(dirname "$BUN"):$PATH
  export PATH
}

is_wanted_bun() {
  [ -n "$1" ] && [ -x "$1" ] && [ "$("$1" --version 2>/dev/null </dev/null)" = "$BUN_VERSION" ]
}

# The package's own link first; where its install script was not allowed to run, the platform's package.
local_bun() {
  local candidate
  for candidate in "$PWD"/.bun/node_modules/.bin/bun "$PWD"/.bun/node_modules/@oven/bun-*/bin/bun; do
    if is_wanted_bun "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

fetch_bun() {
  command -v npm >/dev/null || return 1
  echo "fetching Bun $BUN_VERSION into $PWD/.bun" >&2
  rm -rf .bun # what is in there does not work
  npm install --prefix .bun --no-audit --no-fund --no-package-lock --loglevel=error \
    "bun@$BUN_VERSION" </dev/null >&2
}

# The packages of the lock file, in node_modules/.
install_packages() {
  "$BUN" install --frozen-lockfile --no-progress </dev/null >&2
}

# install_debian PACKAGE…: installs those that are missing, where that is possible; says which it could not.
install_debian() {
  local package missing=()
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed (that takes root and apt-get): ${missing[*]}" >&2
    return 1
  fi
  echo "installing ${missing[*]}" >&2
  apt_get install "${missing[@]}" || { apt_get update && apt_get install "${missing[@]}"; } || {
    echo "apt-get could not install ${missing[*]}" >&2
    return 1
  }
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}
