"""The shake detector in a real browser, on made-up movements at two sensor rates; their time is fed in, not waited for.

The movements are models, not recordings: sines with a hand's irregularity for shakes and walking, decaying bumps for
putting down and dropping. Real phones have the last word.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from playwright.async_api import Browser

from tests.fakes.chromium import device

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHAKE_JS = Path(__file__).parents[2] / "edge_agent" / "web" / "guest" / "shake.js"
SECONDS = 3.0
# (t seconds) -> linear acceleration in m/s2 along x, y, z.
Movement = Callable[[float], tuple[float, float, float]]

# Traces travel as one JSON text, which is many times faster than as an argument's objects.
FEED = """([text, key]) => JSON.parse(text).map(trace => {
  const detector = shakeDetector()
  const event = (x, y, z) => key === 'acceleration' ? {acceleration: {x, y, z}} : {acceleration: null, [key]: {x, y, z}}
  const hit = trace.find(([at, x, y, z]) => detector(event(x, y, z), at))
  return hit ? hit[0] - trace[0][0] : null
})"""


def shake(chance: Random, strength: float) -> Movement:
    """A hand that swings to and fro; its axis, rhythm and strength differ from person to person."""
    rhythm_hz, phase = chance.uniform(3.0, 5.5), chance.uniform(0, 2 * math.pi)
    peak = strength * chance.uniform(0.85, 1.15)
    axis = [1.0, chance.uniform(0, 0.5), chance.uniform(0, 0.4)]
    chance.shuffle(axis)

    def at(t_s: float) -> tuple[float, float, float]:
        swing = peak * math.sin(2 * math.pi * rhythm_hz * t_s + phase)
        x, y, z = (part * swing + chance.gauss(0, 0.8) for part in axis)
        return x, y, z

    return at


def walk(chance: Random) -> Movement:
    """About two steps a second, felt mostly upright, with the heel's jolt."""
    step_hz, lift = chance.uniform(1.6, 2.3), chance.uniform(2.0, 5.0)

    def at(t_s: float) -> tuple[float, float, float]:
        phase = 2 * math.pi * step_hz * t_s
        jolt = chance.uniform(2, 6) if math.sin(phase) > 0.97 else 0.0
        sway = 1.5 * math.sin(phase / 2)
        return sway + chance.gauss(0, 0.5), lift * math.sin(phase) + jolt, chance.gauss(0, 0.8)

    return at


def bumps(chance: Random, most: int, peak: float) -> Movement:
    """Knocks that ring off within a few hundredths of a second, as a phone does that is put down or dropped."""
    knocks = [
        (chance.uniform(0, SECONDS), chance.uniform(0.5, 1) * peak) for _ in range(chance.randint(1, most))
    ]

    def at(t_s: float) -> tuple[float, float, float]:
        felt = 0.0
        for began_s, strength in knocks:
            since_s = t_s - began_s
            if 0 <= since_s < 0.3:
                felt += strength * math.exp(-since_s / 0.06) * math.cos(2 * math.pi * 15 * since_s)
        return felt * 0.2 + chance.gauss(0, 0.3), felt * 0.3, felt

    return at


def trace(chance: Random, movement: Movement, rate_hz: int) -> list[list[float]]:
    """Samples (ms, x, y, z) at a rate that wavers as phones' do."""
    samples, t_s = [], 0.0
    while t_s < SECONDS:
        samples.append([1000 + 1000 * t_s, *movement(t_s)])
        t_s += chance.uniform(0.9, 1.1) / rate_hz
    return samples


async def detected_ms(chromium: Browser, traces: list[list[list[float]]], key: str) -> list[float | None]:
    async with device(chromium) as context:
        page = await context.new_page()
        await page.add_script_tag(path=SHAKE_JS)
        found: list[float | None] = await page.evaluate(FEED, [json.dumps(traces), key])
    return found


@pytest.mark.parametrize("rate_hz", [20, 60])
@pytest.mark.parametrize("strength", [15.0, 25.0])
async def test_shakes_are_felt_soon(chromium: Browser, rate_hz: int, strength: float) -> None:
    chance = Random(f"{rate_hz} {strength}")
    found = await detected_ms(
        chromium, [trace(chance, shake(chance, strength), rate_hz) for _ in range(300)], "acceleration"
    )
    felt = sorted(ms for ms in found if ms is not None)
    assert len(felt) >= 0.98 * len(found)
    assert felt[len(felt) // 2] <= 700


@pytest.mark.parametrize("rate_hz", [20, 60])
async def test_a_phone_that_reports_only_with_gravity_feels_shakes_too(
    chromium: Browser, rate_hz: int
) -> None:
    chance = Random(f"gravity {rate_hz}")
    traces = [trace(chance, shake(chance, 20.0), rate_hz) for _ in range(300)]
    heavy = [[[at, x, y + 5.9, z + 7.8] for at, x, y, z in samples] for samples in traces]
    found = await detected_ms(chromium, heavy, "accelerationIncludingGravity")
    assert sum(ms is not None for ms in found) >= 0.98 * len(found)


@pytest.mark.parametrize("rate_hz", [20, 60])
async def test_walking_putting_down_and_dropping_are_no_shakes(chromium: Browser, rate_hz: int) -> None:
    chance = Random(f"not {rate_hz}")
    movements = [
        *(walk(chance) for _ in range(350)),
        *(bumps(chance, 1, 30.0) for _ in range(350)),
        *(bumps(chance, 3, 14.0) for _ in range(300)),
    ]
    found = await detected_ms(chromium, [trace(chance, each, rate_hz) for each in movements], "acceleration")
    assert [index for index, ms in enumerate(found) if ms is not None] == []
