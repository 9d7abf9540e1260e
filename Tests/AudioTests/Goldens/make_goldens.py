#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "librosa==0.11.0", "numpy==2.4.6", "scipy==1.17.1", "soundfile==0.14.0", "soxr==1.1.0",
# ]
# ///
"""Makes the log-mel maps that the Audio tests compare with, as librosa computes them.

Beside this script it writes
  sounds/       short sound files: formats, sample rates, channels, sample sizes
  goldens.json  library versions; of every map: source, settings, frames, place in goldens.f32
  goldens.f32   the maps, little-endian float32, [bands, chosen frames], one after the other

Run it with `uv run make_goldens.py`, or with the versions above in a virtual environment.
The encoders are not deterministic across libsndfile's versions, so the sounds are kept, and made
again only if the folder is gone.
"""

import json
import math
import pathlib
from importlib.metadata import version

import librosa
import numpy as np
import soundfile

HERE = pathlib.Path(__file__).resolve().parent
SOUNDS = HERE / "sounds"
PINNED = {
    "librosa": "0.11.0",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "soundfile": "0.14.0",
    "soxr": "1.1.0",
}

DEFAULTS = dict(
    sampleRateHz=12000,
    durationSeconds=29.12,
    windowLength=512,
    hopLength=256,
    melBands=96,
    lowestHz=0.0,
    highestHz=6000.0,
    decibelFloor=1e-10,
    dynamicRangeDecibels=80.0,
)


# Signals that Swift computes too, bit for bit: integers, then one exact division.
# Keep them in step with Signal.swift.


def noise(count):
    state, values = 1, []
    for _ in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        values.append((state >> 16) - 32768)
    return np.array(values, np.float32) / np.float32(65536)


def chord(count):
    n = np.arange(count, dtype=np.int64)
    saws = [(n * step) % 65536 - 32768 for step in (1201, 1523, 1789)]
    return sum(saws).astype(np.float32) / np.float32(131072)


def tone(count):
    values = [math.floor(math.sin(2 * math.pi * n / 12) * 30000 + 0.5) for n in range(count)]
    return np.array(values, np.float32) / np.float32(32768)


def bursts(count):
    sounding = np.arange(count) % 9000 < 2500
    return np.where(sounding, noise(count), np.float32(0)).astype(np.float32)


def quiet(count):
    return noise(count) / np.float32(1024)


def impulse(count):
    values = np.zeros(count, np.float32)
    values[count // 2] = 0.5
    return values


SIGNALS = [
    # name, samples, settings that differ from the defaults
    (noise, 349440, {}),
    (chord, 349440, {}),
    (tone, 349440, {}),
    (bursts, 349440, {}),
    (quiet, 349440, {}),
    (noise, 400001, {}),
    (noise, 5001, {}),
    (impulse, 349440, {}),
    (impulse, 1, {}),
    (bursts, 24000, dict(sampleRateHz=16000, durationSeconds=1.5, highestHz=8000.0)),
    (chord, 24000, dict(durationSeconds=2.0, windowLength=1024, hopLength=300, melBands=64)),
    (noise, 24000, dict(durationSeconds=2.0, lowestHz=300.0, highestHz=4000.0, melBands=40)),
    (tone, 24000, dict(durationSeconds=2.0, windowLength=400, hopLength=160, melBands=40)),
    (bursts, 24000, dict(durationSeconds=2.0, decibelFloor=1e-3, dynamicRangeDecibels=30.0)),
]

FILES = [
    # name, format, subtype, rate, channels, seconds, excerpt
    ("pcm16-12000-mono.wav", "WAV", "PCM_16", 12000, 1, 1.0, 0.75),
    ("pcm16-12000-six.wav", "WAV", "PCM_16", 12000, 6, 0.5, 0.4),
    ("pcm24-12000-stereo.flac", "FLAC", "PCM_24", 12000, 2, 1.0, 0.75),
    ("short-12000-mono.flac", "FLAC", "PCM_16", 12000, 1, 0.3, 0.75),
    ("pcm8-8000-mono.wav", "WAV", "PCM_U8", 8000, 1, 1.0, 0.75),
    ("float-11025-mono.wav", "WAV", "FLOAT", 11025, 1, 1.0, 0.75),
    ("pcm24-16000-stereo.wav", "WAV", "PCM_24", 16000, 2, 0.8, 0.6),
    ("pcm16-22050-stereo.flac", "FLAC", "PCM_16", 22050, 2, 1.0, 0.75),
    ("short-32000-mono.wav", "WAV", "PCM_16", 32000, 1, 0.3, 0.75),
    ("pcm16-44100-six.flac", "FLAC", "PCM_16", 44100, 6, 0.4, 0.3),
    ("vorbis-44100-stereo.ogg", "OGG", "VORBIS", 44100, 2, 1.0, 0.75),
    ("layer3-24000-mono.mp3", "MP3", "MPEG_LAYER_III", 24000, 1, 1.0, 0.75),
    ("layer3-44100-stereo.mp3", "MP3", "MPEG_LAYER_III", 44100, 2, 1.0, 0.75),
    ("pcm24-48000-mono.flac", "FLAC", "PCM_24", 48000, 1, 1.0, 0.75),
    ("pcm16-96000-mono.flac", "FLAC", "PCM_16", 96000, 1, 0.8, 0.6),
    # long enough that only the middle is decoded
    ("long-44100-mono.mp3", "MP3", "MPEG_LAYER_III", 44100, 1, 4.0, 0.5),
    ("long-44100-mono.ogg", "OGG", "VORBIS", 44100, 1, 4.0, 0.5),
    ("long-8000-mono.flac", "FLAC", "PCM_16", 8000, 1, 12.0, 0.5),
]


def music(rate, channels, seconds):
    """Plucked notes that change, one voice per channel, and a little noise.

    The long ones do without noise: an encoder then saves bits for later frames, so that an MP3
    cannot be decoded from just anywhere.
    """
    noise = 3e-4 if seconds <= 1 else 0
    t = np.arange(round(rate * seconds)) / rate
    random = np.random.default_rng(rate + channels)
    voices = []
    for channel in range(channels):
        voice = np.zeros_like(t)
        for start in np.arange(0, seconds, 0.15):
            pitch = 110 * 2 ** (random.integers(0, 36) / 12)
            since = np.maximum(t - start, 0)
            for harmonic in range(1, 9):
                if harmonic * pitch < 0.45 * rate:
                    decay = np.exp(-since * (3 + harmonic)) * (t >= start)
                    voice += decay * np.sin(2 * np.pi * harmonic * pitch * since) / harmonic
        voices.append(voice + random.normal(0, 1, t.size) * noise)
    sound = np.stack(voices, axis=1)
    return 0.7 * sound / np.abs(sound).max()


def excerpt(samples, settings):
    count = round(settings["durationSeconds"] * settings["sampleRateHz"])
    if samples.size >= count:
        start = (samples.size - count) // 2
        return samples[start : start + count]
    return librosa.util.pad_center(samples, size=count)


def log_mel(samples, settings):
    power = librosa.feature.melspectrogram(
        y=excerpt(samples, settings),
        sr=settings["sampleRateHz"],
        n_fft=settings["windowLength"],
        hop_length=settings["hopLength"],
        n_mels=settings["melBands"],
        fmin=settings["lowestHz"],
        fmax=settings["highestHz"],
        window="hann",
        center=True,
        pad_mode="reflect",
        power=2.0,
        htk=False,
        norm="slaney",
    )
    return librosa.power_to_db(
        power,
        ref=1.0,
        amin=settings["decibelFloor"],
        top_db=settings["dynamicRangeDecibels"],
    )


def main():
    for package, pin in PINNED.items():
        assert version(package) == pin, f"{package} is {version(package)}, pinned is {pin}"
    if not SOUNDS.exists():
        SOUNDS.mkdir()
        for name, form, subtype, rate, channels, seconds, _ in FILES:
            sound = music(rate, channels, seconds)
            soundfile.write(SOUNDS / name, sound, rate, format=form, subtype=subtype)

    maps, values = [], []

    def add(source, settings, samples):
        full = log_mel(samples, {**DEFAULTS, **settings})
        last = full.shape[1] - 1
        # of a long map, the reflected ends and every fortieth frame
        frames = [
            t for t in range(last + 1) if last < 60 or t % 40 == 0 or min(t, last - t) < 2
        ]
        maps.append(
            {
                **source,
                "settings": settings,
                "shape": list(full.shape),
                "maximum": float(full.max()),
                "frames": frames,
                "offset": sum(v.size for v in values),
            }
        )
        values.append(full[:, frames].astype("<f4").ravel())

    for signal, count, settings in SIGNALS:
        add({"signal": signal.__name__, "count": count}, settings, signal(count))
    for name, _, _, rate, channels, seconds, duration in FILES:
        samples, _ = librosa.load(SOUNDS / name, sr=12000, mono=True, res_type="soxr_hq")
        source = {"file": name, "rate": rate, "channels": channels, "seconds": seconds}
        add(source, {"durationSeconds": duration}, samples)

    np.concatenate(values).tofile(HERE / "goldens.f32")
    versions = {**PINNED, "libsndfile": soundfile.__libsndfile_version__}
    lines = ",\n".join(json.dumps(entry) for entry in maps)
    text = f'{{"versions": {json.dumps(versions)},\n"maps": [\n{lines}\n]}}\n'
    (HERE / "goldens.json").write_text(text)


if __name__ == "__main__":
    main()
