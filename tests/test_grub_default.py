"""Which entry GRUB starts by itself: grub.cfg run as GRUB runs it.

The expected values follow GRUB's source (``run_menu``, ``get_entry_number`` and
``grub_menu_execute_entry`` in grub-core/normal/menu.c; util/grub.d/00_header.in). ``?`` stands
for a default that cannot be known.
"""

from __future__ import annotations

import pytest

from tastyops.errors import ProbeFailed
from tastyops.facts.grub import NO_BLOCK, PARSERS, BootEnvironment, BootMenu
from tastyops.model.commands import Blob, Output

HEADER = """\
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="@DEFAULT@"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
if [ "${prev_saved_entry}" ]; then
  set saved_entry="${prev_saved_entry}"
  save_env saved_entry
  set prev_saved_entry=
  save_env prev_saved_entry
  set boot_once=true
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
"""
"""What grub-mkconfig writes first."""

BODY = """\
menuentry 'Mint' --class gnu-linux $menuentry_id_option 'simple-7e' {
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; fi
	search --no-floppy --fs-uuid --set=root 7e-7e
	linux	/vmlinuz-6.9.1 root=/dev/sda1 ro
	initrd	/initrd.img-6.9.1
}
submenu 'Other kernels > all' $menuentry_id_option 'others-7e' {
	menuentry 'Mint, Linux 6.9.1' $menuentry_id_option 'k91' {
		linux	/vmlinuz-6.9.1 root=/dev/sda1 ro
	}
	menuentry 'Mint, Linux 6.9.1 (recovery mode)' $menuentry_id_option 'k91-recovery-7e' {
		linux	/vmlinuz-6.9.1 root=/dev/sda1 ro single
	}
	menuentry 'Mint, Linux 6.8.4' $menuentry_id_option 'k84' {
		linux	/vmlinuz-6.8.4 root=/dev/sda1 ro
	}
	submenu 'Even older' --id=older {
		menuentry '2nd oldest' {
			linux	/vmlinuz-6.2.0 root=/dev/sda1 ro
		}
	}
}
menuentry 'Memory test' --id 'memtest' { linux16 /memtest86+.bin }
menuentry '6.8.4 > by title' { linux /boot/vmlinuz-6.8.4 }
if [ "$grub_platform" = efi ]; then
	menuentry 'Firmware' --id fw { fwsetup }
fi
"""


def menu(text: str) -> BootMenu:
    found = PARSERS["boot_menu"](Output(0, Blob.of(text.encode())))
    assert isinstance(found, BootMenu)
    return found


def started(text: str, environment: BootEnvironment | None) -> str:
    """The kernel, ``?`` for an unknown one, a title in brackets for an entry without one."""
    chosen = menu(text).chosen(environment)
    if chosen.entry is None:
        assert chosen.why
        return "?"
    return chosen.release or f"[{chosen.entry.title}]"


def by_default(default: str, **settings: str) -> str:
    config = HEADER.replace("@DEFAULT@", default) + BODY
    return started(config, BootEnvironment(settings))


DEFAULTS = [
    ("0", "6.9.1"),
    ("1", "6.9.1"),
    ("1>0", "6.9.1"),
    ("1>2", "6.8.4"),
    ("1>3", "6.2.0"),
    ("1>3>0", "6.2.0"),
    ("1>9", "6.9.1"),
    ("2", "[Memory test]"),
    ("3", "6.8.4"),
    (" 3", "6.8.4"),
    ("0x3", "6.8.4"),
    ("03", "6.8.4"),
    ("3rd", "6.8.4"),
    ("0x", "6.9.1"),
    ("4", "?"),
    ("7", "6.9.1"),
    ("4294967296", "?"),
    ("others-7e>2", "6.8.4"),
    ("others-7e>k84", "6.8.4"),
    ("others-7e>older", "6.2.0"),
    ("others-7e>older>2nd oldest", "6.2.0"),
    ("others-7e", "6.9.1"),
    ("others-7e>", "6.9.1"),
    ("Other kernels >> all>Mint, Linux 6.8.4", "6.8.4"),
    ("Other kernels > all>Mint, Linux 6.8.4", "6.9.1"),
    ("k84", "6.9.1"),
    ("memtest", "[Memory test]"),
    ("6.8.4 >> by title", "6.9.1"),
    ("gone-since-long", "6.9.1"),
    ("fw", "?"),
    ("", "6.9.1"),
]
"""The last entry is there on some platforms only: its number and its id are not known."""


@pytest.mark.parametrize(("default", "kernel"), DEFAULTS)
def test_a_default_in_the_configuration(default: str, kernel: str) -> None:
    assert by_default(default) == kernel


@pytest.mark.parametrize(("default", "kernel"), DEFAULTS)
def test_a_default_in_the_environment(default: str, kernel: str) -> None:
    """``saved`` and grub-reboot's ``next_entry`` mean the same as the same words in grub.cfg."""
    assert by_default("${saved_entry}", saved_entry=default) == kernel
    if default:
        assert by_default("0", next_entry=default) == kernel


def test_the_next_entry_comes_before_the_saved_one() -> None:
    assert by_default("${saved_entry}", saved_entry="1>2", next_entry="1>3") == "6.2.0"
    assert by_default("1>2", saved_entry="1>3") == "6.8.4", "GRUB_DEFAULT is not saved"
    assert by_default("${saved_entry}", prev_saved_entry="1>2", saved_entry="1>3") == "6.2.0"


def test_an_environment_that_is_not_there_or_cannot_be_read() -> None:
    saved = HEADER.replace("@DEFAULT@", "${saved_entry}") + BODY
    assert started(saved, NO_BLOCK) == "6.9.1"
    assert started(saved, None) == "?"
    assert started(HEADER.replace("@DEFAULT@", "1>2") + BODY, None) == "?", "a next_entry may be"
    assert started('set default="1>2"\n' + BODY, None) == "6.8.4"


ENTRY = "menuentry 'a' --id a { linux /vmlinuz-1 }\nmenuentry 'b' --id b { linux /vmlinuz-2 }\n"

SCRIPTS = [
    # branches
    ('if [ "${initrdfail}" = 1 ]; then\n set default="1"\nfi\n' + ENTRY, "1"),
    ('if [ "${initrdfail}" != 1 ]; then\n set default="1"\nfi\n' + ENTRY, "2"),
    ("set default=1\nif false; then set default=0; fi\n" + ENTRY, "2"),
    ("if true; then set default=1; else set default=0; fi\n" + ENTRY, "2"),
    ("if [ $grub_platform = efi ]; then set default=1; fi\n" + ENTRY, "?"),
    ("if [ $grub_platform = efi ]; then set timeout=1; fi\nset default=1\n" + ENTRY, "2"),
    ("if hwmatch x 3; then set default=1; else set default=1; fi\n" + ENTRY, "2"),
    ("if cmostest 5:1; then set default=1\nelif [ a = b ]; then set default=1; fi\n" + ENTRY, "?"),
    ("if ! true; then set default=1; fi\n" + ENTRY, "1"),
    ("if [ -n '' -o a = a -a ! b = c ]; then set default=1; fi\n" + ENTRY, "2"),
    ("if [ -e /some/file ]; then set default=1; fi\n" + ENTRY, "?"),
    # variables, functions, loops
    ("wanted=b\nset default=$wanted\n" + ENTRY, "2"),
    ("set default=\"${nothing}1\"\n" + ENTRY, "2"),
    ("probe --set=kind --fs $root\nset default=$kind\n" + ENTRY, "?"),
    ("function pick { set default=$1; }\npick 1\n" + ENTRY, "2"),
    ("for each in 0 1; do set default=$each; done\n" + ENTRY, "2"),
    ("while read x; do set default=1; done\n" + ENTRY, "?"),
    ("set default=1 # not 0\n" + ENTRY, "2"),
    ("set default='1'; set timeout=3\n" + ENTRY, "2"),
    ("unset default\nexport default\n" + ENTRY, "1"),
    ("default=1\nunset default\n" + ENTRY, "1"),
    # entries
    ("set default=rescue\n" + ENTRY + "menuentry 'R' --id rescue { linux /vmlinuz-3 }\n", "3"),
    ("set default=c\n" + ENTRY + "menuentry --id=c --class x 'R' {\n linux /vmlinuz-3\n}\n", "3"),
    ('set default="R S"\n' + ENTRY + "menuentry R\\ S {\n linux /vmlinuz-3\n}\n", "3"),
    ("if [ $x ]; then menuentry z { linux /vmlinuz-9 }\nfi\n" + ENTRY, "9"),  # `[ ]` holds
    ("if [ x$x = xy ]; then menuentry z { linux /vmlinuz-9 }\nfi\n" + ENTRY, "1"),
    ("if [ $lang ]; then menuentry z { linux /vmlinuz-9 }\nfi\n" + ENTRY, "?"),
    (ENTRY + "if [ $lang ]; then menuentry z { linux /vmlinuz-9 }\nfi\n", "1"),
    ("set default=b\nblscfg\n" + ENTRY, "?"),
    (ENTRY + "blscfg\n", "?"),
    ("insmod blscfg\nset default=1\n" + ENTRY, "2"),
    ("source /elsewhere.cfg\n" + ENTRY, "?"),
    ("configfile $prefix/other.cfg\n", "?"),
    ("", "?"),
    # what an entry starts
    ("menuentry x { multiboot2 /xen.gz\n module2 /vmlinuz-4 ro\n module2 /initrd.img-4 }\n", "4"),
    ("menuentry x { multiboot /xen.gz a\nmodule --nounzip /boot/vmlinuz-4 }\n", "4"),
    ("menuentry x { xen_hypervisor /xen.efi\nxen_module /vmlinuz-4 }\n", "4"),
    ("menuentry x { linuxefi /vmlinuz-4 }\n", "4"),
    ("menuentry x { linux /vmlinuz-4\n linux /vmlinuz-5 }\n", "5"),
    ("menuentry x { if [ $root ]; then linux /vmlinuz-4\nelse linux /vmlinuz-5\nfi }\n", "?"),
    ("menuentry x { linux /vmlinuz-$release }\nset release=4\n", "4"),
    ("menuentry x { linux $kernel_of_search }\nsearch --set kernel_of_search -f /x\n", "?"),
    ("menuentry x { chainloader +1 }\n", "[x]"),
    ("menuentry x { linux /vmlinuz }\n", "[x]"),
    ("menuentry x 6 { linux /vmlinuz-$2 }\n", "6"),
    # a submenu sees what is exported
    ("k=7\nexport k\nsubmenu s { menuentry x { linux /vmlinuz-$k }\n}\n", "7"),
    ("k=7\nsubmenu s { menuentry x { linux /vmlinuz-$k }\n}\n", "[x]"),
]


@pytest.mark.parametrize(("text", "kernel"), SCRIPTS)
def test_a_script(text: str, kernel: str) -> None:
    assert started(text, BootEnvironment({})) == kernel


@pytest.mark.parametrize(
    "text",
    ["if true; then\n", "menuentry x {\n", "}\n", "set default=1 > 2\n", "fi\n", "'open\n",
     "function f\n", "if " * 50],
)  # fmt: skip
def test_a_script_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ProbeFailed, match=r"grub\.cfg cannot be understood"):
        menu(text)


CUSTOM = """\
if [ -f  ${config_directory}/custom.cfg ]; then
  source ${config_directory}/custom.cfg
elif [ -z "${config_directory}" -a -f  $prefix/custom.cfg ]; then
  source $prefix/custom.cfg
fi
"""


@pytest.mark.parametrize(
    ("custom", "kernel"),
    [
        (None, "1"),
        ("set default=1\n", "2"),
        ("menuentry c --id c { linux /vmlinuz-3 }\nset default=c\n", "3"),
        ("menuentry c --id c { linux /vmlinuz-3 }\n", "1"),
        ("blscfg\n", "?"),
    ],
)
def test_the_administrators_own_entries(custom: str | None, kernel: str) -> None:
    config = menu(ENTRY + CUSTOM)
    assert config.asks_custom
    assert config.chosen(NO_BLOCK).release == "", "nothing is known before it is read"
    answer = (
        Output(0, Blob.of(custom.encode()))
        if custom is not None
        else Output(1, Blob.of(b""), Blob.of(b"cat: custom.cfg: No such file or directory\n"))
    )
    read = config.with_custom(PARSERS["boot_custom"](answer))
    assert (read.chosen(NO_BLOCK).release or "?") == kernel


@pytest.mark.parametrize(
    ("entry", "single"),
    [
        ("menuentry 'x (recovery mode)' { linux /vmlinuz-1 ro }", True),
        ("menuentry x --id x-recovery-7e { linux /vmlinuz-1 ro }", True),
        ("menuentry x { linux /vmlinuz-1 root=$root ro single }", True),
        ("menuentry x { linux /vmlinuz-1 ro systemd.unit=rescue.target }", True),
        ("menuentry x { linux /vmlinuz-1 ro S }", True),
        ("menuentry x { multiboot2 /xen.gz single\nmodule2 /vmlinuz-1 ro }", False),
        ("menuentry x { multiboot2 /xen.gz\nmodule2 /vmlinuz-1 ro emergency\nmodule2 /i }", True),
        ("menuentry x { linux /vmlinuz-1 ro quiet console=ttyS0,115200n8 }", False),
    ],
)
def test_an_entry_that_starts_single_user_mode(entry: str, single: bool) -> None:
    chosen = menu(entry + "\n").chosen(NO_BLOCK)
    assert chosen.release == "1"
    assert bool(chosen.single) is single


def test_the_environment_as_grub_editenv_tells_it() -> None:
    gone = Output(1, Blob.of(b""), Blob.of(b"grub-editenv: error: cannot open `/boot/grub/grubenv'"
                                           b": No such file or directory.\n"))  # fmt: skip
    assert PARSERS["boot_environment"](gone) == NO_BLOCK
    listed = PARSERS["boot_environment"](Output(0, Blob.of(b"saved_entry=a>b=c\nx=\n")))
    assert listed == BootEnvironment({"saved_entry": "a>b=c", "x": ""})
    with pytest.raises(ProbeFailed):
        PARSERS["boot_environment"](Output(1, Blob.of(b""), Blob.of(b"invalid environment block")))


def test_a_path_escapes_what_separates() -> None:
    found = menu(HEADER + BODY).starting("6.8.4")
    assert found
    assert found.path == "others-7e>k84"
    text = "submenu 'a > b' { menuentry 'c > d' { linux /vmlinuz-1 }\n}\n"
    (entry,) = menu(text).entries
    assert entry.path == "a >> b>c >> d"
    assert started(f"set default='{entry.path}'\n{ENTRY}{text}", NO_BLOCK) == "1"
