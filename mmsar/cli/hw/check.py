"""Explain a radar configuration: what follows from it, and every limit it breaks.

Reads command lines (.cfg), .mmwave.json, and the card's cf.json. Without --device, the chip is taken from the file's
comments. --speed checks the sampling of a scan at that speed. Exit code 3 when a limit is broken ("error"); "warning"
may go wrong, "note" is worth knowing.

Example:
  mmsar hw check profile.cfg --device xWR1843 --board IWR1843BOOST --speed 20
  mmsar hw check cf.json
"""

import argparse
import json
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import packet_delay, positive

if TYPE_CHECKING:
    from mmsar.hardware.board import Board
    from mmsar.hardware.config.dca_json import DcaSettings
    from mmsar.hardware.config.finding import Finding
    from mmsar.hardware.config.radar import RadarConfig

HELP = "explain a radar configuration and every limit it breaks"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("config", metavar="CONFIG", help=".cfg, .mmwave.json or cf.json")
    parser.add_argument("--device", metavar="CHIP", help="radar chip or its board, as xWR1843 (from the comments)")
    parser.add_argument("--board", metavar="NAME", help="antenna board, or a board file (.json)")
    parser.add_argument("--speed", type=positive, metavar="MM_S", help="speed of the scan [mm/s]")
    parser.add_argument(
        "--packet-delay", type=packet_delay, metavar="US", help="pause of the card between packets, 5 to 500 [us] (25)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON (SI units) instead")


def run(args: argparse.Namespace) -> int:
    """Print the table and the findings."""
    from mmsar.hardware.config.cfg_text import read_text
    from mmsar.hardware.config.dca_json import parse_cf_json
    from mmsar.hardware.config.finding import SEVERITIES
    from mmsar.hardware.config.json_values import parse_json
    from mmsar.hardware.config.limits import broken

    text = read_text(args.config)
    if text.lstrip().startswith("{") and "DCA1000Config" in parse_json(text, args.config):
        settings = parse_cf_json(text, name=args.config)
        report, lines, findings = _card(args, settings)
    else:
        report, lines, findings = _radar(args)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    report["findings"] = [finding.to_dict() for finding in findings]
    report["ok"] = not broken(findings)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        lines += [f"{finding.severity:<11} {finding}" for finding in findings]
        kinds = [(sum(f.severity == kind for f in findings), kind) for kind in SEVERITIES]
        lines.append("result      " + ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for n, kind in kinds))
        print("\n".join(lines))
    return 3 if broken(findings) else 0


def _radar(args: argparse.Namespace) -> tuple[dict[str, Any], list[str], "list[Finding]"]:
    from mmsar.hardware.board import board as find_board
    from mmsar.hardware.config.bench_findings import board_findings
    from mmsar.hardware.config.derived import DEFAULT_PACKET_DELAY, derived
    from mmsar.hardware.config.limits import check
    from mmsar.hardware.config.radar import read_cfg

    config = read_cfg(args.config, device=args.device, for_capture=False)
    delay = DEFAULT_PACKET_DELAY if args.packet_delay is None else args.packet_delay * 1e-6
    findings = check(config, speed=None if args.speed is None else args.speed * 1e-3, packet_delay=delay)
    values = derived(config)
    board = None if args.board is None else find_board(args.board)
    if board is not None:
        findings += board_findings(config, board)
    report = {
        "file": args.config,
        "kind": "radar",
        "device": config.device,
        "config": {
            "start_frequency": config.start_frequency,
            "slope": config.slope,
            "idle": config.idle,
            "adc_start": config.adc_start,
            "ramp_end": config.ramp_end,
            "fs": config.fs,
            "n_samples": config.n_samples,
            "rx": list(config.rx),
            "tx_order": list(config.tx_order),
            "n_loops": config.n_loops,
            "n_frames": config.n_frames,
            "frame_period": config.frame_period,
            "trigger": config.trigger,
            "complex_samples": config.complex_samples,
            "adc_bits": config.adc_bits,
            "sample_swap": config.sample_swap,
            "layout": config.layout,
        },
        "derived": values.to_dict(),
        "quantised": {name: {"nominal": q.nominal, "actual": q.actual} for name, q in config.quantised.items()},
        "digest": config.digest,
        "board": None if board is None else board.name,
    }
    return report, _table(config, values, board, args.config), findings


def _table(config: "RadarConfig", values: Any, board: "Board | None", name: str) -> list[str]:
    n_frames = "endless" if config.n_frames == 0 else f"{config.n_frames:,} frames"
    kind = "complex" if config.complex_samples else "real"
    rounded = config.quantised
    lines = [
        f"{name}: {config.device}, {config.n_tx} TX x {config.n_rx} RX x {config.n_samples} {kind} samples x "
        f"{config.n_loops} loops, {n_frames}",
        f"ramp        {config.start_frequency / 1e9:.6g} to {values.ramp_stop_frequency / 1e9:.6g} GHz, "
        f"{config.slope / 1e12:.6g} MHz/us for {config.ramp_end * 1e6:g} us after {config.idle * 1e6:g} us idle",
        f"            as the chip rounds it: start {rounded['start_frequency'].actual / 1e9:.9f} GHz, "
        f"slope {rounded['slope'].actual / 1e12:.6f} MHz/us",
        f"samples     {values.first_frequency / 1e9:.6g} to {values.last_frequency / 1e9:.6g} GHz, from "
        f"{config.adc_start * 1e6:g} us on for {values.adc_time * 1e6:.5g} us at {config.fs / 1e3:g} ksps",
        f"bandwidth   {values.bandwidth / 1e9:.6g} GHz sampled, wavelength {values.wavelength * 1e3:.4f} mm",
        f"range       resolution {values.range_resolution * 1e3:.4g} mm, unambiguous to {values.range_max:.4g} m",
        f"transmit    {', '.join(f'TX{t + 1}' for t in config.tx_order)} in turn, a chirp every "
        f"{values.chirp_time * 1e6:.5g} us; receive {', '.join(f'RX{r + 1}' for r in config.rx)}",
        f"frame       {values.frame_active * 1e3:.5g} ms of chirps every {config.frame_period * 1e3:g} ms "
        f"({100 * values.duty:.3g} %), {config.trigger} trigger",
        f"motion      radial speed to {values.velocity_max:.4g} m/s, scan at most "
        f"{values.scan_speed_max * 1e3:.4g} mm/s for a frame every lambda/4",
    ]
    if values.frame_bytes is not None:
        lines.append(
            f"data        {values.frame_bytes:,} bytes a frame ({values.packets_per_frame:.5g} packets), "
            f"{values.data_rate * 8e-6:.4g} Mb/s, {values.lane_rate * 1e-6:.4g} Mb/s on each lane within a chirp; "
            f"{config.adc_bits} bits, order {config.layout}"
        )
    else:
        lines.append("data        order of the samples not known")
    if board is not None:
        what = "TX-RX gap not known"
        if board.tx_rx_gap_known:
            gap = 1e3 * float(abs(board.tx[:, None] - board.rx[None]).max())
            what = f"TX and RX up to {gap:.1f} mm apart"
        lines.append(f"board       {board.name}, {board.n_tx} TX and {board.n_rx} RX, {what}; {board.source}")
    return lines


def _card(args: argparse.Namespace, settings: "DcaSettings") -> tuple[dict[str, Any], list[str], "list[Finding]"]:
    from dataclasses import asdict

    from mmsar.hardware.config.bench_findings import card_findings
    from mmsar.hardware.config.derived import LINK_SHARE, link_capacity

    capacity = link_capacity(settings.packet_delay_s)
    values = asdict(settings)
    del values["text"]
    report = {"file": args.config, "kind": "card", "settings": values, "link_capacity": capacity}
    lines = [
        f"{args.config}: DCA1000, {settings.lvds_lanes} lanes, {settings.format_bits} bits, "
        f"{settings.logging_mode} logging",
        f"network     card {settings.card_ip} port {settings.config_port}, host {settings.host_ip} port "
        f"{settings.data_port}",
        f"link        {capacity * 8e-6:.4g} Mb/s at a packet delay of {settings.packet_delay_s * 1e6:g} us; "
        f"use up to {LINK_SHARE * capacity * 8e-6:.4g}",
        f"file        {settings.file_prefix or 'no prefix'}, samples {'reordered' if settings.reordered else 'as sent'}"
        f"{', top bit inverted' if settings.msb_toggle else ''}, stop by {settings.stop_mode or 'nothing'}"
        + ("" if settings.stop_after is None else f" ({settings.stop_after:g})"),
    ]
    return report, lines, card_findings(settings, args.device)
