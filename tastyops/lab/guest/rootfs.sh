#!/bin/sh
# Runs in the new root (chroot, on the machine that builds): packages, people, keys, kernels.
# Wants: PACKAGES (names), PASSWORD (root's, for the console).
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d   # nothing is started in here
chmod 755 /usr/sbin/policy-rc.d
echo 'grub-pc grub-pc/install_devices_empty boolean true' | debconf-set-selections
apt-get -q update
# shellcheck disable=SC2086  # a list of names
apt-get -q -y -o Dpkg::Options::=--force-confold install $PACKAGES

# The three newest kernels of this suite: a fallback, the one that runs, one to upgrade to.
releases=$(apt-cache pkgnames linux-image-6.1.0- \
  | sed -n 's/^linux-image-\(6\.1\.0-[0-9]*-cloud-amd64\)$/\1/p' | sort -V | tail -n 3)
[ "$(echo "$releases" | wc -l)" -eq 3 ] || { echo "the mirror has fewer than three cloud kernels" >&2; exit 1; }
fallback=$(echo "$releases" | sed -n 1p)
running=$(echo "$releases" | sed -n 2p)
newest=$(echo "$releases" | sed -n 3p)

meta() { # a meta-package of the name runbooks know, for the kernel given
  version=$(apt-cache show "linux-image-$1" | sed -n 's/^Version: //p' | head -n 1)
  folder=$(mktemp -d)
  mkdir "$folder/DEBIAN"
  cat > "$folder/DEBIAN/control" <<CONTROL
Package: linux-image-amd64
Version: $version
Architecture: amd64
Maintainer: The lab <root@kalimdor.lab>
Depends: linux-image-$1 (= $version)
Section: kernel
Priority: optional
Description: Linux for the lab (meta-package)
CONTROL
  chmod 755 "$folder"
  dpkg-deb --root-owner-group --build "$folder" "$2" > /dev/null
  rm -r "$folder"
}

apt-get -q -y install "linux-image-$fallback" "linux-image-$running"
mkdir -p /srv/apt
meta "$running" /tmp/linux-image-amd64.deb
dpkg -i /tmp/linux-image-amd64.deb
cd /srv/apt
apt-get -q download "linux-image-$newest" "linux-image-cloud-amd64"
meta "$newest" /srv/apt/linux-image-amd64_lab.deb
for deb in *.deb; do
  dpkg-deb --field "$deb"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
    "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
cd /
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/*proxy*
echo 'deb [trusted=yes] file:/srv/apt ./' > /etc/apt/sources.list
apt-get -q clean
rm -rf /var/lib/apt/lists/*
apt-get -q update

printf 'fallback=%s\nrunning=%s\nnewest=%s\n' "$fallback" "$running" "$newest" > /etc/lab-release

echo "root:$PASSWORD" | chpasswd
for name in ops visitor; do
  useradd --create-home --shell /bin/bash "$name"
done
ssh-keygen -q -t ed25519 -N '' -C tastyops-lab -f /root/lab_key
for home in /root /home/ops; do
  mkdir -m 700 -p "$home/.ssh"
  cp /root/lab_key.pub "$home/.ssh/authorized_keys"
done
chown -R ops:ops /home/ops
chmod 440 /etc/sudoers.d/ops
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key*

mkdir -p /recover /var/lib/systemd/linger
touch /var/lib/systemd/linger/root /var/lib/systemd/linger/ops
systemctl enable serial-getty@ttyS1.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer logrotate.timer man-db.timer mdcheck_start.timer \
  mdcheck_continue.timer mdmonitor-oneshot.timer ifupdown-pre.service getty@tty1.service \
  systemd-timesyncd.service
rm -f /usr/sbin/policy-rc.d /etc/resolv.conf
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
