"""The report of a recording: what it holds and exactly what was lost, and where.

The balance is

    packets_expected = packets_received + upstream_lost + kernel_dropped - kernel_surplus

`kernel_dropped` counts every datagram the kernel dropped; `kernel_surplus` those of them that were no loss (copies,
packets beyond the wanted frames, datagrams of others).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mmsar.errors import FormatError
from mmsar.hardware.dca1000.ledger import Ledger

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """Accounts of a recording; counts of packets unless said otherwise."""

    frames_expected: int
    """Frames that were to be recorded."""
    frames_complete: int
    """Frames of which every byte came."""
    frames_damaged: int
    """Frames that lack some byte or all; of a recording that ended before its last frame only those that had begun."""
    frames_reached: int
    """Frames up to the last of which something came (all, unless the recording ended before its last frame)."""
    frame_bytes: int
    packets_expected: int
    """Packets of the wanted frames; of a recording that ended before its last frame up to the last that came."""
    packets_received: int
    """Distinct packets of the wanted frames."""
    duplicates: int
    """Further copies of packets."""
    late: int
    """Distinct packets that came after one with a higher number; put to their place."""
    kernel_dropped: int
    """Datagrams that the kernel dropped because the socket's buffer was full."""
    kernel_surplus: int
    upstream_lost: int
    """Packets that never reached this machine."""
    zero_filled_bytes: int
    """Bytes of the frames reached that did not come; decoded as 0 and not valid."""
    bytes_received: int
    """Bytes of the wanted frames that came."""
    stream_end: int
    """End of the stream seen [bytes]."""
    surplus: int
    """Packets beyond the wanted frames."""
    inconsistent: int
    """Packets whose number and byte count contradict the others; not used."""
    malformed: int
    """Datagrams of the card that are no packet."""
    after_restart: int
    """Packets after the card began to count anew; kept in the journal, not placed."""
    foreign: int
    """Datagrams of other senders; not kept."""
    payload_bytes: int
    """Usual payload of a packet."""
    first_ns: int
    last_ns: int
    """Kernel time of the first packet and of the last that was new [ns]; -1 without any."""
    ring_full: int
    """Times the receiver had to wait for the disk."""
    damaged_blocks: int
    """Parts of the journal whose checksum does not hold."""
    tail_bytes: int
    """Bytes at the journal's end that are no whole block: what a killed process was writing."""
    interrupted: bool
    """Whether something cut the recording short; False for one that was ended on purpose, as a sweep's."""
    ended: str
    """Why the recording ended."""
    messages: tuple[str, ...] = ()
    """What else to know, one line each."""

    @property
    def lossless(self) -> bool:
        """Whether every frame is complete."""
        return self.frames_complete == self.frames_expected

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"mmsar_report": SCHEMA, **asdict(self), "messages": list(self.messages)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str = "report") -> "Report":
        """The inverse of `to_json`; FormatError when it is none."""
        if values.get("mmsar_report") != SCHEMA:
            got = values.get("mmsar_report")
            raise FormatError(f"{source}: got report schema {got!r}, wanted {SCHEMA}; run mmsar hw recover")
        names = {f.name for f in fields(cls)}
        missing = sorted(names - set(values))
        if missing:
            raise FormatError(f"{source}: got no {missing[0]}, wanted a whole report; run mmsar hw recover")
        return cls(**{**{name: values[name] for name in names}, "messages": tuple(values["messages"])})


def make_report(
    ledger: Ledger,
    *,
    ended: str,
    interrupted: bool,
    early: bool = False,
    kernel_dropped: int,
    foreign: int,
    ring_full: int = 0,
    damaged_blocks: int = 0,
    tail_bytes: int = 0,
    messages: tuple[str, ...] = (),
) -> Report:
    """The report of what a ledger has counted.

    `interrupted`: something cut it short; `early`: it was ended before the last frame on purpose. Frames after the last
    of which something came are no loss then.
    """
    whole = not (interrupted or early)
    reached = ledger.n_frames if whole else ledger.frames_reached
    expected = ledger.packets_expected(whole=whole)
    missing = expected - ledger.received
    upstream = max(0, missing - kernel_dropped)
    notes = [*messages, *_notes(ledger, damaged_blocks, tail_bytes)]
    return Report(
        frames_expected=ledger.n_frames,
        frames_complete=ledger.complete,
        frames_damaged=reached - ledger.complete,
        frames_reached=reached,
        frame_bytes=ledger.frame_bytes,
        packets_expected=expected,
        packets_received=ledger.received,
        duplicates=ledger.duplicates,
        late=ledger.late,
        kernel_dropped=kernel_dropped,
        kernel_surplus=kernel_dropped - (missing - upstream),
        upstream_lost=upstream,
        zero_filled_bytes=reached * ledger.frame_bytes - ledger.bytes_received,
        bytes_received=ledger.bytes_received,
        stream_end=ledger.reached,
        surplus=ledger.surplus,
        inconsistent=ledger.inconsistent,
        malformed=ledger.malformed,
        after_restart=ledger.after_restart,
        foreign=foreign,
        payload_bytes=ledger.payload,
        first_ns=ledger.first_ns,
        last_ns=ledger.last_ns,
        ring_full=ring_full,
        damaged_blocks=damaged_blocks,
        tail_bytes=tail_bytes,
        interrupted=interrupted,
        ended=ended,
        messages=tuple(notes),
    )


def _notes(ledger: Ledger, damaged_blocks: int, tail_bytes: int) -> list[str]:
    notes = []
    if ledger.after_restart:
        frame = ledger.reached // ledger.frame_bytes
        notes.append(
            f"the card began to count anew after packet {ledger.number} (frame {frame}): it was reset, or another "
            "program told it to record; what came then cannot be placed and is left out"
        )
    if ledger.surplus:
        notes.append(f"{ledger.surplus} packets beyond the wanted frames are kept in the journal and not used")
    if ledger.inconsistent:
        notes.append(f"{ledger.inconsistent} packets contradict the others in number or byte count; not used")
    if damaged_blocks:
        notes.append(f"{damaged_blocks} parts of the journal do not match their checksum and are left out")
    if tail_bytes:
        notes.append(f"the last {tail_bytes} bytes of the journal are a block that was not finished; left out")
    return notes
