"""Speech as a row of samples."""

from dev.sound import BYTES_PER_CHUNK, SAMPLE_BYTES, Sound

RATE = 16_000


def test_silence_around() -> None:
    """Silence is put before and behind, in whole samples."""
    speech = Sound(b"\x01\x02" * RATE, RATE)
    padded = speech.padded(0.25, 0.5)
    assert speech.seconds() == 1
    assert padded.seconds() == 1.75
    assert padded.samples.index(speech.samples) == RATE // 4 * SAMPLE_BYTES
    assert padded.samples.strip(b"\0") == speech.samples


def test_pieces() -> None:
    """The pieces are all of it, each of whole samples."""
    speech = Sound(b"\x01\x02" * RATE, RATE)
    pieces = speech.chunks()
    assert b"".join(pieces) == speech.samples
    assert {len(piece) for piece in pieces[:-1]} == {BYTES_PER_CHUNK}
    assert not len(pieces[-1]) % SAMPLE_BYTES
    assert speech.seconds(BYTES_PER_CHUNK) == 0.128
