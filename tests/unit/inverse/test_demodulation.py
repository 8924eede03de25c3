"""Lock-in demodulation against known phasors, and recordings through MNE."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.inverse.demodulation import (
    Interval,
    common_phase,
    demodulate,
    lock_in,
    read_recording,
)

RATE = 1000.0


def tone(phasors, frequency, seconds, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return np.real(np.asarray(phasors)[:, None] * np.exp(2j * np.pi * frequency * time))


@settings(max_examples=25, deadline=None)
@given(
    st.floats(5, 400), st.floats(-3, 3), st.floats(1e-6, 1e-2),
    st.floats(-1e-3, 1e-3), st.floats(-1e-2, 1e-2),
)  # fmt: skip
def test_a_tone_is_found_exactly_on_any_offset_and_drift(frequency, phase, size, offset, drift):
    phasor = size * np.exp(1j * phase)
    time = np.arange(3000) / RATE
    found = lock_in(tone([phasor], frequency, 3) + offset + drift * time, RATE, frequency)
    scale = size + abs(offset) + abs(drift)
    assert abs(found.values[0] - phasor) < 1e-10 * scale and found.std[0] < 1e-10 * scale
    assert found.windows == 6


def test_its_error_is_the_error_it_makes():
    rng = np.random.default_rng(1)
    phasors = np.full(400, 1e-4 + 2e-4j)
    noise = 5e-5 * rng.standard_normal((400, 10000))
    found = lock_in(tone(phasors, 27, 10) + noise, RATE, 27)
    wrong = found.values - phasors
    wanted = 5e-5 * np.sqrt(2 / 10000)  # of a least-squares amplitude in white noise
    for part in (wrong.real, wrong.imag):
        assert abs(part.std() / wanted - 1) < 5 / np.sqrt(2 * 400)
        assert abs(part.mean()) < 4 * wanted / np.sqrt(400)
    # 20 windows of two parts each: the scatter itself is known to 16 %.
    assert abs(np.sqrt(np.mean(found.std**2)) / wanted - 1) < 0.05


def test_other_frequencies_hardly_leak():
    mains = tone([1e-3], 50, 20)
    found = lock_in(mains + tone([1e-5], 27, 20), RATE, 27)
    assert abs(found.values[0] - 1e-5) < 0.02 * 1e-5  # 50 Hz a hundred times as strong


def test_common_phase_forgets_signs_only():
    rng = np.random.default_rng(2)
    sizes = rng.standard_normal(50)
    for phase in (-1.2, 0.0, 0.7, 1.5):
        assert common_phase(sizes * np.exp(1j * phase)) == pytest.approx(phase, abs=1e-12)
    with pytest.raises(InputError, match="no signal"):
        common_phase(np.zeros(4, complex))


LABELS = ("A", "B", "C", "D", "R")


def recording(phase=0.6, rng=None):
    """Two patterns one after the other, each with its own voltages; R is the reference."""
    first = np.array([5e-3, -2e-3, 1e-4, -3e-4, 0.0])
    second = np.array([2e-4, 4e-3, -5e-3, 6e-4, 0.0])
    turn = np.exp(1j * phase)
    signal = np.concatenate([tone(first * turn, 27, 6), tone(second * turn, 27, 6)], axis=1)
    if rng is not None:
        # Every electrode has its noise, the reference's is in all channels.
        each = 1e-5 * rng.standard_normal((5, signal.shape[1]))
        signal[:4] += each[:4] - each[4]
    return signal, (first, second), [Interval("A", "B", 0, 6), Interval("B", "C", 6, 12)]


def test_a_recording_becomes_a_measurement():
    signal, truth, intervals = recording(rng=np.random.default_rng(3))
    options = {"frequency": 27.0, "current": 2e-5, "reference": "R"}
    found = demodulate(signal, RATE, LABELS, intervals, **options)
    assert found.pairs == (("A", "B"), ("B", "C")) and found.kind == "signed"
    np.testing.assert_allclose(found.voltages, truth, atol=9 * found.noise)
    assert found.noise == pytest.approx(1e-5 * np.sqrt(2 / 5500), rel=0.25)
    sizes = demodulate(signal, RATE, LABELS, intervals, kind="amplitude", **options)
    np.testing.assert_allclose(sizes.voltages, np.abs(truth), atol=9 * found.noise)
    # Signs stand on the injecting electrode, whatever the phase of the recording.
    turned = demodulate(-signal, RATE, LABELS, intervals, **options)
    np.testing.assert_allclose(turned.voltages, found.voltages, atol=1e-12)
    blind = signal[[2, 3, 4]]
    with pytest.raises(InputError, match="A-B: neither the injecting"):
        demodulate(blind, RATE, ("C", "D", "R"), intervals[:1], **options)


def test_refusals():
    signal, *_ = recording()
    with pytest.raises(InputError, match="above half of 1000 samples"):
        lock_in(signal, RATE, 600)
    with pytest.raises(InputError, match="periods of 2 Hz"):
        lock_in(signal, RATE, 2)
    with pytest.raises(InputError, match="have 2 windows"):
        lock_in(signal[:, :1000], RATE, 27)
    with pytest.raises(InputError, match="NaN"):
        lock_in(np.where(signal > 4e-3, np.nan, signal), RATE, 27)
    late = [Interval("A", "B", 8, 13)]
    with pytest.raises(InputError, match="A-B injects from 8 to 13 s, the recording lasts 12 s"):
        demodulate(signal, RATE, LABELS, late, frequency=27, current=2e-5, reference="R")
    with pytest.raises(InputError, match="suffix of notes.txt"):
        read_recording("notes.txt")
    with pytest.raises(InputError, match="absent.bdf: cannot be read"):
        read_recording("absent.bdf")


def write_bdf(path, labels, signal, rate, unit=1e-6):
    """A BioSemi file: 24-bit integers in records of one second, about 0.01 uV per step."""
    channels, records = len(labels), signal.shape[1] // int(rate)

    def field(values, width):
        return b"".join(str(v).ljust(width)[:width].encode() for v in values)

    top = 2**23 - 1
    step = 80000 / (top + 1)  # uV; the header has room for eight characters
    head = b"\xffBIOSEMI" + field(["X X X X", "Startdate X X X X"], 80)
    head += field(["01.01.25", "00.00.00", 256 * (channels + 1)], 8) + field(["24BIT"], 44)
    head += field([records, 1], 8) + field([channels], 4)
    head += field(labels, 16) + field(["active electrode"] * channels, 80)
    head += field(["uV"] * channels, 8) + field([-80000] * channels, 8)
    head += field([80000] * channels, 8) + field([-(top + 1)] * channels, 8)
    head += field([top] * channels, 8) + field([""] * channels, 80)
    head += field([int(rate)] * channels, 8) + field([""] * channels, 32)
    steps = np.round(signal / unit / step).astype("<i4")
    cut = steps.reshape(channels, records, int(rate)).transpose(1, 0, 2)
    path.write_bytes(
        head + np.ascontiguousarray(cut).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    )


def test_a_biosemi_file_is_read_and_demodulated(tmp_path):
    signal, truth, intervals = recording()
    path = tmp_path / "one.bdf"
    write_bdf(path, LABELS, signal, RATE)
    labels, read, rate = read_recording(path)
    assert labels == LABELS and rate == RATE
    np.testing.assert_allclose(read, signal, atol=2e-8)
    found = demodulate(read, rate, labels, intervals, frequency=27, current=2e-5, reference="R")
    np.testing.assert_allclose(found.voltages, truth, atol=2e-9)
