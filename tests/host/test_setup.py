"""tools/setup: which apt sources it takes for the machine's own, and what it decides to do, on a made-up machine."""

import os

import pytest

from setup_machine import APT_GET, KERNEL, NEWER, SETUP, TREE, U_BOOT, Machine


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def sources(tmp_path, fixture):
    result = Machine(tmp_path, fixture).run("--sources")
    assert result.returncode == 0, result.stderr
    return [paragraph for paragraph in result.stdout.split("\n\n") if paragraph.strip()]


# --- The machine's own sources ---

def test_deb822_stanzas_of_the_release_are_kept_with_mirrors_and_keys(tmp_path):
    first, security, other = sources(tmp_path, "deb822")
    assert first.splitlines() == [
        "Types: deb",
        "Suites: bookworm bookworm-updates",
        "URIs: http://mirror.example/debian",
        " https://other.example/pub/debian/",
        "Components: main contrib",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    ]
    assert security.splitlines() == [
        "Types: deb",
        "Suites: bookworm-security",
        "uris: http://mirror.example/debian-security",
        "components: main",
        "signed-by:",
        " -----BEGIN PGP PUBLIC KEY BLOCK-----",
        " .",
        " mDMEAAAAABYJKwYBBAHaRw8BAQdA",
        " -----END PGP PUBLIC KEY BLOCK-----",
    ]
    assert other.splitlines()[:2] == ["Types: deb", "Suites: bookworm/updates"]
    assert other.splitlines()[-2:] == ["Architectures: amd64 i386", "Trusted: yes"]


def test_disabled_source_and_third_party_stanzas_are_dropped(tmp_path):
    text = "\n".join(sources(tmp_path, "deb822"))
    for word in ("proposed", "sources.example", "deb-src", "docker", "node", "trixie"):
        assert word not in text


def test_one_line_entries_keep_their_options(tmp_path):
    debian, security, backports = sources(tmp_path, "one-line")
    assert debian.splitlines() == ["Types: deb", "Suites: bookworm", "URIs: http://mirror.example/debian",
                                   "Components: main contrib"]
    assert security.splitlines()[1:] == [
        "Suites: bookworm-security",
        "URIs: http://mirror.example/debian-security",
        "Components: main",
        "Architectures: amd64 i386",
        "signed-by: /usr/share/keyrings/a.gpg /usr/share/keyrings/b.gpg",
        "check-valid-until: no",
    ]
    assert backports.splitlines()[1:] == ["Suites: bookworm-backports", "URIs: http://mirror.example/debian",
                                          "Components: main", "trusted: yes", "Languages-Remove: de"]


def test_one_line_discs_comments_and_third_parties_are_dropped(tmp_path):
    text = "\n".join(sources(tmp_path, "one-line"))
    for word in ("cdrom", "#", "next door", "deb-src", "bookworm-updates", "docker", "llvm", "flat", "disabled"):
        assert word not in text


def test_ubuntu_suites_are_its_own(tmp_path):
    archive, security = sources(tmp_path, "ubuntu")
    assert "Suites: questing questing-updates questing-backports" in archive.splitlines()
    assert "Suites: questing-security" in security.splitlines()


def test_machine_without_a_stanza_of_its_own_is_told_so(tmp_path):
    result = Machine(tmp_path, "foreign").run("run", "out.mk")
    assert result.returncode == 1
    assert "is one of Debian GNU/Linux 12 (bookworm) itself" in result.stderr


# --- Nothing to do ---

@pytest.mark.parametrize("level", ["run", "test"])
def test_complete_machine_gets_its_fragment_in_silence(machine, level):
    result = machine.all_there().run(level, "build/out.mk")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert machine.calls() == []
    assert (machine.top / "build/out.mk").read_text() == {
        "run": "CROSS_COMPILE ?= aarch64-linux-gnu-\n"
               "QEMU ?= qemu-system-aarch64\n"
               f"LIBFDT_INC := {machine.libfdt}/include\n"
               f"LIBFDT_A := {machine.libfdt}/lib/aarch64-linux-gnu/libfdt.a\n",
        "test": "CLANG := clang-14\n"
                "CLANG_FORMAT := clang-format-14\n"
                "LLD := ld.lld-14\n"
                "LLVM_OBJCOPY := llvm-objcopy-14\n"
                "PYTHON := /usr/bin/python3\n",
    }[level]
    assert os.listdir(machine.top / "build") == ["out.mk"]


def test_newer_clang_under_its_plain_name_is_accepted(machine):
    machine.all_there().without("clang-14", "ld.lld-14", "llvm-objcopy-14")
    for name in ("clang", "ld.lld", "llvm-objcopy"):
        machine.tool(name, "19.1.7")
    assert machine.run("test", "out.mk").returncode == 0
    text = (machine.top / "out.mk").read_text()
    assert "CLANG := clang\n" in text and "LLD := ld.lld\n" in text and "LLVM_OBJCOPY := llvm-objcopy\n" in text


def test_bare_metal_cross_compiler_is_accepted(machine):
    machine.all_there().without("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objcopy")
    machine.tool("aarch64-none-elf-gcc", "13.2.1")
    machine.tool("aarch64-none-elf-objcopy", "2.41")
    assert machine.run("run", "out.mk").returncode == 0
    assert "CROSS_COMPILE ?= aarch64-none-elf-\n" in (machine.top / "out.mk").read_text()


def test_cross_compile_of_the_environment_wins(machine):
    machine.all_there()
    machine.tool("my-gcc", "14.1.0")
    machine.tool("my-objcopy", "2.42")
    assert machine.run("run", "out.mk", CROSS_COMPILE="my-").returncode == 0
    assert "CROSS_COMPILE ?= my-\n" in (machine.top / "out.mk").read_text()


def test_cross_compile_that_is_not_there_is_not_replaced(machine):
    result = machine.all_there().run("run", "out.mk", CROSS_COMPILE="none-such-")
    assert result.returncode == 1 and "none-such-gcc" in result.stderr
    assert machine.calls() == []


def test_qemu_that_the_user_names_may_have_any_version(machine):
    machine.all_there().without("qemu-system-aarch64")
    machine.tool("my-qemu", "8.2.0")
    assert machine.run("run", "out.mk", WEIR_QEMU="my-qemu").returncode == 0
    assert "QEMU ?= my-qemu\n" in (machine.top / "out.mk").read_text()


def test_check_lists_what_is_missing_and_changes_nothing(machine):
    machine.without("dtc")
    result = machine.run("--check", "run")
    assert result.returncode == 1
    assert [line.split(":")[0].strip() for line in result.stdout.splitlines()] == [
        "qemu-system-arm", "device-tree-compiler", "libfdt-dev of arm64"]
    assert "(here: 7.2.22)" in result.stdout
    assert machine.calls() == []
    for level in ("run", "test"):
        complete = Machine(machine.top / level).all_there().run("--check", level)
        assert (complete.returncode, complete.stdout) == (0, "")


def test_check_asks_for_the_board_s_tree_for_the_tests_only(machine):
    machine.all_there().tree.unlink()
    assert machine.run("--check", "run").returncode == 0
    result = machine.run("--check", "test")
    assert result.returncode == 1 and str(machine.tree) in result.stdout
    assert machine.calls() == []


def test_wrong_usage_is_refused(machine):
    for arguments in ([], ["run"], ["rpi4"], ["--install", "rpi4"], ["--check", "rpi4"],
                      ["linux", "6.1"], ["linux", "new", "out"], ["linux", "6.1", "out", "more"], ["build", "out.mk"], ["--check"], ["--check", "all"], ["run", "a", "b"]):
        assert machine.run(*arguments).returncode == 2
    assert machine.run("--help").returncode == 0


# --- Something to install ---

def test_root_installs_what_is_missing_after_saying_what_and_how_much(machine):
    machine.all_there().without("dtc")
    result = machine.run("run", "out.mk")
    assert result.returncode == 0, result.stderr
    assert "installing device-tree-compiler: 12.3 MB to download, 45 MB on disk" in result.stdout
    assert len(machine.installs()) == 1
    assert machine.installs()[0].endswith(" device-tree-compiler")
    assert not any(call.startswith("sudo") for call in machine.calls())


def test_upgrades_of_other_packages_are_announced(machine):
    machine.all_there().without("dtc")
    (machine.top / "upgrade").write_text("The following NEW packages will be installed:\n  a b\n"
                                         "The following packages will be upgraded:\n  c d\n  e\n2 upgraded.\n")
    assert ", upgrading c d e (" in machine.run("run", "out.mk").stdout


def test_apt_is_told_not_to_ask_not_to_remove_and_to_wait(machine):
    machine.all_there().without("dtc")
    machine.run("run", "out.mk")
    assert {"-y", "--no-install-recommends", "--no-remove"} <= set(machine.installs()[0].split())
    options = machine.private("apt.conf")
    assert 'DPkg::Lock::Timeout "600";' in options
    assert 'Dir::Etc::SourceList "/dev/null";' in options
    for option in ("Dir::State::Lists", "Dir::Etc::SourceParts", "Dir::Etc::Preferences"):
        assert f'{option} "{machine.env["HOME"]}/.cache/weir/apt/host/' in options


def test_debconf_does_not_ask(machine):
    machine.all_there().without("dtc")
    machine.user(1000, may_sudo=True)
    machine.run("run", "out.mk")
    install = [call for call in machine.calls() if call.startswith("sudo") and " install " in call]
    assert len(install) == 1 and "DEBIAN_FRONTEND=noninteractive" in install[0]


def test_user_with_sudo_installs_and_only_that_as_root(machine):
    machine.all_there().without("dtc")
    machine.user(1000, may_sudo=True)
    assert machine.run("run", "out.mk").returncode == 0
    as_root = [call for call in machine.calls() if call.startswith("sudo") and call != "sudo -n true"]
    assert len(as_root) == 1 and " install " in as_root[0]


@pytest.mark.parametrize("has_sudo", [True, False])
def test_user_without_rights_is_given_the_line_for_root(machine, has_sudo):
    machine.all_there().without("dtc")
    machine.user(1000)
    if not has_sudo:
        machine.without("sudo")
    result = machine.run("run", "out.mk", WEIR_QEMU="qemu-system-aarch64")
    assert result.returncode == 1
    assert f"  WEIR_QEMU=qemu-system-aarch64 {SETUP} --install run" in result.stderr.splitlines()
    assert "device-tree-compiler" in result.stderr
    assert not any(call.startswith("apt-get") for call in machine.calls())
    assert not (machine.top / "out.mk").exists()


def test_line_for_root_installs_packages_only(machine):
    machine.without("dtc")
    assert machine.run("--install", "run").returncode == 0
    assert len(machine.installs()) == 1
    assert not any("libfdt" in call for call in machine.calls())


def test_old_qemu_is_replaced_from_backports_of_the_same_mirror(machine):
    assert machine.run("run", "out.mk").returncode == 0
    assert machine.installs()[0].endswith(" qemu-system-arm")
    derived = machine.private("sources.d/backports.sources")
    assert "Suites: bookworm-backports\nURIs: http://mirror.example/debian\n" in derived
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in derived
    assert "security" not in derived
    assert "Package: qemu-* seabios ovmf ipxe-qemu\nPin: release n=bookworm-backports\nPin-Priority: 990\n" in machine.private("preferences")


def test_backports_of_the_machine_are_used_as_they_are(tmp_path):
    machine = Machine(tmp_path, "one-line")
    assert machine.run("run", "out.mk").returncode == 0
    assert machine.installs()[0].endswith(" qemu-system-arm")
    assert not (tmp_path / "home/.cache/weir/apt/host/sources.d/backports.sources").exists()
    assert "n=bookworm-backports" in machine.private("preferences")


def test_backports_are_left_alone_where_qemu_is_new_enough(machine):
    machine.offers["qemu-system-arm"] = "1:10.0.13+ds-0+deb13u1"
    assert machine.run("run", "out.mk").returncode == 0
    assert "backports" not in machine.private("sources.d/weir.sources")
    assert machine.private("preferences") == ""


def test_distribution_with_too_old_a_version_is_told_needed_and_offered(tmp_path):
    machine = Machine(tmp_path, "ubuntu")
    machine.offers["qemu-system-arm"] = "1:8.2.2+ds-0ubuntu1"
    result = machine.run("run", "out.mk")
    assert result.returncode == 1
    assert "Ubuntu 25.10 does not have what Weir needs" in result.stderr
    assert "qemu-system-arm 10.0 or newer: offered is 8.2.2" in result.stderr
    assert machine.installs() == []


def test_missing_formatter_stops_nothing_but_is_told(machine):
    machine.all_there().without("clang-format-14", "cppcheck")
    del machine.offers["clang-format-14"]
    result = machine.run("test", "out.mk")
    assert result.returncode == 0, result.stderr
    assert "clang-format-14 is not offered here" in result.stdout
    assert machine.installs()[0].endswith(" cppcheck")


def test_without_apt_the_needs_are_listed(machine):
    machine.without("apt-get", "dtc")
    result = machine.run("run", "out.mk")
    assert result.returncode == 1
    assert "there is no apt-get here" in result.stderr and "dtc 1.6 or newer" in result.stderr


def test_failed_installation_shows_why_and_names_the_log(machine):
    machine.all_there().without("dtc")
    (machine.top / "broken").touch()
    (machine.top / "out.mk").write_text("old\n")
    result = machine.run("run", "out.mk")
    assert result.returncode == 1
    assert "E: no space left" in result.stderr
    assert f'the whole log is {machine.env["HOME"]}/.cache/weir/setup.log' in result.stderr
    assert (machine.top / "out.mk").read_text() == "old\n"


def test_mirror_out_of_reach_is_told(machine):
    machine.all_there().without("dtc")
    (machine.top / "offline").touch()
    result = machine.run("run", "out.mk")
    assert result.returncode == 1 and "cannot read any package list" in result.stderr


def test_clang_without_its_fuzzer_library_is_not_enough(machine):
    machine.all_there().fuzzer.unlink()
    assert machine.run("--check", "run").returncode == 0
    result = machine.run("--check", "test")
    assert result.returncode == 1 and "libclang-rt-14-dev" in result.stdout


def test_u_boot_is_installed_for_the_tests_only(machine):
    machine.all_there().u_boot.unlink()
    assert machine.run("--check", "run").returncode == 0
    assert U_BOOT in machine.run("--check", "test").stdout
    result = machine.run("test", "out.mk")
    assert result.returncode == 0, result.stderr
    assert machine.installs()[0].endswith(" u-boot-qemu")


def test_installation_that_did_not_help_is_an_error(machine):
    machine.all_there().without("dtc")
    machine.script("apt-get", APT_GET.format(top=machine.top, bin="/dev/null", u_boot=U_BOOT,
                                                    kernel=KERNEL, newer=NEWER))
    result = machine.run("run", "out.mk")
    assert result.returncode == 1
    assert not (machine.top / "out.mk").exists()


# --- libfdt ---

def test_libfdt_of_the_target_is_unpacked_into_the_cache(machine):
    machine.tool("qemu-system-aarch64", "10.0.2")
    machine.user(1000)
    result = machine.run("run", "out.mk")
    assert result.returncode == 0, result.stderr
    cache = machine.top / "home/.cache/weir"
    assert (cache / "libfdt/usr/include/libfdt.h").exists()
    assert (cache / "libfdt-dev_1.6.1-4_arm64.deb").exists()
    options = (cache / "apt/arm64/apt.conf").read_text()
    assert 'APT::Architecture "arm64";' in options
    assert "rchitectures:" not in (cache / "apt/arm64/sources.d/weir.sources").read_text()
    assert machine.installs() == []


def test_libfdt_in_the_cache_needs_no_network(machine):
    machine.tool("qemu-system-aarch64", "10.0.2")
    cache = machine.top / "home/.cache/weir"
    cache.mkdir(parents=True)
    (cache / "libfdt-dev_1.6.1-4_arm64.deb").touch()
    assert machine.run("run", "out.mk").returncode == 0
    assert machine.calls() == []


@pytest.mark.parametrize("folder", ["", "libfdt"])
def test_libfdt_of_the_user_is_named_and_nothing_downloaded(machine, folder):
    machine.tool("qemu-system-aarch64", "10.0.2")
    tree = machine.top / "dtc" / folder
    tree.mkdir(parents=True)
    (tree / "libfdt.h").touch()
    assert machine.run("run", "out.mk", LIBFDT_SRC="dtc").returncode == 0
    text = (machine.top / "out.mk").read_text()
    assert f"LIBFDT_SRC := {tree}\n" in text and "LIBFDT_A" not in text
    assert machine.calls() == []


def test_libfdt_src_without_the_header_is_refused(machine):
    result = machine.all_there().run("run", "out.mk", LIBFDT_SRC=str(machine.top))
    assert result.returncode == 1 and "libfdt.h" in result.stderr


# --- The Raspberry Pi 4's device tree ---

def test_tree_of_the_board_is_all_that_is_kept_of_the_kernel(machine):
    machine.all_there().tree.unlink()
    machine.user(1000)
    result = machine.run("rpi4", "build/rpi4/pi.dtb")
    assert result.returncode == 0, result.stderr
    assert "out of the kernel 6.1.192 for arm64: " in result.stdout and "MB to download" in result.stdout
    assert (machine.top / "build/rpi4/pi.dtb").read_text() == TREE
    assert os.listdir(machine.top / "build/rpi4") == ["pi.dtb"]
    cache = machine.tree.parent
    assert sorted(os.listdir(cache)) == ["apt", TREE, "libfdt", "lock", "setup.log"]
    assert 'APT::Architecture "arm64";' in (cache / "apt/arm64/apt.conf").read_text()
    assert machine.installs() == []


def test_tree_of_the_board_in_the_cache_needs_no_network(machine):
    machine.all_there()
    result = machine.run("rpi4", "out.dtb")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (machine.top / "out.dtb").read_text() == TREE
    assert machine.calls() == []


@pytest.mark.parametrize("level", ["run", "test"])
def test_tree_of_the_board_is_fetched_for_the_tests_only(machine, level):
    machine.all_there().tree.unlink()
    result = machine.run(level, "out.mk")
    assert result.returncode == 0, result.stderr
    assert machine.tree.exists() == (level == "test")


def test_mirror_without_the_kernel_is_told_and_where_to_put_a_tree(machine):
    machine.all_there().tree.unlink()
    del machine.offers[KERNEL]
    result = machine.run("rpi4", "out.dtb")
    assert result.returncode == 1
    assert f"does not offer {KERNEL} of arm64: put one of your own there: {machine.tree}" in result.stderr


@pytest.mark.parametrize("damage", ["cannot be read", "lacks the tree"])
def test_kernel_that_does_not_hold_the_tree_is_told(machine, damage):
    machine.all_there().tree.unlink()
    if damage == "lacks the tree":
        (machine.top / "kernel/usr/lib" / KERNEL / "broadcom" / TREE).unlink()
    else:
        (machine.top / "no-kernel").touch()
    result = machine.run("rpi4", "out.dtb")
    assert result.returncode == 1 and f"does not hold {TREE}" in result.stderr
    assert not machine.tree.exists() and not (machine.top / "out.dtb").exists()
    assert not (machine.tree.parent / "fetch").exists()


# --- The cache ---

def test_cache_follows_xdg_unless_relative(machine):
    machine.tool("qemu-system-aarch64", "10.0.2")
    assert machine.run("run", "out.mk", XDG_CACHE_HOME=str(machine.top / "xdg")).returncode == 0
    assert f"LIBFDT_A := {machine.top}/xdg/weir/libfdt/" in (machine.top / "out.mk").read_text()
    assert machine.run("run", "out.mk", XDG_CACHE_HOME="xdg").returncode == 0
    assert f"LIBFDT_A := {machine.top}/home/.cache/weir/" in (machine.top / "out.mk").read_text()


@pytest.mark.parametrize("home", ["/dev/null", None])
def test_cache_that_cannot_be_written_is_told(machine, home):
    machine.user(1000)
    machine.script("getent", "#!/bin/sh\necho user:x:1000:1000::/dev/null:/bin/sh\n")
    result = machine.run("run", "out.mk", HOME=home or "")
    assert result.returncode == 1
    assert "cannot write to /dev/null/.cache/weir: set XDG_CACHE_HOME" in result.stderr


def test_cache_path_that_make_cannot_use_is_refused(machine):
    result = machine.run("run", "out.mk", XDG_CACHE_HOME=str(machine.top / "my cache"))
    assert result.returncode == 1 and "make cannot use the path" in result.stderr


def test_under_sudo_the_cache_is_the_users_and_stays_so(machine):
    machine.tool("qemu-system-aarch64", "10.0.2")
    machine.script("getent", "#!/bin/sh\necho user:x:1000:100::%s:/bin/sh\n" % (machine.top / "user"))
    machine.script("chown", "#!/bin/sh\necho \"chown $*\" >>%s/calls\n" % machine.top)
    (machine.top / "user").mkdir()
    assert machine.run("run", "out.mk", SUDO_UID="1000", SUDO_GID="100").returncode == 0
    cache = machine.top / "user/.cache"
    assert f"LIBFDT_A := {cache}/weir/libfdt/" in (machine.top / "out.mk").read_text()
    assert machine.calls()[-2:] == [f"chown -hR 1000:100 {cache}/weir", f"chown -h 1000:100 {cache}"]
