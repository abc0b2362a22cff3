#!/bin/busybox sh
# First program of the guest: modules, then this machine's files as root, read-only below a tmpfs.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev 2>/dev/null
for module in /modules/*.ko; do
  case "$module" in
    # Neither may put links into the first namespace.
    *-dummy.ko) parameter=numdummies=0 ;;
    *-ifb.ko) parameter=numifbs=0 ;;
    *) parameter= ;;
  esac
  $b insmod "$module" $parameter || echo "vm: $module was not loaded"
done
$b mount -t virtiofs -o ro root /lower || { echo "vm: no root file system"; $b poweroff -f; }
$b mount -t tmpfs -o size=75% tmpfs /rw
$b mkdir /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new ||
  { echo "vm: no overlay"; $b poweroff -f; }
for place in proc sys dev run tmp; do [ -d /new/$place ] || $b mkdir /new/$place; done
$b mount -t tmpfs -o mode=755 tmpfs /new/run
$b mkdir /new/run/vm /new/run/lock
$b cp /bin/busybox /run.sh /job.sh /end /new/run/vm/
for place in proc sys dev; do $b mount -o move /$place /new/$place; done
exec $b switch_root /new /run/vm/busybox sh /run/vm/run.sh
