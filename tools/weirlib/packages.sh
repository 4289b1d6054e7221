# The machine's own sources of packages, and apt with lists and sources of our own. tools/setup reads this, and
# has `say`, `die`, `at_least`, $cache and $log.

# --- The machine's own sources of packages, as deb822 stanzas ---

one_line_to_deb822() {
	awk '$1 == "deb" {
		sub(/^[ \t]*deb[ \t]+/, ""); sub(/[ \t]#.*/, "")
		options = ""
		if (match($0, /^\[[^]]*\]/)) {
			options = substr($0, 2, RLENGTH - 2)
			$0 = substr($0, RLENGTH + 1)
		}
		printf "\nTypes: deb\nURIs: %s\nSuites: %s\nComponents:", $1, $2
		for (i = 3; i <= NF; i++) printf " %s", $i
		print ""
		n = split(options, option, " ")
		for (i = 1; i <= n; i++) {
			key = tolower(substr(option[i], 1, index(option[i], "=") - 1))
			value = substr(option[i], index(option[i], "=") + 1)
			action = key ~ /\+$/ ? "-Add" : key ~ /-$/ ? "-Remove" : ""
			sub(/[+-]$/, "", key)
			if (key == "arch") key = "Architectures"
			if (key == "lang") key = "Languages"
			if (key == "target") key = "Targets"
			gsub(/,/, " ", value)
			print key action ": " value
		}
	}' "$1"
}

# Keeps the stanzas that bring the distribution itself: a suite of this release, with a component `main`.
own_stanzas() { # "" | foreign: any architecture | backports: that suite of the same mirrors | foreign-backports
	awk -v mode="$1" -v releases="$releases" -v codename="$codename" '
	function own(list,    word, base, i, n, kept) {
		n = split(list, word, " ")
		for (i = 1; i <= n; i++) {
			base = word[i]
			if (mode !~ /backports/)
				sub(/(-updates|-security|\/updates|-proposed-updates|-backports(-sloppy)?)$/, "", base)
			if (index(releases, " " base " ")) kept = kept " " word[i]
		}
		return kept && mode ~ /backports/ ? " " codename "-backports" : kept
	}
	BEGIN { RS = ""; FS = "\n" }
	{
		split("", value); rest = ""; key = ""
		for (i = 1; i <= NF; i++) {
			text = $i
			if (text !~ /^[ \t]/) {
				key = tolower(substr(text, 1, index(text, ":") - 1))
				text = substr(text, index(text, ":") + 1)
			}
			value[key] = value[key] " " text " "
			if (key !~ /^(types|suites|enabled)$/ && !(mode ~ /foreign/ && key ~ /^architectures/))
				rest = rest $i "\n"
		}
		suites = own(value["suites"])
		if (suites && value["types"] ~ /[ \t]deb[ \t]/ && value["components"] ~ /[ \t]main[ \t]/ &&
		    tolower(value["enabled"]) !~ /[ \t](no|false|without|off|disable|0)[ \t]/ &&
		    value["uris"] !~ /[ \t]cdrom:/)
			printf "Types: deb\nSuites:%s\n%s\n", suites, rest
	}'
}

read_release() {
	os_release=${WEIR_OS_RELEASE:-/etc/os-release}
	[ -r "$os_release" ] || os_release=/dev/null
	. "$os_release"
	codename=${DEBIAN_CODENAME:-${UBUNTU_CODENAME:-${VERSION_CODENAME:-}}}
	releases=" $codename oldstable stable testing unstable sid devel "
}

machine_stanzas() { # as own_stanzas
	eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
	for file in "$list" "$parts"/*.list "$parts"/*.sources; do
		[ -r "$file" ] || continue
		case $file in
		*.sources) echo && grep -v '^#' "$file" && echo || true ;;
		*) one_line_to_deb822 "$file" ;;
		esac
	done | own_stanzas "$1"
}

# --- apt, with lists and sources of our own ---

# The machine's hooks after an update would run as the user and act on lists that are not ours.
apt_configure() { # NAME, as own_stanzas
	apt=$cache/apt/$1
	rm -rf "$apt/sources.d"
	mkdir -p "$apt/lists/partial" "$apt/sources.d"
	cat >"$apt/apt.conf" <<-END
		Dir::State::Lists "$apt/lists/";
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$apt/sources.d/";
		Dir::Etc::Preferences "$apt/preferences";
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
		DPkg::Lock::Timeout "600";
		Dpkg::Options { "--force-confdef"; "--force-confold"; };
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear Acquire::IndexTargets;
		Acquire::IndexTargets::deb::Packages {
			MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages";
			ShortDescription "Packages";
			Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Packages";
			Optional "false";
		};
	END
	eval "$(apt-config shell preferences Dir::Etc::preferences/f)"
	cat "$preferences" >"$apt/preferences" 2>/dev/null || true
	machine_stanzas "${2:-}" >"$apt/sources.d/weir.sources"
	[ -s "$apt/sources.d/weir.sources" ] ||
		die "no apt source in $list and $parts is one of ${PRETTY_NAME:-this system} itself"
}

private() { # apt-get or apt-cache, arguments
	program=$1
	shift
	"$program" -c "$apt/apt.conf" "$@"
}

# A failed update is not the end: what counts is whether the packages are then to be had.
# The sandbox's user could not read the cache of a root whose home is closed to others.
apt_update() {
	private apt-get -o APT::Sandbox::User=root update >"$apt/update.log" 2>&1 || true
	cat "$apt/update.log" >>"$log"
	lists=$(awk '$1 == "Fetched" { mb = $2 * ($3 == "MB" ? 1 : $3 == "kB" ? 1e-3 : 1e-6) }
		END { printf "%.1f", mb }' "$apt/update.log")
	ls "$apt"/lists/*_Packages* >/dev/null 2>&1
}

complain() { # MESSAGE
	echo "setup: $1" >&2
	grep -hE '^[EW]: ' "$log" | tail -n 4 >&2 || true
	die "the whole log is $log"
}

# The version that apt would install, as the program itself would tell it.
candidate() { # PACKAGE
	private apt-cache policy "$1" 2>>"$log" | sed -n 's/^  Candidate: \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p'
}

# Prints the first of the packages that is offered and new enough.
choose() { # PACKAGES OLDEST
	for package in $(echo "$1" | tr '|' ' '); do
		at_least "$(candidate "$package")" "${2:-0}" && echo "$package" && return
	done
	return 1
}

# --- From packages of arm64: unpacked into the cache, not installed ---

# apt as on a machine of arm64 on which nothing is installed.
foreign_apt() { # WHAT TO DO WITHOUT, as own_stanzas
	command -v apt-get >/dev/null || die "there is no apt-get here: $1"
	set -- "${2:-foreign}"
	apt_configure "arm64${1#foreign}" "$1"
	cat >>"$apt/apt.conf" <<-END
		#clear APT::Architectures;
		APT::Architecture "arm64";
		APT::Architectures { "arm64"; };
		APT::Sandbox::User "root";
		Dir::State::status "/dev/null";
	END
	apt_update || true
}

fetch() { # PACKAGE, WHAT OF IT, WHAT TO DO WITHOUT; sets deb, in a folder that the caller removes
	[ -n "$(candidate "$1")" ] || complain "this machine's mirror does not offer $1 of arm64: $3"
	size=$(private apt-get download --print-uris "$1" 2>>"$log" | awk '{ printf "%.2f", $3 / 1e6 }')
	say "fetching $2 $(candidate "$1") for arm64: $size MB to download (package lists: $lists MB)"
	rm -rf "$cache/fetch" && mkdir "$cache/fetch"
	(cd "$cache/fetch" && private apt-get download "$1") >>"$log" 2>&1 || complain "cannot fetch $1"
	deb=$(ls "$cache"/fetch/*.deb)
}
