#!/bin/bash
# check.sh [IMAGE...]: proves for each role image (default: all) that it carries no key or
# identity, that its numbers are the fixed ones, and that its programs start as the image's own user.
# REGISTRY and TAG name the images, as in the Dockerfiles. Needs docker; changes nothing.
set -o errexit -o nounset -o pipefail
cd "$(dirname "$0")"
registry=${REGISTRY:-localhost/stackroles}
tag=${TAG:-dev}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  # The guest holds no programs: booting it is its check.
  mapfile -t names < <(printf '%s\n' */Dockerfile | sed 's|/Dockerfile||' | grep -v '^guest$')
fi

failed=()
for name in "${names[@]}"; do
  ref=$registry/$name:$tag
  echo "== $ref"
  if ! docker run --rm -i --network none --user 0 "$ref" bash -s < checks/clean.sh; then
    failed+=("$name: not clean")
  fi
  if [ -f "checks/$name.sh" ] && ! docker run --rm -i --network none "$ref" bash -s < <(cat checks/lib.sh "checks/$name.sh"); then
    failed+=("$name: a program does not run")
  fi
done

if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "all of ${#names[@]} images are clean and run"
