#!/usr/bin/env bash
# Set up headcond's virtual environment: `make` calls this; it may be run again at will.
#
#   envs/install.sh VENV
#
# Variables: PYTHON (default python3), HEADCOND_CACHE (default ~/.cache/headcond),
# HEADCOND_TORCH=cpu|cuda (default cpu), HEADCOND_TORCH_INDEX (index of CPU builds).
set -euo pipefail

venv=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
python=${PYTHON:-python3}
cache=${HEADCOND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/headcond}
flavour=${HEADCOND_TORCH:-cpu}
torch=$(grep -E '^torch==' "$root/requirements.lock" | cut -d' ' -f1)

fail() { echo "install: $*" >&2; exit 1; }

digest=$(cat "$root/requirements.lock" "$root/requirements.hashes" "$root/pyproject.toml" "$here/install.sh" \
    "$here/build_petsc.sh" "$here/torch.sha256" <(echo "$flavour $(realpath -m "$venv")") | sha256sum | cut -c1-12)
stamp=$venv/.headcond-$digest
# An environment does not survive being moved, so its own path is part of the check.
if [ -e "$stamp" ] && "$venv/bin/python" -c 'import headcond' 2>/dev/null; then
    exit 0
fi

case $flavour in cpu | cuda) ;; *) fail "HEADCOND_TORCH is '$flavour'; it may be cpu or cuda." ;; esac
command -v "$python" >/dev/null || fail "no '$python' on the PATH; set PYTHON to a Python >= 3.11."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old; set PYTHON to a Python >= 3.11."

echo "== headcond set-up in $venv (log lines follow; about 15 minutes the first time, 1 to 2 later)"
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    "$python" -m venv "$venv" 2>/dev/null ||
        { rm -rf "$venv" && "$python" -m virtualenv -q "$venv" 2>/dev/null; } ||
        { rm -rf "$venv" && "$python" -m venv --without-pip "$venv" &&
            "$python" -m pip -q --python "$venv/bin/python" install pip 2>/dev/null; } ||
        { rm -rf "$venv"
          fail "$python can make no virtual environment (Debian, Ubuntu: apt install python3-venv)."; }
fi
venv=$(cd "$venv" && pwd)
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

report=$(mktemp)
trap 'rm -f "$report"' EXIT
echo "== uv"
pip install -q 'uv==0.13.8'

# torch comes first, so that the lock's torch counts as satisfied: a plain request would
# take the CUDA build with several GB of companions.
if "$venv/bin/python" -W ignore -c "import sys, torch
have = 'cuda' if torch.version.cuda else 'cpu'
sys.exit(torch.__version__.split('+')[0] != '${torch#torch==}' or have != '$flavour')" 2>/dev/null
then
    echo "== $torch is there"
elif [ "$flavour" = cuda ]; then
    # The default index's build is the CUDA one on Linux; uv brings its companions.
    echo "== $torch, CUDA build (several GB)"
    pip install --no-deps --force-reinstall --report "$report" "$torch"
    "$venv/bin/python" -m uv pip install --python "$venv/bin/python" "$torch"
else
    index=${HEADCOND_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
    echo "== $torch, CPU build"
    # A file that pip's own configuration names (find-links) wins over any index.
    if ! pip install -q --no-index --no-deps --force-reinstall --report "$report" "$torch" \
            2>/dev/null &&
        ! pip install --no-deps --force-reinstall --report "$report" --index-url "$index" "$torch"
    then
        echo "install: $index gave no $torch; going on with the default index, whose build may" \
            "bring several GB of CUDA packages. HEADCOND_TORCH_INDEX names another index." >&2
        pip install --no-deps --report "$report" "$torch"
        pip install "$torch"
    fi
fi
if [ -s "$report" ] && ! "$venv/bin/python" "$here/torch_hashes.py" check "$report"; then
    pip uninstall -q -y torch
    fail "torch was removed again; see docs/explanation/reliability.md, Supply chain."
fi

echo "== packages of requirements.lock, their files checked by requirements.hashes"
# The lock names every package, so none brings others along.
"$venv/bin/python" -m uv pip install -q --python "$venv/bin/python" --no-deps --require-hashes \
    -r "$root/requirements.hashes"

echo "== PETSc and petsc4py"
"$here/build_petsc.sh" "$venv" "$cache"

echo "== headcond"
"$venv/bin/python" -m uv pip install -q --python "$venv/bin/python" \
    --no-deps --no-build-isolation -e "$root"
rm -f "$venv"/.headcond-*
touch "$venv/.headcond-$digest"
echo "== set-up done"
