"""Which lines of known_hosts are about a host: found by name, as if every line were compared.

Breaks if the index loses a line, finds one too many, or changes their order, and if a file that
changed is not read again.
"""

from __future__ import annotations

import base64
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tastyops.transport.ssh.known_hosts import HostKey, KnownHosts, RecordedKey, read, written_name

KEY = HostKey("ssh-ed25519", b"key")
HASHED = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg="
"""192.168.1.61, an example of sshd(8)."""
NAMES = ("web1", "WEB1", "web2", "[web1]:2222", "192.168.1.61", "a.example.org")
PATTERNS = (*NAMES, HASHED, "web?", "*.example.org", "!web1", "*", "[web*]:2222")

patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).map(tuple)
entries = st.lists(patterns, max_size=12).map(
    lambda lines: [RecordedKey("", each, KEY, f"file:{n}") for n, each in enumerate(lines)]
)


@given(entries, st.sampled_from(("web1", "Web1", "web2", "192.168.1.61", "a.example.org", "none")))
def test_the_index_finds_what_a_comparison_of_every_line_finds(
    lines: list[RecordedKey], host: str
) -> None:
    for port in (22, 2222):
        name = written_name(host, port)
        wanted = tuple(line for line in lines if line.names(name))
        assert KnownHosts(lines).about(host, port) == wanted


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    key = base64.b64encode(b"key").decode()
    assert read([file]).about("web1", 22) == ()
    file.write_text(f"web1 ssh-ed25519 {key}\n")
    assert [entry.place for entry in read([file]).about("web1", 22)] == [f"{file}:1"]
    file.write_text(f"# moved\nweb1 ssh-ed25519 {key}\n")
    assert [entry.place for entry in read([file]).about("web1", 22)] == [f"{file}:2"]
    file.unlink()
    assert read([file]).about("web1", 22) == ()
