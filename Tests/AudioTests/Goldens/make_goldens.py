#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "librosa==0.11.0", "numpy==2.4.6", "scipy==1.17.1", "soundfile==0.14.0", "soxr==1.1.0",
# ]
# ///
"""Makes the log-mel maps that the Audio tests compare with, as librosa computes them.

Beside this script it writes
  sounds/       short compressed sound files: formats, sample rates, channels, sample sizes
  goldens.json  library versions; of every map: source, settings, frames, place in goldens.f32
  goldens.f32   the maps, little-endian float32, [bands, chosen frames], one after the other

Run it with `uv run make_goldens.py`, or with the versions above in a virtual environment.
The encoders are not deterministic across libsndfile's versions, so the sounds are kept, and made
again only if the folder is gone. WAV files are not kept: the tests write the same ones.
"""

import json
import math
import pathlib
import tempfile
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


def clipped(count):
    return np.clip(chord(count) * np.float32(16), np.float32(-1), np.float32(1))


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
    (clipped, 349440, {}),
    (impulse, 349440, {}),
    (noise, 400001, {}),
    (noise, 5001, {}),
    (noise, 300, {}),
    (impulse, 1, {}),
    (bursts, 24000, dict(sampleRateHz=16000, durationSeconds=1.5, highestHz=8000.0)),
    (chord, 24000, dict(durationSeconds=2.0, windowLength=1024, hopLength=300, melBands=64)),
    (noise, 24000, dict(durationSeconds=2.0, lowestHz=300.0, highestHz=4000.0, melBands=40)),
    (tone, 24000, dict(durationSeconds=2.0, windowLength=400, hopLength=160, melBands=40)),
    (bursts, 24000, dict(durationSeconds=2.0, decibelFloor=1e-3, dynamicRangeDecibels=30.0)),
    # the last frame's centre behind the last sample, or not: see LogMelExtractor.endsAsLibrosa
    (noise, 300, dict(durationSeconds=300 / 12000)),
    (noise, 400, dict(durationSeconds=400 / 12000, hopLength=400)),
    (noise, 512, dict(durationSeconds=512 / 12000)),
    (noise, 1600, dict(durationSeconds=1600 / 12000, hopLength=400)),
    (noise, 1600, dict(durationSeconds=1600 / 12000, hopLength=200)),
]

WAVES = [
    # sample format, rate, channels, frames, signal, excerpt
    ("PCM_U8", 8000, 1, 4000, chord, 0.4),
    ("PCM_16", 11025, 2, 5000, noise, 0.4),
    ("PCM_16", 12000, 1, 4801, bursts, 0.4),
    ("FLOAT", 12000, 6, 6000, noise, 0.4),
    ("PCM_24", 16000, 3, 8000, chord, 0.4),
    ("PCM_32", 22050, 4, 12000, noise, 0.4),
    ("FLOAT", 32000, 5, 12345, chord, 0.4),
    ("DOUBLE", 44100, 1, 20000, noise, 0.4),
    ("PCM_16", 44100, 6, 20000, chord, 0.4),
    ("PCM_24", 48000, 2, 24000, clipped, 0.4),
    ("PCM_32", 88200, 1, 40000, chord, 0.4),
    ("PCM_16", 96000, 2, 48000, noise, 0.4),
    # shorter than the excerpt; than a window; one sample
    ("PCM_16", 32000, 1, 8000, noise, 0.4),
    ("FLOAT", 12000, 1, 300, noise, 0.4),
    ("FLOAT", 44100, 2, 300, chord, 0.4),
    ("PCM_16", 12000, 1, 1, chord, 0.4),
]

FILES = [
    # name, format, subtype, rate, channels, seconds, excerpt
    ("pcm8-8000-mono.flac", "FLAC", "PCM_S8", 8000, 1, 0.5, 0.4),
    ("pcm24-12000-stereo.flac", "FLAC", "PCM_24", 12000, 2, 0.5, 0.4),
    ("short-12000-mono.flac", "FLAC", "PCM_16", 12000, 1, 0.3, 0.4),
    ("pcm16-22050-stereo.flac", "FLAC", "PCM_16", 22050, 2, 0.5, 0.4),
    ("pcm16-44100-six.flac", "FLAC", "PCM_16", 44100, 6, 0.15, 0.12),
    ("pcm24-48000-mono.flac", "FLAC", "PCM_24", 48000, 1, 0.3, 0.25),
    ("pcm16-96000-mono.flac", "FLAC", "PCM_16", 96000, 1, 0.3, 0.25),
    ("vorbis-8000-mono.ogg", "OGG", "VORBIS", 8000, 1, 0.5, 0.4),
    ("vorbis-44100-stereo.ogg", "OGG", "VORBIS", 44100, 2, 0.5, 0.4),
    ("vorbis-48000-six.ogg", "OGG", "VORBIS", 48000, 6, 0.5, 0.4),
    ("vorbis-96000-mono.ogg", "OGG", "VORBIS", 96000, 1, 0.5, 0.4),
    ("layer3-8000-mono.mp3", "MP3", "MPEG_LAYER_III", 8000, 1, 0.7, 0.5),
    ("layer3-12000-stereo.mp3", "MP3", "MPEG_LAYER_III", 12000, 2, 0.7, 0.5),
    ("layer3-24000-mono.mp3", "MP3", "MPEG_LAYER_III", 24000, 1, 0.7, 0.5),
    ("layer3-44100-stereo.mp3", "MP3", "MPEG_LAYER_III", 44100, 2, 0.7, 0.5),
    ("layer3-48000-mono.mp3", "MP3", "MPEG_LAYER_III", 48000, 1, 0.7, 0.5),
    # long enough that only the middle is decoded
    ("long-8000-mono.flac", "FLAC", "PCM_16", 8000, 1, 6.0, 0.5),
    ("long-44100-mono.ogg", "OGG", "VORBIS", 44100, 1, 4.0, 0.5),
    ("long-44100-mono.mp3", "MP3", "MPEG_LAYER_III", 44100, 1, 4.0, 0.5),
    # without a count of its frames, but with 4,000 bytes of tag: libsndfile guesses wrong
    ("uncounted-44100-mono.mp3", "MP3", "MPEG_LAYER_III", 44100, 1, 2.0, 0.5),
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


def write_file(path, form, subtype, rate, channels, seconds):
    sound = music(rate, channels, seconds)
    if not path.name.startswith("uncounted"):
        return soundfile.write(path, sound, rate, format=form, subtype=subtype)
    how = dict(format=form, subtype=subtype, bitrate_mode="CONSTANT", compression_level=0.9)
    soundfile.write(path, sound, rate, **how)
    plain = path.read_bytes()
    assert b"Info" in plain[:100]
    second = plain.index(plain[:2], plain.index(b"Info"))  # where the second frame starts
    size = bytes([0, 0, 4000 >> 7, 4000 & 127])
    path.write_bytes(b"ID3\3\0\0" + size + bytes(4000) + plain[second:])


def write_wave(path, subtype, rate, channels, frames, signal):
    """Rounds down to the format's steps; frames take the signal's samples in turn."""
    samples = signal(frames * channels).reshape(frames, channels)
    bits = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(subtype)
    if bits:
        steps = np.floor(samples.astype(np.float64) * 2 ** (bits - 1))
        steps = np.minimum(steps, 2 ** (bits - 1) - 1).astype(np.int64)
        samples = (steps << (32 - bits)).astype(np.int32)
    soundfile.write(path, samples, rate, format="WAV", subtype=subtype)


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


def chosen_frames(count):
    """Both ends, where the padding is, the middle, where a short clip is, and some between."""
    middle = count // 2
    chosen = {0, 1, middle - 1, middle, middle + 1, count - 2, count - 1}
    return sorted(t for t in range(count) if t in chosen or t % max(6, count // 3) == 0)


def native(rate, duration):
    """Settings that leave a file's rate as it is, so that nothing is resampled."""
    return dict(
        sampleRateHz=rate,
        durationSeconds=duration,
        windowLength=1024 if rate < 32000 else 2048,
        hopLength=512,
        melBands=40,
        highestHz=rate / 2,
    )


def main():
    for package, pin in PINNED.items():
        assert version(package) == pin, f"{package} is {version(package)}, pinned is {pin}"
    if not SOUNDS.exists():
        SOUNDS.mkdir()
        for name, *how, _ in FILES:
            write_file(SOUNDS / name, *how)

    maps, values = [], []

    def add(source, settings, samples):
        full = log_mel(samples, {**DEFAULTS, **settings})
        frames = chosen_frames(full.shape[1])
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

    def add_file(source, path, rate, duration):
        samples, _ = librosa.load(path, sr=12000, mono=True, res_type="soxr_hq")
        add(source, {"durationSeconds": duration}, samples)
        if rate != 12000:
            samples, _ = librosa.load(path, sr=None, mono=True)
            add(source, native(rate, duration), samples)

    for signal, count, settings in SIGNALS:
        add({"signal": signal.__name__, "count": count}, settings, signal(count))
    for name, _, _, rate, channels, _, duration in FILES:
        count = len(soundfile.read(SOUNDS / name)[0])
        source = {"file": name, "rate": rate, "channels": channels, "count": count}
        add_file(source, SOUNDS / name, rate, duration)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "wave.wav"
        for subtype, rate, channels, frames, signal, duration in WAVES:
            write_wave(path, subtype, rate, channels, frames, signal)
            source = {"signal": signal.__name__, "sampleFormat": subtype}
            source |= {"rate": rate, "channels": channels, "count": frames}
            add_file(source, path, rate, duration)

    np.concatenate(values).tofile(HERE / "goldens.f32")
    versions = {**PINNED, "libsndfile": soundfile.__libsndfile_version__}
    lines = ",\n".join(json.dumps(entry) for entry in maps)
    text = f'{{"versions": {json.dumps(versions)},\n"maps": [\n{lines}\n]}}\n'
    (HERE / "goldens.json").write_text(text)


if __name__ == "__main__":
    main()
