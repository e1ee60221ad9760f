#!/usr/bin/env python3
"""Draws the fine-line background of the card templates and prints it as SVG path elements.

    python3 guilloche.py waves    fine lines over the whole card
    python3 guilloche.py rosette  the round figure, centred on 0,0, radius 1 = 100 px
    python3 guilloche.py bloom    the five-petalled flower of the header, centred on 0,0

The templates hold its output, so nothing runs it when a card is drawn. Curves are sampled and joined
by cubic Bezier pieces with the exact slope at each sample (Hermite form), one decimal is 0.008 mm.
Standard library only.
"""
import math
import sys

WIDTH, HEIGHT = 1011, 638


def bezier(points, slopes, step):
    (x, y), parts = points[0], []
    parts.append(f"M{x:.1f} {y:.1f}")
    for i in range(1, len(points)):
        (x0, y0), (x1, y1) = points[i - 1], points[i]
        (u0, v0), (u1, v1) = slopes[i - 1], slopes[i]
        k = step / 3
        parts.append(f"C{x0 + k * u0:.1f} {y0 + k * v0:.1f} {x1 - k * u1:.1f} {y1 - k * v1:.1f} {x1:.1f} {y1:.1f}")
    return "".join(parts)


def wave(base, phase, amplitude):
    step = 40.0
    a, b = 2 * math.pi / 337, 2 * math.pi / 211
    points, slopes = [], []
    x = -20.0
    while x <= WIDTH + 60:
        points.append((x, base + amplitude * math.sin(a * x + phase) + 0.45 * amplitude * math.sin(b * x - 1.7 * phase)))
        slopes.append((1.0, amplitude * a * math.cos(a * x + phase) + 0.45 * amplitude * b * math.cos(b * x - 1.7 * phase)))
        x += step
    return bezier(points, slopes, step)


def waves():
    lines = []
    count = 34
    for k in range(count):
        base = -24 + k * (HEIGHT + 48) / (count - 1)
        lines.append(wave(base, 0.21 * k, 25))
    return lines


def loop(radius, amplitude, petals, phase, per_petal=8):
    n = petals * per_petal
    step = 2 * math.pi / n
    points, slopes = [], []
    for i in range(n + 1):
        t = i * step
        r = radius + amplitude * math.sin(petals * t + phase)
        d = amplitude * petals * math.cos(petals * t + phase)
        points.append((r * math.cos(t), r * math.sin(t)))
        slopes.append((d * math.cos(t) - r * math.sin(t), d * math.sin(t) + r * math.cos(t)))
    return bezier(points, slopes, step) + "Z"


def rosette():
    lines = []
    for ring, (radius, amplitude, petals, turns) in enumerate([(176, 34, 12, 6), (112, 34, 12, 6), (56, 22, 9, 5), (22, 12, 6, 4)]):
        for k in range(turns):
            lines.append(loop(radius, amplitude, petals, 2 * math.pi * k / turns + 0.3 * ring))
    return lines


def bloom():
    lines = []
    for radius, amplitude in [(20.5, 10.5), (15.5, 9.0), (10.5, 7.0), (6.0, 4.2)]:
        lines.append(loop(radius, amplitude, 5, -math.pi / 2 * 0 + math.pi * 1.0, 8))
    return lines


if __name__ == "__main__":
    for d in {"waves": waves, "rosette": rosette, "bloom": bloom}[sys.argv[1]]():
        print(f'    <path d="{d}"/>')
