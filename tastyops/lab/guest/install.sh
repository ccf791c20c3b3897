#!/bin/sh
# The builder's init: it runs from a plain ext4 root and puts a copy of itself on three disks as
# a real server has it. Devices appear through devtmpfs; there is no udev in here.
export DM_DISABLE_UDEV=1 LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

give_up() { echo "LAB-INSTALL-FAILED"; sync; echo o > /proc/sysrq-trigger; sleep 60; }
trap give_up EXIT
set -eux

mount -o remount,rw /
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /run/lock /run/lvm
for module in raid1 dm_mod xfs ext4 virtio_scsi sd_mod; do modprobe "$module" || true; done

disks=""
for serial in LAB-DISK-1 LAB-DISK-2 LAB-DISK-3; do
  for name in /sys/block/sd*; do
    page=$(tr -cd '[:print:]' < "$name/device/vpd_pg80" || true)
    case "$page" in *"$serial") disks="$disks ${name##*/}" ;; esac
  done
done
set -- $disks
[ $# -eq 3 ]
for disk in "$@"; do
  printf 'label: dos\nstart=2048, size=350M, type=fd, bootable\nsize=3300M, type=fd\n' | sfdisk -q "/dev/$disk"
done
sleep 1
uuid() { sed -n "s/^ARRAY \/dev\/$1 .*UUID=//p" /etc/mdadm/mdadm.conf; }
mdadm --create /dev/md0 --metadata=1.0 --level=1 --raid-devices=3 --assume-clean --run \
  --homehost=kalimdor --name=boot --uuid="$(uuid md0)" "/dev/${1}1" "/dev/${2}1" "/dev/${3}1"
mdadm --create /dev/md1 --metadata=1.2 --level=1 --raid-devices=3 --assume-clean --run \
  --bitmap=internal --homehost=kalimdor --name=sys --uuid="$(uuid md1)" \
  "/dev/${1}2" "/dev/${2}2" "/dev/${3}2"

pvcreate -q /dev/md1
vgcreate -q vg0 /dev/md1
lvcreate -q -y -W n -L 1300M -n root vg0
lvcreate -q -y -W n -L 400M -n home vg0
lvcreate -q -y -W n -L 700M -n var vg0
lvcreate -q -y -W n -L 400M -n recover vg0
for volume in root home var recover; do
  mkfs.xfs -q -f -L "$volume" "/dev/mapper/vg0-$volume"
done
mkfs.ext4 -q -F -L boot /dev/md0

mkdir -p /mnt
mount /dev/mapper/vg0-root /mnt
mkdir -p /mnt/boot /mnt/home /mnt/var /mnt/recover /mnt/proc /mnt/sys /mnt/dev /mnt/run
mount /dev/md0 /mnt/boot
for volume in home var recover; do mount "/dev/mapper/vg0-$volume" "/mnt/$volume"; done
cp -ax /. /mnt/
rm -f /mnt/root/lab_key /mnt/root/lab_key.pub /mnt/sbin/lab-install
rm -rf /mnt/mnt/*

for place in proc sys dev run; do mount --bind "/$place" "/mnt/$place"; done
for disk in "$@"; do
  chroot /mnt grub-install --no-floppy --modules="part_msdos mdraid1x lvm ext2 xfs" "/dev/$disk"
done
chroot /mnt update-grub
running=$(sed -n 's/^running=//p' /etc/lab-release)
menu=$(sed -n "s/^submenu .*menuentry_id_option '\([^']*\)'.*/\1/p" /mnt/boot/grub/grub.cfg | head -n 1)
entry=$(sed -n "s/.*menuentry_id_option '\(gnulinux-$running-advanced-[^']*\)'.*/\1/p" \
  /mnt/boot/grub/grub.cfg | head -n 1)
chroot /mnt grub-set-default "$menu>$entry"
chroot /mnt grub-editenv /boot/grub/grubenv list

for place in proc sys dev run; do umount "/mnt/$place"; done
for place in home var recover boot; do umount "/mnt/$place"; done
umount /mnt
vgchange -q -an vg0
mdadm --stop /dev/md1
mdadm --stop /dev/md0
sync
trap - EXIT
echo "LAB-INSTALL-COMPLETE"
echo o > /proc/sysrq-trigger
sleep 60
