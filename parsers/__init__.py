"""Reading ET:Legacy round-stats files: bytes in, plain values out. No I/O, no clock, no database."""
