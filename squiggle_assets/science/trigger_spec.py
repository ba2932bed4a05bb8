"""What counts as a trigger: the pre-registered lags and thresholds of attribution. Not here: the test (triggers)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TriggerSpec:
    """What counts as a trigger; pre-registered."""

    lags: tuple[int, ...] = (0, 5, 20)
    """Steps before the onset that a window begins at; every one is tested."""
    min_seeds: int = 2
    """Seeds in which the item must be shown more often than expected."""
    max_q: float = 0.1

    def __post_init__(self) -> None:
        """Refuse lags that are no windows and a q that is no share."""
        if not self.lags or min(self.lags) < 0 or len(set(self.lags)) != len(self.lags):
            raise ValueError(f"lags must be different and not negative, at least one, got {self.lags}")
        if self.min_seeds < 1 or not 0 < self.max_q < 1:
            raise ValueError(f"min_seeds must be positive and max_q a share, got {self.min_seeds} and {self.max_q}")
