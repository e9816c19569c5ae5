"""An emulated radar board's command line, character for character as the mmWave demo writes it.

    sensorStop\\nIgnored: Sensor is already stopped\\n\\rDone\\n\\rmmwDemo:/>

that is: the line echoed with its line feed, what there is to say, `Done`, the prompt, with LF CR after each line said.
A refused line ends with `Error -1` instead of `Done`, an unknown one with neither. On `sensorStart` the lines taken so
far are read as a configuration and `on_start` gets it: there the capture card's emulator begins to stream.

The state machine follows the SDK 3 demo: commands of a frame, chirp or profile are refused while the sensor runs, and
after a start until `flushCfg`; `channelCfg` and `adcCfg` cannot be changed before a reboot.
"""

import time
from collections.abc import Callable

from mmsar.errors import MmsarError
from mmsar.hardware.config.cfg_lines import ARITY
from mmsar.hardware.config.radar import RadarConfig, parse_cfg
from mmsar.hardware.device import device as find_device
from mmsar.hardware.emulate.pty_port import PtyFaults, PtyPort

MAX_LINE = 255
FIXED = ("channelCfg", "adcCfg")
"""What keeps its values until the board boots again."""
_OTHERS = {
    "guiMonitor": (7,),
    "cfarCfg": (9,),
    "cfarFovCfg": (4,),
    "aoaFovCfg": (5,),
    "multiObjBeamForming": (3,),
    "clutterRemoval": (2,),
    "calibDcRangeSig": (5,),
    "extendedMaxVelocity": (2,),
    "compRangeBiasAndRxChanPhase": tuple(1 + 2 * pairs for pairs in range(1, 17)),
    "measureRangeBiasAndRxChanPhase": (3,),
    "CQRxSatMonitor": (5,),
    "CQSigImgMonitor": (3,),
    "analogMonitor": (2,),
    "calibData": (3,),
    "advFrameCfg": (5,),
    "subFrameCfg": (10,),
}
_CONTROL = {"sensorStart": (0, 1), "sensorStop": (0,), "flushCfg": (0,), "version": (0,), "queryDemoStatus": (0,)}
_STARS = "*" * 42


class RadarPty(PtyPort):
    """The command line of a radar board on a pseudo-terminal."""

    def __init__(
        self,
        device: str = "xWR1843",
        *,
        on_start: Callable[[RadarConfig], None] | None = None,
        on_stop: Callable[[], None] | None = None,
        prompt: str = "mmwDemo:/>",
        lvds: bool = True,
        banner: bool = False,
        stray: bytes = b"",
        line_time: float = 0.0,
        start_time: float = 0.0,
        fifo: int | None = None,
        reboot_time: float = 0.3,
        faults: PtyFaults = PtyFaults(),
    ) -> None:
        """Power the board up.

        Parameters
        ----------
        device : str
            The chip; a configuration is read as one for it.
        on_start, on_stop : callable, optional
            Called when frames start, with the configuration, and when they stop.
        prompt : str
            What the firmware prompts with.
        lvds : bool
            Whether the firmware knows `lvdsStreamCfg`; the stock 14xx demo does not.
        banner : bool
            Whether it says something when it boots.
        stray : bytes
            Bytes on the line before the first command, which they spoil.
        line_time, start_time : float
            Time a line takes, and sensorStart beside it [s].
        fifo : int, optional
            Bytes that are kept while a line is worked on; more are lost, as on a real board. Default: any number.
        reboot_time : float
            Time without ears after a reset [s].
        faults : PtyFaults
            What goes wrong with the answers.
        """
        chip = find_device(device)
        self.device, self.family = chip.name, chip.family
        self.on_start, self.on_stop = on_start, on_stop
        self.prompt = prompt.encode()
        self.lvds, self.banner = lvds, banner
        self.line_time, self.start_time, self.fifo, self.reboot_time = line_time, start_time, fifo, reboot_time
        self.running = False
        self.starts = 0
        """How often frames were started."""
        self.config: RadarConfig | None = None
        """What the newest start was told."""
        self.problem: str | None = None
        """Why the newest start sends no samples, if it does not."""
        self.on_problem: Callable[[str], None] | None = None
        """Called with `problem` at such a start."""
        self.lines: list[str] = []
        """Every line that came, as it came."""
        self.lost = 0
        """Bytes lost because a line was being worked on."""
        self._input = bytearray(stray)
        self._busy = False
        self._deaf_until = 0.0
        self._after_cr = False
        self._forget()
        super().__init__(faults=faults)
        if banner:
            self.later(0.0, self._boot)

    def reboot(self) -> None:
        """Reset the board, as the capture card's RESET_AR_DEV or its button does; from any thread."""
        self.later(0.0, self._reset)

    # the line

    def receive(self, data: bytes) -> None:
        """Take bytes of the host; complete lines are worked on one after the other."""
        if time.monotonic() < self._deaf_until:
            return
        if self._busy and self.fifo is not None:
            room = max(0, self.fifo - len(self._input))
            self.lost += max(0, len(data) - room)
            data = data[:room]
        self._input += data
        self._next_line()

    def _next_line(self) -> None:
        while not self._busy:
            if self._after_cr and self._input[:1] == b"\n":
                del self._input[:1]
            self._after_cr = self._after_cr and not self._input
            ends = [i for i in (self._input.find(b"\n"), self._input.find(b"\r")) if i >= 0]
            if not ends and len(self._input) < MAX_LINE:
                return
            end = min([*ends, MAX_LINE])
            line = bytes(self._input[:end])
            self._after_cr = self._input[end : end + 1] == b"\r"
            del self._input[: end + (end < MAX_LINE)]
            self._work(line)

    def _work(self, line: bytes) -> None:
        text = line.decode("latin-1")
        self.lines.append(text)
        self.write(line + b"\n")
        said = self._obey(text)
        answer = b"".join(piece.encode("latin-1") + b"\n\r" for piece in said) + self.prompt
        wait = self.line_time + (self.start_time if text.startswith("sensorStart") else 0.0)
        if wait > 0:
            self._busy = True
            self.later(wait, lambda: self._done(answer))
        else:
            self.answer(answer)

    def _done(self, answer: bytes) -> None:
        self._busy = False
        self.answer(answer)
        self._next_line()

    # the commands

    def _obey(self, line: str) -> list[str]:
        """What the board says to a line, without the prompt."""
        words = [word for word in line.split(" ") if word]
        if not words:
            return []
        if words[0].startswith("%"):
            return ["Skipped"]
        name, args = words[0], words[1:]
        wanted = self._arity(name)
        if wanted is None:
            return [f"'{name}' is not recognized as a CLI command"]
        if len(args) not in wanted:
            return ["Error: Invalid usage of the CLI command", "Error -1"]
        if name in _CONTROL:
            return getattr(self, f"_{name}")(args)
        return self._configure(name, line, args)

    def _arity(self, name: str) -> tuple[int, ...] | None:
        if name == "lvdsStreamCfg" and not self.lvds:
            return None
        if name == "adcbufCfg":
            return (4,) if self.device == "xWR1443" else (5,)
        if name == "frameCfg":
            return (8,) if self.device == "xWR2944" else (7,)
        return _CONTROL.get(name) or ARITY.get(name) or _OTHERS.get(name)

    def _configure(self, name: str, line: str, args: list[str]) -> list[str]:
        if self.running or (name not in FIXED and self._needs_flush):
            return ["Error -1"]
        try:
            [float(arg) for arg in args]
        except ValueError:
            return ["Error: Invalid usage of the CLI command", "Error -1"]
        if name in FIXED:
            if self.starts_since_boot and self._fixed.get(name, args) != args:
                return ["Error -1"]
            self._fixed[name] = args
            self._taken = [taken for taken in self._taken if taken.split()[0] != name]
        self._taken.append(line)
        return ["Done"]

    def _flushCfg(self, args: list[str]) -> list[str]:
        if self.running:
            return ["Error -1"]
        self._taken = [line for line in self._taken if line.split()[0] in FIXED]
        self._needs_flush = False
        return ["Done"]

    def _version(self, args: list[str]) -> list[str]:
        return [f"Platform                : {self.family}", "mmWave SDK Version      : 03.05.00.04", "Done"]

    def _queryDemoStatus(self, args: list[str]) -> list[str]:
        state = 3 if self.running else 4 if self.starts_since_boot else 0
        return [f"Sensor State: {state}", "Data port baud rate: 921600", "Done"]

    def _sensorStop(self, args: list[str]) -> list[str]:
        if not self.running:
            return ["Ignored: Sensor is already stopped", "Done"]
        self._halt()
        return ["Done"]

    def _sensorStart(self, args: list[str]) -> list[str]:
        if self.running:
            return ["Ignored: Sensor is already started", "Done"]
        again = args == ["0"]
        if args and not again:
            return ["Error: Invalid usage of the CLI command", "Error -1"]
        if again and not self.starts_since_boot:
            return ["Error -1"]
        if not again and self._needs_flush:
            return ["Error -1"]
        if not any(line.split()[0] in ("frameCfg", "advFrameCfg") for line in self._taken):
            return ["Error -1"]
        self._read()
        self.running = True
        self.starts += 1
        self.starts_since_boot += 1
        self._needs_flush = True
        if self.config is not None and self.on_start is not None:
            try:
                self.on_start(self.config)
            except MmsarError as error:
                self.problem = str(error)
        if self.problem is not None and self.on_problem is not None:
            self.on_problem(self.problem)
        return ["Done"]

    def _read(self) -> None:
        """Find out what the frames are, or why nothing goes to the capture card."""
        self.config = self.problem = None
        try:
            self.config = parse_cfg("".join(f"{line}\n" for line in self._taken), device=self.device)
        except MmsarError as error:
            self.problem = str(error)
            return
        streams = any(line.split()[0] == "lvdsStreamCfg" for line in self._taken)
        if not streams and not (self.lvds and self.device == "xWR1443"):
            self.config, self.problem = None, "no lvdsStreamCfg: the samples stay on the chip"

    # the state

    def _forget(self) -> None:
        self._taken: list[str] = []
        self._fixed: dict[str, list[str]] = {}
        self._needs_flush = False
        self.starts_since_boot = 0

    def _halt(self) -> None:
        if self.running:
            self.running = False
            if self.on_stop is not None:
                self.on_stop()

    def _reset(self) -> None:
        self._halt()
        self._forget()
        self._input.clear()
        self._busy = False
        self._deaf_until = time.monotonic() + self.reboot_time
        self.later(self.reboot_time, self._boot)

    def _boot(self) -> None:
        if self.banner:
            said = (_STARS, f"{self.family} MMW Demo 03.05.00.04", _STARS)
            self.write(b"\xfe\x00" + b"".join(b"%s\n\r" % line.encode() for line in said))
        self.write(self.prompt)
