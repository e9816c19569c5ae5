"""Findings about what stands around the radar: its antenna board and the capture card."""

from mmsar.hardware.board import Board
from mmsar.hardware.config.dca_json import DcaSettings
from mmsar.hardware.config.finding import Finding
from mmsar.hardware.config.radar_config import RadarConfig
from mmsar.hardware.device import device as find_device


def board_findings(config: RadarConfig, board: Board) -> list[Finding]:
    """Whether a board suits a configuration and near-field imaging."""
    found = []
    if board.device != config.device:
        why = "the configuration is for another chip than the board carries; check that the antennas are the same"
        found.append(_finding("warning", "board", f"{board.name} ({board.device})", f"one with {config.device}", why))
    lacking = [f"TX{t + 1}" for t in config.tx_order if t >= board.n_tx]
    lacking += [f"RX{r + 1}" for r in config.rx if r >= board.n_rx]
    if lacking:
        why = "the board's file does not have them; use others or complete the file"
        found.append(_finding("error", "board", ", ".join(dict.fromkeys(lacking)), f"elements of {board.name}", why))
    if not board.tx_rx_gap_known:
        why = (
            "capturing works, near-field imaging does not: measure the vector from RX1 to TX1 and write it into a "
            "board file of your own"
        )
        found.append(_finding("warning", "board", f"{board.name}, TX-RX gap not known", "a known gap", why))
    unsure = sorted(set(config.tx_order) & set(board.unsure_tx))
    if unsure:
        why = f"{'; '.join(board.unknown)}; use other transmitters or a board file of your own"
        found.append(_finding("warning", "board", f"TX{unsure[0] + 1}", "transmitters of certain place", why))
    elif board.unknown:
        found.append(_finding("note", "board", board.name, "all known", f"not certain: {'; '.join(board.unknown)}"))
    return found


def card_findings(settings: DcaSettings, device: str | None = None) -> list[Finding]:
    """What is worth knowing about the settings of a card, for a chip if given."""
    found = []
    if settings.logging_mode == "multi":
        why = "mmsar reads raw logging: one stream of samples; set dataLoggingMode to raw"
        found.append(_finding("error", "dataLoggingMode", "multi", "raw", why))
    if settings.playback:
        why = "the card would send, not capture; set dataTransferMode to LVDSCapture"
        found.append(_finding("error", "dataTransferMode", "playback", "LVDSCapture", why))
    if not settings.ethernet_stream:
        why = "samples would go to the SD card, not to this computer; set dataCaptureMode to ethernetStream"
        found.append(_finding("error", "dataCaptureMode", "SDCardStorage", "ethernetStream", why))
    if settings.reordered:
        why = "files of DCA1000EVM_CLI_Record are laid out otherwise than the stream; keep this cf.json beside them"
        found.append(_finding("note", "reorderEnable", "on", "on or off, but known", why))
    if settings.msb_toggle:
        why = "samples in files are offset binary; keep this cf.json beside them"
        found.append(_finding("note", "MSBToggle", "on", "on or off, but known", why))
    if device is not None:
        chip = find_device(device)
        if chip.name == "MMWCAS":
            why = "the cascade is captured over CSI-2 by its own board, without a DCA1000"
            found.append(_finding("error", "device", chip.name, "a single radar chip", why))
        elif settings.lvds_lanes > chip.lanes:
            why = f"{chip.name} has two lanes: set lvdsMode 2"
            found.append(_finding("error", "lvdsMode", "1 (4 lanes)", "2 (2 lanes)", why))
        elif settings.lvds_lanes < chip.lanes:
            why = (
                f"{chip.name} usually sends over four: set lvdsMode 1, or make sure the radar was set to two lanes "
                '(order "2lane-interleaved")'
            )
            found.append(_finding("warning", "lvdsMode", "2 (2 lanes)", "1 (4 lanes)", why))
    return found


def _finding(severity: str, limit: str, got: str, allowed: str, explanation: str) -> Finding:
    return Finding(severity=severity, limit=limit, got=got, allowed=allowed, explanation=explanation)
