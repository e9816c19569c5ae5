"""A finding: one thing that a check of a configuration has to say."""

from dataclasses import asdict, dataclass
from typing import Any

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What limit, what was found, what is allowed, why, and what to do."""

    severity: str
    """"error": will not work; "warning": may not work, or sources disagree; "note": worth knowing."""
    limit: str
    """Name of the limit, in words."""
    got: str
    allowed: str
    explanation: str

    def __str__(self) -> str:
        if self.severity == "note":
            return f"{self.limit}: {self.got}; {self.explanation}"
        return f"{self.limit}: got {self.got}, wanted {self.allowed}; {self.explanation}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
