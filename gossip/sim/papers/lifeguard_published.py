"""Tables IV to VII and Figure 2 of Lifeguard (arXiv 1707.00788), as published."""

from __future__ import annotations

# False positives, those at healthy members, messages (M), GiB.
TABLE_IV = {
    "SWIM": (339_002, 1_326, 435.33, 149.15),
    "LHA-Probe": (229_574, 436, 428.62, 134.28),
    "LHA-Suspicion": (10_174, 89, 484.55, 158.87),
    "Buddy System": (318_935, 591, 435.62, 147.67),
    "Lifeguard": (5_193, 25, 481.42, 146.13),
}
# The runs of a configuration that this is the sum of.
TABLE_IV_RUNS = 4_320

# Seconds: (median, 99 %, 99.9 %) of the first detection, and of the full dissemination.
TABLE_V = {
    "SWIM": (12.44, 16.96, 19.40, 12.90, 16.93, 20.17),
    "LHA-Probe": (12.42, 17.75, 20.10, 12.90, 17.98, 20.56),
    "LHA-Suspicion": (12.42, 17.47, 25.41, 12.89, 17.33, 23.80),
    "Buddy System": (12.45, 17.12, 19.16, 12.92, 17.18, 19.81),
    "Lifeguard": (12.45, 17.90, 21.20, 12.91, 18.05, 21.68),
}

# % of SWIM, by (alpha, beta): the six of Table V, false positives, those at healthy members.
TABLE_VII = {
    (2, 2): (53.14, 69.81, 76.08, 55.12, 73.07, 76.20, 98.37, 31.15),
    (2, 4): (54.10, 72.88, 75.41, 56.28, 76.96, 75.11, 43.64, 22.47),
    (2, 6): (54.34, 75.53, 80.36, 56.74, 79.15, 78.58, 24.16, 13.65),
    (4, 2): (82.96, 94.28, 99.07, 84.42, 97.05, 92.17, 37.72, 20.29),
    (4, 4): (83.04, 96.17, 93.71, 84.03, 96.69, 95.14, 8.04, 9.50),
    (4, 6): (83.12, 96.82, 94.69, 84.42, 96.52, 92.71, 3.18, 4.83),
    (5, 2): (99.76, 104.95, 112.32, 99.92, 105.73, 107.64, 26.61, 15.38),
    (5, 4): (99.52, 102.71, 111.44, 99.61, 105.08, 107.93, 5.43, 5.05),
    (5, 6): (100.08, 105.54, 109.28, 100.08, 106.62, 107.49, 1.53, 1.89),
}

# False positives by the number of slow members, read off the figure by eye. There are 480 runs of
# each.
FIGURE_2_SLOW = (1, 4, 8, 12, 16, 20, 24, 28, 32)
FIGURE_2_RUNS = 480
FIGURE_2 = {
    "SWIM": (900, 6_000, 11_000, 23_000, 35_000, 46_000, 60_000, 77_000, 82_000),
    "LHA-Probe": (510, 3_200, 7_200, 15_200, 22_000, 36_500, 42_000, 50_500, 53_000),
    "LHA-Suspicion": (48, 310, 140, 580, 1_350, 1_120, 1_780, 2_900, 1_960),
    "Lifeguard": (18, 145, 110, 225, 570, 750, 840, 1_330, 1_200),
}
