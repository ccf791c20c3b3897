"""Kernel messages when storage, memory or a filesystem fails, and those of any boot."""

from __future__ import annotations

import json

import pytest

from tastyops.facts.kernel_log import KINDS, Complaints
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output


def scanned(*messages: str) -> Complaints:
    out = "".join(json.dumps({"MESSAGE": message}) + "\n" for message in messages)
    found: Complaints = parse("kernel_complaints", Output(0, Blob.of(out.encode())))
    return found


FAILURES = {
    "nvme": """\
nvme nvme1: controller is down; will reset: CSTS=0x3, PCI_STATUS=0xffff
nvme nvme1: I/O 12 QID 7 timeout, reset controller
nvme nvme0: I/O tag 320 (f140) opcode 0x2 (I/O Cmd) QID 4 timeout, aborting req_op:READ(0) size:131072
nvme nvme0: Device not ready; aborting reset, CSTS=0x1
nvme nvme0: Removing after probe failure status: -19
nvme nvme0: Abort status: 0x371
nvme1n1: I/O Cmd(0x2) @ LBA 1048576, 8 blocks, I/O Error (sct 0x2 / sc 0x81) MORE
nvme nvme2: frozen state error detected, reset controller""",
    "link_error": """\
ata2.00: exception Emask 0x10 SAct 0x60 SErr 0x400100 action 0x6 frozen
ata2.00: failed command: READ FPDMA QUEUED
ata2: hard resetting link
ata3: COMRESET failed (errno=-16)
ata3.00: disabled
ata4: SError: { UnrecovData Handshk }
ata4.00: error: { UNC }
ata4: limiting SATA link speed to 1.5 Gbps
sd 4:0:0:0: rejecting I/O to offline device
sd 4:0:0:0: Device offlined - not ready after error recovery
sd 0:0:1:0: [sdb] tag#12 FAILED Result: hostbyte=DID_TIME_OUT driverbyte=DRIVER_OK cmd_age=30s
sd 6:0:0:0: [sdd] Read Capacity(16) failed: Result: hostbyte=DID_NO_CONNECT driverbyte=DRIVER_OK
connection3:0: detected conn error (1022)
session3: session recovery timed out after 120 secs
rport-7:0-3: blocked FC remote port time out: removing target and saving binding
mmc0: error -110 whilst initialising SD card
hpsa 0000:03:00.0: scsi 0:1:0:0: resetting logical  Direct-Access     HP       LOGICAL VOLUME
block nbd0: Connection timed out
rbd: rbd0: write 1000 at 4096 result -5
nfs: server filer1 not responding, still trying
megaraid_sas 0000:02:00.0: Iop2SysDoorbellInt FAULT state detected""",
    "io_error": """\
I/O error, dev sdc, sector 123456 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2
blk_update_request: critical medium error, dev sdd, sector 99 op 0x0:(READ) flags 0x0
blk_update_request: critical space allocation error, dev dm-4, sector 0
timeout error, dev sde, sector 2048 op 0x0:(READ)
Buffer I/O error on dev sdc1, logical block 0, lost sync page write
sd 1:0:0:0: [sdb] tag#3 Sense Key : Medium Error [current]
sd 1:0:0:0: [sdb] tag#3 Add. Sense: Write error - auto reallocation failed
sd 1:0:0:0: [sdb] tag#3 Add. Sense: Internal target failure
sd 1:0:0:0: [sdb] tag#3 Add. Sense: Failure prediction threshold exceeded
bcache: bch_count_io_errors() sdf: IO error on reading from cache, recovering.
dm-1: writeback error on inode 131, offset 0, sector 8
megaraid_sas 0000:03:00.0: 5123 (60/0x0002/FATAL) - Unrecoverable medium error during recovery on PD 02
Read-error on swap-device (8:16:2048)""",
    "md": """\
md/raid1:md3: sdc2: unrecoverable I/O read error for block 4096
md: kicking non-fresh sdd2 from array!
md/raid1:md3: Disk failure on sdc2, disabling device.
md/raid1:md1: sda2: rescheduling sector 7340032
md/raid1:md1: redirecting sector 7340032 to other mirror: sdb2
md: super_written gets error=-5
md/raid1:md0: active with 1 out of 2 mirrors
md/raid:md5: not enough operational devices (2/4 failed)
raid1: Disk failure on sdb1, disabling device.
md: sdc2 does not have a valid v1.2 superblock, not importing!
md/raid1:md0: Too many read errors on sda1: 21 > 20""",
    "btrfs": """\
BTRFS error (device sdb1): bdev /dev/sdb1 errs: wr 4, rd 0, flush 0, corrupt 0, gen 0
BTRFS critical (device dm-2): corrupt leaf: root=2 block=1048576 slot=12
BTRFS: error (device sdc) in btrfs_commit_transaction:2418: errno=-5 IO failure (Error while writing)
BTRFS warning (device sdc): csum failed root 5 ino 261 off 4096 csum 0x1 expected csum 0x2 mirror 1
BTRFS info (device sdc: state EA): forced readonly
BTRFS info (device sdc1): bdev /dev/sdc1 errs: wr 0, rd 0, flush 0, corrupt 3, gen 0""",
    "ext": """\
EXT4-fs (dm-3): Remounting filesystem read-only
EXT4-fs (dm-3): remounting filesystem read-only
EXT4-fs error (device dm-3): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 15
EXT4-fs warning (device sdc1): ext4_end_bio:343: I/O error 10 writing to inode 12 starting block 9
EXT4-fs (sdb1): error count since last fsck: 5
EXT4-fs (sdb1): warning: mounting fs with errors, running e2fsck is recommended
EXT4-fs (sdb1): Delayed block allocation failed for inode 14 at logical offset 0 with error 28
Aborting journal on device sdb1-8.
JBD2: recovery failed
EXT4-fs (sda3): group descriptors corrupted!
EXT4-fs (sda3): ext4_writepages: jbd2_start: 1024 pages, ino 12; err -30
JBD2: Error -5 detected when updating journal superblock for sdb1-8.""",
    "xfs": """\
XFS (sdb1): Log I/O Error (0x2) Detected. Shutting down filesystem.
XFS (dm-1): log I/O error -5
XFS (dm-1): xfs_do_force_shutdown(0x2) called from line 1250 of file fs/xfs/xfs_log.c
XFS (dm-1): Corruption of in-memory data (0x8) detected at xfs_trans_cancel. Shutting down filesystem.
XFS (dm-1): Please unmount the filesystem and rectify the problem(s)
XFS (dm-1): Internal error i != 1 at line 2111 of file fs/xfs/libxfs/xfs_alloc.c
XFS (dm-1): metadata I/O error in "xfs_trans_read_buf_map" at daddr 0x1 len 1 error 5
XFS (dm-1): log mount failed
XFS (dm-1): Unmount and run xfs_repair""",
    "out_of_memory": """\
Memory cgroup out of memory: Killed process 912 (mysqld) total-vm:9123456kB, anon-rss:1kB
Out of memory: Killed process 77 (apache2) total-vm:1kB
php-fpm invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/
SLUB: Unable to allocate memory on node -1, gfp=0x20(GFP_ATOMIC)
kworker/0:1: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)""",
    "hardware": """\
mce: [Hardware Error]: Machine check events logged
mce: [Hardware Error]: CPU 4: Machine Check: 0 Bank 8: cc00008000010091
EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 slot:0 page:0x1)
mce: CMCI storm detected: switching to poll mode
EDAC MC1: 1 UE memory scrubbing error on unknown memory
{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 4
Memory failure: 0x1a2b3: recovery action for dirty LRU page: Recovered
Uhhuh. NMI received for unknown reason 3d on CPU 0.
pcieport 0000:00:1c.4: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer""",
    "hung_task": """\
INFO: task jbd2/sda1-8:271 blocked for more than 120 seconds.
watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [kworker/3:1:88]
BUG: soft lockup - CPU#1 stuck for 22s! [rsync:1234]
NMI watchdog: Watchdog detected hard LOCKUP on cpu 2
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_sched detected stalls on CPUs/tasks:""",
    "trace": """\
Call Trace:
 Call Trace:
Call trace:
WARNING: CPU: 2 PID: 412 at fs/iomap/buffered-io.c:75 iomap_page_release+0x86/0xa0
------------[ cut here ]------------""",
    "bug": """\
kernel BUG at mm/slub.c:379!
BUG: kernel NULL pointer dereference, address: 0000000000000010
BUG: Bad page state in process cc1plus  pfn:1a2b3""",
    "oops": """\
Oops: 0002 [#1] PREEMPT SMP NOPTI
general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1]
Unable to handle kernel paging request at virtual address ffff000012345678""",
    "panic": "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
    "device_mapper": """\
device-mapper: multipath: 253:3: Failing path 8:32.
device-mapper: thin: 253:4: switching pool to read-only mode
device-mapper: snapshots: Invalidating snapshot: Unable to allocate exception.""",
    "filesystem": """\
F2FS-fs (sdb1): Inconsistent segment (12) type [0, 1] in SSA and SIT
FAT-fs (sda1): error, fat_get_cluster: invalid cluster chain (i_pos 0)
FAT-fs (sdb1): Directory bread(block 8214) failed
FAT-fs (sda1): Filesystem has been set read-only
bcachefs (sdb1): error validating btree node on sdb1
WARNING: Pool 'tank' has encountered an uncorrectable I/O failure and has been suspended.""",
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [(kind, message) for kind, lines in FAILURES.items() for message in lines.split("\n")],
)
def test_a_failure_is_counted_once_whatever_its_case(kind: str, message: str) -> None:
    for said in (message, message.upper(), message.lower()):
        found = scanned(said).counts
        assert list(found.values()) == [1], said
    assert list(scanned(message).counts) == [kind]


def test_every_kind_has_a_failure() -> None:
    assert FAILURES.keys() == set(KINDS)


ORDINARY = """\
Linux version 6.1.0-41-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC
Command line: BOOT_IMAGE=/vmlinuz root=/dev/md1 ro panic=30 mce=on errors=remount-ro
x86/fpu: Supporting XSAVE feature 0x001: 'x87 floating point registers'
[Firmware Bug]: TSC_DEADLINE disabled due to Errata; please update microcode
ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0.SAT0], AE_NOT_FOUND
ACPI Error: Aborting method \\_SB.PCI0._INI due to previous error (AE_NOT_FOUND)
MCE: In-kernel MCE decoding enabled.
mce: CPU0: Thermal monitoring enabled (TM1)
mce: Using 20 MCE banks
Intel machine check architecture supported.
Intel machine check reporting enabled on CPU#0.
RAS: Correctable Errors collector initialized.
EDAC MC: Ver: 3.0.0
EDAC MC0: Giving out device to module skx_edac controller Skylake Socket#0 IMC#0: DEV 0000:3a:0a.0
EDAC amd64: Node 0: DRAM ECC disabled.
EDAC ie31200: No ECC support
GHES: APEI firmware first mode is enabled by APEI bit.
HEST: Table parsing has been initialized.
ERST: Error Record Serialization Table (ERST) support is initialized.
pcieport 0000:00:1c.0: AER: enabled with IRQ 122
pci 0000:00:1f.2: BAR 13: no space for [io  size 0x1000]
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
watchdog: Delayed init of the lockup detector failed: -19
rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
rcu: \tRCU event tracing is enabled.
random: crng init done
systemd[1]: Hostname set to <kalimdor>.
systemd[1]: Mounted /sys/kernel/tracing - Kernel Trace File System.
SGI XFS with ACLs, security attributes, realtime, quota, no debug enabled
XFS (dm-0): Mounting V5 Filesystem 1b2c3d4e
XFS (dm-0): Starting recovery (logdev: internal)
XFS (dm-0): Ending recovery (logdev: internal)
XFS (dm-0): Ending clean mount
XFS (dm-1): Unmounting Filesystem
xfs filesystem being mounted at /home supports timestamps until 2038-01-19 (0x7fffffff)
EXT4-fs (md0): mounted filesystem with ordered data mode. Quota mode: none.
EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro. Quota mode: none.
EXT4-fs (sda1): recovery complete
EXT4-fs (sda1): INFO: recovery required on readonly filesystem
EXT4-fs (sda1): write access will be enabled during recovery
EXT4-fs (sda1): orphan cleanup on readonly fs
EXT4-fs (sda1): VFS: Can't find ext4 filesystem
BTRFS: device label data devid 1 transid 1234 /dev/sdb1 scanned by systemd-udevd (312)
BTRFS info (device sdb1): using free space tree
BTRFS info (device sdb1): bdev /dev/sdb1 errs: wr 0, rd 0, flush 0, corrupt 0, gen 0
Btrfs loaded, crc32c=crc32c-intel, zoned=yes, fsverity=yes
FAT-fs (sda1): Volume was not properly unmounted. Some data may be corrupt. Please run fsck.
md/raid1:md0: active with 2 out of 2 mirrors
md/raid1:md1: active with 3 out of 3 mirrors
md/raid:md5: raid level 5 active with 12 out of 12 devices, algorithm 2
md0: detected capacity change from 0 to 714752
md: data-check of RAID array md0
md: md0: data-check done.
md: raid1 personality registered for level 1
ata1: SATA max UDMA/133 abar m2048@0xf7d36000 port 0xf7d36100 irq 27
ata3: SATA link down (SStatus 0 SControl 300)
ata1: SATA link up 6.0 Gbps (SStatus 133 SControl 300)
ata1.00: ATA-9: WDC WD1003FBYX-01Y7B1, 01.01V02, max UDMA/133
ata1.00: supports DRM functions and may not be fully accessible
ata1.00: configured for UDMA/133
ata1.00: ACPI cmd f5/00:00:00:00:00:00(SECURITY FREEZE LOCK) filtered out
ata5: DUMMY
scsi 0:0:0:0: Direct-Access     ATA      QEMU HARDDISK    2.5+ PQ: 0 ANSI: 5
sd 0:0:0:0: [sda] Write Protect is off
sd 0:0:0:0: [sda] Write cache: enabled, read cache: enabled, doesn't support DPO or FUA
sd 8:0:0:0: [sdf] No Caching mode page found
sd 8:0:0:0: [sdf] Assuming drive cache: write through
sd 8:0:0:0: [sdf] Asking for cache data failed
sd 0:0:0:0: [sda] tag#0 Sense Key : Illegal Request [current]
sd 0:0:0:0: [sda] tag#0 Add. Sense: Invalid command operation code
sd 0:0:0:0: [sda] tag#0 Add. Sense: ATA pass through information available
sd 0:0:0:0: [sda] tag#0 Add. Sense: Power on, reset, or bus device reset occurred
I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2
Buffer I/O error on dev fd0, logical block 0, async page read
nvme nvme0: pci function 0000:01:00.0
nvme nvme0: Shutdown timeout set to 8 seconds
nvme nvme0: 8/0/0 default/read/poll queues
nvme nvme0: allocated 64 MiB host memory buffer.
nvme nvme0: missing or invalid SUBNQN field.
device-mapper: uevent: version 1.0.3
device-mapper: ioctl: 4.47.0-ioctl (2022-07-28) initialised: dm-devel@redhat.com
device-mapper: table: 253:0: multipath: error getting device
device-mapper: multipath service-time: version 0.3.0 loaded
Adding 1048572k swap on /dev/sda3.  Priority:-2 extents:1 across:1048572k FS
traps: nginx[812] general protection fault ip:55 sp:7f error:0 in nginx[400000+1000]
e1000e 0000:00:19.0 eth0: NIC Link is Down
raid6: using algorithm sse2x4 gen() 10396 MB/s
raid6: .... xor() 128888 MB/s, rmw enabled
systemd-journald[1169]: File /var/log/journal/x/system.journal corrupted or uncleanly shut down, renaming.
EDAC sbridge: Seeking for: PCI ID 8086:0ea0
ipmi_si IPI0001:00: The BMC does not support clearing the recv irq bit, compensating.
L1TF CPU bug present and SMT on, data leak possible.
nbd: registered device at major 43
usb 1-1: new high-speed USB device number 2 using xhci_hcd
i8042: Warning: Keylock active
Warning: unable to open an initial console.
perf: interrupt took too long (2503 > 2500), lowering kernel.perf_event_max_sample_rate
audit: type=1400 apparmor="STATUS" operation="profile_load" name="man_filter" pid=412
""".splitlines()


@pytest.mark.parametrize("message", ORDINARY)
def test_what_an_ordinary_boot_says_is_no_failure(message: str) -> None:
    assert scanned(message).counts == {}


def test_the_devices_that_are_named_are_told() -> None:
    found = scanned(
        "md/raid1:md0: Disk failure on sda1, disabling device.",
        "sd 2:0:0:0: [sdb] tag#0 Add. Sense: Unrecovered read error",
        "nvme0n1: I/O Cmd(0x2) @ LBA 1, 8 blocks, I/O Error (sct 0x2 / sc 0x81)",
        "BTRFS error (device sdc2): bad tree block start, want 1 have 0",
        "EXT4-fs (sdd1): Remounting filesystem read-only",
        "I/O error, dev sde, sector 1",
        "md: kicking non-fresh sdf1 from array!",
    )
    assert found.devices == tuple(
        f"/dev/{name}" for name in ("nvme0n1", "sda1", "sdb", "sdc2", "sdd1", "sde", "sdf1")
    )
