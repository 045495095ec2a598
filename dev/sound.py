"""Speech as a row of samples."""

from dataclasses import dataclass

SAMPLE_BYTES = 2
BYTES_PER_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Sound:
    """Speech: 16-bit samples of one channel. rate: samples per second."""

    samples: bytes
    rate: int

    def seconds(self, n_bytes: int | None = None) -> float:
        """Return how long all of it takes, or that many bytes."""
        return (len(self.samples) if n_bytes is None else n_bytes) / SAMPLE_BYTES / self.rate

    def padded(self, before: float, after: float) -> Sound:
        """Return it between so many seconds of silence."""
        first, last = (bytes(int(one * self.rate) * SAMPLE_BYTES) for one in (before, after))
        return Sound(first + self.samples + last, self.rate)

    def chunks(self) -> list[bytes]:
        """Return its samples in the pieces in which they are sent."""
        starts = range(0, len(self.samples), BYTES_PER_CHUNK)
        return [self.samples[start : start + BYTES_PER_CHUNK] for start in starts]
