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
serves() { # URL_PATH UWSGI_OPTION...: the WSGI server with these options answers this path with a status below 400
  local path=$1 server log
  shift
  log=$(mktemp)
  uwsgi_python3 --http-socket 127.0.0.1:8000 --master --lazy-apps --need-app --enable-threads --buffer-size 65535 "$@" > "$log" 2>&1 &
  server=$!
  if ! python3 - "$path" << 'PYTHON'; then
import sys
import time
import urllib.error
import urllib.request

for attempt in range(300):
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000" + sys.argv[1], timeout=30) as answer:
            print(f"  {'GET ' + sys.argv[1]:40} {answer.status}")
            sys.exit(0)
    except urllib.error.HTTPError as error:
        print(f"  GET {sys.argv[1]} {error.code}")
        sys.exit(0 if error.code < 400 else 1)
    except OSError:
        time.sleep(0.2)
sys.exit(1)
PYTHON
    tail -30 "$log" >&2
    return 1
  fi
  kill -INT $server
  wait $server || true
}
