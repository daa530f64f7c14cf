#!/bin/sh
# Makes a measuring device of a Raspberry Pi. Safe to run again: it changes only what differs, and keeps your settings.
set -eu
# The services run as a user of their own and read what is put in place here, whatever root keeps from others.
umask 022

usage() {
    cat <<'TEXT'
Usage: sudo sh install.sh [OPTIONS]

Installs stibium into /opt/stibium, its services, device names, and settings that spare the card.

  --watch        start stibium-watch at every boot: estimates from spectra in a folder
  --listen       start stibium-listen when a probe is plugged in (one with a button)
  --page         start stibium-serve at every boot: a page for a phone, on a network of the device's own where no known
                 one is in reach (NetworkManager)
  --uart         settings for a probe on the header's pins 8 and 10: takes the serial console away from them,
                 and Bluetooth off a Pi before the 5
  --from WHAT    what pip installs: a folder or a wheel        [default: the checkout this script is in]
  --no-python    leave /opt/stibium as it is
  --uninstall    take away all that this script has put in place; the log, models and settings stay
  --root DIR     write below DIR and start nothing (implies --no-python), to look at what would be done
  --help         this text
TEXT
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root='' from=$here/../.. python=yes watch=no listen=no page=no uart=no uninstall=no changed=0

refuse() {
    echo "install.sh: $1" >&2
    exit "$2"
}

while [ $# -gt 0 ]; do
    case $1 in
        --watch) watch=yes ;;
        --listen) listen=yes ;;
        --page) page=yes ;;
        --uart) uart=yes ;;
        --no-python) python=no ;;
        --uninstall) uninstall=yes ;;
        --from | --root)
            [ $# -ge 2 ] || refuse "$1 needs a value; --help shows how" 2
            if [ "$1" = --from ]; then from=$2; else root=$2; fi
            shift
            ;;
        -h | --help) usage && exit 0 ;;
        *) refuse "unknown option $1; --help shows what there is" 2 ;;
    esac
    shift
done

if [ -n "$root" ]; then
    [ -d "$root" ] || refuse "$root: no such folder" 1
    root=$(CDPATH='' cd -- "$root" && pwd)
    [ "$root" != / ] || refuse "--root / is this device; leave --root away" 2
    python=no
else
    [ "$(id -u)" -eq 0 ] || refuse "only root can install; run: sudo sh $0" 1
    command -v systemctl >/dev/null || refuse "systemd is needed, as on Raspberry Pi OS" 1
fi

note() {
    echo "$1"
    changed=$((changed + 1))
}

# put NAME TARGET [MODE]: copy a file from beside this script, unless it is there already, the same. Written aside and
# renamed, so that a power cut leaves the old one or the new one.
put() {
    mode=${3:-0644}
    if cmp -s "$here/$1" "$root$2"; then
        return
    fi
    mkdir -p "$(dirname "$root$2")"
    cp "$here/$1" "$root$2.new"
    chmod "$mode" "$root$2.new"
    mv "$root$2.new" "$root$2"
    note "wrote $2"
}

# A file that belongs to the person once it is there.
put_once() {
    [ -e "$root$2" ] || put "$1" "$2"
}

# keep_first FILE: what stands in FILE.new becomes FILE, a file of the system; its first original stays beside it.
keep_first() {
    if cmp -s "$root$1" "$root$1.new"; then
        rm "$root$1.new"
        return
    fi
    [ -e "$root$1.before-stibium" ] || cp -p "$root$1" "$root$1.before-stibium"
    mv "$root$1.new" "$root$1"
    note "changed $1 (the original is $1.before-stibium)"
}

units() {
    if [ -n "$root" ]; then
        systemctl --root="$root" --quiet "$@"
    else
        systemctl --quiet "$@"
    fi
}

install_python() {
    [ -e "$from" ] || refuse "$from: no such file or folder; --from names a checkout or a wheel" 1
    [ -x /opt/stibium/bin/python ] || python3 -m venv /opt/stibium ||
        refuse "no virtual environment can be made; run: apt install python3-venv" 1
    extra=''
    [ "$page" = no ] || extra='[web]'
    case $(uname -m)-$(/opt/stibium/bin/python -c 'import sys; print(*sys.version_info[:2], sep=".")') in
        aarch64-3.11 | x86_64-3.11)
            /opt/stibium/bin/python -m pip install --quiet --require-hashes --only-binary :all: \
                --requirement "$here/requirements.txt" ${extra:+--requirement "$here/requirements-web.txt"} ||
                refuse "pip could not install what requirements.txt names; is there a network?" 1
            only=--no-deps
            ;;
        *)
            echo "no hashes are known for this Python and machine; pip takes what the package index gives"
            only=--quiet
            ;;
    esac
    /opt/stibium/bin/python -m pip install --quiet --upgrade $only "$from$extra" ||
        refuse "pip could not install $from; is there a network?" 1
    /opt/stibium/bin/python -m pip check >/dev/null ||
        refuse "$from needs something else than requirements.txt has; run make pins where it was made" 1
    mkdir -p /usr/local/bin
    ln -sfn /opt/stibium/bin/stibium /usr/local/bin/stibium
    echo "installed $(/opt/stibium/bin/stibium --version)"
}

# each_file COMMAND: run COMMAND with each file beside this script and the place where it goes.
each_file() {
    "$1" stibium-watch.service /etc/systemd/system/stibium-watch.service
    "$1" stibium-listen@.service /etc/systemd/system/stibium-listen@.service
    "$1" stibium-serve.service /etc/systemd/system/stibium-serve.service
    "$1" tmp.mount /etc/systemd/system/tmp.mount
    "$1" journald.conf /etc/systemd/journald.conf.d/stibium.conf
    "$1" system.conf /etc/systemd/system.conf.d/stibium.conf
    "$1" sysusers.conf /etc/sysusers.d/stibium.conf
    "$1" tmpfiles.conf /etc/tmpfiles.d/stibium.conf
    "$1" sysctl.conf /etc/sysctl.d/90-stibium.conf
    "$1" 70-stibium.rules /etc/udev/rules.d/70-stibium.rules
    "$1" 71-stibium-usb-power.rules /etc/udev/rules.d/71-stibium-usb-power.rules
    "$1" profile.sh /etc/profile.d/stibium.sh
    "$1" README.md /usr/local/share/doc/stibium/README.md
}

install_files() {
    each_file put
    put_once stibium.env /etc/stibium/stibium.env
}

hotspot=/etc/NetworkManager/system-connections/stibium-hotspot.nmconnection
hotspot_dns=/etc/NetworkManager/dnsmasq-shared.d/stibium.conf

# A password of this device's own, made once; NetworkManager takes no profile that others may read.
install_page() {
    put hotspot-dns.conf "$hotspot_dns"
    [ ! -e "$root$hotspot" ] || return 0
    password=$(tr -dc 'a-hjkmnp-z2-9' </dev/urandom | head -c 12)
    mkdir -p "$(dirname "$root$hotspot")"
    (umask 077 && sed "s/^psk=PASSWORD\$/psk=$password/" "$here/stibium-hotspot.nmconnection" >"$root$hotspot.new")
    mv "$root$hotspot.new" "$root$hotspot"
    note "wrote $hotspot; the password of the network stibium is $password"
}

find_boot() {
    boot=/boot/firmware
    [ -e "$root$boot/config.txt" ] || boot=/boot
}

# without_console FILE: the kernel's command line without the serial console.
without_console() {
    sed 's/ *console=\(serial0\|ttyAMA0\|ttyS0\),[0-9]*//g; s/^ *//' "$1"
}

consoles='serial-getty@ttyAMA0.service serial-getty@ttyS0.service'

install_uart() {
    find_boot
    [ -e "$root$boot/config.txt" ] || refuse "no config.txt in /boot/firmware or /boot; is this a Raspberry Pi?" 1
    put config.txt "$boot/stibium.txt"
    if ! grep -q '^include stibium\.txt' "$root$boot/config.txt"; then
        # At the end of the file another filter, such as [cm4], may be in force.
        { cat "$root$boot/config.txt" && printf '\n[all]\ninclude stibium.txt\n'; } >"$root$boot/config.txt.new"
        keep_first "$boot/config.txt"
    fi
    if [ -e "$root$boot/cmdline.txt" ]; then
        without_console "$root$boot/cmdline.txt" >"$root$boot/cmdline.txt.new"
        keep_first "$boot/cmdline.txt"
    fi
    for unit in $consoles; do
        units mask "$unit"
    done
}

enable_units() {
    units enable tmp.mount
    if [ "$watch" = yes ]; then
        units enable stibium-watch.service
    fi
    if [ "$page" = yes ]; then
        units enable stibium-serve.service
    fi
    if [ "$listen" = yes ] && [ ! -e "$root/etc/stibium/listen" ]; then
        # The udev rule looks for this file.
        : >"$root/etc/stibium/listen"
        note "wrote /etc/stibium/listen"
    fi
}

apply_now() {
    systemd-sysusers
    systemd-tmpfiles --create stibium.conf
    udevadm control --reload
    udevadm trigger --subsystem-match=tty --subsystem-match=usb
    systemctl daemon-reload
    systemctl try-restart systemd-journald.service
    if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        usermod --append --groups dialout,stibium "$SUDO_USER"
        echo "$SUDO_USER is in the groups dialout and stibium; log in again for it to take effect"
    fi
    if [ "$watch" = yes ]; then
        systemctl restart stibium-watch.service
    fi
    if [ "$page" = yes ]; then
        nmcli connection reload || echo "NetworkManager is not there: the hotspot has to be made in another way"
        systemctl restart stibium-serve.service
    fi
    # What runs already goes on with the new program and the new settings.
    systemctl try-restart stibium-watch.service stibium-serve.service 'stibium-listen@*.service'
}

# take_away NAME TARGET: what put has put there.
take_away() {
    if [ -e "$root$2" ] || [ -L "$root$2" ]; then
        rm -rf "$root$2"
        note "removed $2"
    fi
}

uninstall_uart() {
    find_boot
    take_away config.txt "$boot/stibium.txt"
    first=$root$boot/config.txt.before-stibium
    if [ -e "$first" ]; then
        # What else has changed in it since belongs to the person.
        sed '/^include stibium\.txt/d' "$root$boot/config.txt" >"$root$boot/config.txt.new"
        mv "$root$boot/config.txt.new" "$root$boot/config.txt"
        rm "$first"
        note "took stibium.txt out of $boot/config.txt"
    fi
    first=$root$boot/cmdline.txt.before-stibium
    if [ -e "$first" ]; then
        if without_console "$first" | cmp -s - "$root$boot/cmdline.txt"; then
            mv "$first" "$root$boot/cmdline.txt"
            note "put $boot/cmdline.txt back"
        else
            echo "$boot/cmdline.txt was changed by others too and stays; as it was: $boot/cmdline.txt.before-stibium"
        fi
    fi
    for unit in $consoles; do
        if [ "$(readlink "$root/etc/systemd/system/$unit")" = /dev/null ]; then
            units unmask "$unit"
        fi
    done
}

uninstall() {
    if [ -z "$root" ]; then
        systemctl stop stibium-watch.service stibium-serve.service 'stibium-listen@*.service'
    fi
    if [ -e "$root/etc/systemd/system/stibium-watch.service" ]; then
        units disable stibium-watch.service tmp.mount
    fi
    if [ -e "$root/etc/systemd/system/stibium-serve.service" ]; then
        units disable stibium-serve.service
    fi
    each_file take_away
    take_away - "$hotspot"
    take_away - "$hotspot_dns"
    take_away - /etc/stibium/listen
    take_away - /usr/local/bin/stibium
    take_away - /opt/stibium
    uninstall_uart
    if [ -z "$root" ]; then
        systemctl daemon-reload
        udevadm control --reload
    fi
    echo "$changed changes; /var/lib/stibium with log and models, and /etc/stibium/stibium.env, are yours and stay"
}

if [ "$uninstall" = yes ]; then
    uninstall
    exit 0
fi
[ "$python" = no ] || install_python
install_files
[ "$page" = no ] || install_page
[ "$uart" = no ] || install_uart
enable_units
if [ -n "$root" ]; then
    echo "$changed changes below $root; nothing was started"
else
    apply_now
    echo "$changed changes; restart the device once for all of them to take effect, then: stibium doctor"
fi
