"""The site: states, pages, addresses, what is rewritten and what is refused."""

from __future__ import annotations

import dataclasses
import itertools
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import html5lib
import pytest

from tastyops.errors import UsageError
from tastyops.journal.public_events import Closed, Corrected, Entry, RunAttached, Withdrawn
from tastyops.model.publishing import DARK, LIGHT, Publishing, contrast
from tastyops.publish.pages import BUILT_IN
from tests.publish.writing import (
    ADDRESSED,
    NOON,
    SERVICES,
    contents,
    incident,
    maintenance,
    minutes,
    opening,
    page,
    site,
    window,
    write_log,
)

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> object:
    """The page as a strict parser reads it: any fault of the markup raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=True).parse(text)


def text_of(element: object) -> str:
    return " ".join("".join(element.itertext()).split())  # type: ignore[attr-defined]


def headline(folder: Path) -> str:
    found = re.search(r'<h2 id="now">.*?</svg>(.*?)</h2>', page(folder, "index.html"), re.S)
    assert found
    return unescape(found[1]).strip()


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A site with a log of each state."""
    logs = tmp_path / "logs"
    write_log(logs, "2026/001", NOON - minutes(9000), maintenance("2026/001"))
    write_log(logs, "2026/002", NOON - minutes(30), incident("2026/002"))
    running = [opening("2026/003", "Disk <b>change</b>", hosts=["forge"]), (0, RunAttached("r3"))]
    write_log(logs, "2026/003", NOON - minutes(20), [*running, (5, Entry("Disk 2 taken out."))])
    begun = NOON - minutes(60)
    planned = [opening("2026/004", "Power works", hosts=["mill", "forge"]), window(begun, 600, 700)]
    write_log(logs, "2026/004", begun, planned)
    site(tmp_path)
    return tmp_path


def test_every_page_is_sound_html_within_its_limits(full: Path) -> None:
    pages = {name: data for name, data in contents(full).items() if name.endswith(".html")}
    assert {"index.html", "archive.html", "search.html", "services.html", "2026/003.html",
            "services/mail-calendars.html", "archive/2026.html", "archive/2026-03.html",
            "index/k.html"} <= pages.keys()  # fmt: skip
    for name, data in pages.items():
        tree = parsed(data.decode())
        assert len(data) < 50_000, name
        assert len(list(tree.iter(f"{XHTML}h1"))) == 1, name
        levels = [
            int(e.tag[-1])
            for e in tree.iter()
            if re.fullmatch(rf"{re.escape(XHTML)}h\d", str(e.tag))
        ]
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), (name, levels)
        for landmark in ("header", "nav", "main", "footer"):
            assert tree.find(f".//{XHTML}{landmark}") is not None, (name, landmark)
        assert tree.attrib["lang"] == "en"
        assert not list(tree.iter(f"{XHTML}script"))
        assert not [
            e
            for e in tree.iter()
            if "style" in e.attrib or any(k.startswith("on") for k in e.attrib)
        ]
        first = next(tree.iter(f"{XHTML}a"))
        assert first.attrib == {"class": "skip", "href": "#content"}
        for drawing in tree.iter(f"{SVG}svg"):
            assert drawing.get("aria-hidden") == "true" or (
                drawing.get("role") == "img" and drawing.find(f"{SVG}title") is not None
            )
        for when in tree.iter(f"{XHTML}time"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when.attrib["datetime"]), name
            assert "GMT" in text_of(when)
        for each in tree.iter(f"{XHTML}table"):
            assert each.find(f"{XHTML}caption") is not None
            assert all(th.get("scope") for th in each.iter(f"{XHTML}th"))
        policy = tree.find(f".//{XHTML}meta[@http-equiv='Content-Security-Policy']").attrib[
            "content"
        ]
        assert policy.startswith("default-src 'none'; style-src 'self'")


def test_every_link_within_the_site_leads_to_a_file(full: Path) -> None:
    found = contents(full)
    seen = 0
    for name, data in found.items():
        for target in (
            re.findall(rb'(?:href|src)="([^"]+)"', data) if name.endswith(".html") else ()
        ):
            parts = urlsplit(urljoin(f"https://x/{name}", target.decode()))
            if parts.hostname != "x":
                continue
            seen += 1
            assert parts.path[1:] in found, (name, target)
    assert seen > 100


def test_the_front_page_shows_each_open_log_with_its_state(full: Path) -> None:
    text = page(full, "index.html")
    assert "<title>Incident open \N{EN DASH} Mill &lt;status&gt;</title>" in text
    assert headline(full) == "Incident open"
    notices = re.findall(r'<article class="notice ([\w-]+)">.*?href="([^"]+)"', text, re.S)
    assert notices == [
        ("incident", "2026/002.html"), ("at-risk", "2026/003.html"), ("planned", "2026/004.html"),
    ]  # fmt: skip
    assert "Disk &lt;b&gt;change&lt;/b&gt;" in text
    states = re.findall(
        r'<th scope="row"><a href="services/([^"]+)\.html".*?badge ([\w-]+)"', text, re.S
    )
    assert states == [("web", "incident"), ("mail-calendars", "incident"), ("shell", "at-risk")]
    assert "Next update by" in text


@pytest.mark.parametrize(
    ("after", "state", "says"),
    [
        (0, "planned", ""),
        (599, "planned", ""),
        (616, "planned", "The works have not begun."),
    ],
)
def test_announced_works_are_planned_until_a_run_begins(
    tmp_path: Path, after: float, state: str, says: str
) -> None:
    planned = [opening("2026/001", "Power works"), window(NOON, 600, 700)]
    write_log(tmp_path / "logs", "2026/001", NOON, planned)
    site(tmp_path, NOON + minutes(after))
    assert headline(tmp_path) == "All is well; works are planned"
    assert f'class="notice {state}"' in page(tmp_path, "index.html")
    assert (says or "At-risk period") in page(tmp_path, "2026/001.html")


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (10, "All is well; works are planned"),  # a run that only prepares
        (60, "At risk now"),
        (400, "At risk now"),  # an overrun stays on top
    ],
)
def test_a_run_puts_its_log_at_risk_when_the_period_begins(
    tmp_path: Path, after: float, words: str
) -> None:
    running = [opening("2026/001", "Power works"), window(NOON, 30, 200), (5, RunAttached("r"))]
    write_log(tmp_path / "logs", "2026/001", NOON, running)
    site(tmp_path, NOON + minutes(after))
    assert headline(tmp_path) == words
    late = "The works take longer than announced." in page(tmp_path, "2026/001.html")
    assert late == (after > 200)


def test_works_without_completion_stay_in_sight(tmp_path: Path) -> None:
    ended = [*maintenance("2026/001")[:5], (20, Closed("Ended without completion", "r1"))]
    write_log(tmp_path / "logs", "2026/001", NOON, [*ended, window(NOON, 0, 60)])
    site(tmp_path, NOON + minutes(30))
    assert headline(tmp_path) == "At risk now"
    site(tmp_path, NOON + minutes(61))
    assert headline(tmp_path) == "Works not completed"


def test_an_incident_without_an_end_is_open_whatever_its_run_did(tmp_path: Path) -> None:
    ended = [
        *incident("2026/001", works=["Repair"]),
        (9, RunAttached("r")),
        (12, Closed("Cancelled", "r")),
    ]
    write_log(tmp_path / "logs", "2026/001", NOON, ended)
    site(tmp_path, NOON + minutes(30000))
    assert headline(tmp_path) == "Incident open"
    text = page(tmp_path, "2026/001.html")
    assert "<strong>(late)</strong>" in text


def test_nothing_open_is_all_well(tmp_path: Path) -> None:
    write_log(tmp_path / "logs", "2026/001", NOON - minutes(60), maintenance("2026/001"))
    site(tmp_path)
    assert headline(tmp_path) == "All is well"
    text = page(tmp_path, "2026/001.html")
    assert "<li>mail waits</li>" in text
    assert "Next update by" not in text
    assert 'role="img"' in text
    assert "Works completed: 2 of 2" in text
    assert "(20min)" in text


def test_a_site_without_logs(tmp_path: Path) -> None:
    built = site(tmp_path)
    assert (built.logs, built.faults) == (0, [])
    assert headline(tmp_path) == "All is well"
    for name, data in contents(tmp_path).items():
        if name.endswith(".html"):
            parsed(data.decode())


def test_a_second_build_writes_nothing(full: Path) -> None:
    before = contents(full)
    times = {path: path.stat().st_mtime_ns for path in (full / "site").rglob("*")}
    built = site(full, NOON + minutes(1))
    assert built.written == []
    assert contents(full) == before
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_build_from_nothing_gives_the_same_bytes_as_one_step_after_another(
    full: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    logs = full / "logs"
    for count in range(5, 9):
        opened = NOON - minutes(100 - count)
        write_log(
            logs, f"2026/{count:03}", opened, maintenance(f"2026/{count:03}", f"Work {count}")
        )
        site(full, NOON + minutes(count))
    write_log(
        logs, "2026/002", NOON - minutes(30), [*incident("2026/002"), (50, Closed("Completed"))]
    )
    site(full, NOON + minutes(120))
    other = tmp_path_factory.mktemp("other")
    (other / "logs").symlink_to(logs)
    site(other, NOON + minutes(120))
    assert contents(full) == contents(other)


def test_one_new_entry_rewrites_only_what_shows_it(full: Path) -> None:
    lines = [opening("2026/003", "Disk <b>change</b>", hosts=["forge"]), (0, RunAttached("r3"))]
    more = [(5, Entry("Disk 2 taken out.")), (25, Entry("Re-sync begins."))]
    write_log(full / "logs", "2026/003", NOON - minutes(20), [*lines, *more])
    written = site(full, NOON + minutes(10)).written
    assert "2026/003.html" in written
    assert "index.html" in written
    assert not {"2026/001.html", "2026/002.html", "2026/004.html", "style.css", "archive.html",
                "services/web.html", "search.html"} & {*written}  # fmt: skip


def test_a_page_that_somebody_removed_is_written_again(full: Path) -> None:
    (full / "site/2026/001.html").unlink()
    assert site(full).written == ["2026/001.html"]


def test_a_log_that_is_gone_keeps_its_page(full: Path) -> None:
    (full / "logs/2026/001-log.jsonl").unlink()
    assert site(full).logs == 4
    assert "Kernel upgrade" in page(full, "2026/001.html")
    assert "Kernel upgrade" in page(full, "index.html")


def test_a_damaged_log_keeps_its_page_and_is_reported(full: Path) -> None:
    path = full / "logs/2026/001-log.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Kernel installed.", b"Kernel inst&lled."))
    built = site(full)
    assert len(built.faults) == 1
    assert built.faults[0].startswith("2026/001 is left as it was on the site: ")
    assert all(name.endswith(".xml") for name in built.written)


def test_a_new_title_or_template_renders_everything(full: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "services.html").write_text(
        '{% extends "base.html" %}{% block content %}<h1>Ours</h1>{% endblock %}'
    )
    built = site(full, settings=dataclasses.replace(ADDRESSED, title="Forge", templates=str(own)))
    assert "2026/001.html" in built.written
    assert "<h1>Ours</h1>" in page(full, "services.html")
    assert "Forge" in page(full, "2026/001.html")


def test_a_service_that_was_renamed_leaves_no_page_behind(full: Path) -> None:
    assert "services/shell.html" in contents(full)
    site(full, services=SERVICES[:2])
    assert "services/shell.html" not in contents(full)


def test_corrections_count_and_what_was_withdrawn_is_gone(full: Path) -> None:
    bodies = [
        *maintenance("2026/001"),
        (30, Corrected(3, "Kernel 6.1 installed.")),
        (31, Withdrawn(5)),
    ]
    write_log(full / "logs", "2026/001", NOON - minutes(9000), bodies)
    site(full)
    text = page(full, "2026/001.html")
    assert "Kernel 6.1 installed." in text
    assert "Restarted." not in text
    assert not [name for name, data in contents(full).items() if b"mail waits" in data]


def test_hosts_and_units_stay_private(full: Path) -> None:
    assert not [name for name, data in contents(full).items() if b"forge" in data]


def test_a_moved_window_says_so(tmp_path: Path) -> None:
    moved = [opening("2026/001", "Power works"), window(NOON, 600, 700), window(NOON, 900, 960)]
    write_log(tmp_path / "logs", "2026/001", NOON, moved)
    site(tmp_path)
    text = page(tmp_path, "2026/001.html")
    assert len(re.findall("<del>", text)) == 1
    assert "(moved from there)" in text


def test_a_month_with_many_logs_is_split_and_its_full_parts_stay(tmp_path: Path) -> None:
    logs = tmp_path / "logs"

    def add(numbers: range) -> None:
        for i in numbers:
            number = f"2026/{i:03}"
            write_log(logs, number, NOON + minutes(i), maintenance(number, f"Work {i}"))

    add(range(1, 126))
    site(tmp_path, NOON + minutes(1000))
    part = page(tmp_path, "archive/2026-03-part-1.html")
    assert part.count('<a class="title"') == 60
    assert page(tmp_path, "archive/2026-03.html").count('<a class="title"') == 5
    assert page(tmp_path, "services/web-part-2.html").count('<a class="title"') == 60
    add(range(126, 128))
    written = site(tmp_path, NOON + minutes(1000)).written
    assert page(tmp_path, "archive/2026-03-part-1.html") == part
    assert "archive/2026-03-part-1.html" not in written
    titles = {n: re.findall(r'href="(?:\.\./)?(2026/\d+)\.html', page(tmp_path, f"archive/2026-03{n}.html"))
              for n in ("", "-part-1", "-part-2")}  # fmt: skip
    assert sorted(itertools.chain(*titles.values())) == [f"2026/{i:03}" for i in range(1, 128)]


def test_a_long_transcript_is_split(tmp_path: Path) -> None:
    long = [
        opening("2026/001", "Long"),
        *((i, Entry(f"Entry {i} " + "<" * 150)) for i in range(300)),
    ]
    write_log(tmp_path / "logs", "2026/001", NOON, long)
    site(tmp_path, NOON + minutes(400))
    pages = {n: d for n, d in contents(tmp_path).items() if n.startswith("2026/")}
    assert all(len(data) < 50_000 for data in pages.values())
    found = [
        int(n) for data in pages.values() for n in re.findall(rb'class="entry">Entry (\d+) ', data)
    ]
    assert sorted(found) == list(range(300))
    parsed(page(tmp_path, "2026/001-part-1.html"))


def test_the_index_finds_every_word_of_a_title(full: Path) -> None:
    assert '<a href="../2026/004.html">2026/004 Power works</a>' in page(full, "index/p.html")
    assert '<a href="index/p.html">P</a>' in page(full, "search.html")


@pytest.mark.parametrize(("practice", "wanted"), [(True, False), (False, True)])
def test_practice_and_real_logs_never_share_a_site(
    tmp_path: Path, practice: bool, wanted: bool
) -> None:
    number = "2026/001"
    write_log(tmp_path / "logs", number, NOON, maintenance(number, practice=practice))
    with pytest.raises(UsageError, match=r"(?i)practice"):
        site(tmp_path, practice=wanted)
    assert not [name for name in contents(tmp_path) if not name.startswith(".")]
    site(tmp_path, practice=practice)
    assert ("PRACTICE" in page(tmp_path, "index.html")) == practice
    assert ("PRACTICE" in page(tmp_path, "2026/001.html")) == practice
    (tmp_path / "logs/2026/001-log.jsonl").unlink()
    with pytest.raises(UsageError, match="is a site of"):
        site(tmp_path, practice=wanted)


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/letter.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files, such as letter\.txt"):
        site(tmp_path)
    assert list(contents(tmp_path)) == ["letter.txt"]


def test_a_site_among_the_logs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "site").symlink_to(tmp_path / "logs")
    with pytest.raises(UsageError, match="must lie apart"):
        site(tmp_path)


def test_a_logo_is_copied_and_a_large_one_refused(tmp_path: Path) -> None:
    logo = tmp_path / "ours.PNG"
    logo.write_bytes(b"\x89PNG")
    settings = dataclasses.replace(ADDRESSED, logo=str(logo))
    site(tmp_path, settings=settings)
    assert contents(tmp_path)["logo.png"] == b"\x89PNG"
    assert '<img class="logo" src="logo.png" alt=""' in page(tmp_path, "index.html")
    logo.write_bytes(bytes(100_001))
    with pytest.raises(UsageError, match="at most 100000"):
        site(tmp_path, settings=settings)


EVIL = '<script>alert(1)</script>\u202etxt.\u0000\u0007 javascript:alert(1) "\'>{{7*7}} https://x.example/"onmouseover=alert(1)'


def test_an_evil_log_is_harmless(tmp_path: Path) -> None:
    bodies = [
        opening(
            "../../../etc/x",
            EVIL + "T" * 10_000,
            summary=[EVIL],
            works=[EVIL],
            attending=[EVIL],
            hosts=["mill"],
        ),
        (1, Entry(EVIL, [EVIL])),
        (2, Entry("M" * 1_000_000)),
        (3, Closed(EVIL)),
    ]
    write_log(tmp_path / "logs", "2026/001", NOON, bodies)
    site(tmp_path)
    assert [n for n in contents(tmp_path) if re.match(r"\d", n)] == ["2026/001.html"]
    for name, data in contents(tmp_path).items():
        assert b"\x07" not in data, name
        assert "\u202e".encode() not in data, name
        if not name.endswith(".html"):
            continue
        text = data.decode()
        tree = parsed(text)
        assert "<script" not in text
        assert "{{" not in text or "7*7" in text
        assert len(data) < 50_000, name
        for element in tree.iter():
            assert not any(key.startswith("on") for key in element.attrib), name
            assert not element.get("href", "").startswith("javascript:")
    assert "49" not in re.sub(
        r"\d\d:\d\d", "", text_of(parsed(page(tmp_path, "2026/001.html")).find(f".//{XHTML}h1"))
    )


def colours(scheme: str) -> dict[str, str]:
    text = (BUILT_IN / "style.css").read_text()
    text = text.replace("{{ colour }}", Publishing().colour).replace(
        "{{ colour_dark }}", Publishing().colour_dark
    )
    light, dark = re.findall(r":root \{(.*?)\}", text, re.S)[:2]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if scheme == LIGHT else dark))


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_text_is_readable_in_both_schemes(scheme: str) -> None:
    found = colours(scheme)
    assert found["back"] == scheme
    for background in (found["back"], found["panel"]):
        for name in (
            "text",
            "soft",
            "link",
            "incident",
            "at-risk",
            "unfinished",
            "planned",
            "over",
            "cancelled",
        ):
            assert contrast(found[name], background) >= 4.5, (name, background)
        assert contrast(found["line"], background) >= 3, background


def test_times_are_those_of_the_logs_own_offset(tmp_path: Path) -> None:
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
    bodies = [opening("2026/001", "Summer", offset=60), (5, Entry("Begun."))]
    write_log(tmp_path / "logs", "2026/001", summer, bodies)
    site(tmp_path, summer)
    text = page(tmp_path, "2026/001.html")
    assert (
        '<time datetime="2026-07-01T12:05:00Z">13:05<span class="zone"> GMT+1</span></time>' in text
    )
