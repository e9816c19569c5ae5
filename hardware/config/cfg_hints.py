"""What is worth saying about the command lines themselves: what the firmware wants beside the values.

Source: mmWave SDK demo sources (cli.c) and the questions of users, gathered from public issue trackers.
"""

from mmsar.hardware.config.cfg_text import CfgText
from mmsar.hardware.config.finding import Finding
from mmsar.hardware.config.radar_config import RadarConfig
from mmsar.hardware.device import Device

LINE_BYTES = 256
"""A line, its end included, must be shorter for the radar's command line."""


def text_findings(config: RadarConfig, chip: Device) -> list[Finding]:
    """Findings about the text a configuration was read from; none for JSON."""
    if config.text.lstrip().startswith("{") or not config.text.strip():
        return []
    text = CfgText.parse(config.text)
    found = []

    def say(severity: str, limit: str, got: str, allowed: str, why: str) -> None:
        found.append(Finding(severity=severity, limit=limit, got=got, allowed=allowed, explanation=why))

    if not chip.has_cli:
        why = f"{chip.name} takes no command lines over serial: it is set over SPI or by its host board"
        say("warning", "command lines", "a .cfg", "another way", why)
    for command in text.commands:
        line = text.lines[command.line_no - 1]
        if len(line.encode()) >= LINE_BYTES:
            why = "the radar takes no longer lines; shorten it"
            say("error", f"line {command.line_no}", f"{len(line.encode())} bytes", f"less than {LINE_BYTES}", why)
        if not line.isascii():
            why = "the radar reads plain ASCII; replace the other characters"
            say("warning", f"line {command.line_no}", "characters beyond ASCII", "plain ASCII", why)
    hashes = [n for n, line in enumerate(text.lines, start=1) if line.lstrip().startswith("#")]
    if hashes:
        why = "the demo knows % only and answers # lines as unknown; mmsar does not send them"
        say("note", f"line {hashes[0]}", "a comment with #", "%", why)
    if not text.named("lvdsStreamCfg"):
        stock = "the stock demo of this chip sends none: it needs other firmware or mmWave Studio"
        other = "add lvdsStreamCfg -1 0 1 0, unless your firmware streams by itself"
        why = f"the card gets no samples without streaming; {stock if chip.name == 'xWR1443' else other}"
        say("warning", "lvdsStreamCfg", "none", "lvdsStreamCfg -1 0 1 0", why)
    if not text.named("dfeDataOutputMode"):
        why = "read as plain frames, because frameCfg is there; the demo wants the line"
        say("warning", "dfeDataOutputMode", "none", "dfeDataOutputMode 1", why)
    power = text.named("lowPower")
    if chip.name == "xWR1642" and any(len(c.args) == 2 and c.args[1] == "0" for c in power):
        say("warning", "lowPower", "lowPower 0 0", "lowPower 0 1", "AWR1642 wants the low-power ADC mode")
    if chip.name in ("xWR1642", "xWR1843", "xWR6843") and not text.named("calibData"):
        why = "users of SDK 3.x report that sensorStart fails without it; add it if yours does"
        say("note", "calibData", "none", "calibData 0 0 0", why)
    return found
