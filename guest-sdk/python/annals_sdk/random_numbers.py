"""A random number generator that gives the same numbers on every replay, and those that the Rust
SDK gives."""

_U64 = 2**64 - 1


class Random:
    """Numbers that look random and depend on nothing but the seed: xoshiro256**, seeded through
    splitmix64. Not for secrets, since who knows the message id knows the numbers."""

    def __init__(self, seed: tuple[int, int]) -> None:
        (first, low), (third, high) = _splitmix64(seed[0]), _splitmix64(seed[1])
        self._state = (first, _splitmix64(low)[0], third, _splitmix64(high)[0])

    def next_u64(self) -> int:
        """The next of 2^64 numbers, every one of them equally likely."""
        first, second, third, fourth = self._state
        third, fourth = third ^ first, fourth ^ second
        mixed = third ^ (second << 17) & _U64
        self._state = (first ^ fourth, second ^ third, mixed, _rotated(fourth, 45))
        return _rotated(second * 5 & _U64, 7) * 9 & _U64

    def below(self, bound: int) -> int:
        """A number from 0 to `bound`, exclusive; 0 when `bound` is 0."""
        return self.next_u64() * bound >> 64

    def uuid(self) -> str:
        """A UUID of version 4, for an id that must not repeat."""
        high = self.next_u64() & ~0xF000 | 0x4000
        low = self.next_u64() & ~(0b11 << 62) | 0b10 << 62
        digits = f"{high:016x}{low:016x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _U64


def _splitmix64(state: int) -> tuple[int, int]:
    """A number and the state after it."""
    state = (state + 0x9E3779B97F4A7C15) & _U64
    mixed = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _U64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _U64
    return mixed ^ mixed >> 31, state
