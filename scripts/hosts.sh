#!/bin/bash
# Machines to install on: each a systemd and an sshd in namespaces of its own, on networks of their own. Needs root; changes nothing of
# this machine's network.
#
#   hosts.sh image              makes the system that all start from, once: Debian 12 by debootstrap, with podman
#   hosts.sh up N               a bastion and N hosts behind it: n1, n2, …
#   hosts.sh down               ends them all and removes every trace
#   hosts.sh at COMMAND…        runs it where the operator sits, from where the bastion alone is reached
#   hosts.sh in HOST COMMAND…   runs it inside a host, as root, without ssh
#   hosts.sh kill HOST          as if its power were cut
#   hosts.sh boot HOST          starts it again, with the disk that it had
#   hosts.sh renew HOST         another machine in its place: a new disk, a new host key, the same addresses
#
#   HOSTS        the folder of this network's state (required but for image)
#   HOSTS_TAG    the start of the names of its namespaces and cgroups, when several networks run at a time
#   HOSTS_IMAGE  where the system is kept
#   HOSTS_BIND   folders that the hosts see too, read-only, each as HERE=THERE, with a colon between them
#
# operator 10.90.0.1 --- 10.90.0.10 bastion 10.91.0.10 --- 10.91.0.21 n1, 10.91.0.22 n2, …
set -euo pipefail

tag=${HOSTS_TAG:-sdl}
image=${HOSTS_IMAGE:-${SCALAR_DL_MONITORING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/scalar-dl-monitoring}/hosts/bookworm-3}
user=admin

say() { echo "hosts: $*" >&2; }
die() { say "$*"; exit 1; }

# A tree of cgroups of version 2, whatever this machine has.
cgroups() {
  if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    echo /sys/fs/cgroup
  elif [ "$(stat -fc %T /sys/fs/cgroup/unified 2>/dev/null || true)" = cgroup2fs ]; then
    echo /sys/fs/cgroup/unified
  else
    mkdir -p "$HOSTS/cgroup"
    mountpoint -q "$HOSTS/cgroup" || mount -t cgroup2 none "$HOSTS/cgroup"
    echo "$HOSTS/cgroup"
  fi
}

mirror() {
  local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*)
  grep -hE '^(URIs:|deb )' "${files[@]}" 2>/dev/null | grep -oE 'https?://[^ ]+/debian/?' | head -n 1
}

# debootstrap is a script: its package is unpacked, not installed.
bootstrap() {
  if command -v debootstrap >/dev/null; then
    debootstrap "$@"
    return
  fi
  local work=$image.debootstrap
  mkdir -p "$work"
  (cd "$work" && apt-get -q update >log 2>&1 && apt-get -q download debootstrap >>log 2>&1 && dpkg -x debootstrap_*.deb .) ||
    die "cannot fetch debootstrap: $(tail -n 3 "$work/log")"
  DEBOOTSTRAP_DIR=$work/usr/share/debootstrap bash "$work/usr/sbin/debootstrap" "$@"
}

make_image() {
  mkdir -p "$(dirname "$image")"
  exec 9>"$image.lock"
  flock 9
  [ -e "$image/.ready" ] && return 0
  say "making the system that hosts start from, once"
  local with=systemd,systemd-sysv,dbus,openssh-server,iproute2,sudo,ca-certificates,procps,python3-minimal,logrotate,xfsprogs
  rm -rf "$image"
  bootstrap --variant=minbase --include=$with bookworm "$image" "$(mirror)" >"$image.log" 2>&1 ||
    die "debootstrap failed: $(tail -n 3 "$image.log")"
  containers "$image"
  dress "$image"
  touch "$image/.ready"
}

# What runs containers, by packages that this machine fetches: debootstrap chooses badly among alternatives, and the image has no network.
containers() {
  local root=$1 work=$1.apt
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  echo "deb $(mirror) bookworm main" >"$work/sources.list"
  local apt=(apt-get -q -y -o Dir::State::status="$root/var/lib/dpkg/status" -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root
    -o Dir::Cache="$work" -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null)
  "${apt[@]}" update >"$work/log" 2>&1 && "${apt[@]}" --no-install-recommends -d install podman crun >>"$work/log" 2>&1 ||
    die "cannot fetch podman: $(tail -n 3 "$work/log")"
  mkdir "$root/debs"
  mv "$work"/archives/*.deb "$root/debs/"
  # Nothing is started in it.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  chroot "$root" sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i /debs/*.deb' >>"$work/log" 2>&1 ||
    die "cannot install podman: $(tail -n 3 "$work/log")"
  rm -rf "$root/debs" "$root/usr/sbin/policy-rc.d" "$work/lists"
  # A host's root is an overlay itself, over which there can be no other.
  printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' >"$root/etc/containers/storage.conf"
}

# What an image for clouds has been given: a user with sudo and a key, no passwords, no root over ssh.
dress() {
  local root=$1 unit
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/etc/ssh/ssh_host_*
  chroot "$root" useradd -m -s /bin/bash $user
  echo "$user ALL=(ALL) NOPASSWD:ALL" >"$root/etc/sudoers.d/90-$user"
  chmod 440 "$root/etc/sudoers.d/90-$user"
  install -d -m 700 "$root/home/$user/.ssh"
  : >"$root/etc/machine-id"
  rm -f "$root/etc/resolv.conf"
  : >"$root/etc/resolv.conf"
  printf 'PasswordAuthentication no\nPermitRootLogin no\nUseDNS no\nMaxStartups 100\n' >"$root/etc/ssh/sshd_config.d/hosts.conf"
  # What waits for devices, terminals or the outside.
  for unit in getty.target console-getty.service systemd-logind.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-timesyncd.service \
    systemd-networkd-wait-online.service systemd-firstboot.service systemd-remount-fs.service dev-hugepages.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  # Without logind a login would wait for it.
  sed -i 's/^session.*pam_systemd.*/# &/' "$root/etc/pam.d/common-session"
  ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
}

# HOST's interface with an address, on a bridge of another namespace.
wire() {
  local host=$tag-$1 interface=$2 address=$3 namespace=$tag-$4 bridge=$5 name=$6
  ip -n "$namespace" link add "$name" type veth peer name "$interface" netns "$host"
  ip -n "$namespace" link set "$name" master "$bridge" up
  ip -n "$host" addr add "$address" dev "$interface"
  ip -n "$host" link set "$interface" up
  ip -n "$host" link set lo up
}

# The disk of a host, as it is before the first start.
disk() {
  local host=$1 folder=$HOSTS/n/$1 upper
  mkdir -p "$folder/disk" "$folder/root"
  mount -t tmpfs -o "size=${HOSTS_DISK:-2g},mode=755" "$tag-$host" "$folder/disk"
  upper=$folder/disk/upper
  install -d -m 755 "$upper" "$folder/disk/work" "$upper/etc/ssh" "$upper/home"
  echo "$host" >"$upper/etc/hostname"
  printf '127.0.0.1 localhost %s\n' "$host" >"$upper/etc/hosts"
  ssh-keygen -qt ed25519 -N '' -C "$host" -f "$folder/hostkey"
  install -m 600 "$folder/hostkey" "$upper/etc/ssh/ssh_host_ed25519_key"
  install -m 644 "$folder/hostkey.pub" "$upper/etc/ssh/ssh_host_ed25519_key.pub"
  cp -a "$image/home/$user" "$upper/home/"
  install -m 600 "$HOSTS/key.pub" "$upper/home/$user/.ssh/authorized_keys"
  chown -R --reference="$image/home/$user" "$upper/home/$user"
}

# Starts a host: its root is the image with its disk over it, and the first process systemd.
boot() {
  local host=$1 folder=$HOSTS/n/$1 cgroup bind binds=${HOSTS_BIND:-}
  cgroup=$(cgroups)/$tag-$host
  mkdir -p "$cgroup"
  cat >"$folder/init" <<X
set -e
root=$folder/root
mount --make-rprivate /
mount -t overlay $tag-$host -o lowerdir=$image,upperdir=$folder/disk/upper,workdir=$folder/disk/work \$root
mount -t proc proc \$root/proc
mount -t sysfs -o ro sysfs \$root/sys
mount -t cgroup2 cgroup2 \$root/sys/fs/cgroup
mount -t tmpfs -o mode=755,size=64k dev \$root/dev
mkdir \$root/dev/pts \$root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts \$root/dev/pts
mount -t tmpfs shm \$root/dev/shm
mount -t tmpfs -o mode=755 run \$root/run
mount -t tmpfs -o mode=1777 tmp \$root/tmp
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 \$root/dev/\${device%:*} c 1 \${device#*:}; done
mknod -m 666 \$root/dev/tty c 5 0
ln -s pts/ptmx \$root/dev/ptmx
ln -s /proc/self/fd \$root/dev/fd
ln -s /proc/self/fd/0 \$root/dev/stdin
ln -s /proc/self/fd/1 \$root/dev/stdout
ln -s /proc/self/fd/2 \$root/dev/stderr
touch \$root/dev/console
mount --bind $folder/console \$root/dev/console
X
  for bind in ${binds//:/ }; do
    printf 'mkdir -p "$root%s"\nmount --bind -o ro "%s" "$root%s"\n' "${bind#*=}" "${bind%%=*}" "${bind#*=}" >>"$folder/init"
  done
  cat >>"$folder/init" <<X
hostname $host
mkdir -p \$root/.old
cd \$root
pivot_root . .old
umount -l /.old
rmdir /.old
# systemd does so itself where it does not run in a container; what it hands to units as credentials comes by it.
mount --make-rshared /
exec env -i container=hosts PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux /sbin/init --log-target=journal --show-status=no </dev/null >/dev/console 2>&1
X
  : >"$folder/console"
  (
    # Its cgroup is the root of what it sees of them.
    echo $BASHPID >"$cgroup/cgroup.procs"
    exec setsid nsenter --net="/run/netns/$tag-$host" unshare --mount --pid --uts --ipc --cgroup --fork --kill-child=KILL \
      bash "$folder/init" 9>&-
  ) </dev/null >"$folder/log" 2>&1 &
  echo $! >"$folder/pid"
}

# The process that holds a host, when it still does: numbers of processes come again within minutes, and what has it then is somebody else's.
holder() {
  local process
  process=$(cat "$HOSTS/n/$1/pid" 2>/dev/null) && grep -qE "/$tag-$1(/|\$)" "/proc/$process/cgroup" 2>/dev/null && echo "$process"
}

first() {
  local process
  process=$(holder "$1") && pgrep -P "$process" | head -n 1
}

inside() {
  local process
  process=$(first "$1") || return 1
  shift
  nsenter -t "$process" -m -p -u -i -n -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

wait_for() {
  local host=$1 state i
  for i in $(seq 1 600); do
    state=$(inside "$host" systemctl is-system-running 2>/dev/null || true)
    case $state in
    running | degraded)
      inside "$host" systemctl is-active -q ssh && return 0
      ;;
    esac
    sleep 0.1
  done
  die "$host does not come up: $(tail -n 3 "$HOSTS/n/$host/log" "$HOSTS/n/$host/console")"
}

up() {
  local count=$1 i hosts
  make_image
  mkdir -p "$HOSTS/n"
  ssh-keygen -qt ed25519 -N '' -C operator -f "$HOSTS/key"
  hosts=$(seq -f n%g 1 "$count")
  for i in operator switch bastion $hosts; do ip netns add "$tag-$i"; done
  ip -n "$tag-operator" link set lo up
  ip -n "$tag-operator" link add public type bridge
  ip -n "$tag-operator" addr add 10.90.0.1/24 dev public
  ip -n "$tag-operator" link set public up
  ip -n "$tag-switch" link add private type bridge
  ip -n "$tag-switch" link set private up
  wire bastion eth0 10.90.0.10/24 operator public b0
  wire bastion eth1 10.91.0.10/24 switch private b1
  for i in $(seq 1 "$count"); do wire "n$i" eth0 "10.91.0.$((20 + i))/24" switch private "h$i"; done
  for i in bastion $hosts; do disk "$i"; boot "$i"; done
  {
    echo "10.90.0.10 $(cut -d' ' -f1,2 "$HOSTS/n/bastion/hostkey.pub")"
    for i in $(seq 1 "$count"); do echo "10.91.0.$((20 + i)) $(cut -d' ' -f1,2 "$HOSTS/n/n$i/hostkey.pub")"; done
  } >"$HOSTS/known_hosts"
  for i in bastion $hosts; do wait_for "$i"; done
}

stop() {
  local process
  process=$(first "$1") && kill -9 "$process" 2>/dev/null || true
  process=$(holder "$1") && kill -9 "$process" 2>/dev/null || true
  for _ in $(seq 1 100); do
    holder "$1" >/dev/null || return 0
    sleep 0.1
  done
}

# Its cables are pulled, or put in.
cables() {
  local interface
  for interface in $(ip -n "$tag-$1" -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/'); do
    ip -n "$tag-$1" link set "$interface" "$2"
  done
}

down() {
  local folder namespace
  for folder in "$HOSTS"/n/*/; do
    [ -e "$folder/pid" ] && stop "$(basename "$folder")"
  done
  for namespace in $(ip netns list | awk '{print $1}' | grep "^$tag-" || true); do ip netns del "$namespace"; done
  for folder in "$HOSTS"/n/*/; do umount -l "$folder/disk" 2>/dev/null || true; done
  find "$(cgroups)" -depth -mindepth 1 -type d -path "*/$tag-*" -exec rmdir {} + 2>/dev/null || true
  if mountpoint -q "$HOSTS/cgroup"; then umount "$HOSTS/cgroup"; fi
  rm -rf "$HOSTS/n" "$HOSTS/key" "$HOSTS/key.pub" "$HOSTS/known_hosts"
}

command=${1:-}
shift || true
[ "$command" = image ] || [ -n "${HOSTS:-}" ] || die "HOSTS must name a folder"
case $command in
image) make_image ;;
up) up "$@" ;;
down) down ;;
at) exec ip netns exec "$tag-operator" "$@" ;;
in) inside "$@" ;;
kill)
  # Its processes' ends say goodbye to nobody.
  cables "$1" down
  stop "$1"
  ;;
boot)
  cables "$1" up
  boot "$1"
  wait_for "$1"
  ;;
renew)
  cables "$1" down
  stop "$1"
  umount -l "$HOSTS/n/$1/disk"
  rm -rf "$HOSTS/n/$1"
  cables "$1" up
  disk "$1"
  boot "$1"
  wait_for "$1"
  ;;
*)
  sed -n 's/^# \{0,1\}//p' "$0" | sed 1d
  exit 2
  ;;
esac
