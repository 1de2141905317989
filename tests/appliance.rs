//! The appliance's scripts and units, as far as they can be tested without booting; `make test-image` boots them.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::Scratch;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A root of the appliance in a folder, with stand-ins for programs that only record their calls.
struct Root {
    scratch: Scratch,
    /// Account of the daemon.
    account: &'static str,
}

impl Root {
    fn new(name: &str) -> Root {
        let root = Root { scratch: Scratch::new(name), account: "root" };
        for folder in ["boot/firmware/grooved/update", "boot/firmware/overlays", "data/lib", "etc", "root", "tools"] {
            std::fs::create_dir_all(root.path(folder)).unwrap();
        }
        for folder in ["etc/systemd/network", "run/grooved-root/lower/media", "data/packages", "usr/lib/grooved"] {
            std::fs::create_dir_all(root.path(folder)).unwrap();
        }
        std::fs::write(root.path("usr/lib/grooved/appliance.toml"), "[state]\ndemo = true\nrestore = true\n").unwrap();
        for tool in ["mount", "umount", "mountpoint", "systemctl", "hostname", "chroot", "chown", "dpkg-query"] {
            root.tool(tool, "");
        }
        root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.scratch.path(path)
    }

    /// Adds a stand-in for a program that records its call and runs `script`.
    fn tool(&self, name: &str, script: &str) {
        let path = self.path(&format!("tools/{name}"));
        let called = self.path("called");
        std::fs::write(&path, format!("#!/bin/sh\necho {name} \"$@\" >>{}\n{script}\n", called.display())).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Writes a file to the card's folder.
    fn card(&self, name: &str, content: &str) {
        let path = self.path(&format!("boot/firmware/grooved/{name}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn log(&self) -> String {
        self.read("boot/firmware/grooved/LOG.txt")
    }

    fn called(&self) -> String {
        std::fs::read_to_string(self.path("called")).unwrap_or_default()
    }

    fn run(&self, script: &str, args: &[&str]) -> String {
        let daemon = Path::new(env!("CARGO_BIN_EXE_grooved")).parent().unwrap();
        let path = format!("{}:{}:{}", self.path("tools").display(), daemon.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .arg(here(script))
            .args(args)
            .env("GROOVED_ROOT", &self.scratch.0)
            .env("GROOVED_HEALTHY_S", "0")
            .env("GROOVED_RADIO_S", "0")
            .env("GROOVED_ACCOUNT", self.account)
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {}", text(&output));
        text(&output)
    }
}

const CARD: &str = "image/root/usr/lib/grooved/card";
const OBITUARY: &str = "image/root/usr/lib/grooved/obituary";
const INTAKE: &str = "image/root/usr/lib/grooved/intake";

#[test]
fn scripts_are_clean() {
    let scripts = [
        CARD,
        INTAKE,
        OBITUARY,
        "image/root/usr/lib/grooved/cardlib",
        "image/root/etc/initramfs-tools/hooks/grooved",
        "image/root/etc/initramfs-tools/scripts/local-bottom/grooved-grow",
        "image/root/etc/initramfs-tools/scripts/init-bottom/grooved-root",
        "image/build",
        "systemd/tune",
        "scripts/need",
        "cross/cargo",
        "cross/check",
        "cross/contents",
        "cross/deb",
        "cross/test",
        "cross/test-deb",
        "cross/debian/postinst",
        "cross/debian/prerm",
        "cross/debian/postrm",
    ];
    let output = Command::new("shellcheck").arg("-x").args(scripts.map(here)).current_dir(here(".")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn units_are_right_and_confined() {
    let scratch = Scratch::new("units");
    let root = &scratch.0;
    let sh = |line: String| {
        let output = Command::new("sh").arg("-ec").arg(&line).current_dir(here(".")).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output));
        text(&output)
    };
    // The units of a machine, including ours, and the programs that ours start.
    sh(format!(
        "r={}; u=$r/usr/lib/systemd; mkdir -p $u $r/usr/bin $r/usr/lib/grooved $r/bin
         cp -r /usr/lib/systemd/system $u/; cp -r image/root/. $r/
         for s in grooved grooved-safe; do mkdir -p $u/system/$s.service.d; cp systemd/confine.conf $u/system/$s.service.d/; done
         cp systemd/*.service $u/system/; cp systemd/tune $r/usr/lib/grooved/
         for p in bin/sh usr/bin/grooved; do printf '#!/bin/sh\\n' >$r/$p; chmod +x $r/$p; done",
        root.display()
    ));
    let units = ["grooved", "grooved-safe", "grooved-tune", "grooved-card", "grooved-intake"];
    let names = units.map(|u| format!("{u}.service")).join(" ");
    let said = sh(format!("systemd-analyze verify --root={} {names} 2>&1", root.display()));
    let about_ours = said.replace(&root.display().to_string(), "").contains("grooved");
    assert!(!about_ours, "{said}");
    for unit in &units[..2] {
        // An exposure level of 2.0 on systemd's scale.
        sh(format!("systemd-analyze security --offline=true --threshold=20 --root={} {unit}.service", root.display()));
    }
}

#[test]
fn the_cards_folder_is_applied() {
    let root = Root::new("card-good");
    let key = root.path("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let public = root.read("key.pub");
    // Line endings and byte order marks as written by other systems' editors.
    root.card("grooved.toml", "[mixer]\r\nbpm = 97.0\r\n[osc]\r\nports = [9001, 9002]\r\n[state]\r\ndemo = false\r\n");
    std::fs::create_dir_all(root.path("etc/avahi/services")).unwrap();
    std::fs::copy(here("systemd/announce.xml"), root.path("etc/avahi/services/grooved.service")).unwrap();
    root.card("hostname", "\u{feff}club-wall\r\n");
    root.card("authorized_keys", &format!("# mine\r\n{}", public.trim()));
    root.card(
        "network",
        "ssid = Café 'Wall' $x\r\npassword = p\"a\\n ss=w\\\\$\r\naddress=192.168.7.20/24\ncountry = DE",
    );
    root.card("hat", "hifiberry-dac\n");
    // Without a newline at the end, as some editors leave it.
    std::fs::write(root.path("boot/firmware/config.txt"), "arm_64bit=1").unwrap();
    std::fs::write(root.path("boot/firmware/overlays/hifiberry-dac.dtbo"), "").unwrap();
    root.run(CARD, &[]);
    assert!(root.log().contains("everything was applied"), "{}", root.log());
    let settings = root.read("etc/grooved/grooved.toml");
    for wanted in ["bpm = 97.0", "demo = false", "restore = true"] {
        assert!(settings.contains(wanted), "what it leaves out is the image's: {settings}");
    }
    let announced = root.read("etc/avahi/services/grooved.service");
    assert!(announced.matches("8080").count() == 2 && announced.contains("<port>9001</port>"), "{announced}");
    assert_eq!(root.read("etc/hostname"), "club-wall\n");
    assert_eq!(root.read("root/.ssh/authorized_keys").trim(), public.trim());
    let wifi = root.read("etc/wpa_supplicant/wpa_supplicant-wlan0.conf");
    let name: String = "Café 'Wall' $x".bytes().map(|b| format!("{b:02x}")).collect();
    assert!(wifi.contains(&format!("ssid={name}\n")) && wifi.contains("country=DE"), "{wifi}");
    let psk = wifi.lines().find_map(|l| l.trim().strip_prefix("psk=")).unwrap();
    assert!(psk.len() == 64 && psk.bytes().all(|b| b.is_ascii_hexdigit()), "{wifi}");
    let mode =
        std::fs::metadata(root.path("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only root reads it");
    let address = root.read("etc/systemd/network/10-card.network");
    assert!(address.contains("Name=wl* wlan*") && address.contains("Address=192.168.7.20/24"), "{address}");
    let config = root.read("boot/firmware/config.txt");
    assert_eq!(config, "arm_64bit=1\n# grooved/hat\ndtoverlay=hifiberry-dac\n");
    let token = root.read("boot/firmware/grooved/token");
    assert!(token.len() == 32 && root.read("run/grooved-card/token").trim() == token);
    let called = root.called();
    for wanted in ["start --no-block wpa_supplicant@wlan0.service", "reboot", "hostname club-wall", "remount,ro"] {
        assert!(called.contains(wanted), "{wanted}: {called}");
    }
    assert!(!called.contains("grooved-safe"), "{called}");
    // Second run: the token stays, unchanged files are not written, and there is no second restart.
    std::fs::remove_file(root.path("called")).unwrap();
    root.run(CARD, &[]);
    assert_eq!(root.read("boot/firmware/grooved/token"), token);
    assert!(!root.called().contains("remount") && !root.called().contains("reboot"), "{}", root.called());
    // Without the file, the overlay is removed.
    std::fs::remove_file(root.path("boot/firmware/grooved/hat")).unwrap();
    root.run(CARD, &[]);
    assert_eq!(root.read("boot/firmware/config.txt"), "arm_64bit=1\n");
}

#[test]
fn what_is_wrong_on_the_card_is_said_and_left_out() {
    for (file, content, wanted) in [
        ("grooved.toml", "[mixer]\nbpm = 9000\n", "grooved.toml"),
        ("grooved.toml", "\0\0\0", "using the image's settings"),
        ("hostname", "the wall\n", "letters, digits and hyphens"),
        ("authorized_keys", "hello\n", "authorized_keys: 'hello"),
        ("network", "ssid = x\npassword = short\ncountry = DE\n", "8 to 63"),
        ("network", "ssid = x\npassword = long enough\n", "two capital letters"),
        ("network", "address = 192.168.1.300/24\n", "192.168.1.20/24"),
        ("network", "address = 192.168.1.30/33\n", "192.168.1.20/24"),
        ("network", "gateway = router\n", "192.168.1.1"),
        ("network", "sid = x\n", "unknown setting 'sid'"),
        ("network", "my secret password\n", "setting 1 has no '='"),
        ("network", "address = 192.168.1.30/24\\nx\n", "192.168.1.20/24"),
        ("hostname", "a\\nb\n", "letters, digits and hyphens"),
        ("network", "ssid = \"My net\"\npassword = long enough\ncountry = DE\n", "ssid must not be in quotes"),
        ("network", "password = long enough\ncountry = DE\n", "require ssid"),
        ("network", "dns = 192.168.1.1\n", "require address"),
        ("hostname", "a-name-of-more-than-sixty-three-letters-is-longer-than-dns-has-room-for\n", "longer than 63"),
        ("hat", "../../vmlinuz", "unknown overlay"),
        ("network.txt", "ssid = x\n", "network.txt: unknown file name"),
        ("token", "short\n", "at least 8 characters"),
        ("hat", "iqaudio\n", "unknown overlay 'iqaudio'; expected one of: hifiberry-dac"),
        ("safe", "", "safe mode is on"),
    ] {
        let root = Root::new("card-bad");
        std::fs::write(root.path("boot/firmware/config.txt"), "arm_64bit=1\n").unwrap();
        std::fs::write(root.path("boot/firmware/overlays/hifiberry-dac.dtbo"), "").unwrap();
        root.card(file, content);
        root.run(CARD, &[]);
        let log = root.log();
        assert!(log.contains(wanted) && log.contains(file), "{file} {content:?}: {log}");
        assert_eq!(log.lines().count(), 2, "one thing wrong, one line: {log}");
        assert!(!log.contains("secret"), "{log}");
        assert!(!root.path("etc/grooved/grooved.toml").exists());
        assert!(!root.path("etc/systemd/network/10-card.network").exists());
        assert_eq!(root.called().contains("start --no-block grooved-safe.service"), file == "safe");
        assert_eq!(root.path("run/grooved-card/safe").exists(), file == "safe");
        assert!(!root.called().contains("reboot") && root.read("run/grooved-card/token").trim().len() >= 8);
    }
}

#[test]
fn a_machine_without_its_partitions_starts_all_the_same() {
    let root = Root::new("card-none");
    root.tool("mountpoint", "exit 1");
    root.tool("mount", "exit 1");
    std::fs::remove_dir_all(root.path("boot/firmware/grooved")).unwrap();
    let said = root.run(CARD, &[]);
    assert!(said.contains("data partition unavailable") && said.contains("no folder grooved"), "{said}");
    assert_eq!(root.read("run/grooved-card/token").trim().len(), 32, "a token for this start");
    assert!(root.path("run/grooved-card/ssh/ssh_host_ed25519_key").exists(), "and keys");
    root.run(INTAKE, &[]);
}

#[test]
fn what_must_be_said_finds_room_on_a_full_card() {
    let root = Root::new("card-full");
    root.card(".reserve", "room");
    root.card("hostname", "the wall\n");
    // Without a newline at the end and without a HAT: the file is not written.
    std::fs::write(root.path("boot/firmware/config.txt"), "arm_64bit=1").unwrap();
    let reserve = root.path("boot/firmware/grooved/.reserve");
    let full = format!("case \"$*\" in *.new) [ ! -e {} ] || exit 1 ;; esac; exec /bin/cp \"$@\"", reserve.display());
    root.tool("cp", &full);
    root.run(CARD, &[]);
    assert!(root.log().contains("letters, digits and hyphens"), "{}", root.log());
    assert_eq!(root.read("boot/firmware/grooved/token").len(), 32);
    assert!(!reserve.exists() && !root.called().contains("reboot"), "{}", root.called());
}

#[test]
fn a_show_that_ends_in_safe_mode_leaves_word_of_it() {
    let root = Root::new("obituary");
    root.tool(
        "journalctl",
        "case \"$*\" in *err*) echo 'Watchdog timeout' ;; *) echo x; echo 'grooved: no port' ;; esac",
    );
    root.run(OBITUARY, &[]);
    let log = root.log();
    assert!(
        log.contains("failed repeatedly: Watchdog timeout") && log.contains("failed repeatedly: grooved: no port"),
        "{log}"
    );
    // Requested safe mode is not reported as a failure.
    let asked = Root::new("obituary-asked");
    asked.card("safe", "");
    asked.run(CARD, &[]);
    asked.run(OBITUARY, &[]);
    assert!(!asked.log().contains("failed repeatedly"), "{}", asked.log());
}

#[test]
fn a_network_that_is_not_there_is_told() {
    let root = Root::new("card-radio");
    root.card("network", "ssid = club\npassword = long enough\ncountry = DE\n");
    root.run(CARD, &[]);
    root.run(INTAKE, &[]);
    assert!(root.log().contains("network: no supported Wi-Fi adapter"), "{}", root.log());
    std::fs::create_dir_all(root.path("sys/class/net/wlan0")).unwrap();
    for (state, said) in [("down", "cannot connect to the Wi-Fi"), ("up", "everything was applied")] {
        std::fs::write(root.path("sys/class/net/wlan0/operstate"), state).unwrap();
        root.run(CARD, &[]);
        root.run(INTAKE, &[]);
        assert!(root.log().contains(said), "{state}: {}", root.log());
    }
}

#[test]
fn music_is_copied_once_and_what_cannot_be_played_is_named() {
    let root = Root::new("card-media");
    std::fs::create_dir_all(root.path("boot/firmware/grooved/media/set one")).unwrap();
    root.scratch.sine("boot/firmware/grooved/media/set one/a tone.wav", 48_000, 1, 440, 0.2);
    let whole = std::fs::read(here("tests/fixtures/tone.flac")).unwrap();
    std::fs::write(root.path("boot/firmware/grooved/media/cut.flac"), &whole[..whole.len() / 2]).unwrap();
    root.card("media/notes.txt", "not music");
    // Beat grid of the track.
    root.card("media/set one/a tone.json", "{\"bpm\": 120, \"beats\": [0.5]}");
    let said = root.run(INTAKE, &[]);
    assert!(said.contains("set one/a tone.wav copied"), "{said}");
    let copy = std::fs::read(root.path("data/lib/media/set one/a tone.wav")).unwrap();
    assert_eq!(copy, std::fs::read(root.path("boot/firmware/grooved/media/set one/a tone.wav")).unwrap());
    let log = root.log();
    assert!(
        log.contains("are missing at the end; copy it again") && log.contains("media/notes.txt: is not a sound file"),
        "{log}"
    );
    assert!(!root.path("data/lib/media/cut.flac").exists());
    assert!(root.path("data/lib/media/set one/a tone.json").exists() && !log.contains("json"), "{log}");
    assert!(!root.run(INTAKE, &[]).contains(" copied"), "it is not copied again");
}

/// Writes a package to the card's update folder.
fn package(root: &Root, file: &str, name: &str, architecture: &str, version: &str) {
    let tree = root.path(&format!("tree-{file}"));
    std::fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: x <x@localhost>\nDescription: x\n"
    );
    std::fs::write(tree.join("DEBIAN/control"), control).unwrap();
    std::fs::write(tree.join("payload"), vec![b'x'; 100_000]).unwrap();
    let to = root.path(&format!("boot/firmware/grooved/update/{file}"));
    let done = Command::new("dpkg-deb").args(["-Zxz", "-b"]).arg(&tree).arg(&to).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
}

/// An appliance with version 1.0 on which new packages work (`healthy`), or do not.
fn updated(name: &str, healthy: bool) -> Root {
    let root = Root::new(name);
    root.tool("dpkg-query", "echo 1.0");
    let real = "exec /usr/bin/dpkg \"$@\"";
    root.tool(
        "dpkg",
        &format!("case \"$1\" in --print-architecture) echo arm64 ;; --compare-versions) {real} ;; esac"),
    );
    let state = if healthy { "active" } else { "failed" };
    root.tool("systemctl", &format!("case \"$*\" in is-active*) echo {state} ;; show*) echo 0 ;; esac"));
    // A clock that advances with every reading.
    let ticks = root.path("ticks");
    root.tool("groovectl", &format!("echo x >>{0}; echo '{{\"sample_time\":'$(wc -l <{0})'}}'", ticks.display()));
    std::fs::write(root.path("data/packages/good.deb"), "the one before").unwrap();
    root
}

#[test]
fn a_package_that_plays_is_kept() {
    let root = updated("update-good", true);
    package(&root, "grooved_2.deb", "grooved", "arm64", "2.0");
    let bytes = std::fs::read(root.path("boot/firmware/grooved/update/grooved_2.deb")).unwrap();
    let said = root.run(INTAKE, &[]);
    assert!(said.contains("on trial") && said.contains("installed"), "{said}");
    let called = root.called();
    let trial = called.find("dpkg --force-confdef --force-confold -i").unwrap();
    let restart = called.find("systemctl restart grooved.service").unwrap();
    let commit = called.find("chroot").unwrap();
    assert!(trial < restart && restart < commit, "tried before it is kept: {called}");
    assert_eq!(std::fs::read(root.path("data/packages/good.deb")).unwrap(), bytes);
    assert!(!root.path("data/packages/next.deb").exists());
    assert!(root.path("boot/firmware/grooved/update/grooved_2.deb.installed").exists());
    assert!(root.log().contains("everything was applied"), "{}", root.log());
}

#[test]
fn a_package_that_does_not_play_is_taken_back() {
    let root = updated("update-ill", false);
    std::fs::write(root.path("data/lib/state.json"), "as it was").unwrap();
    let state = root.path("data/lib/state.json");
    // The new version writes its own state before it fails.
    let flag = root.path("written");
    let write =
        format!("restart*) [ -e {1} ] || {{ touch {1}; echo other >{0}; }} ;;", state.display(), flag.display());
    root.tool("systemctl", &format!("case \"$*\" in is-active*) echo failed ;; show*) echo 0 ;; {write} esac"));
    package(&root, "grooved_2.deb", "grooved", "arm64", "2.0");
    root.run(INTAKE, &[]);
    let called = root.called();
    assert!(called.contains("-i") && called.contains("data/packages/good.deb"), "{called}");
    assert_eq!(root.read("data/lib/state.json"), "as it was", "what it wrote is gone with it");
    assert!(!called.contains("chroot"), "nothing is written to the root: {called}");
    assert_eq!(root.read("data/packages/good.deb"), "the one before");
    assert!(root.log().contains("failed during the trial; reverted to 1.0"), "{}", root.log());
    assert!(root.path("boot/firmware/grooved/update/grooved_2.deb.refused").exists(), "no start tries it again");
}

#[test]
fn a_package_without_room_waits() {
    let root = updated("update-room", true);
    root.tool("df", "echo 'x 1 1 100 1% /data'");
    package(&root, "grooved_2.deb", "grooved", "arm64", "2.0");
    root.run(INTAKE, &[]);
    assert!(root.log().contains("update/grooved_2.deb: not enough space"), "{}", root.log());
    assert!(!root.called().contains(" -i ") && !root.called().contains("restart"), "{}", root.called());
    assert!(root.path("boot/firmware/grooved/update/grooved_2.deb").exists(), "as it was");
}

#[test]
fn packages_that_cannot_be_right_are_not_even_tried() {
    let root = updated("update-wrong", true);
    package(&root, "a.deb", "grooved", "arm64", "2.0");
    let cut = root.path("boot/firmware/grooved/update/a.deb");
    let mut bytes = std::fs::read(&cut).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle] ^= 0xff;
    std::fs::write(&cut, bytes).unwrap();
    package(&root, "b.deb", "grooved", "amd64", "2.0");
    package(&root, "c.deb", "bash", "arm64", "2.0");
    package(&root, "d.deb", "grooved", "arm64", "1.0");
    root.run(INTAKE, &[]);
    let log = root.log();
    assert!(log.contains("update/a.deb: damaged"), "{log}");
    assert!(log.contains("update/b.deb: contains grooved for amd64; expected grooved for arm64"), "{log}");
    assert!(log.contains("update/c.deb: contains bash for arm64"), "{log}");
    assert!(log.contains("update/d.deb: 1.0 is not newer than the installed 1.0"), "{log}");
    assert!(!root.called().contains(" -i "), "{}", root.called());
}

#[test]
fn with_a_key_in_the_image_only_signed_packages_are_tried() {
    let root = updated("update-signed", true);
    let keys = root.path("keys");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::create_dir_all(root.path("usr/share/grooved")).unwrap();
    let minisign = |args: &[&str]| {
        let done = Command::new("minisign").current_dir(&keys).args(args).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
    };
    for name in ["own", "other"] {
        minisign(&["-G", "-W", "-p", &format!("{name}.pub"), "-s", &format!("{name}.key")]);
    }
    std::fs::copy(keys.join("own.pub"), root.path("usr/share/grooved/update.pub")).unwrap();
    let update = root.path("boot/firmware/grooved/update");
    let sign = |file: &str, key: &str| minisign(&["-S", "-s", key, "-m", update.join(file).to_str().unwrap()]);
    for file in ["a.deb", "b.deb", "c.deb", "d.deb"] {
        package(&root, file, "grooved", "arm64", "2.0");
    }
    // Not signed, signed with another key, and replaced after signing.
    sign("b.deb", "other.key");
    sign("c.deb", "own.key");
    package(&root, "c.deb", "grooved", "arm64", "3.0");
    root.run(INTAKE, &[]);
    let log = root.log();
    for file in ["a.deb", "b.deb", "c.deb"] {
        assert!(update.join(format!("{file}.refused")).exists(), "{log}");
        assert!(log.contains(&format!("update/{file}: not signed with the key of this image")), "{log}");
    }
    let only = updated("update-signed-right", true);
    std::fs::create_dir_all(only.path("usr/share/grooved")).unwrap();
    std::fs::copy(keys.join("own.pub"), only.path("usr/share/grooved/update.pub")).unwrap();
    package(&only, "e.deb", "grooved", "arm64", "2.0");
    minisign(&["-S", "-s", "own.key", "-m", only.path("boot/firmware/grooved/update/e.deb").to_str().unwrap()]);
    let said = only.run(INTAKE, &[]);
    assert!(said.contains("installed"), "{said}\n{}", only.log());
}

#[test]
fn links_that_the_daemons_account_made_lead_root_nowhere() {
    // Only root can write as another user.
    if !String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).starts_with("0\n") {
        return;
    }
    let root = Root { account: "nobody", ..Root::new("card-links") };
    std::fs::create_dir_all(root.path("boot/firmware/grooved/media")).unwrap();
    root.scratch.sine("boot/firmware/grooved/media/a.wav", 48_000, 1, 440, 0.2);
    std::fs::create_dir_all(root.path("data/lib/media")).unwrap();
    let secret = root.path("secret");
    std::fs::write(&secret, "root's own").unwrap();
    for link in ["data/lib/media/a.wav.part", "data/lib/media/a.wav"] {
        std::os::unix::fs::symlink(&secret, root.path(link)).unwrap();
    }
    // The account needs access to every parent folder.
    for folder in root.path("data/lib/media").ancestors().take_while(|f| f.starts_with(&root.scratch.0)) {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder, open).unwrap();
    }
    Command::new("/bin/chown").arg("-Rh").arg("nobody").arg(root.path("data/lib/media")).status().unwrap();
    root.run(INTAKE, &[]);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "root's own", "{}", root.log());
}

#[test]
fn a_plug_pulled_while_a_package_was_written_goes_on() {
    let root = updated("update-cut", true);
    package(&root, "grooved_2.deb", "grooved", "arm64", "2.0");
    let package = root.path("boot/firmware/grooved/update/grooved_2.deb");
    std::fs::rename(&package, root.path("data/packages/next.deb")).unwrap();
    let said = root.run(INTAKE, &[]);
    assert!(said.contains("writing it again"), "{said}");
    assert!(root.called().contains("chroot"), "{}", root.called());
    assert!(root.path("data/packages/good.deb").exists() && !root.path("data/packages/next.deb").exists());
    // The file on the card is not rejected as too old.
    root.tool("dpkg-query", "echo 2.0");
    std::fs::copy(root.path("data/packages/good.deb"), &package).unwrap();
    root.run(INTAKE, &[]);
    assert!(
        package.with_extension("deb.installed").exists() && root.log().contains("everything was applied"),
        "{}",
        root.log()
    );
}

#[test]
fn tuning_is_put_back_as_it_was() {
    let root = Root::new("tune");
    let files = [
        ("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "ondemand", "performance"),
        ("sys/bus/usb/devices/1-1/power/control", "auto", "on"),
        ("sys/bus/usb/devices/1-2/power/control", "on", "on"),
    ];
    for (path, before, _) in files {
        std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
        std::fs::write(root.path(path), before).unwrap();
    }
    std::fs::create_dir_all(root.path("sys/class/net/wlan0/wireless")).unwrap();
    for (process, name) in [("51", "irq/33-xhci_hcd"), ("52", "irq/34-mmc0"), ("53", "irq/35-snd_hda_intel:card0")] {
        std::fs::create_dir_all(root.path(&format!("proc/{process}"))).unwrap();
        std::fs::write(root.path(&format!("proc/{process}/comm")), name).unwrap();
    }
    root.tool("chrt", "[ \"$1\" = -p ] && echo 'current scheduling priority: 50'; exit 0");
    root.tool("iw", "case \"$*\" in *get*) echo 'Power save: on' ;; esac");
    root.run("systemd/tune", &["apply"]);
    for (path, _, after) in files {
        assert_eq!(root.read(path), after, "{path}");
    }
    let called = root.called();
    for wanted in ["chrt -f -p 80 51", "chrt -f -p 80 53", "iw dev wlan0 set power_save off"] {
        assert!(called.contains(wanted), "{wanted}: {called}");
    }
    assert!(!called.contains("80 52"), "a disk's interrupt stays below the audio thread: {called}");
    root.run("systemd/tune", &["revert"]);
    for (path, before, _) in files {
        assert_eq!(root.read(path), before, "{path}");
    }
    let called = root.called();
    for wanted in ["chrt -f -p 50 51", "iw dev wlan0 set power_save on"] {
        assert!(called.contains(wanted), "{wanted}: {called}");
    }
}

/// An appliance that lost power in `times` trials of version 2.0, which had written its own state.
fn went_down(name: &str, times: usize) -> Root {
    let root = updated(name, true);
    package(&root, "grooved_2.deb", "grooved", "arm64", "2.0");
    let line = format!("sha256sum <{}", root.path("boot/firmware/grooved/update/grooved_2.deb").display());
    let sum = Command::new("sh").args(["-c", &line]).output().unwrap();
    std::fs::write(root.path("data/packages/trying"), sum.stdout.repeat(times)).unwrap();
    std::fs::create_dir_all(root.path("data/packages/before")).unwrap();
    std::fs::write(root.path("data/packages/before/state.json"), "as it was").unwrap();
    std::fs::write(root.path("data/lib/state.json"), "other").unwrap();
    root
}

#[test]
fn a_package_whose_trial_was_cut_short_is_tried_again() {
    let root = went_down("update-again", 1);
    let marks = root.path("marks");
    root.tool("chroot", &format!("cp {} {}", root.path("data/packages/trying").display(), marks.display()));
    let said = root.run(INTAKE, &[]);
    assert!(said.contains("on trial") && said.contains("installed"), "{said}");
    assert_eq!(root.read("data/lib/state.json"), "as it was", "it begins with what the first trial began with");
    assert_eq!(root.read("marks").lines().count(), 2, "another pulled plug would be one too many");
    assert!(root.path("boot/firmware/grooved/update/grooved_2.deb.installed").exists());
    assert!(
        !root.path("data/packages/trying").exists() && root.log().contains("everything was applied"),
        "{}",
        root.log()
    );
}

#[test]
fn a_package_that_took_the_machine_down_twice_is_not_tried_again() {
    let root = went_down("update-down", 2);
    root.run(INTAKE, &[]);
    assert!(root.log().contains("went down twice during the trial; keeping 1.0"), "{}", root.log());
    assert!(!root.called().contains(" -i "), "{}", root.called());
    assert_eq!(root.read("data/lib/state.json"), "as it was");
    assert!(root.path("boot/firmware/grooved/update/grooved_2.deb.refused").exists());
}

#[test]
fn no_package_is_tried_in_safe_mode() {
    let root = updated("update-safe", true);
    package(&root, "grooved_2.deb", "grooved", "arm64", "2.0");
    root.card("safe", "");
    root.run(CARD, &[]);
    root.run(INTAKE, &[]);
    assert!(!root.called().contains(" -i ") && !root.called().contains("restart grooved"), "{}", root.called());
    assert!(root.path("boot/firmware/grooved/update/grooved_2.deb").exists(), "it waits");
}
