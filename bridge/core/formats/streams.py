"""Streams without a magic: known only by frames that follow each other where they should."""

from __future__ import annotations

# MPEG audio layer III, kbit/s by index (ISO/IEC 11172-3, 13818-3).
_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_TS_PACKET = 188


def _mp3_frame(head: bytes, at: int) -> int:
    """Bytes of the layer III frame at `at`; 0 where none is."""
    frame = head[at : at + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return 0
    version, rate, sample = frame[1] >> 3 & 3, frame[2] >> 4, frame[2] >> 2 & 3
    if version == 1 or rate in (0, 15) or sample == 3:
        return 0
    factor, rates = (144, _RATES_1) if version == 3 else (72, _RATES_2)
    return factor * rates[rate] * 1000 // _SAMPLES[version][sample] + (frame[2] >> 1 & 1)


def is_mp3(head: bytes) -> bool:
    """Two frames of MPEG audio layer III in a row."""
    first = _mp3_frame(head, 0)
    return first > 0 and _mp3_frame(head, first) > 0


def _adts_frame(head: bytes, at: int) -> int:
    """Bytes of the ADTS frame at `at` (ISO/IEC 13818-7); 0 where none is."""
    frame = head[at : at + 7]
    if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0 or frame[2] >> 2 & 15 > 12:
        return 0
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    return length if length >= 7 else 0


def is_adts(head: bytes) -> bool:
    """Two frames of AAC in a row."""
    first = _adts_frame(head, 0)
    return first > 0 and _adts_frame(head, first) > 0


def is_transport_stream(head: bytes) -> bool:
    """Five packets of an MPEG transport stream in a row."""
    return len(head) > 4 * _TS_PACKET and all(head[i * _TS_PACKET] == 0x47 for i in range(5))
