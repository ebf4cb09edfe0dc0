# Read before each image's own check, which runs as the image's user without a network.
set -o errexit -o nounset -o pipefail
runs() { # COMMAND...: it ends with status 0; its first line is shown
  local output
  if ! output=$("$@" 2>&1); then
    printf '  %s: %s\n' "$*" "$output" >&2
    return 1
  fi
  printf '  %-40s %s\n' "$1" "$(head -n 1 <<< "$output")"
}
readable() { # PATH...: this user may read it
  local path
  for path in "$@"; do
    if [ ! -r "$path" ]; then
      echo "  $path cannot be read by $(id -un)" >&2
      return 1
    fi
  done
}
user() { # NAME: whom the image runs as by default
  if [ "$(id -un)" != "$1" ]; then
    echo "  runs as $(id -un), not as $1" >&2
    return 1
  fi
}
wsgi() { # MODULE_OR_FILE...: the WSGI server has its Python plugin
  runs uwsgi_python3 --plugin python3 --version
  local file
  for file in "$@"; do readable "$file"; done
}
