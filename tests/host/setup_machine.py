"""
A made-up machine for the tests of tools/setup: a folder of programs that is all of PATH, in which apt-get, apt-cache,
sudo and id are fakes that write down how they were called.
"""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SETUP = HERE.parents[1] / "tools" / "setup"
FIXTURES = HERE / "setup"

ORDINARY = """sh awk sed grep sort head tail tr cut ls cat mkdir rm mv cp touch chmod dirname basename env flock
uname true tar find""".split()

APT_CONFIG = """#!/bin/sh
echo "list='{folder}/sources.list'; parts='{folder}/sources.list.d/'; preferences='{folder}/preferences'"
"""

APT_GET = """#!/bin/sh
echo "apt-get $*" >>{top}/calls
lists=$(sed -n 's/^Dir::State::Lists "\\(.*\\)";/\\1/p' "$2")
case "$*" in
*' update') [ ! -e {top}/offline ] && touch "$lists/mirror_Packages" && echo 'Fetched 1500 kB in 1s (1 B/s)' ;;
*--print-uris*) echo 'Need to get 12.3 MB of archives.'
	echo 'After this operation, 45 MB of additional disk space will be used.'
	[ ! -e {top}/upgrade ] || cat {top}/upgrade ;;
*' install '*)
	[ ! -e {top}/broken ] || {{ echo 'E: no space left'; exit 100; }}
	while read -r package tool version; do
		case " $* " in *" $package "*) cp {top}/stock/$tool {bin}/ ;; esac
	done <{top}/stock/list
	case " $* " in *" u-boot-qemu "*) mv {top}/stock/u-boot.bin {top}/root{u_boot} ;; esac ;;
*' download libfdt-dev') touch libfdt-dev_1.6.1-4_arm64.deb ;;
*' download {kernel}') touch {kernel}_6.1.192-2_arm64.deb ;;
*' download {newer}') touch {newer}_6.12.95-1~bpo12+1_arm64.deb ;;
*' download busybox-static') touch busybox-static_1.35.0-4_arm64.deb ;;
esac
"""

# Debian's own version, or that of backports where the sources name it and the preferences pin it.
APT_CACHE = """#!/bin/sh
folder=$(dirname "$2")
case "$*" in *' depends linux-image-arm64')
	case "$folder" in *-backports) kernel={newer} ;; *) kernel={kernel} ;; esac
	printf '%s\\n  Depends: %s\\n' linux-image-arm64 $kernel
	exit ;;
esac
version=$(sed -n "s/^$4 //p" {top}/offers)
grep -q -- '-backports' "$folder"/sources.d/* && grep -q 'qemu-\\*' "$folder/preferences" &&
	newer=$(sed -n "s/^$4 //p" {top}/backports)
echo "  Candidate: ${{newer:-${{version:-(none)}}}}"
"""

U_BOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"

KERNEL = "linux-image-6.1.0-56-arm64"
NEWER = "linux-image-6.12.95+deb12-arm64"
TREE = "bcm2711-rpi-4-b.dtb"

# Unpacks libfdt; of the others it writes the archive inside.
DPKG = """#!/bin/sh
if [ "$1" = --fsys-tarfile ]; then
	[ ! -e {top}/no-kernel ] || exit 2
	case $2 in
	*/busybox*) exec tar -cC {top}/busybox . ;;
	*) exec tar -cC {top}/kernel . ;;
	esac
fi
mkdir -p "$3/usr/include" "$3/usr/lib/aarch64-linux-gnu"
touch "$3/usr/include/libfdt.h" "$3/usr/lib/aarch64-linux-gnu/libfdt.a"
"""

SUDO = """#!/bin/sh
echo "sudo $*" >>{top}/calls
[ -e {top}/may-sudo ] || exit 1
[ "$1" != -n ] || shift
exec "$@"
"""

TOOL = """#!/bin/sh
case "$1" in
-print-file-name=*) echo {runtime}/${{1#*=}} ;;
*) echo '{name} (Vendor {version}-1) {version}' ;;
esac
"""

TOOLS = {  # tool: its package, its version in Debian 12
    "aarch64-linux-gnu-gcc": ("gcc-aarch64-linux-gnu", "12.2.0"),
    "aarch64-linux-gnu-objcopy": ("binutils-aarch64-linux-gnu", "2.40"),
    "qemu-system-aarch64": ("qemu-system-arm", "7.2.22"),
    "dtc": ("device-tree-compiler", "1.6.1"),
    "mcopy": ("mtools", "4.0.32"),
    "cpio": ("cpio", "2.13"),
    "xz": ("xz-utils", "5.4.1"),
    "gcc": ("gcc", "12.2.0"),
    "clang-14": ("clang-14", "14.0.6"),
    "ld.lld-14": ("lld-14", "14.0.6"),
    "llvm-objcopy-14": ("llvm-14", "14.0.6"),
    "cppcheck": ("cppcheck", "2.10"),
    "spin": ("spin", "6.5.2"),
    "git": ("git", "2.39.5"),
    "clang-format-14": ("clang-format-14", "14.0.6"),
}


class Machine:
    def __init__(self, top, fixture="deb822"):
        self.top = top
        self.bin = top / "bin"
        self.folder = FIXTURES / fixture
        self.env = {"HOME": str(top / "home"), "PATH": str(self.bin), "WEIR_OS_RELEASE": str(self.folder / "os-release"),
                    "WEIR_ROOT": str(top / "root")}
        self.offers = {package: "1:%s+dfsg-7+deb12u1" % version for package, version in TOOLS.values()}
        self.offers["libfdt-dev"] = "1.6.1-4+b1"
        self.offers[KERNEL] = "6.1.192-2"
        self.offers[NEWER] = "6.12.95-1~bpo12+1"
        self.offers["busybox-static"] = "1:1.35.0-4+deb12u1"
        self.offers["u-boot-qemu"] = "2023.01+dfsg-2+deb12u3"
        self.u_boot = top / ("root" + U_BOOT)
        self.backports = {"qemu-system-arm": "1:10.0.2+ds-2~bpo12+1"}
        self.fuzzer = top / "runtime" / ("libclang_rt.fuzzer-%s.a" % os.uname().machine)
        for folder in (self.bin, top / "home", top / "stock", self.fuzzer.parent, self.u_boot.parent):
            folder.mkdir(parents=True)
        trees = top / "kernel/usr/lib" / KERNEL / "broadcom"
        trees.mkdir(parents=True)
        for name in (TREE, "bcm2711-rpi-400.dtb"):
            (trees / name).write_text(name)
        self.unpacked("kernel", "boot/vmlinuz-6.1", "lib/modules/6.1/kernel/fs/ext4/ext4.ko",
                      "lib/modules/6.1/kernel/drivers/virtio/virtio_mmio.ko.xz",
                      "lib/modules/6.1/kernel/drivers/net/other.ko")
        self.unpacked("busybox", "bin/busybox", "usr/share/conf-hooks.d/busybox")
        for path in (self.fuzzer, self.u_boot, top / "stock/u-boot.bin"):
            path.touch()
        for name in ORDINARY:
            (self.bin / name).symlink_to("/usr/bin/" + name)
        for name, text in (("apt-get", APT_GET), ("apt-cache", APT_CACHE), ("apt-config", APT_CONFIG),
                           ("dpkg", DPKG), ("sudo", SUDO)):
            self.script(name, text.format(top=top, bin=self.bin, folder=self.folder, u_boot=U_BOOT,
                                          kernel=KERNEL, newer=NEWER))
        self.user(0)
        for name, (package, version) in TOOLS.items():
            self.tool(name, version)

    def unpacked(self, package, *files):
        for name in files:
            path = self.top / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name)

    def script(self, name, text, folder=None):
        path = (folder or self.bin) / name
        path.write_text(text)
        path.chmod(0o755)

    def tool(self, name, version, folder=None):
        self.script(name, TOOL.format(name=name, version=version, runtime=self.fuzzer.parent), folder)

    def without(self, *names):
        """The tools are not there; once their package is installed they are, in the version that is offered."""
        for name in names:
            (self.bin / name).unlink()

    def user(self, uid, may_sudo=False):
        self.script("id", "#!/bin/sh\necho %d\n" % uid)
        if may_sudo:
            (self.top / "may-sudo").touch()

    def all_there(self):
        self.tool("qemu-system-aarch64", "10.0.2")
        self.libfdt = pathlib.Path(self.env["HOME"]) / ".cache/weir/libfdt/usr"
        (self.libfdt / "include").mkdir(parents=True)
        (self.libfdt / "include/libfdt.h").touch()
        (self.libfdt / "lib/aarch64-linux-gnu").mkdir(parents=True)
        (self.libfdt / "lib/aarch64-linux-gnu/libfdt.a").touch()
        self.tree = self.libfdt.parents[1] / TREE
        self.tree.write_text(TREE)
        return self

    def run(self, *arguments, **env):
        (self.top / "offers").write_text("".join("%s %s\n" % offer for offer in self.offers.items()))
        (self.top / "backports").write_text("".join("%s %s\n" % offer for offer in self.backports.items()))
        stock = []
        for tool, (package, version) in TOOLS.items():
            if tool == "qemu-system-aarch64":
                version = "10.0.2"
            self.tool(tool, version, self.top / "stock")
            stock.append("%s %s %s\n" % (package, tool, version))
        (self.top / "stock/list").write_text("".join(stock))
        return subprocess.run([str(SETUP), *map(str, arguments)], env={**self.env, **env}, text=True, cwd=self.top,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              start_new_session=True)

    def calls(self):
        path = self.top / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def installs(self):
        return [call for call in self.calls() if " install " in call and "--print-uris" not in call
                and call.startswith("apt-get")]

    def private(self, name):
        return (pathlib.Path(self.env["HOME"]) / ".cache/weir/apt/host" / name).read_text()
