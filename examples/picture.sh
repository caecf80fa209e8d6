#!/bin/sh
# Regenerates the picture of the README: the report of the quick-start scenario as a page, and a
# picture of its top if Chromium is there.
#   examples/picture.sh [meshstep] [folder for the results] [scenario]
set -eu
here=$(dirname "$0")
program=${1:-meshstep}
out=${2:-.}
scenario=${3:-$here/llama3-70b-v5p-1024.textproto}
"$program" simulate "$scenario" --html="$out/step.html" > "$out/step.txt"
if command -v chromium > /dev/null; then
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1080,670 \
    --force-prefers-color-scheme=light --screenshot="$out/step.png" "file://$(realpath "$out/step.html")" 2> /dev/null
fi
