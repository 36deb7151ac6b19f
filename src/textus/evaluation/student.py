"""Student's t distribution, for intervals from a few seeds: its tail and its quantiles, without a library for them.

P(|T| > t) with v degrees of freedom is the regularised incomplete beta function I_x(v/2, 1/2) at x = v / (v + t^2)
(Abramowitz and Stegun, 26.5.27), here by its continued fraction (26.5.8) in the way of Lentz.
"""

from __future__ import annotations

import math

_TINY, _ENOUGH, _MOST_TERMS = 1e-300, 1e-15, 100_000


def two_sided(t: float, degrees: float) -> float:
    """Return the probability of a value at least so far from 0.

    >>> round(two_sided(4.302653, 2), 6), two_sided(0.0, 5)
    (0.05, 1.0)
    """
    if math.isinf(t):
        return 0.0
    return _beta(degrees / 2, 0.5, degrees / (degrees + t * t), t * t / (degrees + t * t))


def quantile(confidence: float, degrees: float) -> float:
    """Return what a value stays below, in either direction, with this probability.

    >>> round(quantile(0.95, 2), 4), round(quantile(0.95, 1e6), 4)
    (4.3027, 1.96)
    """
    low, high = 0.0, 1.0
    while two_sided(high, degrees) > 1 - confidence:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, degrees) > 1 - confidence else (low, middle)
    return (low + high) / 2


def _beta(a: float, b: float, x: float, rest: float) -> float:
    """Return I_x(a, b); `rest` is 1 - x, which loses digits where it is computed from x."""
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    # The fraction converges fast on one side of the mean; on the other, the complement's does.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, _away(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _away(1 + term * d), _away(1 + term / c)
            value *= d * c
        if abs(d * c - 1) < _ENOUGH:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
