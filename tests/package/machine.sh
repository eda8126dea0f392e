#!/bin/sh
# machine.sh BASE MOUNTPOINT NAME PROGRAM [ARGUMENT...]
# The first process of a machine (see machine.py), in name spaces of its own: puts a writable layer
# in memory over the root BASE, makes that its root and becomes PROGRAM. Nothing is mounted where
# others see it, so all of it goes away with the last process.
set -eu
base=$1 mnt=$2 name=$3
shift 3

mount -t tmpfs -o mode=755,size=1g tmpfs "$mnt"
mkdir "$mnt/upper" "$mnt/work" "$mnt/root"
mount -t overlay -o "lowerdir=$base,upperdir=$mnt/upper,workdir=$mnt/work" overlay "$mnt/root"
cd "$mnt/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for device in null zero full random urandom; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
hostname "$name"
ip link set lo up
mkdir .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=yoke-test "$@" </dev/null
