    home=/usr/lib/transfer-gateway
    unit=transfer-gateway.service
    configuration=/etc/transfer-gateway
    version='@VERSION@'

    say() { printf 'transfer-gateway: %s\n' "$*" >&2; }
    # Which release is in use, as "releases/1.0" or "kept/0.9".
    in_use() { readlink $home/current 2>/dev/null || true; }
    lead() { # where $home/current is to lead: at once, or not at all
        ln -sfn "$1" $home/current.new
        mv -Tf $home/current.new $home/current
    }
    systemd_runs() { [ -d /run/systemd/system ]; }
    # The gateways that run, one a line: the service itself, then its instances.
    running() {
        systemd_runs || return 0
        systemctl list-units --plain --no-legend --state=active,activating,reloading $unit 'transfer-gateway@*.service' | cut -d ' ' -f 1
    }
    of_unit() { # its directory of configuration
        case $1 in
            *@*) name=${1#*@}; echo "$configuration/instances/${name%.service}" ;;
            *) echo $configuration ;;
        esac
    }
