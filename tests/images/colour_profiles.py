"""ICC profiles for tests, written byte by byte (ICC.1:2001-04), and what they mean, computed from their own numbers."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
# Columns: red, green, blue in XYZ, adapted to D50; as the profiles of Adobe and Apple have them.
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def rgb_profile(matrix, gamma):
    tags = {f"{name}XYZ": _xyz(*column) for name, column in zip("rgb", matrix.T, strict=True)}
    return _profile(b"RGB ", b"XYZ ", tags | {f"{name}TRC": _gamma(gamma) for name in "rgb"})


def grey_profile(gamma):
    return _profile(b"GRAY", b"XYZ ", {"kTRC": _gamma(gamma)})


def cmyk_profile(lab_of_cyan):
    """Full cyan has this colour (L, a and b in 8 bits), black is black whatever else is printed, any other ink is grey."""
    grid = np.full((2, 2, 2, 2, 3), (128, 128, 128), np.uint8)
    grid[..., 1, :] = (0, 128, 128)
    grid[0, 0, 0, 0], grid[1, 0, 0, 0] = (255, 128, 128), lab_of_cyan
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (entry % 4 == 0)) for entry in range(9))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + grid.tobytes() + 3 * ramp
    return _profile(b"CMYK", b"Lab ", {"A2B0": table, "A2B1": table}, kind=b"prtr")


def to_srgb(values, matrix, gamma):
    """Float64 arithmetic from the profile's numbers: what LittleCMS approximates in fixed point."""
    linear = (np.asarray(values, float) / 255) ** gamma @ matrix.T @ np.linalg.inv(SRGB).T
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _profile(space, connection, tags, kind=b"mntr"):
    tags = {"wtpt": _xyz(*D50)} | tags
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name.encode() + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"", 0x02400000, kind, space, connection)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _gamma(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _xyz(*values):
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
