"""Look for the radar, the card and their network, and say what is missing.

Every line is `ok`, `warn` (a capture works, within limits) or `fail` (it would not), with what to do. Nothing is
changed. Exit code 4 when something fails that a capture needs.

Example:
  mmsar hw doctor
  mmsar hw doctor --host-ip 192.168.33.30 --card-ip 192.168.33.180 --port /dev/ttyACM0 --folder recordings/
"""

import argparse

from mmsar.cli.arguments import address, check_addresses

HELP = "look for the radar, the card and their network, and say what is missing"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "--host-ip", type=address, default="192.168.33.30", help="this machine's address for the card (%(default)s)"
    )
    parser.add_argument("--card-ip", type=address, default="192.168.33.180", help="the card's address (%(default)s)")
    parser.add_argument("--port", help="the radar's serial command port; default: the one USB names so")
    parser.add_argument("--no-radar", action="store_true", help="do not look for a radar: something else controls it")
    parser.add_argument("--folder", help="measure the disk a recording would go to (writes and deletes 128 MiB)")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the checks; 4 when one fails."""
    import json
    from dataclasses import asdict

    from mmsar.hardware.doctor import Bench, examine

    check_addresses(args)
    bench = Bench(
        host_ip=args.host_ip, card_ip=args.card_ip, port=args.port, radar=not args.no_radar, folder=args.folder
    )
    checks = []
    for check in examine(bench):
        checks.append(check)
        if not args.json:
            print(f"{check.verdict:5} {check.name:14} {check.text}", flush=True)
            if check.advice:
                print(f"{'':20} -> {check.advice}", flush=True)
    failed = [check.name for check in checks if check.verdict == "fail"]
    if args.json:
        print(json.dumps({"ready": not failed, "checks": [asdict(check) for check in checks]}, indent=2))
    elif failed:
        print(f"\nNot ready for a capture: {', '.join(failed)}.")
    else:
        print("\nReady for a capture.")
    return 4 if failed else 0
