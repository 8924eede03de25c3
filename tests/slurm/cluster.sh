#!/usr/bin/env bash
# A Slurm of one node for tests, its state, keys and logs in one folder.
#
#   cluster.sh start FOLDER    installs Debian's packages if Slurm is absent (root only), starts
#                              munge and Slurm, prints the folder to put first on the PATH;
#                              exit status 77 and a reason where that cannot be done
#   cluster.sh stop FOLDER     ends what start has started, and nothing else
set -euo pipefail
[ $# = 2 ] || { sed -n '4,7p' "$0" >&2; exit 2; }
action=$1 folder=$(realpath -m "$2")
packages="slurm-wlm munge libpmix-dev" # the last: PMIx, by which srun starts Open MPI's ranks
clients="srun sbatch squeue scancel scontrol sinfo sacctmgr sshare sacct"

skip() { echo "$*"; exit 77; }

find_programs() { command -v munged slurmctld slurmd scontrol >/dev/null; }

install() {
    [ "$(id -u)" = 0 ] || skip "Slurm is not installed, and only root can install it: $packages"
    command -v apt-get >/dev/null || skip "Slurm is not installed, and there is no apt-get"
    # Nothing may be started by the packages: no daemon of this test outlives it.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends $packages; } \
        >"$folder/install.log" 2>&1 || skip "$packages: apt-get failed, see $folder/install.log"
    find_programs || skip "$packages are installed, but munged, slurmctld, slurmd are not found"
}

configure() {
    local host user
    host=$(hostname -s) user=$(id -un)
    mkdir -p "$folder"/{state,spool,log,bin}
    chmod 700 "$folder/state"
    cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldPort=${HEADCOND_SLURM_PORT:-26817}
SlurmdPort=$((${HEADCOND_SLURM_PORT:-26817} + 1))
SrunPortRange=$((${HEADCOND_SLURM_PORT:-26817} + 10))-$((${HEADCOND_SLURM_PORT:-26817} + 300))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
PlugStackConfig=$folder/plugstack.conf
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=3600
KillWait=2
# A busy machine answers late, and its jobs start late.
MessageTimeout=100
BatchStartTimeout=300
UnkillableStepTimeout=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    : >"$folder/plugstack.conf"
    # The executor takes SLURM_CONF away from its job steps; these know their cluster without it.
    for name in $clients; do
        printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$folder/slurm.conf" \
            "$(command -v "$name")" >"$folder/bin/$name"
        chmod +x "$folder/bin/$name"
    done
}

start() {
    mkdir -p "$folder"
    find_programs || install
    configure
    (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
        --pid-file="$folder/munged.pid" --log-file="$folder/log/munged.log" \
        --seed-file="$folder/munge.seed" --num-threads=2 2>"$folder/log/munged.start" ||
        skip "munged does not start: $(tail -n 1 "$folder/log/munged.start")"
    SLURM_CONF=$folder/slurm.conf slurmctld -i
    SLURM_CONF=$folder/slurm.conf slurmd
    for _ in $(seq 240); do
        if [ "$("$folder/bin/sinfo" -h -o %T 2>/dev/null)" = idle ]; then
            echo "$folder/bin"
            return
        fi
        sleep 0.5
    done
    stop
    skip "the node does not become idle; see $folder/log"
}

# A zombie, which nobody has waited for yet, is no daemon any more.
runs() { grep -q "^State:[[:space:]]*[^ZX]" "/proc/$1/status" 2>/dev/null; }

stop() {
    "$folder/bin/scancel" --full --user="$(id -un)" 2>/dev/null || true
    # Steps outlive slurmd: wait until their processes are gone.
    for _ in $(seq 240); do
        [ -n "$("$folder/bin/squeue" --noheader 2>/dev/null)" ] || break
        sleep 0.5
    done
    for name in slurmd slurmctld munged; do
        local pid
        pid=$(cat "$folder/$name.pid" 2>/dev/null) || continue
        # Only the process that this folder's start has made, should the number be taken again.
        runs "$pid" && grep -q "$name" "/proc/$pid/comm" || continue
        kill "$pid"
        for _ in $(seq 60); do runs "$pid" || break; sleep 0.25; done
        ! runs "$pid" || kill -9 "$pid"
    done
}

"$action"
