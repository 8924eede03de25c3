#!/usr/bin/env bash
# Compile pyproject.toml (with the extra `dev`) and requirements.in into requirements.lock for the
# CPU build of torch, and the hashes of all files of the locked versions into requirements.hashes;
# torch's, which differ per build, into envs/torch.sha256.
#
#   envs/lock.sh VENV
#
# Locked versions stay, unless UPGRADE is set; torch's changes only with TORCH=version.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=$1/bin/python
links=$("$python" -m pip config list 2>/dev/null | sed -nE "s/^global\.find-links='(.*)'/\1/p" || true)
source=(--extra-index-url "${HEADCOND_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}")
[ -n "$links" ] && source=(--find-links "$links")
cd "$root"
torch=torch==${TORCH:-$(sed -n 's/^torch==//p' requirements.lock)}
compile() { # compile OUTPUT OPTION...
    "$python" -m uv pip compile -q --python-version 3.11 "${source[@]}" --no-emit-index-url \
        --no-emit-find-links --custom-compile-command "make lock" --no-emit-package uv \
        --extra dev -o "$@" pyproject.toml requirements.in
}
[ -n "${UPGRADE:-}" ] || sed 's/^torch==[0-9.]*$/&+cpu/' requirements.lock > requirements.lock.new
compile requirements.lock.new --constraints <(echo "$torch")
# Every build of torch (CPU, CUDA) has to satisfy the lock, so the local part goes.
sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements.lock.new
! grep -qE '^(nvidia|triton)' requirements.lock.new || {
    echo "lock: requirements.lock.new holds CUDA packages" >&2; exit 1; }
mv requirements.lock.new requirements.lock
compile requirements.hashes.new --no-annotate --generate-hashes --no-emit-package torch \
    --constraints requirements.lock
mv requirements.hashes.new requirements.hashes
# torch's own, of PyPI's builds and of the CPU builds that are within reach.
pages=(https://pypi.org/simple/torch/ "${HEADCOND_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}/torch/")
"$python" envs/torch_hashes.py list "${pages[@]}" ${links:+"$links"} > envs/torch.sha256.new
mv envs/torch.sha256.new envs/torch.sha256
# The same series for conda.
"$python" envs/pin_conda.py
