#!/usr/bin/env bash
# Compile requirements.in into requirements.lock for the CPU build of torch, and the hashes of
# all files of the locked versions into requirements.hashes; torch's, which differ per build, into
# envs/torch.sha256.
#
#   envs/lock.sh VENV
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=$1/bin/python
links=$("$python" -m pip config list 2>/dev/null | sed -nE "s/^global\.find-links='(.*)'/\1/p" || true)
source=(--extra-index-url "${HEADCOND_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}")
[ -n "$links" ] && source=(--find-links "$links")
cd "$root"
# Versions that are locked stay, unless UPGRADE is set.
[ -n "${UPGRADE:-}" ] || sed 's/^torch==[0-9.]*$/&+cpu/' requirements.lock > requirements.lock.new
"$python" -m uv pip compile -q --python-version 3.11 "${source[@]}" --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "make lock" \
    --no-emit-package uv -o requirements.lock.new requirements.in
# Every build of torch (CPU, CUDA) has to satisfy the lock, so the local part goes.
sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements.lock.new
! grep -qE '^(nvidia|triton)' requirements.lock.new || {
    echo "lock: CUDA packages crept into requirements.lock.new" >&2; exit 1; }
mv requirements.lock.new requirements.lock
"$python" -m uv pip compile -q --python-version 3.11 "${source[@]}" --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "make lock" --no-annotate --generate-hashes \
    --no-emit-package uv --no-emit-package torch --constraints requirements.lock \
    -o requirements.hashes.new requirements.in
mv requirements.hashes.new requirements.hashes
# torch's own, of PyPI's builds and of the CPU builds that are within reach.
pages=(https://pypi.org/simple/torch/ "${HEADCOND_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}/torch/")
"$python" envs/torch_hashes.py list "${pages[@]}" ${links:+"$links"} > envs/torch.sha256.new
mv envs/torch.sha256.new envs/torch.sha256
# The same series for conda.
"$python" envs/pin_conda.py
