"""Layer B: how the geometry of one run moves from capture to capture.

Here: change, velocity, acceleration, volatility, alignment velocity. Not here: which movement is an event.
Legend: S = series, N = captures, V = N - 1 velocities.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from squiggle_assets.science.metrics import ORIENTATION, STEP_ANGLE
from squiggle_assets.science.series import series_of

F64 = NDArray[np.float64]

VOLATILITY_WINDOW = 5
"""Captures whose velocities set the volatility, the present one included."""
MAD_TO_SIGMA = 1.4826
"""Makes a median absolute deviation a standard deviation under normality."""


def velocity_of(delta_SV: F64, dt_V: F64) -> F64:
    """Change per step, [S, V]."""
    return delta_SV / dt_V


def acceleration_of(velocity_SV: F64, dt_V: F64) -> F64:
    """(v_j - v_{j-1}) / ((t_j - t_{j-2}) / 2), [S, V]; nan at the first velocity."""
    out_SV = np.full(velocity_SV.shape, np.nan)
    out_SV[:, 1:] = np.diff(velocity_SV, axis=1) / ((dt_V[1:] + dt_V[:-1]) / 2)
    return out_SV


def volatility_of(velocity_SV: F64) -> F64:
    """1.4826 * MAD of the last 5 velocities, [S, V]; nan while there are fewer."""
    out_SV = np.full(velocity_SV.shape, np.nan)
    if velocity_SV.shape[1] >= VOLATILITY_WINDOW:
        windows = sliding_window_view(velocity_SV, VOLATILITY_WINDOW, axis=1)
        spread = np.abs(windows - np.median(windows, axis=2, keepdims=True))
        out_SV[:, VOLATILITY_WINDOW - 1 :] = MAD_TO_SIGMA * np.median(spread, axis=2)
    return out_SV


def dynamics_of(geometry: pl.DataFrame) -> pl.DataFrame:
    """The dynamics table of one run: a row per series and capture after the first.

    Uneven cadence is divided out by the interval. For principal_angle_step the value is already the change
    since the capture before, so its velocity is the alignment velocity and its delta the angle. What needs a
    longer past than there is is null. ValueError on fewer than 3 captures and all of `series_of`.
    """
    state = series_of(geometry, ORIENTATION)
    if len(state.steps) < 3:
        raise ValueError(f"run {state.run['run_id']}: {len(state.steps)} captures, dynamics need at least 3")
    dt_V = np.diff(state.steps)
    frames = []
    turning = series_of(geometry, [STEP_ANGLE])
    if not np.array_equal(turning.steps, state.steps[1:]):
        raise ValueError(f"run {state.run['run_id']}: {STEP_ANGLE} must stand at every capture but the first")
    for series, delta_SV in ((state, np.diff(state.values, axis=1)), (turning, turning.values)):
        velocity_SV = velocity_of(delta_SV, dt_V.astype(np.float64))
        frames.append(
            series.long(
                {
                    "step": state.steps[1:],
                    "step_prev": state.steps[:-1],
                    "dt_steps": dt_V,
                    "delta": delta_SV,
                    "velocity": velocity_SV,
                    "acceleration": acceleration_of(velocity_SV, dt_V.astype(np.float64)),
                    "volatility": volatility_of(velocity_SV),
                }
            )
        )
    first = ["arm", "seed", "run_id", "step", "step_prev", "dt_steps"]
    return (
        pl.concat(frames)
        .select(*first, pl.exclude(first))
        .with_columns(pl.col("acceleration", "volatility").fill_nan(None))
    )
