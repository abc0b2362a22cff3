# Second half of the guest's first program: it runs the job and tells its status through the port `rc`.
# shellcheck shell=dash
b=/run/vm/busybox
port() {
  for entry in /sys/class/virtio-ports/*; do
    if [ "$($b cat "$entry/name")" = "$1" ]; then echo "/dev/${entry##*/}"; fi
  done
}
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
$b mount -t tmpfs tmpfs /dev/shm
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
$b mount -t bpf bpf /sys/fs/bpf 2>/dev/null
[ -e /dev/fd ] || $b ln -s /proc/self/fd /dev/fd
$b hostname ipvlab-vm
$b ip link set lo up
ulimit -n 65536
# A port takes 32 KiB of a longer write and says so, which programs that know files and pipes only
# take for the end (drivers/char/virtio_console.c: port_fops_write). So they get pipes.
$b mkfifo /run/vm/out /run/vm/err
$b cat /run/vm/out >"$(port out)" &
$b cat /run/vm/err >"$(port err)" &
exec 3>/run/vm/out 4>/run/vm/err 5>"$(port rc)"
echo hello >&5
$b sh /run/vm/job.sh </dev/null >&3 2>&4 3>&- 4>&- 5>&-
status=$?
# The marks say where each stream ends; only then may the machine be switched off.
$b cat /run/vm/end >&3
$b cat /run/vm/end >&4
echo "status $status" >&5
while :; do $b sleep 1000; done
