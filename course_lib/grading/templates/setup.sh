#!/usr/bin/env bash
# Runs once, when Gradescope builds the image of this assignment.
set -euo pipefail
here=$${AUTOGRADER:-/autograder}
apt-get update -q
apt-get install -y -q --no-install-recommends python3 python3-venv bubblewrap libseccomp2
python=python3
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  apt-get install -y -q --no-install-recommends python3.11 python3.11-venv
  python=python3.11
fi
"$$python" -m venv "$$here/venv"
# The build of torch for processors alone: a tenth of the size.
"$$here/venv/bin/pip" install -q torch==$torch --index-url https://download.pytorch.org/whl/cpu
"$$here/venv/bin/pip" install -q -r "$$here/source/requirements.txt"
