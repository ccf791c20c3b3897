"""Parsing the outputs of sfdisk, wipefs, smartctl and od, including unusable ones."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.domain.storage.disks import partition_node, underlying_devices, uses
from tastyops.errors import ProbeFailed
from tastyops.facts.disk_health import Counted, Smart
from tastyops.facts.disks import Device, Disks
from tastyops.facts.parsers import parse
from tastyops.facts.partition_tables import Partition, PartitionTable, Signature
from tastyops.model.commands import Blob, Output


def answer(out: str, status: int = 0, err: str = "") -> Output:
    return Output(status, Blob.of(out.encode()), Blob.of(err.encode()))


def table(label: str, *parts: tuple[int, int], sector: int = 512, last: int | None = None) -> Any:
    found = tuple(Partition(n, at, size, "fd") for n, (at, size) in enumerate(parts, 1))
    return PartitionTable("gpt" if label == "gpt" else "dos", "x", sector, found, 1, last)


def test_gaps_begin_and_end_on_whole_mib() -> None:
    found = table("dos", (2048, 5000), (20480, 2048))
    assert list(found.gaps(40960 + 100)) == [(8192, 12288), (22528, 18432)]


def test_a_blank_table_is_one_gap() -> None:
    assert list(table("dos").gaps(10 * 2048)) == [(2048, 9 * 2048)]


def test_what_is_smaller_than_a_mib_is_no_gap() -> None:
    assert list(table("dos", (2048, 2048), (4096 + 2047, 4096)).gaps(4096 + 2047 + 4096)) == []


def test_gaps_count_in_the_disk_s_own_sectors() -> None:
    found = table("gpt", (256, 256), sector=4096, last=2553)
    assert list(found.gaps(2560)) == [(512, 1792)]  # the copy at the end is left alone


def test_a_dos_table_counts_to_two_tib() -> None:
    ((start, size),) = table("dos").gaps(2**33)
    assert start + size == 2**32


def test_a_gpt_reaches_past_its_last_partition() -> None:
    assert table("gpt", (2048, 2048)).reach == 4096 + 33
    assert table("gpt", (256, 256), sector=4096).reach == 512 + 5
    assert table("dos", (2048, 2048)).reach == 4096


@pytest.mark.parametrize(
    ("start", "size", "hit"), [(4096, 1, True), (4095, 1, False), (6144, 9, False), (1, 9999, True)]
)
def test_an_overlap(start: int, size: int, hit: bool) -> None:
    assert (table("dos", (4096, 2048)).overlapped(start, size) is not None) is hit


def test_partitions_of_an_nvme_disk_are_numbered_after_a_p() -> None:
    told = {"label": "gpt", "device": "/dev/nvme0n1", "unit": "sectors", "sectorsize": 4096,
            "firstlba": 6, "lastlba": 999,
            "partitions": [{"node": "/dev/nvme0n1p12", "start": 256, "size": 9, "type": "A1"}]}  # fmt: skip
    found = parse("partition_table", answer(json.dumps({"partitiontable": told})))
    assert found.partitions[0].number == 12
    disk = Device("n", "nvme0n1", "/dev/nvme0n1", "disk", 1)
    assert partition_node(disk, 12) == "nvme0n1p12"


def test_no_table_is_none_and_another_failure_is_one() -> None:
    said = "sfdisk: /dev/sdd: does not contain a recognized partition table"
    assert parse("partition_table", answer("", 1, said)) is None
    with pytest.raises(ProbeFailed):
        parse("partition_table", answer("", 1, "sfdisk: cannot open /dev/sdd: Input/output error"))


def test_signatures_name_their_device() -> None:
    found = {"signatures": [{"device": "sdd1", "type": "xfs"}]}
    assert parse("device_signatures", answer(json.dumps(found))) == (Signature("/dev/sdd1", "xfs"),)
    assert parse("device_signatures", answer("")) == ()


def test_an_ambivalent_device_is_not_taken_for_a_blank_one() -> None:
    assert parse("blkid_type", answer("", 8)) == "ambivalent"
    assert parse("blkid_type", answer("", 2)) == ""
    assert parse("blkid_type", answer("")) == "unnamed"
    with pytest.raises(ProbeFailed):
        parse("blkid_type", answer("", 4))


def test_what_nvme_and_sas_disks_say() -> None:
    nvme = {"device": {"protocol": "NVMe"}, "smart_status": {"passed": True},
            "nvme_smart_health_information_log": {"media_errors": 3}}  # fmt: skip
    assert parse("smart", answer(json.dumps(nvme))) == Smart(passed=True, uncorrectable=3)
    sas = {"device": {"protocol": "SCSI"}, "smart_support": {"available": True},
           "smart_status": {"passed": False}, "scsi_grown_defect_list": 12,
           "scsi_error_counter_log": {"read": {"total_uncorrected_errors": 2},
                                      "write": {"total_uncorrected_errors": 1}}}  # fmt: skip
    assert parse("smart", answer(json.dumps(sas), 8)) == Smart(
        passed=False, reallocated=12, uncorrectable=3
    )


def test_an_old_smartctl_and_a_virtual_disk_are_not_known() -> None:
    old = {"device": {"protocol": "SCSI"}, "smart_status": {"passed": True}}
    assert parse("smart", answer(json.dumps(old))) == Smart(None)


def test_counters_that_are_not_there_are_not_nought() -> None:
    assert parse("counted", answer("", 2)) == Counted(None, None, "")


def test_by_id_names_lead_to_kernel_names() -> None:
    told = "ata-WDC_1 ../../sda\nata-WDC_1-part1 ../../sda1\nodd name ../../sdb\n"
    assert parse("by_id", answer(told)) == {"ata-WDC_1": "sda", "ata-WDC_1-part1": "sda1"}


def test_uses_are_those_of_everything_on_the_disk() -> None:
    disks = Disks(
        (
            Device("a", "sda", "/dev/sda", "disk", 9, children=("sda1",)),
            Device("1", "sda1", "/dev/sda1", "part", 9, parents=("sda",), children=("dm-0",)),
            Device("c", "dm-0", "/dev/dm-0", "crypt", 9, parents=("sda1",), mountpoints=("/x",)),
        )
    )
    assert uses(disks, disks.devices[0]) == (
        "/dev/sda1 carries /dev/dm-0 (crypt)",
        "/dev/dm-0 is mounted on /x",
    )
    assert underlying_devices(disks, disks.devices[2]) == {"dm-0", "sda1", "sda"}


PARSERS = (
    "partition_table", "device_signatures", "blkid_type", "kernel_partition", "smart", "counted",
    "boot_code", "core_image", "by_id", "debconf",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ("partitiontable", "partitions", "label", "device", "node", "start", "unit", "type",
             "signatures", "device", "smart_status", "smart_support", "ata_smart_attributes",
             "table", "id", "raw", "value", "passed", "scsi_error_counter_log")
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.text(max_size=200) | JSON.map(json.dumps), status=st.sampled_from((0, 1, 2, 64)))
def test_any_words_are_a_fact_or_a_failed_probe(parser: str, data: str, status: int) -> None:
    with contextlib.suppress(ProbeFailed):
        parse(parser, answer(data, status))
