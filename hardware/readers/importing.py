"""One call for every kind of recording: what is it, what was the radar told, where was it; then the scan.

    scan = import_recording("raw/", "plate.toml")

A recording folder carries the radar's configuration; a packet capture, a cascade folder or .bin files name theirs in
the description, [capture] config = "profile.cfg" (with `device` where the text does not say the chip, and `cf_json`
for files of DCA1000EVM_CLI_Record), or have one `.mmwave.json` beside them. The description gives what no file knows:
poses ([scan]), antennas ([array] board) and calibration. Without a configuration, it is `mmsar.import_scan`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.dca_json import read_cf_json
from mmsar.hardware.config.radar import RadarConfig, read_cfg
from mmsar.hardware.readers.capture_signal import FrameSource, capture_scan
from mmsar.hardware.readers.cascade import LAYOUT as CASCADE_LAYOUT
from mmsar.hardware.readers.cascade import is_cascade, open_cascade
from mmsar.hardware.readers.described import fill
from mmsar.hardware.readers.hearsay import contradictions
from mmsar.hardware.readers.pcap import is_pcap
from mmsar.hardware.readers.pcap_capture import PcapCapture
from mmsar.hardware.readers.studio import parts, studio_set
from mmsar.hardware.readers.ti_cli import Stored, check_names, stored
from mmsar.io.importers import import_described
from mmsar.io.importers.description import Description, checked, load_description
from mmsar.io.importers.iq_layout import REAL, frame_bytes
from mmsar.model import Scan

MANIFEST = "manifest.json"
"""What makes a folder a recording of `mmsar hw record`."""


NAMES = {
    "recording": "recording of mmsar",
    "cascade": "cascade recording",
    "pcap": "packet capture",
    "files": ".bin file",
}
_OF_FILES = ("files", "pattern", "frames_per_file", "skip_bytes", "ignore_bytes", "offset_binary", "cf_json")
_OF_PACKETS = ("port", "source_ip")
FOREIGN = {
    "recording": (*_OF_FILES, *_OF_PACKETS, "config", "device"),
    "cascade": (*_OF_FILES, *_OF_PACKETS),
    "pcap": _OF_FILES,
    "files": _OF_PACKETS,
}
"""Keys of [capture] that mean nothing for a kind of source."""


@dataclass(frozen=True)
class _Told:
    """What the radar was told, and what messages call it."""

    config: RadarConfig
    name: str


def kind_of(path: Path) -> str:
    """What a path is: "recording" (mmsar hw record), "cascade", "pcap", or "files" (everything else).

    Raises
    ------
    FormatError
        Nothing there.
    """
    if not path.exists():
        raise FormatError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        return "recording" if (path / MANIFEST).is_file() else "cascade" if is_cascade(path) else "files"
    return "pcap" if is_pcap(path) else "files"


def import_recording(
    path: str | os.PathLike[str],
    description: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    check_sign: bool = False,
    lazy: bool | None = None,
) -> Scan:
    """Import any recording of a radar, or whatever `mmsar.import_scan` reads.

    Parameters
    ----------
    path : path
        A recording folder of mmsar, a .pcap, a folder of the cascade, .bin files of Studio or TI's command line, or a
        file for `import_scan`.
    description : path, mapping or None
        The TOML file, or its content; default: the .toml beside the file, or scan.toml inside the folder. The files it
        names are looked for beside the data, then beside the description.
    check_sign, lazy
        As for `mmsar.import_scan`.

    Returns
    -------
    Scan
        attrs["config_digest"] says for which configuration it was recorded, attrs["notes"] what was found.

    Raises
    ------
    FormatError
        Files that contradict each other, are cut short or of another kind; a description that leaves something open.
    """
    source = Path(path)
    kind = kind_of(source)
    described = load_description(description, source)
    home = Path(description).parent if isinstance(description, str | os.PathLike) else described.folder
    if described.tables.get("format", "ti-raw") != "ti-raw":
        if kind != "files":
            raise described.error(f'format: got "{described.tables["format"]}", wanted "ti-raw" for a {NAMES[kind]}')
        return import_described(source, checked(described), check_sign=check_sign, lazy=lazy)
    capture, told, source, described = _opened(source, kind, described, home)
    beside, described = _hearsay(checked(described), home)
    reader = None if capture is None else lambda _, filled: capture_scan(capture, filled)
    scan = import_described(source, described, reader=reader, check_sign=check_sign, lazy=lazy)
    attrs = dict(scan.attrs)
    if told is not None:
        attrs |= {"config_digest": told.config.digest, "config_name": told.name}
    notes = _notes(capture)
    if beside:
        notes += _contradictions(beside, scan, described, source)
    if notes:
        attrs["notes"] = notes
    return replace(scan, attrs=attrs)


def _opened(
    source: Path, kind: str, described: Description, home: Path
) -> tuple[FrameSource | None, _Told | None, Path, Description]:
    """The capture (None: .bin files), what the radar was told (None: nothing known), the data, the description."""
    given = described.tables.get("capture", {})
    if not isinstance(given, Mapping):
        raise described.error(f"[capture]: got {given!r}, wanted a table")
    _texts(described, given)
    for key in given:
        if key in FOREIGN.get(kind, ()):
            raise described.error(f"[capture] {key}: does not belong to a {NAMES[kind]}; remove it")
    if kind == "recording":
        from mmsar.hardware.dca1000.capture import Capture

        capture = Capture.open(source)
        told = _Told(capture.config, f"the recording's configuration ({source.name}/{MANIFEST})")
        described = _board_of(described, capture.manifest.get("board"))
        return capture, told, source, fill(described, told.config, _as_sent(told.config), name=told.name)
    if kind == "pcap":
        told = _need(_told(described, given, home, source), described, kind)
        port = {key: given[name] for key, name in (("port", "port"), ("source", "source_ip")) if name in given}
        capture = PcapCapture(source, told.config, **port)
        return capture, told, source, fill(described, told.config, _as_sent(told.config), name=told.name)
    if kind == "cascade":
        found = None if "config" in given else studio_set(source).config
        told = _need(_told(described, given, home, source, beside=found), described, kind)
        capture = open_cascade(source, told.config)
        layout = Stored(layout=CASCADE_LAYOUT, offset_binary=False)
        return capture, told, source, fill(described, told.config, layout, name=told.name)
    return None, *_files(source, described, given, home)


def _files(
    source: Path, described: Description, given: Mapping[str, Any], home: Path
) -> tuple[_Told | None, Path, Description]:
    """.bin files: several parts of one capture are put in order, and what they hold is taken from the configuration."""
    if "config" not in given and not any(source.glob("*.mmwave.json") if source.is_dir() else ()):
        if "cf_json" in given or "device" in given:
            raise described.error(
                "[capture] config: missing, wanted the radar's configuration beside cf_json and device"
            )
        return None, source, described
    named = _file(described, given["config"], home) if "config" in given else None
    studio = studio_set(source, config=named)
    told = _told(described, given, home, source, beside=studio.config, device=studio.device)
    settings = None
    if "cf_json" in given:
        path = _file(described, given["cf_json"], home)
        settings = stored(read_cf_json(path), told.config, name=path.name)
    elif given.get("layout") is not None and (given["layout"] in REAL) != told.config.complex_samples:
        settings = Stored(layout=given["layout"], offset_binary=False)
    pattern = given.get("pattern", "*.bin")
    files = studio.files or (tuple(sorted(source.glob(pattern))) if source.is_dir() else (source,))
    check_names(files)
    described = fill(described, told.config, settings or _as_sent(told.config), name=told.name, files=files)
    if "pattern" in given:
        return told, source, described
    if len(studio.files) == 1 and source.is_dir():
        return told, source, _one_capture(described, escape(files[0].name))
    wanted = given.get("files")
    if len(studio.files) > 1 and (wanted == "split" or (wanted is None and _is_one(files, described, told.config))):
        if not parts(files):
            names = ", ".join(file.name for file in files[:4])
            raise described.error(f"[capture] pattern: missing; {names} are not the parts <prefix>_Raw_<n>.bin of one")
        return told, files[0].parent, _one_capture(described, f"{escape(files[0].name.rsplit('_', 1)[0])}_*.bin")
    return told, source, described


def _one_capture(described: Description, pattern: str) -> Description:
    capture = {**described.tables["capture"], "files": "split", "pattern": pattern}
    return replace(described, tables={**described.tables, "capture": capture})


def _is_one(files: tuple[Path, ...], described: Description, config: RadarConfig) -> bool:
    """Whether files <prefix>_Raw_<n>.bin are the parts of one capture, and not the rows of a scan."""
    capture = described.tables["capture"]
    shape = {"chirps": capture["chirps_per_frame"], "samples": config.n_samples, "rx": config.n_rx}
    unit, sizes = frame_bytes(capture["layout"], **shape), [file.stat().st_size for file in files]
    if config.n_frames:
        return any(size != config.n_frames * unit for size in sizes)
    if all(size % unit == 0 for size in sizes):
        raise described.error(
            f"[capture] files: missing; {files[0].name} to {files[-1].name} of whole frames each can be the rows of a "
            'scan ("rows") or the parts of one capture ("split")'
        )
    return True


def _as_sent(config: RadarConfig) -> Stored:
    """The words of a file or packet as the card sent them."""
    config.require_capture()
    return Stored(layout=config.layout, offset_binary=False)


def _told(
    described: Description,
    given: Mapping[str, Any],
    home: Path,
    source: Path,
    *,
    beside: Path | None = None,
    device: str | None = None,
) -> _Told | None:
    path = _file(described, given["config"], home) if "config" in given else beside
    if path is None:
        return None
    chip = given.get("device", device)
    try:
        config = read_cfg(path, device=chip)
    except GeometryError as error:
        raise described.error(f"[capture] {error}") from None
    except FormatError as error:
        if chip is None and "--device" in str(error):
            raise described.error(
                f'{path.name} does not say for which chip it is, wanted [capture] device = "xWR1843" (or yours)'
            ) from None
        raise
    return _Told(config, path.name)


def _need(told: _Told | None, described: Description, kind: str) -> _Told:
    if told is None:
        raise described.error(
            f"[capture] config: missing, wanted what the radar was told: a {NAMES[kind]} does not say how many samples "
            'make a frame; config = "profile.cfg" (or the .mmwave.json)'
        )
    return told


def _file(described: Description, name: str, home: Path) -> Path:
    for folder in (described.folder, home):
        if (folder / name).is_file():
            return folder / name
    raise described.error(f"{name}: no such file beside the data (looked for {described.folder / name}) or in {home}")


def _board_of(described: Description, board: str | None) -> Description:
    """The description with the recording's board, where it names no antennas itself."""
    if board is None or "array" in described.tables:
        return described
    return replace(described, tables={**described.tables, "array": {"board": board}})


def _notes(capture: FrameSource | None) -> list[str]:
    """What a capture has to say of itself."""
    report = getattr(capture, "report", None)
    if report is None:
        return list(getattr(capture, "notes", ()))
    lost = f"{report.upstream_lost} packets lost on the way, {report.kernel_dropped} dropped by this machine's kernel"
    return [f"{report.frames_complete} of {report.frames_expected} frames complete; {lost}"]


def _hearsay(described: Description, home: Path) -> tuple[list[Path], Description]:
    """The JSON files to compare with, and the description without them."""
    capture = dict(described.tables.get("capture", {}))
    beside = [_file(described, name, home) for name in capture.pop("compare", ())]
    return beside, replace(described, tables={**described.tables, "capture": capture}) if beside else described


def _contradictions(beside: list[Path], scan: Scan, described: Description, source: Path) -> list[str]:
    _, n_tx, n_rx, samples = scan.shape
    layout, chirps = described.get("capture", "layout"), described.get("capture", "chirps_per_frame", n_tx)
    size = frame_bytes(layout, chirps=chirps, samples=samples, rx=n_rx)
    per = chirps // n_tx if described.get("capture", "loops") == "poses" else 1
    frames = scan.shape[0] // per
    facts = {"samples": samples, "chirps": chirps, "rx": n_rx, "tx": n_tx, "frames": frames}
    return contradictions(beside, facts, layout=layout, size=size * frames)


def _texts(described: Description, given: Mapping[str, Any]) -> None:
    for key in ("config", "device", "cf_json", "source_ip", "layout", "pattern"):
        if key in given and not (isinstance(given[key], str) and given[key]):
            raise described.error(f"[capture] {key}: got {given[key]!r}, wanted a text")
    if "port" in given and not (isinstance(given["port"], int) and 0 < given["port"] < 65536):
        raise described.error(f"[capture] port: got {given['port']!r}, wanted a number from 1 to 65535")
