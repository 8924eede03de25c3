"""From recordings to readings: lock-in demodulation at the injection frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

from headcond.checks import InputError, check_finite, check_option, check_positive, check_shape
from headcond.inverse.measurement import KINDS, Measurement
from headcond.inverse.protocol import AVERAGE

# Length of one lock-in window, s: whole periods of mains at 50 or 60 Hz.
WINDOW = 0.5
READERS = {".mff": "read_raw_egi", ".raw": "read_raw_egi", ".bdf": "read_raw_bdf",
           ".edf": "read_raw_edf", ".fif": "read_raw_fif"}  # fmt: skip


@dataclass(frozen=True)
class Phasors:
    """Result of a lock-in.

    Attributes
    ----------
    values : (C,) complex V: the signal is Re(value exp(i 2 pi f t)), t from its first sample.
    std : (C,) V, standard error of real and of imaginary part, from the scatter of the windows.
    windows : number of averaged windows.
    """

    values: np.ndarray
    std: np.ndarray
    windows: int


@dataclass(frozen=True)
class Interval:
    """A stretch of a recording during which one pattern injects, s from the first sample."""

    source: str
    sink: str
    start: float
    stop: float


def lock_in(signal: np.ndarray, rate: float, frequency: float, window: float = WINDOW) -> Phasors:
    """Demodulate channels at one frequency.

    In every window a cosine, a sine, a constant and a straight line are fitted by least squares,
    so that windows need not have whole periods and drift has no effect. Windows are averaged with
    a common clock; their scatter gives the error.

    Parameters
    ----------
    signal : (C, T) V.
    rate : samples per second.
    frequency : Hz, to the accuracy of the generator: over a recording of T seconds an error of
        0.1 / T turns the phase by 36 degrees.
    window : s; at least two periods.

    Raises
    ------
    InputError
        If the frequency is not below half the rate, a window has fewer than two periods, the
        signal fewer than four windows, or a sample is not finite.
    """
    signal = check_finite("signal", check_shape("signal", np.asarray(signal, float), (None, None)))
    rate, frequency = check_positive("rate", rate), check_positive("frequency", frequency)
    check_positive("window", window)
    if frequency >= 0.5 * rate:
        raise InputError(f"{frequency:g} Hz is above half of {rate:g} samples per second.")
    if window * frequency < 2:
        raise InputError(
            f"A window of {window:g} s has {window * frequency:.2g} periods of {frequency:g} Hz. "
            "It needs two: use a longer one."
        )
    length = round(window * rate)
    count = signal.shape[1] // length
    if count < 4:
        raise InputError(
            f"{signal.shape[1] / rate:.3g} s of signal have {count} windows of {window:g} s; the "
            "error needs at least four."
        )
    parts = signal[:, : count * length].reshape(len(signal), count, length)
    time = np.arange(length) / rate
    turn = 2 * np.pi * frequency
    design = np.stack(
        [np.cos(turn * time), -np.sin(turn * time), np.ones(length), np.linspace(-1, 1, length)]
    )
    rows = np.linalg.pinv(design.T)[:2]
    local = np.einsum("cwt,kt->kcw", parts, rows)
    clock = np.exp(-1j * turn * np.arange(count) * length / rate)
    phasors = (local[0] + 1j * local[1]) * clock
    mean = phasors.mean(axis=1)
    scatter = np.sum(np.abs(phasors - mean[:, None]) ** 2, axis=1) / (2 * (count - 1))
    return Phasors(mean, np.sqrt(scatter / count), count)


def common_phase(phasors: np.ndarray) -> float:
    """Common phase of all channels in (-pi/2, pi/2], that of a current that was not recorded.

    Half the angle of the sum of squares, as the phases of readings of either sign differ by pi.
    """
    total = np.sum(np.square(check_finite("phasors", np.asarray(phasors))))
    if abs(total) == 0:
        raise InputError("The phasors are all zero: there is no signal at this frequency.")
    return float(0.5 * np.angle(total))


def demodulate(
    signal: np.ndarray,
    rate: float,
    electrodes: Sequence[str],
    intervals: Sequence[Interval],
    *,
    frequency: float,
    current: float,
    reference: str,
    kind: str = "signed",
    skip: float = 0.5,
    window: float = WINDOW,
) -> Measurement:
    """Demodulate a recording in which patterns inject one after the other.

    Parameters
    ----------
    signal : (L, T) V of the electrodes against `reference`.
    rate : samples per second.
    electrodes : (L,) labels.
    intervals : when which pattern injects.
    frequency, current : of the injection, Hz and A (amplitude).
    reference : electrode that the amplifier recorded against.
    kind : "signed": the part in phase with the current, whose phase is the common one of the
        readings and whose sign makes the injecting electrode positive (or the extracting one
        negative, whichever is larger); "amplitude": the modulus.
    skip : s left out at the start of every interval, while amplifiers settle.
    window : s, of the lock-in.

    Returns
    -------
    Measurement whose noise is that of one electrode before any reference: from the root mean
    square error of passive channels, half of whose variance is that of a reference electrode.

    Raises
    ------
    InputError
        As `lock_in`; or if an interval is outside the recording, or neither end of a pattern
        with signed readings was recorded.
    """
    check_option("kind", kind, KINDS)
    check_shape("signal", np.asarray(signal), (len(electrodes), None))
    labels = [str(label) for label in electrodes]
    values, errors = [], []
    for interval in intervals:
        name = f"{interval.source}-{interval.sink}"
        first, last = round((interval.start + skip) * rate), round(interval.stop * rate)
        if not 0 <= first < last <= signal.shape[1]:
            raise InputError(
                f"Pattern {name} injects from {interval.start:g} to {interval.stop:g} s, the "
                f"recording lasts {signal.shape[1] / rate:g} s (the first {skip:g} s are skipped)."
            )
        phasors = lock_in(signal[:, first:last], rate, frequency, window)
        ends = [labels.index(end) if end in labels else -1
                for end in (interval.source, interval.sink)]  # fmt: skip
        passive = np.array([n not in ends and labels[n] != reference for n in range(len(labels))])
        errors.append(phasors.std[passive])
        if kind == "amplitude":
            row = np.abs(phasors.values)
        else:
            row = _in_phase(phasors.values, passive, ends, name)
        row[labels.index(reference) if reference in labels else slice(0, 0)] = 0.0
        values.append(row)
    # A channel against one electrode has the noise of both; against the average, nearly its own.
    count = len(labels)
    share = 0.5 if reference != AVERAGE else count / (count - 1)
    noise = float(np.sqrt(share * np.mean(np.square(np.concatenate(errors)))))
    return Measurement(
        tuple((i.source, i.sink) for i in intervals), tuple(labels), np.array(values),
        np.full(len(values), float(current)), reference, kind, frequency, noise or None,
    )  # fmt: skip


def read_recording(path: str | Path) -> tuple[tuple[str, ...], np.ndarray, float]:
    """Read the EEG channels of a recording through MNE.

    Returns
    -------
    labels : C channel names.
    signal : (C, T) V.
    rate : samples per second.

    Raises
    ------
    InputError
        If the suffix is not in `READERS`, or MNE cannot read the file.
    """
    path = Path(path)
    check_option(f"suffix of {path}", path.suffix.lower(), tuple(READERS))
    reader = getattr(mne.io, READERS[path.suffix.lower()])
    try:
        raw = reader(path, preload=False, verbose="error")
        # Without the channels that the file marks as bad.
        picks = mne.pick_types(raw.info, eeg=True)
        signal = raw.get_data(picks=picks)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"{path}: cannot be read as a recording ({error}).") from error
    return tuple(raw.ch_names[n] for n in picks), signal, float(raw.info["sfreq"])


def _in_phase(
    phasors: np.ndarray, passive: np.ndarray, ends: Sequence[int], name: str
) -> np.ndarray:
    row = np.real(phasors * np.exp(-1j * common_phase(phasors[passive])))
    signs = [(abs(row[n]), row[n] * sign) for n, sign in zip(ends, (1, -1), strict=True) if n >= 0]
    if not signs:
        raise InputError(
            f"Pattern {name}: neither the injecting nor the extracting electrode was recorded, so "
            "signs are unknown; use amplitudes."
        )
    return row if max(signs)[1] > 0 else -row
